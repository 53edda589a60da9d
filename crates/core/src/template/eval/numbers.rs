//! Arithmetic on numbers: exact on 64-bit integers, else on doubles.

use jaq_core::ops::Math;

use super::{Flow, Machine, fail};
use crate::{Number, Value, template::plain::with_article};

pub(super) fn math(m: &mut Machine<'_>, op: Math, left: &Number, right: &Number) -> Flow<Value> {
    if let (Some(a), Some(b)) = (left.as_i64(), right.as_i64()) {
        let exact = match op {
            Math::Add => a.checked_add(b),
            Math::Sub => a.checked_sub(b),
            Math::Mul => a.checked_mul(b),
            Math::Div if b != 0 && a.checked_rem(b) == Some(0) => a.checked_div(b),
            Math::Rem if b != 0 => Some(a.checked_rem(b).unwrap_or(0)),
            Math::Div | Math::Rem => None,
        };
        if let Some(exact) = exact {
            return Ok(exact.into());
        }
    }
    let (a, b) = (left.as_f64(), right.as_f64());
    let result = match op {
        Math::Add => a + b,
        Math::Sub => a - b,
        Math::Mul => a * b,
        Math::Div if b == 0.0 => return Err(fail("a number cannot be divided by zero")),
        Math::Div => a / b,
        Math::Rem if a.is_nan() || b.is_nan() => f64::NAN,
        Math::Rem => {
            // The casts cut off fractions and saturate, as in jq.
            let (a, b) = (a as i64, b as i64);
            let Some(rest) = a.checked_rem(b) else {
                return if b == 0 { Err(fail("there is no remainder by zero")) } else { Ok(0_i64.into()) };
            };
            return Ok(rest.into());
        }
    };
    Ok(m.number(result))
}

pub(super) fn negate(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    let number = number(&value)?;
    match number.as_i64().and_then(i64::checked_neg) {
        Some(negated) => Ok(negated.into()),
        None => Ok(m.number(-number.as_f64())),
    }
}

pub(super) fn number(value: &Value) -> Flow<&Number> {
    match value {
        Value::Number(number) => Ok(number),
        other => Err(fail(format!("a number is wanted, not {}", with_article(other)))),
    }
}

/// `floor` and its like: integers stay as they are written.
pub(super) fn round(m: &mut Machine<'_>, value: Value, round: fn(f64) -> f64) -> Flow<Value> {
    let given = number(&value)?;
    if given.is_integral() && !given.is_computed() {
        return Ok(value);
    }
    let rounded = round(given.as_f64());
    Ok(m.number(rounded))
}

pub(super) fn abs(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    if number(&value)?.as_f64() < 0.0 { negate(m, value) } else { Ok(value) }
}

pub(super) fn apply(m: &mut Machine<'_>, value: &Value, function: fn(f64) -> f64) -> Flow<Value> {
    let result = function(number(value)?.as_f64());
    Ok(m.number(result))
}

pub(super) fn apply2(
    m: &mut Machine<'_>,
    a: &Value,
    b: &Value,
    function: fn(f64, f64) -> f64,
) -> Flow<Value> {
    let result = function(number(a)?.as_f64(), number(b)?.as_f64());
    Ok(m.number(result))
}

/// JSON's numbers, and decimal ones that it does not know: `007`, `.5`, `1.`.
pub(super) fn parse(m: &mut Machine<'_>, text: &str) -> Flow<Value> {
    let text = text.trim();
    m.create(text.len() as u64)?;
    if let Some(number) = Number::parse(text) {
        return Ok(number.into());
    }
    let decimal = text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    match text.parse::<f64>() {
        Ok(number) if decimal => Ok(m.number(number)),
        _ => Err(fail("the text is not a number")),
    }
}

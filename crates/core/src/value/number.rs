//! Numbers that keep their digits.

use std::{cmp::Ordering, fmt, sync::Arc};

/// A JSON number: a 64-bit integer, a double that was computed, or the digits exactly as they were written.
#[derive(Clone, Debug)]
pub struct Number(Repr);

#[derive(Clone, Debug)]
enum Repr {
    Int(i64),
    /// The result of arithmetic. Not finite only while a template is being evaluated.
    Float(f64),
    /// A valid JSON number that is not a plain `i64`: fractions, exponents, larger integers.
    Digits(Arc<str>),
}

/// Integers up to this one are exact as doubles.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Number {
    /// Reads a JSON number. Nothing for text that is not one (`01`, `+1`, `1.`, `NaN`).
    pub fn parse(text: &str) -> Option<Self> {
        is_number(text.as_bytes()).then(|| Self::from_valid(text))
    }

    /// `text` must be a valid JSON number.
    pub(super) fn from_valid(text: &str) -> Self {
        match text.parse::<i64>() {
            // "-0" is a number of its own and keeps its sign.
            Ok(int) if !(int == 0 && text.starts_with('-')) => Number(Repr::Int(int)),
            _ => Number(Repr::Digits(text.into())),
        }
    }

    /// Nothing for NaN and the infinities. Integral values are written without a fraction.
    pub fn from_f64(number: f64) -> Option<Self> {
        number.is_finite().then(|| Self::computed(number))
    }

    /// As [`Number::from_f64`], but NaN and the infinities stay; they are written as `null`.
    pub(crate) fn computed(number: f64) -> Self {
        if number.fract() == 0.0 && number.abs() < EXACT {
            return Number(Repr::Int(number as i64));
        }
        Number(Repr::Float(number))
    }

    /// The value as `i64`, if it is written as an integer and fits.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Int(int) => Some(*int),
            Repr::Float(_) => None,
            Repr::Digits(text) => text.parse().ok(),
        }
    }

    /// The nearest double. Digits beyond its range become an infinity.
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            Repr::Int(int) => *int as f64,
            Repr::Float(float) => *float,
            Repr::Digits(text) => text.parse().unwrap_or(f64::NAN),
        }
    }

    /// The largest integer that is not larger; nothing for NaN. What no `i64` holds becomes the nearest one.
    pub(crate) fn floor(&self) -> Option<i64> {
        match self.as_i64() {
            Some(int) => Some(int),
            None => Some(self.as_f64()).filter(|float| !float.is_nan()).map(|float| float.floor() as i64),
        }
    }

    /// True for the result of arithmetic that is not a small integer.
    pub(crate) fn is_computed(&self) -> bool {
        matches!(self.0, Repr::Float(_))
    }

    /// True for `7`, `7.0` and `7e0`: the value has no fractional part.
    pub fn is_integral(&self) -> bool {
        match &self.0 {
            Repr::Int(_) => true,
            Repr::Float(float) => float.fract() == 0.0,
            Repr::Digits(text) => !text.contains(['.', 'e', 'E']) || self.as_f64().fract() == 0.0,
        }
    }

    pub(super) fn write(&self, out: &mut String) {
        match &self.0 {
            Repr::Int(int) => {
                let mut buffer = itoa::Buffer::new();
                out.push_str(buffer.format(*int));
            }
            Repr::Float(float) => drop(write_float(*float, out)),
            Repr::Digits(text) => out.push_str(text),
        }
    }

    /// Digits beyond a double's range become the largest double: a number stays a number.
    pub(super) fn to_serde(&self) -> serde_json::Value {
        match &self.0 {
            Repr::Int(int) => (*int).into(),
            Repr::Float(float) => (*float).into(),
            Repr::Digits(text) => match text.parse::<u64>() {
                Ok(int) => int.into(),
                Err(_) => self.as_f64().clamp(f64::MIN, f64::MAX).into(),
            },
        }
    }

    pub(super) fn from_serde(number: &serde_json::Number) -> Self {
        Self::from_valid(&number.to_string())
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Number(Repr::Int(number))
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        match i64::try_from(number) {
            Ok(int) => Number(Repr::Int(int)),
            Err(_) => Number(Repr::Digits(number.to_string().into())),
        }
    }
}

/// Numbers are equal when their values are: `1` and `1.0`, but not two long integers that
/// merely share a double.
impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other) == Ordering::Equal
    }
}

impl Number {
    /// By value, exactly; a total order. NaN is less than all others and equal to itself.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let floats = |a: f64, b: f64| a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()));
        match (&self.0, &other.0) {
            (Repr::Int(a), Repr::Int(b)) => a.cmp(b),
            (Repr::Float(a), Repr::Float(b)) => floats(*a, *b),
            (Repr::Digits(a), Repr::Digits(b)) if a == b => Ordering::Equal,
            (Repr::Float(a), _) if !a.is_finite() => floats(*a, 0.0),
            (_, Repr::Float(b)) if !b.is_finite() => floats(0.0, *b),
            (Repr::Int(a), Repr::Float(b)) if (*a as f64).abs() < EXACT => floats(*a as f64, *b),
            (Repr::Float(a), Repr::Int(b)) if (*b as f64).abs() < EXACT => floats(*a, *b as f64),
            _ => Decimal::of(self).compare(&Decimal::of(other)),
        }
    }
}

/// A number as `0.digits × 10^exponent`, to compare numbers that no machine type holds.
struct Decimal {
    negative: bool,
    exponent: i64,
    /// Without zeros at either end; none for zero.
    digits: Vec<u8>,
}

impl Decimal {
    fn of(number: &Number) -> Self {
        let text = number.to_string();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, &*text),
        };
        let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        // A power beyond 64 bits is as good as the largest.
        let huge = if power.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
        let power = power.parse::<i64>().unwrap_or(huge).clamp(i64::MIN / 2, i64::MAX / 2);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        let end = digits.iter().rposition(|digit| *digit != b'0').map_or(zeros, |last| last + 1);
        let digits = digits[zeros.min(end)..end].to_vec();
        let exponent = power + whole.len() as i64 - zeros as i64;
        match digits.is_empty() {
            true => Decimal { negative: false, exponent: 0, digits },
            false => Decimal { negative, exponent, digits },
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let sign = |decimal: &Decimal| match (decimal.digits.is_empty(), decimal.negative) {
            (true, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        };
        let size = self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
        let size = if self.negative { size.reverse() } else { size };
        sign(self).cmp(&sign(other)).then(size)
    }
}

/// Integers up to 10^19 in full, as jq writes them; NaN and the infinities as `null`.
fn write_float(float: f64, out: &mut dyn fmt::Write) -> fmt::Result {
    match float {
        _ if !float.is_finite() => out.write_str("null"),
        _ if float.fract() == 0.0 && float.abs() < 1e19 => write!(out, "{float:.0}"),
        _ => write!(out, "{float:?}"),
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(int) => int.fmt(f),
            Repr::Float(float) => write_float(*float, f),
            Repr::Digits(text) => f.write_str(text),
        }
    }
}

/// RFC 8259, section 6.
fn is_number(text: &[u8]) -> bool {
    let digits = |from: usize| text[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    match digits(at) {
        0 => return false,
        n if n > 1 && text[at] == b'0' => return false,
        n => at += n,
    }
    if text.get(at) == Some(&b'.') {
        match digits(at + 1) {
            0 => return false,
            n => at += 1 + n,
        }
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
        match digits(at) {
            0 => return false,
            n => at += n,
        }
    }
    at == text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_by_value() {
        let ascending = [
            "-1e400",
            "-9007199254740993",
            "-9007199254740992.5",
            "-1.5",
            "-1",
            "0",
            "1e-400",
            "0.1",
            "0.10000000000000000001",
            "1",
            "9007199254740992",
            "9007199254740993",
            "12345678901234567890",
            "12345678901234567891",
            "1e400",
            "2e99999999999999999999",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                let (a, b) = (Number::parse(a).unwrap(), Number::parse(b).unwrap());
                assert_eq!(a.compare(&b), i.cmp(&j), "{a} {b}");
            }
        }
        for (a, b) in [("1", "1.0"), ("100", "1e2"), ("0", "-0"), ("0.10", "1e-1"), ("0e5", "0")] {
            assert_eq!(Number::parse(a), Number::parse(b));
        }
    }

    #[test]
    fn a_number_stays_one_for_serde() {
        for (digits, double) in [("1e400", f64::MAX), ("-1e400", f64::MIN), ("1e-400", 0.0), ("1.10", 1.1)] {
            assert_eq!(
                Number::parse(digits).unwrap().to_serde(),
                serde_json::Value::from(double),
                "{digits}"
            );
        }
        assert_eq!(Number::computed(f64::NAN).to_serde(), serde_json::Value::Null);
    }

    proptest::proptest! {
        #[test]
        fn the_order_is_total(a in any_number(), b in any_number(), c in any_number()) {
            proptest::prop_assert_eq!(a.compare(&b), b.compare(&a).reverse());
            if a.compare(&b).is_le() && b.compare(&c).is_le() {
                proptest::prop_assert!(a.compare(&c).is_le());
            }
        }
    }

    fn any_number() -> impl proptest::strategy::Strategy<Value = Number> {
        use proptest::{prelude::any, prop_oneof, strategy::Strategy};
        let close = |n: i64| ((1_i64 << 53) + n % 3) * if n < 0 { -1 } else { 1 };
        prop_oneof![
            any::<i64>().prop_map(move |n| Number::from(close(n))),
            any::<i64>().prop_map(move |n| Number::computed(close(n) as f64)),
            any::<i64>().prop_map(move |n| Number::from_valid(&format!("{}.5", close(n)))),
            any::<f64>().prop_map(Number::computed),
            (-3_i64..3).prop_map(Number::from),
        ]
    }
}

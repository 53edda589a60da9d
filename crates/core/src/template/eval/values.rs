//! Arithmetic on values: `+ - * / %`.

use std::sync::Arc;

use jaq_core::ops::Math;

use super::{Flow, Machine, fail, numbers, order, strings};
use crate::{Map, Value, template::plain::with_article};

/// What an element costs, in bytes.
pub(super) const ELEMENT: u64 = 24;
/// What a member costs, in bytes.
pub(super) const MEMBER: u64 = 64;

pub(super) fn math(m: &mut Machine<'_>, op: Math, left: Value, right: Value) -> Flow<Value> {
    match (op, left, right) {
        (op, Value::Number(left), Value::Number(right)) => numbers::math(m, op, &left, &right),
        (Math::Add, Value::Null, other) | (Math::Add, other, Value::Null) => Ok(other),
        (Math::Add, Value::String(left), Value::String(right)) => {
            m.create((left.len() + right.len()) as u64 + ELEMENT)?;
            Ok([&*left, &*right].concat().into())
        }
        (Math::Add, Value::Array(mut left), Value::Array(right)) => {
            let copied = if Arc::strong_count(&left) > 1 { left.len() } else { 0 };
            m.create(ELEMENT * (copied + right.len()) as u64)?;
            Arc::make_mut(&mut left).extend(right.iter().cloned());
            Ok(Value::Array(left))
        }
        (Math::Add, Value::Object(mut left), Value::Object(right)) => {
            let copied = if Arc::strong_count(&left) > 1 { left.len() } else { 0 };
            m.create(MEMBER * (copied + right.len()) as u64)?;
            Arc::make_mut(&mut left).extend(right.iter().map(|(key, value)| (key.clone(), value.clone())));
            Ok(Value::Object(left))
        }
        (Math::Sub, Value::Array(left), Value::Array(right)) => without(m, &left, &right),
        (Math::Mul, Value::String(text), Value::Number(times))
        | (Math::Mul, Value::Number(times), Value::String(text)) => strings::repeat(m, &text, times.as_f64()),
        (Math::Mul, Value::Object(left), Value::Object(right)) => merge(m, left, &right).map(Value::Object),
        (Math::Div, Value::String(left), Value::String(right)) => strings::split_at(m, &left, &right),
        (op, left, right) => Err(fail(unfit(op, &left, &right))),
    }
}

fn unfit(op: Math, left: &Value, right: &Value) -> String {
    let (left_type, right_type) = (with_article(left), with_article(right));
    let hint = match (op, left, right) {
        (Math::Add, Value::String(_), Value::Number(_)) | (Math::Add, Value::Number(_), Value::String(_)) => {
            "; use `tostring` or `tonumber`"
        }
        _ => "",
    };
    match op {
        Math::Add => format!("{left_type} and {right_type} cannot be added{hint}"),
        Math::Sub => format!("{right_type} cannot be subtracted from {left_type}"),
        Math::Mul => format!("{left_type} and {right_type} cannot be multiplied"),
        Math::Div => format!("{left_type} cannot be divided by {right_type}"),
        Math::Rem => format!("{left_type} has no remainder by {right_type}"),
    }
}

fn without(m: &mut Machine<'_>, left: &[Value], right: &[Value]) -> Flow<Value> {
    let mut kept = Vec::new();
    for item in left {
        let mut removed = false;
        for other in right {
            removed = order::equal(m, item, other)?;
            if removed {
                break;
            }
        }
        if !removed {
            m.create(ELEMENT)?;
            kept.push(item.clone());
        }
    }
    Ok(kept.into())
}

/// Objects are merged deeply. The result is nested no deeper than its parts.
fn merge(m: &mut Machine<'_>, mut left: Arc<Map>, right: &Map) -> Flow<Arc<Map>> {
    m.create(MEMBER * (left.len() + right.len()) as u64)?;
    let members = Arc::make_mut(&mut left);
    for (key, value) in right {
        m.work(1)?;
        let merged = match (members.get_mut(key).map(std::mem::take), value) {
            (Some(Value::Object(left)), Value::Object(right)) => Value::Object(merge(m, left, right)?),
            _ => value.clone(),
        };
        members.insert(key.clone(), merged);
    }
    Ok(left)
}

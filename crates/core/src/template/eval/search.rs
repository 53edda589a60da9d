//! Looking for parts: `indices`, `contains`.

use super::{Flow, Machine, fail, order, strings};
use crate::{Value, template::plain::with_article};

pub(super) fn indices(m: &mut Machine<'_>, value: Value, part: Value) -> Flow<Value> {
    match (&value, &part) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::String(text), Value::String(part)) => strings::positions(m, text, part),
        (Value::Array(items), Value::Array(part)) => order::positions(m, items, part),
        (Value::Array(items), part) => order::positions(m, items, std::slice::from_ref(part)),
        (value, part) => {
            Err(fail(format!("{} cannot be searched for {}", with_article(value), with_article(part))))
        }
    }
}

/// `contains`: every part of `inner` is found in `outer`.
pub(super) fn contains(m: &mut Machine<'_>, outer: &Value, inner: &Value, levels: usize) -> Flow<bool> {
    let levels = m.level(levels)?;
    m.work(1)?;
    match (outer, inner) {
        (Value::Object(outer), Value::Object(inner)) => {
            for (key, inner) in inner.iter() {
                m.work(1 + key.len() as u64 / 16)?;
                let found = match outer.get(key) {
                    Some(outer) => contains_any(m, outer, inner, levels)?,
                    None => false,
                };
                if !found {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Array(outer), Value::Array(inner)) => {
            for inner in inner.iter() {
                let mut found = false;
                for outer in outer.iter() {
                    found = contains_any(m, outer, inner, levels)?;
                    if found {
                        break;
                    }
                }
                if !found {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::String(outer), Value::String(inner)) => {
            m.work(outer.len() as u64 / 16)?;
            Ok(outer.contains(&**inner))
        }
        (outer, inner) if outer.type_name() == inner.type_name() => order::equal(m, outer, inner),
        (outer, inner) => {
            Err(fail(format!("{} cannot contain {}", with_article(outer), with_article(inner))))
        }
    }
}

/// As [`contains`], but values of different types just differ.
fn contains_any(m: &mut Machine<'_>, outer: &Value, inner: &Value, levels: usize) -> Flow<bool> {
    if outer.type_name() == inner.type_name() {
        contains(m, outer, inner, levels)
    } else {
        order::equal(m, outer, inner)
    }
}

//! Equality and order of values, counted: values may share parts, and be larger to look at than to hold.

use std::cmp::Ordering;

use jaq_core::ops::Cmp;

use super::{Flow, Machine};
use crate::{Map, Value};

/// Null and false are not true; everything else is.
pub(super) fn truthy(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}

/// The comparison operators. NaN is less than any number, and equal to none.
pub(super) fn holds(m: &mut Machine<'_>, op: Cmp, left: &Value, right: &Value) -> Flow<bool> {
    let nan = |value: &Value| value.as_f64().is_some_and(f64::is_nan);
    if nan(left) && right.as_f64().is_some() {
        return Ok(matches!(op, Cmp::Lt | Cmp::Le | Cmp::Ne));
    }
    let order = match op {
        Cmp::Eq => return equal(m, left, right),
        Cmp::Ne => return equal(m, left, right).map(|equal| !equal),
        _ => compare(m, left, right)?,
    };
    Ok(match op {
        Cmp::Lt => order.is_lt(),
        Cmp::Le => order.is_le(),
        Cmp::Gt => order.is_gt(),
        Cmp::Ge => order.is_ge(),
        Cmp::Eq | Cmp::Ne => false,
    })
}

pub(super) fn equal(m: &mut Machine<'_>, left: &Value, right: &Value) -> Flow<bool> {
    m.work(1)?;
    let same = match (left, right) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len(),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len(),
        (Value::String(a), Value::String(b)) => a.len() == b.len(),
        _ => true,
    };
    Ok(same && compare(m, left, right)?.is_eq())
}

/// null, false, true, numbers, strings by code point, arrays, objects: first by their sorted keys.
pub(super) fn compare(m: &mut Machine<'_>, left: &Value, right: &Value) -> Flow<Ordering> {
    m.work(1)?;
    Ok(match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.compare(b),
        (Value::String(a), Value::String(b)) => {
            // Texts lie anywhere in the memory.
            m.work(4 + a.len().min(b.len()) as u64 / 64)?;
            a.cmp(b)
        }
        (Value::Array(a), Value::Array(b)) => {
            for (a, b) in a.iter().zip(b.iter()) {
                let order = compare(m, a, b)?;
                if order.is_ne() {
                    return Ok(order);
                }
            }
            a.len().cmp(&b.len())
        }
        (Value::Object(a), Value::Object(b)) => compare_objects(m, a, b)?,
        _ => rank(left).cmp(&rank(right)),
    })
}

fn compare_objects(m: &mut Machine<'_>, a: &Map, b: &Map) -> Flow<Ordering> {
    m.work(sorting(a.len()) + sorting(b.len()))?;
    let sorted = |map: &Map| {
        let mut keys: Vec<_> = map.keys().cloned().collect();
        keys.sort_unstable();
        keys
    };
    let (a_keys, b_keys) = (sorted(a), sorted(b));
    let keys = a_keys.cmp(&b_keys);
    if keys.is_ne() {
        return Ok(keys);
    }
    for key in &a_keys {
        if let (Some(a), Some(b)) = (a.get(key), b.get(key)) {
            let order = compare(m, a, b)?;
            if order.is_ne() {
                return Ok(order);
            }
        }
    }
    Ok(Ordering::Equal)
}

/// What it takes to sort so many keys.
pub(super) fn sorting(keys: usize) -> u64 {
    keys as u64 * (4 + 2 * u64::from(keys.checked_ilog2().unwrap_or(0)))
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(false) => 1,
        Value::Bool(true) => 2,
        Value::Number(_) => 3,
        Value::String(_) => 4,
        Value::Array(_) => 5,
        Value::Object(_) => 6,
    }
}

pub(super) fn sort(m: &mut Machine<'_>, values: Vec<Value>) -> Flow<Vec<Value>> {
    sort_by(m, values, |value| value)
}

/// A stable merge sort. Not the library's, because a comparison may end the evaluation.
pub(super) fn sort_by<T>(m: &mut Machine<'_>, items: Vec<T>, key: impl Fn(&T) -> &Value) -> Flow<Vec<T>> {
    let length = items.len();
    m.create(32 * length as u64)?;
    let mut order: Vec<usize> = (0..length).collect();
    let mut merged = Vec::with_capacity(length);
    let mut width = 1;
    while width < length {
        for start in (0..length).step_by(width * 2) {
            let (middle, end) = ((start + width).min(length), (start + width * 2).min(length));
            let (mut left, mut right) = (start, middle);
            while left < middle && right < end {
                if compare(m, key(&items[order[right]]), key(&items[order[left]]))?.is_lt() {
                    merged.push(order[right]);
                    right += 1;
                } else {
                    merged.push(order[left]);
                    left += 1;
                }
            }
            merged.extend_from_slice(&order[left..middle]);
            merged.extend_from_slice(&order[right..end]);
        }
        std::mem::swap(&mut order, &mut merged);
        merged.clear();
        width *= 2;
    }
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|index| items[index].take()).collect())
}

/// Where `part` begins in `items`.
pub(super) fn positions(m: &mut Machine<'_>, items: &[Value], part: &[Value]) -> Flow<Value> {
    if part.is_empty() {
        return Ok(Value::Null);
    }
    let mut found = Vec::new();
    for (start, window) in items.windows(part.len()).enumerate() {
        m.work(1)?;
        let mut same = true;
        for (a, b) in window.iter().zip(part) {
            same = equal(m, a, b)?;
            if !same {
                break;
            }
        }
        if same {
            m.create(super::values::ELEMENT)?;
            found.push(start.into());
        }
    }
    Ok(found.into())
}

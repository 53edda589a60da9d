//! Functions on objects, and those that work on several types.

use super::{
    Env, Expr, Flow, Item, Machine, Out, arrays, fail, numbers, order, run, strings::to_text, values,
};
use crate::{Map, Value, template::plain::with_article};

pub(super) fn length(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    match &value {
        Value::Null => Ok(0_i64.into()),
        Value::Bool(_) => Err(fail("a boolean has no length")),
        Value::Number(_) => numbers::abs(m, value),
        Value::String(text) => {
            m.work(text.len() as u64 / 16)?;
            Ok(text.chars().count().into())
        }
        Value::Array(items) => Ok(items.len().into()),
        Value::Object(map) => Ok(map.len().into()),
    }
}

pub(super) fn keys(m: &mut Machine<'_>, value: Value, sorted: bool) -> Flow<Value> {
    match &value {
        Value::Array(items) => {
            m.create(values::ELEMENT * items.len() as u64)?;
            Ok((0..items.len()).map(Value::from).collect::<Vec<_>>().into())
        }
        Value::Object(map) => {
            m.create(values::ELEMENT * map.len() as u64)?;
            m.work(if sorted { order::sorting(map.len()) } else { map.len() as u64 })?;
            let mut keys: Vec<_> = map.keys().cloned().collect();
            if sorted {
                keys.sort_unstable();
            }
            Ok(keys.into_iter().map(Value::from).collect::<Vec<_>>().into())
        }
        other => Err(fail(format!("{} has no keys", with_article(other)))),
    }
}

pub(super) fn has(m: &mut Machine<'_>, value: Value, key: Value) -> Flow<Value> {
    match (&value, &key) {
        (Value::Object(map), Value::String(key)) => {
            m.work(key.len() as u64 / 16)?;
            Ok(map.contains_key(&**key).into())
        }
        (Value::Array(items), Value::Number(index)) => {
            let index = index.floor().and_then(|index| usize::try_from(index).ok());
            Ok(index.is_some_and(|index| index < items.len()).into())
        }
        (value, key) => {
            Err(fail(format!("whether {} has {} cannot be said", with_article(value), with_article(key))))
        }
    }
}

/// An array's keys are its indices.
pub(super) fn to_entries(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    let pairs: Vec<(Value, Value)> = match &value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone().into(), value.clone())).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(i, item)| (i.into(), item.clone())).collect(),
        other => return Err(fail(format!("{} has no entries", with_article(other)))),
    };
    m.create((values::MEMBER * 2 + values::ELEMENT) * pairs.len() as u64)?;
    m.work(pairs.len() as u64)?;
    m.array(pairs.into_iter().map(|(key, value)| Value::from([("key", key), ("value", value)])).collect())
}

pub(super) fn from_entries(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    let mut map = Map::new();
    for entry in arrays::array(value)?.iter() {
        m.create(values::MEMBER)?;
        m.work(4)?;
        let Value::Object(entry) = entry else {
            return Err(fail(format!(
                "an entry is an object with `key` and `value`, not {}",
                with_article(entry)
            )));
        };
        // As in jq, the first spelling counts that is neither null nor false; then false, then null.
        let find = |names: &[&str]| {
            let all = || names.iter().filter_map(|name| entry.get(*name));
            all().find(|value| super::order::truthy(value)).or_else(|| all().find(|v| !v.is_null())).cloned()
        };
        let key = match find(&["key", "k", "name", "Name", "K", "Key"]).unwrap_or_default() {
            Value::Array(_) | Value::Object(_) => {
                return Err(fail("the key of an entry is a string"));
            }
            scalar => to_text(m, &scalar)?,
        };
        let value = find(&["value", "v", "Value", "V"]).unwrap_or_default();
        map.insert(key.into(), value);
    }
    m.object(map)
}

pub(super) fn with_entries<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let track = item.track.lost();
    let entries = to_entries(m, item.value)?;
    let mut mapped = Vec::new();
    for entry in entries.as_array().unwrap_or_default() {
        run(m, &args[0], env, Item::new(entry.clone()), &mut |m, found| {
            m.create(values::ELEMENT)?;
            mapped.push(found.value);
            Ok(())
        })?;
    }
    let value = from_entries(m, mapped.into())?;
    out(m, Item { value, track })
}

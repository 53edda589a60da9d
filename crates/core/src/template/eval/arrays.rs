//! Functions on arrays.

use std::sync::Arc;

use super::{
    Env, Expr, Flow, Item, Machine, Out, each, fail, generators::children, numbers, order, run, strings,
    values,
};
use crate::{
    Map, Value,
    template::{budget::MAX_VALUE_DEPTH, plain::with_article},
};

pub(super) fn array(value: Value) -> Flow<Arc<Vec<Value>>> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(fail(format!("an array is wanted, not {}", with_article(&other)))),
    }
}

/// A copy to change; no copy, where nobody else holds it.
fn owned(m: &mut Machine<'_>, value: Value) -> Flow<Vec<Value>> {
    let items = array(value)?;
    m.create(values::ELEMENT * items.len() as u64)?;
    Ok(Arc::unwrap_or_clone(items))
}

pub(super) fn map<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let mut mapped = Vec::new();
    for child in children(m, &item.value)? {
        run(m, &args[0], env, Item::new(child), &mut |m, found| {
            m.create(values::ELEMENT)?;
            mapped.push(found.value);
            Ok(())
        })?;
    }
    let value = m.array(mapped)?;
    out(m, item.computed(value))
}

pub(super) fn reverse(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    match value {
        Value::String(text) => m.string(text.chars().rev().collect()),
        Value::Null => Ok(Vec::new().into()),
        other => {
            let mut items = owned(m, other)?;
            items.reverse();
            Ok(items.into())
        }
    }
}

pub(super) fn sort(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    let items = owned(m, value)?;
    Ok(order::sort(m, items)?.into())
}

pub(super) fn unique(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    let items = owned(m, value)?;
    let mut unique: Vec<Value> = Vec::new();
    for item in order::sort(m, items)? {
        let same = match unique.last() {
            Some(last) => order::equal(m, last, &item)?,
            None => false,
        };
        if !same {
            unique.push(item);
        }
    }
    Ok(unique.into())
}

/// Each element with what the filter gives for it.
fn keyed<'s>(m: &mut Machine<'s>, filter: &Expr, env: Env<'_>, value: Value) -> Flow<Vec<(Value, Value)>> {
    let mut pairs = Vec::new();
    for item in owned(m, value)? {
        let mut keys = Vec::new();
        run(m, filter, env, Item::new(item.clone()), &mut |m, found| {
            m.create(values::ELEMENT)?;
            keys.push(found.value);
            Ok(())
        })?;
        m.create(values::ELEMENT * 2)?;
        pairs.push((keys.into(), item));
    }
    Ok(pairs)
}

pub(super) fn sort_by<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let track = item.track.lost();
    let pairs = keyed(m, &args[0], env, item.value)?;
    let sorted = order::sort_by(m, pairs, |(key, _)| key)?;
    let value = sorted.into_iter().map(|(_, value)| value).collect::<Vec<_>>().into();
    out(m, Item { value, track })
}

/// Elements with equal keys together, in the order of the keys.
fn groups<'s>(m: &mut Machine<'s>, filter: &Expr, env: Env<'_>, value: Value) -> Flow<Vec<Vec<Value>>> {
    let pairs = keyed(m, filter, env, value)?;
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (key, value) in order::sort_by(m, pairs, |(key, _)| key)? {
        if let Some((last, group)) = groups.last_mut()
            && order::equal(m, last, &key)?
        {
            group.push(value);
        } else {
            groups.push((key, vec![value]));
        }
    }
    Ok(groups.into_iter().map(|(_, group)| group).collect())
}

pub(super) fn group_by<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let track = item.track.lost();
    let groups = groups(m, &args[0], env, item.value)?.into_iter().map(Value::from).collect();
    let value = m.array(groups)?;
    out(m, Item { value, track })
}

pub(super) fn unique_by<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let track = item.track.lost();
    let groups = groups(m, &args[0], env, item.value)?;
    let firsts: Vec<Value> = groups.into_iter().filter_map(|group| group.into_iter().next()).collect();
    out(m, Item { value: firsts.into(), track })
}

/// The first of the least, or the last of the greatest.
pub(super) fn extreme(m: &mut Machine<'_>, pairs: Vec<(Value, Value)>, greatest: bool) -> Flow<Value> {
    let mut best: Option<(Value, Value)> = None;
    for (key, value) in pairs {
        let better = match &best {
            None => true,
            Some((best, _)) => order::compare(m, &key, best)?.is_lt() != greatest,
        };
        if better {
            best = Some((key, value));
        }
    }
    Ok(best.map(|(_, value)| value).unwrap_or_default())
}

pub(super) fn min_max(m: &mut Machine<'_>, value: Value, greatest: bool) -> Flow<Value> {
    let pairs = owned(m, value)?.into_iter().map(|item| (item.clone(), item)).collect();
    extreme(m, pairs, greatest)
}

pub(super) fn min_max_by<'s>(
    m: &mut Machine<'s>,
    filter: &Expr,
    greatest: bool,
    (env, item): (Env<'_>, Item),
    out: Out<'_, 's>,
) -> Flow {
    let track = item.track.lost();
    let pairs = keyed(m, filter, env, item.value)?;
    let value = extreme(m, pairs, greatest)?;
    out(m, Item { value, track })
}

pub(super) fn flatten(m: &mut Machine<'_>, value: Value, levels: Value) -> Flow<Value> {
    let levels = numbers::number(&levels)?.as_f64();
    if levels < 0.0 {
        return Err(fail("`flatten` wants a number of levels that is not negative"));
    }
    let mut flat = Vec::new();
    for item in children(m, &value)? {
        flatten_into(m, item, levels, MAX_VALUE_DEPTH, &mut flat)?;
    }
    Ok(flat.into())
}

fn flatten_into(m: &mut Machine<'_>, value: Value, levels: f64, left: usize, flat: &mut Vec<Value>) -> Flow {
    match value {
        Value::Array(items) if levels > 0.0 => {
            let left = m.level(left)?;
            m.work(1)?;
            items.iter().try_for_each(|item| flatten_into(m, item.clone(), levels - 1.0, left, flat))
        }
        other => {
            m.create(values::ELEMENT)?;
            flat.push(other);
            Ok(())
        }
    }
}

/// The sum of all elements; null for none. Texts are gathered first, so that a long row of them
/// is not copied again and again.
pub(super) fn add(m: &mut Machine<'_>, items: Vec<Value>) -> Flow<Value> {
    if items.len() > 1 && items.iter().all(|item| item.as_str().is_some()) {
        let parts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
        m.create(parts.iter().map(|part| part.len() as u64).sum())?;
        return Ok(parts.concat().into());
    }
    let mut sum = Value::Null;
    for item in items {
        m.step()?;
        sum = values::math(m, jaq_core::ops::Math::Add, sum, item)?;
    }
    Ok(sum)
}

pub(super) fn add_of<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let mut items = Vec::new();
    run(m, &args[0], env, item.plain(), &mut |m, found| {
        m.create(values::ELEMENT)?;
        items.push(found.value);
        Ok(())
    })?;
    let sum = add(m, items)?;
    out(m, item.computed(sum))
}

pub(super) fn join(m: &mut Machine<'_>, value: Value, separator: Value) -> Flow<Value> {
    let items = children(m, &value)?;
    let separator = match (&separator, items.is_empty()) {
        (_, true) => return Ok("".into()),
        (Value::String(separator), _) => separator.clone(),
        (Value::Null, _) => "".into(),
        (other, _) => return Err(fail(format!("`join` wants a string, not {}", with_article(other)))),
    };
    let mut text = String::new();
    for (i, item) in items.iter().enumerate() {
        let start = text.len();
        if i > 0 {
            text.push_str(&separator);
        }
        match item {
            Value::Null => {}
            Value::String(part) => text.push_str(part),
            Value::Bool(_) | Value::Number(_) => {
                m.check_finite(item)?;
                item.write_json(&mut text);
            }
            other => return Err(fail(format!("`join` cannot put {} into a text", with_article(other)))),
        }
        m.create((text.len() - start) as u64)?;
        m.work(1)?;
    }
    m.string(text)
}

pub(super) fn transpose(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    let rows: Vec<_> = array(value)?.iter().cloned().map(array).collect::<Flow<_>>()?;
    let width = rows.iter().map(|row| row.len()).max().unwrap_or_default();
    m.create((values::ELEMENT * width as u64).saturating_mul(rows.len() as u64))?;
    let column =
        |at: usize| rows.iter().map(|row| row.get(at).cloned().unwrap_or_default()).collect::<Vec<_>>();
    let columns = (0..width).map(|at| column(at).into()).collect();
    m.array(columns)
}

pub(super) fn to_array(m: &mut Machine<'_>, value: Value) -> Flow<Value> {
    match value {
        Value::Array(_) => Ok(value),
        other => m.array(vec![other]),
    }
}

/// `INDEX(key)`: an object from each element's key to the element.
pub(super) fn index_by<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let mut map = Map::new();
    for child in children(m, &item.value)? {
        each(m, &args[0], env, Item::new(child.clone()), &mut |m, key| {
            let key = strings::to_text(m, &key.value)?;
            m.create(values::MEMBER)?;
            map.insert(key.into(), child.clone());
            Ok(())
        })?;
    }
    let value = m.object(map)?;
    out(m, item.computed(value))
}

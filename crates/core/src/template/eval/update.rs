//! Assignments: `=`, `|=`, `+=`, `//=`, and what else changes a value at a path.
//!
//! All paths are found first, in the value as it was, as jq does. A value that nobody else holds is
//! changed in place.

use std::sync::Arc;

use jaq_core::ops::Math;

use super::{
    Env, Expr, Flow, Item, Machine, Out, control, each, fail, order, order::truthy, paths::bounds, run,
    values,
};
use crate::{
    Map, Value,
    template::{budget::MAX_VALUE_DEPTH, plain::with_article},
};

pub(super) type Change<'o, 's> = &'o mut dyn FnMut(&mut Machine<'s>, Value) -> Flow<Value>;

type Path = Vec<Value>;

/// The paths that `target` gives in `value`.
pub(super) fn paths<'s>(m: &mut Machine<'s>, target: &Expr, env: Env<'_>, value: Value) -> Flow<Vec<Path>> {
    let mut paths = Vec::new();
    run(m, target, env, Item::root(value), &mut |m, found| {
        paths.push(found.track.path(m)?);
        m.create(values::ELEMENT)
    })?;
    Ok(paths)
}

#[inline(never)]
pub(super) fn assign<'s>(
    m: &mut Machine<'s>,
    pair: &[Expr; 2],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each(m, &pair[1], env, item.plain(), &mut |m, new| {
        let mut value = item.value.clone();
        for path in paths(m, &pair[0], env, value.clone())? {
            value = set(m, value, &path, new.value.clone())?;
        }
        out(m, item.computed(value))
    })
}

/// Each place gets the first output of the right side; a place without output is deleted, at the end.
#[inline(never)]
pub(super) fn update<'s>(
    m: &mut Machine<'s>,
    pair: &[Expr; 2],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let track = item.track.lost();
    let value = modify(m, item.value, &pair[0], env, &mut |m, old| {
        Ok(control::first(m, &pair[1], env, Item::new(old))?.map(|item| item.value))
    })?;
    out(m, Item { value, track })
}

#[inline(never)]
pub(super) fn update_math<'s>(
    m: &mut Machine<'s>,
    op: Math,
    pair: &[Expr; 2],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each(m, &pair[1], env, item.plain(), &mut |m, right| {
        let value = modify(m, item.value.clone(), &pair[0], env, &mut |m, old| {
            values::math(m, op, old, right.value.clone()).map(Some)
        })?;
        out(m, item.computed(value))
    })
}

#[inline(never)]
pub(super) fn update_alternative<'s>(
    m: &mut Machine<'s>,
    pair: &[Expr; 2],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each(m, &pair[1], env, item.plain(), &mut |m, right| {
        let value = modify(m, item.value.clone(), &pair[0], env, &mut |_, old| {
            Ok(Some(if truthy(&old) { old } else { right.value.clone() }))
        })?;
        out(m, item.computed(value))
    })
}

/// Changes the value at every path that `target` gives.
pub(super) fn modify<'s>(
    m: &mut Machine<'s>,
    mut value: Value,
    target: &Expr,
    env: Env<'_>,
    change: &mut dyn FnMut(&mut Machine<'s>, Value) -> Flow<Option<Value>>,
) -> Flow<Value> {
    let mut deleted = Vec::new();
    for path in paths(m, target, env, value.clone())? {
        m.step()?;
        let mut gone = false;
        value = at(m, value, &path, &mut |m, old| {
            let new = change(m, old)?;
            gone = new.is_none();
            let new = new.unwrap_or_default();
            m.check_depth(&new, MAX_VALUE_DEPTH.saturating_sub(path.len()))?;
            Ok(new)
        })?;
        if gone {
            deleted.push(path);
        }
    }
    delete_all(m, value, deleted)
}

/// `setpath`
pub(super) fn set(m: &mut Machine<'_>, value: Value, path: &[Value], new: Value) -> Flow<Value> {
    m.step()?;
    m.check_depth(&new, MAX_VALUE_DEPTH.saturating_sub(path.len()))?;
    if path.len() > MAX_VALUE_DEPTH {
        m.level(0)?;
    }
    let mut new = Some(new);
    at(m, value, path, &mut |_, _| Ok(new.take().unwrap_or_default()))
}

/// Replaces what is at `path`, and makes what is missing on the way.
fn at<'s>(m: &mut Machine<'s>, value: Value, path: &[Value], change: Change<'_, 's>) -> Flow<Value> {
    let Some((key, rest)) = path.split_first() else { return change(m, value) };
    match (value, key) {
        (Value::Null, Value::String(_)) => at_member(m, Arc::default(), key, rest, change),
        (Value::Object(map), Value::String(_)) => at_member(m, map, key, rest, change),
        (Value::Null, Value::Number(_)) => at_element(m, Arc::default(), key, rest, change),
        (Value::Array(items), Value::Number(_)) => at_element(m, items, key, rest, change),
        (Value::Null, Value::Object(slice)) => at_slice(m, Arc::default(), slice, rest, change),
        (Value::Array(items), Value::Object(slice)) => at_slice(m, items, slice, rest, change),
        (value, Value::String(_)) => Err(fail(format!("{} has no members to set", with_article(&value)))),
        (value, Value::Number(_)) => Err(fail(format!("{} has no elements to set", with_article(&value)))),
        (value, key) => Err(fail(format!("{} cannot be set in {}", with_article(key), with_article(&value)))),
    }
}

fn at_member<'s>(
    m: &mut Machine<'s>,
    mut map: Arc<Map>,
    key: &Value,
    rest: &[Value],
    change: Change<'_, 's>,
) -> Flow<Value> {
    let Value::String(key) = key else { return Ok(Value::Object(map)) };
    own(m, &map, map.len())?;
    let members = Arc::make_mut(&mut map);
    let old = members.get_mut(&**key).map(std::mem::take);
    if old.is_none() {
        m.create(values::MEMBER)?;
    }
    let new = at(m, old.unwrap_or_default(), rest, change)?;
    members.insert(key.clone(), new);
    Ok(Value::Object(map))
}

fn at_element<'s>(
    m: &mut Machine<'s>,
    mut items: Arc<Vec<Value>>,
    key: &Value,
    rest: &[Value],
    change: Change<'_, 's>,
) -> Flow<Value> {
    let Value::Number(number) = key else { return Ok(Value::Array(items)) };
    let index = number.floor().unwrap_or_default();
    let index = if index < 0 { index.saturating_add(items.len() as i64) } else { index };
    let Ok(index) = usize::try_from(index) else {
        return Err(fail("an element before the first cannot be set"));
    };
    if index >= items.len() {
        m.create(values::ELEMENT.saturating_mul((index - items.len()) as u64 + 1))?;
    }
    own(m, &items, items.len())?;
    let elements = Arc::make_mut(&mut items);
    if index >= elements.len() {
        elements.resize(index + 1, Value::Null);
    }
    let old = std::mem::take(&mut elements[index]);
    elements[index] = at(m, old, rest, change)?;
    Ok(Value::Array(items))
}

fn at_slice<'s>(
    m: &mut Machine<'s>,
    mut items: Arc<Vec<Value>>,
    slice: &Map,
    rest: &[Value],
    change: Change<'_, 's>,
) -> Flow<Value> {
    let (from, to) = bounds(slice, items.len())?;
    m.create(values::ELEMENT * items.len() as u64)?;
    let old: Value = items[from..to].to_vec().into();
    match at(m, old, rest, change)? {
        Value::Array(new) => {
            m.create(values::ELEMENT * new.len() as u64)?;
            Arc::make_mut(&mut items).splice(from..to, new.iter().cloned());
            Ok(Value::Array(items))
        }
        // Marked for deletion.
        Value::Null => Ok(Value::Array(items)),
        other => Err(fail(format!("a slice is set to an array, not {}", with_article(&other)))),
    }
}

/// Counts the copy that `Arc::make_mut` makes of what others hold, too.
fn own<T>(m: &mut Machine<'_>, shared: &Arc<T>, length: usize) -> Flow {
    let copied = if Arc::strong_count(shared) > 1 { values::MEMBER * length as u64 } else { 0 };
    m.create(copied)
}

/// `delpaths`: the last ones first, so that the others still lead where they did.
pub(super) fn delete_all(m: &mut Machine<'_>, mut value: Value, paths: Vec<Path>) -> Flow<Value> {
    let paths: Vec<Value> = paths.into_iter().map(Value::from).collect();
    for path in order::sort(m, paths)?.iter().rev() {
        m.step()?;
        value = delete(m, value, path.as_array().unwrap_or_default())?;
    }
    Ok(value)
}

fn delete(m: &mut Machine<'_>, value: Value, path: &[Value]) -> Flow<Value> {
    let Some((key, rest)) = path.split_first() else { return Ok(Value::Null) };
    match (value, key) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::Object(mut map), Value::String(key)) => {
            if !map.contains_key(&**key) {
                return Ok(Value::Object(map));
            }
            own(m, &map, map.len())?;
            let members = Arc::make_mut(&mut map);
            if rest.is_empty() {
                // Moves what comes after, but keeps the order.
                m.work(members.len() as u64 / 16)?;
                members.shift_remove(&**key);
            } else if let Some(member) = members.get_mut(&**key) {
                *member = delete(m, std::mem::take(member), rest)?;
            }
            Ok(Value::Object(map))
        }
        (Value::Array(mut items), Value::Number(number)) => {
            let index = number.floor().unwrap_or_default();
            let index = if index < 0 { index.saturating_add(items.len() as i64) } else { index };
            let Some(index) = usize::try_from(index).ok().filter(|index| *index < items.len()) else {
                return Ok(Value::Array(items));
            };
            own(m, &items, items.len())?;
            let elements = Arc::make_mut(&mut items);
            if rest.is_empty() {
                m.work((elements.len() - index) as u64 / 16)?;
                elements.remove(index);
            } else {
                elements[index] = delete(m, std::mem::take(&mut elements[index]), rest)?;
            }
            Ok(Value::Array(items))
        }
        (Value::Array(mut items), Value::Object(slice)) => {
            let (from, to) = bounds(slice, items.len())?;
            m.create(values::ELEMENT * items.len() as u64)?;
            if rest.is_empty() {
                Arc::make_mut(&mut items).drain(from..to);
                return Ok(Value::Array(items));
            }
            let part = delete(m, items[from..to].to_vec().into(), rest)?;
            let part = part.as_array().unwrap_or_default();
            Arc::make_mut(&mut items).splice(from..to, part.iter().cloned());
            Ok(Value::Array(items))
        }
        (value, key) => {
            Err(fail(format!("{} cannot be deleted from {}", with_article(key), with_article(&value))))
        }
    }
}

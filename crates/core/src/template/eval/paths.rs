//! Following steps: `.a`, `[0]`, `[1:3]`, `[]`.

use std::sync::Arc;

use super::{Env, Expr, Flow, Item, Machine, Out, Stop, each, fail, one, order, values};
use crate::{
    Map, Value,
    template::{
        expr::{Op, Optional, Step},
        plain::{element, with_article},
    },
};

/// The steps after `base`. Their indices are computed from `.` as it is here, not from what the steps reach.
#[inline(never)]
pub(super) fn path<'s>(
    m: &mut Machine<'s>,
    base: &Expr,
    steps: &[(Step, Optional)],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    if let Op::Input = base.op {
        let origin = item.value.clone();
        return follow(m, steps, env, &origin, item, out);
    }
    each(m, base, env, item.clone(), &mut |m, found| follow(m, steps, env, &item.value, found, out))
}

fn follow<'s>(
    m: &mut Machine<'s>,
    mut steps: &[(Step, Optional)],
    env: Env<'_>,
    origin: &Value,
    mut item: Item,
    out: Out<'_, 's>,
) -> Flow {
    loop {
        let Some(((step, optional), rest)) = steps.split_first() else { return out(m, item) };
        steps = rest;
        let next = match step {
            Step::Index(Expr { op: Op::Const(key), .. }) => get(m, &item, key),
            Step::Index(expr) if expr.single => {
                let Some(key) = one(m, expr, env, Item::new(origin.clone()))? else { return Ok(()) };
                get(m, &item, &key.value)
            }
            Step::Index(expr) => {
                return each(m, expr, env, Item::new(origin.clone()), &mut |m, key| match get(
                    m, &item, &key.value,
                ) {
                    Ok(found) => follow(m, rest, env, origin, found, out),
                    Err(Stop::Error(_)) if *optional => Ok(()),
                    Err(stop) => Err(stop),
                });
            }
            Step::Slice(from, to) => {
                return slices(m, from.as_ref(), to.as_ref(), env, origin, &mut |m, key| match get(
                    m, &item, &key,
                ) {
                    Ok(found) => follow(m, rest, env, origin, found, out),
                    Err(Stop::Error(_)) if *optional => Ok(()),
                    Err(stop) => Err(stop),
                });
            }
            Step::Iterate => {
                let flow = iterate(m, &item, &mut |m, child| follow(m, rest, env, origin, child, out));
                return match flow {
                    Ok(Some(_)) if *optional => Ok(()),
                    Ok(Some(error)) => Err(error),
                    Ok(None) => Ok(()),
                    Err(stop) => Err(stop),
                };
            }
        };
        item = match next {
            Ok(found) => found,
            Err(Stop::Error(_)) if *optional => return Ok(()),
            Err(stop) => return Err(stop),
        };
    }
}

/// Calls `out` with each slice as the key that stands for it: `{"start": …, "end": …}`.
fn slices<'s>(
    m: &mut Machine<'s>,
    from: Option<&Expr>,
    to: Option<&Expr>,
    env: Env<'_>,
    origin: &Value,
    out: &mut dyn FnMut(&mut Machine<'s>, Value) -> Flow,
) -> Flow {
    let null = Expr::from(Op::Const(Value::Null));
    each(m, to.unwrap_or(&null), env, Item::new(origin.clone()), &mut |m, to| {
        each(m, from.unwrap_or(&null), env, Item::new(origin.clone()), &mut |m, from| {
            out(m, Value::from([("start", from.value), ("end", to.value.clone())]))
        })
    })
}

/// All elements or members. What cannot be iterated is returned as an error of its own, because
/// only that is what `?` leaves out.
pub(super) fn iterate<'s>(m: &mut Machine<'s>, item: &Item, out: Out<'_, 's>) -> Flow<Option<Stop>> {
    match &item.value {
        Value::Array(items) => {
            for (i, value) in items.iter().enumerate() {
                let child = item.under(m, || i.into(), value.clone())?;
                m.step()?;
                out(m, child)?;
            }
        }
        Value::Object(map) => {
            for (key, value) in map.iter() {
                let child = item.under(m, || key.clone().into(), value.clone())?;
                m.step()?;
                out(m, child)?;
            }
        }
        other => return Ok(Some(fail(format!("{} cannot be iterated over with `[]`", with_article(other))))),
    }
    Ok(None)
}

/// One step, with its path.
pub(super) fn get(m: &mut Machine<'_>, item: &Item, key: &Value) -> Flow<Item> {
    let value = index(m, &item.value, key)?;
    item.under(m, || key.clone(), value)
}

/// `value[key]`; null for what is not there.
pub(super) fn index(m: &mut Machine<'_>, value: &Value, key: &Value) -> Flow<Value> {
    match (value, key) {
        (Value::Object(map), Value::String(key)) => {
            // A key is hashed whole.
            m.work(key.len() as u64 / 16)?;
            Ok(map.get(&**key).cloned().unwrap_or_default())
        }
        (Value::Array(items), Value::Number(number)) => {
            let found = number.floor().and_then(|index| element(items, index));
            Ok(found.cloned().unwrap_or_default())
        }
        (Value::Null, Value::String(_) | Value::Number(_) | Value::Null) => Ok(Value::Null),
        (Value::Null | Value::Array(_) | Value::String(_), Value::Object(slice)) => slice_of(m, value, slice),
        (Value::Array(items), Value::Array(part)) => order::positions(m, items, part),
        (value, Value::String(_)) => Err(fail(format!("{} has no members", with_article(value)))),
        (value, Value::Number(_)) => Err(fail(format!("{} has no elements", with_article(value)))),
        (value, key) => {
            Err(fail(format!("{} cannot be taken apart with {}", with_article(value), with_article(key))))
        }
    }
}

fn slice_of(m: &mut Machine<'_>, value: &Value, slice: &Map) -> Flow<Value> {
    match value {
        Value::Array(items) => {
            let (from, to) = bounds(slice, items.len())?;
            m.create(values::ELEMENT * (to - from) as u64)?;
            Ok(items[from..to].to_vec().into())
        }
        Value::String(text) => {
            // It is counted through for the length, and for each end.
            m.work(text.len() as u64 / 4)?;
            let (from, to) = bounds(slice, text.chars().count())?;
            let byte = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
            m.string(text[byte(from)..byte(to)].to_owned())
        }
        _ => bounds(slice, 0).map(|_| Value::Null),
    }
}

/// From the start rounded down to the end rounded up; negative numbers count from the end.
pub(super) fn bounds(slice: &Map, length: usize) -> Flow<(usize, usize)> {
    let bound = |key: &str, default: usize, up: bool| match slice.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Number(number)) => {
            let number = if up { number.as_f64().ceil() } else { number.as_f64().floor() };
            let number = if number < 0.0 { number + length as f64 } else { number };
            // The cast saturates, and NaN becomes 0.
            Ok((number as usize).min(length))
        }
        Some(other) => Err(fail(format!("a slice runs from number to number, not {}", with_article(other)))),
    };
    let from = bound("start", 0, false)?;
    Ok((from, bound("end", length, true)?.max(from)))
}

/// `getpath`: null where a step leads nowhere.
pub(super) fn at_path(m: &mut Machine<'_>, value: &Value, path: &[Value]) -> Flow<Value> {
    let mut value = value.clone();
    for key in path {
        m.step()?;
        if value.is_null() {
            return Ok(Value::Null);
        }
        value = index(m, &value, key)?;
    }
    Ok(value)
}

/// The array that stands for a path.
pub(super) fn path_of(value: Value) -> Flow<Arc<Vec<Value>>> {
    match value {
        Value::Array(path) => Ok(path),
        other => Err(fail(format!("a path is an array of names and numbers, not {}", with_article(&other)))),
    }
}

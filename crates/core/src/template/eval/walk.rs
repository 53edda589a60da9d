//! Changing everything in a value: `walk`, `map_values`.

use super::{Env, Expr, Flow, Item, Machine, Out, control, fail, run, values};
use crate::{
    Map, Value,
    template::{budget::MAX_VALUE_DEPTH, plain::with_article},
};

/// `walk`: from the inside out.
pub(super) fn walk<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    walk_at(m, &args[0], env, item, MAX_VALUE_DEPTH, out)
}

fn walk_at<'s>(
    m: &mut Machine<'s>,
    filter: &Expr,
    env: Env<'_>,
    item: Item,
    levels: usize,
    out: Out<'_, 's>,
) -> Flow {
    m.deeper(|m| walk_inside(m, filter, env, item, levels, out))
}

fn walk_inside<'s>(
    m: &mut Machine<'s>,
    filter: &Expr,
    env: Env<'_>,
    item: Item,
    levels: usize,
    out: Out<'_, 's>,
) -> Flow {
    let value = match &item.value {
        Value::Array(items) => {
            let levels = m.level(levels)?;
            let mut walked = Vec::new();
            for child in items.iter() {
                walk_at(m, filter, env, Item::new(child.clone()), levels, &mut |m, found| {
                    m.create(values::ELEMENT)?;
                    walked.push(found.value);
                    Ok(())
                })?;
            }
            m.array(walked)?
        }
        Value::Object(map) => {
            let levels = m.level(levels)?;
            let mut walked = Map::new();
            for (key, child) in map.iter() {
                let mut first = None;
                walk_at(m, filter, env, Item::new(child.clone()), levels, &mut |_, found| {
                    first.get_or_insert(found.value);
                    Ok(())
                })?;
                if let Some(first) = first {
                    m.create(values::MEMBER)?;
                    walked.insert(key.clone(), first);
                }
            }
            m.object(walked)?
        }
        other => other.clone(),
    };
    run(m, filter, env, item.computed(value), out)
}

/// `map_values`: each gets the first output; without one it is dropped.
pub(super) fn map_values<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let first = |m: &mut Machine<'s>, value: &Value| {
        Ok(control::first(m, &args[0], env, Item::new(value.clone()))?.map(|found| found.value))
    };
    let value = match &item.value {
        Value::Array(items) => {
            let mut mapped = Vec::new();
            for value in items.iter() {
                mapped.extend(first(m, value)?);
                m.create(values::ELEMENT)?;
            }
            m.array(mapped)?
        }
        Value::Object(map) => {
            let mut mapped = Map::new();
            for (key, value) in map.iter() {
                if let Some(value) = first(m, value)? {
                    mapped.insert(key.clone(), value);
                }
                m.create(values::MEMBER)?;
            }
            m.object(mapped)?
        }
        other => return Err(fail(format!("{} cannot be iterated over with `[]`", with_article(other)))),
    };
    out(m, item.computed(value))
}

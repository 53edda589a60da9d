//! Functions that take filters, have several outputs, or keep the path of what they pass on.

use super::{
    Env, Expr, Flow, Item, Machine, Out, Stop,
    control::{self, Enough, first, until},
    each, fail, numbers,
    order::{self, truthy},
    paths, run, values,
};
use crate::{
    Value,
    template::{budget::MAX_VALUE_DEPTH, plain::with_article},
};

/// A function that gets its arguments as they stand.
pub(super) type Native = for<'s> fn(&mut Machine<'s>, &[Expr], Env<'_>, Item, Out<'_, 's>) -> Flow;

pub(super) fn empty<'s>(_: &mut Machine<'s>, _: &[Expr], _: Env<'_>, _: Item, _: Out<'_, 's>) -> Flow {
    Ok(())
}

pub(super) fn select<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each(m, &args[0], env, item.plain(), &mut |m, found| {
        if truthy(&found.value) { out(m, item.clone()) } else { Ok(()) }
    })
}

/// Passes the input on, with its path, if it is of some kind.
pub(super) fn keep<'s>(m: &mut Machine<'s>, item: Item, out: Out<'_, 's>, is: fn(&Value) -> bool) -> Flow {
    if is(&item.value) { out(m, item) } else { Ok(()) }
}

/// `..`: the value, then everything in it, from the outside in.
pub(super) fn recurse<'s>(m: &mut Machine<'s>, item: Item, level: usize, out: Out<'_, 's>) -> Flow {
    if level > MAX_VALUE_DEPTH {
        m.level(0)?;
    }
    m.deeper(|m| {
        out(m, item.clone())?;
        paths::iterate(m, &item, &mut |m, child| recurse(m, child, level + 1, out))?;
        Ok(())
    })
}

/// `.[n]` with its path.
pub(super) fn element<'s>(m: &mut Machine<'s>, item: &Item, n: i64, out: Out<'_, 's>) -> Flow {
    let found = paths::get(m, item, &n.into())?;
    out(m, found)
}

pub(super) fn nth<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each(m, &args[0], env, item.plain(), &mut |m, n| {
        numbers::number(&n.value)?;
        let found = paths::get(m, &item, &n.value)?;
        out(m, found)
    })
}

pub(super) fn first_of<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    match first(m, &args[0], env, item)? {
        Some(found) => out(m, found),
        None => Ok(()),
    }
}

pub(super) fn last_of<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let mut last = None;
    run(m, &args[0], env, item, &mut |_, found| {
        last = Some(found);
        Ok(())
    })?;
    match last {
        Some(found) => out(m, found),
        None => Ok(()),
    }
}

pub(super) fn nth_of<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each(m, &args[0], env, item.plain(), &mut |m, n| {
        let n = count(&n.value)?;
        if n < 0.0 {
            return Err(fail("`nth` counts from 0"));
        }
        let (mut seen, mut found) = (0.0, None);
        until(m, &args[1], env, item.clone(), &mut |_, item| {
            seen += 1.0;
            if seen <= n {
                return Ok(Enough::No);
            }
            found = Some(item);
            Ok(Enough::Yes)
        })?;
        found.map_or(Ok(()), |found| out(m, found))
    })
}

fn count(value: &Value) -> Flow<f64> {
    let n = numbers::number(value)?.as_f64();
    Ok(if n.is_nan() { 0.0 } else { n.floor() })
}

/// The last one is passed on before its source is stopped.
pub(super) fn limit<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each(m, &args[0], env, item.plain(), &mut |m, n| {
        let n = numbers::number(&n.value)?.as_f64().ceil();
        if n.is_nan() || n <= 0.0 {
            return Ok(());
        }
        let mut seen = 0.0;
        until(m, &args[1], env, item.clone(), &mut |m, found| {
            seen += 1.0;
            out(m, found)?;
            Ok(if seen >= n { Enough::Yes } else { Enough::No })
        })
    })
}

pub(super) fn skip<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each(m, &args[0], env, item.plain(), &mut |m, n| {
        let mut left = count(&n.value)?;
        run(m, &args[1], env, item.clone(), &mut |m, found| {
            if left > 0.0 {
                left -= 1.0;
                return Ok(());
            }
            out(m, found)
        })
    })
}

pub(super) fn isempty<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let found = first(m, &args[0], env, item.plain())?;
    out(m, item.computed(found.is_none().into()))
}

/// Whether the filter runs without an error.
pub(super) fn isvalid<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let error = control::guarded(m, &args[0], env, item.plain(), &mut |_, _| Ok(()))?;
    out(m, item.computed(error.is_none().into()))
}

/// `any` and `all`: each ends early on `end`.
pub(super) fn quantify<'s>(
    m: &mut Machine<'s>,
    source: Option<&Expr>,
    condition: Option<&Expr>,
    end: bool,
    (env, item): (Env<'_>, Item),
    out: Out<'_, 's>,
) -> Flow {
    let mut result = !end;
    let mut check = |m: &mut Machine<'s>, found: Item| {
        let Some(condition) = condition else {
            result = if truthy(&found.value) == end { end } else { result };
            return Ok(if result == end { Enough::Yes } else { Enough::No });
        };
        until(m, condition, env, found, &mut |_, found| {
            if truthy(&found.value) == end {
                result = end;
                return Ok(Enough::Yes);
            }
            Ok(Enough::No)
        })?;
        Ok(if result == end { Enough::Yes } else { Enough::No })
    };
    match source {
        Some(source) => until(m, source, env, item.plain(), &mut check)?,
        None => {
            let children = children(m, &item.value)?;
            for child in children {
                m.step()?;
                if let Enough::Yes = check(m, Item::new(child))? {
                    break;
                }
            }
        }
    }
    out(m, item.computed(result.into()))
}

/// The elements or the members' values. The copy is counted.
pub(super) fn children(m: &mut Machine<'_>, value: &Value) -> Flow<Vec<Value>> {
    match value {
        Value::Array(items) => {
            m.work(items.len() as u64)?;
            Ok(items.to_vec())
        }
        Value::Object(map) => {
            m.work(map.len() as u64)?;
            Ok(map.values().cloned().collect())
        }
        other => Err(fail(format!("{} cannot be iterated over with `[]`", with_article(other)))),
    }
}

/// `IN(source)` and `IN(values; source)`.
pub(super) fn is_in<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let mut found = false;
    let among = &args[args.len() - 1];
    let mut search = |m: &mut Machine<'s>, wanted: Value| {
        until(m, among, env, item.plain(), &mut |m, candidate| {
            found = order::equal(m, &candidate.value, &wanted)?;
            Ok(if found { Enough::Yes } else { Enough::No })
        })?;
        Ok(if found { Enough::Yes } else { Enough::No })
    };
    if let [values, _] = args {
        until(m, values, env, item.plain(), &mut |m, wanted| search(m, wanted.value))?;
    } else {
        search(m, item.value.clone())?;
    }
    out(m, item.computed(found.into()))
}

pub(super) fn range<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let (from, to, by) = match args {
        [to] => (None, to, None),
        [from, to] => (Some(from), to, None),
        [from, to, by, ..] => (Some(from), to, Some(by)),
        [] => return Ok(()),
    };
    each_number(m, from, 0, env, &item, &mut |m, from| {
        each_number(m, Some(to), 0, env, &item, &mut |m, to| {
            each_number(m, by, 1, env, &item, &mut |m, by| {
                let mut at = from.clone();
                let forward = order::compare(m, &by, &0_i64.into())?.is_ge();
                loop {
                    let order = order::compare(m, &at, &to)?;
                    if if forward { order.is_ge() } else { order.is_le() } {
                        return Ok(());
                    }
                    m.step()?;
                    out(m, item.computed(at.clone()))?;
                    at = values::math(m, jaq_core::ops::Math::Add, at, by.clone())?;
                }
            })
        })
    })
}

fn each_number<'s>(
    m: &mut Machine<'s>,
    expr: Option<&Expr>,
    default: i64,
    env: Env<'_>,
    item: &Item,
    out: &mut dyn FnMut(&mut Machine<'s>, Value) -> Flow,
) -> Flow {
    match expr {
        None => out(m, default.into()),
        Some(expr) => each(m, expr, env, item.plain(), &mut |m, found| {
            numbers::number(&found.value)?;
            out(m, found.value)
        }),
    }
}

/// All combinations of one element of each array, as an odometer counts.
pub(super) fn combinations<'s>(
    m: &mut Machine<'s>,
    lists: &[Vec<Value>],
    item: &Item,
    out: Out<'_, 's>,
) -> Flow {
    if lists.iter().any(Vec::is_empty) {
        return Ok(());
    }
    let mut at = vec![0; lists.len()];
    loop {
        m.step()?;
        m.create(values::ELEMENT * lists.len() as u64)?;
        let chosen = lists.iter().zip(&at).map(|(list, at)| list[*at].clone()).collect();
        let chosen = m.array(chosen)?;
        out(m, item.computed(chosen))?;
        let Some(turn) = (0..lists.len()).rev().find(|i| at[*i] + 1 < lists[*i].len()) else {
            return Ok(());
        };
        at[turn] += 1;
        at[turn + 1..].fill(0);
    }
}

pub(super) fn combinations_of<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each(m, &args[0], env, item.plain(), &mut |m, n| {
        let list = children(m, &item.value)?;
        // The cast saturates; the work is counted before anything is created.
        let n = numbers::number(&n.value)?.as_f64().max(0.0) as usize;
        m.create((values::ELEMENT * (list.len() as u64 + 1)).saturating_mul(n as u64))?;
        combinations(m, &vec![list; n], &item, out)
    })
}

/// `error`
pub(super) fn error<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    _: Out<'_, 's>,
) -> Flow {
    match args {
        [message] => each(m, message, env, item.plain(), &mut |_, message| Err(Stop::Error(message.value))),
        _ => Err(Stop::Error(item.value)),
    }
}

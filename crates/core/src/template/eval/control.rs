//! Conditions, alternatives, errors and labels.

use super::{Bound, Env, Expr, Flow, Item, Machine, Out, Slot, Stop, each, order::truthy, run};
use crate::Value;

/// Runs `body` and returns the error that ended it, if one did. Errors of what comes after (`out`)
/// are not its own and go through.
#[inline(never)]
pub(super) fn guarded<'s>(
    m: &mut Machine<'s>,
    body: &Expr,
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow<Option<Value>> {
    let through = m.label();
    let mut after = None;
    let flow = run(m, body, env, item, &mut |m, item| {
        out(m, item).map_err(|stop| {
            after = Some(stop);
            Stop::Break(through)
        })
    });
    match (flow, after) {
        (Ok(()), _) => Ok(None),
        (Err(Stop::Break(label)), Some(stop)) if label == through => Err(stop),
        (Err(Stop::Error(error)), _) => Ok(Some(error)),
        (Err(stop), _) => Err(stop),
    }
}

/// Runs `body` until `out` says that it has enough.
#[inline(never)]
pub(super) fn until<'s>(
    m: &mut Machine<'s>,
    body: &Expr,
    env: Env<'_>,
    item: Item,
    out: &mut dyn FnMut(&mut Machine<'s>, Item) -> Flow<Enough>,
) -> Flow {
    let enough = m.label();
    let flow = run(m, body, env, item, &mut |m, item| match out(m, item)? {
        Enough::No => Ok(()),
        Enough::Yes => Err(Stop::Break(enough)),
    });
    match flow {
        Err(Stop::Break(label)) if label == enough => Ok(()),
        flow => flow,
    }
}

pub(super) enum Enough {
    No,
    Yes,
}

/// The first output.
pub(super) fn first<'s>(m: &mut Machine<'s>, body: &Expr, env: Env<'_>, item: Item) -> Flow<Option<Item>> {
    let mut found = None;
    until(m, body, env, item, &mut |_, item| {
        found = Some(item);
        Ok(Enough::Yes)
    })?;
    Ok(found)
}

/// `a // b`: all of a that is neither null nor false, errors left out; b if there is none.
#[inline(never)]
pub(super) fn alternative<'s>(
    m: &mut Machine<'s>,
    pair: &[Expr; 2],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let mut any = false;
    guarded(m, &pair[0], env, item.clone(), &mut |m, item| {
        if !truthy(&item.value) {
            return Ok(());
        }
        any = true;
        out(m, item)
    })?;
    if any { Ok(()) } else { run(m, &pair[1], env, item, out) }
}

/// `and` ends early on false, `or` on true.
#[inline(never)]
pub(super) fn logic<'s>(
    m: &mut Machine<'s>,
    pair: &[Expr; 2],
    end: bool,
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each(m, &pair[0], env, item.plain(), &mut |m, left| {
        if truthy(&left.value) == end {
            return out(m, item.computed(end.into()));
        }
        each(m, &pair[1], env, item.plain(), &mut |m, right| {
            out(m, item.computed(truthy(&right.value).into()))
        })
    })
}

#[inline(never)]
pub(super) fn branch<'s>(
    m: &mut Machine<'s>,
    branches: &[(Expr, Expr)],
    otherwise: Option<&Expr>,
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let Some(((condition, then), rest)) = branches.split_first() else {
        return match otherwise {
            Some(otherwise) => run(m, otherwise, env, item, out),
            None => out(m, item),
        };
    };
    each(m, condition, env, item.plain(), &mut |m, found| {
        if truthy(&found.value) {
            return run(m, then, env, item.clone(), out);
        }
        m.deeper(|m| branch(m, rest, otherwise, env, item.clone(), out))
    })
}

#[inline(never)]
pub(super) fn attempt<'s>(
    m: &mut Machine<'s>,
    body: &Expr,
    catch: Option<&Expr>,
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let track = item.track.lost();
    match (guarded(m, body, env, item, out)?, catch) {
        (Some(value), Some(catch)) => run(m, catch, env, Item { value, track }, out),
        _ => Ok(()),
    }
}

#[inline(never)]
pub(super) fn label<'s>(
    m: &mut Machine<'s>,
    body: &Expr,
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let label = m.label();
    let bound = Bound { slot: Slot::Label(label), outer: env };
    match run(m, body, Env(Some(&bound)), item, out) {
        Err(Stop::Break(broken)) if broken == label => Ok(()),
        flow => flow,
    }
}

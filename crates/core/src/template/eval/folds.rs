//! `as`, `reduce` and `foreach`.

use super::{Bound, Env, Expr, Flow, Item, Machine, Out, Slot, each, paths::index, run};
use crate::{
    Value,
    template::expr::{Fold, Pattern},
};

/// Called with the variables bound.
type Inside<'o, 's> = &'o mut dyn FnMut(&mut Machine<'s>, Env<'_>) -> Flow;

#[inline(never)]
pub(super) fn bind<'s>(
    m: &mut Machine<'s>,
    pair: &[Expr; 2],
    pattern: &Pattern,
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each(m, &pair[0], env, item.plain(), &mut |m, found| {
        destructure(m, pattern, found.value, env, env, &mut |m, inner| {
            run(m, &pair[1], inner, item.clone(), out)
        })
    })
}

/// Binds a pattern's variables. Keys are computed with `keys`, the variables outside of the pattern.
fn destructure<'s>(
    m: &mut Machine<'s>,
    pattern: &Pattern,
    value: Value,
    keys: Env<'_>,
    env: Env<'_>,
    inside: Inside<'_, 's>,
) -> Flow {
    match pattern {
        Pattern::Var => {
            let bound = Bound { slot: Slot::Value(value), outer: env };
            inside(m, Env(Some(&bound)))
        }
        Pattern::Array(items) => elements(m, items, 0, &value, keys, env, inside),
        Pattern::Object(entries) => members(m, entries, &value, keys, env, inside),
    }
}

fn elements<'s>(
    m: &mut Machine<'s>,
    items: &[Pattern],
    at: i64,
    value: &Value,
    keys: Env<'_>,
    env: Env<'_>,
    inside: Inside<'_, 's>,
) -> Flow {
    let Some((first, rest)) = items.split_first() else { return inside(m, env) };
    let element = index(m, value, &at.into())?;
    m.deeper(|m| {
        destructure(m, first, element, keys, env, &mut |m, env| {
            elements(m, rest, at + 1, value, keys, env, inside)
        })
    })
}

fn members<'s>(
    m: &mut Machine<'s>,
    entries: &[(Expr, Pattern)],
    value: &Value,
    keys: Env<'_>,
    env: Env<'_>,
    inside: Inside<'_, 's>,
) -> Flow {
    let Some(((key, pattern), rest)) = entries.split_first() else { return inside(m, env) };
    each(m, key, keys, Item::new(value.clone()), &mut |m, key| {
        let member = index(m, value, &key.value)?;
        m.deeper(|m| {
            destructure(m, pattern, member, keys, env, &mut |m, env| {
                members(m, rest, value, keys, env, inside)
            })
        })
    })
}

/// The state is moved, never shared, so that a step can change it in place. A step without output
/// makes it null; of several outputs the last counts.
#[inline(never)]
pub(super) fn reduce<'s>(
    m: &mut Machine<'s>,
    fold: &Fold,
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each(m, &fold.init, env, item.clone(), &mut |m, state| {
        let null = state.computed(Value::Null);
        let mut state = Some(state);
        run(m, &fold.source, env, item.plain(), &mut |m, found| {
            destructure(m, &fold.pattern, found.value, env, env, &mut |m, inner| {
                let before = state.take().unwrap_or_else(|| null.clone());
                run(m, &fold.update, inner, before, &mut |_, after| {
                    state = Some(after);
                    Ok(())
                })
            })
        })?;
        out(m, state.unwrap_or(null))
    })
}

/// As [`reduce`], but every state is an output.
#[inline(never)]
pub(super) fn foreach<'s>(
    m: &mut Machine<'s>,
    fold: &Fold,
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each(m, &fold.init, env, item.clone(), &mut |m, state| {
        let mut state = state;
        run(m, &fold.source, env, item.plain(), &mut |m, found| {
            destructure(m, &fold.pattern, found.value, env, env, &mut |m, inner| {
                let before = state.clone();
                run(m, &fold.update, inner, before, &mut |m, after| {
                    state = after.clone();
                    match &fold.extract {
                        Some(extract) => run(m, extract, inner, after, out),
                        None => out(m, after),
                    }
                })
            })
        })
    })
}

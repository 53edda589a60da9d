//! Runs an expression: jq's semantics on our values, every step counted.
//!
//! Outputs are handed to a callback one by one, so that nothing is collected unless the expression
//! asks for it, and `limit` and `first` stop what feeds them. An expression with at most one output
//! returns it before the callback is called; only real generators nest.

mod arrays;
mod control;
mod dates;
mod folds;
mod formats;
pub(super) mod functions;
mod generators;
mod machine;
mod numbers;
mod objects;
mod order;
mod path_functions;
mod paths;
pub(super) mod regex;
mod search;
mod strings;
mod track;
mod update;
mod values;
mod walk;

use jaq_core::ops::{Cmp, Math};

use self::{
    functions::Run,
    machine::{Flow, Machine, Out, Stop, fail},
    track::{Bound, Env, Item, Slot},
};
use super::{
    Scope,
    expr::{Expr, Format, Op, TextPart},
    plain,
};
use crate::{Map, Value, metric};

/// The one output of an expression; nothing, if it has none. The error is a sentence's end.
pub(super) fn evaluate(
    expr: &Expr,
    patterns: &regex::Patterns,
    scope: &Scope,
    steps: u64,
) -> Result<Option<Value>, String> {
    let mut machine = Machine::new(scope, patterns, steps);
    let mut result = None;
    let flow = run(&mut machine, expr, Env::EMPTY, Item::new(scope.input.clone()), &mut |_, item| {
        if result.is_some() {
            return Err(Stop::Limit("it has more than one output; put it into `[…]` or `first(…)`".into()));
        }
        result = Some(item.value);
        Ok(())
    });
    let finished = flow.and_then(|()| result.map(|value| machine.finish(value)).transpose());
    metrics::counter!(metric::TEMPLATE_STEPS.name).increment(machine.steps_taken());
    finished.map_err(Stop::into_message)
}

/// Gives every output of `expr` on `item` to `out`.
fn run<'s>(m: &mut Machine<'s>, expr: &Expr, env: Env<'_>, item: Item, out: Out<'_, 's>) -> Flow {
    m.deeper(|m| step(m, expr, env, item, out))
}

/// The output of an expression that has at most one.
fn one<'s>(m: &mut Machine<'s>, expr: &Expr, env: Env<'_>, item: Item) -> Flow<Option<Item>> {
    let mut found = None;
    run(m, expr, env, item, &mut |_, item| {
        found = Some(item);
        Ok(())
    })?;
    Ok(found)
}

/// As [`run`], but what has at most one output has returned before `out` is called.
fn each<'s>(m: &mut Machine<'s>, expr: &Expr, env: Env<'_>, item: Item, out: Out<'_, 's>) -> Flow {
    if !expr.single {
        return run(m, expr, env, item, out);
    }
    match one(m, expr, env, item)? {
        Some(item) => out(m, item),
        None => Ok(()),
    }
}

fn step<'s>(m: &mut Machine<'s>, expr: &Expr, env: Env<'_>, item: Item, out: Out<'_, 's>) -> Flow {
    match &expr.op {
        Op::Input => out(m, item),
        Op::Recurse => generators::recurse(m, item, 0, out),
        Op::Const(value) => out(m, item.computed(value.clone())),
        Op::Global(name) => {
            let value = m.scope.get(name).cloned().unwrap_or_default();
            out(m, item.computed(value))
        }
        Op::Local(distance) => {
            let value = env.value(*distance);
            out(m, item.computed(value))
        }
        Op::Environment(name) => {
            let value = plain::environment(m.scope, name).map_err(fail)?.clone();
            out(m, item.computed(value))
        }
        Op::File(path) => {
            let value = plain::file(m.scope, path).map_err(fail)?.clone();
            out(m, item.computed(value))
        }
        Op::Text(format, parts) => text(m, *format, parts, String::new(), env, item, out),
        Op::Array(items) => array(m, items.as_deref(), env, item, out),
        Op::Object(entries) => object(m, entries, Map::new(), env, item, out),
        Op::Negate(expr) => each(m, expr, env, item.plain(), &mut |m, found| {
            let value = numbers::negate(m, found.value)?;
            out(m, item.computed(value))
        }),
        Op::Pipe(pair) => each(m, &pair[0], env, item, &mut |m, item| run(m, &pair[1], env, item, out)),
        Op::Comma(pair) => {
            run(m, &pair[0], env, item.clone(), out)?;
            run(m, &pair[1], env, item, out)
        }
        Op::Alternative(pair) => control::alternative(m, pair, env, item, out),
        Op::And(pair) => control::logic(m, pair, false, env, item, out),
        Op::Or(pair) => control::logic(m, pair, true, env, item, out),
        Op::Math(op, pair) => math(m, *op, pair, env, item, out),
        Op::Compare(op, pair) => compare(m, *op, pair, env, item, out),
        Op::Bind(pair, pattern) => folds::bind(m, pair, pattern, env, item, out),
        Op::If(branches, otherwise) => control::branch(m, branches, otherwise.as_deref(), env, item, out),
        Op::Try(body, catch) => control::attempt(m, body, catch.as_deref(), env, item, out),
        Op::Reduce(fold) => folds::reduce(m, fold, env, item, out),
        Op::Foreach(fold) => folds::foreach(m, fold, env, item, out),
        Op::Label(body) => control::label(m, body, env, item, out),
        Op::Break(distance) => Err(Stop::Break(env.label(*distance))),
        Op::Path(base, steps) => paths::path(m, base, steps, env, item, out),
        Op::Assign(pair) => update::assign(m, pair, env, item, out),
        Op::Update(pair) => update::update(m, pair, env, item, out),
        Op::UpdateMath(op, pair) => update::update_math(m, *op, pair, env, item, out),
        Op::UpdateAlternative(pair) => update::update_alternative(m, pair, env, item, out),
        Op::Call(builtin, args) => call(m, builtin, args, env, item, out),
    }
}

#[inline(never)]
fn call<'s>(
    m: &mut Machine<'s>,
    builtin: &functions::Builtin,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    match (&builtin.run, args) {
        (Run::Native(native), _) => native(m, args, env, item, out),
        (Run::Value(function), _) => {
            let track = item.track.lost();
            let value = function(m, item.value)?;
            out(m, Item { value, track })
        }
        (Run::Value1(function), [a]) => each(m, a, env, item.plain(), &mut |m, a| {
            let value = function(m, item.value.clone(), a.value)?;
            out(m, item.computed(value))
        }),
        (Run::Value2(function), [a, b]) => each(m, b, env, item.plain(), &mut |m, b| {
            each(m, a, env, item.plain(), &mut |m, a| {
                let value = function(m, item.value.clone(), a.value, b.value.clone())?;
                out(m, item.computed(value))
            })
        }),
        _ => Err(fail(format!("`{}` was called with {} arguments", builtin.name, args.len()))),
    }
}

#[inline(never)]
fn array<'s>(m: &mut Machine<'s>, items: Option<&Expr>, env: Env<'_>, item: Item, out: Out<'_, 's>) -> Flow {
    let track = item.track.lost();
    let mut collected = Vec::new();
    if let Some(items) = items {
        run(m, items, env, item.into_plain(), &mut |m, found| {
            m.create(values::ELEMENT)?;
            collected.push(found.value);
            Ok(())
        })?;
    }
    let value = m.array(collected)?;
    out(m, Item { value, track })
}

/// Members with one output are put in at once; only generators nest.
#[inline(never)]
fn object<'s>(
    m: &mut Machine<'s>,
    entries: &[(Expr, Expr)],
    mut map: Map,
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    for (i, (key, value)) in entries.iter().enumerate() {
        if key.single && value.single {
            let Some(key) = one(m, key, env, item.plain())? else { return Ok(()) };
            let Some(value) = one(m, value, env, item.plain())? else { return Ok(()) };
            insert(m, &mut map, key.value, value.value)?;
            continue;
        }
        return each(m, key, env, item.plain(), &mut |m, key| {
            each(m, value, env, item.plain(), &mut |m, value| {
                let mut map = map.clone();
                m.create(values::MEMBER * (map.len() as u64))?;
                insert(m, &mut map, key.value.clone(), value.value)?;
                object(m, &entries[i + 1..], map, env, item.clone(), out)
            })
        });
    }
    let value = m.object(map)?;
    out(m, item.computed(value))
}

fn insert(m: &mut Machine<'_>, map: &mut Map, key: Value, value: Value) -> Flow {
    let Value::String(key) = key else {
        return Err(fail(format!("a key of an object is a string, not {}", plain::with_article(&key))));
    };
    // A key is hashed whole.
    m.work(key.len() as u64 / 16)?;
    m.create(values::MEMBER)?;
    map.insert(key, value);
    Ok(())
}

#[inline(never)]
fn text<'s>(
    m: &mut Machine<'s>,
    format: Format,
    parts: &[TextPart],
    mut text_so_far: String,
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    for (i, part) in parts.iter().enumerate() {
        match part {
            TextPart::Literal(literal) => text_so_far.push_str(literal),
            TextPart::Value(expr) if expr.single => {
                let Some(found) = one(m, expr, env, item.plain())? else { return Ok(()) };
                formats::write(m, format, &found.value, &mut text_so_far)?;
            }
            TextPart::Value(expr) => {
                return run(m, expr, env, item.plain(), &mut |m, found| {
                    let mut longer = text_so_far.clone();
                    m.create(longer.len() as u64)?;
                    formats::write(m, format, &found.value, &mut longer)?;
                    text(m, format, &parts[i + 1..], longer, env, item.clone(), out)
                });
            }
        }
    }
    let value = m.string(text_so_far)?;
    out(m, item.computed(value))
}

/// The right side is the outer loop, as in jq. Where it has one output, the left side gets the input
/// itself, so that `. + [$x]` in a `reduce` appends in place.
#[inline(never)]
fn both<'s>(
    m: &mut Machine<'s>,
    pair: &[Expr; 2],
    env: Env<'_>,
    item: Item,
    take: &mut dyn FnMut(&mut Machine<'s>, Value, Value) -> Flow,
) -> Flow {
    if pair[1].single {
        let Some(right) = one(m, &pair[1], env, item.plain())? else { return Ok(()) };
        return each(m, &pair[0], env, item.into_plain(), &mut |m, left| {
            take(m, left.value, right.value.clone())
        });
    }
    run(m, &pair[1], env, item.plain(), &mut |m, right| {
        each(m, &pair[0], env, item.plain(), &mut |m, left| take(m, left.value, right.value.clone()))
    })
}

#[inline(never)]
fn math<'s>(
    m: &mut Machine<'s>,
    op: Math,
    pair: &[Expr; 2],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let track = item.track.lost();
    both(m, pair, env, item, &mut |m, left, right| {
        let value = values::math(m, op, left, right)?;
        out(m, Item { value, track: track.clone() })
    })
}

#[inline(never)]
fn compare<'s>(
    m: &mut Machine<'s>,
    op: Cmp,
    pair: &[Expr; 2],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let track = item.track.lost();
    both(m, pair, env, item, &mut |m, left, right| {
        let value = order::holds(m, op, &left, &right)?.into();
        out(m, Item { value, track: track.clone() })
    })
}

//! Functions on paths: `path`, `getpath`, `paths`, `del`, `pick`.

use super::{
    Env, Expr, Flow, Item, Machine, Out, control::first, each, generators::recurse, order::truthy, paths,
    run, track::Track, update,
};
use crate::Value;

pub(super) fn getpath<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each(m, &args[0], env, item.plain(), &mut |m, path| {
        let path = paths::path_of(path.value)?;
        let value = paths::at_path(m, &item.value, &path)?;
        let mut track = item.track.clone();
        if !matches!(track, Track::Off) {
            for key in path.iter() {
                track = track.then(m, || key.clone())?;
            }
        }
        out(m, Item { value, track })
    })
}

pub(super) fn path<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    run(m, &args[0], env, Item::root(item.value.clone()), &mut |m, found| {
        let path = found.track.path(m)?;
        out(m, item.computed(path.into()))
    })
}

/// The paths of everything in the input whose value fits.
pub(super) fn paths_to<'s>(
    m: &mut Machine<'s>,
    item: Item,
    out: Out<'_, 's>,
    fits: &mut dyn FnMut(&mut Machine<'s>, &Value) -> Flow<bool>,
) -> Flow {
    recurse(m, Item::root(item.value.clone()), 0, &mut |m, found| {
        if matches!(found.track, Track::At(None)) || !fits(m, &found.value)? {
            return Ok(());
        }
        let path = found.track.path(m)?;
        out(m, item.computed(path.into()))
    })
}

pub(super) fn paths_where<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    paths_to(m, item, out, &mut |m, value| {
        Ok(first(m, &args[0], env, Item::new(value.clone()))?.is_some_and(|found| truthy(&found.value)))
    })
}

pub(super) fn del<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let track = item.track.lost();
    let paths = update::paths(m, &args[0], env, item.value.clone())?;
    let value = update::delete_all(m, item.value, paths)?;
    out(m, Item { value, track })
}

pub(super) fn pick<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    let mut picked = Value::Null;
    for path in update::paths(m, &args[0], env, item.value.clone())? {
        let value = paths::at_path(m, &item.value, &path)?;
        picked = update::set(m, picked, &path, value)?;
    }
    out(m, item.computed(picked))
}

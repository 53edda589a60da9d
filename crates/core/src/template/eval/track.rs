//! What travels through an expression: a value, where it came from, and the variables around.

use std::rc::Rc;

use super::machine::{Flow, Machine, fail};
use crate::{Value, template::budget::MAX_VALUE_DEPTH};

/// A value on its way, with its path where one is asked for.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) value: Value,
    pub(super) track: Track,
}

/// Where a value was found.
#[derive(Clone, Debug)]
pub(super) enum Track {
    /// Nobody asks.
    Off,
    /// It was computed, so it is nowhere.
    Lost,
    At(Option<Rc<Link>>),
}

/// A path, last step first.
#[derive(Debug)]
pub(super) struct Link {
    key: Value,
    before: Option<Rc<Link>>,
    length: usize,
}

impl Item {
    pub(super) fn new(value: Value) -> Self {
        Item { value, track: Track::Off }
    }

    /// The value at the root of a path to be found.
    pub(super) fn root(value: Value) -> Self {
        Item { value, track: Track::At(None) }
    }

    /// The same value, without its path.
    pub(super) fn plain(&self) -> Self {
        Item::new(self.value.clone())
    }

    pub(super) fn into_plain(self) -> Self {
        Item::new(self.value)
    }

    /// Another value, computed from this one.
    pub(super) fn computed(&self, value: Value) -> Self {
        Item { value, track: self.track.lost() }
    }

    /// What was found under `key` in this value.
    pub(super) fn under(&self, m: &mut Machine<'_>, key: impl FnOnce() -> Value, value: Value) -> Flow<Self> {
        Ok(Item { value, track: self.track.then(m, key)? })
    }
}

impl Track {
    pub(super) fn lost(&self) -> Track {
        match self {
            Track::Off => Track::Off,
            _ => Track::Lost,
        }
    }

    pub(super) fn then(&self, m: &mut Machine<'_>, key: impl FnOnce() -> Value) -> Flow<Track> {
        match self {
            Track::Off => Ok(Track::Off),
            Track::Lost => Err(not_a_path()),
            Track::At(before) => {
                let length = 1 + before.as_ref().map_or(0, |link| link.length);
                if length > MAX_VALUE_DEPTH {
                    m.level(0)?;
                }
                m.create(64)?;
                Ok(Track::At(Some(Rc::new(Link { key: key(), before: before.clone(), length }))))
            }
        }
    }

    /// The steps, first one first.
    pub(super) fn path(&self, m: &mut Machine<'_>) -> Flow<Vec<Value>> {
        let Track::At(mut last) = self.clone() else { return Err(not_a_path()) };
        let mut path = Vec::new();
        while let Some(link) = last {
            m.create(super::values::ELEMENT)?;
            path.push(link.key.clone());
            last = link.before.clone();
        }
        path.reverse();
        Ok(path)
    }
}

fn not_a_path() -> super::Stop {
    fail(
        "what is updated or asked for its path must be a path into the input, such as `.a[0]`, not a computed value",
    )
}

/// The variables and labels around an expression, innermost first; they live on the stack.
#[derive(Clone, Copy)]
pub(super) struct Env<'e>(pub(super) Option<&'e Bound<'e>>);

pub(super) struct Bound<'e> {
    pub(super) slot: Slot,
    pub(super) outer: Env<'e>,
}

pub(super) enum Slot {
    Value(Value),
    Label(u64),
}

impl Env<'_> {
    pub(super) const EMPTY: Env<'static> = Env(None);

    fn slot(&self, distance: usize) -> Option<&Slot> {
        let mut bound = self.0;
        for _ in 0..distance {
            bound = bound.and_then(|bound| bound.outer.0);
        }
        bound.map(|bound| &bound.slot)
    }

    /// The resolver has counted; anything else would be a fault of ours, and null is harmless.
    pub(super) fn value(&self, distance: usize) -> Value {
        match self.slot(distance) {
            Some(Slot::Value(value)) => value.clone(),
            _ => Value::Null,
        }
    }

    pub(super) fn label(&self, distance: usize) -> u64 {
        match self.slot(distance) {
            Some(Slot::Label(label)) => *label,
            _ => 0,
        }
    }
}

//! The values of an operation: each template has a slot, and a place for messages.

use renkei_core::{Error, Kind, Result, Tree, Value};

/// The index of a value in the parameters of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot(usize);

/// The templates of an operation, each with its place for messages.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    pub(crate) trees: Vec<Tree>,
    places: Vec<String>,
}

impl Slots {
    pub(crate) fn add(&mut self, tree: Tree, place: impl Into<String>) -> Slot {
        self.trees.push(tree);
        self.places.push(place.into());
        Slot(self.places.len() - 1)
    }

    /// Such as `` `${.id}` in the path ``.
    pub(crate) fn place(&self, slot: Slot) -> &str {
        &self.places[slot.0]
    }

    /// The error for a value that does not fit its place. `why` goes on after the place, `advice` is for who chose
    /// the value: that is not always the one who wrote the arguments.
    pub(crate) fn refuse(&self, slot: Slot, why: &str, advice: &str) -> Error {
        let vars = self.trees[slot.0].vars();
        let text = format!("{} {why}; nothing was sent", self.place(slot));
        if vars.is_empty() {
            return Error::invalid(if advice.is_empty() { text } else { format!("{text}; {advice}") });
        }
        if vars.iter().any(|name| &**name == "caller") {
            let text = format!("{text}, since this value comes with the caller, not with the arguments");
            return Error::new(Kind::Forbidden, text);
        }
        Error::internal(format!("{text}; it is not among the arguments, so the config must be mended"))
    }

    /// The rendered value; nothing when it is absent.
    pub(crate) fn value<'p>(&self, slot: Slot, params: &'p [Option<Value>]) -> Result<Option<&'p Value>> {
        match params.get(slot.0) {
            Some(value) => Ok(value.as_ref()),
            None => Err(Error::internal(format!("{} was not rendered", self.place(slot)))),
        }
    }
}

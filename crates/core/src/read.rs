//! Reading typed config from the tree, and its JSON Schema, from the same type.
//!
//! `#[derive(FromNode)]` (crate `renkei-derive`) writes both.

use crate::{Definitions, Diagnostics, Node, Schema};

/// A type that can be read from the config.
pub trait FromNode: Sized {
    /// Reads the node. Every problem is pushed to `d`; nothing when one of them leaves no value.
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self>;

    /// The JSON Schema of what `from_node` takes.
    fn schema(defs: &mut Definitions) -> Schema;

    /// The value when the key is not there: `Option` gives `Some(None)`.
    fn missing() -> Option<Self> {
        None
    }
}

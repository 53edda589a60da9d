//! Reading typed config from the tree, and its JSON Schema, from the same type.
//!
//! `#[derive(FromNode)]` (crate `renkei-derive`) writes both for structs and enums; the types
//! that configs are made of are here. Every problem goes to the [`Diagnostics`]; reading goes on.

mod bytes;
mod fields;
mod rate;
mod types;

use std::ops::Deref;

pub use bytes::Bytes;
pub use fields::{Default, Fields, Property, Variants, definition_name, described, wrong};
pub use rate::Rate;

use crate::{Definitions, Diagnostics, Node, Schema, Span};

/// A type that can be read from the config.
///
/// [`NodeKind::Unknown`](crate::NodeKind::Unknown) fits every type: it gives some harmless value.
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

/// A value that remembers where it stands, for checks that come later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: FromNode> FromNode for Spanned<T> {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        Some(Spanned { value: T::from_node(node, d)?, span: node.span })
    }

    fn schema(defs: &mut Definitions) -> Schema {
        T::schema(defs)
    }
}

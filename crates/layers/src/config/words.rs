//! Words of their own: shares.

use renkei_core::{Definitions, Diagnostics, FromNode, Node, NodeKind, Schema, Value, read::wrong};

/// A part of a whole, in per cent: `20%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share(pub(crate) u32);

impl FromNode for Share {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        let parsed = match &node.kind {
            NodeKind::Unknown => Some(Share(1)),
            NodeKind::String(text) => {
                text.value.strip_suffix('%').and_then(|number| number.trim_end().parse().ok()).map(Share)
            }
            _ => None,
        };
        parsed.filter(|share| share.0 <= 100).or_else(|| wrong(node, "a share such as `20%`", d))
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([("type", "string"), ("pattern", "^[0-9]+ *%$"), ("x-type", "share such as `20%`")])
    }
}

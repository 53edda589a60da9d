//! `idempotency:` – which calls of a tool are the same.

use std::time::Duration;

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Effect, FromNode, Node, NodeKind, Pattern, Schema, Span, Tree,
    Value, template::Names, tool::IdempotencyPlan,
};
use renkei_derive::FromNode;

/// `idempotency` with the time that a key is remembered.
#[derive(Clone, Debug, FromNode)]
#[expect(dead_code, reason = "the template is read from the tree; its field is the manual")]
struct IdempotencyConfig {
    /// The key: a template such as `${.request_id}`.
    key: Node,
    /// How long it is remembered.
    #[config(default = "24h")]
    ttl: Duration,
}

/// A template, or the mapping of [`IdempotencyConfig`].
#[derive(Clone, Debug)]
pub(super) struct IdempotencyNode;

impl FromNode for IdempotencyNode {
    fn from_node(_: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(IdempotencyNode)
    }

    fn schema(defs: &mut Definitions) -> Schema {
        let template = Value::from([("type", "string"), ("pattern", "\\$\\{")]);
        Value::from([("oneOf", Value::from(vec![template, IdempotencyConfig::schema(defs)]))])
    }
}

/// How long a key is remembered unless the tool says so.
const KEY_TTL: Duration = Duration::from_secs(24 * 3600);

/// Reads `idempotency` of a tool, if it is there. Nothing, with diagnostics, if something is wrong.
pub(super) fn read(
    tool: &Node,
    names: &Names<'_>,
    action: Option<&dyn Pattern>,
    d: &mut Diagnostics,
) -> Option<Option<IdempotencyPlan>> {
    let Some(entry) = tool.entry("idempotency") else { return Some(None) };
    let (key, ttl) = match &entry.value.kind {
        NodeKind::Map(_) => {
            let config = IdempotencyConfig::from_node(&entry.value, d)?;
            (entry.value.get("key")?, config.ttl)
        }
        _ => (&entry.value, KEY_TTL),
    };
    let tree = Tree::read(key, names, d)?;
    let mut refuse = |span: Span, message: &str, hint: &str| {
        d.push(Diagnostic::error(span, message).hint(hint));
        None
    };
    if tree.literal().is_some() {
        return refuse(
            key.span,
            "the key is the same for all calls",
            "take it from the arguments: `${.request_id}`",
        );
    }
    if ttl.is_zero() {
        return refuse(
            entry.key_span,
            "a key that is not remembered does nothing",
            "leave `ttl` out for a day",
        );
    }
    match action {
        Some(action) if action.effect() == Effect::Read => refuse(
            entry.key_span,
            "this tool changes nothing, so a repeat does no harm",
            "remove `idempotency`",
        ),
        _ => Some(Some(IdempotencyPlan { key: tree, ttl })),
    }
}

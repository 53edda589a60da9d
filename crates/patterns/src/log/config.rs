//! Reads `log`.

use std::sync::Arc;

use renkei_core::{
    ActionContext, ActionNode, Definitions, FromNode, Node, NodeKind, Pattern, PatternKind, Schema, Tree,
    read::wrong, run::Level,
};
use renkei_derive::FromNode;

use super::run::LogAction;

/// A line in the server's log, with the trace of the call. A client that asked for log messages gets it, too. Its
/// result is its input.
#[derive(Debug, FromNode)]
#[expect(dead_code, reason = "templates are read from the tree; their fields are the manual")]
struct LogConfig {
    /// How much it matters; `info` if left out.
    level: Option<Word>,
    /// What happened: a text, which may have templates. Put no secret into it.
    message: Node,
    /// What belongs to it, by name; its texts may be templates.
    fields: Option<Node>,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, FromNode)]
enum Word {
    Debug,
    Info,
    Warning,
    Error,
}

impl Word {
    fn level(self) -> Level {
        match self {
            Word::Debug => Level::Debug,
            Word::Info => Level::Info,
            Word::Warning => Level::Warning,
            Word::Error => Level::Error,
        }
    }
}

pub(crate) struct Kind;

impl PatternKind for Kind {
    fn name(&self) -> &'static str {
        "log"
    }

    fn schema(&self, _: &[(&'static str, Schema)], defs: &mut Definitions) -> Schema {
        LogConfig::schema(defs)
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let config = LogConfig::from_node(action.value, cx.diagnostics);
        let message = action.value.get("message").and_then(|node| match node.kind {
            NodeKind::String(_) => Tree::read(node, &cx.names, cx.diagnostics),
            _ => wrong(node, "a text", cx.diagnostics),
        });
        let fields = match action.value.get("fields") {
            None => Some(None),
            Some(node @ Node { kind: NodeKind::Map(_), .. }) => {
                Tree::read(node, &cx.names, cx.diagnostics).map(Some)
            }
            Some(node) => wrong(node, "fields by name, such as `{ order: '${.id}' }`", cx.diagnostics),
        };
        let level = config?.level.map_or(Level::Info, Word::level);
        Some(Arc::new(LogAction { level, message: message?, fields: fields? }))
    }
}

//! Reads `queue_status`.

use std::sync::Arc;

use renkei_core::{ActionContext, ActionNode, Definitions, Pattern, PatternKind, Schema, Value, read::wrong};

use super::run::StatusAction;

pub(crate) struct Kind;

impl PatternKind for Kind {
    fn name(&self) -> &'static str {
        "queue_status"
    }

    fn schema(&self, _: &[(&'static str, Schema)], _: &mut Definitions) -> Schema {
        Value::from([
            ("type", Value::from("string")),
            (
                "description",
                "The name of one of the `queues`. The result says how it stands: `{ queue, ready, scheduled, held, leased, dead, \
                 oldest_seconds, paused? }`."
                    .into(),
            ),
        ])
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let Some(name) = action.value.as_str() else {
            return wrong(action.value, "the name of one of the `queues`", cx.diagnostics);
        };
        let queue = cx.actions.queue(name, action.value.span, cx.diagnostics)?;
        Some(Arc::new(StatusAction { queue }))
    }
}

//! Reads `transform`.

use std::sync::Arc;

use renkei_core::{ActionContext, ActionNode, Definitions, Pattern, PatternKind, Schema, Tree, Value};

use super::run::TransformAction;

pub(crate) struct Kind;

impl PatternKind for Kind {
    fn name(&self) -> &'static str {
        "transform"
    }

    fn schema(&self, _: &[(&'static str, Schema)], _: &mut Definitions) -> Schema {
        Value::from([(
            "description",
            "A value from templates: its texts may be templates. It is the result, and no system is reached.",
        )])
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let value = Tree::read(action.value, &cx.names, cx.diagnostics)?;
        Some(Arc::new(TransformAction { value }))
    }
}

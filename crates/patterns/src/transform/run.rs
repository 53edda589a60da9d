//! Renders the value.

use async_trait::async_trait;
use renkei_core::{Effect, Outcome, Pattern, Result, RunContext, Tree, Value};

#[derive(Debug)]
pub(crate) struct TransformAction {
    pub(super) value: Tree,
}

#[async_trait]
impl Pattern for TransformAction {
    fn effect(&self) -> Effect {
        Effect::Read
    }

    fn open_world(&self) -> bool {
        false
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let value = self.value.render(&cx.scope("transform", input))?;
        Ok(Outcome::json(value.unwrap_or_default()))
    }
}

//! Runs the action for each element.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{Effect, Outcome, Pattern, Result, RunContext, Value};

use crate::fan_out::FanOut;

#[derive(Debug)]
pub(crate) struct MapAction {
    pub(super) each: FanOut,
    pub(super) action: Arc<dyn Pattern>,
}

#[async_trait]
impl Pattern for MapAction {
    fn effect(&self) -> Effect {
        self.action.effect()
    }

    fn inner(&self) -> Vec<&dyn Pattern> {
        vec![&*self.action]
    }

    fn open_world(&self) -> bool {
        self.action.open_world()
    }

    fn asks(&self) -> bool {
        self.action.asks()
    }

    fn height(&self) -> usize {
        1 + self.action.height()
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        self.each.run(cx, &input, &*self.action).await
    }
}

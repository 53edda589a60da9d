//! Looks at a queue.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{Effect, Error, Map, Outcome, Pattern, Result, RunContext, Value, queue::Queue};

use crate::queue::operate;

#[derive(Debug)]
pub(crate) struct StatusAction {
    pub(super) queue: Arc<Queue>,
}

#[async_trait]
impl Pattern for StatusAction {
    fn effect(&self) -> Effect {
        Effect::Read
    }

    fn open_world(&self) -> bool {
        false
    }

    async fn run(&self, cx: &RunContext, _: Value) -> Result<Outcome> {
        let store = cx.store().ok_or_else(|| Error::internal("look at the queue: there is no store here"))?;
        let name = &self.queue.name;
        let views = operate::views(&**store, std::slice::from_ref(name)).await?;
        let view = views.first().map(|view| view.to_value()).unwrap_or_default();
        // Whether the config has it is no question here.
        let members = view.as_object().into_iter().flatten().filter(|(key, _)| &***key != "configured");
        let members: Map = members.map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(Outcome::json(members.into()))
    }
}

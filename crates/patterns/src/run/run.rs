//! Runs an action with a name.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{
    Applied, Effect, Error, Kind, Outcome, Pattern, Payload, Result, RunContext, Tree, Value,
    pattern::ActionPlan,
};
use tokio::time::timeout_at;

use crate::engine::Input;

#[derive(Debug)]
pub(crate) struct RunAction {
    pub(super) plan: Arc<ActionPlan>,
    pub(super) with: Option<Tree>,
    pub(super) input: Input,
}

impl RunAction {
    async fn limited(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let ActionPlan { name, action, timeout, .. } = &*self.plan;
        let Some(time) = *timeout else { return action.run(cx, input).await };
        let cx = cx.within(time);
        let deadline = cx.call.deadline;
        timeout_at(deadline, action.run(&cx, input)).await.unwrap_or_else(|_| {
            let applied = if action.effect() == Effect::Read { Applied::No } else { Applied::Unknown };
            let message = format!("the time for the action `{name}` was used up");
            Err(Error::new(Kind::Timeout, message).applied(applied))
        })
    }
}

#[async_trait]
impl Pattern for RunAction {
    fn effect(&self) -> Effect {
        self.plan.action.effect()
    }

    fn open_world(&self) -> bool {
        self.plan.action.open_world()
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let ActionPlan { name, output, .. } = &*self.plan;
        let given = match &self.with {
            Some(with) => with.render(&cx.scope("with", input))?.unwrap_or_default(),
            None => Value::object(),
        };
        let given = self.input.check(&format!("action {name}"), given)?;
        let cx = cx.without_vars().child(name);
        let outcome = self.limited(&cx, given.clone()).await?;
        let Some(output) = output else { return Ok(Outcome { results: Vec::new(), ..outcome }) };
        let scope = cx.with_vars(outcome.vars()).scope("output", given);
        // From here on it has happened, whatever becomes of the result.
        let value = output.render(&scope).map_err(|error| match self.effect() {
            Effect::Read => error,
            _ => error.applied(Applied::Yes),
        })?;
        let value = value.unwrap_or_default();
        Ok(Outcome { value: Payload::Json(value), results: Vec::new(), ..outcome })
    }
}

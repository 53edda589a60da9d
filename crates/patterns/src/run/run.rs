//! Runs an action with a name.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{
    Applied, Effect, Outcome, Pattern, Payload, Result, RunContext, Tree, Value, pattern::ActionPlan,
};

use crate::{engine::Input, limit::limited};

#[derive(Debug)]
pub(crate) struct RunAction {
    pub(super) plan: Arc<ActionPlan>,
    pub(super) with: Option<Tree>,
    pub(super) input: Input,
}

#[async_trait]
impl Pattern for RunAction {
    fn effect(&self) -> Effect {
        self.plan.action.effect()
    }

    fn inner(&self) -> Vec<&dyn Pattern> {
        vec![&*self.plan.action]
    }

    fn open_world(&self) -> bool {
        self.plan.action.open_world()
    }

    fn asks(&self) -> bool {
        self.plan.action.asks()
    }

    fn height(&self) -> usize {
        1 + self.plan.action.height()
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let ActionPlan { name, action, output, timeout, .. } = &*self.plan;
        let given = match &self.with {
            Some(with) => with.render(&cx.scope("with", input))?.unwrap_or_default(),
            None => Value::object(),
        };
        let given = self.input.check(&format!("action {name}"), given)?;
        let cx = cx.without_vars().child(name);
        let act = |cx: RunContext| {
            let given = given.clone();
            async move { action.run(&cx, given).await }
        };
        let outcome = limited(&cx, *timeout, &format!("the action `{name}`"), act).await?;
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

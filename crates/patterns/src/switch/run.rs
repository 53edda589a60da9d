//! Runs the first case that fits.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{Effect, Error, Kind, Outcome, Pattern, Result, RunContext, Value};

use crate::condition::Condition;

#[derive(Debug)]
pub(crate) struct SwitchAction {
    pub(super) cases: Vec<Case>,
    pub(super) otherwise: Option<Arc<dyn Pattern>>,
}

#[derive(Debug)]
pub(super) struct Case {
    pub(super) when: Condition,
    pub(super) action: Arc<dyn Pattern>,
}

impl SwitchAction {
    fn actions(&self) -> impl Iterator<Item = &Arc<dyn Pattern>> {
        self.cases.iter().map(|case| &case.action).chain(&self.otherwise)
    }

    fn choose(&self, cx: &RunContext, input: &Value) -> Result<&Arc<dyn Pattern>> {
        for case in &self.cases {
            if case.when.holds(cx, input)? {
                return Ok(&case.action);
            }
        }
        self.otherwise.as_ref().ok_or_else(|| {
            let of_input = self.cases.iter().all(|case| case.when.blame() == Kind::Invalid);
            Error::new(
                if of_input { Kind::Invalid } else { Kind::Internal },
                format!("find a case of {} that fits; there is no `else`", self.cases.len()),
            )
        })
    }
}

#[async_trait]
impl Pattern for SwitchAction {
    fn effect(&self) -> Effect {
        self.actions().map(|action| action.effect()).max().unwrap_or(Effect::Read)
    }

    fn inner(&self) -> Vec<&dyn Pattern> {
        self.actions().map(|action| &**action).collect()
    }

    fn open_world(&self) -> bool {
        self.actions().any(|action| action.open_world())
    }

    fn asks(&self) -> bool {
        self.actions().any(|action| action.asks())
    }

    fn height(&self) -> usize {
        1 + self.actions().map(|action| action.height()).max().unwrap_or_default()
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let outcome = self.choose(cx, &input)?.run(cx, input).await?;
        // What one case binds, another does not.
        Ok(Outcome { results: Vec::new(), ..outcome })
    }
}

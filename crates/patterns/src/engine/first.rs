//! What a call asks before it becomes a task.
//!
//! The action runs up to its first step, which it is not let take: until then it changes nothing, and reads nothing but its
//! input. What it asks on the way is asked in rounds; the answers go into the stream of the run.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{
    CallContext, Error, Kind, Pattern, Reply, Request, Result, Value,
    run::{Begun, Committed, Journal},
    store::Batch,
};

use super::{
    Engine,
    job::Job,
    rounds::{self, Subject},
};

impl Engine {
    /// The answers to what is asked first, as the run reads them. From then on `cx` is of that run.
    ///
    /// # Errors
    /// With the questions, if some are not answered; the caller cannot be asked.
    pub(super) async fn asked_first(
        &self,
        action: &dyn Pattern,
        job: &Job<'_>,
        cx: &mut CallContext,
        arguments: &Value,
    ) -> Result<Vec<Value>> {
        let caller = cx.principal.clone();
        let subject =
            Subject { kind: "task", name: job.name, caller: &caller, arguments, effect: job.effect };
        let begun = self.rounds.begin(subject, cx, self.store(), rounds::now_ms()).await?;
        let Some(session) = begun else { return Ok(Vec::new()) };
        let run = self.context(job, cx.clone(), None).journaled(Arc::new(NoSteps));
        let input = arguments.clone();
        let ask = async {
            match self.act(job, &run, action, input).await {
                Err(error) if error.is_suspended() => {
                    Err(self.rounds.end(subject, &session, error, rounds::now_ms()))
                }
                Err(error) if error.lacks().is_some() => Err(error),
                // It came to a step, or to its end: the rest is for the task.
                _ => Ok(session.answers()),
            }
        };
        job.guarded(&run.call, arguments, ask).await
    }
}

/// No step is taken.
struct NoSteps;

fn too_early() -> Error {
    Error::new(Kind::Cancelled, "go on: there is no task yet")
}

#[async_trait]
impl Journal for NoSteps {
    async fn begin(&self, _: &str, _: &Request) -> Result<Begun> {
        Err(too_early())
    }

    async fn end(&self, _: &str, _: &Request, _: Result<Reply>) -> Result<Reply> {
        Err(too_early())
    }

    fn cut_off(&self, _: &str, _: &Request) {}

    async fn commit(&self, _: &str, _: Batch, _: Value) -> Result<Committed> {
        Err(too_early())
    }
}

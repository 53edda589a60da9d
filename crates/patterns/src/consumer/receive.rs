//! Leases messages for a caller.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{
    Effect, Error, Outcome, Pattern, Result, RunContext, Tree, Value,
    queue::{Message, Queue},
    store::{Batch, Claim, Job, Store},
};

use super::receipt;
use crate::{condition::blame, queue::of_too_many};

const STEP: &str = "receive";
/// Messages that one call receives at most.
pub(super) const MAX: i64 = 100;

#[derive(Debug)]
pub(crate) struct ReceiveAction {
    pub(super) queue: Arc<Queue>,
    pub(super) max: Option<Tree>,
    pub(super) lease: Duration,
}

#[async_trait]
impl Pattern for ReceiveAction {
    /// A repeat receives others.
    fn effect(&self) -> Effect {
        Effect::Write
    }

    fn open_world(&self) -> bool {
        false
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let store = store(cx)?;
        let max = self.max(cx, input)?;
        let claim = Claim {
            queue: self.queue.name.to_string(),
            max,
            lease_for: self.lease,
            worker: receipt::holder(&cx.call.principal),
        };
        let mut messages = Vec::new();
        for job in store.claim(claim).await?.jobs {
            messages.extend(self.message(&**store, job).await?);
        }
        Ok(Outcome::json(Value::from([("messages", messages)])))
    }
}

impl ReceiveAction {
    fn max(&self, cx: &RunContext, input: Value) -> Result<usize> {
        let Some(tree) = &self.max else { return Ok(1) };
        let value = tree.render(&cx.scope(STEP, input))?;
        let max = match &value {
            None | Some(Value::Null) => Some(1),
            Some(value) => value.as_i64().filter(|max| (1..=MAX).contains(max)),
        };
        max.and_then(|max| usize::try_from(max).ok()).ok_or_else(|| {
            let text = format!("receive from `{}`: `max` must be a number from 1 to {MAX}", self.queue);
            Error::new(blame(tree), text)
        })
    }

    /// Nothing for a message that nobody may try any more: it becomes a dead letter.
    async fn message(&self, store: &dyn Store, job: Job) -> Result<Option<Value>> {
        if let Some(bury) = of_too_many(&self.queue, &job) {
            // Refused: somebody else has it already.
            store.commit(Batch::new().job(bury)).await?;
            return Ok(None);
        }
        let event = Message::of(&job)?.event(&job);
        Ok(Some(Value::from([("receipt", receipt::write(job.lease()).into()), ("message", event)])))
    }
}

/// The store of the run.
pub(super) fn store(cx: &RunContext) -> Result<&Arc<dyn Store>> {
    cx.store().ok_or_else(|| Error::internal("reach the queue: there is no store here"))
}

//! Pauses, resumes and purges a queue.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{
    Effect, Outcome, Pattern, Result, RunContext, Tree, Value,
    queue::Queue,
    run::Committed,
    store::{Batch, JobChange, JobState},
};

use super::{store, text};
use crate::queue::{Paused, operate};

const STEP: &str = "operate";

#[derive(Debug)]
pub(super) struct QueueAction {
    pub(super) queue: Arc<Queue>,
    pub(super) deed: Deed,
}

#[derive(Debug)]
pub(super) enum Deed {
    Pause { reason: Option<Tree> },
    Resume,
    Purge { dead: bool, limit: usize },
}

#[async_trait]
impl Pattern for QueueAction {
    fn effect(&self) -> Effect {
        match self.deed {
            Deed::Pause { .. } | Deed::Resume => Effect::Idempotent,
            // A repeat removes what came meanwhile.
            Deed::Purge { .. } => Effect::Write,
        }
    }

    fn open_world(&self) -> bool {
        false
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let name = &*self.queue.name;
        let told = |outcome: &str| Value::from([("queue", Value::from(name)), ("outcome", outcome.into())]);
        let (batch, given) = match &self.deed {
            Deed::Pause { reason } => {
                let reason = text(reason.as_ref(), &cx.scope(STEP, input))?;
                (Paused::setting(name, reason.as_deref()), told("paused"))
            }
            Deed::Resume => (Paused::clearing(name), told("resumed")),
            Deed::Purge { dead, limit } => self.purge(cx, *dead, *limit).await?,
        };
        Ok(Outcome::json(match cx.commit(STEP, batch, given.clone()).await? {
            Committed::Now(_) => given,
            Committed::Before(value) => value,
        }))
    }
}

impl QueueAction {
    async fn purge(&self, cx: &RunContext, dead: bool, limit: usize) -> Result<(Batch, Value)> {
        let store = store(cx)?;
        let states: &[JobState] = match dead {
            true => &[JobState::Dead],
            // The later ones of a key go first: what becomes ready behind one that is removed would be claimed meanwhile.
            false => &[JobState::Held, JobState::Scheduled, JobState::Ready],
        };
        let mut found = Vec::new();
        for state in states {
            let room = limit + 1 - found.len();
            let (jobs, _) = operate::page(&**store, &self.queue.name, *state, None, room).await?;
            found.extend(jobs.into_iter().take(room).map(|job| job.id));
            if found.len() > limit {
                break;
            }
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let batch = found.iter().fold(Batch::new(), |batch, job| batch.job(JobChange::Discard { job: *job }));
        let given = Value::from([
            ("queue", Value::from(self.queue.name.clone())),
            ("removed", found.len().into()),
            ("more", more.into()),
        ]);
        Ok((batch, given))
    }
}

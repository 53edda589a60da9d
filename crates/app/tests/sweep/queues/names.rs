//! What the writes of queues and schedules are called.

use std::{collections::BTreeSet, sync::Mutex};

use async_trait::async_trait;
use renkei_core::store::{Batch, Claim, JobChange, JobQuery, JobState, Store};

use crate::watched::Names;

#[derive(Debug, Default)]
pub(super) struct Writes {
    /// Queues of which a lease was extended: how often that happens depends on the time.
    extended: Mutex<BTreeSet<String>>,
}

#[async_trait]
impl Names for Writes {
    async fn of_batch(&self, store: &dyn Store, batch: &Batch) -> Option<String> {
        if let Some(message) = batch.enqueues.first() {
            let word = if batch.cells.is_empty() { "enqueue" } else { "tick" };
            return Some(format!("{word} {}", message.queue));
        }
        let Some(change) = batch.jobs.first() else {
            return batch.cells.first().map(|cell| format!("{} {}", cell.space, cell.key));
        };
        let queue = store.job(change.job()).await.unwrap()?.queue;
        let word = match change {
            JobChange::Finish { .. } => "ack",
            JobChange::Retry { .. } => "retry",
            JobChange::Bury { .. } => "bury",
            JobChange::Release { .. } => "release",
            JobChange::Replay { .. } => "replay",
            JobChange::Extend { .. } if self.extended.lock().unwrap().insert(queue.clone()) => "extend",
            JobChange::Extend { .. } => return None,
            JobChange::Reschedule { .. } | JobChange::Unblock { .. } | JobChange::Discard { .. } => "other",
        };
        Some(format!("{word} {queue}"))
    }

    async fn of_claim(&self, store: &dyn Store, claim: &Claim) -> Option<String> {
        let look = async |state| {
            let query = JobQuery { queue: claim.queue.clone(), state, after: None, limit: 1 };
            store.jobs(query).await.unwrap().jobs.pop()
        };
        let is_ready = look(JobState::Ready).await.is_some();
        let is_due = look(JobState::Scheduled).await.is_some_and(|job| job.run_at <= store.now());
        (is_ready || is_due).then(|| format!("claim {}", claim.queue))
    }
}

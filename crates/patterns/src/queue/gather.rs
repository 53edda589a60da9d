//! Messages that wait for others of their batch. They are claimed already, for less than half of their lease.

use renkei_core::{queue::Batching, store::Job};
use tokio::time::Instant;

use super::workers::Definition;

#[derive(Default)]
pub(super) struct Gathered(Option<Waiting>);

struct Waiting {
    /// What they were claimed for.
    definition: Definition,
    jobs: Vec<Job>,
    /// Before the first one was claimed.
    since: Instant,
}

/// Messages that are handled together.
pub(super) struct Together {
    pub(super) definition: Definition,
    pub(super) jobs: Vec<Job>,
    pub(super) claimed: Instant,
}

impl Gathered {
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |waiting| waiting.jobs.len())
    }

    /// A message of a first attempt, claimed not before `claimed`. Gives them all when the batch is full.
    pub(super) fn add(
        &mut self,
        job: Job,
        definition: &Definition,
        batch: Batching,
        claimed: Instant,
    ) -> Option<Together> {
        let waiting = self.0.get_or_insert_with(|| Waiting {
            definition: definition.clone(),
            jobs: Vec::new(),
            since: claimed,
        });
        waiting.jobs.push(job);
        (waiting.jobs.len() >= batch.max).then(|| self.take()).flatten()
    }

    /// Until when they wait; nothing for none.
    pub(super) fn until(&self) -> Option<Instant> {
        let waiting = self.0.as_ref()?;
        // Without a wait, they are those of one claim.
        Some(waiting.definition.queue.about.batch.map_or(waiting.since, |batch| waiting.since + batch.wait))
    }

    /// Those that have waited long enough, or that were claimed for what the config says no more.
    pub(super) fn due(&mut self, now: Instant, definition: Option<&Definition>) -> Option<Together> {
        let waiting = self.0.as_ref()?;
        let is_old =
            definition.is_none_or(|now| !std::sync::Arc::ptr_eq(&now.queue, &waiting.definition.queue));
        if is_old || self.until().is_some_and(|until| until <= now) {
            return self.take();
        }
        None
    }

    pub(super) fn take(&mut self) -> Option<Together> {
        let Waiting { definition, jobs, since } = self.0.take()?;
        Some(Together { definition, jobs, claimed: since })
    }
}

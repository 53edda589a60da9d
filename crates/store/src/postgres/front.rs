//! Where looks for jobs begin.
//!
//! While a transaction elsewhere stays open, every index keeps an entry for each job that was there since, and a look that began
//! at the front of the index would pass all of them. So each row of counts says before which place no job is ready, and before
//! which moment nothing is due: claims move these on, and whatever makes a job ready or due moves them back.

use std::collections::BTreeMap;

use renkei_core::{clock::Timestamp, store::JobState};

use super::decide::Writes;

/// What jobs that a group writes mean for the next look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Front {
    /// The smallest place of those that are ready now.
    pub(super) low: Option<i64>,
    /// Their greatest and their smallest priority.
    pub(super) top: Option<i16>,
    pub(super) bottom: Option<i16>,
    /// The first moment at which one of the jobs needs looking after.
    pub(super) due: Option<i64>,
}

impl Front {
    fn ready(&mut self, place: i64, priority: i16) {
        self.low = self.low.into_iter().chain([place]).min();
        self.top = self.top.max(Some(priority));
        self.bottom = self.bottom.into_iter().chain([priority]).min();
    }

    fn due(&mut self, at: Timestamp) {
        self.due = self.due.into_iter().chain([at.0]).min();
    }

    fn job(
        &mut self,
        state: JobState,
        run_at: Timestamp,
        lease: Option<Timestamp>,
        expires: Option<Timestamp>,
    ) {
        match state {
            JobState::Scheduled => self.due(run_at),
            JobState::Leased => lease.into_iter().for_each(|at| self.due(at)),
            _ => {}
        }
        if state.is_waiting() {
            expires.into_iter().for_each(|at| self.due(at));
        }
    }
}

/// By queue.
pub(super) fn of<'w>(writes: &'w Writes<'_>) -> BTreeMap<&'w str, Front> {
    let mut fronts: BTreeMap<&str, Front> = BTreeMap::new();
    for new in &writes.new_jobs {
        let front = fronts.entry(&new.job.queue).or_default();
        if new.state == JobState::Ready {
            front.ready(new.place, new.job.priority);
        }
        front.job(new.state, new.run_at, None, new.expires);
    }
    for job in &writes.jobs {
        let front = fronts.entry(&job.queue).or_default();
        if job.state == JobState::Ready {
            front.ready(job.place, job.priority);
        }
        front.job(job.state, job.run_at, job.leased_until, job.expires);
    }
    fronts
}

/// The newest row of a queue's counts, as `f`; `$1` is the queue.
pub(super) const NEWEST: &str =
    "f as materialized (select * from counts c where c.queue = $1 order by c.number desc limit 1)";

//! One queue's loop: claims as many messages as there is room for, and begins an attempt of each.

use std::{sync::Arc, time::Duration};

use renkei_core::{
    Result, metric,
    queue::Queue,
    store::{Batch, Change, Changes, Claim, Claims, Job, JobChange, MAX_CLAIM, Store, Verdict, When},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    PAUSED, Paused,
    attempt::Attempt,
    gather::{Gathered, Together},
    pace::Pace,
    workers::Definition,
};

/// How often an idle queue is looked at without a hint: hints from other processes may not come.
const POLL: Duration = Duration::from_millis(500);
/// After trouble with the store: the first wait, doubled up to the longest.
const TROUBLE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

pub(super) struct Claimer {
    pub(super) name: Arc<str>,
    pub(super) store: Arc<dyn Store>,
    pub(super) worker: String,
    pub(super) definition: watch::Receiver<Option<Definition>>,
    pub(super) stop: CancellationToken,
    pub(super) end: CancellationToken,
}

/// What the loop remembers from one turn to the next.
struct Memory {
    /// Each gives how many messages it had.
    attempts: JoinSet<usize>,
    /// Messages that are worked on.
    under_way: usize,
    gathered: Gathered,
    pace: Option<Pace>,
    paused: bool,
    /// When the pause was looked at.
    looked: Option<Instant>,
    trouble: Duration,
    /// After trouble nothing is tried before that, whatever hints say.
    not_before: Option<Instant>,
}

impl Claimer {
    /// Until `stop`; then waits for the attempts under way.
    pub(super) async fn run(mut self) {
        let mut changes = self.store.changes();
        let mut memory = Memory {
            attempts: JoinSet::new(),
            under_way: 0,
            gathered: Gathered::default(),
            pace: None,
            paused: false,
            looked: None,
            trouble: TROUBLE.0,
            not_before: None,
        };
        while !self.stop.is_cancelled() {
            let definition = self.definition.borrow_and_update().clone();
            if let Some(together) = memory.gathered.due(Instant::now(), definition.as_ref()) {
                self.begin(&mut memory, together);
            }
            let next = match &definition {
                Some(definition) => self.turn(definition, &mut memory).await,
                None => None,
            };
            // A batch that is gathered does not wait for room.
            let next = next.into_iter().chain(memory.gathered.until()).min();
            // The next turn comes at `next`, or when something has happened.
            let look = next.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                () = self.stop.cancelled() => {}
                changed = self.definition.changed() => if changed.is_err() { break },
                Some(ended) = memory.attempts.join_next() => {
                    memory.ended(ended);
                    // Those that ended at the same moment make room for one claim, not for many.
                    while let Some(ended) = memory.attempts.try_join_next() {
                        memory.ended(ended);
                    }
                }
                hint = hint(&mut changes, &self.name), if next.is_some() => match hint {
                    Hint::Queue => {}
                    Hint::Pause => memory.looked = None,
                    Hint::Closed => break,
                },
                () = sleep_until(look), if next.is_some() => {}
            }
        }
        if let Some(together) = memory.gathered.take() {
            self.give_back(together).await;
        }
        while let Some(ended) = memory.attempts.join_next().await {
            memory.ended(ended);
        }
    }

    /// Claims until there is no room or nothing to claim. Gives when to look again; nothing: when an attempt ends.
    async fn turn(&self, definition: &Definition, memory: &mut Memory) -> Option<Instant> {
        let queue = &definition.queue.about;
        loop {
            let now = Instant::now();
            if let Some(moment) = memory.not_before.filter(|moment| *moment > now) {
                return Some(moment);
            }
            let taken = memory.under_way + memory.gathered.len();
            let free = queue.concurrency.saturating_sub(taken).min(MAX_CLAIM);
            if free == 0 {
                return None;
            }
            if let Err(error) = self.look_for_pause(memory).await {
                return Some(self.trouble(memory, &error));
            }
            if memory.paused {
                return Some(now + POLL);
            }
            let max = memory.room(queue, now, free);
            if max == 0 {
                let wait = memory.pace.as_ref().map_or(POLL, |pace| pace.wait(now));
                return Some(now + wait);
            }
            let claims = match self.claim(queue, max).await {
                Ok(claims) => claims,
                Err(error) => return Some(self.trouble(memory, &error)),
            };
            memory.trouble = TROUBLE.0;
            let found = claims.jobs.len();
            if let Some(pace) = &mut memory.pace {
                pace.spend(now, found);
            }
            for job in claims.jobs {
                // One that failed in a batch is tried by itself: it may have been the reason.
                let together = match queue.batch {
                    Some(batch) if job.attempts == 1 => memory.gathered.add(job, definition, batch, now),
                    _ => Some(Together { definition: definition.clone(), jobs: vec![job], claimed: now }),
                };
                if let Some(together) = together {
                    self.begin(memory, together);
                }
            }
            if found < max || self.stop.is_cancelled() {
                let due = claims.next.map_or(POLL, |next| next.since(self.store.now()));
                return Some(Instant::now() + due.clamp(Duration::from_millis(1), POLL));
            }
        }
    }

    fn begin(&self, memory: &mut Memory, together: Together) {
        let Together { definition, jobs, claimed } = together;
        memory.under_way += jobs.len();
        let attempt = Attempt { definition, store: self.store.clone(), jobs, claimed, end: self.end.clone() };
        memory.attempts.spawn(attempt.run());
    }

    /// Nothing was done with them: the attempt does not count.
    async fn give_back(&self, together: Together) {
        let release = |job: &Job| JobChange::Release { lease: job.lease(), run_at: When::Now };
        let jobs = together.jobs.iter().map(release).collect();
        let released = self.store.commit(Batch { jobs, ..Batch::new() }).await;
        if let Err(error) = released.and_then(Verdict::into_result) {
            tracing::warn!(queue = &*self.name, "messages come again when their leases have ended: {error}");
        }
    }

    async fn claim(&self, queue: &Queue, max: usize) -> Result<Claims> {
        let claim =
            Claim { queue: queue.name.to_string(), max, lease_for: queue.lease, worker: self.worker.clone() };
        let claims = self.store.claim(claim).await?;
        let name = || queue.name.to_string();
        if claims.ended > 0 {
            tracing::warn!(
                queue = name(),
                count = claims.ended,
                "leases had ended: workers were not heard of"
            );
            metrics::counter!(metric::QUEUE_LEASES_ENDED.name, "queue" => name()).increment(claims.ended);
        }
        if claims.expired > 0 {
            metrics::counter!(metric::QUEUE_EXPIRED.name, "queue" => name()).increment(claims.expired);
        }
        Ok(claims)
    }

    async fn look_for_pause(&self, memory: &mut Memory) -> Result<()> {
        if memory.looked.is_some_and(|looked| looked.elapsed() < POLL) {
            return Ok(());
        }
        let paused = Paused::read(&*self.store, &self.name).await?.is_some();
        if paused != memory.paused {
            tracing::info!(queue = &*self.name, paused, "the queue is paused or goes on");
        }
        (memory.paused, memory.looked) = (paused, Some(Instant::now()));
        Ok(())
    }

    fn trouble(&self, memory: &mut Memory, error: &renkei_core::Error) -> Instant {
        let wait = memory.trouble;
        memory.trouble = (wait * 2).min(TROUBLE.1);
        let (queue, detail) = (&*self.name, error.detail_text());
        tracing::warn!(queue, detail, "no message can be claimed: {error}");
        let moment = Instant::now() + wait;
        memory.not_before = Some(moment);
        moment
    }
}

impl Memory {
    fn ended(&mut self, ended: std::result::Result<usize, tokio::task::JoinError>) {
        match ended {
            Ok(messages) => self.under_way -= messages,
            Err(error) => {
                tracing::error!(%error, "an attempt ended early: a fault in Renkei; its lease runs out");
            }
        }
        // After a fault nobody says how many there were.
        if self.attempts.is_empty() {
            self.under_way = 0;
        }
    }

    /// How many attempts the queue's rate lets begin.
    fn room(&mut self, queue: &Queue, now: Instant, free: usize) -> usize {
        match (queue.rate, &self.pace) {
            (None, _) => self.pace = None,
            (Some(rate), Some(pace)) if pace.rate() == rate => {}
            (Some(rate), _) => self.pace = Some(Pace::new(rate, now)),
        }
        self.pace.as_ref().map_or(free, |pace| pace.room(now, free))
    }
}

enum Hint {
    Queue,
    Pause,
    Closed,
}

/// Waits for a hint that concerns the queue.
async fn hint(changes: &mut Changes, queue: &str) -> Hint {
    loop {
        match changes.next().await {
            Some(Change::Queue(name)) if *name == *queue => return Hint::Queue,
            Some(Change::Cell { space, key }) if *space == *PAUSED && *key == *queue => return Hint::Pause,
            Some(Change::Unknown) => return Hint::Pause,
            Some(_) => {}
            None => return Hint::Closed,
        }
    }
}

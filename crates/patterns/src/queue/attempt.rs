//! One attempt: runs the worker's action on a message, or on several, while it keeps the lease, and commits what became
//! of it.

use std::{sync::Arc, time::Duration};

use renkei_core::{
    Applied, Effect, Error, Kind, Result, metric,
    queue::Queue,
    store::{Batch, Job, JobChange, Refusal, Store, Verdict, When},
};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{verdict, workers::Definition};

/// The lease is extended so often while it lasts.
const EXTENSIONS: u32 = 3;
/// Between two tries to commit what became of a message.
const TRY_AGAIN: Duration = Duration::from_millis(200);

pub(super) struct Attempt {
    pub(super) definition: Definition,
    pub(super) store: Arc<dyn Store>,
    /// Handled together; nearly always one.
    pub(super) jobs: Vec<Job>,
    /// Before the first one was claimed: the lease lasts at least from then.
    pub(super) claimed: Instant,
    pub(super) end: CancellationToken,
}

/// How the work ended.
enum Ended {
    Done(Result<()>),
    LeaseLost,
    Stopped,
}

impl Attempt {
    /// Gives how many messages it had.
    pub(super) async fn run(self) -> usize {
        let (queue, count) = (self.queue().name.to_string(), self.jobs.len());
        let _flight = Flight::begin(&queue, count);
        for outcome in self.handle().await {
            metrics::counter!(metric::QUEUE_ATTEMPTS.name, "queue" => queue.clone(), "outcome" => outcome)
                .increment(1);
        }
        metrics::histogram!(metric::QUEUE_SECONDS.name, "queue" => queue)
            .record(self.claimed.elapsed().as_secs_f64());
        count
    }

    fn queue(&self) -> &Queue {
        &self.definition.queue.about
    }

    fn repeats_safely(&self) -> bool {
        let plan = &self.definition.queue;
        plan.worker.as_deref().is_none_or(|worker| plan.repeat_of(worker) != Effect::Write)
    }

    /// What became of each.
    async fn handle(&self) -> Vec<&'static str> {
        if let [job] = &self.jobs[..]
            && let Some(bury) = verdict::of_too_many(self.queue(), job)
        {
            return self.settle(vec![bury]).await;
        }
        let changes = match self.work().await {
            Ended::Done(Ok(())) => {
                self.changes(|job| JobChange::Finish { lease: job.lease(), keep_until: None })
            }
            Ended::Done(Err(error)) => self.failed(error),
            // One of several was: the others are theirs still, and nobody knows how far the work was.
            Ended::LeaseLost if self.jobs.len() > 1 => self.failed(lost()),
            Ended::LeaseLost => {
                self.log(&lost(), "whoever has it now goes on");
                return vec!["lost"];
            }
            Ended::Stopped => {
                self.log(&verdict::of_stop(), "it goes back to its queue, and this attempt does not count");
                self.changes(|job| JobChange::Release { lease: job.lease(), run_at: When::Now })
            }
        };
        self.settle(changes).await
    }

    fn changes(&self, change: impl FnMut(&Job) -> JobChange) -> Vec<JobChange> {
        self.jobs.iter().map(change).collect()
    }

    fn failed(&self, error: Error) -> Vec<JobChange> {
        let (queue, safely) = (self.queue(), self.repeats_safely());
        let error = verdict::of_doubt(error, safely);
        let changes = self.changes(|job| match self.jobs.len() {
            1 => verdict::of(queue, job, &error, rand::random()),
            _ => verdict::of_batch(queue, job, &error, rand::random(), safely),
        });
        if let Some(change) = changes.first() {
            self.log(&error, &verdict::told(change));
        }
        changes
    }

    async fn work(&self) -> Ended {
        let Definition { queue, engine } = &self.definition;
        tokio::select! {
            // What is done is done, whatever else has happened.
            biased;
            result = engine.work(queue, &self.jobs) => Ended::Done(result),
            () = self.keep_lease() => Ended::LeaseLost,
            () = self.end.cancelled() => Ended::Stopped,
        }
    }

    /// Extends the leases for as long as all of them are held.
    async fn keep_lease(&self) {
        let lease_for = self.queue().lease;
        let every = lease_for / EXTENSIONS;
        let mut until = self.claimed + lease_for;
        loop {
            sleep(every.min(until.saturating_duration_since(Instant::now()))).await;
            let now = Instant::now();
            let extend = self.changes(|job| JobChange::Extend { lease: job.lease(), lease_for });
            match timeout_at(until, self.store.commit(batch_of(extend))).await {
                Ok(Ok(Verdict::Done(_))) => until = now + lease_for,
                Ok(Ok(Verdict::Refused(_))) | Err(_) => return,
                Ok(Err(error)) => {
                    let (queue, id) = (self.queue(), self.name());
                    tracing::warn!(%queue, id, "the lease was not extended: {error}");
                    sleep(TRY_AGAIN).await;
                }
            }
        }
    }

    /// Commits what became of the messages: all at once, or each by itself where that is refused.
    async fn settle(&self, changes: Vec<JobChange>) -> Vec<&'static str> {
        let outcomes: Vec<&str> = changes.iter().map(outcome_of).collect();
        if self.commit(changes.clone()).await {
            return outcomes;
        }
        if changes.len() == 1 {
            return vec!["lost"];
        }
        let mut settled = Vec::with_capacity(changes.len());
        for (change, outcome) in changes.into_iter().zip(outcomes) {
            settled.push(if self.commit(vec![change]).await { outcome } else { "lost" });
        }
        settled
    }

    /// Whether it was committed. With a store in trouble it tries again for as long as a lease lasts; after that the
    /// messages come again.
    async fn commit(&self, changes: Vec<JobChange>) -> bool {
        let until = Instant::now() + self.queue().lease;
        let mut doubtful = false;
        loop {
            let error = match self.store.commit(batch_of(changes.clone())).await {
                Ok(Verdict::Done(_)) => return true,
                // The one before has happened after all.
                Ok(Verdict::Refused(Refusal::LeaseLost { .. })) if doubtful => return true,
                Ok(Verdict::Refused(refusal)) => {
                    self.log(&refusal.into(), "whoever has it now goes on");
                    return false;
                }
                Err(error) => error,
            };
            doubtful |= error.was_applied() == Applied::Unknown;
            if error.kind() == Kind::Invalid || Instant::now() + TRY_AGAIN >= until {
                self.log(&error, "what became of it is not kept: it comes again");
                return false;
            }
            sleep(TRY_AGAIN).await;
        }
    }

    /// For the log.
    fn name(&self) -> String {
        match &self.jobs[..] {
            [job] => job.id.to_string(),
            jobs => format!("{} messages", jobs.len()),
        }
    }

    fn log(&self, error: &Error, then: &str) {
        let (id, attempt) = (self.name(), self.jobs.first().map(|job| job.attempts));
        let (kind, detail) = (error.kind().as_str(), error.detail_text());
        tracing::warn!(queue = %self.queue(), id, attempt, kind, detail, "{error}; {then}");
    }
}

fn batch_of(jobs: Vec<JobChange>) -> Batch {
    Batch { jobs, ..Batch::new() }
}

fn outcome_of(change: &JobChange) -> &'static str {
    match change {
        JobChange::Finish { .. } => "done",
        JobChange::Retry { .. } => "retry",
        JobChange::Release { .. } => "released",
        _ => "dead",
    }
}

fn lost() -> Error {
    Error::new(Kind::Conflict, "the lease was lost, and the work was stopped").applied(Applied::Unknown)
}

/// Messages that are worked on.
struct Flight(metrics::Gauge, f64);

impl Flight {
    fn begin(queue: &str, messages: usize) -> Self {
        let gauge = metrics::gauge!(metric::QUEUE_IN_FLIGHT.name, "queue" => queue.to_owned());
        gauge.increment(messages as f64);
        Flight(gauge, messages as f64)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.decrement(self.1);
    }
}

//! One attempt: runs the worker's action while it keeps the lease, and commits what became of it.

use std::{sync::Arc, time::Duration};

use renkei_core::{
    Applied, Effect, Error, Kind, Result, metric,
    pattern::repeat_of,
    queue::{Message, Queue},
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
    pub(super) job: Job,
    /// Before it was claimed: the lease lasts at least from then.
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
    pub(super) async fn run(self) {
        let queue = self.queue().name.to_string();
        let _flight = Flight::begin(&queue);
        let outcome = self.handle().await;
        metrics::counter!(metric::QUEUE_ATTEMPTS.name, "queue" => queue.clone(), "outcome" => outcome)
            .increment(1);
        metrics::histogram!(metric::QUEUE_SECONDS.name, "queue" => queue)
            .record(self.claimed.elapsed().as_secs_f64());
    }

    fn queue(&self) -> &Queue {
        &self.definition.queue.about
    }

    fn repeats_safely(&self) -> bool {
        let worker = self.definition.queue.worker.as_deref();
        worker.is_none_or(|worker| repeat_of(worker) != Effect::Write)
    }

    async fn handle(&self) -> &'static str {
        if let Some(bury) = verdict::of_too_many(self.queue(), &self.job) {
            return self.settle(bury).await;
        }
        let ended = match Message::of(&self.job) {
            Ok(message) => self.work(message).await,
            Err(error) => Ended::Done(Err(error)),
        };
        let lease = self.job.lease();
        let change = match ended {
            Ended::Done(Ok(())) => JobChange::Finish { lease, keep_until: None },
            Ended::Done(Err(error)) => {
                let error = verdict::of_doubt(error, self.repeats_safely());
                let change = verdict::of(self.queue(), &self.job, &error, rand::random());
                self.log(&error, &verdict::told(&change));
                change
            }
            Ended::LeaseLost => {
                self.log(&lost(), "whoever has it now goes on");
                return "lost";
            }
            Ended::Stopped => {
                self.log(&verdict::of_stop(), "it goes back to its queue, and this attempt does not count");
                JobChange::Release { lease, run_at: When::Now }
            }
        };
        self.settle(change).await
    }

    async fn work(&self, message: Message) -> Ended {
        let Definition { queue, engine } = &self.definition;
        tokio::select! {
            // What is done is done, whatever else has happened.
            biased;
            result = engine.work(queue, &self.job, message) => Ended::Done(result),
            () = self.keep_lease() => Ended::LeaseLost,
            () = self.end.cancelled() => Ended::Stopped,
        }
    }

    /// Extends the lease for as long as it is held.
    async fn keep_lease(&self) {
        let lease_for = self.queue().lease;
        let every = lease_for / EXTENSIONS;
        let mut until = self.claimed + lease_for;
        loop {
            sleep(every.min(until.saturating_duration_since(Instant::now()))).await;
            let now = Instant::now();
            let extend = JobChange::Extend { lease: self.job.lease(), lease_for };
            match timeout_at(until, self.store.commit(Batch::new().job(extend))).await {
                Ok(Ok(Verdict::Done(_))) => until = now + lease_for,
                Ok(Ok(Verdict::Refused(_))) | Err(_) => return,
                Ok(Err(error)) => {
                    tracing::warn!(queue = %self.queue(), id = %self.job.id, "the lease was not extended: {error}");
                    sleep(TRY_AGAIN).await;
                }
            }
        }
    }

    /// Commits what became of the message. With a store in trouble it tries again for as long as a lease lasts; after
    /// that the message comes again.
    async fn settle(&self, change: JobChange) -> &'static str {
        let outcome = match change {
            JobChange::Finish { .. } => "done",
            JobChange::Retry { .. } => "retry",
            JobChange::Release { .. } => "released",
            _ => "dead",
        };
        let until = Instant::now() + self.queue().lease;
        let mut doubtful = false;
        loop {
            let error = match self.store.commit(Batch::new().job(change.clone())).await {
                Ok(Verdict::Done(_)) => return outcome,
                // The one before has happened after all.
                Ok(Verdict::Refused(Refusal::LeaseLost { .. })) if doubtful => return outcome,
                Ok(Verdict::Refused(refusal)) => {
                    self.log(&refusal.into(), "whoever has it now goes on");
                    return "lost";
                }
                Err(error) => error,
            };
            doubtful |= error.was_applied() == Applied::Unknown;
            if error.kind() == Kind::Invalid || Instant::now() + TRY_AGAIN >= until {
                self.log(&error, "what became of it is not kept: it comes again");
                return "lost";
            }
            sleep(TRY_AGAIN).await;
        }
    }

    fn log(&self, error: &Error, then: &str) {
        let (id, attempt) = (self.job.id, self.job.attempts);
        let (kind, detail) = (error.kind().as_str(), error.detail_text());
        tracing::warn!(queue = %self.queue(), %id, attempt, kind, detail, "{error}; {then}");
    }
}

fn lost() -> Error {
    Error::new(Kind::Conflict, "the lease was lost, and the work was stopped").applied(Applied::Unknown)
}

/// A message that is worked on.
struct Flight(metrics::Gauge);

impl Flight {
    fn begin(queue: &str) -> Self {
        let gauge = metrics::gauge!(metric::QUEUE_IN_FLIGHT.name, "queue" => queue.to_owned());
        gauge.increment(1.0);
        Flight(gauge)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

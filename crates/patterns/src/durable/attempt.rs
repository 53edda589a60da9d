//! One attempt at a run: from the claim of its job until it has ended, or is left to somebody else.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use renkei_core::{
    Applied, CallContext, Error, Kind, Result, Value,
    ask::Asking,
    clock::Timestamp,
    store::{Batch, CellExpected, Job, JobChange, JobError, Lease, NewCell, OnDead, Store, Verdict, When},
    task::Status,
    tool::ToolResult,
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    asking::{Asked, Conversation, Round},
    beside::Reports,
    history::History,
    host::HostOptions,
    journal::{RunJournal, WAITING},
    record::{self, CLAIMED, ENDED, Started},
    scribe::{Scribe, Trouble},
    stream,
    task::{ASKS, CANCEL, Kept, RESULT, TASK},
};
use crate::engine::Engine;

/// The pause after a store that was in trouble; it doubles with every attempt, up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// An attempt at a run.
pub(super) struct Attempt {
    pub(super) store: Arc<dyn Store>,
    pub(super) engine: Arc<Engine>,
    pub(super) options: Arc<HostOptions>,
    pub(super) job: Job,
    pub(super) lease: Lease,
    /// Until then it is ours, if the store says nothing else.
    pub(super) claimed: Instant,
}

/// What is known of a run that is taken up.
#[derive(Clone, Copy, Debug)]
struct SoFar {
    has_done: bool,
    has_asked: bool,
    /// With the time that answers took.
    deadline: Timestamp,
}

/// How an attempt ended.
pub(super) enum End {
    /// The run has.
    Ended(ToolResult),
    /// It goes on when it is answered.
    Asks(Round),
    /// It goes on elsewhere.
    Left,
    Trouble(Trouble),
}

impl Attempt {
    pub(super) fn new(
        store: &Arc<dyn Store>,
        engine: Arc<Engine>,
        options: &Arc<HostOptions>,
        job: Job,
    ) -> Self {
        let lease = job.lease();
        Attempt {
            store: store.clone(),
            engine,
            options: options.clone(),
            job,
            lease,
            claimed: Instant::now(),
        }
    }

    pub(super) async fn run(self, stop: CancellationToken) {
        let payload = record::read(&self.job.payload);
        let name =
            |key| payload.as_ref().ok().and_then(|payload| payload.get(key)?.as_str().map(str::to_owned));
        let (Some(run), task) = (name("run"), name("task")) else {
            return self.bury(None, &record::corrupt("the job names no run")).await;
        };
        match History::read(&*self.store, &run).await {
            Ok(history) if history.has_ended => self.commit(self.finish(Batch::new())).await,
            Ok(history) => self.work(&run, task.as_deref(), history, stop).await,
            // Another Renkei may know what to make of it: this one keeps its hands off.
            Err(error) if error.kind() == Kind::Internal => self.bury(task.as_deref(), &error).await,
            Err(error) => self.pause(&error).await,
        }
    }

    async fn work(&self, run: &str, task: Option<&str>, mut history: History, stop: CancellationToken) {
        let (orders, received) = mpsc::channel(WAITING);
        let first = Arc::<Mutex<Vec<_>>>::default();
        let closed = CancellationToken::new();
        let place = (self.store.clone(), stream(run), self.lease);
        let mut scribe = Scribe::new(place, history.version, received, first.clone(), closed.clone());
        if let Err(trouble) = self.announce(&mut scribe, history.claims).await {
            return self.leave(&mut scribe, Some(trouble)).await;
        }
        let known = std::mem::take(&mut history.steps);
        let asked = std::mem::take(&mut history.asked);
        let so_far = SoFar {
            has_done: !known.is_empty(),
            has_asked: asked.rounds > 0,
            deadline: history.started.deadline.after(asked.paused(self.store.now())),
        };
        let limits = (history.bytes, self.options.journal_bytes);
        let journal = Arc::new(RunJournal::new(known, (orders, first), limits));
        let end = match self.obstacle(&history.started, so_far, task).await {
            Some(error) => End::Ended(self.engine.refused(&history.started.tool, error)),
            None => {
                let parts = (&mut scribe, &journal, &closed);
                let left = so_far.deadline.since(self.store.now());
                self.act((run, task), (history.started, asked, left), parts, stop).await
            }
        };
        match end {
            End::Ended(result) => self.conclude(&mut scribe, task, result).await,
            End::Asks(round) => self.suspend(&mut scribe, task, &round).await,
            End::Left => self.leave(&mut scribe, None).await,
            End::Trouble(trouble) => self.leave(&mut scribe, Some(trouble)).await,
        }
    }

    /// Says in the stream that this process has it now.
    async fn announce(&self, scribe: &mut Scribe, claims: u32) -> Result<(), Trouble> {
        let value = Value::from([
            ("worker", Value::from(self.options.worker.as_str())),
            ("attempt", i64::from(self.job.attempts).into()),
        ]);
        let event = record::event(format!("claim#{claims}"), CLAIMED, &value);
        scribe
            .commit(Batch::new(), vec![event])
            .await?
            .map(drop)
            .map_err(|refusal| Trouble::Store(refusal.into()))
    }

    /// Why the run must not go on.
    async fn obstacle(&self, started: &Started, so_far: SoFar, task: Option<&str>) -> Option<Error> {
        // What was recorded is done, and more may be.
        let applied = if so_far.has_done { Applied::Unknown } else { Applied::No };
        let tool = &started.tool;
        if self.is_to_end(task).await {
            return Some(cancelled().applied(applied));
        }
        if self.store.now() >= so_far.deadline {
            let message = "the time for the whole run was used up while nobody worked on it";
            return Some(
                Error::new(Kind::Timeout, message).applied(applied).retry(renkei_core::Retry::Never),
            );
        }
        if self.job.attempts > self.options.attempts {
            let message = format!(
                "the server was stopped {} times in the middle of this run (`server.limits.run_attempts` allows {}): it is given up",
                self.job.attempts - 1,
                self.options.attempts
            );
            return Some(Error::internal(message).applied(applied));
        }
        let message = match self.engine.definition(tool) {
            None => format!("the tool `{tool}` was removed from the config while this run was under way"),
            // Nothing was done yet, and nobody was told what would be: it runs as the config says now.
            Some(_) if !so_far.has_done && !so_far.has_asked => return None,
            Some(definition) if definition == started.definition => return None,
            Some(_) => format!(
                "the tool `{tool}` was changed in the config while this run was under way: what its steps did stays, and the rest was not done; `renkei run show` says how far it came"
            ),
        };
        Some(Error::new(Kind::Conflict, message).applied(applied))
    }

    /// Runs the action, beside everything that keeps the run alive.
    async fn act(
        &self,
        (run, task): (&str, Option<&str>),
        (started, asked, left): (Started, Asked, Duration),
        (scribe, journal, closed): (&mut Scribe, &Arc<RunJournal>, &CancellationToken),
        stop: CancellationToken,
    ) -> End {
        let reports = Arc::new(Reports::default());
        let limits = self.engine.ask_limits();
        let limit = limits.time;
        let conversation = Conversation::new(started.abilities, asked, limits.clone(), self.store.now());
        let conversation = Arc::new(conversation);
        let cx = CallContext {
            start: Some(started.start(run)),
            asking: Asking::Live { asker: conversation.clone(), limit },
            ..CallContext::new(Instant::now() + left, Arc::new(started.principal.clone()))
        };
        let cancel = cx.cancel.clone();
        let action = self.engine.attempt(
            cx,
            (&started.tool, left),
            started.input.clone(),
            reports.clone(),
            journal.clone(),
        );
        let mut writing = std::pin::pin!(scribe.write());
        let mut action = std::pin::pin!(action);
        let mut wish = std::pin::pin!(self.wish(task));
        let mut is_cancelled = false;
        let mut draining = std::pin::pin!(async {
            stop.cancelled().await;
            // What is still under way after that is left in doubt.
            let _ = timeout(self.options.drain, journal.drain()).await;
        });
        let mut held = std::pin::pin!(self.hold());
        let mut telling = std::pin::pin!(self.tell(task, &reports));
        let end = loop {
            tokio::select! {
                biased;
                written = &mut writing => break End::Trouble(written.err().unwrap_or(Trouble::Lost)),
                result = &mut action => break self.of_action(&started.tool, result, &conversation),
                () = &mut held => break End::Trouble(Trouble::Lost),
                () = &mut draining => break End::Left,
                () = &mut wish, if !is_cancelled => {
                    is_cancelled = true;
                    cancel.cancel();
                }
                () = &mut telling => {}
            }
        };
        journal.close();
        closed.cancel();
        // What is being written is written to its end, so that the next commit knows where the stream ends.
        match end {
            End::Trouble(trouble) => End::Trouble(trouble),
            end => match writing.await {
                Ok(()) => end,
                Err(trouble) => End::Trouble(trouble),
            },
        }
    }

    /// The run has ended: its result, the end of its task and of its job are one commit.
    pub(super) async fn conclude(&self, scribe: &mut Scribe, task: Option<&str>, result: ToolResult) {
        let mut batch = self.finish(Batch::new());
        let result = self.fitting(result);
        if let Some(id) = task {
            match self.concluded(id, &result).await {
                Ok(Some(kept)) => {
                    let stored = NewCell {
                        expires: Some(When::At(kept.ends())),
                        ..NewCell::new(record::record(&record::of_tool_result(&result)))
                    };
                    batch = batch
                        .set(TASK, id, CellExpected::Any, kept.cell())
                        .set(RESULT, id, CellExpected::Any, stored)
                        .delete(CANCEL, id, CellExpected::Any)
                        .delete(ASKS, id, CellExpected::Any);
                }
                // Its time is over: nobody may ask for it any more.
                Ok(None) => {}
                Err(error) => return self.pause(&error).await,
            }
        }
        let error = result.error.as_ref().map(record::of_error);
        let value = Value::from([("error", Value::from(error))]);
        let event = record::event("end".to_owned(), ENDED, &value);
        match scribe.commit(batch, vec![event]).await {
            Ok(Ok(_)) => {}
            Ok(Err(refusal)) => self.pause(&refusal.into()).await,
            Err(Trouble::Lost) => self.lost(),
            Err(Trouble::Store(error)) => self.pause(&error).await,
        }
    }

    async fn concluded(&self, id: &str, result: &ToolResult) -> Result<Option<Kept>> {
        let Some(cell) = self.store.cell(TASK, id).await? else { return Ok(None) };
        let mut kept = Kept::of_cell(&cell)?;
        kept.updated = self.store.now();
        kept.status = match &result.error {
            Some(error) if error.protocol_code().is_some() => Status::Failed,
            Some(error) if error.kind() == Kind::Cancelled => Status::Cancelled,
            _ => Status::Completed,
        };
        kept.message = match (&result.error, kept.status) {
            (Some(error), Status::Cancelled | Status::Failed) => Some(error.to_string()),
            _ => None,
        };
        Ok(Some(kept))
    }

    /// A result that is larger than may be stored is an error: the run has done what it does.
    fn fitting(&self, result: ToolResult) -> ToolResult {
        let (bytes, limit) = (record::of_tool_result(&result).to_json().len(), self.options.result_bytes);
        if bytes <= limit {
            return result;
        }
        let message = format!(
            "keep the result, which has {bytes} bytes: `server.limits.task_result` is {limit}; ask for less"
        );
        let error = Error::internal(message).applied(Applied::Yes);
        ToolResult {
            content: vec![renkei_core::tool::Content::Text(error.to_string())],
            structured: None,
            error: Some(error),
        }
    }

    /// Somebody else takes it up, at once or after a pause.
    async fn leave(&self, scribe: &mut Scribe, trouble: Option<Trouble>) {
        match trouble {
            None => {
                let release = JobChange::Release { lease: self.lease, run_at: When::Now };
                // What was cut off before it was left goes with it.
                if let Err(trouble) = scribe.commit(Batch::new().job(release), Vec::new()).await {
                    tracing::warn!(job = %self.job.id, "a run is not released, and waits for the end of its lease: {}", trouble.error());
                }
            }
            Some(Trouble::Lost) => self.lost(),
            Some(Trouble::Store(error)) => self.pause(&error).await,
        }
    }

    pub(super) fn lost(&self) {
        tracing::warn!(job = %self.job.id, "the lease of a run is lost: it goes on elsewhere, and nothing of it here");
    }

    /// The store was in trouble: later.
    pub(super) async fn pause(&self, error: &Error) {
        tracing::error!(job = %self.job.id, detail = error.detail_text(), "a run cannot go on, and is tried again later: {error}");
        let doubled = PAUSE.saturating_mul(2_u32.saturating_pow(self.job.attempts.min(16)));
        let run_at = When::After(doubled.min(LONGEST_PAUSE));
        let error = JobError::new(error.kind().as_str(), error.to_string());
        self.commit(Batch::new().job(JobChange::Retry { lease: self.lease, run_at, error })).await;
    }

    /// What cannot be read is put aside, and stops nobody else.
    async fn bury(&self, task: Option<&str>, error: &Error) {
        tracing::error!(job = %self.job.id, detail = error.detail_text(), "a run is put aside: {error}");
        let (lease, on_dead) = (self.lease, OnDead::Skip);
        let cause = JobError::new(error.kind().as_str(), error.to_string());
        let mut batch = Batch::new().job(JobChange::Bury { lease, error: cause, on_dead });
        if let Some(id) = task
            && let Ok(Some(cell)) = self.store.cell(TASK, id).await
            && let Ok(mut kept) = Kept::of_cell(&cell)
        {
            kept.status = Status::Failed;
            kept.updated = self.store.now();
            kept.message = Some(error.to_string());
            let result = self.engine.refused(&kept.tool, error.clone().protocol(-32603));
            let stored = NewCell {
                expires: Some(When::At(kept.ends())),
                ..NewCell::new(record::record(&record::of_tool_result(&result)))
            };
            batch = batch.set(TASK, id, CellExpected::Any, kept.cell()).set(
                RESULT,
                id,
                CellExpected::Any,
                stored,
            );
        }
        self.commit(batch).await;
    }

    fn finish(&self, batch: Batch) -> Batch {
        batch.job(JobChange::Finish { lease: self.lease, keep_until: None })
    }

    async fn commit(&self, batch: Batch) {
        match self.store.commit(batch).await {
            Ok(Verdict::Done(_)) => {}
            Ok(Verdict::Refused(_)) => self.lost(),
            // Its lease ends, and somebody takes it up.
            Err(error) => tracing::error!(job = %self.job.id, "a run is left as it is: {error}"),
        }
    }
}

pub(super) fn cancelled() -> Error {
    Error::new(Kind::Cancelled, "the task was cancelled")
}

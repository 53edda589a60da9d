//! What every run from outside has in common: its place under the limit, its deadline, its end when nobody
//! waits any more, its line in the log, and that a fault in it stays inside.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use renkei_core::{
    Applied, CallContext, Effect, Error, Kind, Outcome, Pattern, Position, Result, Retry, RunContext, Value,
    audit, run::ProgressSink,
};
use tokio::{sync::SemaphorePermit, time::Instant};
use tracing::{Instrument, debug, error, field::display, info_span, warn};

use super::{
    Engine,
    rounds::{self, Subject},
    systems::RunSystems,
};

/// One run from outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job<'a> {
    pub(super) measures: &'a audit::Measures,
    pub(super) name: &'a str,
    /// The strongest one that it can have.
    pub(super) effect: Effect,
    /// The whole.
    pub(super) timeout: Duration,
    /// What the audit says of the arguments.
    pub(super) shown: audit::Arguments,
}

impl Job<'_> {
    fn unknown(&self) -> Applied {
        if self.effect == Effect::Read { Applied::No } else { Applied::Unknown }
    }

    /// Runs to its end, a panic included, and logs how it went; the audit has its line even if this is dropped.
    /// What it left half-done is dropped with it.
    pub(super) async fn guarded<T>(
        &self,
        cx: &CallContext,
        arguments: &Value,
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.guarded_as(cx, arguments, run, |_| None).await
    }

    /// The same where what it gave may say that it failed.
    pub(super) async fn guarded_as<T>(
        &self,
        cx: &CallContext,
        arguments: &Value,
        run: impl Future<Output = Result<T>>,
        failure: impl Fn(&T) -> Option<Error>,
    ) -> Result<T> {
        let (kind, name, client) = (self.measures.kind(), self.name, cx.client.map(display));
        let span =
            info_span!("run", kind, name, principal = &*cx.principal.name, client, trace = cx.trace.id());
        let record = audit::Record::begin(self.measures, name, self.effect, cx, (self.shown, arguments));
        let start = Instant::now();
        // In a box: each wrapper would hold the whole of it a second time, and it moves with them.
        let run = Box::pin(run);
        // A fault in one run ends this run only.
        let result = AssertUnwindSafe(run).catch_unwind().instrument(span.clone()).await;
        let result = result.unwrap_or_else(|panic| Err(self.of_panic(&*panic)));
        let _entered = span.entered();
        let ms = start.elapsed().as_millis() as u64;
        match &result {
            Ok(value) => match failure(value) {
                None => debug!(ms, "done"),
                Some(error) => log(&error, ms),
            },
            Err(error) if error.is_suspended() => debug!(ms, "waits for answers"),
            Err(error) => log(error, ms),
        }
        let failed = result.as_ref().map_or_else(|error| Some(error.clone()), &failure);
        record.end(failed.as_ref());
        result
    }

    fn of_panic(&self, panic: &(dyn std::any::Any + Send)) -> Error {
        let message = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Error::internal("the call hit a fault in Renkei")
            .applied(self.unknown())
            .detail(message.unwrap_or("a panic without a message"))
    }
}

impl Engine {
    /// A place under the limit on runs at the same time, or why there is none.
    pub(super) fn place(&self) -> Result<SemaphorePermit<'_>> {
        self.permits.try_acquire().map_err(|_| {
            let limit = self.options.concurrent_calls;
            let message = format!("this server runs `{limit}` calls already, its limit");
            Error::new(Kind::RateLimited, message).retry(Retry::After(Duration::from_secs(1)))
        })
    }

    /// The context of a run.
    pub(super) fn context(
        &self,
        job: &Job<'_>,
        mut cx: CallContext,
        progress: Option<Arc<dyn ProgressSink>>,
    ) -> RunContext {
        cx.deadline = cx.deadline.min(Instant::now() + job.timeout);
        let systems = RunSystems(self.supervisor.clone());
        RunContext::new(cx, Arc::new(systems), progress).keeping(self.store().cloned())
    }

    /// Runs `run` for a call that may be one of several: with the answers that it brought, and, where more are needed,
    /// to the questions.
    pub(super) async fn in_rounds<T, F: Future<Output = Result<T>>>(
        &self,
        job: &Job<'_>,
        mut cx: CallContext,
        arguments: &Value,
        run: impl FnOnce(CallContext) -> F,
    ) -> Result<T> {
        let caller = cx.principal.clone();
        let subject = Subject {
            kind: job.measures.kind(),
            name: job.name,
            caller: &caller,
            arguments,
            effect: job.effect,
        };
        let Some(session) = self.rounds.begin(subject, &mut cx, self.store(), rounds::now_ms()).await? else {
            return run(cx).await;
        };
        run(cx).await.map_err(|error| self.rounds.end(subject, &session, error, rounds::now_ms()))
    }

    /// Runs an action until its deadline, or until nobody waits for it any more.
    pub(super) async fn act(
        &self,
        job: &Job<'_>,
        cx: &RunContext,
        action: &dyn Pattern,
        input: Value,
    ) -> Result<Outcome> {
        self.finish(job, cx, action.run(cx, input)).await
    }

    /// The same with a list that is read from a position on, as far as a result has room.
    pub(super) async fn go_on(
        &self,
        job: &Job<'_>,
        cx: &RunContext,
        action: &dyn Pattern,
        input: Value,
        from: Position,
    ) -> Result<Outcome> {
        self.finish(job, cx, action.resume(cx, input, from, self.options.result_bytes)).await
    }

    async fn finish(
        &self,
        job: &Job<'_>,
        cx: &RunContext,
        run: impl Future<Output = Result<Outcome>>,
    ) -> Result<Outcome> {
        // The run goes first: what ends inside by itself knows better what happened.
        tokio::select! {
            biased;
            outcome = cx.in_time(run) => outcome.unwrap_or_else(|| {
                let message = "the time for the whole call was used up";
                Err(Error::new(Kind::Timeout, message).applied(job.unknown()))
            }),
            () = cx.call.cancel.cancelled() => {
                let message = "nobody waits for the result any more";
                Err(Error::new(Kind::Cancelled, message).applied(job.unknown()))
            }
        }
    }
}

fn log(error: &Error, ms: u64) {
    let (kind, detail) = (error.kind().as_str(), error.detail_text());
    let applied = error.was_applied().as_str();
    match error.kind() {
        Kind::Internal => error!(ms, kind, applied, detail, "{error}"),
        Kind::Unavailable | Kind::Timeout | Kind::Unauthenticated => {
            warn!(ms, kind, applied, detail, "{error}")
        }
        _ => debug!(ms, kind, applied, detail, "{error}"),
    }
}

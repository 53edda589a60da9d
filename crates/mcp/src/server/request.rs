//! What every request that runs something has in common: its context, its place among those that run at once,
//! its end when the client is gone, its line in the log, and that a panic in it is an answer, too.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use renkei_core::{CallContext, Error, Kind, Result, Retry, ask::Asking, audit};
use rmcp::{ErrorData, RoleServer, model::InputRequiredResult, service::RequestContext};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    Server,
    ask::{self, Again},
    call::{begin, client, milliseconds, principal, taking_back},
    handler::is_modern,
};

impl Server {
    /// Runs `run` for one request of which nobody is asked anything, such as `resources/list`.
    pub(super) async fn answer<T, F>(
        &self,
        method: &'static str,
        name: &str,
        timeout: Duration,
        context: &RequestContext<RoleServer>,
        run: impl FnOnce(CallContext) -> F,
    ) -> Result<T, ErrorData>
    where
        F: Future<Output = Result<T>>,
    {
        self.carry_out((method, name, timeout), Asking::Nobody, context, run)
            .await
            .map_err(|error| failure(&error))
    }

    /// Runs `run` for one request that may need answers: a modern client gets questions instead of the result.
    pub(super) async fn answer_or_ask<T, F>(
        &self,
        what: (&'static str, &str, Duration),
        again: Again,
        context: &RequestContext<RoleServer>,
        run: impl FnOnce(CallContext) -> F,
    ) -> Result<Answered<T>, ErrorData>
    where
        F: Future<Output = Result<T>>,
    {
        let (asking, withdrawn) = self.asking(again, context)?;
        let run = self.carry_out(what, asking, context, run);
        match taking_back(withdrawn, &context.peer, run).await {
            Ok(done) => Ok(Answered::Done(done)),
            Err(error) => match error.asked() {
                Some(asked) => ask::required(asked).map(Answered::Asked),
                None => Err(ask::lacking(&error, is_modern(context)).unwrap_or_else(|| failure(&error))),
            },
        }
    }

    /// Dropping the future ends it, and so does the request's token.
    async fn carry_out<T, F>(
        &self,
        (method, name, timeout): (&'static str, &str, Duration),
        asking: Asking,
        context: &RequestContext<RoleServer>,
        run: impl FnOnce(CallContext) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let started = Instant::now();
        let (span, trace) = begin(method, name, context, self.passes_baggage);
        let cx = CallContext {
            trace,
            asking,
            client: client(context),
            ..CallContext::new(started + timeout, principal(context))
        };
        let result = match self.calls.try_acquire() {
            Ok(_permit) => {
                // Made inside the guarded future, so that a panic before its first await counts.
                let run = AssertUnwindSafe(async { run(cx.clone()).await }.instrument(span.clone()));
                let _cancel = cx.cancel.clone().drop_guard();
                tokio::select! {
                    biased;
                    () = context.ct.cancelled() => {
                        Err(Error::new(Kind::Cancelled, "nobody waits for the answer any more"))
                    }
                    outcome = run.catch_unwind() => outcome.unwrap_or_else(|_| {
                        let trace = cx.trace.id();
                        Err(Error::internal(format!(
                            "the server hit a fault; its operator finds the cause in the log under `{trace}`"
                        )))
                    }),
                }
            }
            Err(_) => {
                let limit = self.limits.calls;
                let error = Error::unavailable(format!(
                    "the server runs as many calls as it may (`{limit}`); try again in a moment"
                ));
                // Which name of the config it would have been is not known yet.
                audit::refused(kind(method), name, false, &cx, &error);
                Err(error)
            }
        };
        let error = result.as_ref().err().filter(|error| !error.is_suspended());
        if error.is_some() {
            span.record("otel.status_code", "error");
        }
        // For the operator there is the audit.
        tracing::debug!(
            method,
            name,
            principal = &*cx.principal.name,
            outcome = error.map_or("ok", |error| error.kind().as_str()),
            duration_ms = milliseconds(started.elapsed()),
            trace = cx.trace.id(),
            error = error.map(tracing::field::display),
            detail = error.and_then(Error::detail_text),
            "request"
        );
        result
    }
}

/// How a request ended that may need answers.
pub(super) enum Answered<T> {
    Done(T),
    Asked(InputRequiredResult),
}

/// The audit's word for what a method asks for.
fn kind(method: &str) -> &'static str {
    match method {
        "prompts/get" => "prompt",
        "completion/complete" => "completion",
        _ => "resource",
    }
}

/// The error of the protocol for ours. What the client asked for wrongly, or is not there, is its own to mend.
pub(super) fn failure(error: &Error) -> ErrorData {
    let mut data = serde_json::json!({ "kind": error.kind().as_str() });
    if let Retry::After(wait) = error.retry_advice() {
        data["retryAfterMs"] = milliseconds(wait).into();
    }
    let (text, data) = (error.to_string(), Some(data));
    match error.kind() {
        Kind::Invalid | Kind::NotFound => ErrorData::invalid_params(text, data),
        _ => ErrorData::internal_error(text, data),
    }
}

//! What every request that runs something has in common: its context, its place among those that run at once,
//! its end when the client is gone, its line in the log, and that a panic in it is an answer, too.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use renkei_core::{CallContext, Error, Kind, Result, Retry, audit};
use rmcp::{ErrorData, RoleServer, service::RequestContext};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    Server,
    call::{begin, milliseconds, principal},
};

impl Server {
    /// Runs `run` for one request, such as `resources/read` of `name`. Dropping the future ends it, and so does
    /// the request's token.
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
        let started = Instant::now();
        let (span, trace) = begin(method, name, context, self.passes_baggage);
        let cx = CallContext { trace, ..CallContext::new(started + timeout, principal(context)) };
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
        let error = result.as_ref().err();
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
        result.map_err(|error| failure(&error))
    }
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

//! One span and one line in the log for each call, and a span id of its own in the trace.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{Call, CallContext, Kind, Reply, Request, Result, metric};
use tokio::time::Instant;
use tracing::{Instrument, Span, debug, debug_span, field, warn};

pub(crate) struct Trace {
    system: Arc<str>,
    inner: Arc<dyn Call>,
}

impl Trace {
    pub(crate) fn new(system: Arc<str>, inner: Arc<dyn Call>) -> Self {
        Trace { system, inner }
    }

    fn measure(&self, took: Duration, result: &Result<Reply>) {
        let outcome = result.as_ref().map_or_else(|error| error.kind().as_str(), |_| "ok");
        let system = self.system.to_string();
        metrics::histogram!(metric::SYSTEM_SECONDS.name, "system" => system.clone())
            .record(took.as_secs_f64());
        metrics::counter!(metric::SYSTEM_CALLS.name, "system" => system, "outcome" => outcome).increment(1);
    }
}

/// Says in the span of the call how often it was tried.
pub(crate) fn record_attempts(attempts: u32) {
    Span::current().record("attempts", attempts);
}

#[async_trait]
impl Call for Trace {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let span = debug_span!(
            "call",
            otel.kind = "client",
            otel.status_code = field::Empty,
            system = &*self.system,
            op = &*request.op.label,
            trace = cx.trace.id(),
            attempts = field::Empty,
        );
        let trace = cx.trace.within(&span);
        let cx = CallContext { trace, ..cx.clone() };
        async {
            let start = Instant::now();
            let result = self.inner.call(&cx, request).await;
            self.measure(start.elapsed(), &result);
            let ms = start.elapsed().as_millis() as u64;
            match &result {
                Ok(reply) => debug!(ms, notices = reply.notices.len(), "answered"),
                Err(error) => {
                    Span::current().record("otel.status_code", "error");
                    let (kind, detail) = (error.kind().as_str(), error.detail_text());
                    match error.kind() {
                        Kind::Unavailable | Kind::Timeout | Kind::Internal => {
                            warn!(ms, kind, applied = ?error.was_applied(), detail, "failed: {error}");
                        }
                        _ => debug!(ms, kind, applied = ?error.was_applied(), detail, "failed: {error}"),
                    }
                }
            }
            result
        }
        .instrument(span)
        .await
    }
}

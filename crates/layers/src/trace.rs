//! One span and one line in the log for each call, and a span id of its own in the trace; counts them.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{Call, CallContext, Kind, Reply, Request, Result};
use tokio::time::Instant;
use tracing::{Instrument, Level, Span, debug, debug_span, field, span_enabled, warn};

use crate::metrics::Metrics;

pub(crate) struct Trace<C> {
    system: Arc<str>,
    metrics: Arc<Metrics>,
    inner: C,
}

impl<C: Call> Trace<C> {
    pub(crate) fn new(system: Arc<str>, metrics: Arc<Metrics>, inner: C) -> Self {
        Trace { system, metrics, inner }
    }
}

/// Says in the span of the call how often it was tried.
pub(crate) fn record_attempts(attempts: u32) {
    // To ask for the span around this costs more than to know that there is none.
    if span_enabled!(Level::DEBUG) {
        Span::current().record("attempts", attempts);
    }
}

#[async_trait]
impl<C: Call> Call for Trace<C> {
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
            let took = start.elapsed();
            self.metrics.seconds.record(took);
            self.metrics.ended(&result);
            let ms = took.as_millis() as u64;
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

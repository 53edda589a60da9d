//! Traces for a collector: our `tracing` spans, sampled, in bounded batches.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use renkei_config::OtlpConfig;
use renkei_core::trace::{Trace, Tracer};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{endpoint, sender::Sender};

/// Spans of one request to the collector.
const BATCH: usize = 512;

pub(super) fn provider(otlp: &OtlpConfig, resource: Resource) -> Result<SdkTracerProvider, String> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Sender::new("traces", otlp.endpoint.scheme() == "https", otlp.timeout)?)
        .with_endpoint(endpoint(otlp, "traces"))
        .with_timeout(otlp.timeout)
        .with_headers(
            otlp.headers.iter().map(|(name, value)| (name.to_string(), value.expose().to_owned())).collect(),
        )
        .build()
        .map_err(|error| format!("`server.telemetry.otlp` cannot be used: {error}"))?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(otlp.queue)
        .with_max_export_batch_size(BATCH.min(otlp.queue))
        .build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    // What a caller decided holds: half a trace is worth nothing.
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(otlp.sample.value)));
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(sampler)
        .with_span_processor(processor)
        .build())
}

/// Gives spans the ids under which they are sent.
pub(super) struct Recorded;

impl Tracer for Recorded {
    fn traceparent(&self, span: &Span, parent: Option<&Trace>) -> Option<String> {
        if let Some(parent) = parent.and_then(remote) {
            span.set_parent(Context::new().with_remote_span_context(parent)).ok()?;
        }
        let context = span.context();
        let own = context.span().span_context().clone();
        let (trace, span, flags) = (own.trace_id(), own.span_id(), own.trace_flags().to_u8());
        own.is_valid().then(|| format!("00-{trace}-{span}-{flags:02x}"))
    }
}

fn remote(trace: &Trace) -> Option<SpanContext> {
    let state = trace.state.as_deref().and_then(|state| state.parse::<TraceState>().ok());
    let flags = u8::from_str_radix(trace.parent.get(53..)?, 16).ok()?;
    Some(SpanContext::new(
        TraceId::from_hex(trace.id()).ok()?,
        SpanId::from_hex(trace.span_id()).ok()?,
        TraceFlags::new(flags),
        true,
        state.unwrap_or_default(),
    ))
}

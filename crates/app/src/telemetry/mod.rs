//! What the process tells of itself: its log, its audit, its metrics, its traces.

mod measures;
mod meter;
mod sender;
mod tracer;

use std::{fs::OpenOptions, path::Path, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider, trace::SdkTracerProvider};
use renkei_config::{AuditConfig, OtlpConfig, ServerConfig};
use renkei_core::trace;
use renkei_http::Metrics;
use tokio::task::JoinHandle;

use self::measures::Measures;
use crate::logging::{Aside, Log};

/// How long what is left to tell may take at the end.
const FLUSH_TIME: Duration = Duration::from_secs(5);

/// What runs for as long as the process tells something.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    page: Option<PrometheusHandle>,
    upkeep: Option<JoinHandle<()>>,
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
}

impl Telemetry {
    /// Starts the log, and what the config asks for beside it. Before anything is measured or logged; in a runtime.
    pub(crate) fn start(server: &ServerConfig, base_dir: &Path, log: Log) -> Result<Self, String> {
        let mut telemetry = Telemetry::default();
        let mut aside = Aside { audit: audit_file(&server.audit, base_dir)?, traces: None };
        let otlp = server.telemetry.otlp.as_ref();
        if let Some(otlp) = otlp.filter(|otlp| otlp.traces) {
            let provider = tracer::provider(otlp, resource(server))?;
            aside.traces = Some(provider.tracer("renkei"));
            telemetry.traces = Some(provider);
            trace::record_with(Box::new(tracer::Recorded));
        }
        log.start(aside)?;
        if let Some(otlp) = otlp.filter(|otlp| otlp.metrics) {
            telemetry.metrics = Some(meter::provider(otlp, resource(server))?);
        }
        let measures = Measures::install(server.metrics.is_some(), telemetry.metrics.as_ref())?;
        telemetry.upkeep = measures.is_on().then(|| tokio::spawn(measures.clone().keep_up()));
        telemetry.page = measures.page;
        Ok(telemetry)
    }

    /// The page for scrapers, if the config asks for one.
    pub(crate) fn page(&self, server: &ServerConfig) -> Option<Metrics> {
        let (page, config) = (self.page.clone()?, server.metrics.as_ref()?);
        let render = move || {
            measures::of_process();
            page.render()
        };
        Some(Metrics { path: config.path.clone(), render: Arc::new(render) })
    }

    /// Sends what is left, as far as that is possible in a few seconds.
    pub(crate) async fn stop(self) {
        if let Some(upkeep) = self.upkeep {
            upkeep.abort();
            let _ = upkeep.await;
        }
        let Telemetry { traces, metrics, .. } = self;
        if traces.is_none() && metrics.is_none() {
            return;
        }
        let (done, waiting) = tokio::sync::oneshot::channel();
        // The providers block. The thread ends with them, or with the process.
        let flush = std::thread::Builder::new().name("flush".into()).spawn(move || {
            // What could not be sent was logged when it failed.
            let _ = traces.map(|traces| traces.shutdown_with_timeout(FLUSH_TIME));
            let _ = metrics.map(|metrics| metrics.shutdown_with_timeout(FLUSH_TIME));
            let _ = done.send(());
        });
        if flush.is_err() || tokio::time::timeout(FLUSH_TIME, waiting).await.is_err() {
            tracing::warn!("some traces and metrics were not sent before the end");
        }
    }
}

/// Who sends. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` are read, too, and count for more than the config.
fn resource(server: &ServerConfig) -> Resource {
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let fallback =
        Resource::builder_empty().with_service_name(server.name.clone()).with_attribute(version).build();
    let environment = Resource::builder_empty()
        .with_detector(Box::new(opentelemetry_sdk::resource::EnvResourceDetector::new()))
        .build();
    let all = fallback.iter().chain(environment.iter());
    let attributes: Vec<_> =
        all.map(|(key, value)| opentelemetry::KeyValue::new(key.clone(), value.clone())).collect();
    Resource::builder_empty().with_attributes(attributes).build()
}

fn audit_file(audit: &AuditConfig, base_dir: &Path) -> Result<Option<std::fs::File>, String> {
    let Some(path) = &audit.file else { return Ok(None) };
    let path = base_dir.join(path);
    let opened = OpenOptions::new().append(true).create(true).open(&path);
    opened.map(Some).map_err(|error| {
        format!(
            "failed to open `{}` (`server.audit.file`): {error}; the folder must exist and be writable",
            path.display()
        )
    })
}

/// The URL of one of a collector's signals.
fn endpoint(otlp: &OtlpConfig, signal: &str) -> String {
    format!("{}/v1/{signal}", otlp.endpoint.as_str().trim_end_matches('/'))
}

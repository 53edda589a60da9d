//! Logs on stderr: stdout belongs to results, and to the protocol with `--stdio`.
//!
//! A line's level is what the operator must do: `error` act now, `warn` act soon, `info` know, `debug` nothing.

use std::{fs::File, io::IsTerminal, sync::Arc};

use opentelemetry_sdk::trace::SdkTracer;
use renkei_core::audit;
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt as _, LevelFilter, Targets, filter_fn},
    fmt,
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// What is logged unless asked: our own lines. The MCP library's at `info` say the same at more length.
pub(crate) const DEFAULT_FILTER: &str = "info,rmcp=warn";
/// The exporters' own lines. What they say of a collector that is down, `telemetry::sender` says once.
const EXPORTERS: &str = "opentelemetry";
/// Where the MCP library says, as an error, that an answer found nobody any more: a client that stopped listening. Nobody must
/// act on it. What goes wrong on our side has lines of our own.
const DEPARTED: &str = "rmcp::service";

/// How lines are written on stderr.
#[derive(Debug)]
pub(crate) struct Log {
    filter: EnvFilter,
    json: bool,
}

/// Where lines and spans go beside stderr.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// Takes the lines of the audit, which stderr then does not have.
    pub(crate) audit: Option<File>,
    pub(crate) traces: Option<SdkTracer>,
}

impl Log {
    /// The error is a sentence about the filter.
    pub(crate) fn new(filter: &str, json: bool) -> Result<Self, String> {
        let parsed = EnvFilter::try_new(filter).map_err(|e| {
            format!(
                "`{filter}` is not a log filter: {e}; write a level such as `info`, or `renkei_mcp=debug`"
            )
        })?;
        // Whoever asks for them gets them.
        let unasked = [EXPORTERS, DEPARTED].into_iter().filter(|target| !filter.contains(target));
        let quiet = unasked.filter_map(|target| format!("{target}=off").parse().ok());
        Ok(Log { filter: quiet.fold(parsed, EnvFilter::add_directive), json })
    }

    /// Starts logging; once in a process.
    pub(crate) fn start(self, aside: Aside) -> Result<(), String> {
        self.subscriber(aside).try_init().map_err(|error| error.to_string())
    }

    fn subscriber(self, aside: Aside) -> impl Subscriber + Send + Sync {
        let audited_apart = aside.audit.is_some();
        let filter = self.filter.and(filter_fn(move |line| !audited_apart || line.target() != audit::TARGET));
        let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
        let lines = if self.json { lines.json().boxed() } else { lines.boxed() };
        // Only layers that are there: one that is `None` filters nothing, and for its sake every span would be made
        // and every line be put together, whatever the others want.
        let mut layers = vec![lines.with_filter(filter).boxed()];
        layers.extend(aside.audit.map(|file| audit_file(file).boxed()));
        layers.extend(aside.traces.map(|tracer| spans(tracer).boxed()));
        tracing_subscriber::registry().with(layers)
    }
}

/// Whatever `--log` says, all lines of the audit, as JSON.
fn audit_file<S: Subscriber + for<'a> LookupSpan<'a>>(file: File) -> impl Layer<S> {
    let lines =
        fmt::layer().json().with_current_span(false).with_span_list(false).with_writer(Arc::new(file));
    lines.with_filter(Targets::new().with_target(audit::TARGET, LevelFilter::INFO))
}

/// Our spans, whatever `--log` says: the sampler decides. Others' would tell of the sending itself.
fn spans<S: Subscriber + for<'a> LookupSpan<'a>>(tracer: SdkTracer) -> impl Layer<S> {
    let spans = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_context_activation(false)
        .with_tracked_inactivity(false)
        .with_location(false)
        .with_threads(false);
    spans.with_filter(Targets::new().with_target("renkei", LevelFilter::DEBUG))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn what_nobody_wants_is_not_made() {
        let quiet = Log::new("warn", false).unwrap().subscriber(Aside::default());
        tracing::subscriber::with_default(quiet, || {
            assert!(tracing::info_span!("run").is_disabled());
            assert!(!tracing::enabled!(target: audit::TARGET, Level::INFO));
            assert!(tracing::enabled!(Level::WARN));
        });
    }
}

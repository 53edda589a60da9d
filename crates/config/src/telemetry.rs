//! `server.metrics`, `server.audit`, `server.telemetry` – what the server tells of itself, and to whom.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use indexmap::IndexMap;
use renkei_core::{Diagnostic, Diagnostics, Node, NodeKind, Secret, audit::Arguments, read::Spanned};
use renkei_derive::FromNode;
use url::Url;

/// Numbers for Prometheus and whoever reads its text format.
#[derive(Clone, Debug, FromNode)]
#[config(check = check_metrics)]
pub struct MetricsConfig {
    /// An address of its own for scrapers and probes: an IP address and a port. There the page needs no key, so it should
    /// be one that only they reach. Without it, the page is on the server's own address, for callers that may call tools.
    pub listen: Option<SocketAddr>,

    /// The path of the page.
    #[config(default = "/metrics")]
    pub path: String,
}

/// The audit: one line in the log for each call, with who, what, the outcome, whether it was applied, and how long it
/// took.
#[derive(Clone, Debug, FromNode)]
pub struct AuditConfig {
    /// A file for these lines, relative to the config's folder: a JSON object a line, appended. They are in the log
    /// otherwise.
    pub file: Option<PathBuf>,

    /// What a line says of a call's arguments.
    #[config(default = "digest")]
    pub arguments: AuditedArguments,
}

/// What a line of the audit says of a call's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromNode)]
pub enum AuditedArguments {
    /// Their SHA-256, which tells whether two calls had the same.
    Digest,
    /// They themselves as JSON, the first 4 KiB.
    Values,
    Nothing,
}

/// What the server sends to a collector of OpenTelemetry, and what it passes on.
#[derive(Clone, Debug, FromNode)]
pub struct TelemetryConfig {
    /// Sends traces and metrics. Nothing is sent without it.
    pub otlp: Option<OtlpConfig>,

    /// Whether the `baggage` that clients send goes on to HTTP systems. Its text is the client's: switch it on where all
    /// clients are your own. `traceparent` and `tracestate` always go on.
    #[config(default = false)]
    pub baggage: bool,
}

/// A collector that takes OTLP over HTTP, as protobuf.
#[derive(Clone, Debug, FromNode)]
#[config(check = check_otlp)]
pub struct OtlpConfig {
    /// Its URL, without `/v1/traces`: `http://localhost:4318`. To take it from where other programs find it, write
    /// `'${env.OTEL_EXPORTER_OTLP_ENDPOINT}'`.
    pub endpoint: Url,

    /// Headers of each request, such as `authorization`.
    #[config(default)]
    pub headers: IndexMap<Arc<str>, Secret>,

    /// Whether traces are sent.
    #[config(default = true)]
    pub traces: bool,

    /// Whether metrics are sent.
    #[config(default = true)]
    pub metrics: bool,

    /// The share of traces that is recorded, from 0 to 1, of those that begin here. A trace that a client began is
    /// recorded if the client says so.
    #[config(default = 1.0)]
    pub sample: Spanned<f64>,

    /// How often metrics are sent.
    #[config(default = "60s")]
    pub interval: Duration,

    /// How long one request to the collector may take.
    #[config(default = "10s")]
    pub timeout: Duration,

    /// Spans that wait to be sent. More are dropped and counted in the log: calls never wait for the collector.
    #[config(default = 2048)]
    pub queue: usize,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        of_nothing()
    }
}

impl Default for AuditConfig {
    fn default() -> Self {
        of_nothing()
    }
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        of_nothing()
    }
}

fn of_nothing<T: renkei_core::FromNode>() -> T {
    let empty = Node { kind: NodeKind::Map(Vec::new()), span: renkei_core::Span::default() };
    T::from_node(&empty, &mut Diagnostics::default()).expect("every key has a default or is optional")
}

impl From<AuditedArguments> for Arguments {
    fn from(shown: AuditedArguments) -> Self {
        match shown {
            AuditedArguments::Digest => Arguments::Digest,
            AuditedArguments::Values => Arguments::Values,
            AuditedArguments::Nothing => Arguments::Nothing,
        }
    }
}

fn check_metrics(metrics: &MetricsConfig, node: &Node, d: &mut Diagnostics) {
    let place = |key: &str| node.get(key).map_or(node.span, |value| value.span);
    let path = &metrics.path;
    let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte));
    if !path.starts_with('/') || path.len() < 2 || path.ends_with('/') || !plain {
        d.push(
            Diagnostic::error(place("path"), format!("`{path}` is not the path of a page"))
                .hint("write one such as `/metrics`: a slash, then letters, digits, `-`, `_` and `.`"),
        );
    } else if ["/mcp", "/health"].iter().any(|taken| path == taken || path.starts_with(&format!("{taken}/")))
    {
        d.push(
            Diagnostic::error(place("path"), format!("`{path}` is taken by the server itself"))
                .hint("leave it out for `/metrics`"),
        );
    }
    if let Some(listen) = metrics.listen
        && !listen.ip().is_loopback()
    {
        d.push(
            Diagnostic::warning(place("listen"), "everybody who reaches this address reads the metrics")
                .hint("let a firewall or the network keep others out, or leave `listen` out: then a key is needed"),
        );
    }
}

fn check_otlp(otlp: &OtlpConfig, node: &Node, d: &mut Diagnostics) {
    let place = |key: &str| node.get(key).map_or(node.span, |value| value.span);
    let url = &otlp.endpoint;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || url.query().is_some() {
        d.push(
            Diagnostic::error(place("endpoint"), "this is not the URL of a collector")
                .hint("write `http://host:4318`; `/v1/traces` and `/v1/metrics` are added"),
        );
    }
    if !(0.0..=1.0).contains(&otlp.sample.value) {
        d.push(
            Diagnostic::error(
                otlp.sample.span,
                format!("`{}` is not a share from 0 to 1", otlp.sample.value),
            )
            .hint("`0.1` records one trace of ten"),
        );
    }
    for name in otlp.headers.keys() {
        if http_name(name) {
            continue;
        }
        d.push(
            Diagnostic::error(place("headers"), format!("`{name}` is not the name of a header"))
                .hint("letters, digits and `-`, such as `authorization`"),
        );
    }
    for (key, good) in [
        ("interval", !otlp.interval.is_zero()),
        ("timeout", !otlp.timeout.is_zero()),
        ("queue", otlp.queue > 0),
    ] {
        if !good {
            d.push(
                Diagnostic::error(place(key), format!("`{key}` is zero, so nothing would get through"))
                    .hint("raise it, or leave it out for its default"),
            );
        }
    }
}

fn http_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

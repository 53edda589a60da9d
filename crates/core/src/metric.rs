//! What is measured: every name, its labels, and what it says. `docs/reference/metrics.md` is made from [`ALL`].
//!
//! Values go through the `metrics` facade, which costs next to nothing until `app` installs a recorder. Every
//! label takes its values from the config or from a fixed list: nothing that a client sends becomes a label.

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    pub name: &'static str,
    pub kind: MetricKind,
    pub labels: &'static [&'static str],
    /// A sentence for the operator.
    pub help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows; ends in `_total`.
    Counter,
    Gauge,
    /// Sorted into [`BUCKETS`].
    Histogram,
}

impl MetricKind {
    /// Prometheus' word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        }
    }
}

/// The upper bounds of all histograms, in seconds: from a lookup in memory to the longest call that one waits for.
pub const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Histogram, labels, help }
}

pub const BUILD: Metric =
    gauge("renkei_build_info", &["version"], "Always 1; the label says which version runs.");
pub const CALLS: Metric = counter(
    "renkei_calls_total",
    &["kind", "name", "outcome"],
    "What was asked of the server, when it was over. `kind` is `tool`, `resource`, `subscription`, `prompt` or \
     `completion`; `name` is the config's, and empty for what it does not have; `outcome` is `ok`, `asked` (it goes on with a later call) or the kind of the error.",
);
pub const CALL_SECONDS: Metric =
    histogram("renkei_call_duration_seconds", &["kind", "name"], "How long these calls took as a whole.");
pub const CALLS_NOW: Metric = gauge("renkei_calls_in_flight", &["kind"], "Calls that run at this moment.");
pub const SYSTEM_CALLS: Metric = counter(
    "renkei_system_calls_total",
    &["system", "outcome"],
    "Operations on systems, each counted once with its repeats. `outcome` is `ok` or the kind of the error.",
);
pub const SYSTEM_SECONDS: Metric = histogram(
    "renkei_system_call_duration_seconds",
    &["system"],
    "How long an operation took, with its repeats and the waits between them.",
);
pub const SYSTEM_UP: Metric = gauge(
    "renkei_system_up",
    &["system"],
    "1 while the system is connected, 0 while it is not, NaN once it has left the config.",
);
pub const SYSTEM_RETRIES: Metric =
    counter("renkei_system_retries_total", &["system"], "Requests that were repeats.");
pub const SYSTEM_REFUSED: Metric = counter(
    "renkei_system_refused_total",
    &["system", "by"],
    "Requests that were not sent: `by` is `breaker`, `rate`, `concurrency` or `retry_budget`.",
);
pub const BREAKER_STATE: Metric =
    gauge("renkei_system_breaker_state", &["system"], "0 while the breaker is closed, 1 half-open, 2 open.");
pub const BREAKER_OPENED: Metric =
    counter("renkei_system_breaker_opened_total", &["system"], "How often the breaker opened.");
pub const SYSTEM_IN_FLIGHT: Metric =
    gauge("renkei_system_requests_in_flight", &["system"], "Requests to the system that are under way.");
pub const CACHE_CALLS: Metric = counter(
    "renkei_system_cache_total",
    &["system", "result"],
    "Calls that may be answered from the cache: `result` is `hit`, `stale` (a new reply is being fetched), `miss` or `joined` (waited for another call that was the same).",
);
pub const CACHE_ENTRIES: Metric =
    gauge("renkei_system_cache_entries", &["system"], "Replies that the cache holds.");
pub const CACHE_BYTES: Metric =
    gauge("renkei_system_cache_bytes", &["system"], "About how much memory they take.");
pub const TEMPLATE_STEPS: Metric = counter(
    "renkei_template_steps_total",
    &[],
    "Steps of templates that are more than a path; one evaluation may take 300,000.",
);
pub const QUEUE_ENQUEUED: Metric = counter(
    "renkei_queue_enqueued_total",
    &["queue"],
    "Messages that this process enqueued; those that joined another one do not count.",
);
pub const QUEUE_ATTEMPTS: Metric = counter(
    "renkei_queue_attempts_total",
    &["queue", "outcome"],
    "Attempts of workers: `done`, `retry` (another one follows), `dead`, `released` (does not count, the process stopped) or \
     `lost` (the lease went to somebody else).",
);
pub const QUEUE_SECONDS: Metric = histogram(
    "renkei_queue_attempt_duration_seconds",
    &["queue"],
    "How long attempts took, from the claim to the commit of what became of them.",
);
pub const QUEUE_IN_FLIGHT: Metric =
    gauge("renkei_queue_in_flight", &["queue"], "Messages that this process works on at this moment.");
pub const QUEUE_MESSAGES: Metric = gauge(
    "renkei_queue_messages",
    &["queue", "state"],
    "Messages in the store: `ready`, `scheduled`, `held` (behind another one with their key), `leased` or `dead`.",
);
pub const QUEUE_OLDEST: Metric = gauge(
    "renkei_queue_oldest_seconds",
    &["queue"],
    "How long the oldest message that is ready waits since it was enqueued; 0 while none is.",
);
pub const QUEUE_LEASES_ENDED: Metric = counter(
    "renkei_queue_leases_ended_total",
    &["queue"],
    "Leases that this process found ended: whoever held them was not heard of any more.",
);
pub const QUEUE_EXPIRED: Metric = counter(
    "renkei_queue_expired_total",
    &["queue"],
    "Messages that this process found dead because nobody began them within their `ttl`.",
);
pub const SESSIONS: Metric =
    gauge("renkei_mcp_sessions", &[], "Sessions of clients that speak MCP before 2026-07-28.");
pub const CONNECTIONS: Metric =
    gauge("renkei_http_connections", &[], "Connections of clients that are open.");
pub const CONNECTIONS_TOTAL: Metric =
    counter("renkei_http_connections_total", &[], "Connections that were accepted.");
pub const REQUESTS: Metric =
    counter("renkei_http_requests_total", &["status"], "Requests that were answered, by HTTP status.");
pub const REFUSALS: Metric = counter(
    "renkei_http_refusals_total",
    &["reason"],
    "Requests that were refused before they reached a tool: `unauthenticated`, `host_not_allowed`, \
     `origin_not_allowed`, `body_too_large` and more.",
);
pub const HANDSHAKES: Metric = counter(
    "renkei_http_handshakes_total",
    &["result"],
    "TLS handshakes: `result` is `ok`, `failed`, `slow` (`server.limits.handshake_time`) or `plain` (a request without \
     TLS).",
);
pub const CUT: Metric = counter(
    "renkei_http_cut_total",
    &["limit"],
    "What was ended because a client was slow or the server stopped: connections, or streams of HTTP/2. `limit` is the key \
     of `server.limits`: `header_time`, `write_pause` or `drain`.",
);
pub const RECEIVED_BYTES: Metric =
    counter("renkei_http_received_bytes_total", &[], "Bytes that clients sent, headers included.");
pub const SENT_BYTES: Metric =
    counter("renkei_http_sent_bytes_total", &[], "Bytes that were sent to clients, headers included.");

/// All of them, in the order of the reference.
pub const ALL: &[Metric] = &[
    BUILD,
    CALLS,
    CALL_SECONDS,
    CALLS_NOW,
    SYSTEM_CALLS,
    SYSTEM_SECONDS,
    SYSTEM_UP,
    SYSTEM_RETRIES,
    SYSTEM_REFUSED,
    BREAKER_STATE,
    BREAKER_OPENED,
    SYSTEM_IN_FLIGHT,
    CACHE_CALLS,
    CACHE_ENTRIES,
    CACHE_BYTES,
    TEMPLATE_STEPS,
    QUEUE_ENQUEUED,
    QUEUE_ATTEMPTS,
    QUEUE_SECONDS,
    QUEUE_IN_FLIGHT,
    QUEUE_MESSAGES,
    QUEUE_OLDEST,
    QUEUE_LEASES_ENDED,
    QUEUE_EXPIRED,
    SESSIONS,
    CONNECTIONS,
    CONNECTIONS_TOTAL,
    REQUESTS,
    REFUSALS,
    HANDSHAKES,
    CUT,
    RECEIVED_BYTES,
    SENT_BYTES,
];

/// The metric of that name.
pub fn find(name: &str) -> Option<&'static Metric> {
    ALL.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        for metric in ALL {
            let Metric { name, kind, .. } = metric;
            assert!(
                name.starts_with("renkei_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), *kind == MetricKind::Counter, "{name}");
            assert_eq!(name.ends_with("_duration_seconds"), *kind == MetricKind::Histogram, "{name}");
            assert!(metric.help.ends_with('.'), "{name}");
            assert_eq!(ALL.iter().filter(|other| other.name == *name).count(), 1, "{name}");
        }
    }
}

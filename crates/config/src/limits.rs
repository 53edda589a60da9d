//! `server.limits` – what the server takes and gives at most. Each has a row in `docs/guide/limits.md`.

use std::time::Duration;

use renkei_core::{Diagnostic, Diagnostics, FromNode, Node, NodeKind, read::Bytes};
use renkei_derive::FromNode;

/// A process that is busy must be able to extend it in time.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// What the server takes and gives at most.
#[derive(Clone, Debug, FromNode)]
#[config(check = check_limits)]
pub struct LimitsConfig {
    /// The body of one request.
    #[config(default = "4MB")]
    pub request_body: Bytes,

    /// How long a client may pause while it sends a body.
    #[config(default = "30s")]
    pub body_pause: Duration,

    /// How long a body may take as a whole.
    #[config(default = "2m")]
    pub body_time: Duration,

    /// The headers of one request, with its first line.
    #[config(default = "32KiB")]
    pub request_headers: Bytes,

    /// The number of headers of one request.
    #[config(default = 100)]
    pub header_lines: usize,

    /// The path and the query of one request.
    #[config(default = "8KiB")]
    pub request_uri: Bytes,

    /// How long the headers of a request may take, and how long a connection may be idle.
    #[config(default = "30s")]
    pub header_time: Duration,

    /// How long a client may take nothing of a response that is ready for it.
    #[config(default = "60s")]
    pub write_pause: Duration,

    /// Connections at once; more wait.
    #[config(default = 4096)]
    pub connections: usize,

    /// Requests at once on one connection of HTTP/2; the client holds back more.
    #[config(default = 100)]
    pub streams: usize,

    /// TLS handshakes at once; more wait.
    #[config(default = 256)]
    pub handshakes: usize,

    /// How long a client may take to begin a TLS handshake and to end it.
    #[config(default = "10s")]
    pub handshake_time: Duration,

    /// Calls that run at once, over all clients; one more is refused.
    #[config(default = 256)]
    pub concurrent_calls: usize,

    /// How long a call of a tool may take, unless the tool says otherwise.
    #[config(default = "60s")]
    pub tool_timeout: Duration,

    /// The result of one call, as JSON. A longer list is cut after a whole element, with a notice that says
    /// how many are left out; what cannot be cut is refused. A model reads all of it: 256KB are some 80,000
    /// tokens.
    #[config(default = "256KB")]
    pub result_bytes: Bytes,

    /// A result that was cut is kept whole, up to this size, as a resource that its reader reads in parts.
    #[config(default = "10MB")]
    pub kept_result: Bytes,

    /// All results that are kept; the oldest make room. `0` keeps none.
    #[config(default = "100MB")]
    pub kept_results: Bytes,

    /// How long such a result is kept.
    #[config(default = "15m")]
    pub kept_for: Duration,

    /// The parts of one result together: images, audio, resources.
    #[config(default = "10MB")]
    pub content_bytes: Bytes,

    /// How long the run of a task may take, from its beginning on and over restarts, unless the tool's `timeout` says otherwise.
    #[config(default = "1h")]
    pub run_time: Duration,

    /// Durable runs that one process works on at once; more wait.
    #[config(default = 64)]
    pub runs: usize,

    /// What the journal of one durable run may take: its intents, and what its steps gave.
    #[config(default = "64MB")]
    pub run_journal: Bytes,

    /// So often one durable run is taken up before it is given up: a run that ends its process counts every time.
    #[config(default = 10)]
    pub run_attempts: usize,

    /// How long a process that is not heard of any more keeps its durable runs; then another one takes them up.
    #[config(default = "30s")]
    pub run_lease: Duration,

    /// How long what happened in a run is kept. At least twice `run_time`: a run under way needs its own.
    #[config(default = "30d")]
    pub run_history: Duration,

    /// Tasks of one caller, counting those that have ended and are still kept.
    #[config(default = 1000)]
    pub tasks: usize,

    /// How long a task is kept, from its creation on; at least twice as long as its run may take.
    #[config(default = "24h")]
    pub task_ttl: Duration,

    /// The result of one task, as it is kept.
    #[config(default = "10MB")]
    pub task_result: Bytes,

    /// How often clients are told to ask after a task.
    #[config(default = "1s")]
    pub task_poll: Duration,

    /// How long a client that knows no tasks waits for the result of one before it is told where to find it.
    #[config(default = "30s")]
    pub task_patience: Duration,

    /// The entries of one page of a list: of tools, resources, prompts. Clients ask for the next page.
    #[config(default = 1000)]
    pub list_page: usize,

    /// The instances of one resource with variables that are listed; more are left out, with a note.
    #[config(default = 10000)]
    pub listed_resources: usize,

    /// Resources that one client may be subscribed to.
    #[config(default = 100)]
    pub subscriptions: usize,

    /// Resources that are watched for subscribers at the same time, each once for all who see the same.
    #[config(default = 200)]
    pub watched_resources: usize,

    /// How long answers may take (`ask`), all of one call together. The time of the call stands still meanwhile.
    #[config(default = "10m")]
    pub ask: Duration,

    /// Questions that wait for an answer at once, over all clients that speak MCP before 2026-07-28: each holds a call.
    /// One more is refused.
    #[config(default = 64)]
    pub asks: usize,

    /// How often a call may come again with answers (MCP 2026-07-28). A question that follows from another answer takes
    /// one more round.
    #[config(default = 16)]
    pub ask_rounds: usize,

    /// What a client carries for a call between its rounds, and with it the answers so far.
    #[config(default = "64KB")]
    pub ask_state: Bytes,

    /// Sessions of clients that speak MCP before 2026-07-28. One more takes the place of the one that is
    /// idle longest.
    #[config(default = 1000)]
    pub sessions: usize,

    /// Such a session ends after so long without a message.
    #[config(default = "30m")]
    pub session_idle: Duration,

    /// How long calls under way may take once the server is told to stop.
    #[config(default = "20s")]
    pub drain: Duration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let empty = Node { kind: NodeKind::Map(Vec::new()), span: renkei_core::Span::default() };
        Self::from_node(&empty, &mut Diagnostics::default()).expect("every limit has a default")
    }
}

fn check_limits(limits: &LimitsConfig, node: &Node, d: &mut Diagnostics) {
    let positive = [
        ("connections", limits.connections > 0),
        ("streams", limits.streams > 0),
        ("handshakes", limits.handshakes > 0),
        ("handshake_time", !limits.handshake_time.is_zero()),
        ("concurrent_calls", limits.concurrent_calls > 0),
        ("list_page", limits.list_page > 0),
        ("listed_resources", limits.listed_resources > 0),
        ("subscriptions", limits.subscriptions > 0),
        ("watched_resources", limits.watched_resources > 0),
        ("sessions", limits.sessions > 0),
        ("asks", limits.asks > 0),
        ("ask", !limits.ask.is_zero()),
        ("ask_rounds", limits.ask_rounds > 0),
        ("ask_state", limits.ask_state.0 > 0),
        ("request_body", limits.request_body.0 > 0),
        ("request_headers", limits.request_headers.0 > 0),
        ("header_lines", limits.header_lines > 0),
        ("request_uri", limits.request_uri.0 > 0),
        ("result_bytes", limits.result_bytes.0 > 0),
        ("content_bytes", limits.content_bytes.0 > 0),
        ("tool_timeout", !limits.tool_timeout.is_zero()),
        ("header_time", !limits.header_time.is_zero()),
        ("body_pause", !limits.body_pause.is_zero()),
        ("body_time", !limits.body_time.is_zero()),
        ("write_pause", !limits.write_pause.is_zero()),
        ("runs", limits.runs > 0),
        ("run_attempts", limits.run_attempts > 0),
        ("run_journal", limits.run_journal.0 > 0),
        ("tasks", limits.tasks > 0),
        ("task_result", limits.task_result.0 > 0),
        ("run_time", !limits.run_time.is_zero()),
        ("task_ttl", !limits.task_ttl.is_zero()),
        ("task_poll", !limits.task_poll.is_zero()),
        ("session_idle", !limits.session_idle.is_zero()),
    ];
    for (key, _) in positive.into_iter().filter(|(_, good)| !good) {
        let span = node.get(key).map_or(node.span, |value| value.span);
        let message = format!("the limit `{key}` is zero, so nothing would get through");
        d.push(Diagnostic::error(span, message).hint("raise it, or leave it out for its default"));
    }
    if limits.run_history < limits.run_time.saturating_mul(2) {
        let span = node.get("run_history").or(node.get("run_time")).map_or(node.span, |value| value.span);
        let message = "`run_history` is shorter than twice `run_time`: what a run under way has done would be forgotten";
        d.push(Diagnostic::error(span, message).hint("raise `run_history`"));
    }
    if limits.run_lease < SHORTEST_LEASE {
        let span = node.get("run_lease").map_or(node.span, |value| value.span);
        let message = "a lease this short ends while its holder is at work";
        d.push(Diagnostic::error(span, message).hint("give it at least 1s; 30s is the default"));
    }
    if limits.session_idle < limits.tool_timeout {
        let span =
            node.get("session_idle").or(node.get("tool_timeout")).map_or(node.span, |value| value.span);
        d.push(
            Diagnostic::error(
                span,
                "`session_idle` is shorter than `tool_timeout`: a session would end during a call",
            )
            .hint("raise `session_idle`"),
        );
    }
}

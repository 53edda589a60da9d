//! `server:` – how this process is reached, by whom, and what it gives at most.

use std::{net::SocketAddr, time::Duration};

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, FromNode, Node, NodeKind, Schema, Secret, Value,
    read::{Bytes, Spanned},
};
use renkei_derive::FromNode;
use url::Url;

use crate::{
    auth::AuthConfig,
    icon::IconConfig,
    store::StoreConfig,
    telemetry::{AuditConfig, MetricsConfig, TelemetryConfig},
};

/// How this server is reached, by whom, and what it gives at most. May use `${env.X}` and
/// `${file["path"]}`; they are read once, at start.
#[derive(Clone, Debug, FromNode)]
#[config(check = check_server)]
pub struct ServerConfig {
    /// The name that clients see.
    #[config(default = "renkei")]
    pub name: String,

    /// A name for people to read.
    pub title: Option<String>,

    /// The version that clients see; Renkei's own if left out.
    pub version: Option<String>,

    /// For the model: what the server is for, and how its tools go together.
    pub instructions: Option<String>,

    /// Pictures for clients to show.
    #[config(default)]
    pub icons: Vec<IconConfig>,

    /// The address to listen on: an IP address and a port. MCP is at `/mcp`. An address that is not
    /// loopback needs `hosts` or `public_url`, and should have `auth`.
    #[config(default = "127.0.0.1:8383")]
    pub listen: SocketAddr,

    /// Where durable data is kept: `sqlite:PATH` (relative to the config's folder) or `postgres://…`; or a mapping with the
    /// same as `url`, and a key that encrypts. It is opened, and a file is made, only where something in the config needs it.
    #[config(default = "sqlite:renkei.db")]
    pub store: StoreConfig,

    /// The URL under which clients reach this server, if it stands behind a proxy: its host is allowed
    /// in `Host`, its origin in `Origin`.
    pub public_url: Option<Url>,

    /// Hosts that requests may name in `Host`, each with a port or any: `shop.example.com`. Loopback
    /// names are always allowed on a loopback address. This keeps web pages of others out (DNS rebinding).
    #[config(default)]
    pub hosts: Vec<HostName>,

    /// Origins of web pages that may call this server: `https://app.example.com`, or `http://localhost:*`
    /// for any port. Its own pages may always: those of its port on loopback, and of `public_url`.
    #[config(default)]
    pub origins: Vec<OriginName>,

    /// Who may call. Without it, everybody who reaches the address, as `anonymous`.
    pub auth: Option<AuthConfig>,

    /// Seals the cursors with which clients go on in a list (`pages` of an operation), so that nobody can forge one: a
    /// secret of at least 16 characters. Without it, cursors hold until the process ends, and for this process only.
    pub cursor_key: Option<Secret>,

    /// Seals what a client carries between the questions of a call and their answers (`ask`), so that nobody can forge
    /// it: a secret of at least 16 characters, the same for all nodes. Without it, questions can be answered until the
    /// process ends, and to this process only.
    pub ask_key: Option<Secret>,

    /// Whether a change of the config's files is applied at once, without a restart. `SIGHUP` applies it in any
    /// case. A config with errors is refused, and the one before stays.
    #[config(default = true)]
    pub watch: bool,

    /// What the server takes and gives at most.
    #[config(default)]
    pub limits: LimitsConfig,

    /// A page of numbers for Prometheus. Off without it; `metrics: {}` puts it at `/metrics`.
    pub metrics: Option<MetricsConfig>,

    /// Who called what, and what became of it.
    #[config(default)]
    pub audit: AuditConfig,

    /// Traces and metrics for a collector of OpenTelemetry.
    #[config(default)]
    pub telemetry: TelemetryConfig,
}

/// A shorter key could be guessed.
const MIN_KEY: usize = 16;

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

    /// The headers of one request, and the time that they may take.
    #[config(default = "32KiB")]
    pub request_headers: Bytes,

    /// How long the headers of a request may take, and how long a connection may be idle.
    #[config(default = "30s")]
    pub header_time: Duration,

    /// How long a client may take nothing of a response that is ready for it.
    #[config(default = "60s")]
    pub write_pause: Duration,

    /// Connections at once; more wait.
    #[config(default = 4096)]
    pub connections: usize,

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

/// A host, with a port or any: `shop.example.com`, `[::1]:8383`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(pub String);

/// Scheme, host and port of web pages: `https://app.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginName(pub String);

impl Default for LimitsConfig {
    fn default() -> Self {
        let empty = Node { kind: NodeKind::Map(Vec::new()), span: renkei_core::Span::default() };
        Self::from_node(&empty, &mut Diagnostics::default()).expect("every limit has a default")
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        let empty = Node { kind: NodeKind::Map(Vec::new()), span: renkei_core::Span::default() };
        Self::from_node(&empty, &mut Diagnostics::default()).expect("every key has a default or is optional")
    }
}

fn check_server(server: &ServerConfig, node: &Node, d: &mut Diagnostics) {
    let place = |key: &str| node.get(key).map_or(node.span, |value| value.span);
    if server.name.is_empty() {
        d.push(
            Diagnostic::error(place("name"), "the name is empty")
                .hint("give the server a short name, such as `shop`"),
        );
    }
    if let Some(url) = &server.public_url
        && (!matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || url.query().is_some())
    {
        d.push(
            Diagnostic::error(place("public_url"), "this is not the URL of a server")
                .hint("write `https://host` or `https://host/path`, without a query"),
        );
    }
    for (name, what, key) in
        [("cursor_key", "cursors", &server.cursor_key), ("ask_key", "questions", &server.ask_key)]
    {
        if key.as_ref().is_some_and(|key| key.expose().len() < MIN_KEY) && !node.has_unknown() {
            let message = format!("the key for {what} has less than {MIN_KEY} characters");
            d.push(
                Diagnostic::error(place(name), message).hint(
                    "make one with `openssl rand -hex 32`, and read it with `${env.X}` or `${file[…]}`",
                ),
            );
        }
    }
    if server.listen.ip().is_loopback() {
        return;
    }
    if server.hosts.is_empty() && server.public_url.is_none() {
        d.push(
            Diagnostic::error(
                place("listen"),
                "an address that others can reach needs the names under which they reach it",
            )
            .hint("add `public_url: https://…` or `hosts: [name.example.com]`; a request with another `Host` is refused"),
        );
    }
    let anybody = server.auth.as_ref().is_none_or(|auth| auth.anonymous);
    if anybody && server.metrics.as_ref().is_some_and(|metrics| metrics.listen.is_none()) {
        d.push(
            Diagnostic::error(place("metrics"), "everybody who reaches the server would read its metrics")
                .hint("give them an address of their own, `metrics: { listen: 127.0.0.1:9383 }`, or let nobody call without a key"),
        );
    }
    if server.auth.is_none() {
        d.push(
            Diagnostic::warning(place("listen"), "everybody who reaches this address can call every tool")
                .hint(
                    "add `auth:` with `api_keys` or `jwt`; `auth: { anonymous: true }` says that it is meant",
                ),
        );
    }
}

fn check_limits(limits: &LimitsConfig, node: &Node, d: &mut Diagnostics) {
    let positive = [
        ("connections", limits.connections > 0),
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
        ("result_bytes", limits.result_bytes.0 > 0),
        ("content_bytes", limits.content_bytes.0 > 0),
        ("tool_timeout", !limits.tool_timeout.is_zero()),
        ("header_time", !limits.header_time.is_zero()),
        ("body_pause", !limits.body_pause.is_zero()),
        ("write_pause", !limits.write_pause.is_zero()),
        ("session_idle", !limits.session_idle.is_zero()),
    ];
    for (key, _) in positive.into_iter().filter(|(_, good)| !good) {
        let span = node.get(key).map_or(node.span, |value| value.span);
        let message = format!("the limit `{key}` is zero, so nothing would get through");
        d.push(Diagnostic::error(span, message).hint("raise it, or leave it out for its default"));
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

impl FromNode for HostName {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        let text = Spanned::<String>::from_node(node, d)?.value;
        if matches!(node.kind, NodeKind::Unknown) {
            return Some(HostName(text));
        }
        // A URL with nothing but this host reads the same host again.
        let plain = !text.contains(['/', '@', '?', '#', ' ', '*']);
        let url = Url::parse(&format!("http://{text}/")).ok().filter(|url| plain && url.host_str().is_some());
        if url.is_none() {
            let hint = match text.split_once("://") {
                Some((_, rest)) => {
                    format!("write only the host: `{}`", rest.split('/').next().unwrap_or(rest))
                }
                None => "write a host, with a port if you want: `shop.example.com`, `shop.example.com:8443`"
                    .into(),
            };
            d.push(Diagnostic::error(node.span, format!("`{text}` is not a host")).hint(hint));
            return None;
        }
        Some(HostName(text))
    }

    fn schema(defs: &mut Definitions) -> Schema {
        String::schema(defs)
    }
}

impl FromNode for OriginName {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        let text = String::from_node(node, d)?;
        if matches!(node.kind, NodeKind::Unknown) {
            return Some(OriginName(text));
        }
        // `*` stands for any port, and then there is no other.
        let one = text.strip_suffix(":*").unwrap_or(&text);
        let rest = one.split_once("://").map_or("", |(_, rest)| rest);
        let port_twice = one != text && rest.rsplit(']').next().is_some_and(|end| end.contains(':'));
        let is_host = !rest.is_empty() && !rest.contains(['/', '?', '#', '@', '*']) && !port_twice;
        let url = Url::parse(one).ok().filter(|url| matches!(url.scheme(), "http" | "https") && is_host);
        if url.is_none() {
            d.push(Diagnostic::error(node.span, format!("`{text}` is not the origin of a web page")).hint(
                "write scheme and host, without a path: `https://app.example.com`, `http://localhost:6274`, \
                 `http://localhost:*` for any port",
            ));
            return None;
        }
        Some(OriginName(text))
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([("type", "string"), ("pattern", "^https?://[^/?#@]+$")])
    }
}

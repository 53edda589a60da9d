//! `server:` – how this process is reached, by whom, and what it gives at most.

use std::net::SocketAddr;

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, FromNode, Node, NodeKind, Schema, Secret, Value, read::Spanned,
};
use renkei_derive::FromNode;
use url::Url;

use crate::{
    auth::AuthConfig,
    icon::IconConfig,
    limits::LimitsConfig,
    listener::{Network, TlsConfig},
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

    /// How connections are encrypted. Without it the server speaks plain HTTP/1.1: on loopback, or behind a proxy that
    /// encrypts.
    pub tls: Option<TlsConfig>,

    /// The addresses of proxies in front of the server. What they say in `Forwarded` or `X-Forwarded-For`, `-Host` and
    /// `-Proto` of the client is believed, read from the right up to the first address that is not in here; from all
    /// others these headers count for nothing. A proxy must write or remove each of them: what it lets pass, its client
    /// wrote.
    #[config(default)]
    pub trusted_proxies: Vec<Network>,

    /// Where durable data is kept: `sqlite:PATH` (relative to the config's folder) or `postgres://…`; or a mapping with the
    /// same as `url`, and a key that encrypts. It is opened, and a file is made, only where something in the config needs it,
    /// such as a queue.
    #[config(default = "sqlite:renkei.db")]
    pub store: StoreConfig,

    /// Whether this server works on the queues of its config. `renkei work` does in any case.
    #[config(default = true)]
    pub workers: bool,

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

/// A host, with a port or any: `shop.example.com`, `[::1]:8383`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(pub String);

/// Scheme, host and port of web pages: `https://app.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginName(pub String);

impl Default for ServerConfig {
    fn default() -> Self {
        let empty = Node { kind: NodeKind::Map(Vec::new()), span: renkei_core::Span::default() };
        Self::from_node(&empty, &mut Diagnostics::default()).expect("every key has a default or is optional")
    }
}

impl ServerConfig {
    /// Whether callers show keys or tokens on connections that nothing is known to encrypt. Of an address that others
    /// can reach.
    pub fn sends_credentials_in_the_clear(&self) -> bool {
        let shown = self.auth.as_ref().is_some_and(|auth| !auth.api_keys.is_empty() || !auth.jwt.is_empty());
        shown && self.tls.is_none() && self.trusted_proxies.is_empty()
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
    if server.sends_credentials_in_the_clear() {
        let message =
            "keys and tokens cross the network in the clear: whoever sees one can call as its owner";
        d.push(Diagnostic::warning(place("listen"), message).hint(
            "add `tls: { cert: …, key: … }`, or name the proxy that encrypts: `trusted_proxies: [10.0.0.5]`",
        ));
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

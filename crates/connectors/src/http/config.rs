//! What stands under `http:` of a system.

use std::{fmt, sync::Arc};

use http::HeaderName;
use indexmap::IndexMap;
use renkei_core::{
    Definitions, Diagnostic, Diagnostics, FromNode, Node, NodeKind, Result, Schema, Scope, Template, Value,
    node::Text,
    read::{Bytes, Spanned, wrong},
    template::Names,
};
use renkei_derive::FromNode;
use url::Url;

use super::{
    client::{Http2, Pool},
    guard,
    headers::KeyHeader,
    oauth::OAuth,
    proxy::ProxyUrl,
    tls::TlsConfig,
    wire,
};

/// A system that speaks HTTP, such as a REST service.
#[derive(Debug, FromNode)]
#[config(check = check)]
pub(crate) struct Config {
    /// Where all paths of its operations start, such as `https://crm.example.com/api`.
    pub(super) base_url: Url,
    /// Allows addresses that are not public: loopback, private networks, link-local and the like.
    /// Without it they are refused, in `base_url`, in what a name resolves to, and in redirects.
    #[config(default = false)]
    pub(super) private: bool,
    /// How Renkei proves to the system who it is.
    pub(super) auth: Option<Auth>,
    /// Sent with every request; an operation cannot replace them. May use `$caller`, `$key` and `$run`.
    #[config(default)]
    pub(super) headers: Headers,
    /// Sends the key of the step, `$key`, with every operation that is a write, so that the system recognises a
    /// repeat: `true` in the header `Idempotency-Key`, or the name of another header.
    pub(super) idempotency_key: Option<KeyHeader>,
    /// How many redirects are followed, 10 at most. None unless asked; each is checked like the first
    /// request, and another origin gets neither `auth` nor `headers`.
    #[config(default = 0)]
    pub(super) redirects: u32,
    /// The largest reply body that is read.
    #[config(default = "10MB")]
    pub(super) max_body: Bytes,
    /// The largest request body that is sent.
    #[config(default = "10MB")]
    pub(super) max_request: Bytes,
    /// Certificates: one to show, and whose to trust.
    pub(super) tls: Option<TlsConfig>,
    /// Whether HTTP/2 is spoken. `auto` without it, but `never` where `headers` has `Host`.
    pub(super) http2: Option<Http2>,
    /// Asks for compressed replies (gzip, brotli, zstd) and unpacks them. `max_body` counts unpacked bytes.
    #[config(default = true)]
    pub(super) compression: bool,
    /// The connections that are kept between requests.
    #[config(default)]
    pub(super) pool: Pool,
    /// The URL of a proxy (`http` or `https`) that all requests go through, those for a token, too. A name and a
    /// password in it are kept secret. Proxies of the environment are not used unless they are named here:
    /// `'${env.HTTPS_PROXY}'`.
    pub(super) proxy: Option<ProxyUrl>,
    /// Hosts that are reached without the proxy: names (with their subdomains), addresses, or networks such as
    /// `10.0.0.0/8`.
    #[config(default)]
    pub(super) no_proxy: Vec<String>,
}

/// How Renkei proves to the system who it is. The values may use `$caller`, `$key` and `$run`; those of `oauth2` may not.
#[derive(Debug, FromNode)]
pub(crate) enum Auth {
    /// A token in `Authorization: Bearer …`.
    Bearer(PerCall),
    /// A user name and a password in `Authorization: Basic …`.
    Basic(Basic),
    /// A key in a header or in the query.
    ApiKey(ApiKey),
    /// A token that Renkei gets with its own credentials, and renews (OAuth 2, client credentials).
    #[config(rename = "oauth2")]
    OAuth2(Box<OAuth>),
}

#[derive(Debug, FromNode)]
pub(crate) struct Basic {
    pub(super) user: PerCall,
    pub(super) password: PerCall,
}

#[derive(Debug, FromNode)]
#[config(check = one_place)]
pub(crate) struct ApiKey {
    /// The header that carries the key, such as `X-Api-Key`.
    pub(super) header: Option<Spanned<String>>,
    /// The query parameter that carries the key. Headers are better: URLs end up in logs.
    pub(super) query: Option<String>,
    /// The key.
    pub(super) value: PerCall,
}

/// A text of `auth` or `headers`: may be secret, and may hold templates that are rendered per call.
#[derive(Clone)]
pub(crate) struct PerCall(Template);

impl PerCall {
    pub(super) fn render(&self, vars: &Scope) -> Result<Option<Value>> {
        self.0.render(vars)
    }

    fn uses(&self, name: &str) -> bool {
        self.0.vars().iter().any(|var| **var == *name)
    }

    /// The text if it is the same in every call.
    pub(super) fn constant(&self) -> Option<String> {
        self.0.literal().and_then(wire::scalar)
    }
}

impl fmt::Debug for PerCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl FromNode for PerCall {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        // Here is no action, so there is no input: its schema has no member.
        let no_input = Value::from([("type", "object".into()), ("additionalProperties", Value::Bool(false))]);
        let vars = ["caller", "key", "run"].map(Into::into).into();
        let names = Names { input: Some(&no_input), vars, ..Names::default() };
        match &node.kind {
            NodeKind::String(_) => Template::read(node, &names, d).map(PerCall),
            NodeKind::Unknown => {
                let node = Node { kind: NodeKind::String(Text::new("unknown")), span: node.span };
                Template::read(&node, &names, d).map(PerCall)
            }
            NodeKind::Number(_) => {
                d.push(
                    Diagnostic::error(node.span, format!("expected a text, found {}", node.what()))
                        .hint("put it into quotes"),
                );
                None
            }
            // The value is not repeated: it may be a secret.
            _ => {
                d.error(node.span, format!("expected a text, found {}", node.what()));
                None
            }
        }
    }

    fn schema(_: &mut Definitions) -> Schema {
        Value::from([("type", "string")])
    }
}

/// The system's own headers.
#[derive(Debug, Default)]
pub(crate) struct Headers(pub(super) Vec<(HeaderName, PerCall)>);

impl FromNode for Headers {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        if matches!(node.kind, NodeKind::Unknown) {
            return Some(Self::default());
        }
        let Some(entries) = node.as_map() else {
            return wrong(node, "a mapping from header names to values", d);
        };
        let mut headers = Vec::with_capacity(entries.len());
        for entry in entries {
            let name = wire::header_name(&entry.key, entry.key_span, d);
            let Some(value) = PerCall::from_node(&entry.value, d) else { continue };
            let Some(name) = name else { continue };
            wire::check_host_header(&name, value.constant().is_some(), entry.key_span, d);
            if let Some(text) = value.constant()
                && let Err(why) = wire::header_value(&text)
            {
                d.error(entry.value.span, format!("the value of the header `{}` {why}", entry.key));
            }
            headers.push((name, value));
        }
        Some(Headers(headers))
    }

    fn schema(defs: &mut Definitions) -> Schema {
        IndexMap::<Arc<str>, String>::schema(defs)
    }
}

fn one_place(key: &ApiKey, node: &Node, d: &mut Diagnostics) {
    match (&key.header, &key.query) {
        (Some(_), Some(_)) => d.push(
            Diagnostic::error(node.span, "an API key goes into `header` or into `query`, not into both")
                .hint("remove one of them; a header is better"),
        ),
        (None, None) => d.push(
            Diagnostic::error(node.span, "it is not said where the API key goes")
                .hint("add `header: X-Api-Key`, or `query: api_key`"),
        ),
        (Some(header), None) => {
            wire::header_name(header, header.span, d);
        }
        (None, Some(_)) => {}
    }
}

fn check(config: &Config, node: &Node, d: &mut Diagnostics) {
    let span = node.get("base_url").map_or(node.span, |node| node.span);
    let url = &config.base_url;
    if !matches!(url.scheme(), "http" | "https") {
        d.push(
            Diagnostic::error(span, format!("`base_url` has the scheme `{}`", url.scheme()))
                .hint("an HTTP system has `http://…` or `https://…`"),
        );
        return;
    }
    if !url.username().is_empty() || url.password().is_some() {
        d.push(
            Diagnostic::error(span, "`base_url` holds a user name or a password")
                .hint("use `auth: { basic: { user: …, password: … } }`: then they are kept secret"),
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        d.push(
            Diagnostic::error(span, "`base_url` has a query or a fragment")
                .hint("put parameters into the operations' `query`; a key into `auth: { api_key: … }`"),
        );
    }
    if let Err(refused) = guard::check_host(url, config.private) {
        d.push(
            Diagnostic::error(span, format!("the host of `base_url`, {refused}, is refused"))
                .hint("if that is meant, add `private: true` beside `base_url`"),
        );
    }
    if let Some(Auth::OAuth2(oauth)) = &config.auth {
        oauth.check(config.private, node, d);
    }
    if let Some(key) = config.idempotency_key.as_ref().and_then(KeyHeader::name)
        && let Some(part) = config.sets_header(key)
    {
        let span = node.get("idempotency_key").map_or(node.span, |node| node.span);
        d.push(
            Diagnostic::error(span, format!("the header `{key}` is set by `{part}` already"))
                .hint("leave one of the two out"),
        );
    }
    if config.tls.is_some() && config.base_url.scheme() == "http" {
        let span = node.entry("tls").map_or(node.span, |entry| entry.key_span);
        d.push(
            Diagnostic::error(span, "`tls` is of no use: `base_url` begins with `http://`")
                .hint("write `https://…`, or leave `tls` out"),
        );
    }
    if config.proxy.is_none() && !config.no_proxy.is_empty() {
        let span = node.entry("no_proxy").map_or(node.span, |entry| entry.key_span);
        d.push(Diagnostic::error(span, "`no_proxy` without `proxy`").hint("add `proxy`, or leave it out"));
    }
    if config.redirects > 10 {
        let span = node.get("redirects").map_or(node.span, |node| node.span);
        d.push(
            Diagnostic::error(span, format!("`redirects` is {}, at most 10 are followed", config.redirects))
                .hint("write a number from 0 to 10"),
        );
    }
}

impl Config {
    /// Where the token of each request comes from.
    pub(super) fn oauth(&self) -> Option<&OAuth> {
        match &self.auth {
            Some(Auth::OAuth2(oauth)) => Some(oauth),
            _ => None,
        }
    }

    /// Which part of the system sets this header in every request.
    pub(super) fn sets_header(&self, name: &HeaderName) -> Option<&'static str> {
        let by_auth = match &self.auth {
            None => false,
            Some(Auth::Bearer(_) | Auth::Basic(_) | Auth::OAuth2(_)) => *name == http::header::AUTHORIZATION,
            // Names of headers do not depend on the case of letters.
            Some(Auth::ApiKey(key)) => {
                key.header.as_ref().is_some_and(|header| header.eq_ignore_ascii_case(name.as_str()))
            }
        };
        let by_headers = || self.headers.0.iter().any(|(own, _)| own == name);
        if by_auth { Some("auth") } else { by_headers().then_some("headers") }
    }

    /// Whether every request carries `$key`, so that the system can recognise a repeat.
    pub(super) fn carries_key(&self) -> bool {
        self.headers.uses("key")
    }

    /// Whether `headers` or `auth` use `$name`.
    pub(super) fn uses(&self, name: &str) -> bool {
        self.auth.as_ref().is_some_and(|auth| auth.uses(name)) || self.headers.uses(name)
    }
}

impl Auth {
    pub(crate) fn uses(&self, name: &str) -> bool {
        match self {
            Auth::Bearer(token) => token.uses(name),
            Auth::Basic(basic) => basic.user.uses(name) || basic.password.uses(name),
            Auth::ApiKey(key) => key.value.uses(name),
            // All calls share one token: nothing in `oauth2` is a template.
            Auth::OAuth2(_) => false,
        }
    }
}

impl Headers {
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.0.iter().any(|(_, value)| value.uses(name))
    }
}

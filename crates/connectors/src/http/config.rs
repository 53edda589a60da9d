//! What stands under `http:` of a system.

use std::{fmt, sync::Arc};

use base64::Engine as _;
use http::{HeaderName, HeaderValue};
use indexmap::IndexMap;
use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Error, FromNode, Kind, Node, NodeKind, Result, Schema, Scope,
    Secret, Template, Value,
    node::Text,
    read::{Bytes, Spanned, wrong},
    template::Names,
};
use renkei_derive::FromNode;
use url::Url;

use super::{guard, wire};

/// A system that speaks HTTP, such as a REST service.
#[derive(Debug, FromNode)]
#[config(check = check)]
pub(super) struct Config {
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
}

/// How Renkei proves to the system who it is. The values may use `$caller`, `$key` and `$run`.
#[derive(Debug, FromNode)]
pub(super) enum Auth {
    /// A token in `Authorization: Bearer …`.
    Bearer(PerCall),
    /// A user name and a password in `Authorization: Basic …`.
    Basic(Basic),
    /// A key in a header or in the query.
    ApiKey(ApiKey),
}

#[derive(Debug, FromNode)]
pub(super) struct Basic {
    user: PerCall,
    password: PerCall,
}

#[derive(Debug, FromNode)]
#[config(check = one_place)]
pub(super) struct ApiKey {
    /// The header that carries the key, such as `X-Api-Key`.
    header: Option<Spanned<String>>,
    /// The query parameter that carries the key. Headers are better: URLs end up in logs.
    query: Option<String>,
    /// The key.
    value: PerCall,
}

/// A text of `auth` or `headers`: may be secret, and may hold templates that are rendered per call.
#[derive(Clone)]
pub(super) struct PerCall(Template);

impl PerCall {
    pub(super) fn render(&self, vars: &Scope) -> Result<Option<Value>> {
        self.0.render(vars)
    }

    /// The text if it is the same in every call.
    fn constant(&self) -> Option<String> {
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
pub(super) struct Headers(pub(super) Vec<(HeaderName, PerCall)>);

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
    if config.redirects > 10 {
        let span = node.get("redirects").map_or(node.span, |node| node.span);
        d.push(
            Diagnostic::error(span, format!("`redirects` is {}, at most 10 are followed", config.redirects))
                .hint("write a number from 0 to 10"),
        );
    }
}

/// What `auth` and `headers` add to one request.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// A key in the query: name and value.
    pub(super) query: Option<(String, String)>,
    /// What must not be shown, to be masked in whatever the system says: also as it is written in a
    /// URL, and longer ones first, because one may contain another.
    pub(super) secrets: Vec<Secret>,
}

impl Config {
    /// Renders what depends on the call. Nothing is sent when a part of `auth` has no value.
    pub(super) fn credentials(&self, system: &str, vars: &Scope) -> Result<Credentials> {
        let mut out = Credentials::default();
        for (name, value) in &self.headers.0 {
            let place = || format!("header `{name}` of system `{system}`");
            let Some(text) = text(value, vars, place)? else { continue };
            let value =
                wire::header_value(&text).map_err(|why| Error::internal(format!("{} {why}", place())))?;
            if looks_secret(name.as_str()) {
                out.secrets.push(Secret::new(text));
            }
            out.headers.push((name.clone(), value));
        }
        match &self.auth {
            None => {}
            Some(Auth::Bearer(token)) => {
                let token = required(token, vars, system, "bearer")?;
                out.authorization("Bearer", &token, system)?;
                out.secrets.push(Secret::new(token));
            }
            Some(Auth::Basic(basic)) => {
                let user = required(&basic.user, vars, system, "basic.user")?;
                let password = required(&basic.password, vars, system, "basic.password")?;
                if user.contains(':') {
                    return Err(Error::internal(format!(
                        "`auth.basic.user` of system `{system}` contains `:`, which HTTP does not allow"
                    )));
                }
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                out.authorization("Basic", &pair, system)?;
                out.secrets.extend([Secret::new(pair), Secret::new(password)]);
            }
            Some(Auth::ApiKey(key)) => {
                let value = required(&key.value, vars, system, "api_key.value")?;
                if let Some(header) = &key.header {
                    let name = HeaderName::try_from(&header.value[..]).map_err(|error| {
                        Error::internal(format!("`auth.api_key.header` of system `{system}`: {error}"))
                    })?;
                    out.headers.push((name, sensitive(&value, system)?));
                } else if let Some(name) = &key.query {
                    out.query = Some((name.clone(), value.clone()));
                }
                out.secrets.push(Secret::new(value));
            }
        }
        let encoded = out.secrets.iter().map(|secret| Secret::new(wire::encode(secret.expose())));
        let encoded: Vec<Secret> = encoded.filter(|encoded| !out.secrets.contains(encoded)).collect();
        out.secrets.extend(encoded);
        out.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Ok(out)
    }

    /// Which part of the system sets this header in every request.
    pub(super) fn sets_header(&self, name: &HeaderName) -> Option<&'static str> {
        let by_auth = match &self.auth {
            None => false,
            Some(Auth::Bearer(_) | Auth::Basic(_)) => *name == http::header::AUTHORIZATION,
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
        self.headers.0.iter().any(|(_, value)| value.0.vars().iter().any(|name| &**name == "key"))
    }
}

impl Credentials {
    fn authorization(&mut self, scheme: &str, credentials: &str, system: &str) -> Result<()> {
        let value = sensitive(&format!("{scheme} {credentials}"), system)?;
        self.headers.push((http::header::AUTHORIZATION, value));
        Ok(())
    }
}

fn sensitive(text: &str, system: &str) -> Result<HeaderValue> {
    let mut value = wire::header_value(text)
        .map_err(|why| Error::new(Kind::Unauthenticated, format!("`auth` of system `{system}` {why}")))?;
    value.set_sensitive(true);
    Ok(value)
}

fn text(value: &PerCall, vars: &Scope, place: impl Fn() -> String) -> Result<Option<String>> {
    match value.render(vars).map_err(|error| error.context(place()))? {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match wire::scalar(&value) {
            Some(text) => Ok(Some(text)),
            None => Err(Error::invalid(format!("{} is an {}: give it a text", place(), value.type_name()))),
        },
    }
}

fn required(value: &PerCall, vars: &Scope, system: &str, key: &str) -> Result<String> {
    let place = || format!("`auth.{key}` of system `{system}`");
    match text(value, vars, place)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(Error::new(
            Kind::Unauthenticated,
            format!("{} has no value for this caller; nothing was sent", place()),
        )),
    }
}

/// Headers whose values are kept out of messages although the config does not say that they are secret.
fn looks_secret(name: &str) -> bool {
    ["auth", "cookie", "key", "secret", "token", "password"].iter().any(|word| name.contains(word))
        && !name.contains("idempotency")
}

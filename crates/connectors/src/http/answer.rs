//! What a server answers in a config test: `{ status, headers, body | base64 }`, read as if it came over the
//! wire.

use std::{sync::Arc, time::Duration};

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use indexmap::IndexMap;
use renkei_core::{
    Definitions, Diagnostic, Diagnostics, FromNode, Node, NodeKind, Reply, Request, Result, Schema, Value,
    connector::Answer, read::Spanned,
};
use renkei_derive::FromNode;
use url::Url;

use super::{body::is_json, error::Place, pages::Seen, prepare::Plan, reply, wire};

/// What the server answers.
#[derive(Debug, FromNode)]
#[config(check = check)]
struct AnswerConfig {
    /// The status that an HTTP system answers with: 200 unless set.
    status: Option<Spanned<u16>>,
    /// The headers of the answer, by name.
    #[config(default)]
    headers: IndexMap<Arc<str>, Spanned<String>>,
    /// The body of the answer: JSON, or a text if `content-type` among the headers says so.
    body: Option<Value>,
    /// The body of the answer as bytes, in base64; `content-type` among the headers says what they are.
    base64: Option<Spanned<String>>,
}

fn check(answer: &AnswerConfig, node: &Node, d: &mut Diagnostics) {
    if let Some(status) = &answer.status
        && !matches!(status.value, 200..=299 | 304 | 400..=599)
    {
        d.push(
            Diagnostic::error(status.span, format!("{} is no status that ends a call", status.value))
                .hint("write one from 200 to 299 or from 400 to 599"),
        );
    }
    for (name, value) in &answer.headers {
        if HeaderName::try_from(&**name).is_err() {
            d.push(
                Diagnostic::error(value.span, format!("`{name}` is not a header name"))
                    .hint("letters, digits and `-`, such as `content-type`"),
            );
        }
        if let Err(why) = wire::header_value(&value.value) {
            d.error(value.span, format!("the header `{name}` {why}"));
        }
    }
    if answer.body.is_some() && answer.base64.is_some() {
        d.push(
            Diagnostic::error(node.span, "an answer has either `body` or `base64`")
                .hint("remove one of them"),
        );
    }
    if let Some(text) = &answer.base64
        && decoded(&text.value).is_none()
    {
        d.push(
            Diagnostic::error(text.span, "this is not base64").hint("use the standard alphabet with padding"),
        );
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()
}

/// The words and their schemas.
pub(super) fn words() -> Vec<(&'static str, Schema)> {
    // Only the properties are used, so the struct needs no definition of its own.
    let mut own = Definitions::default();
    let schema = AnswerConfig::schema(&mut own);
    ["status", "headers", "body", "base64"]
        .into_iter()
        .filter_map(|name| Some((name, own.property(&schema, name)?)))
        .collect()
}

#[derive(Debug)]
struct HttpAnswer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

pub(super) fn read(node: &Node, d: &mut Diagnostics) -> Option<Arc<dyn Answer>> {
    let before = d.iter().count();
    let config = AnswerConfig::from_node(node, d)?;
    if d.iter().count() > before {
        return None;
    }
    let status = StatusCode::from_u16(config.status.map_or(200, |status| status.value)).ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        headers.append(HeaderName::try_from(&**name).ok()?, wire::header_value(&value.value).ok()?);
    }
    let json = headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind.to_str().is_ok_and(is_json));
    let body = match (config.body, config.base64) {
        (None, None) => Bytes::new(),
        (_, Some(text)) => decoded(&text.value)?.into(),
        (Some(Value::String(text)), None) if !json => text.to_string().into(),
        (Some(value), None) => {
            headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            value.to_json().into()
        }
    };
    Some(Arc::new(HttpAnswer { status, headers, body }))
}

impl Answer for HttpAnswer {
    fn answer(&self, request: &Request) -> Result<Reply> {
        let plan = Plan::of(request)?;
        let path = plan.target.path(&plan.slots, &request.params)?;
        let system = &request.op.system;
        let place =
            Place { request, host: system, secrets: &[], connect_timeout: Duration::ZERO, proxy: None };
        let Self { status, headers, body } = self;
        if !(status.is_success() || *status == StatusCode::NOT_MODIFIED) {
            let words = String::from_utf8_lossy(body);
            let error = place.status(*status, headers, &words, plan.errors.get(status.as_u16()));
            return Err(plan.explained(error));
        }
        let (value, notices) = reply::decode(body.clone(), *status, headers, plan.read_as, &place)?;
        let meta = match Url::parse(&format!("http://{}{path}", system.replace('_', "-"))) {
            Ok(url) => reply::meta(*status, headers, &url, None),
            Err(_) => Value::from([("status", i64::from(status.as_u16()))]),
        };
        let mut reply = Reply { value: value.clone(), meta: meta.clone(), notices, page: None };
        if let Some(pages) = &plan.pages {
            let url = pages.url(plan, request)?;
            let bytes = body.len() as u64;
            let (value, meta) = (&value, &meta);
            let (place, url, status) = (&place, &url, *status);
            let seen =
                Seen { request, place, status, url, headers, value, meta, bytes, secret_parameter: None };
            pages.read_page(&seen, &mut reply);
        }
        Ok(reply)
    }
}

const METHODS: [&str; 7] = ["get", "head", "options", "post", "put", "patch", "delete"];
const REQUEST_KEYS: [&str; 8] = ["method", "path", "query", "headers", "body", "form", "multipart", "raw"];

/// A request as a test expects it: `GET /customers/7?expand=orders`, or a mapping in which `get: /customers/7`
/// is short for `method` and `path`.
pub(super) fn request(node: &Node, d: &mut Diagnostics) -> Option<Value> {
    let mut map = renkei_core::Map::new();
    match &node.kind {
        NodeKind::String(text) => match text.value.split_once(' ') {
            Some((method, path)) if METHODS.contains(&&*method.to_ascii_lowercase()) => {
                target(method, path, node, &mut map, d)?;
            }
            _ => {
                return renkei_core::read::wrong(node, "a request such as `GET /customers/7`", d);
            }
        },
        NodeKind::Map(entries) => {
            let mut good = true;
            for entry in entries {
                let key = &*entry.key;
                if METHODS.contains(&key) {
                    match entry.value.as_str() {
                        Some(path) => good &= target(key, path, &entry.value, &mut map, d).is_some(),
                        None => {
                            renkei_core::read::wrong::<()>(&entry.value, "a path such as `/customers/7`", d);
                            good = false;
                        }
                    }
                } else if REQUEST_KEYS.contains(&key) {
                    let value = entry.value.to_value();
                    map.insert(
                        entry.key.clone(),
                        if matches!(key, "query" | "form") { texts(&value) } else { value },
                    );
                } else {
                    good = false;
                    let known: Vec<&str> = METHODS.iter().chain(&REQUEST_KEYS).copied().collect();
                    let diagnostic = Diagnostic::error(
                        entry.key_span,
                        format!("a request to an HTTP system has no `{key}`"),
                    );
                    d.push(match renkei_core::diagnostic::suggest(key, known) {
                        Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
                        None => diagnostic.hint(
                            "it has a method with its path (`get: /customers/7`), `query`, `headers` and `body`, `form`, `multipart` or `raw`",
                        ),
                    });
                }
            }
            if !good {
                return None;
            }
        }
        _ => return renkei_core::read::wrong(node, "a request such as `GET /customers/7`", d),
    }
    Some(map.into())
}

fn target(
    method: &str,
    target: &str,
    node: &Node,
    map: &mut renkei_core::Map,
    d: &mut Diagnostics,
) -> Option<()> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    if !path.starts_with('/') {
        d.push(
            Diagnostic::error(node.span, format!("the path `{path}` does not start with `/`"))
                .hint("write it as the operation has it, without the system's `base_url`"),
        );
        return None;
    }
    map.insert("method".into(), method.to_ascii_uppercase().into());
    map.insert("path".into(), path.into());
    if let Some(query) = query {
        map.insert("query".into(), wire::decoded_pairs(query.as_bytes()));
    }
    Some(())
}

/// What is a text on the wire, as a text: a test may write `limit: 3`.
fn texts(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), texts(value))).collect::<renkei_core::Map>().into()
        }
        Value::Array(items) => items.iter().map(texts).collect::<Vec<_>>().into(),
        Value::Null => Value::Null,
        scalar => wire::scalar(scalar).map_or_else(|| scalar.clone(), Value::from),
    }
}

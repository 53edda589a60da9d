//! What a server answers in a config test: `{ status, headers, body | base64 }`, read as if it came over the
//! wire.

use std::{sync::Arc, time::Duration};

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use indexmap::IndexMap;
use renkei_core::{
    Definitions, Diagnostic, Diagnostics, FromNode, Map, Node, Reply, Request, Result, Schema, Secret, Value,
    call::Again,
    connector::{Answer, Came},
    read::Spanned,
    secret,
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
        let place = Place {
            request,
            host: system,
            secrets: &[],
            connect_timeout: Duration::ZERO,
            read_timeout: None,
            proxy: None,
            setting: "base_url",
            kind: "http",
        };
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
        let mut reply =
            Reply { value: value.clone(), meta: meta.clone(), notices, page: None, again: Again::Whole };
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

/// Headers of one connection or one moment, which say nothing about the answer.
const PASSING: [&str; 10] = [
    "age",
    "connection",
    "content-encoding",
    "content-length",
    "date",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// An answer in those words as it came, without the system's own secrets.
pub(super) fn shown(status: StatusCode, headers: &HeaderMap, body: &[u8], secrets: &[Secret]) -> Value {
    let mut map = Map::new();
    map.insert("status".into(), i64::from(status.as_u16()).into());
    let telling: Map = reply::telling(headers)
        .filter(|name| !PASSING.contains(&name.as_str()))
        .filter_map(|name| Some((name.as_str().into(), headers.get(name)?.to_str().ok()?.into())))
        .collect();
    map.insert("headers".into(), telling.into());
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let json = is_json(kind).then(|| Value::from_json(body).ok()).flatten();
    let text =
        kind.trim_start().to_ascii_lowercase().starts_with("text/").then(|| std::str::from_utf8(body).ok());
    match (json, text.flatten()) {
        _ if body.is_empty() => {}
        (Some(value), _) => {
            map.insert("body".into(), value);
        }
        (None, Some(text)) => {
            map.insert("body".into(), text.into());
        }
        (None, None) => {
            let mut bytes = body.to_vec();
            secrets.iter().for_each(|secret| secret.mask_bytes(&mut bytes));
            let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
            map.insert("base64".into(), text.into());
        }
    }
    let words = Value::from(map);
    secret::mask(&words, secrets).unwrap_or(words)
}

/// Writes an answer: with the headers that its reading needs, then with all that tell something.
pub(super) fn write(came: &Came<'_>) -> Vec<Value> {
    let Some(all) = came.answered.and_then(Value::as_object) else { return Vec::new() };
    let headers = all.get("headers").and_then(Value::as_object).cloned().unwrap_or_default();
    let has_body = all.contains_key("body") || all.contains_key("base64");
    let needed = |name: &str, value: &Value| match name {
        "content-type" => has_body && !value.as_str().is_some_and(is_json),
        "retry-after" => came.result.is_err(),
        _ => false,
    };
    let with = |headers: Map| {
        let mut map = Map::new();
        for (key, value) in all {
            match &**key {
                "status" if value.as_i64() == Some(200) && (has_body || !headers.is_empty()) => {}
                "headers" if headers.is_empty() => {}
                "headers" => drop(map.insert(key.clone(), headers.clone().into())),
                _ => drop(map.insert(key.clone(), value.clone())),
            }
        }
        Value::from(map)
    };
    let few = headers.iter().filter(|(name, value)| needed(name, value));
    let few: Map = few.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut forms = vec![with(few)];
    forms.extend((!headers.is_empty()).then(|| with(headers)));
    forms
}

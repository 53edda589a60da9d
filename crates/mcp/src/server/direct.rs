//! The plain requests of the modern era, answered without rmcp: one parse, one write.
//!
//! rmcp makes a service, a channel and two tasks of every request, and reads and writes its JSON through
//! types of its own; for a quick tool that is most of the time. So `tools/call` and `tools/list` go straight
//! to the tools when everything about them is as usual. What is not – a header that is missing or different, a
//! member that is not known here, progress or log messages asked for, arguments repeated in headers, a tool
//! that does not exist – is left to rmcp, and with it every refusal that the protocol has: there is one place
//! for each rule, and the requests here pass all of them.

use std::{
    convert::Infallible,
    fmt::Write as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use http_body::{Frame, SizeHint};
use renkei_core::{
    CallContext, Principal, Value,
    call::{ClientAddress, Trace},
    principal::How,
    tool::{Content, ToolResult},
};
use rmcp::{ErrorData, model::ClientCapabilities};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    Server,
    call::{self, Record},
    http::{PROTOCOL_VERSION, SESSION_ID},
    message::Message,
    publish,
};

const MODERN: &str = "2026-07-28";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// They make an answer more than one message.
const META_OF_STREAMS: [&str; 2] = ["progressToken", "io.modelcontextprotocol/logLevel"];

/// A request that needs nothing of rmcp.
struct Plain<'m> {
    id: &'m Value,
    meta: &'m Value,
    what: What<'m>,
}

enum What<'m> {
    List,
    Call { tool: &'m str, arguments: Option<&'m Value> },
}

/// The answer to a plain request; nothing for any other.
///
/// Dropping the future, as happens when the client is gone, ends the call.
pub(super) async fn answer(server: &Server, parts: &Parts, message: &Message) -> Option<Response> {
    let plain = Plain::of(server, &parts.headers, message)?;
    let principal = parts.extensions.get::<Arc<Principal>>();
    let principal = principal.cloned().unwrap_or_else(|| Arc::new(Principal::anonymous()));
    let body = match plain.what {
        What::List => list(server, plain.id, &principal),
        What::Call { tool, arguments } => {
            let client = parts.extensions.get::<ClientAddress>().map(|client| client.0);
            let span = call::span("tools/call", tool, &principal, client);
            let received = received(plain.meta, &parts.headers, server.passes_baggage);
            let cx = CallContext {
                trace: Trace::of_request(&span, received),
                client,
                ..CallContext::new(Instant::now() + server.tools.timeout(tool), principal)
            };
            let record = Record { tool, cx };
            let arguments = arguments.cloned().unwrap_or_else(Value::object);
            let outcome = server.run_plain(&record, arguments).instrument(span.clone()).await;
            if outcome.as_ref().map_or(true, |result| result.error.is_some()) {
                span.record("otel.status_code", "error");
            }
            match outcome {
                Ok(result) => called(plain.id, result).into(),
                Err(error) => failed(plain.id, &error).into(),
            }
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Some(response)
}

impl<'m> Plain<'m> {
    fn of(server: &Server, headers: &HeaderMap, message: &'m Message) -> Option<Self> {
        let method = message.method()?;
        let (id, params) = (message.get("id")?, message.get("params")?);
        let meta = params.get("_meta")?;
        let is_plain = is(headers, PROTOCOL_VERSION, MODERN)
            && is(headers, METHOD, method)
            && !headers.contains_key(SESSION_ID)
            && accepts_both(headers)
            && meta.get(META_VERSION).and_then(Value::as_str) == Some(MODERN)
            && is_capabilities(meta.get(META_CAPABILITIES)?)
            && META_OF_STREAMS.iter().all(|key| meta.get(key).is_none());
        if !is_plain {
            return None;
        }
        let known = |keys: &[&str]| {
            params.as_object().is_some_and(|members| members.keys().all(|key| keys.contains(&&**key)))
        };
        let what = match method {
            "tools/list" if known(&["_meta"]) && server.published.len() <= server.limits.list_page => {
                What::List
            }
            "tools/call" if known(&["_meta", "name", "arguments"]) => {
                let tool = params.get("name")?.as_str()?;
                let arguments = params.get("arguments");
                let info = server.tools.find(tool)?;
                // Its result may be questions.
                let fits = !info.asks
                    && server.published.contains_key(tool)
                    && !server.concerns_tasks(tool)
                    && server.mirrors(tool).is_empty()
                    && is(headers, NAME, tool)
                    && arguments.is_none_or(|arguments| matches!(arguments, Value::Object(_)));
                if !fits {
                    return None;
                }
                What::Call { tool, arguments }
            }
            _ => return None,
        };
        Some(Plain { id, meta, what })
    }
}

/// Whether there is just one such header, with this value. Names that are encoded for a header are rmcp's.
fn is(headers: &HeaderMap, name: &str, value: &str) -> bool {
    let mut found = headers.get_all(name).iter();
    found.next().is_some_and(|first| first.as_bytes() == value.as_bytes()) && found.next().is_none()
}

/// Whether the client says the usual words: it takes both forms of an answer, and weighs none.
fn accepts_both(headers: &HeaderMap) -> bool {
    let mut both = [false; 2];
    for value in headers.get_all(header::ACCEPT) {
        let Ok(text) = value.to_str() else { return false };
        for range in text.split(',') {
            let range = range.trim();
            if range.contains([';', '"']) {
                return false;
            }
            both[0] |= range.eq_ignore_ascii_case("application/json");
            both[1] |= range.eq_ignore_ascii_case("text/event-stream");
        }
    }
    both == [true; 2]
}

/// Most clients have none to speak of; what they have must be of the protocol's types.
fn is_capabilities(value: &Value) -> bool {
    match value {
        Value::Object(members) if members.is_empty() => true,
        Value::Object(_) => {
            serde_json::from_value::<ClientCapabilities>(serde_json::Value::from(value)).is_ok()
        }
        _ => false,
    }
}

/// The request's own trace before that of the HTTP request that carries it.
fn received(meta: &Value, headers: &HeaderMap, passes_baggage: bool) -> Option<Trace> {
    let of_meta = |key| meta.get(key).and_then(Value::as_str);
    let of_headers = |key| headers.get(key).and_then(|value| value.to_str().ok());
    if let Some(parent) = of_meta("traceparent") {
        let baggage = of_meta("baggage").filter(|_| passes_baggage);
        return Trace::received(parent, of_meta("tracestate"), baggage);
    }
    let baggage = of_headers("baggage").filter(|_| passes_baggage);
    Trace::received(of_headers("traceparent")?, of_headers("tracestate"), baggage)
}

fn opened(id: &Value, room: usize) -> String {
    let mut out = String::with_capacity(room + 128);
    out += r#"{"jsonrpc":"2.0","id":"#;
    id.write_json(&mut out);
    out
}

/// The list itself is shared by all answers: each has a beginning of its own.
fn list(server: &Server, id: &Value, principal: &Principal) -> Body {
    let mut out = opened(id, 0);
    // An answer to somebody with a name stays with them: a shared cache must not hand it to others.
    let scope = if principal.how == How::None { "public" } else { "private" };
    let ttl = server.list_ttl(false);
    // Writing to a string cannot fail.
    let _ =
        write!(out, r#","result":{{"resultType":"complete","ttlMs":{ttl},"cacheScope":"{scope}","tools":["#);
    Body::new(InTwo([out.into(), server.exact.tools_to_the_end()]))
}

/// A body in two pieces, of which none is copied.
struct InTwo([Bytes; 2]);

impl http_body::Body for InTwo {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.0.iter_mut().find(|piece| !piece.is_empty()).map(std::mem::take);
        Poll::Ready(next.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

fn called(id: &Value, result: ToolResult) -> String {
    let ToolResult { mut content, structured, error } = result;
    if let (Some(error), true) = (&error, content.is_empty()) {
        content.push(Content::Text(error.to_string()));
    }
    let room =
        content.iter().map(|part| if let Content::Text(text) = part { text.len() } else { 0 }).sum::<usize>();
    let mut out = opened(id, 2 * room);
    out += r#","result":{"resultType":"complete","content":["#;
    for (at, part) in content.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        match part {
            Content::Text(text) => {
                out += r#"{"type":"text","text":"#;
                Value::from(text).write_json(&mut out);
                out.push('}');
            }
            // Every digit and every member of it, if it is one.
            Content::Part(part) if publish::read_part(&part).is_some() => part.write_json(&mut out),
            // Texts, and bytes in base64: nothing that cannot be written.
            other => out += &serde_json::to_string(&publish::block(other)).unwrap_or_default(),
        }
    }
    out.push(']');
    if let Some(value) = structured {
        out += r#","structuredContent":"#;
        value.write_json(&mut out);
    }
    out += if error.is_some() { r#","isError":true}}"# } else { r#","isError":false}}"# };
    out
}

fn failed(id: &Value, error: &ErrorData) -> String {
    let mut out = opened(id, 256);
    out += r#","error":"#;
    // An error is texts, numbers and JSON: nothing that cannot be written.
    out += &serde_json::to_string(error).unwrap_or_default();
    out.push('}');
    out
}

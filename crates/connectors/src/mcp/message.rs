//! JSON-RPC as this protocol uses it: messages to a server, and what came from one. Numbers keep their digits.

use std::sync::Arc;

use renkei_core::{Map, Value, call::Trace};

/// Which revision is spoken, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// A handshake, then a session.
    Legacy,
    /// Each request says all.
    Modern,
}

/// The newest revision of each era.
pub(super) const MODERN: &str = "2026-07-28";
pub(super) const LEGACY: &str = "2025-11-25";
/// Older ones that are understood, too.
pub(super) const OLDER: [&str; 3] = ["2025-06-18", "2025-03-26", "2024-11-05"];

pub(super) const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
const CLIENT_KEY: &str = "io.modelcontextprotocol/clientInfo";

/// Codes of errors.
pub(super) const METHOD_NOT_FOUND: i64 = -32601;
pub(super) const HEADER_MISMATCH: i64 = -32020;
pub(super) const MISSING_CAPABILITY: i64 = -32021;
pub(super) const UNSUPPORTED_VERSION: i64 = -32022;

/// An error of the protocol, as the server sent it.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Value,
}

/// What the server answered to a request.
pub(super) type Answer = Result<Value, Fault>;

/// Who asks.
pub(super) fn client_info() -> Value {
    Value::from([("name", "renkei"), ("version", env!("CARGO_PKG_VERSION"))])
}

/// The parameters of a request in an era, with what belongs into `_meta`.
pub(super) fn params(era: Era, mut params: Map, trace: Option<&Trace>, progress: Option<u64>) -> Value {
    let mut meta = Map::new();
    if era == Era::Modern {
        meta.insert(VERSION_KEY.into(), MODERN.into());
        meta.insert(CLIENT_KEY.into(), client_info());
        meta.insert(CAPABILITIES_KEY.into(), Value::object());
    }
    if let Some(trace) = trace {
        meta.insert("traceparent".into(), trace.parent.clone().into());
        let more = [("tracestate", &trace.state), ("baggage", &trace.baggage)];
        for (key, value) in more {
            if let Some(value) = value {
                meta.insert(key.into(), value.clone().into());
            }
        }
    }
    if let Some(token) = progress {
        meta.insert("progressToken".into(), token.into());
    }
    if !meta.is_empty() {
        params.insert("_meta".into(), meta.into());
    }
    params.into()
}

pub(super) fn request(id: u64, method: &str, params: Value) -> String {
    Value::from([
        ("jsonrpc", Value::from("2.0")),
        ("id", id.into()),
        ("method", method.into()),
        ("params", params),
    ])
    .to_json()
}

pub(super) fn notification(method: &str, params: Value) -> String {
    Value::from([("jsonrpc", Value::from("2.0")), ("method", method.into()), ("params", params)]).to_json()
}

/// That nobody waits for the answer to a request any more.
pub(super) fn cancelled(id: u64) -> String {
    let reason = "nobody waits for the answer any more";
    notification(
        "notifications/cancelled",
        Value::from([("requestId", Value::from(id)), ("reason", reason.into())]),
    )
}

/// The answer to what a server asked: a ping is answered, everything else is nothing that we offered.
pub(super) fn reply_to(id: &Value, method: &str) -> String {
    let outcome = match method {
        "ping" => ("result", Value::object()),
        _ => {
            let message = format!("Renkei answers no `{}`", shown(method));
            ("error", Value::from([("code", Value::from(METHOD_NOT_FOUND)), ("message", message.into())]))
        }
    };
    Value::from([("jsonrpc", Value::from("2.0")), ("id", id.clone()), outcome]).to_json()
}

/// What a server sent.
#[derive(Debug)]
pub(super) enum Incoming {
    Reply {
        id: u64,
        answer: Answer,
    },
    /// It wants an answer.
    Request {
        id: Value,
        method: String,
    },
    Progress {
        token: u64,
        share: Option<f64>,
        note: String,
    },
    /// What it writes into its log.
    Line {
        level: String,
        text: String,
    },
    /// The list of this kind of thing is another one now.
    Changed(Arc<str>),
    /// A notification that says nothing to us.
    Other,
}

/// The longest text of a server that gets into a report or a log.
pub(super) const MAX_TEXT: usize = 500;

/// What `message` says; nothing if it is no message.
pub(super) fn read(message: &Value) -> Option<Incoming> {
    let method = message.get("method").and_then(Value::as_str);
    let id = message.get("id").filter(|id| !id.is_null());
    let (method, params) = match (method, id) {
        (None, id) => return reply(message, id?),
        (Some(method), Some(id)) => {
            return Some(Incoming::Request { id: id.clone(), method: method.to_owned() });
        }
        (Some(method), None) => (method, message.get("params").cloned().unwrap_or_default()),
    };
    Some(match method {
        "notifications/progress" => progress(&params)?,
        "notifications/message" => {
            let data = params.get("data").cloned().unwrap_or_default();
            let text = data.as_str().map_or_else(|| data.to_json(), ToOwned::to_owned);
            let level = params.get("level").and_then(Value::as_str).unwrap_or("info");
            Incoming::Line { level: shown(level), text: shown(&text) }
        }
        // From now on it tells of changes: what changed before is not told.
        "notifications/subscriptions/acknowledged" => Incoming::Changed("tools".into()),
        _ => {
            match method.strip_prefix("notifications/").and_then(|rest| rest.strip_suffix("/list_changed")) {
                Some(kind) => Incoming::Changed(shown(kind).into()),
                None => Incoming::Other,
            }
        }
    })
}

fn reply(message: &Value, id: &Value) -> Option<Incoming> {
    let id = number(id)?;
    let answer = match (message.get("result"), message.get("error")) {
        (Some(result), None) => Ok(result.clone()),
        (None, Some(error)) => Err(Fault {
            code: error.get("code").and_then(Value::as_i64).unwrap_or_default(),
            message: error.get("message").and_then(Value::as_str).unwrap_or("no reason was given").to_owned(),
            data: error.get("data").cloned().unwrap_or_default(),
        }),
        _ => return None,
    };
    Some(Incoming::Reply { id, answer })
}

fn progress(params: &Value) -> Option<Incoming> {
    let token = number(params.get("progressToken")?)?;
    let done = params.get("progress").and_then(Value::as_f64)?;
    let total = params.get("total").and_then(Value::as_f64).filter(|total| *total > 0.0);
    let note = match (params.get("message").and_then(Value::as_str), total) {
        (Some(message), _) => shown(message),
        (None, Some(total)) => format!("{done} of {total}"),
        (None, None) => format!("{done}"),
    };
    Some(Incoming::Progress { token, share: total.map(|total| done / total), note })
}

/// Ids and tokens are our own numbers; a server may send them back as a text.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64().and_then(|number| u64::try_from(number).ok()),
    }
}

/// A server's text as it may get into a report or a log: short, on one line.
pub(super) fn shown(text: &str) -> String {
    let mut letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut shown: String = letters.by_ref().take(MAX_TEXT).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<Incoming> {
        read(&Value::from_json(text.as_bytes()).unwrap())
    }

    #[test]
    fn messages_are_told_apart() {
        let text = r#"{"jsonrpc":"2.0","id":7,"result":{"sum":1.10}}"#;
        assert!(
            matches!(said(text), Some(Incoming::Reply { id: 7, answer: Ok(result) }) if result.to_json() == r#"{"sum":1.10}"#)
        );
        let text = r#"{"id":"7","error":{"code":-32602,"message":"no"}}"#;
        assert!(matches!(
            said(text),
            Some(Incoming::Reply { id: 7, answer: Err(Fault { code: -32602, .. }) })
        ));
        let text =
            r#"{"method":"notifications/progress","params":{"progressToken":3,"progress":1,"total":4}}"#;
        assert!(
            matches!(said(text), Some(Incoming::Progress { token: 3, share: Some(share), note }) if share == 0.25 && note == "1 of 4")
        );
        assert!(matches!(said(r#"{"id":1,"method":"ping"}"#), Some(Incoming::Request { .. })));
        assert!(
            matches!(said(r#"{"method":"notifications/tools/list_changed"}"#), Some(Incoming::Changed(kind)) if &*kind == "tools")
        );
        for nothing in [
            "{}",
            "[]",
            "7",
            r#"{"id":1}"#,
            r#"{"id":1.5,"result":1}"#,
            r#"{"id":1,"result":1,"error":{}}"#,
            r#"{"id":null,"error":{"code":1}}"#,
        ] {
            assert!(said(nothing).is_none(), "{nothing}");
        }
    }

    #[test]
    fn a_ping_is_answered_and_nothing_else() {
        assert_eq!(reply_to(&"a".into(), "ping"), r#"{"jsonrpc":"2.0","id":"a","result":{}}"#);
        assert!(reply_to(&1i64.into(), "sampling/createMessage").contains("-32601"));
    }
}

//! What a client sent, read before rmcp reads it.
//!
//! rmcp's types hold `serde_json` values, which round numbers, and it says little of what it cannot read. So
//! the text is read here first: what is wrong with it is said here, and the arguments of a call are taken out
//! with every digit. rmcp gets the rest of the message, rewritten.

use renkei_core::Value;

/// Integers up to this one, not included, are the same as a double.
const EXACT_AS_DOUBLE: f64 = 9_007_199_254_740_992.0;

/// Messages in one batch.
const BATCH_MESSAGES: usize = 100;

/// The arguments of a `tools/call` as they were written. Travels beside the message that rmcp sees.
#[derive(Clone, Debug)]
pub(super) struct Arguments(pub(super) Value);

/// The answers of a request to questions of one before, as they were written. Travel beside the message, too.
#[derive(Clone, Debug)]
pub(super) struct Responses(pub(super) Value);

/// What one body, or one line, holds.
#[derive(Debug)]
pub(super) enum Incoming {
    One(Message),
    /// A JSON-RPC batch, not empty. Only protocol version 2025-03-26 has them.
    Batch(Vec<Result<Message, Unreadable>>),
}

/// A request, a notification or a response: its outside is as JSON-RPC wants it.
#[derive(Debug)]
pub(super) struct Message(Value);

/// Why there is no message, as the error that answers it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unreadable {
    pub(super) code: i32,
    /// The request's own, where it could be read; null elsewhere.
    pub(super) id: Value,
    pub(super) text: String,
}

/// Reads a body or a line.
pub(super) fn read(text: &[u8]) -> Result<Incoming, Unreadable> {
    if text.trim_ascii().is_empty() {
        return Err(Unreadable::parse("the message is empty: a JSON-RPC message is due".into()));
    }
    let value = Value::from_json(text)
        .map_err(|error| Unreadable::parse(format!("the message cannot be read as JSON: {error}")))?;
    match value {
        Value::Array(items) if items.is_empty() => {
            Err(Unreadable::request(Value::Null, "an empty array holds no message".into()))
        }
        Value::Array(items) if items.len() > BATCH_MESSAGES => {
            let count = items.len();
            let text = format!("{count} messages in one batch are too many: at most `{BATCH_MESSAGES}`");
            Err(Unreadable::request(Value::Null, text))
        }
        Value::Array(items) => {
            let messages = items.iter().cloned().map(|item| Message::new(item).and_then(Message::batched));
            Ok(Incoming::Batch(messages.collect()))
        }
        value => Message::new(value).map(Incoming::One),
    }
}

impl Message {
    fn new(value: Value) -> Result<Self, Unreadable> {
        let Value::Object(members) = &value else {
            let text = format!("a JSON-RPC message is an object, not {}", value.type_name());
            return Err(Unreadable::request(Value::Null, text));
        };
        let id = members.get("id");
        let known_id = id.filter(|id| is_id(id)).cloned().unwrap_or_default();
        let wrong = |text: &str| Err(Unreadable::request(known_id.clone(), text.to_owned()));
        if id.is_some_and(|id| !is_id(id)) {
            return wrong("the `id` of a JSON-RPC message is a string or an integer of at most 64 bits");
        }
        if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return wrong("a JSON-RPC message has the member `jsonrpc` with the value `\"2.0\"`");
        }
        let answers = [members.contains_key("result"), members.contains_key("error")];
        match (members.get("method"), answers) {
            (Some(Value::String(_)), [false, false]) => {}
            (Some(Value::String(_)), _) => {
                return wrong("a message has either a `method`, or a `result` or `error`; not both");
            }
            (Some(other), _) => {
                return wrong(&format!("`method` is a string, not {}", other.type_name()));
            }
            (None, [true, false] | [false, true]) if id.is_some() => {}
            (None, [true, true]) => return wrong("a response has either a `result` or an `error`; not both"),
            (None, [true, false]) => return wrong("a response has the `id` of its request"),
            (None, [false, true]) => {}
            (None, [false, false]) => {
                return wrong("neither a request nor a response: `method`, `result` and `error` are missing");
            }
        }
        match members.get("params") {
            None | Some(Value::Null | Value::Object(_) | Value::Array(_)) => Ok(Message(value)),
            Some(other) => wrong(&format!("`params` is an object, not {}", other.type_name())),
        }
    }

    /// The handshake is never part of a batch.
    fn batched(self) -> Result<Self, Unreadable> {
        match self.method() {
            Some("initialize") => {
                let text = "`initialize` stands alone: it is never part of a batch";
                Err(Unreadable::request(self.id(), text.into()))
            }
            _ => Ok(self),
        }
    }

    pub(super) fn method(&self) -> Option<&str> {
        self.0.get("method").and_then(Value::as_str)
    }

    pub(super) fn get(&self, member: &str) -> Option<&Value> {
        self.0.get(member)
    }

    /// Null where there is none.
    pub(super) fn id(&self) -> Value {
        self.0.get("id").cloned().unwrap_or_default()
    }

    pub(super) fn is_request(&self) -> bool {
        self.method().is_some() && self.0.get("id").is_some()
    }

    pub(super) fn is_notification(&self) -> bool {
        self.method().is_some() && self.0.get("id").is_none()
    }

    /// The tool and the arguments of a call; nothing for other messages, and for a call that has no
    /// arguments, or some that are no object: rmcp knows what to say of those.
    pub(super) fn call(&self) -> Option<(&str, Arguments)> {
        if self.method() != Some("tools/call") {
            return None;
        }
        let params = self.0.get("params")?;
        let arguments = params.get("arguments").filter(|value| matches!(value, Value::Object(_)))?;
        Some((params.get("name")?.as_str()?, Arguments(arguments.clone())))
    }

    /// The answers that a request brings.
    pub(super) fn responses(&self) -> Option<Responses> {
        let responses = self.0.get("params")?.get("inputResponses")?;
        matches!(responses, Value::Object(_)).then(|| Responses(responses.clone()))
    }

    /// The message for rmcp, as JSON. `arguments` take the place of a call's own, which it shall not see.
    pub(super) fn to_json(&self, arguments: Option<Value>) -> String {
        match arguments {
            None => self.0.to_json(),
            Some(arguments) => {
                let params = self.0.get("params").cloned().unwrap_or_default();
                with(&self.0, "params", with(&params, "arguments", arguments)).to_json()
            }
        }
    }

    /// The same message with other parameters.
    pub(super) fn with_params(&self, params: Value) -> Message {
        Message(with(&self.0, "params", params))
    }

    /// What rmcp still does not take: something in it is not as the protocol's types want it.
    pub(super) fn misfit(&self) -> Unreadable {
        let what = self.method().map_or_else(|| "the response".into(), |method| format!("`{method}`"));
        let text = format!("a member of {what} has a value that the protocol does not allow there");
        Unreadable::request(self.id(), text)
    }
}

impl Unreadable {
    fn parse(text: String) -> Self {
        Unreadable { code: -32700, id: Value::Null, text }
    }

    pub(super) fn request(id: Value, text: String) -> Self {
        Unreadable { code: -32600, id, text }
    }

    /// More bytes than a message may have: what it was is not known, since it was not read.
    pub(super) fn too_long(limit: usize) -> Self {
        Self::request(Value::Null, format!("the message has more than `{limit}` bytes; send less"))
    }

    pub(super) fn batch() -> Self {
        let text = "batches (JSON arrays) exist only after an `initialize` that settled on protocol version \
                    2025-03-26: send the messages one by one";
        Self::request(Value::Null, text.into())
    }

    /// As a JSON-RPC message.
    pub(super) fn to_json(&self) -> String {
        let error = Value::from([
            ("code", Value::from(i64::from(self.code))),
            ("message", self.text.as_str().into()),
        ]);
        Value::from([("jsonrpc", Value::from("2.0")), ("id", self.id.clone()), ("error", error)]).to_json()
    }
}

/// As rmcp takes them: fractions are no ids, and neither is what no 64 bits hold.
fn is_id(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Number(number) => {
            let exact = number.is_integral() && number.as_f64().abs() < EXACT_AS_DOUBLE;
            number.as_i64().is_some() || exact
        }
        _ => false,
    }
}

/// An object with `key` set; anything else as it is.
fn with(object: &Value, key: &str, value: Value) -> Value {
    let Value::Object(members) = object else { return object.clone() };
    let mut members = renkei_core::Map::clone(members);
    members.insert(key.into(), value);
    members.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Message {
        match read(text.as_bytes()) {
            Ok(Incoming::One(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_keep_their_digits_and_leave_the_message() {
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":1.10,"b":1e400}}}"#;
        let message = one(text);
        let (tool, arguments) = message.call().unwrap();
        assert_eq!((tool, arguments.0.to_json()), ("x", r#"{"a":1.10,"b":1e400}"#.to_owned()));
        assert_eq!(
            message.to_json(Some(Value::object())),
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{}}}"#
        );
        assert_eq!(message.to_json(None), text);
    }

    #[test]
    fn ids_are_what_rmcp_takes_for_ids() {
        for id in ["0", "-7", "1.0", "1e2", "9223372036854775807", r#""x""#, r#""""#] {
            one(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#));
            serde_json::from_str::<rmcp::model::RequestId>(id).unwrap();
        }
        for id in ["null", "1.5", "1e400", "9223372036854775808", "true", "[]", "{}"] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            let error = read(text.as_bytes()).unwrap_err();
            assert_eq!((error.code, error.id), (-32600, Value::Null), "{id}");
            assert!(serde_json::from_str::<rmcp::model::RequestId>(id).is_err(), "{id}");
        }
    }
}

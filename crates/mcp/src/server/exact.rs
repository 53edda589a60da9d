//! JSON that leaves as it is, though it passes through rmcp.
//!
//! rmcp's types hold `serde_json` values: numbers lose digits there, and a list of tools is copied and
//! serialised for every request. So rmcp gets a stand-in, and the bytes that it wrote are mended before they
//! leave: HTTP in the response's body, stdio in the writer.
//!
//! - A structured result travels as `{"KEY": "its JSON as a string"}`. It needs no table beside the message,
//!   so a stream that is resumed, or never read, costs nothing more.
//! - A list of tools travels as one tool whose name is the key; the list's JSON is made once.
//!
//! KEY is random and is never sent, so no system's answer can hold it. rmcp hands out each message in one
//! piece: a JSON body is whole, and so is every event of a stream.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use renkei_core::Value;
use rmcp::model::{JsonObject, Tool};

/// What precedes the key in a structured result's stand-in, and what follows it.
const OPEN: &[u8] = b"{";
const THEN: &[u8] = b":\"";

/// One for all servers, so that what one of them wrote is mended by the next, which took its place meanwhile.
static KEY: LazyLock<String> = LazyLock::new(|| format!("renkei-{}", uuid::Uuid::new_v4().simple()));

/// The stand-ins of one server.
pub(super) struct Exact {
    key: String,
    /// The key in quotes.
    quoted: Finder<'static>,
    list_stand_in: Tool,
    /// Of the stand-in for the list: what precedes the quoted key, and what follows it.
    list_before: Vec<u8>,
    list_after: Vec<u8>,
    /// The tools as they are sent, with commas between them, and [`END_OF_LIST`].
    list: Bytes,
}

/// What ends a result that ends with the list of tools, and its message.
const END_OF_LIST: &[u8] = b"]}}";

impl Exact {
    pub(super) fn new<'a>(tools: impl IntoIterator<Item = &'a Tool>) -> Self {
        let key = KEY.clone();
        let list_stand_in = Tool::new(key.clone(), "", JsonObject::new());
        let quoted = format!("\"{key}\"").into_bytes();
        let written = json(&list_stand_in);
        let at = memchr::memmem::find(&written, &quoted).unwrap_or_default();
        let mut list = tools.into_iter().map(json).collect::<Vec<_>>().join(&b',');
        list.extend_from_slice(END_OF_LIST);
        Exact {
            list_before: written[..at].to_vec(),
            list_after: written[at + quoted.len()..].to_vec(),
            quoted: Finder::new(&quoted).into_owned(),
            key,
            list_stand_in,
            list: list.into(),
        }
    }

    /// What stands for a structured result.
    pub(super) fn structured(&self, value: &Value) -> serde_json::Value {
        JsonObject::from_iter([(self.key.clone(), value.to_json().into())]).into()
    }

    pub(super) fn has_same_list(&self, other: &Exact) -> bool {
        self.list == other.list
    }

    /// What stands for the whole list of tools.
    pub(super) fn list(&self) -> Vec<Tool> {
        vec![self.list_stand_in.clone()]
    }

    /// The tools as they are sent, with commas between them.
    fn tools(&self) -> &[u8] {
        &self.list[..self.list.len() - END_OF_LIST.len()]
    }

    /// The same up to the end of a message whose last member they are: `]}}` follows.
    pub(super) fn tools_to_the_end(&self) -> Bytes {
        self.list.clone()
    }

    /// The bytes of a message with the stand-ins replaced by what they stand for.
    pub(super) fn restore(&self, bytes: Bytes) -> Bytes {
        let Some(first) = self.quoted.find(&bytes) else { return bytes };
        let mut out = Vec::with_capacity(bytes.len() + self.list.len());
        let (mut rest, mut found) = (&bytes[..], Some(first));
        while let Some(at) = found {
            let (before, after) = (&rest[..at], &rest[at + self.quoted.needle().len()..]);
            rest = if let (Some(before), Some(after)) =
                (before.strip_suffix(&*self.list_before), after.strip_prefix(&*self.list_after))
            {
                out.extend_from_slice(before);
                out.extend_from_slice(self.tools());
                after
            } else if let (Some(before), Some(after)) = (before.strip_suffix(OPEN), after.strip_prefix(THEN))
            {
                out.extend_from_slice(before);
                unquote(after, &mut out)
            } else {
                // Nothing of ours: nobody else knows the key.
                out.extend_from_slice(&rest[..at + 1]);
                &rest[at + 1..]
            };
            found = self.quoted.find(rest);
        }
        out.extend_from_slice(rest);
        out.into()
    }
}

/// Appends the text of a JSON string whose opening quote is gone, and gives what follows its object's end.
/// The text is compact JSON of ours, so that the only escapes are those of `"` and `\`.
fn unquote<'a>(mut text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', text) {
        out.extend_from_slice(&text[..at]);
        if text[at] == b'"' {
            let after = &text[at + 1..];
            return after.strip_prefix(b"}").unwrap_or(after);
        }
        out.extend(text.get(at + 1));
        text = text.get(at + 2..).unwrap_or_default();
    }
    out.extend_from_slice(text);
    &[]
}

fn json(tool: &Tool) -> Vec<u8> {
    // A tool is strings, booleans and JSON: nothing that cannot be written.
    serde_json::to_vec(tool).unwrap_or_default()
}

impl std::fmt::Debug for Exact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exact").field("list_bytes", &self.list.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> Tool {
        Tool::new(name.to_owned(), "Does it.", JsonObject::from_iter([("type".into(), "object".into())]))
    }

    #[test]
    fn a_structured_result_leaves_with_every_digit() {
        let exact = Exact::new(&[]);
        for text in [
            "{}",
            r#"{"a":1.10,"b":-0,"c":1e400,"d":123456789012345678901234567890}"#,
            r#"{"q\"uote":"back\\slash \u0001\u007f\n","é":["連携","😀"]}"#,
        ] {
            let stand_in = exact.structured(&Value::from_json(text.as_bytes()).unwrap());
            for (before, after) in [("", ""), (r#"data: {"result":{"structuredContent":"#, "}}\n\n")] {
                let sent = format!("{before}{stand_in}{after}");
                let restored = exact.restore(sent.into());
                assert_eq!(restored, format!("{before}{text}{after}"));
            }
        }
    }

    #[test]
    fn a_list_leaves_as_it_was_made() {
        for count in [0, 1, 3] {
            let tools: Vec<_> = (0..count).map(|at| tool(&format!("tool_{at}"))).collect();
            let exact = Exact::new(&tools);
            let sent = serde_json::json!({"id": 7, "result": {"tools": exact.list(), "ttlMs": 1}});
            let wanted = serde_json::json!({"id": 7, "result": {"tools": tools, "ttlMs": 1}});
            assert_eq!(exact.restore(sent.to_string().into()), wanted.to_string());
        }
    }

    #[test]
    fn other_bytes_are_not_touched() {
        let exact = Exact::new(&[]);
        for text in [String::new(), "data: {}\n\n".into(), format!("\"{}\"", exact.key), exact.key.clone()] {
            assert_eq!(exact.restore(text.clone().into()), text);
        }
    }
}

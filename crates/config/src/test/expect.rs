//! `expect:` – what is to come of a test's call.

use std::sync::Arc;

use indexmap::IndexMap;
use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Entry, FromNode, Node, NodeKind, Schema, Value,
    read::{Spanned, wrong},
    trial::{Expect, ExpectedError},
};
use renkei_derive::FromNode;

use super::{
    Known,
    mock::{AppliedWord, KindWord},
    values,
};

/// What is to come of the call. Without `error` it has to go well.
#[derive(Clone, Debug, FromNode)]
#[expect(
    dead_code,
    reason = "they are read with the systems and queues they belong to; the fields are the manual"
)]
pub(super) struct ExpectConfig {
    /// The whole result.
    result: Option<Value>,

    /// Members of the result; what is not named may be anything. A list has to have as many elements.
    contains: Option<Spanned<Value>>,

    /// The call fails: the kind of the error, or a mapping.
    error: Option<ErrorExpected>,

    /// The parts of the result, in their order and in the words of a tool's `content`: `text`, or `image`, `audio`,
    /// `resource` and `link` with their members, of which some may be left out.
    content: Option<Vec<Spanned<Value>>>,

    /// Texts that occur in what the model reads: in the result as text, in notices, in what is said of an error.
    #[config(default)]
    says: Vec<String>,

    /// All requests that come to a system, in their order, by system. Of each, what is named has to be so. An empty
    /// list: none comes.
    #[config(default)]
    requests: Requests,

    /// All messages that are enqueued, in their order, by queue: their data. Of each, what is named has to be so. An empty
    /// list: none is.
    #[config(default)]
    messages: Requests,
}

/// Read by [`requests`], which knows the systems.
#[derive(Clone, Debug, Default)]
struct Requests;

impl FromNode for Requests {
    fn from_node(_: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(Requests)
    }

    fn schema(_: &mut Definitions) -> Schema {
        let list = Value::from([("type", "array")]);
        Value::from([("type", Value::from("object")), ("additionalProperties", list)])
    }
}

#[derive(Clone, Debug)]
struct ErrorExpected(ExpectedError);

/// How the call fails.
#[derive(Clone, Debug, FromNode)]
struct ErrorConfig {
    /// What kind of error it is, such as `not_found`.
    kind: Option<KindWord>,
    /// A part of its message.
    message: Option<String>,
    /// Whether the effect happened.
    applied: Option<AppliedWord>,
}

impl FromNode for ErrorExpected {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        Some(ErrorExpected(match &node.kind {
            NodeKind::String(_) => {
                ExpectedError { kind: Some(KindWord::from_node(node, d)?.0), ..ExpectedError::default() }
            }
            NodeKind::Map(entries) if !entries.is_empty() => {
                let config = ErrorConfig::from_node(node, d)?;
                ExpectedError {
                    kind: config.kind.map(|kind| kind.0),
                    message: config.message,
                    applied: config.applied.map(Into::into),
                }
            }
            _ => return wrong(node, "a kind of error, or a mapping with `kind` and `message`", d),
        }))
    }

    fn schema(defs: &mut Definitions) -> Schema {
        let forms = vec![KindWord::schema(defs), ErrorConfig::schema(defs)];
        Value::from([("oneOf", forms)])
    }
}

impl ExpectConfig {
    /// What is expected, without the requests.
    pub(super) fn plan(self, test: &Entry, d: &mut Diagnostics) -> Option<Expect> {
        let node = test.value.get("expect");
        let has = |key: &str| node.and_then(|node| node.entry(key));
        if node.and_then(Node::as_map).is_some_and(<[Entry]>::is_empty) {
            let span = node.map_or(test.key_span, |node| node.span);
            d.push(
                Diagnostic::error(span, "the test expects nothing")
                    .hint("add `result: …`, `contains: …`, `error: …` or `requests: …`"),
            );
            return None;
        }
        for key in ["result", "contains", "content"] {
            if let (Some(error), Some(other)) = (has("error"), has(key)) {
                d.push(
                    Diagnostic::error(other.key_span, format!("a call that fails has no `{key}`"))
                        .related(error.key_span, "it is to fail")
                        .hint("keep one of them; `says` is for both"),
                );
                return None;
            }
        }
        if let (Some(result), Some(contains)) = (has("result"), has("contains")) {
            d.push(
                Diagnostic::error(contains.key_span, "`result` is the whole result already")
                    .related(result.key_span, "the whole result")
                    .hint("keep one of `result` and `contains`"),
            );
            return None;
        }
        let content = self.content.map(|parts| parts.into_iter().map(|part| part.value).collect::<Vec<_>>());
        // `result: null` expects null.
        let result = has("result").map(|_| self.result.unwrap_or_default());
        Some(Expect {
            result,
            contains: self.contains.map(|contains| contains.value),
            error: self.error.map(|error| error.0),
            content: content.map(Into::into),
            says: self.says,
            requests: IndexMap::new(),
            messages: IndexMap::new(),
        })
    }
}

/// Reads the expected requests. Nothing, with diagnostics, if something is wrong.
pub(super) fn requests(
    node: &Node,
    known: &Known<'_>,
    d: &mut Diagnostics,
) -> Option<IndexMap<Arc<str>, Vec<Value>>> {
    let Some(entries) = node.as_map() else {
        return wrong(node, "the systems, each with the list of the requests to it", d);
    };
    let read: Vec<Option<(Arc<str>, Vec<Value>)>> =
        entries.iter().map(|entry| Some((entry.key.clone(), of_system(entry, known, d)?))).collect();
    read.into_iter().collect()
}

/// Reads the expected messages, by queue.
pub(super) fn messages(
    node: &Node,
    known: &Known<'_>,
    d: &mut Diagnostics,
) -> Option<IndexMap<Arc<str>, Vec<Value>>> {
    let Some(entries) = node.as_map() else {
        return wrong(node, "the queues, each with the list of the messages in it", d);
    };
    let read: Vec<Option<(Arc<str>, Vec<Value>)>> = entries
        .iter()
        .map(|entry| {
            let queue = Spanned { value: entry.key.to_string(), span: entry.key_span };
            super::check_queue(&queue, known, d);
            match &entry.value.kind {
                NodeKind::Seq(items) => Some((entry.key.clone(), items.iter().map(Node::to_value).collect())),
                _ => wrong(&entry.value, "the list of the messages; `[]` for none", d),
            }
        })
        .collect();
    read.into_iter().collect()
}

fn of_system(entry: &Entry, known: &Known<'_>, d: &mut Diagnostics) -> Option<Vec<Value>> {
    if !known.check_system(&entry.key, entry.key_span, d) {
        return None;
    }
    let NodeKind::Seq(items) = &entry.value.kind else {
        return wrong(&entry.value, "the list of the requests; `[]` for none", d);
    };
    let name = known.systems.get(&entry.key)?;
    let kind = known.kinds.connectors.iter().find(|kind| kind.name() == *name)?;
    let read: Vec<Option<Value>> = items
        .iter()
        .map(|item| match &item.kind {
            // Any request.
            NodeKind::Map(entries) if entries.is_empty() => Some(values(entries).into()),
            _ => kind.read_request(item, d),
        })
        .collect();
    read.into_iter().collect()
}

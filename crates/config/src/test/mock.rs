//! `mocks:` – what each system answers in a test.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use renkei_core::{
    Applied, ConnectorKind, Definitions, Diagnostic, Diagnostics, Entry, Error, FromNode, Kind, Map, Node,
    NodeKind, Reply, Retry, Schema, Value,
    connector::Answer,
    diagnostic::suggest,
    read::{Spanned, wrong},
    trial::Mock,
};
use renkei_derive::FromNode;

use super::{Known, listed};
use crate::plan::Kinds;

/// How often a mock may be used: more is no test any more.
const MAX_TIMES: u64 = 10_000;
/// Says that the mocks of a system are to be recorded.
const WANTED: &str = "record";
/// The definition of one mock in the JSON Schema.
const DEFINITION: &str = "mock";

/// A list of mocks for each system; read by [`read`], which knows the systems.
#[derive(Clone, Debug, Default)]
pub(super) struct Mocks;

impl FromNode for Mocks {
    fn from_node(_: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(Mocks)
    }

    fn schema(_: &mut Definitions) -> Schema {
        let mock = Value::from([("$ref", format!("#/$defs/{DEFINITION}"))]);
        let list = Value::from([("type", Value::from("array")), ("items", mock)]);
        let record = Value::from([("const", WANTED)]);
        let forms = Value::from([("oneOf", vec![list, record])]);
        Value::from([("type", Value::from("object")), ("additionalProperties", forms)])
    }
}

/// What a system answers to some of the requests of a test. Exactly one key beside these says what: `reply`,
/// `error`, or the words of the system's kind, such as `status` and `body` or `rows`.
#[derive(Clone, Debug, FromNode)]
struct MockConfig {
    /// The requests that it answers: members that a request must have, in the words of the operation, such as
    /// `GET /customers/7` or `{ post: /orders, body: { sku: a } }`; for SQL `{ sql, params }`. A member that is not
    /// named may be anything. Every request without it.
    request: Option<Node>,
    /// The value that the system's answer is read as: what `$result` is.
    reply: Option<Value>,
    /// What is known about `reply`: what `$result_meta` is.
    meta: Option<Spanned<Value>>,
    /// The call fails: the kind of the error, or a mapping.
    error: Option<Failure>,
    /// How many requests it answers.
    #[config(default = 1)]
    times: u64,
    /// Whether it may answer fewer than `times`.
    #[config(default)]
    optional: bool,
    /// How long the answer takes. Time in tests is virtual: nobody waits.
    #[config(default = "0s")]
    delay: Duration,
}

/// The keys of [`MockConfig`].
const KEYS: [&str; 7] = ["request", "reply", "meta", "error", "times", "optional", "delay"];

/// How a call fails.
#[derive(Clone, Debug, FromNode)]
struct ErrorConfig {
    /// What kind of failure it is, such as `unavailable` or `timeout`.
    kind: KindWord,
    /// What is said about it.
    message: Option<String>,
    /// Whether a repeat can help: `never`, `safe`, or the time before which it cannot. It follows from the kind
    /// unless set.
    retry: Option<RetryWord>,
    /// Whether the effect happened.
    applied: Option<AppliedWord>,
    /// Whether the request left before the failure; `false` for a connection that is refused.
    #[config(default = true)]
    sent: bool,
    /// The status that the system answered with.
    status: Option<u16>,
}

/// An [`ErrorConfig`], or only its kind.
#[derive(Clone, Debug)]
struct Failure(ErrorConfig);

impl FromNode for Failure {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        if node.as_str().is_none() {
            return ErrorConfig::from_node(node, d).map(Failure);
        }
        let kind = KindWord::from_node(node, d)?;
        Some(Failure(ErrorConfig {
            kind,
            message: None,
            retry: None,
            applied: None,
            sent: true,
            status: None,
        }))
    }

    fn schema(defs: &mut Definitions) -> Schema {
        let forms = vec![KindWord::schema(defs), ErrorConfig::schema(defs)];
        Value::from([("oneOf", forms)])
    }
}

/// A kind of error.
#[derive(Clone, Copy, Debug)]
pub(super) struct KindWord(pub(super) Kind);

impl FromNode for KindWord {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        if let Some(kind) = node.as_str().and_then(Kind::parse) {
            return Some(KindWord(kind));
        }
        let Some(word) = node.as_str() else { return wrong(node, "a kind of error, such as `not_found`", d) };
        let diagnostic = Diagnostic::error(node.span, format!("`{word}` is not a kind of error"));
        let words = Kind::ALL.map(Kind::as_str);
        d.push(match suggest(word, words) {
            Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
            None => diagnostic.hint(format!("one of {}", listed(words))),
        });
        None
    }

    fn schema(_: &mut Definitions) -> Schema {
        let words: Vec<Value> = Kind::ALL.iter().map(|kind| kind.as_str().into()).collect();
        Value::from([("enum", words)])
    }
}

/// Whether the effect happened.
#[derive(Clone, Copy, Debug, FromNode)]
pub(super) enum AppliedWord {
    /// It did not.
    No,
    /// It did.
    Yes,
    /// Nobody can know.
    Unknown,
}

impl From<AppliedWord> for Applied {
    fn from(word: AppliedWord) -> Self {
        match word {
            AppliedWord::No => Applied::No,
            AppliedWord::Yes => Applied::Yes,
            AppliedWord::Unknown => Applied::Unknown,
        }
    }
}

/// Whether a repeat can help.
#[derive(Clone, Copy, Debug)]
struct RetryWord(Retry);

impl FromNode for RetryWord {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match node.as_str() {
            Some("never") => Some(RetryWord(Retry::Never)),
            Some("safe") => Some(RetryWord(Retry::Safe)),
            Some(text) if text.starts_with(|letter: char| letter.is_ascii_digit()) => {
                Duration::from_node(node, d).map(|time| RetryWord(Retry::After(time)))
            }
            _ => wrong(node, "`never`, `safe`, or a duration such as `30s`", d),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        let words = Value::from([("enum", vec![Value::from("never"), "safe".into()])]);
        Value::from([("oneOf", vec![words, Duration::schema(defs)])])
    }
}

impl ErrorConfig {
    fn error(self, system: &str) -> Error {
        let message = self.message.unwrap_or_else(|| format!("`{system}` failed, as the test says"));
        let error = Error::new(self.kind.0, message);
        let error = match self.retry {
            Some(RetryWord(retry)) => error.retry(retry),
            None => error,
        };
        let error = match self.applied {
            Some(applied) => error.applied(applied.into()),
            None => error,
        };
        match self.status {
            Some(status) => error.status(status),
            None => error,
        }
    }
}

/// The schema of one mock, with the words of all kinds of systems.
pub(crate) fn schema(kinds: &Kinds<'_>, defs: &mut Definitions) -> (&'static str, Schema) {
    let mut own = Definitions::default();
    let whole = MockConfig::schema(&mut own);
    let mut properties = Map::new();
    for key in KEYS {
        if let Some(schema) = own.property(&whole, key) {
            properties.insert(key.into(), schema);
        }
    }
    // What the struct refers to stays; the struct itself becomes this definition.
    defs.map.extend(own.map.into_iter().filter(|(name, _)| !name.ends_with("MockConfig")));
    for kind in kinds.connectors {
        for (word, schema) in kind.answer_words(defs) {
            let known =
                properties.get(word).map(|known| (known.get("description"), schema.get("description")));
            match known {
                None => drop(properties.insert(word.into(), schema)),
                Some((Some(one), Some(other))) if one != other => {
                    let both = [one, other].map(|text| text.as_str().unwrap_or_default()).join(" Or: ");
                    // What a word of two kinds may be, each of them checks.
                    properties.insert(word.into(), Value::from([("description", both)]));
                }
                Some(_) => {}
            }
        }
    }
    let description = "What a system answers to some of the requests of a test: exactly one of `reply`, `error` \
                       and the words of the system's kind, such as `status` and `body` or `rows`.";
    let schema = Value::from([
        ("type", Value::from("object")),
        ("description", description.into()),
        ("properties", properties.into()),
        ("additionalProperties", false.into()),
    ]);
    (DEFINITION, schema)
}

/// Whether the mocks of a system are to be recorded.
pub(super) fn is_wanted(node: &Node) -> bool {
    node.as_str() == Some(WANTED)
}

/// Reads the mocks of one test. Nothing, with diagnostics, if something is wrong.
pub(super) fn read(
    node: &Node,
    known: &Known<'_>,
    d: &mut Diagnostics,
) -> Option<IndexMap<Arc<str>, Vec<Mock>>> {
    let Some(entries) = node.as_map() else {
        return wrong(node, "the systems, each with a list of what it answers", d);
    };
    let read: Vec<Option<(Arc<str>, Vec<Mock>)>> =
        entries.iter().map(|entry| Some((entry.key.clone(), of_system(entry, known, d)?))).collect();
    read.into_iter().collect()
}

fn of_system(entry: &Entry, known: &Known<'_>, d: &mut Diagnostics) -> Option<Vec<Mock>> {
    if !known.check_system(&entry.key, entry.key_span, d) {
        return None;
    }
    let kind_name = known.systems.get(&entry.key)?;
    let kind = known.kinds.connectors.iter().copied().find(|kind| kind.name() == *kind_name);
    if is_wanted(&entry.value) {
        return Some(Vec::new());
    }
    let NodeKind::Seq(items) = &entry.value.kind else {
        let message = format!("the mocks of `{}` are a list, and this is {}", entry.key, entry.value.what());
        d.push(
            Diagnostic::error(entry.value.span, message)
                .hint("begin each with `- `: `- request: …`, and below it the answer; or write `record`, and have them recorded"),
        );
        return None;
    };
    // A system that is broken was reported; of its mocks nothing can be said.
    let kind = kind?;
    let read: Vec<Option<Mock>> = items.iter().map(|item| mock(item, &entry.key, kind, d)).collect();
    read.into_iter().collect()
}

fn mock(node: &Node, system: &str, kind: &dyn ConnectorKind, d: &mut Diagnostics) -> Option<Mock> {
    let Some(entries) = node.as_map() else {
        return wrong(node, "a mock: a mapping such as `{ request: …, reply: … }`", d);
    };
    let words: Vec<&'static str> =
        kind.answer_words(&mut Definitions::default()).into_iter().map(|(word, _)| word).collect();
    let part = |keys: &[&str]| {
        let members = entries.iter().filter(|entry| keys.contains(&&*entry.key)).cloned().collect();
        Node { kind: NodeKind::Map(members), span: node.span }
    };
    let mut good = true;
    for entry in entries {
        let key = &*entry.key;
        if KEYS.contains(&key) || words.contains(&key) {
            continue;
        }
        good = false;
        let all = || KEYS.iter().chain(&words).copied();
        let message = format!("unknown key `{key}` in a mock of a system of kind `{}`", kind.name());
        let diagnostic = Diagnostic::error(entry.key_span, message);
        d.push(match suggest(key, all()) {
            Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
            None => diagnostic.hint(format!("allowed here: {}", listed(all()))),
        });
    }
    let generic = MockConfig::from_node(&part(&KEYS), d);
    let own = part(&words);
    let has_own = own.as_map().is_some_and(|entries| !entries.is_empty());
    let answer = if has_own { Some(kind.read_answer(&own, d)) } else { None };
    let generic = generic?;
    let request = generic.request.as_ref().map(|node| kind.read_request(node, d));
    let sent = generic.error.as_ref().is_none_or(|error| error.0.sent);
    if !(1..=MAX_TIMES).contains(&generic.times) {
        let span = node.get("times").map_or(node.span, |times| times.span);
        d.push(
            Diagnostic::error(span, format!("a mock cannot answer {} times", generic.times))
                .hint(format!("write 1 to {MAX_TIMES}; one that may not be asked is `optional: true`")),
        );
        good = false;
    }
    let (times, optional, delay) = (usize::try_from(generic.times).ok()?, generic.optional, generic.delay);
    if !good {
        return None;
    }
    let answer = chosen(generic, answer, system, &words, node, d)?;
    let request = match request {
        Some(None) => return None,
        Some(request) => request,
        None => None,
    };
    Some(Mock { span: node.span, request, answer, times, optional, delay, sent })
}

/// The one answer of a mock.
fn chosen(
    generic: MockConfig,
    own: Option<Option<Arc<dyn Answer>>>,
    system: &str,
    words: &[&str],
    node: &Node,
    d: &mut Diagnostics,
) -> Option<Arc<dyn Answer>> {
    // `reply: null` is an answer, too.
    let has_reply = node.entry("reply").is_some();
    let given =
        [own.is_some(), has_reply, generic.error.is_some()].into_iter().filter(|given| *given).count();
    if given != 1 {
        let all = listed(["reply", "error"].into_iter().chain(words.iter().copied()));
        let message = match given {
            0 => "the mock does not say what the system answers",
            _ => "the mock answers in more than one way",
        };
        let hint = if given == 0 { format!("add one of {all}") } else { format!("keep one way of {all}") };
        d.push(Diagnostic::error(node.span, message).hint(hint));
        return None;
    }
    if let Some(meta) = generic.meta.as_ref().filter(|meta| !has_reply || meta.as_object().is_none()) {
        let (message, hint) = match has_reply {
            false => ("`meta` belongs to `reply`", "remove it; the other answers bring their own"),
            true => ("`meta` is a mapping", "write `meta: { status: 200 }`"),
        };
        d.push(Diagnostic::error(meta.span, message).hint(hint));
        return None;
    }
    if let Some(own) = own {
        return own;
    }
    Some(match generic.error {
        Some(failure) => Arc::new(Err(failure.0.error(system))),
        None => {
            let reply = Reply::json(generic.reply.unwrap_or_default());
            let meta = generic.meta.map(|meta| meta.value).unwrap_or_else(Value::object);
            Arc::new(Ok(Reply { meta, ..reply }))
        }
    })
}

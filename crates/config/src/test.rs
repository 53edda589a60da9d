//! `tests:` – calls of the config's tools on systems that answer as told, and what is to come of them.

mod edit;
mod expect;
mod mock;

use std::{collections::BTreeSet, sync::Arc};

use indexmap::IndexMap;
use renkei_core::{
    Diagnostic, Diagnostics, Entry, FromNode, Map, Node, NodeKind, Principal, Value,
    call::RunStart,
    diagnostic::Sources,
    diagnostic::suggest,
    principal::How,
    read::{Spanned, wrong},
    trial::{Origin, Recording, TestPlan},
};
use renkei_derive::FromNode;

pub use self::edit::{Change, Edited, Recorded, write};
pub(crate) use self::mock::schema as mock_schema;
use self::{expect::ExpectConfig, mock::Mocks};
use crate::plan::Kinds;

/// What `$now` is in a test that does not say so.
const NOW: &str = "2026-01-01T00:00:00Z";
/// What `$run` is in a test; `$key` is this and the names of the actions and the step: `test/call`.
const RUN: &str = "test";

/// A test: one call of a tool, what the systems answer to it, and what is to come of it. Templates are not
/// evaluated in tests: what stands here is meant as it is.
#[derive(Clone, Debug, FromNode)]
#[expect(dead_code, reason = "mocks are read with the systems they belong to; the field is the manual")]
pub(crate) struct TestConfig {
    /// The tool that is called; or `worker`.
    tool: Option<Spanned<String>>,

    /// Its arguments, by name.
    arguments: Option<Node>,

    /// The queue whose worker is run once, instead of a tool. `$message.id` and `$run` are `test`.
    worker: Option<Spanned<String>>,

    /// The data of the message that the worker gets.
    message: Option<Node>,

    /// Who calls: a name, or `{ name, claims }` with the claims of a token. Anonymous unless set.
    caller: Option<Caller>,

    /// What `$now` is, in RFC 3339; `2026-01-01T00:00:00Z` unless set. `$run` is `test` and `$key` begins with
    /// `test/`.
    now: Option<Spanned<String>>,

    /// What the systems answer, by system: a list of mocks. A request is answered by the first one in the list
    /// that fits it and is not used up; one that no mock fits fails the test, and so does a mock that is not used.
    /// `record` instead of a list: `renkei test --record` asks the live system and writes its answers here.
    #[config(default)]
    mocks: Mocks,

    /// What is answered when the call asks (`ask`), by the names of the actions around the question: that of the branch,
    /// `BRANCH/then`, or `ask` for the tool's own. `accept`, `decline`, `cancel` or `unable` (the client cannot be asked);
    /// what was filled in, as a mapping; what the model says, as a text; roots as a list. A question without an answer
    /// fails the test, and so does an answer without a question.
    answers: Option<IndexMap<Arc<str>, Node>>,

    /// What is to come of the call. `renkei test --record` writes it where it is missing.
    expect: Option<ExpectConfig>,
}

/// Who calls.
#[derive(Clone, Debug)]
struct Caller(Principal);

/// A caller with a token.
#[derive(Clone, Debug, FromNode)]
struct CallerConfig {
    /// `$caller.name`.
    name: Arc<str>,
    /// `$caller.claims`, as the claims of a token would be.
    claims: Option<Spanned<Value>>,
}

impl FromNode for Caller {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        if let Some(name) = node.as_str() {
            let principal = match name {
                "anonymous" => Principal::anonymous(),
                name => Principal { name: name.into(), how: How::ApiKey, claims: Value::object() },
            };
            return Some(Caller(principal));
        }
        let CallerConfig { name, claims } = match &node.kind {
            NodeKind::Map(_) => CallerConfig::from_node(node, d)?,
            _ => return wrong(node, "the caller's name, or a mapping with `name` and `claims`", d),
        };
        if let Some(claims) = claims.as_ref().filter(|claims| claims.as_object().is_none()) {
            d.push(
                Diagnostic::error(claims.span, "the claims of a token are a mapping")
                    .hint("write `claims: { sub: …, roles: […] }`"),
            );
            return None;
        }
        let (how, claims) = match claims {
            Some(claims) => (How::Jwt, claims.value),
            None => (How::ApiKey, Value::object()),
        };
        Some(Caller(Principal { name, how, claims }))
    }

    fn schema(defs: &mut renkei_core::Definitions) -> renkei_core::Schema {
        let name =
            Value::from([("type", Value::from("string")), ("description", "The caller's name.".into())]);
        Value::from([("oneOf", Value::from(vec![name, CallerConfig::schema(defs)]))])
    }
}

/// What tests may refer to.
pub(crate) struct Known<'a> {
    pub(crate) kinds: &'a Kinds<'a>,
    /// Every tool that the config names, broken ones, too.
    pub(crate) tools: &'a [Entry],
    /// Every queue that the config names.
    pub(crate) queues: &'a [Entry],
    /// The kind of each system.
    pub(crate) systems: &'a IndexMap<Arc<str>, &'static str>,
    /// The texts of the files: comments say what was recorded.
    pub(crate) sources: &'a Sources,
    /// Whether tests may leave out what they expect, since it is to be recorded.
    pub(crate) recording: bool,
}

impl Known<'_> {
    /// Reports a name that no system has.
    fn check_system(&self, name: &str, span: renkei_core::Span, d: &mut Diagnostics) -> bool {
        if self.systems.contains_key(name) {
            return true;
        }
        let diagnostic = Diagnostic::error(span, format!("there is no system `{name}`"));
        let names = || self.systems.keys().map(|name| &**name);
        d.push(match suggest(name, names()) {
            Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
            None if self.systems.is_empty() => diagnostic.hint("the config has no systems"),
            None => {
                let names: Vec<String> = names().map(|name| format!("`{name}`")).collect();
                diagnostic.hint(format!("there are {}", names.join(", ")))
            }
        });
        false
    }
}

/// Reads all tests. What is wrong with one hides nothing of the others.
pub(crate) fn read_all(entries: &[Entry], known: &Known<'_>, d: &mut Diagnostics) -> Vec<TestPlan> {
    entries.iter().filter_map(|entry| read(entry, known, d)).collect()
}

fn read(entry: &Entry, known: &Known<'_>, d: &mut Diagnostics) -> Option<TestPlan> {
    if entry.value.as_map().is_none() {
        let message = format!("the test `{}` is {}, not a mapping", entry.key, entry.value.what());
        d.push(
            Diagnostic::error(entry.key_span, message)
                .hint("give it a `tool`, its `arguments`, `mocks`, and what to `expect`"),
        );
        return None;
    }
    // It stands where its name stands, so that a missing key is shown there.
    let node = Node { span: entry.key_span, ..entry.value.clone() };
    let mocks = entry.value.get("mocks").map(|node| mock::read(node, known, d));
    let requests = entry.value.get("expect").and_then(|node| node.get("requests"));
    let requests = requests.map(|node| expect::requests(node, known, d));
    let config = TestConfig::from_node(&node, d)?;
    let messages = entry.value.get("expect").and_then(|node| node.get("messages"));
    let messages = messages.map(|node| expect::messages(node, known, d));
    let (tool, is_worker) = subject(&config, entry, known, d)?;
    let arguments = match (is_worker, &config.arguments, &config.message) {
        (true, _, message) => message.as_ref().map(Node::to_value).unwrap_or_default(),
        (false, None, _) => Value::object(),
        (false, Some(node), _) if node.as_map().is_some() => node.to_value(),
        (false, Some(node), _) => return wrong(node, "the tool's arguments by name, such as `{ id: 7 }`", d),
    };
    let expect = match config.expect {
        Some(expect) => expect.plan(entry, d),
        None if known.recording => Some(renkei_core::trial::Expect::default()),
        None => {
            let message = format!("the test `{}` does not say what it expects", entry.key);
            d.push(
                Diagnostic::error(entry.key_span, message)
                    .hint("add `expect: …`, or have it written: `renkei test --record`"),
            );
            None
        }
    };
    let now = now(config.now.as_ref(), d);
    Some(TestPlan {
        name: entry.key.clone(),
        span: entry.key_span,
        tool: tool.into(),
        is_worker,
        arguments,
        caller: Arc::new(config.caller.map_or_else(Principal::anonymous, |caller| caller.0)),
        start: RunStart { id: RUN.into(), now: now? },
        mocks: mocks.unwrap_or(Some(IndexMap::new()))?,
        answers: answers(config.answers, d)?,
        expect: renkei_core::trial::Expect {
            requests: requests.unwrap_or(Some(IndexMap::new()))?,
            messages: messages.unwrap_or(Some(IndexMap::new()))?,
            ..expect?
        },
        recording: recording(entry, known),
    })
}

/// Stands behind what was recorded, and tells it from what somebody wrote.
const MARK: &str = "# recorded";

fn recording(test: &Entry, known: &Known<'_>) -> Recording {
    let is_marked = |entry: &Entry| {
        let Some(source) = known.sources.files.get(usize::from(entry.key_span.file)) else { return false };
        let rest = source.text.get(entry.key_span.end as usize..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        line.trim_start().strip_prefix(':').is_some_and(|rest| rest.trim_start().starts_with(MARK))
    };
    let systems = test.value.get("mocks").and_then(Node::as_map).unwrap_or_default();
    let names = |wanted: &dyn Fn(&Entry) -> bool| -> Vec<Arc<str>> {
        systems.iter().filter(|entry| wanted(entry)).map(|entry| entry.key.clone()).collect()
    };
    Recording {
        unmocked: test.value.entry("mocks").is_none(),
        wanted: names(&|entry| mock::is_wanted(&entry.value)),
        recorded: names(&|entry| is_marked(entry)),
        expect: match test.value.entry("expect") {
            None => Origin::Absent,
            Some(entry) if is_marked(entry) => Origin::Recorded,
            Some(_) => Origin::Written,
        },
    }
}

const WORDS: [&str; 4] = ["accept", "decline", "cancel", "unable"];

fn answers(
    given: Option<IndexMap<Arc<str>, Node>>,
    d: &mut Diagnostics,
) -> Option<IndexMap<Arc<str>, Value>> {
    let mut good = true;
    for node in given.iter().flat_map(IndexMap::values) {
        if matches!(node.kind, NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_)) {
            let message = format!("an answer is a text, a mapping or a list, and this is {}", node.what());
            let hint = format!("write {}, or what was filled in or said", listed(WORDS));
            d.push(Diagnostic::error(node.span, message).hint(hint));
            good = false;
        }
    }
    let values = given.into_iter().flatten().map(|(path, node)| (path, node.to_value())).collect();
    good.then_some(values)
}

/// What is called: a tool, or a queue's worker.
fn subject(
    config: &TestConfig,
    entry: &Entry,
    known: &Known<'_>,
    d: &mut Diagnostics,
) -> Option<(String, bool)> {
    let stray = |key: &str, of: &str, d: &mut Diagnostics| {
        if let Some(stray) = entry.value.entry(key) {
            let message = format!("`{key}` belongs to a test of a {of}");
            d.push(Diagnostic::error(stray.key_span, message).hint("remove it"));
        }
    };
    match (&config.tool, &config.worker) {
        (Some(tool), None) => {
            stray("message", "worker", d);
            check_tool(tool, known, d);
            Some((tool.value.clone(), false))
        }
        (None, Some(queue)) => {
            stray("arguments", "tool", d);
            check_queue(queue, known, d);
            Some((queue.value.clone(), true))
        }
        (Some(tool), Some(worker)) => {
            d.push(
                Diagnostic::error(worker.span, "`tool` and `worker` exclude each other")
                    .related(tool.span, "`tool`")
                    .hint("make two tests"),
            );
            None
        }
        (None, None) => {
            d.push(Diagnostic::error(entry.key_span, "`tool` is missing").hint(
                "name what is called: `tool: get_order`, or `worker: reports` for the worker of a queue",
            ));
            None
        }
    }
}

fn check_queue(queue: &Spanned<String>, known: &Known<'_>, d: &mut Diagnostics) {
    let names = || known.queues.iter().map(|entry| &*entry.key);
    if names().any(|name| name == queue.value) {
        return;
    }
    let diagnostic = Diagnostic::error(queue.span, format!("there is no queue `{}`", queue.value));
    d.push(match suggest(&queue.value, names()) {
        Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
        None => diagnostic.hint("name one of the config's `queues`"),
    });
}

fn check_tool(tool: &Spanned<String>, known: &Known<'_>, d: &mut Diagnostics) {
    let names = || known.tools.iter().map(|entry| &*entry.key);
    if names().any(|name| name == tool.value) {
        return;
    }
    let diagnostic = Diagnostic::error(tool.span, format!("there is no tool `{}`", tool.value));
    d.push(match suggest(&tool.value, names()) {
        Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
        None => diagnostic.hint("name one of the config's `tools`"),
    });
}

fn now(now: Option<&Spanned<String>>, d: &mut Diagnostics) -> Option<Arc<str>> {
    let Some(now) = now else { return Some(NOW.into()) };
    match now.value.parse::<jiff::Timestamp>() {
        Ok(time) => Some(time.to_string().into()),
        Err(_) => {
            d.push(
                Diagnostic::error(now.span, format!("`{}` is no point in time", now.value))
                    .hint(format!("write it as `{NOW}`")),
            );
            None
        }
    }
}

/// The keys of `all` in a hint.
fn listed<'s>(all: impl IntoIterator<Item = &'s str>) -> String {
    let unique: BTreeSet<&str> = all.into_iter().collect();
    unique.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A mapping's entries as values, for what is compared as it is.
fn values(map: &[Entry]) -> Map {
    map.iter().map(|entry| (entry.key.clone(), entry.value.to_value())).collect()
}

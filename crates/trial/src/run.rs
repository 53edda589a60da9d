//! Runs a test and judges what came of it.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use base64::Engine as _;
use indexmap::IndexMap;
use renkei_core::{
    CallContext, Error, Map, Value,
    connector::SystemPlan,
    tool::{Content, ResourceBody, ToolResult},
    trial::{Expect, ExpectedError, TestPlan},
};

use crate::{
    Pad,
    audience::Audience,
    compare::{Difference, Extent, differences, shown},
    live::Take,
    settle::{Hand, Settled, settle},
    stage::Stage,
};

/// Most differences that are told of one value.
const MAX_DIFFERENCES: usize = 8;

/// Calls tools of the config under test.
#[async_trait]
pub trait Rehearse: Send + Sync {
    /// Calls a tool, or runs a queue's worker once, with these systems and this store in the places of the config's own. The
    /// error says why there is nothing to call.
    async fn call(
        &self,
        systems: IndexMap<Arc<str>, SystemPlan>,
        store: Arc<Pad>,
        test: &TestPlan,
        cx: CallContext,
        arguments: Value,
    ) -> Result<ToolResult, String>;
}

/// What became of one test.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub test: TestPlan,
    /// None: it passed.
    pub problems: Vec<Problem>,
    /// In real time.
    pub took: Duration,
}

impl Verdict {
    pub fn passed(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Why a test failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// A sentence without its full stop.
    pub message: String,
    /// The first differences.
    pub differences: Vec<Difference>,
    /// How many more there are.
    pub more: usize,
    /// What helps to understand it, such as the whole request.
    pub note: Option<String>,
}

impl Problem {
    fn new(message: impl Into<String>) -> Self {
        Problem { message: message.into(), differences: Vec::new(), more: 0, note: None }
    }

    fn with(mut self, mut differences: Vec<Difference>) -> Self {
        self.more = differences.len().saturating_sub(MAX_DIFFERENCES);
        differences.truncate(MAX_DIFFERENCES);
        self.differences = differences;
        self
    }

    fn note(mut self, note: String) -> Self {
        self.note = Some(note);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for difference in &self.differences {
            write!(f, "\n  {}", difference.to_string().replace('\n', "\n  "))?;
        }
        if self.more > 0 {
            write!(f, "\n  and {} more differences", self.more)?;
        }
        if let Some(note) = &self.note {
            write!(f, "\n  {}", note.replace('\n', "\n  "))?;
        }
        Ok(())
    }
}

/// Runs the tests one after the other, in virtual time: no wait takes time. Not to be called from async code.
///
/// # Errors
/// When the machine refuses a runtime.
pub fn run_all(
    tests: &[TestPlan],
    systems: &IndexMap<Arc<str>, SystemPlan>,
    house: &dyn Rehearse,
) -> std::io::Result<Vec<Verdict>> {
    Ok(paused()?.block_on(one_by_one(tests, systems, house)))
}

/// Makes mocks of live runs, in virtual time; each as [`settle`](crate::settle::settle()) says. Not to be called
/// from async code.
///
/// # Errors
/// When the machine refuses a runtime.
pub fn settle_all(
    takes: &[Take],
    hand: &Hand<'_>,
    house: &dyn Rehearse,
) -> std::io::Result<Vec<Result<Settled, String>>> {
    let settle_each = async {
        let mut settled = Vec::with_capacity(takes.len());
        for take in takes {
            settled.push(settle(take, hand, house).await);
        }
        settled
    };
    Ok(paused()?.block_on(settle_each))
}

/// A runtime in which no wait takes time.
fn paused() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
}

async fn one_by_one(
    tests: &[TestPlan],
    systems: &IndexMap<Arc<str>, SystemPlan>,
    house: &dyn Rehearse,
) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(tests.len());
    for test in tests {
        let began = Instant::now();
        let problems = run(test, systems, house).await;
        verdicts.push(Verdict { test: test.clone(), problems, took: began.elapsed() });
    }
    verdicts
}

async fn run(
    test: &TestPlan,
    systems: &IndexMap<Arc<str>, SystemPlan>,
    house: &dyn Rehearse,
) -> Vec<Problem> {
    if let Some(system) = test.recording.wanted.first() {
        let message = format!("the mocks of `{system}` are not recorded yet");
        return vec![Problem::new(message).note("`renkei test --record` asks the live system".to_owned())];
    }
    match rehearse(test, systems, house).await {
        Ok((stage, result, audience)) => {
            let asked = audience.problems().into_iter().map(|(message, note)| match note {
                Some(note) => Problem::new(message).note(note),
                None => Problem::new(message),
            });
            asked.chain(judge(test, &stage, &result)).collect()
        }
        Err(why) => vec![Problem::new(why)],
    }
}

/// Runs a test on its mocks: what happened to them, and what came of the call.
pub(crate) async fn rehearse(
    test: &TestPlan,
    systems: &IndexMap<Arc<str>, SystemPlan>,
    house: &dyn Rehearse,
) -> Result<(Stage, ToolResult, Arc<Audience>), String> {
    let (stage, mocked) = Stage::new(systems, &test.mocks);
    // The engine shortens it to the tool's own.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(24 * 3600);
    let mut cx = CallContext::new(deadline, test.caller.clone());
    cx.start = Some(test.start.clone());
    let audience = Audience::new(&test.answers);
    cx.asking = audience.asking();
    let result = house.call(mocked, stage.pad.clone(), test, cx, test.arguments.clone()).await?;
    Ok((stage, result, audience))
}

/// What came of a call, in the words of `expect:`.
pub(crate) fn outcome_value(result: &ToolResult) -> Value {
    if let Some(error) = &result.error {
        let applied = Value::from(error.was_applied().as_str());
        return Value::from([(
            "error",
            Value::from([("kind", error.kind().as_str().into()), ("applied", applied)]),
        )]);
    }
    let Some(structured) = &result.structured else {
        return Value::from([("content", result.content.iter().map(part).collect::<Vec<_>>())]);
    };
    // A list that goes on says so beside its result.
    let own = |map: &&Map| map.keys().all(|key| matches!(&**key, "result" | "next_cursor"));
    let inner = structured.as_object().filter(own).and_then(|map| map.get("result"));
    let inner = inner.filter(|inner| inner.get("result").is_none());
    Value::from([("result", inner.unwrap_or(structured).clone())])
}

/// Everything that is not as expected, what explains the rest first.
pub(crate) fn judge(test: &TestPlan, stage: &Stage, result: &ToolResult) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (system, script) in stage.scripts() {
        for unmatched in script.unmatched() {
            let request = format!("the request: {}", shown(&unmatched.request));
            problems.push(match unmatched.nearest {
                None => {
                    Problem::new(format!("a request came to `{system}`, which has no mocks")).note(request)
                }
                Some(nearest) if nearest.differences.is_empty() => {
                    let number = nearest.number;
                    let message = format!("a request to `{system}` fits mock {number}, which is used up");
                    Problem::new(message).note(format!("{request}\n`times` says how many it answers"))
                }
                Some(nearest) => {
                    let number = nearest.number;
                    let message =
                        format!("no mock fits a request to `{system}`; the nearest is mock {number}");
                    Problem::new(message).with(nearest.differences).note(request)
                }
            });
        }
    }
    problems.extend(outcome(&test.expect, result));
    for (queue, expected) in &test.expect.messages {
        let messages = stage.pad.messages(queue);
        let (wanted, came) = (expected.len(), messages.len());
        let found = differences(&expected.clone().into(), &messages.into(), Extent::Part);
        if !found.is_empty() {
            let message = match wanted == came {
                true => format!("the messages of `{queue}` differ"),
                false => format!("{came} messages were enqueued in `{queue}`, and {wanted} were expected"),
            };
            problems.push(Problem::new(message).with(found));
        }
    }
    for (system, expected) in &test.expect.requests {
        let requests = stage.script(system).map(crate::stage::Script::requests).unwrap_or_default();
        let found = differences(&expected.clone().into(), &requests.clone().into(), Extent::Part);
        if !found.is_empty() {
            let (wanted, came) = (expected.len(), requests.len());
            let message = match wanted == came {
                true => format!("the requests to `{system}` differ"),
                false => format!("{came} requests came to `{system}`, and {wanted} were expected"),
            };
            problems.push(Problem::new(message).with(found));
        }
    }
    for (system, script) in stage.scripts() {
        for (number, used, times) in script.unused() {
            let message = match (used, times) {
                (0, _) => format!("mock {number} of `{system}` was not used"),
                _ => format!("mock {number} of `{system}` was used {used} of {times} times"),
            };
            problems.push(Problem::new(message).note("`optional: true` allows that".to_owned()));
        }
    }
    problems
}

fn outcome(expect: &Expect, result: &ToolResult) -> Vec<Problem> {
    let mut problems = Vec::new();
    match (&expect.error, &result.error) {
        (Some(expected), Some(error)) => problems.extend(of_error(expected, error)),
        (None, None) => {}
        (Some(_), None) => {
            let result = result.structured.as_ref().map_or_else(String::new, shown);
            problems.push(
                Problem::new("the call was to fail, and it went well").note(format!("the result: {result}")),
            );
        }
        (None, Some(error)) => {
            let said = format!("{}: {error}", error.kind());
            problems.push(Problem::new("the call failed").note(said));
        }
    }
    if result.error.is_none() {
        if let Some(expected) = &expect.result {
            problems.extend(of_result("the result differs", expected, result, Extent::Whole));
        }
        if let Some(expected) = &expect.contains {
            problems.extend(of_result("the result does not contain it", expected, result, Extent::Part));
        }
        if let Some(expected) = &expect.content {
            let parts: Vec<Value> = result.content.iter().map(part).collect();
            let found = differences(expected, &parts.into(), Extent::Part);
            if !found.is_empty() {
                problems.push(Problem::new("the content differs").with(found));
            }
        }
    }
    let read: Vec<&str> = result.content.iter().filter_map(text_of).collect();
    for text in expect.says.iter().filter(|text| !read.iter().any(|read| read.contains(&***text))) {
        let read = read.join("\n");
        problems.push(
            Problem::new(format!("the model does not read `{text}`")).note(format!("it reads: {read}")),
        );
    }
    problems
}

fn of_error(expected: &ExpectedError, error: &Error) -> Option<Problem> {
    let mut found = Vec::new();
    let mut differ = |path: &str, expected: &str, actual: &str| {
        found.push(Difference {
            path: path.into(),
            expected: Some(expected.into()),
            actual: Some(actual.into()),
        });
    };
    if let Some(kind) = expected.kind.filter(|kind| *kind != error.kind()) {
        differ("kind", kind.as_str(), error.kind().as_str());
    }
    if let Some(applied) = expected.applied.filter(|applied| *applied != error.was_applied()) {
        differ("applied", applied.as_str(), error.was_applied().as_str());
    }
    let text = error.to_string();
    if let Some(message) = expected.message.as_ref().filter(|message| !text.contains(&***message)) {
        differ("message", message, &text);
    }
    let note = format!("the error: {}: {text}", error.kind());
    (!found.is_empty())
        .then(|| Problem::new("the call failed otherwise than expected").with(found).note(note))
}

/// A result that is no object is published as `{ result: … }`; a test says it as the config does.
fn of_result(message: &str, expected: &Value, result: &ToolResult, extent: Extent) -> Option<Problem> {
    let Some(structured) = &result.structured else {
        return Some(
            Problem::new("the tool gives content only, and no result")
                .note("compare its `content`".to_owned()),
        );
    };
    // A list that goes on says so beside its result.
    let own = |map: &&Map| map.keys().all(|key| matches!(&**key, "result" | "next_cursor"));
    let inner = structured.as_object().filter(own).and_then(|map| map.get("result"));
    let wrapped = inner.filter(|_| expected.get("result").is_none());
    let found = differences(expected, wrapped.unwrap_or(structured), extent);
    (!found.is_empty()).then(|| Problem::new(message).with(found))
}

fn text_of(part: &Content) -> Option<&str> {
    match part {
        Content::Text(text) | Content::Resource { body: ResourceBody::Text(text), .. } => Some(text),
        _ => None,
    }
}

/// A part in the words of `content:`.
fn part(part: &Content) -> Value {
    let base64 = |bytes: &[u8]| Value::from(base64::engine::general_purpose::STANDARD.encode(bytes));
    let data = |data: &[u8], mime_type: &String| {
        Value::from([("data", base64(data)), ("mime_type", mime_type.as_str().into())])
    };
    match part {
        Content::Text(text) => Value::from([("text", text.as_str())]),
        Content::Image { data: bytes, mime_type } => Value::from([("image", data(bytes, mime_type))]),
        Content::Audio { data: bytes, mime_type } => Value::from([("audio", data(bytes, mime_type))]),
        Content::Resource { uri, mime_type, body } => {
            let body = match body {
                ResourceBody::Text(text) => ("text", Value::from(text.as_str())),
                ResourceBody::Blob(bytes) => ("blob", base64(bytes)),
            };
            let members = [
                ("uri", Some(Value::from(uri.as_str()))),
                ("mime_type", optional(mime_type)),
                (body.0, Some(body.1)),
            ];
            Value::from([("resource", present(members))])
        }
        Content::Link { uri, name, description, mime_type } => {
            let members = [
                ("uri", Some(Value::from(uri.as_str()))),
                ("name", Some(name.as_str().into())),
                ("description", optional(description)),
                ("mime_type", optional(mime_type)),
            ];
            Value::from([("link", present(members))])
        }
        // Tests know no tools of other servers.
        Content::Part(part) => part.clone(),
    }
}

fn optional(text: &Option<String>) -> Option<Value> {
    text.as_deref().map(Value::from)
}

fn present<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    members.into_iter().filter_map(|(key, value)| Some((key.into(), value?))).collect::<Map>().into()
}

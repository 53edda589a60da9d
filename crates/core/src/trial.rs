//! Tests of a config, as the config declares them: one call, what the systems answer, what comes of it.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;

use crate::{Applied, Kind, Principal, Span, Value, call::RunStart, connector::Answer};

/// One test.
#[derive(Clone, Debug)]
pub struct TestPlan {
    pub name: Arc<str>,
    /// Where its name stands.
    pub span: Span,
    /// What is called.
    pub tool: Arc<str>,
    /// Whether that is a queue, whose worker gets the arguments as its message.
    pub is_worker: bool,
    pub arguments: Value,
    pub caller: Arc<Principal>,
    pub start: RunStart,
    /// By system.
    pub mocks: IndexMap<Arc<str>, Vec<Mock>>,
    /// What is answered to the questions of the call, by their paths: `accept`, `decline`, `cancel`, `unable`, or what was
    /// filled in or said.
    pub answers: IndexMap<Arc<str>, Value>,
    pub expect: Expect,
    pub recording: Recording,
}

/// What of a test is to be recorded from live systems, and what was.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The test has no mocks at all.
    pub unmocked: bool,
    /// Systems whose mocks are still to be recorded.
    pub wanted: Vec<Arc<str>>,
    /// Systems whose mocks were recorded, and are marked so.
    pub recorded: Vec<Arc<str>>,
    pub expect: Origin,
}

/// Where what a test expects comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// It is not said yet.
    Absent,
    /// It was recorded, and is marked so.
    Recorded,
    /// Somebody wrote it.
    #[default]
    Written,
}

/// What a system answers to some of the requests of a test.
#[derive(Clone, Debug)]
pub struct Mock {
    /// Where it stands.
    pub span: Span,
    /// Members that a request must have, in the shape of [`System::show`](crate::System::show); every request
    /// without it.
    pub request: Option<Value>,
    pub answer: Arc<dyn Answer>,
    /// How many requests it answers.
    pub times: usize,
    /// Whether it may answer fewer.
    pub optional: bool,
    pub delay: Duration,
    /// Whether the request leaves before the answer comes. A connection that is refused never sends it.
    pub sent: bool,
}

/// What is to come of the call.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The whole result.
    pub result: Option<Value>,
    /// Members of the result.
    pub contains: Option<Value>,
    pub error: Option<ExpectedError>,
    /// The parts of the result, each with at least these members.
    pub content: Option<Value>,
    /// Texts that occur in what the model reads.
    pub says: Vec<String>,
    /// All requests that came to a system, in their order, each with at least these members.
    pub requests: IndexMap<Arc<str>, Vec<Value>>,
    /// All messages that are enqueued in a queue, in their order, each with at least these members.
    pub messages: IndexMap<Arc<str>, Vec<Value>>,
}

/// How the call fails.
#[derive(Clone, Debug, Default)]
pub struct ExpectedError {
    pub kind: Option<Kind>,
    /// A part of its message.
    pub message: Option<String>,
    pub applied: Option<Applied>,
}

//! The sweep of queues and schedules.

mod child;
mod model;
mod names;

use std::path::Path;

pub(crate) use child::{prepare, run};
use model::Model;

/// What is written and asked, in its order. `#2` is the second time.
const STEPS: [&str; 37] = [
    "schedule nightly",
    "enqueue good",
    "claim good",
    "call good",
    "ack good",
    "enqueue flaky",
    "claim flaky",
    "call flaky",
    "retry flaky",
    "claim flaky#2",
    "call flaky#2",
    "ack flaky",
    "enqueue bad",
    "claim bad",
    "call bad",
    "bury bad",
    "replay bad",
    "claim bad#2",
    "call bad#2",
    "ack bad",
    "enqueue tickets",
    "claim tickets",
    "extend tickets",
    "retry tickets",
    "claim tickets#2",
    "ack tickets",
    "tick report",
    "claim report",
    "call report",
    "ack report",
    "enqueue slow",
    "claim slow",
    "call slow",
    "extend slow",
    "ack slow",
    "enqueue stuck",
    "claim stuck",
];

/// All points. The call of `stuck` does not come to an end: its message is given back.
pub(crate) fn points() -> Vec<String> {
    let both = |step: &&str| [format!("before {step}"), format!("after {step}")];
    let last = ["before call stuck", "before release stuck", "after release stuck"];
    STEPS.iter().flat_map(both).chain(last.map(str::to_owned)).collect()
}

pub(crate) fn differs(folder: &Path, passed: &[String], stdout: &[u8]) -> Option<String> {
    crate::difference(&Model::after(passed), &Model::found(folder, stdout))
}

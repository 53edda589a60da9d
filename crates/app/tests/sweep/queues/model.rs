//! What must come of messages whose process was cut off at some point.
//!
//! What was enqueued is handled once, and once more where the effect was there and the acknowledgement was not. Which
//! attempt that is follows from the claims that were made.

use std::{collections::BTreeMap, path::Path};

use crate::{effects, outcomes};

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Model {
    /// Of each queue: the attempts that had an effect.
    effects: BTreeMap<String, Vec<i64>>,
    /// Whether all effects of a message have the same key.
    one_key_each: bool,
    /// How many dead letters there are, and the attempts in which tickets were received.
    outcomes: Vec<String>,
}

/// The points that were passed.
struct Passed<'a>(&'a [String]);

impl Passed<'_> {
    fn is_after(&self, step: &str) -> bool {
        self.0.iter().any(|point| point.strip_prefix("after ") == Some(step))
    }

    /// How often a message was claimed, as far as that counts.
    fn claims(&self, queue: &str) -> i64 {
        let claims = [format!("claim {queue}"), format!("claim {queue}#2")];
        let claimed = claims.iter().filter(|claim| self.is_after(claim)).count();
        claimed as i64 - i64::from(self.is_after(&format!("release {queue}")))
    }
}

impl Model {
    /// After a process that passed these points, the last of which ended it, and another one that worked on.
    pub(crate) fn after(passed: &[String]) -> Self {
        let passed = Passed(passed);
        let mut model = Model { one_key_each: true, ..Model::default() };
        for queue in ["good", "slow", "stuck"] {
            if passed.is_after(&format!("enqueue {queue}")) {
                model.handled(&passed, queue, "", 1);
            }
        }
        // The first attempt fails, in whichever process.
        if passed.is_after("enqueue flaky") {
            model.handled(&passed, "flaky", "#2", 2);
        }
        // Once the schedule has begun, its tick is not lost: what was missed is made up for once.
        if passed.is_after("schedule nightly") {
            model.handled(&passed, "report", "", 1);
        }
        let mut dead = 0;
        if passed.is_after("replay bad") {
            // Its attempts are counted anew.
            let again = Model::attempts(&passed, "bad", "#2", 1, i64::from(passed.is_after("claim bad#2")));
            model.effects.insert("bad".to_owned(), again);
        } else if passed.is_after("enqueue bad") {
            dead = 1;
        }
        model.outcomes.push(format!("dead {dead}"));
        if passed.is_after("enqueue tickets") && !passed.is_after("ack tickets") {
            model.outcomes.push(format!("ticket {}", 1 + passed.claims("tickets")));
        }
        model
    }

    fn handled(&mut self, passed: &Passed<'_>, queue: &str, time: &str, first: i64) {
        let attempts = Model::attempts(passed, queue, time, first, passed.claims(queue));
        self.effects.insert(queue.to_owned(), attempts);
    }

    /// The attempts that have an effect: the one of the first process, if it came so far, and the one that follows unless that
    /// was acknowledged.
    fn attempts(passed: &Passed<'_>, queue: &str, time: &str, first: i64, claims: i64) -> Vec<i64> {
        let own = passed.is_after(&format!("call {queue}{time}")).then_some(first);
        let again = !passed.is_after(&format!("ack {queue}"));
        own.into_iter().chain(again.then_some(first.max(1 + claims))).collect()
    }

    pub(crate) fn found(folder: &Path, stdout: &[u8]) -> Self {
        let mut model = Model { one_key_each: true, outcomes: outcomes(stdout), ..Model::default() };
        let mut keys: BTreeMap<String, String> = BTreeMap::new();
        for (queue, rest) in effects(folder) {
            let (attempt, key) = rest.split_once(' ').unwrap();
            model.effects.entry(queue.clone()).or_default().push(attempt.parse().unwrap());
            model.one_key_each &= keys.entry(queue).or_insert_with(|| key.to_owned()) == key;
        }
        model
    }
}

//! What must come of a run that was cut off at some point and taken up again.

use std::{collections::BTreeMap, path::Path};

use crate::{effects, outcomes};

/// The steps that leave something behind, in their order, and whether they carry a key.
const STEPS: [(&str, bool); 3] = [("one", true), ("two", true), ("three", false)];

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Model {
    /// How often each step's effect is there.
    effects: BTreeMap<String, usize>,
    /// Whether all effects of a step have the same key.
    one_key_each: bool,
    /// Of each task: its status, and how it ended.
    outcomes: Vec<String>,
}

impl Model {
    /// After a process that passed these points, the last of which ended it, and another one that worked on.
    pub(crate) fn after(passed: &[String]) -> Self {
        let is_passed = |name: &str| passed.iter().any(|point| point == name);
        let mut model = Model { one_key_each: true, ..Model::default() };
        if !is_passed("after run_started") {
            return model;
        }
        let mut outcome = "completed ok";
        for (step, has_key) in STEPS {
            let mut count = usize::from(is_passed(&format!("after call {step}")));
            let is_intended = is_passed(&format!("after step_intended {step}/call"));
            let has_ended = is_passed(&format!("after step_ended {step}/call"));
            let in_doubt = is_intended && !has_ended && !has_key;
            if !has_ended && !in_doubt {
                count += 1;
            }
            if count > 0 {
                model.effects.insert(step.to_owned(), count);
            }
            if in_doubt {
                outcome = "completed unavailable unknown";
                break;
            }
        }
        model.outcomes.push(outcome.to_owned());
        model
    }

    pub(crate) fn found(folder: &Path, stdout: &[u8]) -> Self {
        let mut model = Model { one_key_each: true, outcomes: outcomes(stdout), ..Model::default() };
        let mut keys: BTreeMap<String, String> = BTreeMap::new();
        for (step, key) in effects(folder) {
            *model.effects.entry(step.clone()).or_default() += 1;
            model.one_key_each &= *keys.entry(step).or_insert_with(|| key.clone()) == key;
        }
        model
    }
}

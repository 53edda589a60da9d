//! Runs the branches, each as soon as what it waits for is done.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use renkei_core::{
    Applied, Effect, Error, Map, Outcome, Pattern, Payload, Result, RunContext, Value, run::Effects,
};

use super::branch::{Branch, Slot};
use crate::parts::{Held, Notices, Parts, with_others};

#[derive(Debug)]
pub(crate) struct Aggregate {
    branches: Vec<Branch>,
}

impl Aggregate {
    /// The branches wait for each other without a cycle.
    pub(super) fn new(branches: Vec<Branch>) -> Self {
        Aggregate { branches }
    }
}

#[async_trait]
impl Pattern for Aggregate {
    fn effect(&self) -> Effect {
        self.branches.iter().map(|branch| branch.action.effect()).max().unwrap_or(Effect::Read)
    }

    fn inner(&self) -> Vec<&dyn Pattern> {
        self.branches.iter().map(|branch| &*branch.action).collect()
    }

    fn open_world(&self) -> bool {
        self.branches.iter().any(|branch| branch.action.open_world())
    }

    fn results(&self) -> Vec<Arc<str>> {
        self.branches.iter().flat_map(|branch| [branch.name.clone(), branch.meta_name.clone()]).collect()
    }

    fn asks(&self) -> bool {
        self.branches.iter().any(|branch| branch.action.asks())
    }

    fn height(&self) -> usize {
        1 + self.branches.iter().map(|branch| branch.action.height()).max().unwrap_or_default()
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let names = self.branches.iter().flat_map(|branch| [&*branch.name, &*branch.meta_name]);
        let mut gathered = Gathered::new(&self.branches, cx.hiding(names));
        let mut under_way = FuturesUnordered::new();
        let mut suspended = None;
        loop {
            for (at, branch, cx) in gathered.begin() {
                let input = input.clone();
                under_way.push(async move { (at, branch.run(cx, input).await) });
            }
            let Some((at, ended)) = under_way.next().await else { break };
            if let Err(error) = ended.and_then(|slot| gathered.take(at, slot)) {
                // The others go on, so that all their questions are put at once.
                if error.is_suspended() {
                    suspended = Some(error);
                    continue;
                }
                drop(under_way);
                return Err(gathered.fail(at, error));
            }
        }
        match suspended {
            Some(error) => Err(error),
            None => Ok(gathered.outcome()),
        }
    }
}

/// What is known of the branches while they run.
struct Gathered<'b> {
    branches: &'b [Branch],
    cx: RunContext,
    /// Of each branch that began.
    effects: Vec<Option<Arc<Effects>>>,
    /// Of each branch that ended.
    slots: Vec<Option<Slot>>,
    progress: Option<Arc<Parts>>,
    held: Held,
}

impl<'b> Gathered<'b> {
    fn new(branches: &'b [Branch], cx: RunContext) -> Self {
        Gathered {
            branches,
            effects: vec![None; branches.len()],
            slots: branches.iter().map(|_| None).collect(),
            progress: Parts::new(&cx, branches.len(), "branches"),
            held: Held::default(),
            cx,
        }
    }

    /// The branches that can begin now, each with its context.
    fn begin(&mut self) -> Vec<(usize, &'b Branch, RunContext)> {
        let due = |(at, branch): &(usize, &Branch)| {
            self.effects[*at].is_none() && branch.needs.iter().all(|needed| self.slots[*needed].is_some())
        };
        let due: Vec<(usize, &'b Branch)> = self.branches.iter().enumerate().filter(due).collect();
        due.into_iter()
            .map(|(at, branch)| {
                let vars = branch.needs.iter().flat_map(|needed| self.vars(*needed));
                let (cx, effects) = self.cx.with_vars(vars).child(&branch.name).watched();
                self.effects[at] = Some(effects);
                let cx = match &self.progress {
                    Some(progress) => progress.context(&cx, at, &branch.name),
                    None => cx,
                };
                (at, branch, cx)
            })
            .collect()
    }

    /// What a branch that ended is bound to. One that was skipped is absent.
    fn vars(&self, at: usize) -> Vec<(Arc<str>, Value)> {
        let branch = &self.branches[at];
        match &self.slots[at] {
            None | Some(Slot::Skipped) => Vec::new(),
            Some(Slot::Done(outcome)) => vec![
                (branch.name.clone(), outcome.value.clone().into_value()),
                (branch.meta_name.clone(), outcome.meta.clone()),
            ],
            Some(Slot::Missing { instead, .. }) => {
                vec![(branch.name.clone(), instead.clone()), (branch.meta_name.clone(), Value::Null)]
            }
        }
    }

    fn take(&mut self, at: usize, slot: Slot) -> Result<()> {
        let slot = match slot {
            // As the value that templates see, once: bytes become base64.
            Slot::Done(outcome) => {
                let value = outcome.value.into_value();
                self.held.add(&value)?;
                self.held.add(&outcome.meta)?;
                Slot::Done(Outcome { value: Payload::Json(value), ..outcome })
            }
            Slot::Missing { error, instead } => {
                self.held.add(&instead)?;
                Slot::Missing { error, instead }
            }
            Slot::Skipped => Slot::Skipped,
        };
        self.slots[at] = Some(slot);
        if let Some(progress) = &self.progress {
            progress.done(at);
        }
        Ok(())
    }

    /// The error of the branch that ended all. Its siblings were dropped already.
    fn fail(&self, failed: usize, error: Error) -> Error {
        let (mut done, mut doubtful) = (Vec::new(), Vec::new());
        for (at, branch) in self.branches.iter().enumerate().filter(|(at, _)| *at != failed) {
            let Some(effects) = &self.effects[at] else { continue };
            let applied = match &self.slots[at] {
                Some(Slot::Missing { error, .. }) => error.was_applied(),
                _ => effects.applied(),
            };
            match (applied, &self.slots[at]) {
                (Applied::No, _) => {}
                (Applied::Yes, Some(_)) => done.push(format!("`{}`", branch.name)),
                _ => doubtful.push(format!("`{}`", branch.name)),
            }
        }
        let error = error.context(format!("branch `{}`", self.branches[failed].name));
        let others_change = || {
            let others = self.branches.iter().enumerate().filter(|(at, _)| *at != failed);
            others.into_iter().any(|(_, branch)| branch.action.effect() != Effect::Read)
        };
        let error = match error.was_applied() {
            // It was, but the whole was not.
            Applied::Yes if others_change() => error.applied(Applied::Unknown),
            _ => error,
        };
        with_others(error, &done.join(", "), &doubtful.join(", "))
    }

    fn outcome(self) -> Outcome {
        let results = (0..self.branches.len()).flat_map(|at| self.vars(at)).collect();
        let (mut values, mut metas, mut errors) = (Map::new(), Map::new(), Map::new());
        let mut notices = Notices::default();
        for (branch, slot) in self.branches.iter().zip(self.slots) {
            let name = &branch.name;
            match slot {
                None | Some(Slot::Skipped) => {}
                Some(Slot::Done(outcome)) => {
                    values.insert(name.clone(), outcome.value.into_value());
                    metas.insert(name.clone(), outcome.meta);
                    outcome.notices.into_iter().for_each(|notice| notices.add(format!("`{name}`: {notice}")));
                }
                Some(Slot::Missing { error, instead }) => {
                    notices.add(notice(branch, &error));
                    errors.insert(name.clone(), of_error(&error));
                    values.insert(name.clone(), instead);
                    metas.insert(name.clone(), Value::Null);
                }
            }
        }
        if !errors.is_empty() {
            values.insert("errors".into(), errors.into());
        }
        Outcome {
            value: Payload::Json(values.into()),
            meta: metas.into(),
            notices: notices.into_list(),
            results,
            next: None,
        }
    }
}

fn of_error(error: &Error) -> Value {
    let mut map = Map::new();
    map.insert("kind".into(), error.kind().as_str().into());
    map.insert("message".into(), error.to_string().into());
    // Of a branch that changes something, whether it did matters as much as that it failed.
    match error.was_applied() {
        Applied::No => None,
        Applied::Yes => map.insert("applied".into(), "yes".into()),
        Applied::Unknown => map.insert("applied".into(), "unknown".into()),
    };
    map.into()
}

fn notice(branch: &Branch, error: &Error) -> String {
    let (name, kind) = (&branch.name, error.kind());
    let what = match branch.fallback {
        Some(_) => "failed, and its fallback stands in for it",
        None => "is missing",
    };
    let doubt = match error.was_applied() {
        Applied::No => "",
        _ => " What it does may have happened all the same.",
    };
    format!("`{name}` {what} ({kind}): {}.{doubt}", error.to_string().trim_end_matches('.'))
}

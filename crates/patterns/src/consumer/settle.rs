//! Says what becomes of a message that was received.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{
    Effect, Error, Kind, Map, Outcome, Pattern, Result, Retry, RunContext, Scope, Tree, Value, duration,
    queue::Queue,
    run::Committed,
    store::{Batch, Job, JobChange},
};

use super::{receipt, receive::store};
use crate::{condition::blame, queue::verdict};

const STEP: &str = "settle";

#[derive(Debug)]
pub(crate) struct SettleAction {
    pub(super) queue: Arc<Queue>,
    pub(super) receipt: Tree,
    pub(super) word: Word,
}

#[derive(Debug)]
pub(super) enum Word {
    Ack,
    Nack { reason: Option<Tree>, delay: Option<Tree>, dead: Option<Tree> },
    Extend { lease: Option<Tree> },
}

#[async_trait]
impl Pattern for SettleAction {
    /// A repeat finds that the receipt is not good any more.
    fn effect(&self) -> Effect {
        Effect::Idempotent
    }

    fn open_world(&self) -> bool {
        false
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let scope = cx.scope(STEP, input);
        let receipt = self.receipt.render(&scope)?.unwrap_or_default();
        let job = receipt::open(cx, &**store(cx)?, &self.queue, &receipt).await?;
        let (change, outcome) = self.change(&job, &scope)?;
        let mut given = Map::new();
        given.insert("id".into(), job.id.to_string().into());
        given.insert("outcome".into(), outcome.into());
        let committed = cx.commit(STEP, Batch::new().job(change), Value::from(given.clone())).await?;
        Ok(Outcome::json(match committed {
            Committed::Now(_) => given.into(),
            Committed::Before(value) => value,
        }))
    }
}

impl SettleAction {
    fn change(&self, job: &Job, scope: &Scope) -> Result<(JobChange, &'static str)> {
        let lease = job.lease();
        match &self.word {
            Word::Ack => Ok((JobChange::Finish { lease, keep_until: None }, "done")),
            Word::Extend { lease: tree } => {
                let lease_for = self.time("lease", tree.as_ref(), scope)?.unwrap_or(self.queue.lease);
                Ok((JobChange::Extend { lease, lease_for }, "extended"))
            }
            Word::Nack { reason, delay, dead } => {
                let reason = match reason.as_ref().map(|tree| tree.render(scope)).transpose()?.flatten() {
                    None | Some(Value::Null) => "given back by its receiver".to_owned(),
                    Some(Value::String(text)) => text.to_string(),
                    Some(other) => other.to_json(),
                };
                let dead = dead.as_ref().map(|tree| tree.render(scope)).transpose()?.flatten();
                let delay = self.time("delay", delay.as_ref(), scope)?;
                let error = Error::new(Kind::Rejected, reason).retry(match dead {
                    Some(Value::Bool(true)) => Retry::Never,
                    _ => delay.map_or(Retry::Safe, Retry::After),
                });
                // A delay that was asked for is what was asked for.
                let share = if delay.is_some() { 0.0 } else { rand::random() };
                let change = verdict::of(&self.queue, job, &error, share);
                let outcome = if matches!(change, JobChange::Retry { .. }) { "retry" } else { "dead" };
                Ok((change, outcome))
            }
        }
    }

    fn time(&self, word: &str, tree: Option<&Tree>, scope: &Scope) -> Result<Option<Duration>> {
        let Some(tree) = tree else { return Ok(None) };
        match tree.render(scope)? {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let time = value.as_str().and_then(|text| duration::parse(text).ok());
                time.filter(|time| !time.is_zero() || word == "delay").map(Some).ok_or_else(|| {
                    let text = format!(
                        "settle a message of `{}`: `{word}` must be a duration such as `5m`",
                        self.queue
                    );
                    Error::new(blame(tree), text)
                })
            }
        }
    }
}

//! One branch, and what is there when it fails.

use std::{sync::Arc, time::Duration};

use renkei_core::{Error, Kind, Outcome, Pattern, Result, RunContext, Tree, Value};
use tracing::{debug, error, warn};

use crate::{condition::Condition, fan_out::FanOut, limit::limited};

#[derive(Debug)]
pub(super) struct Branch {
    pub(super) name: Arc<str>,
    pub(super) meta_name: Arc<str>,
    /// For messages.
    pub(super) label: Arc<str>,
    /// The branches that it waits for, by their places.
    pub(super) needs: Vec<usize>,
    pub(super) action: Arc<dyn Pattern>,
    pub(super) optional: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) fallback: Option<Tree>,
    pub(super) when: Option<Condition>,
    pub(super) for_each: Option<FanOut>,
}

/// How a branch ended, as far as the whole can go on.
#[derive(Debug)]
pub(super) enum Slot {
    /// Its `when` said no.
    Skipped,
    Done(Outcome),
    Missing {
        error: Error,
        /// The fallback, or null.
        instead: Value,
    },
}

impl Branch {
    /// An error ends the whole.
    pub(super) async fn run(&self, cx: RunContext, input: Value) -> Result<Slot> {
        match self.attempt(&cx, &input).await {
            Ok(slot) => Ok(slot),
            // No failure: it goes on with a later call.
            Err(error) if error.is_suspended() => Err(error),
            Err(error) => self.without(error, &cx, input),
        }
    }

    async fn attempt(&self, cx: &RunContext, input: &Value) -> Result<Slot> {
        let _part = cx.begin_part()?;
        if let Some(when) = &self.when
            && !when.holds(cx, input)?
        {
            return Ok(Slot::Skipped);
        }
        let act = |cx: RunContext| async move {
            match &self.for_each {
                Some(each) => each.run(&cx, input, &*self.action).await,
                None => self.action.run(&cx, input.clone()).await,
            }
        };
        limited(cx, self.timeout, &self.label, act).await.map(Slot::Done)
    }

    fn without(&self, error: Error, cx: &RunContext, input: Value) -> Result<Slot> {
        let instead = match &self.fallback {
            Some(fallback) => match fallback.render(&cx.scope("fallback", input)) {
                Ok(value) => value.unwrap_or_default(),
                Err(broken) if !self.optional => {
                    return Err(broken.applied(error.was_applied()).detail(format!("after: {error}")));
                }
                Err(_) => Value::Null,
            },
            None if self.optional => Value::Null,
            None => return Err(error),
        };
        log(&self.name, &error);
        Ok(Slot::Missing { error, instead })
    }
}

/// The whole goes on, so that nobody else tells the operator.
fn log(branch: &str, failure: &Error) {
    let (kind, detail) = (failure.kind().as_str(), failure.detail_text());
    match failure.kind() {
        Kind::Internal => error!(branch, kind, detail, "an optional branch failed: {failure}"),
        Kind::Unavailable | Kind::Timeout | Kind::Unauthenticated => {
            warn!(branch, kind, detail, "an optional branch failed: {failure}");
        }
        _ => debug!(branch, kind, detail, "an optional branch failed: {failure}"),
    }
}

//! Repeats what may succeed the next time, where a repeat is safe.
//!
//! Worth repeating is what says so: an error with `retry: safe` or `after`. Safe to repeat is
//! - a read, an idempotent operation, or a request that carries an idempotency key;
//! - any other write only if it certainly was not sent: the connector says `mark_sent` before the
//!   first byte leaves, so a refused connection is safe to repeat, a lost answer is not. An error's
//!   own `applied: no` is not proof enough to do a write twice.
//!
//! The wait is exponential with full jitter; a system's `Retry-After` is the least. A wait that
//! would end after the deadline is not begun: the error is returned at once. So is one that the system's budget
//! for repeats does not cover, and one of a layer that let nothing through: a full system is not helped by trying.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{
    Applied, Call, CallContext, Effect, Error, Kind, Reply, Request, Result, Retry as Advice, call::Attempt,
    duration,
};
use tokio::time::{Instant, sleep};

use crate::{
    budget::Budget,
    config::{Attempts, Own},
    metrics::Metrics,
    trace,
};

pub(crate) struct Retry<C> {
    system: Arc<str>,
    plan: Attempts,
    /// Nothing where repeats are not rationed.
    budget: Option<Arc<Budget>>,
    metrics: Arc<Metrics>,
    inner: C,
}

impl<C: Call> Retry<C> {
    pub(crate) fn new(
        system: Arc<str>,
        plan: Attempts,
        budget: Option<Arc<Budget>>,
        metrics: Arc<Metrics>,
        inner: C,
    ) -> Self {
        Retry { system, plan, budget, metrics, inner }
    }

    /// Whether the system's budget covers one more repeat.
    fn may_repeat(&self) -> bool {
        let may = self.budget.as_ref().is_none_or(|budget| budget.spend());
        if may {
            self.metrics.retries.increment(1)
        } else {
            self.metrics.refused_by_budget.increment(1)
        }
        may
    }
}

#[async_trait]
impl<C: Call> Call for Retry<C> {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let plan = Own::of(cx.settings.as_ref()).map_or(&self.plan, |own| &own.retry);
        if let Some(budget) = &self.budget {
            budget.earn();
        }
        let mut made = 0;
        let mut doubt = false;
        let mut cause: Option<Error> = None;
        loop {
            let attempt = Arc::new(Attempt::default());
            let cx = CallContext { attempt: attempt.clone(), ..cx.clone() };
            let error = match self.inner.call(&cx, request).await {
                Ok(reply) => {
                    trace::record_attempts(made + 1);
                    return Ok(reply);
                }
                Err(error) => error,
            };
            if attempt.was_refused() {
                return Err(match cause {
                    Some(cause) => finish(not_repeated(cause, &error), made, doubt),
                    None => error,
                });
            }
            made += 1;
            trace::record_attempts(made);
            doubt |= error.was_applied() == Applied::Unknown;
            let fail = |error| Err(finish(error, made, doubt));

            if made >= plan.attempts {
                let tried = made > 1 && worth(&error).is_some();
                return fail(if tried { error.retry(Advice::Exhausted) } else { error });
            }
            let Some(least) = worth(&error) else { return fail(error) };
            if !is_safe(request, &attempt) {
                return fail(error);
            }
            let wait = least.max(backoff(plan, made, rand::random()));
            if Instant::now() + wait >= cx.deadline {
                return fail(error);
            }
            if !self.may_repeat() {
                let system = &self.system;
                return fail(error.adding(format!(
                    "it was not repeated, since too many calls to `{system}` were lately (`retry.budget`)"
                )));
            }
            let (system, of) = (&self.system, plan.attempts);
            cx.tell(|| {
                let wait = duration::format(wait);
                format!("`{system}`: {}; attempt {} of {of} follows in {wait}", error.kind(), made + 1)
            });
            cause = Some(error);
            tokio::select! {
                () = sleep(wait) => {}
                () = cx.cancel.cancelled() => {
                    return fail(Error::new(Kind::Cancelled, format!("the call to `{system}` was cancelled")));
                }
            }
        }
    }
}

/// What went wrong, where a layer did not let the repeat through.
fn not_repeated(cause: Error, refusal: &Error) -> Error {
    cause.adding(format!("it was not repeated: {}", refusal.public())).retry(refusal.retry_advice())
}

/// The least time to wait, if the error says that a repeat can help.
fn worth(error: &Error) -> Option<Duration> {
    match error.retry_advice() {
        Advice::Safe => Some(Duration::ZERO),
        Advice::After(least) => Some(least),
        Advice::Never | Advice::Exhausted => None,
    }
}

fn is_safe(request: &Request, attempt: &Attempt) -> bool {
    request.effect != Effect::Write || request.key.is_some() || !attempt.was_sent()
}

/// Full jitter: `share` (0 to 1) of `first · 2^(made - 1)`, which never exceeds `max`.
pub(crate) fn backoff(plan: &Attempts, made: u32, share: f64) -> Duration {
    let doubled = 2u32.checked_pow(made - 1).and_then(|times| plan.first.checked_mul(times));
    doubled.map_or(plan.max, |wait| wait.min(plan.max)).mul_f64(share)
}

/// What the last error does not know: how often it was tried, and that an earlier try may have
/// had its effect.
fn finish(error: Error, made: u32, doubt: bool) -> Error {
    let error = match doubt && error.was_applied() == Applied::No {
        true => error.applied(Applied::Unknown),
        false => error,
    };
    if made > 1 { error.context(format!("after {made} attempts")) } else { error }
}

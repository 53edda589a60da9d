//! Repeats what may succeed the next time, where a repeat is safe.
//!
//! Worth repeating is what says so: an error with `retry: safe` or `after`. Safe to repeat is
//! - a read, an idempotent operation, or a request that carries an idempotency key;
//! - any other write only if it certainly was not sent: the connector says `mark_sent` before the
//!   first byte leaves, so a refused connection is safe to repeat, a lost answer is not. An error's
//!   own `applied: no` is not proof enough to do a write twice.
//!
//! The wait is exponential with full jitter; a system's `Retry-After` is the least. A wait that
//! would end after the deadline is not begun: the error is returned at once.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{
    Applied, Call, CallContext, Effect, Error, Kind, Reply, Request, Result, Retry as Advice, call::Attempt,
    duration,
};
use tokio::time::{Instant, sleep};

use crate::{config, trace};

pub(crate) struct Retry {
    system: Arc<str>,
    config: config::Retry,
    inner: Arc<dyn Call>,
}

impl Retry {
    pub(crate) fn new(system: Arc<str>, config: config::Retry, inner: Arc<dyn Call>) -> Self {
        Retry { system, config, inner }
    }
}

#[async_trait]
impl Call for Retry {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let mut made = 0;
        let mut doubt = false;
        loop {
            let attempt = Arc::new(Attempt::default());
            let cx = CallContext { attempt: attempt.clone(), ..cx.clone() };
            made += 1;
            trace::record_attempts(made);
            let error = match self.inner.call(&cx, request).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            doubt |= error.was_applied() == Applied::Unknown;
            let fail = |error| Err(finish(error, made, doubt));

            if made >= self.config.attempts {
                let tried = made > 1 && worth(&error).is_some();
                return fail(if tried { error.retry(Advice::Exhausted) } else { error });
            }
            let Some(least) = worth(&error) else { return fail(error) };
            if !is_safe(request, &attempt) {
                return fail(error);
            }
            let wait = least.max(backoff(&self.config, made, rand::random()));
            if Instant::now() + wait >= cx.deadline {
                return fail(error);
            }
            let (system, of) = (&self.system, self.config.attempts);
            cx.tell(|| {
                let wait = duration::format(wait);
                format!("`{system}`: {}; attempt {} of {of} follows in {wait}", error.kind(), made + 1)
            });
            tokio::select! {
                () = sleep(wait) => {}
                () = cx.cancel.cancelled() => {
                    return fail(Error::new(Kind::Cancelled, format!("the call to `{system}` was cancelled")));
                }
            }
        }
    }
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
pub(crate) fn backoff(config: &config::Retry, made: u32, share: f64) -> Duration {
    let doubled = 2u32.checked_pow(made - 1).and_then(|times| config.first.checked_mul(times));
    doubled.map_or(config.max, |wait| wait.min(config.max)).mul_f64(share)
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

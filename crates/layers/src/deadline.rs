//! The time that a whole call may take, with its repeats.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{Applied, Call, CallContext, Effect, Error, Kind, Reply, Request, Result, duration};
use tokio::time::{Instant, timeout_at};

use crate::config::Own;

pub(crate) struct Deadline<C> {
    system: Arc<str>,
    total: Duration,
    inner: C,
}

impl<C: Call> Deadline<C> {
    pub(crate) fn new(system: Arc<str>, total: Duration, inner: C) -> Self {
        Deadline { system, total, inner }
    }

    /// `own` is the time that ran out, if it was not the caller's.
    fn passed(&self, own: Option<Duration>) -> Error {
        let system = &self.system;
        Error::new(
            Kind::Timeout,
            match own {
                Some(total) => format!(
                    "`{system}` did not answer within {} (its `timeout`); try again later",
                    duration::format(total)
                ),
                None => format!("the time for the whole call was used up before `{system}` answered"),
            },
        )
    }
}

#[async_trait]
impl<C: Call> Call for Deadline<C> {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let now = Instant::now();
        let total = Own::of(cx.settings.as_ref()).map_or(self.total, |own| own.timeout.total);
        let own = (now + total < cx.deadline).then_some(total);
        let deadline = cx.deadline.min(now + total);
        if deadline <= now {
            return Err(self.passed(own));
        }
        let cx = CallContext { deadline, ..cx.clone() };
        // The layers inside keep to the deadline and know better what a timeout means; this one is
        // the backstop, and what it cuts off may have happened.
        timeout_at(deadline, self.inner.call(&cx, request)).await.unwrap_or_else(|_| {
            Err(self.passed(own).applied(match request.effect {
                Effect::Read => Applied::No,
                _ => Applied::Unknown,
            }))
        })
    }
}

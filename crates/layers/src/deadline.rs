//! The time that a whole call may take, with its repeats.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{Applied, Call, CallContext, Effect, Error, Kind, Reply, Request, Result, duration};
use tokio::time::{Instant, timeout_at};

pub(crate) struct Deadline {
    system: Arc<str>,
    total: Duration,
    inner: Arc<dyn Call>,
}

impl Deadline {
    pub(crate) fn new(system: Arc<str>, total: Duration, inner: Arc<dyn Call>) -> Self {
        Deadline { system, total, inner }
    }

    fn passed(&self, own: bool) -> Error {
        let system = &self.system;
        Error::new(
            Kind::Timeout,
            match own {
                true => format!(
                    "`{system}` did not answer within {} (its `timeout`); try again later",
                    duration::format(self.total)
                ),
                false => format!("the time for the whole call was used up before `{system}` answered"),
            },
        )
    }
}

#[async_trait]
impl Call for Deadline {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let now = Instant::now();
        let own = now + self.total < cx.deadline;
        let deadline = cx.deadline.min(now + self.total);
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

//! The time that one try may take, and what its end means.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{Applied, Call, CallContext, Effect, Error, Kind, Reply, Request, Result, duration};
use tokio::time::{Instant, timeout_at};

use crate::config::Own;

pub(crate) struct AttemptTimeout {
    system: Arc<str>,
    limit: Duration,
    inner: Arc<dyn Call>,
}

impl AttemptTimeout {
    pub(crate) fn new(system: Arc<str>, limit: Duration, inner: Arc<dyn Call>) -> Self {
        AttemptTimeout { system, limit, inner }
    }
}

#[async_trait]
impl Call for AttemptTimeout {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let start = Instant::now();
        let limit = Own::of(cx.settings.as_ref()).map_or(self.limit, |own| own.timeout.attempt);
        let until = cx.deadline.min(start + limit);
        match timeout_at(until, self.inner.call(cx, request)).await {
            Ok(result) => result,
            Err(_) => Err(self.ended(until - start, cx.attempt.was_sent(), request.effect)),
        }
    }
}

impl AttemptTimeout {
    /// Before the first byte left, nothing happened; after it, nobody knows – unless the request
    /// changes nothing anyway.
    fn ended(&self, waited: Duration, sent: bool, effect: Effect) -> Error {
        let (system, waited) = (&self.system, duration::format(waited));
        let error = |text| Error::new(Kind::Timeout, text);
        match (sent, effect) {
            (false, _) => error(format!("`{system}` could not be reached within {waited}; nothing was sent")),
            (true, Effect::Read) => error(format!("`{system}` did not answer within {waited}")),
            (true, _) => {
                error(format!("`{system}` did not answer within {waited} after the request was sent"))
                    .applied(Applied::Unknown)
            }
        }
    }
}

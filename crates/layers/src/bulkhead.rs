//! How many requests are under way at the same time. One more is refused at once: who waits for a place would
//! hold one elsewhere.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use renkei_core::{Call, CallContext, Error, Kind, Reply, Request, Result, Retry};

use crate::metrics::Metrics;

/// When it is worth trying again: nobody knows when a place will be free.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The places that are taken, over all connections of a system.
#[derive(Debug)]
pub(crate) struct State {
    taken: AtomicU32,
    limit: Option<u32>,
}

impl State {
    pub(crate) fn new(limit: Option<u32>) -> Self {
        State { taken: AtomicU32::new(0), limit }
    }

    fn take(&self) -> Result<(), u32> {
        let limit = self.limit.unwrap_or(u32::MAX);
        let next = |taken| (taken < limit).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).map(drop).map_err(|_| limit)
    }
}

/// A place that is taken until this is dropped.
struct Place<'a>(&'a State, &'a Metrics);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
        self.1.in_flight.decrement(1.0);
    }
}

pub(crate) struct Bulkhead<C> {
    system: Arc<str>,
    state: Arc<State>,
    metrics: Arc<Metrics>,
    inner: C,
}

impl<C: Call> Bulkhead<C> {
    pub(crate) fn new(system: Arc<str>, state: Arc<State>, metrics: Arc<Metrics>, inner: C) -> Self {
        Bulkhead { system, state, metrics, inner }
    }

    fn place(&self, cx: &CallContext) -> Result<Place<'_>> {
        self.state.take().map_err(|limit| {
            cx.attempt.mark_refused();
            self.metrics.refused_by_concurrency.increment(1);
            let text = format!(
                "`{limit}` requests to `{}` are under way already (its `limit.concurrency`); nothing was sent",
                self.system
            );
            Error::new(Kind::RateLimited, text).retry(Retry::After(RETRY_AFTER))
        })?;
        self.metrics.in_flight.increment(1.0);
        Ok(Place(&self.state, &self.metrics))
    }
}

#[async_trait]
impl<C: Call> Call for Bulkhead<C> {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let _place = self.place(cx)?;
        self.inner.call(cx, request).await
    }
}

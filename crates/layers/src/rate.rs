//! How many requests are sent in a time: the generic cell rate algorithm, which is a token bucket in one number.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use lru::LruCache;
use renkei_core::{
    Call, CallContext, Error, Kind, Principal, Reply, Request, Result, Retry, duration, read::Rate,
};
use tokio::time::{Instant, sleep};

use crate::{
    clock::{Clock, promised},
    config::{Limit, Per},
    metrics::Metrics,
};

/// So many callers are remembered. Who is forgotten begins with a whole burst, which a caller that many others
/// came after has earned again at all but the slowest rates.
const MAX_PRINCIPALS: NonZeroUsize = NonZeroUsize::new(10_000).expect("it is not zero");

/// A rate with a burst.
#[derive(Debug)]
pub(crate) struct Gcra {
    interval: u64,
    tolerance: u64,
    /// When the bucket is full again, in nanoseconds.
    full: AtomicU64,
}

impl Gcra {
    pub(crate) fn new(rate: Rate, burst: u32) -> Self {
        let interval = nanos(rate.interval()).max(1);
        let tolerance = interval.saturating_mul(u64::from(burst.saturating_sub(1)));
        Gcra { interval, tolerance, full: AtomicU64::new(0) }
    }

    /// Takes a token that is there now, or within `wait`: gives the time to wait for it.
    ///
    /// # Errors
    /// None will be there: gives the time until then. Nothing is taken.
    pub(crate) fn take(&self, now: Duration, wait: Duration) -> Result<Duration, Duration> {
        let (now, wait) = (nanos(now), nanos(wait));
        let due = |full: u64| full.max(now).saturating_sub(self.tolerance).saturating_sub(now);
        let taken = self.full.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full| {
            (due(full) <= wait).then(|| full.max(now).saturating_add(self.interval))
        });
        taken.map(due).map_err(due).map(Duration::from_nanos).map_err(Duration::from_nanos)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What was sent lately, for all connections of a system.
pub(crate) struct State {
    rate: Rate,
    burst: u32,
    wait: Duration,
    clock: Clock,
    buckets: Buckets,
}

enum Buckets {
    OfSystem(Gcra),
    OfPrincipals(Mutex<LruCache<String, Arc<Gcra>>>),
}

impl State {
    pub(crate) fn new(rate: Rate, limit: &Limit, clock: Clock) -> Self {
        let burst = limit.burst.unwrap_or(rate.count);
        let buckets = match limit.per {
            Per::System => Buckets::OfSystem(Gcra::new(rate, burst)),
            Per::Principal => Buckets::OfPrincipals(Mutex::new(LruCache::new(MAX_PRINCIPALS))),
        };
        State { rate, burst, wait: limit.wait, clock, buckets }
    }

    fn take(&self, principal: &Principal, wait: Duration) -> Result<Duration, Duration> {
        let now = self.clock.now();
        match &self.buckets {
            Buckets::OfSystem(bucket) => bucket.take(now, wait),
            Buckets::OfPrincipals(buckets) => {
                let name = name_of(principal);
                let bucket = {
                    // Nothing inside panics while it is held.
                    let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
                    buckets.get_or_insert(name, || Arc::new(Gcra::new(self.rate, self.burst))).clone()
                };
                bucket.take(now, wait)
            }
        }
    }
}

/// As [`Principal::is_same`] tells them apart.
fn name_of(principal: &Principal) -> String {
    let issuer = principal.claims.get("iss").map(renkei_core::Value::to_json).unwrap_or_default();
    format!("{} {issuer} {}", principal.how.as_str(), principal.name)
}

pub(crate) struct RateLimit<C> {
    system: Arc<str>,
    /// Nothing where there is no limit.
    state: Option<Arc<State>>,
    metrics: Arc<Metrics>,
    inner: C,
}

impl<C: Call> RateLimit<C> {
    pub(crate) fn new(system: Arc<str>, state: Option<Arc<State>>, metrics: Arc<Metrics>, inner: C) -> Self {
        RateLimit { system, state, metrics, inner }
    }

    fn refused(&self, state: &State, wait: Duration, cx: &CallContext) -> Error {
        cx.attempt.mark_refused();
        self.metrics.refused_by_rate.increment(1);
        let wait = promised(wait);
        let (system, rate, after) = (&self.system, state.rate, duration::format(wait));
        let whose = match state.buckets {
            Buckets::OfSystem(_) => "",
            Buckets::OfPrincipals(_) => " from one caller",
        };
        let text = format!(
            "`{system}` gets at most `{rate}` requests{whose} (its `limit.rate`); nothing was sent, try again in {after}"
        );
        Error::new(Kind::RateLimited, text).retry(Retry::After(wait))
    }
}

#[async_trait]
impl<C: Call> Call for RateLimit<C> {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        if let Some(state) = &self.state {
            let left = cx.deadline.saturating_duration_since(Instant::now());
            match state.take(&cx.principal, state.wait.min(left)) {
                Ok(Duration::ZERO) => {}
                Ok(wait) => sleep(wait).await,
                Err(wait) => return Err(self.refused(state, wait, cx)),
            }
        }
        self.inner.call(cx, request).await
    }
}

//! The order of the layers, outermost first.
//!
//! - **Trace** sees the call once, with its repeats, and however it ends.
//! - **Deadline** covers everything inside: waiting for somebody else's reply, repeats, and the waits between them.
//! - **Cache** answers before anything is spent: a hit costs no token and survives an open breaker. Callers that
//!   share a reply share its repeats.
//! - **Retry** holds nothing while it waits; each try passes all that follows anew.
//! - **Breaker** sees every try, and an open one spends no token.
//! - **Rate limit** may wait for its turn, and holds no place meanwhile.
//! - **Bulkhead** counts what is really under way.
//! - **Attempt timeout** begins when the try does, each its own.
//!
//! The order is a type, and `tests::order` fails if two of them change places.

use std::sync::Arc;

use renkei_core::{Background, Call, Invalidation, LayerStack, connector::SystemPlan};

use crate::{
    attempt::AttemptTimeout,
    breaker::{self, Breaker},
    budget::Budget,
    bulkhead::{self, Bulkhead},
    cache::{self, Cache},
    clock::Clock,
    config::Settings,
    deadline::Deadline,
    metrics::Metrics,
    rate::{self, RateLimit},
    retry::Retry,
    trace::Trace,
};

pub(crate) type Layered = Trace<Deadline<Cache<Retry<Breaker<RateLimit<Bulkhead<AttemptTimeout>>>>>>>;

/// The layers of one system with what they know, for all its connections.
pub(crate) struct Stack {
    system: Arc<str>,
    settings: Settings,
    cache: Arc<cache::State>,
    budget: Option<Arc<Budget>>,
    breaker: Option<Arc<breaker::State>>,
    rate: Option<Arc<rate::State>>,
    bulkhead: Arc<bulkhead::State>,
    metrics: Arc<Metrics>,
}

impl Stack {
    pub(crate) fn new(settings: &Settings, plan: &SystemPlan, background: Arc<dyn Background>) -> Self {
        let (clock, metrics) = (Clock::start(), Arc::new(Metrics::new(&plan.name)));
        let limit = &settings.limit;
        Stack {
            system: plan.name.clone(),
            cache: Arc::new(cache::State::new(plan, &settings.cache, background, metrics.clone())),
            budget: settings.retry.budget.as_ref().map(|budget| Arc::new(Budget::new(budget, clock))),
            breaker: settings.breaker.0.as_ref().map(|config| {
                Arc::new(breaker::State::new(plan.name.clone(), config.clone(), clock, metrics.clone()))
            }),
            rate: limit.rate.map(|rate| Arc::new(rate::State::new(rate, limit, clock))),
            bulkhead: Arc::new(bulkhead::State::new(limit.concurrency)),
            settings: settings.clone(),
            metrics,
        }
    }

    /// Puts the layers around `inner`; written inside out.
    pub(crate) fn layered(&self, inner: Arc<dyn Call>) -> Layered {
        let (system, metrics) = (|| self.system.clone(), || self.metrics.clone());
        let Settings { timeout, retry, .. } = &self.settings;
        let call = AttemptTimeout::new(system(), timeout.attempt, inner);
        let call = Bulkhead::new(system(), self.bulkhead.clone(), metrics(), call);
        let call = RateLimit::new(system(), self.rate.clone(), metrics(), call);
        let call = Breaker::new(self.breaker.clone(), call);
        let call = Retry::new(system(), retry.plan, self.budget.clone(), metrics(), call);
        let call = Cache::new(self.cache.clone(), timeout.total, call);
        let call = Deadline::new(system(), timeout.total, call);
        Trace::new(system(), metrics(), call)
    }
}

impl LayerStack for Stack {
    fn around(&self, inner: Arc<dyn Call>) -> Arc<dyn Call> {
        Arc::new(self.layered(inner))
    }

    fn invalidate(&self, what: &Invalidation) {
        self.cache.invalidate(what);
    }

    fn begin(&self) {
        self.metrics.begin();
    }

    fn retire(&self) {
        self.metrics.retire();
    }
}

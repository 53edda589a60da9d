//! What the layers count, by system; `renkei_core::metric` says what each is. Nothing is kept unless somebody
//! installs a recorder before the engine is made; until then, counting costs a comparison.

use std::sync::atomic::{AtomicBool, Ordering};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use renkei_core::{Kind, Reply, Result, metric};

/// The metrics of one system, looked up once.
pub(crate) struct Metrics {
    /// Another one shows the gauges of this name, or nobody does.
    retired: AtomicBool,
    ok: Counter,
    failed: [Counter; Kind::ALL.len()],
    pub(crate) seconds: Histogram,
    pub(crate) retries: Counter,
    breaker_state: Gauge,
    pub(crate) breaker_opened: Counter,
    pub(crate) refused_by_breaker: Counter,
    pub(crate) refused_by_rate: Counter,
    pub(crate) refused_by_concurrency: Counter,
    pub(crate) refused_by_budget: Counter,
    pub(crate) in_flight: Gauge,
    pub(crate) cache_hits: Counter,
    pub(crate) cache_stale: Counter,
    pub(crate) cache_misses: Counter,
    pub(crate) cache_joined: Counter,
    cache_entries: Gauge,
    cache_bytes: Gauge,
}

impl Metrics {
    pub(crate) fn new(system: &str) -> Self {
        let of = |metric: metric::Metric| counter!(metric.name, "system" => system.to_owned());
        let with = |metric: metric::Metric, label: &'static str, value: &'static str| counter!(metric.name, "system" => system.to_owned(), label => value);
        let gauge = |metric: metric::Metric| gauge!(metric.name, "system" => system.to_owned());
        let refused = |by| with(metric::SYSTEM_REFUSED, "by", by);
        let cache = |result| with(metric::CACHE_CALLS, "result", result);
        Metrics {
            retired: AtomicBool::new(false),
            ok: with(metric::SYSTEM_CALLS, "outcome", "ok"),
            failed: Kind::ALL.map(|kind| with(metric::SYSTEM_CALLS, "outcome", kind.as_str())),
            seconds: histogram!(metric::SYSTEM_SECONDS.name, "system" => system.to_owned()),
            retries: of(metric::SYSTEM_RETRIES),
            breaker_state: gauge(metric::BREAKER_STATE),
            breaker_opened: of(metric::BREAKER_OPENED),
            refused_by_breaker: refused("breaker"),
            refused_by_rate: refused("rate"),
            refused_by_concurrency: refused("concurrency"),
            refused_by_budget: refused("retry_budget"),
            in_flight: gauge(metric::SYSTEM_IN_FLIGHT),
            cache_hits: cache("hit"),
            cache_stale: cache("stale"),
            cache_misses: cache("miss"),
            cache_joined: cache("joined"),
            cache_entries: gauge(metric::CACHE_ENTRIES),
            cache_bytes: gauge(metric::CACHE_BYTES),
        }
    }

    /// 0 closed, 1 half-open, 2 open.
    pub(crate) fn show_breaker(&self, state: u8) {
        self.show(&[(&self.breaker_state, state.into())]);
    }

    pub(crate) fn show_cache(&self, entries: usize, bytes: usize) {
        self.show(&[(&self.cache_entries, entries as f64), (&self.cache_bytes, bytes as f64)]);
    }

    /// What was shown of another system of this name is no longer so.
    pub(crate) fn begin(&self) {
        self.show_breaker(0);
        self.show_cache(0, 0);
    }

    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
        for gauge in [&self.breaker_state, &self.cache_entries, &self.cache_bytes] {
            gauge.set(f64::NAN);
        }
    }

    fn show(&self, gauges: &[(&Gauge, f64)]) {
        if !self.retired.load(Ordering::Relaxed) {
            gauges.iter().for_each(|(gauge, value)| gauge.set(*value));
        }
    }

    /// Counts a call by how it ended.
    pub(crate) fn ended(&self, result: &Result<Reply>) {
        match result {
            Ok(_) => self.ok.increment(1),
            Err(error) => self.failed[error.kind() as usize].increment(1),
        }
    }
}

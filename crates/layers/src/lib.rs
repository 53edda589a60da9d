//! What every call to a system passes: trace, deadline, cache, retry, breaker, rate limit, bulkhead, attempt
//! timeout.
//!
//! [`LAYERS`] reads their part of a system's config, and what a call says instead; [`stack`](self) fixes their
//! order. Each layer is one file; what it decides by is a small machine without a clock of its own.

mod config;
mod stack;

mod trace;

mod deadline;

mod cache;

mod budget;
mod retry;

mod breaker;

mod rate;

mod bulkhead;

mod attempt;

mod clock;
mod metrics;

#[cfg(test)]
mod tests;

use renkei_core::LayersKind;

/// The layers as one kind: what `config` reads `timeout`, `retry` and the like of a system with.
pub static LAYERS: &dyn LayersKind = &config::Kind;

//! What every call to a system passes: trace, deadline, retry, attempt timeout.
//!
//! [`LAYERS`] reads their part of a system's config; [`stack`](self) fixes their order.

mod config;
mod stack;

mod attempt;
mod deadline;
mod retry;
mod trace;

#[cfg(test)]
mod tests;

use renkei_core::LayersKind;

/// The layers as one kind: what `config` reads `timeout` and `retry` of a system with.
pub static LAYERS: &dyn LayersKind = &config::Kind;

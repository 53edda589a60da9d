//! The patterns, one folder each, and the engine that runs them as tools.

pub mod durable;
pub mod engine;
pub mod queue;
pub mod schedule;

mod aggregate;
mod ask;
mod call;
mod consumer;
mod enqueue;
mod fail;
mod log;
mod map;
mod operator;
mod queue_status;
mod run;
mod switch;
mod transform;

mod condition;
mod fan_out;
mod limit;
mod order;
mod parts;

#[cfg(test)]
mod fake;

use renkei_core::PatternKind;

/// All patterns, in the order of the reference.
pub static PATTERNS: &[&dyn PatternKind] = &[
    &call::Kind,
    &run::Kind,
    &aggregate::Kind,
    &switch::Kind,
    &map::Kind,
    &transform::Kind,
    &fail::Kind,
    &log::Kind,
    &ask::Kind,
    &enqueue::Kind,
    &consumer::Receive,
    &consumer::Ack,
    &consumer::Nack,
    &consumer::Extend,
    &queue_status::Kind,
    &operator::QUEUE_PAUSE,
    &operator::QUEUE_RESUME,
    &operator::QUEUE_PURGE,
    &operator::DEAD_LIST,
    &operator::DEAD_SHOW,
    &operator::DEAD_REPLAY,
    &operator::DEAD_DISCARD,
    &operator::TASK_LIST,
    &operator::TASK_SHOW,
    &operator::TASK_CANCEL,
];

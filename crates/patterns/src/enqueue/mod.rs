//! A message for a queue: `enqueue: { QUEUE: DATA }`.
//!
//! It is durable before the answer, in one commit. The id of the message follows from the run and the place of the action
//! in it, so that another attempt of a worker that enqueues finds its message there.

mod config;
mod run;

pub(crate) use config::Kind;

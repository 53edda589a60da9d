//! The workers of the queues: they claim messages, run the worker's action on each, and commit what became of it.
//!
//! A message is handled at least once. Its id is the id of the run, so `$key` is the same in every attempt. The lease is
//! extended while an attempt runs; whoever lost it is stopped, and can change nothing. Reading order: the workers of a
//! process, one queue's loop, one attempt, and what an error means for the message.

mod workers;

mod attempt;
mod claims;
pub(crate) mod verdict;

mod pace;
mod pause;
mod watch;

pub mod operate;

pub use pause::{PAUSED, Paused};
pub(crate) use verdict::of_too_many;
pub use workers::{Options, Workers};

//! The aggregator: several actions, one answer.
//!
//! `aggregate: { NAME: { ACTION } }`. A branch begins as soon as those that it refers to are done, all in the task
//! of the run. A branch that is needed and fails ends its siblings at once; one that may be missing leaves null,
//! and is told of under `errors` and in a notice, so that a part is never mistaken for the whole.
//!
//! Reading order: [`config`] reads the branches, `graph` finds who waits for whom, [`run`] runs them.

mod config;
mod graph;

mod branch;
mod run;

#[cfg(test)]
mod tests;

pub(crate) use config::Kind;

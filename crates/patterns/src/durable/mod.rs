//! Runs that outlive their caller, and the process.
//!
//! A durable run is two things in the store: a stream, `run/ID`, with what it was asked and what its steps gave; and a
//! leased job, which says who works on it. Its steps go through a journal: intent before, result after. When a process
//! is gone, another one claims the job, reads the stream and runs the action again: what is recorded is not done again.
//! The job's lease fences every commit, so that whoever lost it changes nothing.
//!
//! A run that asks is suspended until it is answered; nobody works on it meanwhile.
//!
//! Reading order: what is stored, the journal, what is asked, one run, the host that claims them, and tasks, which are how clients
//! see them.

mod record;

mod asking;
mod history;
mod journal;
mod question;
mod scribe;

mod attempt;
mod beside;
mod host;
mod suspend;

mod rows;
mod task;

#[cfg(test)]
mod tests;

pub(crate) use asking::answered;
pub use history::{Entry, RunSummary, Timeline, runs, timeline};
pub(crate) use history::{Standing, standing};
pub use host::{Host, HostOptions};
pub use rows::{TaskRow, cancel as cancel_task, list as list_tasks, show as show_task};
pub use task::TaskLimits;
pub(crate) use task::{Keeper, Origin};

/// The queue of the jobs of runs. No name of a config has a `/`.
pub const QUEUE: &str = "renkei/runs";

/// The stream of a run.
pub(crate) fn stream(run: &str) -> String {
    format!("run/{run}")
}

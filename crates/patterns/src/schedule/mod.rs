//! Schedules: each tick becomes one message, however many processes look at the clock.
//!
//! How far a schedule is stands in one cell of the store. A tick's message and the cell's change are one commit, which
//! demands that the cell is as it was: of several processes one enqueues, and after a crash either both have happened or
//! nothing. Reading order: the cell, which ticks are made up for, one tick, and the loop.

mod progress;

mod choice;
mod journal;
mod ticker;

#[cfg(test)]
mod tests;

pub use progress::{Last, Progress};
pub(crate) use ticker::Ticker;

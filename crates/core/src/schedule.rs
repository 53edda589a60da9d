//! Schedules as the config declares them: what is enqueued, and when.

mod timetable;

use std::sync::Arc;

pub use timetable::{Due, ParseError, Tick, Timetable};

use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use crate::{Pattern, clock::Timestamp};

/// A schedule, checked.
#[derive(Clone, Debug)]
pub struct SchedulePlan {
    pub name: Arc<str>,
    pub description: Option<String>,
    pub timetable: Timetable,
    pub missed: Missed,
    /// The queue that its ticks go to.
    pub queue: Arc<str>,
    /// Enqueues the message of one tick. Its input is `{ schedule, tick }`.
    pub action: Arc<dyn Pattern>,
}

/// What becomes of ticks that nobody was there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    Skip,
    /// The last one of them, unless another one is due at this moment anyway.
    Once,
    /// So many of the last ones, each.
    All(usize),
}

/// The id of the run that enqueues one tick: the same in every process.
pub fn tick_id(schedule: &str, at: Timestamp) -> Uuid {
    let digest: [u8; 32] = Sha256::digest(format!("schedule/{schedule}/{}", at.0)).into();
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    Builder::from_unix_timestamp_millis(u64::try_from(at.0).unwrap_or_default(), &random).into_uuid()
}

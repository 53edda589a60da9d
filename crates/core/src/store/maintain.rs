//! What operators and the housekeeping need of a store.

use std::{path::Path, time::Duration};

use async_trait::async_trait;

use super::{JobState, Store};
use crate::{Result, clock::Timestamp};

/// The upkeep of a store.
#[async_trait]
pub trait Maintain: Store {
    /// Removes what is of no more use: expired cells, finished jobs that were kept long enough, and what the rules say. One
    /// bounded step, which holds up commits no longer than a large batch; [`Pruned::more`] asks for another.
    async fn prune(&self, rules: &Retention) -> Result<Pruned>;

    /// Removes up to `limit` jobs of a queue in these states, and says how many; fewer than `limit` means that all are gone.
    /// Those that are leased are removed, too, if they are named: whoever works on them has lost its lease.
    async fn purge(&self, queue: &str, states: &[JobState], limit: usize) -> Result<u64>;

    /// Looks for damage: of the medium, and of what must hold between records. Empty when it is sound. Reads everything.
    async fn check(&self) -> Result<Vec<Problem>>;

    /// Writes a copy of one moment to a new file, while work goes on. The copy is durable and whole, or is not there.
    ///
    /// # Errors
    /// `invalid` when the file exists, or where the store has tools of its own for backups.
    async fn backup(&self, to: &Path) -> Result<Backup>;

    /// Gives unused space back to the file system.
    async fn compact(&self) -> Result<Compacted>;

    async fn stats(&self) -> Result<Stats>;
}

/// What is dropped by age. What no rule names stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Dead jobs die so long ago; of all queues.
    pub dead: Option<Duration>,
    /// Events of the streams whose names begin so, and that are older. The last version of a stream stays known.
    pub log: Vec<(String, Duration)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub cells: u64,
    pub jobs: u64,
    pub events: u64,
    /// There is more to remove.
    pub more: bool,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A sentence for the operator.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    pub bytes: u64,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    pub bytes_before: u64,
    pub bytes_after: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Where it is, without secrets.
    pub place: String,
    /// The version of its tables.
    pub schema: u32,
    pub bytes: u64,
    pub events: u64,
    pub streams: u64,
    pub cells: u64,
    pub jobs: u64,
}

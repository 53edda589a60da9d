//! Everything durable, and the one verb that changes it.
//!
//! A store keeps three kinds of thing:
//! - the **log**: append-only streams of events, each with dense versions from 1, and one global order;
//! - **jobs**: leased work in queues;
//! - **cells**: small versioned values under `(space, key)`.
//!
//! [`Store::commit`] changes all three together or not at all. What must hold before is part of the batch: expected
//! versions, leases that are still held, unique keys that are free, queues that have room. A batch for which one of
//! these does not hold is [`Verdict::Refused`]: it changes nothing, and disturbs no other batch. `Err` is for
//! trouble with the store itself; its [`crate::Applied`] says whether the batch may have happened all the same. Give
//! events and jobs their ids before the commit: after an unknown outcome, the same batch again is refused
//! with [`Refusal::EventExists`] or [`Refusal::JobExists`] if it had happened.
//!
//! [`Store::claim`] is the other write: it leases jobs. A lease is a token which changes at every claim, and every
//! change by whoever works on a job names it. So whoever lost its lease can change nothing, whatever clocks say.
//!
//! What a commit answered is durable: it survives the loss of the process and of the machine's power.
//!
//! Reading order: the port, the batch, then log, jobs and cells, then verdicts, then what operators need.

mod port;

mod batch;
mod cell;
mod job;
mod log;

mod limits;
mod verdict;

mod changes;
mod maintain;

pub use batch::{Batch, Check, Record, When};
pub use cell::{Cell, CellExpected, CellPage, CellQuery, CellWrite, NewCell, ScanBy};
pub use changes::{Change, ChangeFeed, Changes};
pub use job::{
    Claim, Claims, DeadCause, Job, JobChange, JobError, JobId, JobPage, JobQuery, JobState, Lease, NewJob,
    OnDead, OnTaken, QueueCounts, Unique,
};
pub use limits::{
    MAX_BATCH_BYTES, MAX_BATCH_ITEMS, MAX_CLAIM, MAX_ERROR_BYTES, MAX_ERRORS, MAX_HEADER_BYTES,
    MAX_NAME_BYTES, MAX_PAGE, MAX_RECORD_BYTES,
};
pub use log::{
    Append, Event, Expected, LogPage, LogQuery, NewEvent, Position, StreamInfo, StreamPage, StreamsPage,
    Trim, TrimTo,
};
pub use maintain::{Backup, Compacted, Maintain, Problem, Pruned, Retention, Stats};
pub use port::Store;
pub use verdict::{Appended, Enqueued, Receipt, Refusal, Verdict};

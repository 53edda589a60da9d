//! The port: what a store does for everybody but its operators.

use std::fmt;

use async_trait::async_trait;

use super::{
    Batch, Cell, CellPage, CellQuery, Changes, Claim, Claims, Job, JobId, JobPage, JobQuery, LogPage,
    LogQuery, QueueCounts, StreamInfo, StreamPage, StreamsPage, Verdict,
};
use crate::{Result, clock::Timestamp};

/// A store. Any number of callers may use it at once; reads see every commit that was answered before they began.
///
/// Dropping the future of a write before it is done leaves open whether it happens; it happens whole or not at all.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Does all of the batch, or nothing of it. Answers after it is durable.
    ///
    /// It is as if each part were done after the other, in the order of the batch's fields, until a precondition does
    /// not hold: that one is told, and nothing was done. Of an append, the ids of its events come before its version; of
    /// a new job, its id, then its unique key, then the room in its queue. An empty batch is done at once.
    ///
    /// # Errors
    /// `invalid` for a batch that breaks a limit or names one thing twice ([`Batch::validate`]); `unavailable` when the
    /// store cannot be written, with [`crate::Applied::Unknown`] where the batch may have happened.
    async fn commit(&self, batch: Batch) -> Result<Verdict>;

    /// Leases up to so many jobs of a queue: the most urgent first ([`NewJob::priority`](super::NewJob::priority)), among
    /// equals the oldest. Takes the same time however many jobs wait.
    ///
    /// Before that, jobs of this queue whose lease has ended are waiting again, those whose time has come are ready,
    /// and those that waited longer than they may are dead ([`DeadCause::Expired`](super::DeadCause::Expired)). Each of these
    /// up to a bound; what is left is found by the next claim. A claim that finds nothing writes nothing.
    async fn claim(&self, claim: Claim) -> Result<Claims>;

    /// The events of one stream from a version (inclusive), in order of version. An unknown stream is empty.
    async fn read_stream(&self, stream: &str, from: u64, limit: usize) -> Result<StreamPage>;

    /// The events of all streams after a position, in commit order.
    async fn read_log(&self, query: LogQuery) -> Result<LogPage>;

    /// What is known of a stream; nothing when it has no events and never had any.
    async fn stream(&self, stream: &str) -> Result<Option<StreamInfo>>;

    /// The streams whose names begin so, in order of their names, after a name.
    async fn streams(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<StreamsPage>;

    async fn job(&self, id: JobId) -> Result<Option<Job>>;

    /// The jobs of one queue in one state, in pages.
    async fn jobs(&self, query: JobQuery) -> Result<JobPage>;

    /// How many jobs there are in each state, for every queue that has any, in order of the queues' names. The effort
    /// depends on the number of queues, not of jobs.
    async fn queues(&self) -> Result<Vec<QueueCounts>>;

    /// The cell, unless it is absent or expired.
    async fn cell(&self, space: &str, key: &str) -> Result<Option<Cell>>;

    /// Cells of one space, in pages, without those that are expired.
    async fn cells(&self, query: CellQuery) -> Result<CellPage>;

    /// Hints that something has changed, from now on. They may come late, twice or, from other processes, not at
    /// all: a reader that only waits for hints also looks by itself now and then.
    fn changes(&self) -> Changes;

    /// What the store's clock says. Every moment in a batch is measured with it.
    fn now(&self) -> Timestamp;

    /// Takes no more writes, waits for those it took, and lets go of what it holds. Writes after it are
    /// `unavailable`, and not applied.
    async fn close(&self);
}

//! A batch: what is changed together, and what must hold before.

use std::time::Duration;

use bytes::Bytes;

use super::{Append, CellExpected, CellWrite, Expected, JobChange, Lease, NewCell, NewJob, Trim};
use crate::clock::Timestamp;

/// What is committed together, in the order of the fields. Each stream, each cell, each job and each unique key is
/// named once at most.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// What must hold, beside what the changes themselves demand.
    pub checks: Vec<Check>,
    pub appends: Vec<Append>,
    /// Changes of jobs that are there already.
    pub jobs: Vec<JobChange>,
    /// Unique keys and room in bounded queues that `jobs` has freed can be taken here: a job may finish and enqueue its successor.
    pub enqueues: Vec<NewJob>,
    pub cells: Vec<CellWrite>,
    /// Events that are dropped, after everything else.
    pub trims: Vec<Trim>,
}

/// A precondition without a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// Nobody has claimed or changed the job since.
    Held(Lease),
    Stream {
        stream: String,
        expected: Expected,
    },
    Cell {
        space: String,
        key: String,
        expected: CellExpected,
    },
}

/// Bytes that the store keeps without looking into them – JSON text in Renkei's own – and the version of their form.
/// Whoever wrote them reads all earlier versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub version: u16,
    pub bytes: Bytes,
}

impl Record {
    pub fn new(version: u16, bytes: impl Into<Bytes>) -> Self {
        Record { version, bytes: bytes.into() }
    }
}

/// A moment, given by the calendar or by the store's clock at the time of the commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    #[default]
    Now,
    After(Duration),
    At(Timestamp),
}

impl When {
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            When::Now => now,
            When::After(duration) => now.after(duration),
            When::At(moment) => moment,
        }
    }
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.items() == 0
    }

    /// How many single things it names.
    pub fn items(&self) -> usize {
        let events: usize = self.appends.iter().map(|append| append.events.len()).sum();
        let heads = self.appends.len() + self.checks.len() + self.trims.len();
        heads + events + self.enqueues.len() + self.jobs.len() + self.cells.len()
    }

    #[must_use]
    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// The whole batch only if the lease is still held.
    #[must_use]
    pub fn held(self, lease: Lease) -> Self {
        self.check(Check::Held(lease))
    }

    #[must_use]
    pub fn append(mut self, append: Append) -> Self {
        self.appends.push(append);
        self
    }

    #[must_use]
    pub fn enqueue(mut self, job: NewJob) -> Self {
        self.enqueues.push(job);
        self
    }

    #[must_use]
    pub fn job(mut self, change: JobChange) -> Self {
        self.jobs.push(change);
        self
    }

    #[must_use]
    pub fn cell(mut self, write: CellWrite) -> Self {
        self.cells.push(write);
        self
    }

    /// Sets a cell, if what is there is as expected.
    #[must_use]
    pub fn set(
        self,
        space: impl Into<String>,
        key: impl Into<String>,
        expected: CellExpected,
        cell: NewCell,
    ) -> Self {
        self.cell(CellWrite { space: space.into(), key: key.into(), expected, value: Some(cell) })
    }

    /// Deletes a cell, if what is there is as expected.
    #[must_use]
    pub fn delete(self, space: impl Into<String>, key: impl Into<String>, expected: CellExpected) -> Self {
        self.cell(CellWrite { space: space.into(), key: key.into(), expected, value: None })
    }

    #[must_use]
    pub fn trim(mut self, trim: Trim) -> Self {
        self.trims.push(trim);
        self
    }
}

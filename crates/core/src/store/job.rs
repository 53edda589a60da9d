//! Jobs: work that is leased to one worker at a time, until it is finished or dead.
//!
//! Jobs with one key in one queue are handled one at a time, in the order of their commits: only the first unfinished
//! one of a key, its head, can be claimed; the others are held. A head that waits for its next attempt keeps its key.
//! A dead one keeps it or lets go of it, as its worker says ([`OnDead`]).

use std::{fmt, time::Duration};

use bytes::Bytes;
use uuid::Uuid;

use super::{Record, When};
use crate::clock::Timestamp;

/// Given by whoever enqueues, before the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub Uuid);

impl JobId {
    /// A new one. Later ones are greater, nearly.
    #[expect(clippy::new_without_default, reason = "each one differs, which nobody expects of a default")]
    pub fn new() -> Self {
        JobId(Uuid::now_v7())
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A job for a queue. A queue needs no making: it is there as long as it has jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    pub id: JobId,
    pub queue: String,
    /// Jobs with the same key are handled in order, one at a time.
    pub key: Option<String>,
    /// Greater comes first. Within a key only the order counts.
    pub priority: i16,
    /// Not before.
    pub run_at: When,
    /// A job that nobody claimed until then is dead.
    pub expires: Option<When>,
    pub unique: Option<Unique>,
    pub payload: Record,
    /// About the job: JSON text, or empty.
    pub headers: Bytes,
    /// The batch is refused when the queue has so many unfinished jobs already (waiting or under way; the dead do not count).
    pub max_length: Option<u64>,
}

impl NewJob {
    pub fn new(id: JobId, queue: impl Into<String>, payload: Record) -> Self {
        NewJob {
            id,
            queue: queue.into(),
            key: None,
            priority: 0,
            run_at: When::Now,
            expires: None,
            unique: None,
            payload,
            headers: Bytes::new(),
            max_length: None,
        }
    }
}

/// No two unfinished jobs of a queue have the same one. A dead or finished job has let go of it; a replay takes it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    pub key: String,
    pub on_taken: OnTaken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTaken {
    /// The whole batch is refused.
    Refuse,
    /// The rest of the batch is done; no job is enqueued, and the receipt names the one that is there.
    Join,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// Can be claimed.
    Ready,
    /// Waits for its time, or for the next claim which sees that it has come.
    Scheduled,
    /// Waits for an earlier job with the same key.
    Held,
    /// Somebody works on it, or has died doing so.
    Leased,
    /// Given up; for people to look at.
    Dead,
    /// Finished, and kept for a while.
    Done,
}

impl JobState {
    pub const ALL: [JobState; 6] = [
        JobState::Ready,
        JobState::Scheduled,
        JobState::Held,
        JobState::Leased,
        JobState::Dead,
        JobState::Done,
    ];

    /// The word in commands and results.
    pub fn as_str(self) -> &'static str {
        match self {
            JobState::Ready => "ready",
            JobState::Scheduled => "scheduled",
            JobState::Held => "held",
            JobState::Leased => "leased",
            JobState::Dead => "dead",
            JobState::Done => "done",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Waiting in one way or another.
    pub fn is_waiting(self) -> bool {
        matches!(self, JobState::Ready | JobState::Scheduled | JobState::Held)
    }

    /// Neither dead nor done.
    pub fn is_unfinished(self) -> bool {
        self.is_waiting() || self == JobState::Leased
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The right to change a job: held from the claim until somebody finishes, retries, buries, releases or discards
/// it, or claims it after the lease has ended. A lease that has ended by the clock, but that nobody has taken, is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    pub job: JobId,
    /// The fencing token: greater at every claim of this job.
    pub token: u64,
}

/// A change of one job. Those with a lease are for whoever works on it and demand that the lease is held; the others
/// are for operators, and for whoever waits for the job.
#[derive(Clone, Debug, PartialEq)]
pub enum JobChange {
    /// It is done. Kept until then, if at all.
    Finish { lease: Lease, keep_until: Option<When> },
    /// The attempt has failed; another one is due. Keeps its place and its key.
    Retry { lease: Lease, run_at: When, error: JobError },
    /// Given up: a dead letter, with its history.
    Bury { lease: Lease, error: JobError, on_dead: OnDead },
    /// More time: the lease ends so long after now.
    Extend { lease: Lease, lease_for: Duration },
    /// Back to the queue, and the attempt does not count: the worker stops, or the work has to wait for something.
    Release { lease: Lease, run_at: When },
    /// Waiting or scheduled: due at another time. This wakes a job that was parked.
    Reschedule { job: JobId, run_at: When },
    /// Dead: once more from the start. Keeps its id, its place, its payload and its history; attempts begin at 0.
    Replay { job: JobId, run_at: When },
    /// Dead: lets go of its key, so that the next one can go on.
    Unblock { job: JobId },
    /// Removed, in any state. Whoever works on it has lost its lease.
    Discard { job: JobId },
}

impl JobChange {
    pub fn job(&self) -> JobId {
        match self {
            JobChange::Finish { lease, .. }
            | JobChange::Retry { lease, .. }
            | JobChange::Bury { lease, .. }
            | JobChange::Extend { lease, .. }
            | JobChange::Release { lease, .. } => lease.job,
            JobChange::Reschedule { job, .. }
            | JobChange::Replay { job, .. }
            | JobChange::Unblock { job }
            | JobChange::Discard { job } => *job,
        }
    }

    /// The lease that must be held for it.
    pub fn lease(&self) -> Option<Lease> {
        match self {
            JobChange::Finish { lease, .. }
            | JobChange::Retry { lease, .. }
            | JobChange::Bury { lease, .. }
            | JobChange::Extend { lease, .. }
            | JobChange::Release { lease, .. } => Some(*lease),
            _ => None,
        }
    }

    /// Whether a job in this state can be changed so; for changes without a lease.
    pub fn fits(&self, state: JobState) -> bool {
        match self {
            JobChange::Reschedule { .. } => state.is_waiting(),
            JobChange::Replay { .. } | JobChange::Unblock { .. } => state == JobState::Dead,
            JobChange::Discard { .. } => true,
            _ => state == JobState::Leased,
        }
    }
}

/// What a dead job does to the others with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDead {
    /// They wait until somebody replays, unblocks or discards it.
    Block,
    /// The next one goes on.
    Skip,
}

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobError {
    /// The store's clock, set by the store.
    pub at: Timestamp,
    /// Which attempt, set by the store.
    pub attempt: u32,
    /// Who tried, set by the store.
    pub worker: String,
    /// A word such as [`crate::Kind::as_str`]; `lease_ended` where the worker was not heard of any more.
    pub kind: String,
    pub message: String,
}

impl JobError {
    /// The kind that a store gives where a lease has ended.
    pub const LEASE_ENDED: &str = "lease_ended";

    /// What the worker knows; the store adds the rest.
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        JobError {
            at: Timestamp::default(),
            attempt: 0,
            worker: String::new(),
            kind: kind.into(),
            message: message.into(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadCause {
    /// Its worker has buried it.
    Buried,
    /// Nobody claimed it in time.
    Expired,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub id: JobId,
    pub queue: String,
    pub key: Option<String>,
    pub priority: i16,
    pub state: JobState,
    pub run_at: Timestamp,
    pub expires: Option<Timestamp>,
    pub unique: Option<String>,
    pub payload: Record,
    pub headers: Bytes,
    /// Claims that count, since it was enqueued or replayed. During the first attempt it is 1.
    pub attempts: u32,
    /// The token of the last claim; 0 before the first.
    pub token: u64,
    /// When the lease ends; for leased ones.
    pub leased_until: Option<Timestamp>,
    /// Who has claimed it last.
    pub worker: Option<String>,
    /// Failed attempts, the last [`super::MAX_ERRORS`], in order.
    pub errors: Vec<JobError>,
    pub created: Timestamp,
    /// When its state has changed last.
    pub changed: Timestamp,
    /// For dead ones.
    pub dead: Option<DeadCause>,
    /// A dead one that others with its key wait for.
    pub blocks: bool,
}

impl Job {
    /// The lease of the last claim.
    pub fn lease(&self) -> Lease {
        Lease { job: self.id, token: self.token }
    }
}

/// What to lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub queue: String,
    /// At most [`super::MAX_CLAIM`] at once.
    pub max: usize,
    pub lease_for: Duration,
    /// For people: which process on which machine.
    pub worker: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims {
    /// In the order in which they were claimed; they are leased now.
    pub jobs: Vec<Job>,
    /// How many leases of others had ended.
    pub ended: u64,
    /// How many jobs had waited too long, and are dead.
    pub expired: u64,
    /// When the next job's time comes or the next lease ends, where fewer were claimed than asked for. Nothing: not before
    /// something is committed.
    pub next: Option<Timestamp>,
}

/// Which jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobQuery {
    pub queue: String,
    /// `Ready` comes in the order of claims, `Scheduled` by time, `Dead` and `Done` the newest first, the others in any order
    /// that stays the same.
    pub state: JobState,
    /// [`JobPage::next`] of the page before.
    pub after: Option<String>,
    pub limit: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct JobPage {
    pub jobs: Vec<Job>,
    pub next: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    pub queue: String,
    pub ready: u64,
    pub scheduled: u64,
    pub held: u64,
    pub leased: u64,
    pub dead: u64,
    pub done: u64,
    /// When the job was enqueued that is ready since longest.
    pub oldest_ready: Option<Timestamp>,
}

impl QueueCounts {
    /// Waiting and under way: what a bounded queue counts.
    pub fn unfinished(&self) -> u64 {
        self.ready + self.scheduled + self.held + self.leased
    }

    pub fn of(&self, state: JobState) -> u64 {
        match state {
            JobState::Ready => self.ready,
            JobState::Scheduled => self.scheduled,
            JobState::Held => self.held,
            JobState::Leased => self.leased,
            JobState::Dead => self.dead,
            JobState::Done => self.done,
        }
    }
}

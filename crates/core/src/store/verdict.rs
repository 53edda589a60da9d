//! What became of a batch.

use super::{CellExpected, Expected, JobId, JobState, Lease, Position};
use crate::{Error, Kind, Retry, clock::Timestamp};

#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// All of it is durable.
    Done(Receipt),
    /// Nothing of it has happened: this precondition does not hold.
    Refused(Refusal),
}

impl Verdict {
    /// For those who expect no refusal, or treat it as any other error.
    pub fn into_result(self) -> crate::Result<Receipt> {
        match self {
            Verdict::Done(receipt) => Ok(receipt),
            Verdict::Refused(refusal) => Err(refusal.into()),
        }
    }
}

/// What a batch was given, each in the order of the batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Receipt {
    /// The clock by which it was committed.
    pub at: Timestamp,
    pub appends: Vec<Appended>,
    pub enqueues: Vec<Enqueued>,
    /// The versions of the cells; nothing for those that were deleted.
    pub cells: Vec<Option<u64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The version of the last event.
    pub version: u64,
    /// The position of the last event.
    pub position: Position,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    New(JobId),
    /// [`super::OnTaken::Join`]: this one is there already.
    Joined(JobId),
}

impl Enqueued {
    pub fn id(self) -> JobId {
        match self {
            Enqueued::New(id) | Enqueued::Joined(id) => id,
        }
    }
}

/// A precondition that does not hold, and what is there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    Stream {
        stream: String,
        expected: Expected,
        /// 0 for a stream that never had events.
        actual: u64,
    },
    /// The stream has an event with this id; told before its version is looked at.
    EventExists {
        stream: String,
        id: String,
        version: u64,
        /// Whether kind, data and meta are the same: then it was committed before.
        same: bool,
    },
    /// A job with this id is there already.
    JobExists {
        job: JobId,
    },
    UniqueTaken {
        queue: String,
        unique: String,
        holder: JobId,
    },
    QueueFull {
        queue: String,
        /// Unfinished ones, with those that this batch would have added.
        length: u64,
        max: u64,
    },
    LeaseLost {
        lease: Lease,
        /// What the job is now; nothing when it is gone.
        state: Option<JobState>,
    },
    /// The job is not in a state for such a change.
    JobState {
        job: JobId,
        /// Nothing when it is gone.
        state: Option<JobState>,
    },
    Cell {
        space: String,
        key: String,
        expected: CellExpected,
        /// Nothing for an absent cell.
        actual: Option<u64>,
    },
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let conflict = |text: String| Error::new(Kind::Conflict, text);
        match refusal {
            Refusal::Stream { stream, expected, actual } => {
                let expected = match expected {
                    Expected::Any => "anything".to_owned(),
                    Expected::None => "no events".to_owned(),
                    Expected::Exists => "events".to_owned(),
                    Expected::Version(version) => format!("version {version}"),
                };
                conflict(format!("append to `{stream}`: it is at version {actual}, {expected} was expected"))
            }
            Refusal::EventExists { stream, id, same: true, .. } => {
                conflict(format!("append to `{stream}`: the event `{id}` is there already"))
            }
            Refusal::EventExists { stream, id, same: false, .. } => {
                conflict(format!("append to `{stream}`: another event has the id `{id}`"))
            }
            Refusal::JobExists { job } => conflict(format!("enqueue the job `{job}`: it is there already")),
            Refusal::UniqueTaken { queue, unique, holder } => {
                conflict(format!("enqueue in `{queue}`: the job `{holder}` has the unique key `{unique}`"))
            }
            Refusal::QueueFull { queue, length, max } => {
                let text = format!(
                    "enqueue in `{queue}`: it would have {length} jobs, at most {max} are allowed; try again later"
                );
                Error::new(Kind::RateLimited, text).retry(Retry::Safe)
            }
            Refusal::LeaseLost { lease, state } => {
                let now = state.map_or("gone", JobState::as_str);
                conflict(format!("change the job `{}`: its lease is lost, it is {now} now", lease.job))
            }
            Refusal::JobState { job, state: None } => {
                Error::new(Kind::NotFound, format!("change the job `{job}`: there is no such job"))
            }
            Refusal::JobState { job, state: Some(state) } => {
                conflict(format!("change the job `{job}`: it is {state}, which does not fit this change"))
            }
            Refusal::Cell { space, key, actual, .. } => {
                let now = if actual.is_some() { "was changed meanwhile" } else { "is not there any more" };
                conflict(format!("change the {space} cell `{key}`: it {now}"))
            }
        }
    }
}

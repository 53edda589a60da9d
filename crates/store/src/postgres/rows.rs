//! How rows become what the port speaks of.

use bytes::Bytes;
use renkei_core::{
    Value,
    clock::Timestamp,
    store::{
        Cell, DeadCause, Event, Job, JobError, JobId, JobState, MAX_ERROR_BYTES, MAX_ERRORS, Position, Record,
    },
};
use tokio_postgres::Row;

use super::error::Trouble;

/// The columns of a job, in the order in which [`job`] reads them; `j` is the table.
pub(super) const JOB: &str = "j.id, j.queue, j.key, j.priority, j.state, j.run_at, j.expires, j.uniq, j.form, j.payload, \
     j.headers, j.attempts, j.token, j.leased_until, j.worker, j.errors, j.created, j.changed, j.dead, j.blocks, j.place";

/// The columns of an event.
pub(super) const EVENT: &str = "e.stream, e.version, e.position, e.id, e.kind, e.form, e.data, e.meta, e.at";

/// The columns of a cell.
pub(super) const CELL: &str =
    "c.space, c.key, c.version, c.form, c.value, c.expires, c.owner, c.state, c.due, c.changed";

const STATES: [JobState; 6] =
    [JobState::Ready, JobState::Scheduled, JobState::Held, JobState::Leased, JobState::Dead, JobState::Done];

/// The number of a state in the table.
pub(super) fn number(state: JobState) -> i16 {
    STATES.iter().position(|other| *other == state).map_or(0, |at| at as i16)
}

pub(super) fn state(number: i16) -> Result<JobState, Trouble> {
    let found = usize::try_from(number).ok().and_then(|at| STATES.get(at));
    found.copied().ok_or_else(|| corrupt("the state of a job", number))
}

pub(super) const BURIED: i16 = 0;
pub(super) const EXPIRED: i16 = 1;

fn corrupt(what: &str, value: impl std::fmt::Display) -> Trouble {
    Trouble::Corrupt(format!("{what} is `{value}`"))
}

/// A number that is never negative.
pub(super) fn unsigned(row: &Row, at: usize) -> Result<u64, Trouble> {
    let number: i64 = row.try_get(at)?;
    u64::try_from(number).map_err(|_| corrupt("a count or a version", number))
}

pub(super) fn bytes(row: &Row, at: usize) -> Result<Bytes, Trouble> {
    Ok(row.try_get::<_, Vec<u8>>(at)?.into())
}

fn record(row: &Row, form: usize, value: usize) -> Result<Record, Trouble> {
    let version: i32 = row.try_get(form)?;
    let version = u16::try_from(version).map_err(|_| corrupt("the form of a record", version))?;
    Ok(Record { version, bytes: bytes(row, value)? })
}

fn moment(row: &Row, at: usize) -> Result<Option<Timestamp>, Trouble> {
    Ok(row.try_get::<_, Option<i64>>(at)?.map(Timestamp))
}

/// Reads [`JOB`].
pub(super) fn job(row: &Row) -> Result<Job, Trouble> {
    let attempts: i32 = row.try_get(11)?;
    let dead = match row.try_get::<_, Option<i16>>(18)? {
        None => None,
        Some(BURIED) => Some(DeadCause::Buried),
        Some(EXPIRED) => Some(DeadCause::Expired),
        Some(other) => return Err(corrupt("the cause of a dead job", other)),
    };
    Ok(Job {
        id: JobId(row.try_get(0)?),
        queue: row.try_get(1)?,
        key: row.try_get(2)?,
        priority: row.try_get(3)?,
        state: state(row.try_get(4)?)?,
        run_at: Timestamp(row.try_get(5)?),
        expires: moment(row, 6)?,
        unique: row.try_get(7)?,
        payload: record(row, 8, 9)?,
        headers: bytes(row, 10)?,
        attempts: u32::try_from(attempts).map_err(|_| corrupt("the attempts of a job", attempts))?,
        token: unsigned(row, 12)?,
        leased_until: moment(row, 13)?,
        worker: row.try_get(14)?,
        errors: errors(row.try_get(15)?)?,
        created: Timestamp(row.try_get(16)?),
        changed: Timestamp(row.try_get(17)?),
        dead,
        blocks: row.try_get(19)?,
    })
}

/// Reads [`EVENT`].
pub(super) fn event(row: &Row) -> Result<Event, Trouble> {
    Ok(Event {
        stream: row.try_get(0)?,
        version: unsigned(row, 1)?,
        position: Position::from_number(unsigned(row, 2)?),
        id: row.try_get(3)?,
        kind: row.try_get(4)?,
        data: record(row, 5, 6)?,
        meta: bytes(row, 7)?,
        at: Timestamp(row.try_get(8)?),
    })
}

/// Reads [`CELL`].
pub(super) fn cell(row: &Row) -> Result<Cell, Trouble> {
    Ok(Cell {
        space: row.try_get(0)?,
        key: row.try_get(1)?,
        version: unsigned(row, 2)?,
        value: record(row, 3, 4)?,
        expires: moment(row, 5)?,
        owner: row.try_get(6)?,
        state: row.try_get(7)?,
        due: moment(row, 8)?,
        changed: Timestamp(row.try_get(9)?),
    })
}

/// The history of a job: `[{ "at", "attempt", "worker", "kind", "message" }]`.
pub(super) fn errors(text: &str) -> Result<Vec<JobError>, Trouble> {
    let wrong = || Trouble::Corrupt("the history of a job is not what was written".into());
    let value = Value::from_json(text.as_bytes()).map_err(|_| wrong())?;
    let read = |entry: &Value| {
        let text = |key: &str| entry.get(key)?.as_str().map(str::to_owned);
        Some(JobError {
            at: Timestamp(entry.get("at")?.as_i64()?),
            attempt: u32::try_from(entry.get("attempt")?.as_i64()?).ok()?,
            worker: text("worker")?,
            kind: text("kind")?,
            message: text("message")?,
        })
    };
    value.as_array().ok_or_else(wrong)?.iter().map(|entry| read(entry).ok_or_else(wrong)).collect()
}

/// Writes what [`errors`] reads: the last ones.
pub(super) fn errors_text(errors: &[JobError]) -> String {
    let kept = &errors[errors.len().saturating_sub(MAX_ERRORS)..];
    let entries = kept.iter().map(|error| {
        Value::from([
            ("at", Value::from(error.at.0)),
            ("attempt", Value::from(i64::from(error.attempt))),
            ("worker", error.worker.as_str().into()),
            ("kind", error.kind.as_str().into()),
            ("message", cut(&error.message).into()),
        ])
    });
    Value::from(entries.collect::<Vec<_>>()).to_json()
}

fn cut(message: &str) -> &str {
    &message[..message.floor_char_boundary(MAX_ERROR_BYTES)]
}

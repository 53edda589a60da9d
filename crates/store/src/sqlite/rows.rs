//! How records stand in rows.

use bytes::Bytes;
use renkei_core::{
    clock::Timestamp,
    store::{
        Cell, DeadCause, Event, Job, JobError, JobId, JobState, MAX_ERROR_BYTES, MAX_ERRORS, Position, Record,
    },
};
use rusqlite::{Error, Result, Row, types::Type};
use serde_json::{Value, json};
use uuid::Uuid;

/// The columns of a job, after its queue's name.
pub(super) const JOB: &str = "id, state, holds, key, priority, run_at, expires, uniq, attempts, token, leased_until, worker, \
     errors, created, changed, cause, record, headers, \
     coalesce(payload, (select apart.payload from payloads as apart where apart.seq = jobs.seq))";

pub(super) const EVENT: &str = "position, version, id, kind, record, data, meta, at";

pub(super) const CELL: &str = "space, key, version, record, expires, owner, state, due, changed, value";

pub(super) fn number(state: JobState) -> i64 {
    match state {
        JobState::Ready => 0,
        JobState::Scheduled => 1,
        JobState::Held => 2,
        JobState::Leased => 3,
        JobState::Dead => 4,
        JobState::Done => 5,
    }
}

pub(super) fn state(stored: i64) -> Result<JobState> {
    let found = JobState::ALL.into_iter().find(|state| number(*state) == stored);
    found.ok_or(Error::IntegralValueOutOfRange(1, stored))
}

pub(super) fn cause_number(cause: DeadCause) -> i64 {
    match cause {
        DeadCause::Buried => 0,
        DeadCause::Expired => 1,
    }
}

fn cause(stored: i64) -> Result<DeadCause> {
    let found =
        [DeadCause::Buried, DeadCause::Expired].into_iter().find(|cause| cause_number(*cause) == stored);
    found.ok_or(Error::IntegralValueOutOfRange(15, stored))
}

/// A number that the store gave itself, and that is never negative.
pub(super) fn unsigned(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

pub(super) fn job_id(row: &Row<'_>, column: usize) -> Result<JobId> {
    Ok(JobId(Uuid::from_bytes(row.get(column)?)))
}

/// Of the queue's name and [`JOB`].
pub(super) fn job(row: &Row<'_>) -> Result<Job> {
    let state = state(row.get(2)?)?;
    let (holds, errors): (bool, Option<String>) = (row.get(3)?, row.get(13)?);
    let until: Option<i64> = row.get(11)?;
    Ok(Job {
        queue: row.get(0)?,
        id: job_id(row, 1)?,
        state,
        blocks: holds && state == JobState::Dead,
        key: row.get(4)?,
        priority: row.get(5)?,
        run_at: Timestamp(row.get(6)?),
        expires: row.get::<_, Option<i64>>(7)?.map(Timestamp),
        unique: row.get(8)?,
        attempts: row.get(9)?,
        token: unsigned(row.get(10)?),
        leased_until: until.map(Timestamp),
        worker: row.get(12)?,
        errors: errors.map_or(Ok(Vec::new()), |text| history(&text))?,
        created: Timestamp(row.get(14)?),
        changed: Timestamp(row.get(15)?),
        dead: row.get::<_, Option<i64>>(16)?.map(cause).transpose()?,
        payload: Record { version: row.get(17)?, bytes: bytes(row, 19)? },
        headers: bytes(row, 18)?,
    })
}

/// Of [`EVENT`].
pub(super) fn event(row: &Row<'_>, stream: &str) -> Result<Event> {
    Ok(Event {
        stream: stream.to_owned(),
        position: Position::from_number(unsigned(row.get(0)?)),
        version: unsigned(row.get(1)?),
        id: row.get(2)?,
        kind: row.get(3)?,
        data: Record { version: row.get(4)?, bytes: bytes(row, 5)? },
        meta: bytes(row, 6)?,
        at: Timestamp(row.get(7)?),
    })
}

/// Of [`CELL`].
pub(super) fn cell(row: &Row<'_>) -> Result<Cell> {
    Ok(Cell {
        space: row.get(0)?,
        key: row.get(1)?,
        version: unsigned(row.get(2)?),
        value: Record { version: row.get(3)?, bytes: bytes(row, 9)? },
        expires: row.get::<_, Option<i64>>(4)?.map(Timestamp),
        owner: row.get(5)?,
        state: row.get(6)?,
        due: row.get::<_, Option<i64>>(7)?.map(Timestamp),
        changed: Timestamp(row.get(8)?),
    })
}

fn bytes(row: &Row<'_>, column: usize) -> Result<Bytes> {
    Ok(Bytes::from(row.get::<_, Vec<u8>>(column)?))
}

/// A history with one more error; the oldest ones go.
pub(super) fn with_error(stored: Option<&str>, error: JobError) -> String {
    // What cannot be read any more is lost to people only; the job goes on.
    let mut errors =
        stored.and_then(|text| serde_json::from_str::<Vec<Value>>(text).ok()).unwrap_or_default();
    let message = &error.message[..error.message.floor_char_boundary(MAX_ERROR_BYTES)];
    errors.push(json!({
        "at": error.at.0,
        "attempt": error.attempt,
        "worker": error.worker,
        "kind": error.kind,
        "message": message,
    }));
    let over = errors.len().saturating_sub(MAX_ERRORS);
    errors.drain(..over);
    Value::Array(errors).to_string()
}

fn history(text: &str) -> Result<Vec<JobError>> {
    let stored: Vec<Value> = serde_json::from_str(text)
        .map_err(|why| Error::FromSqlConversionFailure(13, Type::Text, why.into()))?;
    let word = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let read = |value: &Value| JobError {
        at: Timestamp(value["at"].as_i64().unwrap_or_default()),
        attempt: value["attempt"].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or_default(),
        worker: word(value, "worker"),
        kind: word(value, "kind"),
        message: word(value, "message"),
    };
    Ok(stored.iter().map(read).collect())
}

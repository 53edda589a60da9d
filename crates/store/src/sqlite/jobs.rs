//! Changes of jobs that are there: what must hold, and what becomes of them and of the others with their key.

use std::collections::BTreeMap;

use renkei_core::{
    clock::Timestamp,
    store::{DeadCause, JobChange, JobError, JobId, JobState, Lease, OnDead, Refusal, When},
};
use rusqlite::{OptionalExtension, params};

use super::{group::Group, rows};

/// What the batch's own changes make free or take, before its new jobs are looked at.
#[derive(Debug, Default)]
pub(super) struct Freed {
    /// Who has a unique key once the changes are done; nothing where it is free.
    pub(super) unique: BTreeMap<(i64, String), Option<JobId>>,
    /// By how many the unfinished jobs of a queue change, by its name.
    pub(super) length: BTreeMap<String, i64>,
}

/// What a change must know of its job.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) queue: i64,
    pub(super) state: JobState,
    /// It is the one job of its key that the others wait for.
    pub(super) holds: bool,
    pub(super) key: Option<String>,
    pub(super) attempts: u32,
    pub(super) token: i64,
    pub(super) unique: Option<String>,
    pub(super) worker: Option<String>,
    pub(super) errors: Option<String>,
    /// Its payload is in a table of its own.
    pub(super) apart: bool,
}

const COLUMNS: &str = "seq, queue, state, holds, key, attempts, token, uniq, worker, errors, payload is null";

impl Row {
    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Row {
            seq: row.get(0)?,
            queue: row.get(1)?,
            state: rows::state(row.get(2)?)?,
            holds: row.get(3)?,
            key: row.get(4)?,
            attempts: row.get(5)?,
            token: row.get(6)?,
            unique: row.get(7)?,
            worker: row.get(8)?,
            errors: row.get(9)?,
            apart: row.get(10)?,
        })
    }
}

impl Group<'_> {
    pub(super) fn job_row(&self, id: JobId) -> rusqlite::Result<Option<Row>> {
        let sql = format!("select {COLUMNS} from jobs where id = ?1");
        self.connection.prepare_cached(&sql)?.query_row([id.0.as_bytes()], Row::read).optional()
    }

    pub(super) fn job_row_at(&self, seq: i64) -> rusqlite::Result<Row> {
        let sql = format!("select {COLUMNS} from jobs where seq = ?1");
        self.connection.prepare_cached(&sql)?.query_row([seq], Row::read)
    }

    pub(super) fn check_held(&self, lease: Lease) -> rusqlite::Result<Option<Refusal>> {
        Ok(lost(lease, self.job_row(lease.job)?.as_ref()))
    }

    pub(super) fn check_change(
        &mut self,
        change: &JobChange,
        freed: &mut Freed,
    ) -> rusqlite::Result<Option<Refusal>> {
        let id = change.job();
        let row = self.job_row(id)?;
        if let Some(refusal) = change.lease().and_then(|lease| lost(lease, row.as_ref())) {
            return Ok(Some(refusal));
        }
        let Some(row) = row else { return Ok(Some(Refusal::JobState { job: id, state: None })) };
        if !change.fits(row.state) {
            return Ok(Some(Refusal::JobState { job: id, state: Some(row.state) }));
        }
        match change {
            JobChange::Finish { .. } | JobChange::Bury { .. } | JobChange::Discard { .. }
                if row.state.is_unfinished() =>
            {
                *freed.length.entry(self.queue_name(row.queue)?).or_default() -= 1;
                row.unique.map(|unique| freed.unique.insert((row.queue, unique), None));
            }
            JobChange::Replay { .. } => {
                if let Some(unique) = row.unique {
                    let place = (row.queue, unique);
                    if let Some(holder) = self.unique_holder(&place, freed)? {
                        let (queue, unique) = (self.queue_name(row.queue)?, place.1);
                        return Ok(Some(Refusal::UniqueTaken { queue, unique, holder }));
                    }
                    freed.unique.insert(place, Some(id));
                }
                *freed.length.entry(self.queue_name(row.queue)?).or_default() += 1;
            }
            _ => {}
        }
        Ok(None)
    }

    /// The unfinished job that has the unique key, once the batch's changes are done.
    pub(super) fn unique_holder(
        &self,
        place: &(i64, String),
        freed: &Freed,
    ) -> rusqlite::Result<Option<JobId>> {
        if let Some(known) = freed.unique.get(place) {
            return Ok(*known);
        }
        let mut statement = self.connection.prepare_cached(
            "select id from jobs where queue = ?1 and uniq = ?2 and uniq is not null and state <= 3",
        )?;
        statement.query_row(params![place.0, place.1], |row| rows::job_id(row, 0)).optional()
    }

    pub(super) fn change(&mut self, change: &JobChange) -> rusqlite::Result<()> {
        let row = self.job_row(change.job())?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        match change {
            JobChange::Finish { keep_until: Some(until), .. } => self.keep(&row, *until),
            JobChange::Finish { keep_until: None, .. } | JobChange::Discard { .. } => self.remove(&row),
            JobChange::Retry { run_at, error, .. } => self.again(&row, *run_at, row.attempts, Some(error)),
            JobChange::Release { run_at, .. } => {
                self.again(&row, *run_at, row.attempts.saturating_sub(1), None)
            }
            JobChange::Bury { error, on_dead, .. } => {
                self.bury(&row, DeadCause::Buried, *on_dead, Some(error))
            }
            JobChange::Extend { lease_for, .. } => {
                let until = self.now.after(*lease_for);
                self.connection
                    .prepare_cached("update jobs set leased_until = ?2 where seq = ?1")?
                    .execute([row.seq, until.0])?;
                Ok(())
            }
            JobChange::Reschedule { run_at, .. } => self.reschedule(&row, *run_at),
            JobChange::Replay { run_at, .. } => self.replay(&row, *run_at),
            JobChange::Unblock { .. } => self.unblock(&row),
        }
    }

    fn keep(&mut self, row: &Row, until: When) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "update jobs set state = 5, holds = 0, leased_until = null, keep_until = ?2, changed = ?3 where seq = ?1",
            )?
            .execute([row.seq, until.resolve(self.now).0, self.now.0])?;
        self.count(row.queue, Some(row.state), Some(JobState::Done))?;
        self.let_go(row)
    }

    pub(super) fn remove(&mut self, row: &Row) -> rusqlite::Result<()> {
        self.connection.prepare_cached("delete from jobs where seq = ?1")?.execute([row.seq])?;
        if row.apart {
            self.delete_payload(row.seq)?;
        }
        self.count(row.queue, Some(row.state), None)?;
        self.let_go(row)
    }

    /// Back among those that wait; a head stays the head of its key.
    pub(super) fn again(
        &mut self,
        row: &Row,
        run_at: When,
        attempts: u32,
        error: Option<&JobError>,
    ) -> rusqlite::Result<()> {
        let run_at = run_at.resolve(self.now);
        let state = self.due_state(run_at);
        let errors = error.map_or_else(|| row.errors.clone(), |error| Some(self.history(row, error)));
        self.connection
            .prepare_cached(
                "update jobs set state = ?2, run_at = ?3, attempts = ?4, errors = ?5, leased_until = null, changed = ?6 \
                 where seq = ?1",
            )?
            .execute(params![row.seq, rows::number(state), run_at.0, attempts, errors, self.now.0])?;
        self.count(row.queue, Some(row.state), Some(state))
    }

    pub(super) fn bury(
        &mut self,
        row: &Row,
        cause: DeadCause,
        on_dead: OnDead,
        error: Option<&JobError>,
    ) -> rusqlite::Result<()> {
        let holds = row.holds && on_dead == OnDead::Block;
        let errors = error.map_or_else(|| row.errors.clone(), |error| Some(self.history(row, error)));
        self.connection
            .prepare_cached(
                "update jobs set state = 4, holds = ?2, errors = ?3, cause = ?4, leased_until = null, changed = ?5 \
                 where seq = ?1",
            )?
            .execute(params![row.seq, holds, errors, rows::cause_number(cause), self.now.0])?;
        self.count(row.queue, Some(row.state), Some(JobState::Dead))?;
        if holds { Ok(()) } else { self.let_go(row) }
    }

    fn reschedule(&mut self, row: &Row, run_at: When) -> rusqlite::Result<()> {
        let run_at = run_at.resolve(self.now);
        let state = if row.state == JobState::Held { JobState::Held } else { self.due_state(run_at) };
        self.connection
            .prepare_cached("update jobs set state = ?2, run_at = ?3, changed = ?4 where seq = ?1")?
            .execute([row.seq, rows::number(state), run_at.0, self.now.0])?;
        self.count(row.queue, Some(row.state), Some(state))
    }

    fn replay(&mut self, row: &Row, run_at: When) -> rusqlite::Result<()> {
        let run_at = run_at.resolve(self.now);
        let waits = match &row.key {
            Some(key) if !row.holds => self.has_head(row.queue, key)?,
            _ => false,
        };
        let state = if waits { JobState::Held } else { self.due_state(run_at) };
        let holds = row.key.is_some() && !waits;
        self.connection
            .prepare_cached(
                "update jobs set state = ?2, holds = ?3, run_at = ?4, attempts = 0, cause = null, expires = null, changed = ?5 \
                 where seq = ?1",
            )?
            .execute(params![row.seq, rows::number(state), holds, run_at.0, self.now.0])?;
        self.count(row.queue, Some(row.state), Some(state))
    }

    fn unblock(&mut self, row: &Row) -> rusqlite::Result<()> {
        self.connection.prepare_cached("update jobs set holds = 0 where seq = ?1")?.execute([row.seq])?;
        self.let_go(row)
    }

    /// The next one with its key becomes the head.
    fn let_go(&mut self, row: &Row) -> rusqlite::Result<()> {
        let Some(key) = row.key.as_ref().filter(|_| row.holds) else { return Ok(()) };
        let mut statement = self.connection.prepare_cached(
            "select seq, run_at from jobs where queue = ?1 and key = ?2 and state = 2 order by seq limit 1",
        )?;
        let next = statement.query_row(params![row.queue, key], |row| Ok((row.get(0)?, row.get(1)?)));
        let Some((seq, run_at)) = next.optional()? else { return Ok(()) };
        let state = self.due_state(Timestamp(run_at));
        self.connection
            .prepare_cached("update jobs set state = ?2, holds = 1, changed = ?3 where seq = ?1")?
            .execute([seq, rows::number(state), self.now.0])?;
        self.count(row.queue, Some(JobState::Held), Some(state))
    }

    pub(super) fn has_head(&self, queue: i64, key: &str) -> rusqlite::Result<bool> {
        let mut statement = self
            .connection
            .prepare_cached("select 1 from jobs where queue = ?1 and key = ?2 and holds = 1")?;
        statement.exists(params![queue, key])
    }

    pub(super) fn due_state(&self, run_at: Timestamp) -> JobState {
        if run_at <= self.now { JobState::Ready } else { JobState::Scheduled }
    }

    fn history(&self, row: &Row, error: &JobError) -> String {
        let worker = row.worker.clone().unwrap_or_default();
        let error = JobError { at: self.now, attempt: row.attempts, worker, ..error.clone() };
        rows::with_error(row.errors.as_deref(), error)
    }
}

fn lost(lease: Lease, row: Option<&Row>) -> Option<Refusal> {
    let held = row.is_some_and(|row| {
        row.state == JobState::Leased && i64::try_from(lease.token).is_ok_and(|token| token == row.token)
    });
    (!held).then(|| Refusal::LeaseLost { lease, state: row.map(|row| row.state) })
}

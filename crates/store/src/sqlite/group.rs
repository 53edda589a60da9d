//! One transaction for many batches, and what one batch does in it.

use std::collections::{BTreeMap, BTreeSet};

use renkei_core::{
    clock::Timestamp,
    store::{Batch, Check, JobState, Receipt, Refusal, Verdict},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{jobs::Freed, rows};

/// What is remembered while a group lasts. All of it is thrown away when the group is rolled back.
pub(super) struct Group<'c> {
    pub(super) connection: &'c Connection,
    pub(super) now: Timestamp,
    pub(super) hints: Hints,
    counters: Counters,
    counters_before: Counters,
    queues: BTreeMap<i64, Queue>,
    names: BTreeMap<String, i64>,
}

/// What has changed, for those who wait.
#[derive(Debug, Default)]
pub(super) struct Hints {
    pub(super) queues: BTreeSet<String>,
    /// The log has grown to this position.
    pub(super) log: Option<i64>,
    pub(super) cells: Vec<(String, String)>,
}

/// The last numbers that were given. Read once a group: another process may have given some in between.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Counters {
    position: i64,
    version: i64,
    seq: i64,
}

struct Queue {
    name: String,
    /// By the number of the state.
    counts: [i64; JobState::ALL.len()],
    changed: bool,
}

impl<'c> Group<'c> {
    /// The transaction has begun.
    pub(super) fn begin(connection: &'c Connection, now: Timestamp) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare_cached("select position, version, seq from counters")?;
        let counters = statement.query_row([], |row| {
            Ok(Counters { position: row.get(0)?, version: row.get(1)?, seq: row.get(2)? })
        })?;
        Ok(Group {
            connection,
            now,
            hints: Hints::default(),
            counters,
            counters_before: counters,
            queues: BTreeMap::new(),
            names: BTreeMap::new(),
        })
    }

    /// Writes down what was counted. The transaction is committed after it.
    pub(super) fn end(mut self) -> rusqlite::Result<Hints> {
        if self.counters != self.counters_before {
            let Counters { position, version, seq } = self.counters;
            self.connection
                .prepare_cached("update counters set position = ?1, version = ?2, seq = ?3")?
                .execute([position, version, seq])?;
        }
        self.write_counts()?;
        Ok(self.hints)
    }

    fn write_counts(&mut self) -> rusqlite::Result<()> {
        for (id, queue) in self.queues.iter_mut().filter(|(_, queue)| queue.changed) {
            let [ready, scheduled, held, leased, dead, done] = queue.counts;
            self.connection
                .prepare_cached(
                    "update queues set ready = ?2, scheduled = ?3, held = ?4, leased = ?5, dead = ?6, done = ?7 \
                     where queue = ?1",
                )?
                .execute([*id, ready, scheduled, held, leased, dead, done])?;
            queue.changed = false;
        }
        Ok(())
    }

    /// Does the batch, or finds out why not. Nothing is written before everything is checked.
    pub(super) fn commit(&mut self, batch: &Batch) -> rusqlite::Result<Verdict> {
        if let Some(refusal) = self.refusal(batch)? {
            return Ok(Verdict::Refused(refusal));
        }
        let mut receipt = Receipt { at: self.now, ..Receipt::default() };
        for append in &batch.appends {
            receipt.appends.push(self.append(append)?);
        }
        for change in &batch.jobs {
            self.change(change)?;
        }
        for job in &batch.enqueues {
            receipt.enqueues.push(self.enqueue(job)?);
        }
        for write in &batch.cells {
            receipt.cells.push(self.write_cell(write)?);
        }
        for trim in &batch.trims {
            self.trim(trim)?;
        }
        Ok(Verdict::Done(receipt))
    }

    fn refusal(&mut self, batch: &Batch) -> rusqlite::Result<Option<Refusal>> {
        for check in &batch.checks {
            let refusal = match check {
                Check::Held(lease) => self.check_held(*lease)?,
                Check::Stream { stream, expected } => self.check_stream(stream, *expected)?,
                Check::Cell { space, key, expected } => self.check_cell(space, key, *expected)?,
            };
            if refusal.is_some() {
                return Ok(refusal);
            }
        }
        for append in &batch.appends {
            if let Some(refusal) = self.check_append(append)? {
                return Ok(Some(refusal));
            }
        }
        let mut freed = Freed::default();
        for change in &batch.jobs {
            if let Some(refusal) = self.check_change(change, &mut freed)? {
                return Ok(Some(refusal));
            }
        }
        for job in &batch.enqueues {
            if let Some(refusal) = self.check_enqueue(job, &mut freed)? {
                return Ok(Some(refusal));
            }
        }
        for write in &batch.cells {
            if let Some(refusal) = self.check_cell(&write.space, &write.key, write.expected)? {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }

    pub(super) fn next_position(&mut self) -> i64 {
        self.counters.position += 1;
        self.counters.position
    }

    pub(super) fn next_version(&mut self) -> i64 {
        self.counters.version += 1;
        self.counters.version
    }

    pub(super) fn next_seq(&mut self) -> i64 {
        self.counters.seq += 1;
        self.counters.seq
    }

    /// The number of a queue, if it has one.
    pub(super) fn queue(&mut self, name: &str) -> rusqlite::Result<Option<i64>> {
        if let Some(id) = self.names.get(name) {
            return Ok(Some(*id));
        }
        let mut statement = self.connection.prepare_cached(
            "select queue, name, ready, scheduled, held, leased, dead, done from queues where name = ?1",
        )?;
        let found = statement.query_row([name], Queue::read).optional()?;
        Ok(found.map(|(id, queue)| self.remember(id, queue)))
    }

    /// The number of a queue, which it gets now if it has none.
    pub(super) fn queue_or_new(&mut self, name: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.queue(name)? {
            return Ok(id);
        }
        self.connection.prepare_cached("insert into queues (name) values (?1)")?.execute([name])?;
        let id = self.connection.last_insert_rowid();
        Ok(self.remember(id, Queue { name: name.to_owned(), counts: [0; 6], changed: false }))
    }

    /// A queue without jobs is none.
    pub(super) fn drop_empty_queues(&mut self) -> rusqlite::Result<()> {
        self.write_counts()?;
        self.queues.clear();
        self.names.clear();
        let sql = "delete from queues where ready + scheduled + held + leased + dead + done = 0 \
             and not exists (select 1 from jobs where jobs.queue = queues.queue)";
        self.connection.execute(sql, [])?;
        Ok(())
    }

    fn remember(&mut self, id: i64, queue: Queue) -> i64 {
        self.names.insert(queue.name.clone(), id);
        self.queues.insert(id, queue);
        id
    }

    fn queue_by_id(&mut self, id: i64) -> rusqlite::Result<&mut Queue> {
        if !self.queues.contains_key(&id) {
            let mut statement = self.connection.prepare_cached(
                "select queue, name, ready, scheduled, held, leased, dead, done from queues where queue = ?1",
            )?;
            let (id, queue) = statement.query_row([id], Queue::read)?;
            self.remember(id, queue);
        }
        self.queues.get_mut(&id).ok_or(rusqlite::Error::QueryReturnedNoRows)
    }

    pub(super) fn queue_name(&mut self, id: i64) -> rusqlite::Result<String> {
        Ok(self.queue_by_id(id)?.name.clone())
    }

    /// Waiting or under way.
    pub(super) fn unfinished(&mut self, id: i64) -> rusqlite::Result<i64> {
        let counts = self.queue_by_id(id)?.counts;
        let of = |state| counts[rows::number(state) as usize];
        Ok(JobState::ALL.into_iter().filter(|state| state.is_unfinished()).map(of).sum())
    }

    /// Counts a job that goes from one state to another; nothing stands for "not there".
    pub(super) fn count(
        &mut self,
        queue: i64,
        from: Option<JobState>,
        to: Option<JobState>,
    ) -> rusqlite::Result<()> {
        let entry = self.queue_by_id(queue)?;
        if let Some(from) = from {
            entry.counts[rows::number(from) as usize] -= 1;
        }
        if let Some(to) = to {
            entry.counts[rows::number(to) as usize] += 1;
        }
        entry.changed = true;
        if matches!(to, Some(JobState::Ready | JobState::Scheduled)) {
            let name = entry.name.clone();
            self.hints.queues.insert(name);
        }
        Ok(())
    }

    /// The payload that stands beside its job.
    pub(super) fn delete_payload(&self, seq: i64) -> rusqlite::Result<()> {
        self.connection.prepare_cached("delete from payloads where seq = ?1")?.execute(params![seq])?;
        Ok(())
    }
}

impl Queue {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, Self)> {
        let mut counts = [0; 6];
        for (index, count) in counts.iter_mut().enumerate() {
            *count = row.get(index + 2)?;
        }
        Ok((row.get(0)?, Queue { name: row.get(1)?, counts, changed: false }))
    }
}

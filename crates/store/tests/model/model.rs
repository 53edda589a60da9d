//! What a store is, without a disk, a thread or an index: lists, walked from end to end.
//!
//! A batch is done part by part on a copy; the copy is kept if no part was refused.

use std::{collections::BTreeMap, time::Duration};

use renkei_core::{
    clock::Timestamp,
    store::{
        Append, Appended, Batch, CellExpected, Check, Claim, Enqueued, Expected, JobChange, JobId, JobState,
        Lease, NewJob, OnDead, OnTaken, Position, QueueCounts, Receipt, Refusal, TrimTo, Verdict,
    },
};

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// In the order of commits.
    log: Vec<(String, u64, String)>,
    /// The last version of each.
    streams: BTreeMap<String, u64>,
    /// In the order in which they were enqueued.
    jobs: Vec<ModelJob>,
    cells: BTreeMap<String, (u64, Option<Timestamp>)>,
    versions: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct ModelJob {
    pub(crate) new: NewJob,
    pub(crate) state: JobState,
    pub(crate) attempts: u32,
    pub(crate) token: u64,
    pub(crate) run_at: Timestamp,
    pub(crate) errors: usize,
    expires: Option<Timestamp>,
    leased_until: Timestamp,
    changed: Timestamp,
    keep_until: Timestamp,
    /// It is the one its key waits for.
    head: bool,
}

impl ModelJob {
    pub(crate) fn blocks(&self) -> bool {
        self.head && self.state == JobState::Dead
    }

    fn unique(&self) -> Option<&str> {
        self.new.unique.as_ref().map(|unique| unique.key.as_str())
    }
}

fn due(run_at: Timestamp, now: Timestamp) -> JobState {
    if run_at <= now { JobState::Ready } else { JobState::Scheduled }
}

impl Model {
    pub(crate) fn commit(&mut self, batch: &Batch, now: Timestamp) -> Verdict {
        let mut after = self.clone();
        match after.parts(batch, now) {
            Ok(receipt) => {
                *self = after;
                Verdict::Done(receipt)
            }
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    fn parts(&mut self, batch: &Batch, now: Timestamp) -> Result<Receipt, Refusal> {
        let mut receipt = Receipt { at: now, ..Receipt::default() };
        for check in &batch.checks {
            match check {
                Check::Held(lease) => {
                    self.held(*lease)?;
                }
                Check::Stream { stream, expected } => self.expect(stream, *expected)?,
                Check::Cell { key, expected, .. } => self.expect_cell(key, *expected, now)?,
            }
        }
        for append in &batch.appends {
            receipt.appends.push(self.append(append)?);
        }
        for change in &batch.jobs {
            self.change(change, now)?;
        }
        for job in &batch.enqueues {
            receipt.enqueues.push(self.enqueue(job, now)?);
        }
        for write in &batch.cells {
            self.expect_cell(&write.key, write.expected, now)?;
            receipt.cells.push(write.value.as_ref().map(|cell| {
                self.versions += 1;
                let expires = cell.expires.map(|expires| expires.resolve(now));
                self.cells.insert(write.key.clone(), (self.versions, expires));
                self.versions
            }));
            if write.value.is_none() {
                self.cells.remove(&write.key);
            }
        }
        for trim in &batch.trims {
            let first = match trim.to {
                TrimTo::Version(first) => first,
                TrimTo::Forgotten => {
                    self.streams.remove(&trim.stream);
                    u64::MAX
                }
            };
            self.log.retain(|(stream, version, _)| *stream != trim.stream || *version >= first);
        }
        Ok(receipt)
    }

    fn expect(&self, stream: &str, expected: Expected) -> Result<(), Refusal> {
        let actual = self.last(stream);
        if expected.holds(actual) {
            Ok(())
        } else {
            Err(Refusal::Stream { stream: stream.into(), expected, actual })
        }
    }

    fn append(&mut self, append: &Append) -> Result<Appended, Refusal> {
        for event in &append.events {
            let known = self.log.iter().find(|(stream, _, id)| *stream == append.stream && *id == event.id);
            if let Some((stream, version, id)) = known {
                return Err(Refusal::EventExists {
                    stream: stream.clone(),
                    id: id.clone(),
                    version: *version,
                    same: true,
                });
            }
        }
        self.expect(&append.stream, append.expected)?;
        let version = self.streams.entry(append.stream.clone()).or_default();
        for event in &append.events {
            *version += 1;
            self.log.push((append.stream.clone(), *version, event.id.clone()));
        }
        Ok(Appended { version: *version, position: Position::START })
    }

    fn held(&self, lease: Lease) -> Result<usize, Refusal> {
        let index = self.jobs.iter().position(|job| job.new.id == lease.job);
        let state = index.map(|index| self.jobs[index].state);
        index
            .filter(|index| state == Some(JobState::Leased) && self.jobs[*index].token == lease.token)
            .ok_or(Refusal::LeaseLost { lease, state })
    }

    fn change(&mut self, change: &JobChange, now: Timestamp) -> Result<(), Refusal> {
        let index = match change.lease() {
            Some(lease) => self.held(lease)?,
            None => {
                let index = self.jobs.iter().position(|job| job.new.id == change.job());
                let state = index.map(|index| self.jobs[index].state);
                index
                    .filter(|_| state.is_some_and(|state| change.fits(state)))
                    .ok_or(Refusal::JobState { job: change.job(), state })?
            }
        };
        let before = self.jobs[index].clone();
        let job = &mut self.jobs[index];
        if !matches!(change, JobChange::Extend { .. } | JobChange::Unblock { .. }) {
            job.changed = now;
        }
        match change {
            JobChange::Finish { keep_until: Some(until), .. } => {
                (job.state, job.keep_until, job.head) = (JobState::Done, until.resolve(now), false);
            }
            JobChange::Finish { keep_until: None, .. } | JobChange::Discard { .. } => {
                drop(self.jobs.remove(index))
            }
            JobChange::Retry { run_at, .. } => {
                job.run_at = run_at.resolve(now);
                (job.state, job.errors) = (due(job.run_at, now), job.errors + 1);
            }
            JobChange::Release { run_at, .. } => {
                job.run_at = run_at.resolve(now);
                (job.state, job.attempts) = (due(job.run_at, now), job.attempts.saturating_sub(1));
            }
            JobChange::Bury { on_dead, .. } => {
                (job.state, job.errors) = (JobState::Dead, job.errors + 1);
                job.head &= *on_dead == OnDead::Block;
            }
            JobChange::Extend { lease_for, .. } => job.leased_until = now.after(*lease_for),
            JobChange::Reschedule { run_at, .. } => {
                job.run_at = run_at.resolve(now);
                if job.state != JobState::Held {
                    job.state = due(job.run_at, now);
                }
            }
            JobChange::Unblock { .. } => job.head = false,
            JobChange::Replay { run_at, .. } => return self.replay(index, run_at.resolve(now), now),
        }
        self.let_go(&before, now);
        Ok(())
    }

    fn replay(&mut self, index: usize, run_at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        let job = self.jobs[index].clone();
        if let Some(holder) = self.holder(&job.new.queue, job.unique()) {
            let unique = job.unique().unwrap_or_default().to_owned();
            return Err(Refusal::UniqueTaken { queue: job.new.queue, unique, holder });
        }
        let waits = !job.head && self.has_head(&job.new);
        let job = &mut self.jobs[index];
        (job.run_at, job.attempts, job.expires, job.changed) = (run_at, 0, None, now);
        job.state = if waits { JobState::Held } else { due(run_at, now) };
        job.head = job.new.key.is_some() && !waits;
        Ok(())
    }

    /// If the key of this job, as it was, has no head now, the next one is it.
    fn let_go(&mut self, before: &ModelJob, now: Timestamp) {
        if !before.head || self.has_head(&before.new) {
            return;
        }
        let same = |job: &&mut ModelJob| job.new.queue == before.new.queue && job.new.key == before.new.key;
        if let Some(next) = self.jobs.iter_mut().filter(same).find(|job| job.state == JobState::Held) {
            (next.state, next.head, next.changed) = (due(next.run_at, now), true, now);
        }
    }

    fn has_head(&self, like: &NewJob) -> bool {
        like.key.is_some()
            && self.jobs.iter().any(|job| job.head && job.new.queue == like.queue && job.new.key == like.key)
    }

    fn holder(&self, queue: &str, unique: Option<&str>) -> Option<JobId> {
        let holds =
            |job: &&ModelJob| job.new.queue == queue && job.unique() == unique && job.state.is_unfinished();
        unique.and_then(|_| self.jobs.iter().find(holds)).map(|job| job.new.id)
    }

    fn enqueue(&mut self, new: &NewJob, now: Timestamp) -> Result<Enqueued, Refusal> {
        if self.jobs.iter().any(|job| job.new.id == new.id) {
            return Err(Refusal::JobExists { job: new.id });
        }
        if let Some(unique) = &new.unique
            && let Some(holder) = self.holder(&new.queue, Some(&unique.key))
        {
            if unique.on_taken == OnTaken::Join {
                return Ok(Enqueued::Joined(holder));
            }
            return Err(Refusal::UniqueTaken {
                queue: new.queue.clone(),
                unique: unique.key.clone(),
                holder,
            });
        }
        let unfinished = |job: &&ModelJob| job.new.queue == new.queue && job.state.is_unfinished();
        let length = self.jobs.iter().filter(unfinished).count() as u64 + 1;
        if let Some(max) = new.max_length.filter(|max| length > *max) {
            return Err(Refusal::QueueFull { queue: new.queue.clone(), length, max });
        }
        let run_at = new.run_at.resolve(now);
        let waits = self.has_head(new);
        self.jobs.push(ModelJob {
            state: if waits { JobState::Held } else { due(run_at, now) },
            head: new.key.is_some() && !waits,
            attempts: 0,
            token: 0,
            run_at,
            errors: 0,
            expires: new.expires.map(|expires| expires.resolve(now)),
            leased_until: Timestamp::NEVER,
            changed: now,
            keep_until: Timestamp::NEVER,
            new: new.clone(),
        });
        Ok(Enqueued::New(new.id))
    }

    /// Id, token and attempts of those that were claimed; how many leases had ended, how many had waited too long.
    pub(crate) fn claim(&mut self, claim: &Claim, now: Timestamp) -> (Vec<(JobId, u64, u32)>, u64, u64) {
        let (mut ended, mut expired) = (0, 0);
        for job in self.jobs.iter_mut().filter(|job| job.new.queue == claim.queue) {
            if job.state == JobState::Leased && job.leased_until <= now {
                (job.state, job.run_at, job.changed, job.errors) =
                    (JobState::Ready, now, now, job.errors + 1);
                ended += 1;
            }
        }
        let late = |job: &ModelJob| {
            job.new.queue == claim.queue
                && job.state.is_waiting()
                && job.expires.is_some_and(|expires| expires <= now)
        };
        while let Some(index) = self.jobs.iter().position(late) {
            let before = self.jobs[index].clone();
            let job = &mut self.jobs[index];
            (job.state, job.head, job.changed) = (JobState::Dead, false, now);
            self.let_go(&before, now);
            expired += 1;
        }
        for job in self.jobs.iter_mut().filter(|job| job.new.queue == claim.queue) {
            if job.state == JobState::Scheduled && job.run_at <= now {
                (job.state, job.changed) = (JobState::Ready, now);
            }
        }
        let mut ready: Vec<&mut ModelJob> = self
            .jobs
            .iter_mut()
            .filter(|job| job.new.queue == claim.queue && job.state == JobState::Ready)
            .collect();
        // Stable: among equals the order of the list.
        ready.sort_by_key(|job| -job.new.priority);
        let claimed = ready.into_iter().take(claim.max).map(|job| {
            (job.state, job.token, job.attempts) = (JobState::Leased, job.token + 1, job.attempts + 1);
            (job.leased_until, job.changed) = (now.after(claim.lease_for), now);
            (job.new.id, job.token, job.attempts)
        });
        (claimed.collect(), ended, expired)
    }

    pub(crate) fn prune(&mut self, dead: Duration, now: Timestamp) {
        self.cells.retain(|_, (_, expires)| expires.is_none_or(|expires| expires > now));
        let gone = |job: &ModelJob| match job.state {
            JobState::Done => job.keep_until <= now,
            JobState::Dead => job.changed <= now.before(dead),
            _ => false,
        };
        while let Some(index) = self.jobs.iter().position(gone) {
            let job = self.jobs.remove(index);
            self.let_go(&job, now);
        }
    }

    pub(crate) fn last(&self, stream: &str) -> u64 {
        self.streams.get(stream).copied().unwrap_or(0)
    }

    fn expect_cell(&self, key: &str, expected: CellExpected, now: Timestamp) -> Result<(), Refusal> {
        let there = self.cells.get(key).filter(|(_, expires)| expires.is_none_or(|expires| expires > now));
        let actual = there.map(|(version, _)| *version);
        let refusal =
            || Refusal::Cell { space: crate::steps::SPACE.into(), key: key.into(), expected, actual };
        if expected.holds(actual) { Ok(()) } else { Err(refusal()) }
    }

    pub(crate) fn cell_version(&self, key: &str) -> u64 {
        self.cells.get(key).map_or(1, |(version, _)| *version)
    }

    pub(crate) fn cells(&self, now: Timestamp) -> Vec<(String, u64)> {
        let there = self.cells.iter().filter(|(_, (_, expires))| expires.is_none_or(|expires| expires > now));
        there.map(|(key, (version, _))| (key.clone(), *version)).collect()
    }

    pub(crate) fn events(&self) -> Vec<(String, u64, String)> {
        self.log.clone()
    }

    pub(crate) fn jobs(&self) -> &[ModelJob] {
        &self.jobs
    }

    pub(crate) fn counts(&self) -> Vec<QueueCounts> {
        let mut counts: BTreeMap<&str, QueueCounts> = BTreeMap::new();
        for job in &self.jobs {
            let queue = &job.new.queue;
            let of = counts
                .entry(queue)
                .or_insert_with(|| QueueCounts { queue: queue.clone(), ..QueueCounts::default() });
            match job.state {
                JobState::Ready => of.ready += 1,
                JobState::Scheduled => of.scheduled += 1,
                JobState::Held => of.held += 1,
                JobState::Leased => of.leased += 1,
                JobState::Dead => of.dead += 1,
                JobState::Done => of.done += 1,
            }
        }
        counts.into_values().collect()
    }
}

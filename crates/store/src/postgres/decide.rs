//! What becomes of each batch of a group, and what is to be written: no I/O, so that it can be read in one go.

use std::collections::{BTreeMap, BTreeSet};

use renkei_core::{
    clock::Timestamp,
    store::{
        Append, Appended, Batch, Check, Enqueued, Expected, JobChange, JobError, JobId, JobState, Lease,
        NewCell, NewEvent, NewJob, OnDead, OnTaken, Position, Receipt, Refusal, TrimTo, Verdict,
    },
};

use super::{
    load::{JobRow, Known, Loaded, Stream},
    rows,
};

/// What a group writes.
#[derive(Debug, Default)]
pub(super) struct Writes<'b> {
    pub(super) new_streams: Vec<&'b str>,
    pub(super) events: Vec<NewEventRow<'b>>,
    pub(super) new_jobs: Vec<NewJobRow<'b>>,
    pub(super) jobs: Vec<JobRow>,
    pub(super) gone: Vec<JobId>,
    pub(super) cells: Vec<NewCellRow<'b>>,
    pub(super) gone_cells: Vec<(&'b str, &'b str)>,
    pub(super) trims: Vec<TrimRow<'b>>,
    /// By queue: how many jobs more in each state, in the order of [`rows::number`].
    pub(super) counts: BTreeMap<String, [i64; 6]>,
    /// Keys whose head may have gone.
    pub(super) keys: BTreeSet<(String, String)>,
}

#[derive(Debug)]
pub(super) struct NewEventRow<'b> {
    pub(super) position: u64,
    pub(super) stream: &'b str,
    pub(super) version: u64,
    pub(super) event: &'b NewEvent,
}

#[derive(Debug)]
pub(super) struct NewJobRow<'b> {
    pub(super) job: &'b NewJob,
    pub(super) place: i64,
    pub(super) state: JobState,
    pub(super) run_at: Timestamp,
    pub(super) expires: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) struct NewCellRow<'b> {
    pub(super) space: &'b str,
    pub(super) key: &'b str,
    pub(super) version: i64,
    pub(super) cell: &'b NewCell,
}

#[derive(Debug)]
pub(super) struct TrimRow<'b> {
    pub(super) stream: &'b str,
    /// The first version that stays; nothing to forget the stream.
    pub(super) first: Option<u64>,
}

impl Writes<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.new_jobs.is_empty()
            && self.jobs.is_empty()
            && self.gone.is_empty()
            && self.cells.is_empty()
            && self.gone_cells.is_empty()
            && self.trims.is_empty()
    }

    fn count(&mut self, queue: &str, state: JobState, more: i64) {
        let counts = match self.counts.get_mut(queue) {
            Some(counts) => counts,
            None => self.counts.entry(queue.to_owned()).or_default(),
        };
        counts[rows::number(state) as usize] += more;
    }
}

/// The state of a job that waits for nothing but its time.
pub(super) fn waiting(run_at: Timestamp, now: Timestamp) -> JobState {
    if run_at > now { JobState::Scheduled } else { JobState::Ready }
}

/// Decides one batch: all that must hold first, then what is written.
pub(super) fn decide<'b>(
    batch: &'b Batch,
    loaded: &mut Loaded,
    writes: &mut Writes<'b>,
    now: Timestamp,
) -> Verdict {
    match refusal(batch, loaded) {
        Some(refusal) => Verdict::Refused(refusal),
        None => Verdict::Done(apply(batch, loaded, writes, now)),
    }
}

fn refusal(batch: &Batch, loaded: &Loaded) -> Option<Refusal> {
    let checks = batch.checks.iter().map(|check| check_refusal(check, loaded));
    let appends = batch.appends.iter().map(|append| append_refusal(append, loaded));
    let jobs = batch.jobs.iter().map(|change| change_refusal(change, loaded));
    let mut ahead = Ahead::of(batch, loaded);
    let enqueues = batch.enqueues.iter().map(|job| enqueue_refusal(job, &mut ahead, loaded));
    let cells = batch.cells.iter().map(|cell| cell_refusal(&cell.space, &cell.key, cell.expected, loaded));
    checks.chain(appends).chain(jobs).chain(enqueues).chain(cells).flatten().next()
}

/// What the changes of a batch's jobs mean for its new ones.
#[derive(Default)]
struct Ahead<'b> {
    /// Unique keys that are free then, or that a replayed job has.
    uniques: BTreeMap<(&'b str, &'b str), Option<JobId>>,
    /// By queue: unfinished jobs more.
    more: BTreeMap<&'b str, i64>,
}

impl<'b> Ahead<'b> {
    fn of(batch: &'b Batch, loaded: &'b Loaded) -> Self {
        let mut ahead = Ahead::default();
        for change in &batch.jobs {
            let Some(before) = loaded.jobs.get(&change.job()) else { continue };
            let mut after = before.clone();
            // The moment does not matter here: waiting is waiting.
            let unfinished = changed(&mut after, change, Timestamp::default()) && after.state.is_unfinished();
            if let Some(unique) =
                before.unique.as_deref().filter(|_| before.state.is_unfinished() != unfinished)
            {
                ahead.uniques.insert((&before.queue, unique), unfinished.then_some(before.id));
            }
            *ahead.more.entry(&before.queue).or_default() +=
                i64::from(unfinished) - i64::from(before.state.is_unfinished());
        }
        ahead
    }

    fn holder(&self, queue: &str, unique: &str, loaded: &Loaded) -> Option<JobId> {
        match self.uniques.get(&(queue, unique)) {
            Some(holder) => *holder,
            None => loaded.uniques.get(&(queue.to_owned(), unique.to_owned())).copied(),
        }
    }
}

fn check_refusal(check: &Check, loaded: &Loaded) -> Option<Refusal> {
    match check {
        Check::Held(lease) => lease_refusal(*lease, loaded),
        Check::Stream { stream, expected } => stream_refusal(stream, *expected, loaded),
        Check::Cell { space, key, expected } => cell_refusal(space, key, *expected, loaded),
    }
}

fn lease_refusal(lease: Lease, loaded: &Loaded) -> Option<Refusal> {
    let job = loaded.jobs.get(&lease.job);
    let held = job.is_some_and(|job| job.state == JobState::Leased && job.token == lease.token);
    (!held).then(|| Refusal::LeaseLost { lease, state: job.map(|job| job.state) })
}

fn last(stream: &str, loaded: &Loaded) -> u64 {
    loaded.streams.get(stream).map_or(0, |stream| stream.last)
}

fn stream_refusal(stream: &str, expected: Expected, loaded: &Loaded) -> Option<Refusal> {
    let actual = last(stream, loaded);
    (!expected.holds(actual)).then(|| Refusal::Stream { stream: stream.to_owned(), expected, actual })
}

fn append_refusal(append: &Append, loaded: &Loaded) -> Option<Refusal> {
    let known = append.events.iter().find_map(|event| {
        let known = loaded.events.get(&(append.stream.clone(), event.id.clone()))?;
        Some(Refusal::EventExists {
            stream: append.stream.clone(),
            id: event.id.clone(),
            version: known.version,
            same: known.is(event),
        })
    });
    known.or_else(|| stream_refusal(&append.stream, append.expected, loaded))
}

fn enqueue_refusal<'b>(job: &'b NewJob, ahead: &mut Ahead<'b>, loaded: &Loaded) -> Option<Refusal> {
    if loaded.jobs.contains_key(&job.id) {
        return Some(Refusal::JobExists { job: job.id });
    }
    if let Some(unique) = &job.unique
        && let Some(holder) = ahead.holder(&job.queue, &unique.key, loaded)
    {
        let taken = || Refusal::UniqueTaken { queue: job.queue.clone(), unique: unique.key.clone(), holder };
        return (unique.on_taken == OnTaken::Refuse).then(taken);
    }
    let more = ahead.more.entry(&job.queue).or_default();
    *more += 1;
    let max = job.max_length?;
    let length = loaded.unfinished.get(&job.queue).copied().unwrap_or(0).saturating_add_signed(*more);
    (length > max).then(|| Refusal::QueueFull { queue: job.queue.clone(), length, max })
}

fn change_refusal(change: &JobChange, loaded: &Loaded) -> Option<Refusal> {
    if let Some(lease) = change.lease() {
        return lease_refusal(lease, loaded);
    }
    let id = change.job();
    let Some(job) = loaded.jobs.get(&id) else { return Some(Refusal::JobState { job: id, state: None }) };
    if !change.fits(job.state) {
        return Some(Refusal::JobState { job: id, state: Some(job.state) });
    }
    if let (JobChange::Replay { .. }, Some(unique), Some(holder)) = (change, &job.unique, job.holder) {
        return Some(Refusal::UniqueTaken { queue: job.queue.clone(), unique: unique.clone(), holder });
    }
    None
}

fn cell_refusal(
    space: &str,
    key: &str,
    expected: renkei_core::store::CellExpected,
    loaded: &Loaded,
) -> Option<Refusal> {
    let actual = loaded.cells.get(&(space.to_owned(), key.to_owned())).copied();
    (!expected.holds(actual)).then(|| Refusal::Cell {
        space: space.to_owned(),
        key: key.to_owned(),
        expected,
        actual,
    })
}

fn apply<'b>(batch: &'b Batch, loaded: &mut Loaded, writes: &mut Writes<'b>, now: Timestamp) -> Receipt {
    let appends = batch.appends.iter().map(|new| append(new, loaded, writes)).collect();
    for job in &batch.jobs {
        change(job, loaded, writes, now);
    }
    let enqueues = batch.enqueues.iter().map(|job| enqueue(job, loaded, writes, now)).collect();
    let cells = batch.cells.iter().map(|write| {
        let (space, key) = (&*write.space, &*write.key);
        let Some(cell) = &write.value else {
            writes.gone_cells.push((space, key));
            return None;
        };
        let version = loaded.versions.next().unwrap_or_default();
        writes.cells.push(NewCellRow { space, key, version, cell });
        Some(version.cast_unsigned())
    });
    let cells = cells.collect();
    for trim in &batch.trims {
        let first = match trim.to {
            TrimTo::Version(version) => Some(version),
            TrimTo::Forgotten => None,
        };
        if loaded.streams.contains_key(&trim.stream) {
            writes.trims.push(TrimRow { stream: &trim.stream, first });
        }
    }
    Receipt { at: now, appends, enqueues, cells }
}

fn append<'b>(append: &'b Append, loaded: &mut Loaded, writes: &mut Writes<'b>) -> Appended {
    let stream = match loaded.streams.get_mut(&append.stream) {
        Some(stream) => stream,
        None => {
            writes.new_streams.push(&append.stream);
            loaded.streams.entry(append.stream.clone()).or_insert(Stream { last: 0 })
        }
    };
    for event in &append.events {
        stream.last += 1;
        loaded.position += 1;
        let (position, version) = (loaded.position, stream.last);
        writes.events.push(NewEventRow { position, stream: &append.stream, version, event });
        loaded.events.insert((append.stream.clone(), event.id.clone()), Known::of(event, version));
    }
    Appended { version: stream.last, position: Position::from_number(loaded.position) }
}

fn enqueue<'b>(job: &'b NewJob, loaded: &mut Loaded, writes: &mut Writes<'b>, now: Timestamp) -> Enqueued {
    if let Some(unique) = &job.unique
        && let Some(holder) = loaded.uniques.get(&(job.queue.clone(), unique.key.clone()))
    {
        return Enqueued::Joined(*holder);
    }
    let run_at = job.run_at.resolve(now);
    let state = match &job.key {
        // Whether it is the head is seen when all of the group is written.
        Some(key) => {
            writes.keys.insert((job.queue.clone(), key.clone()));
            JobState::Held
        }
        None => waiting(run_at, now),
    };
    writes.count(&job.queue, state, 1);
    if let Some(unfinished) = loaded.unfinished.get_mut(&job.queue) {
        *unfinished += 1;
    }
    let expires = job.expires.map(|when| when.resolve(now));
    let place = loaded.places.next().unwrap_or_default();
    writes.new_jobs.push(NewJobRow { job, place, state, run_at, expires });
    Enqueued::New(job.id)
}

fn change(change: &JobChange, loaded: &mut Loaded, writes: &mut Writes<'_>, now: Timestamp) {
    let Some(before) = loaded.jobs.get(&change.job()) else { return };
    let mut job = before.clone();
    let gone = !changed(&mut job, change, now);
    writes.count(&before.queue, before.state, -1);
    if !gone {
        writes.count(&job.queue, job.state, 1);
    }
    let unfinished = |state: JobState| i64::from(state.is_unfinished());
    let more = if gone { 0 } else { unfinished(job.state) } - unfinished(before.state);
    if let Some(count) = loaded.unfinished.get_mut(&job.queue) {
        *count = count.saturating_add_signed(more);
    }
    if let Some(unique) = &job.unique {
        let unique = (job.queue.clone(), unique.clone());
        match more {
            -1 => drop(loaded.uniques.remove(&unique)),
            1 => drop(loaded.uniques.insert(unique, job.id)),
            _ => {}
        }
    }
    if let Some(key) = &job.key {
        writes.keys.insert((job.queue.clone(), key.clone()));
    }
    match gone {
        true => writes.gone.push(job.id),
        false => writes.jobs.push(job),
    }
}

/// What the change makes of the job; false when it is gone.
fn changed(job: &mut JobRow, change: &JobChange, now: Timestamp) -> bool {
    match change {
        JobChange::Finish { keep_until: None, .. } | JobChange::Discard { .. } => return false,
        JobChange::Finish { keep_until: Some(until), .. } => {
            job.state = JobState::Done;
            job.keep_until = Some(until.resolve(now));
            job.leased_until = None;
        }
        JobChange::Retry { run_at, error, .. } => {
            note(job, error, now);
            wait(job, run_at.resolve(now), now);
        }
        JobChange::Bury { error, on_dead, .. } => {
            note(job, error, now);
            job.state = JobState::Dead;
            job.dead = Some(rows::BURIED);
            job.blocks = job.key.is_some() && *on_dead == OnDead::Block;
            job.leased_until = None;
        }
        JobChange::Extend { lease_for, .. } => job.leased_until = Some(now.after(*lease_for)),
        JobChange::Release { run_at, .. } => {
            job.attempts = job.attempts.saturating_sub(1);
            wait(job, run_at.resolve(now), now);
        }
        JobChange::Reschedule { run_at, .. } => {
            job.run_at = run_at.resolve(now);
            if job.state != JobState::Held {
                job.state = waiting(job.run_at, now);
            }
        }
        JobChange::Replay { run_at, .. } => {
            job.attempts = 0;
            job.dead = None;
            job.expires = None;
            job.blocks = false;
            wait(job, run_at.resolve(now), now);
            if job.key.is_some() {
                // It has its place before those that wait, but not before one that goes on already.
                job.state = JobState::Held;
            }
        }
        JobChange::Unblock { .. } => job.blocks = false,
    }
    true
}

fn wait(job: &mut JobRow, run_at: Timestamp, now: Timestamp) {
    job.run_at = run_at;
    job.state = waiting(run_at, now);
    job.leased_until = None;
}

/// Adds a failed attempt to the history.
pub(super) fn note(job: &mut JobRow, error: &JobError, now: Timestamp) {
    let worker = job.worker.clone().unwrap_or_default();
    job.errors.push(JobError { at: now, attempt: job.attempts, worker, ..error.clone() });
}

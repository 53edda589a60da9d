//! In the place of the store: takes down what would be enqueued, and keeps cells as long as the test lasts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use renkei_core::{
    Error, Result, Value,
    clock::Timestamp,
    store::{
        Batch, Cell, CellPage, CellQuery, CellWrite, ChangeFeed, Changes, Claim, Claims, Enqueued, Job,
        JobId, JobPage, JobQuery, LogPage, LogQuery, NewJob, OnTaken, QueueCounts, Receipt, Refusal, Store,
        StreamInfo, StreamPage, StreamsPage, Unique, Verdict,
    },
};

/// The store of one test.
#[derive(Debug, Default)]
pub struct Pad {
    kept: Mutex<Kept>,
    feed: ChangeFeed,
}

#[derive(Debug, Default)]
struct Kept {
    jobs: Vec<NewJob>,
    /// Idempotency keys and the like.
    cells: Vec<Cell>,
    version: u64,
}

impl Pad {
    /// The data of the messages of a queue, in their order.
    pub(crate) fn messages(&self, queue: &str) -> Vec<Value> {
        let kept = self.lock();
        let of_queue = kept.jobs.iter().filter(|job| job.queue == queue);
        of_queue.map(|job| Value::from_json(&job.payload.bytes).unwrap_or_default()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing that can panic runs under the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn cell(&self, space: &str, key: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.space == space && cell.key == key)
    }

    fn refuses(&self, write: &CellWrite) -> Option<Refusal> {
        let actual = self.cell(&write.space, &write.key).map(|cell| cell.version);
        let (space, key, expected) = (write.space.clone(), write.key.clone(), write.expected);
        (!expected.holds(actual)).then_some(Refusal::Cell { space, key, expected, actual })
    }

    fn set(&mut self, write: CellWrite) -> Option<u64> {
        self.cells.retain(|cell| cell.space != write.space || cell.key != write.key);
        self.version += 1;
        let (version, new) = (self.version, write.value?);
        self.cells.push(Cell {
            space: write.space,
            key: write.key,
            version,
            value: new.value,
            expires: None,
            owner: new.owner,
            state: new.state,
            due: None,
            changed: Timestamp(0),
        });
        Some(version)
    }

    /// The message that has the job's unique key already.
    fn same_as(&self, job: &NewJob) -> Option<(JobId, &Unique)> {
        let unique = job.unique.as_ref()?;
        let is_same = |other: &Unique| other.key == unique.key;
        let all = self.jobs.iter().filter(|other| other.queue == job.queue);
        all.filter_map(|other| Some((other.id, other.unique.as_ref()?))).find(|(_, other)| is_same(other))
    }

    fn is_taken(&self, job: &NewJob) -> Option<Refusal> {
        if self.jobs.iter().any(|other| other.id == job.id) {
            return Some(Refusal::JobExists { job: job.id });
        }
        let (holder, unique) = self.same_as(job)?;
        let refuses = job.unique.as_ref().is_some_and(|unique| unique.on_taken == OnTaken::Refuse);
        let (queue, unique) = (job.queue.clone(), unique.key.clone());
        refuses.then_some(Refusal::UniqueTaken { queue, unique, holder })
    }

    fn enqueue(&mut self, job: NewJob) -> Enqueued {
        if let Some((holder, _)) = self.same_as(&job) {
            return Enqueued::Joined(holder);
        }
        let id = job.id;
        self.jobs.push(job);
        Enqueued::New(id)
    }
}

fn nothing<T>() -> Result<T> {
    Err(Error::internal("read the store: a test has none; it can say which messages are enqueued"))
}

#[async_trait]
impl Store for Pad {
    async fn commit(&self, batch: Batch) -> Result<Verdict> {
        batch.validate()?;
        if batch.items() != batch.enqueues.len() + batch.cells.len() {
            return nothing();
        }
        let mut kept = self.lock();
        let refused = batch.cells.iter().find_map(|write| kept.refuses(write));
        if let Some(refusal) = refused.or_else(|| batch.enqueues.iter().find_map(|job| kept.is_taken(job))) {
            return Ok(Verdict::Refused(refusal));
        }
        let enqueues = batch.enqueues.into_iter().map(|job| kept.enqueue(job)).collect();
        let cells = batch.cells.into_iter().map(|write| kept.set(write)).collect();
        let receipt = Receipt { enqueues, cells, ..Receipt::default() };
        Ok(Verdict::Done(receipt))
    }

    async fn claim(&self, _: Claim) -> Result<Claims> {
        nothing()
    }

    async fn read_stream(&self, _: &str, _: u64, _: usize) -> Result<StreamPage> {
        nothing()
    }

    async fn read_log(&self, _: LogQuery) -> Result<LogPage> {
        nothing()
    }

    async fn stream(&self, _: &str) -> Result<Option<StreamInfo>> {
        nothing()
    }

    async fn streams(&self, _: &str, _: Option<&str>, _: usize) -> Result<StreamsPage> {
        nothing()
    }

    async fn job(&self, _: JobId) -> Result<Option<Job>> {
        Ok(None)
    }

    async fn jobs(&self, _: JobQuery) -> Result<JobPage> {
        nothing()
    }

    async fn queues(&self) -> Result<Vec<QueueCounts>> {
        nothing()
    }

    async fn cell(&self, space: &str, key: &str) -> Result<Option<Cell>> {
        Ok(self.lock().cell(space, key).cloned())
    }

    async fn cells(&self, _: CellQuery) -> Result<CellPage> {
        nothing()
    }

    fn changes(&self) -> Changes {
        self.feed.listen()
    }

    async fn close(&self) {}

    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

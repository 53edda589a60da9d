//! The store: hands each question to a thread and waits for the answer.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Sender, channel},
    },
    time::Instant,
};

use async_trait::async_trait;
use renkei_core::{
    Applied, Error, Result,
    clock::Timestamp,
    store::{
        Backup, Batch, Cell, CellPage, CellQuery, Change, ChangeFeed, Changes, Claim, Claims, Compacted, Job,
        JobId, JobPage, JobQuery, JobState, LogPage, LogQuery, Maintain, Problem, Pruned, QueueCounts,
        Receipt, Retention, Stats, Store, StreamInfo, StreamPage, StreamsPage, Verdict,
    },
};
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot, watch};

use super::{
    check,
    open::{self, Options},
    read,
    readers::Readers,
    upkeep,
    writer::{Task, Work, Writer},
};
use crate::measure::Measures;

/// What one permit of the room for waiting batches stands for.
const PERMIT_BYTES: usize = 1_024;
/// What a batch takes beside its bytes.
const BATCH_BYTES: usize = 512;
/// What each of its items takes beside its bytes.
const ITEM_BYTES: usize = 128;

/// A store in one file.
#[derive(Debug)]
pub struct SqliteStore {
    options: Arc<Options>,
    feed: Mutex<Option<ChangeFeed>>,
    tasks: Mutex<Option<Sender<Task>>>,
    room: Arc<Semaphore>,
    readers: Readers,
    measures: Measures,
    /// True once the writer has ended.
    ended: watch::Receiver<bool>,
}

impl SqliteStore {
    /// Opens the file, or makes it, and brings its tables up to date. Waits for locks of other processes.
    ///
    /// # Errors
    /// `unavailable`: a missing folder, no permission, a file of another program, a damaged one, tables of a newer
    /// program.
    pub async fn open(options: Options) -> Result<Self> {
        let options = Arc::new(options);
        let feed = ChangeFeed::default();
        let (sender, tasks) = channel();
        let (end, ended) = watch::channel(false);
        let (opened, is_opened) = oneshot::channel();
        let (for_writer, hints, measures) = (options.clone(), feed.clone(), Measures::new());
        let of_writer = measures.clone();
        std::thread::Builder::new()
            .name("store-write".to_owned())
            .spawn(move || {
                let _end = End(end);
                let connection = match open::writer(&for_writer, for_writer.create) {
                    Ok(connection) => connection,
                    Err(error) => return drop(opened.send(Err(error))),
                };
                let seen =
                    connection.query_row("pragma data_version", [], |row| row.get(0)).unwrap_or_default();
                if opened.send(Ok(())).is_ok() {
                    let connection = Some(connection);
                    let (looked, measures) = (Instant::now(), of_writer);
                    Writer { options: for_writer, feed: hints, tasks, measures, connection, seen, looked }
                        .run();
                }
            })
            .map_err(|why| Error::unavailable("open the store: no thread could be started").detail(why))?;
        is_opened.await.unwrap_or_else(|_| Err(Error::internal("open the store: it failed unexpectedly")))?;
        let room = options.waiting_bytes as usize / PERMIT_BYTES;
        Ok(SqliteStore {
            readers: Readers::start(options.clone(), measures.clone())?,
            options,
            measures,
            feed: Mutex::new(Some(feed)),
            tasks: Mutex::new(Some(sender)),
            room: Arc::new(Semaphore::new(room.max(1))),
            ended,
        })
    }

    /// Gives the writer something, once there is room, and waits for its answer.
    async fn ask<T>(&self, bytes: usize, work: impl FnOnce(oneshot::Sender<T>) -> Work) -> Result<T> {
        let permits =
            (bytes / PERMIT_BYTES + 1).min(self.options.waiting_bytes as usize / PERMIT_BYTES).max(1);
        let permits = u32::try_from(permits).unwrap_or(u32::MAX);
        let room = self.room.clone().acquire_many_owned(permits).await.map_err(|_| self.closed())?;
        let (answer, answered) = oneshot::channel();
        let sent = match &*self.tasks.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(tasks) => tasks.send(Task { work: work(answer), room }).is_ok(),
            None => false,
        };
        if !sent {
            return Err(self.closed());
        }
        answered.await.map_err(|_| {
            let text =
                format!("write to the store `{}`: it failed unexpectedly", self.options.path.display());
            Error::internal(text).applied(Applied::Unknown)
        })
    }

    /// Does something alone on the writer's connection.
    async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection, &Options) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (done, is_done) = oneshot::channel();
        let options = self.options.clone();
        let work = Box::new(move |connection: &mut Connection| {
            let _ = done.send(work(connection, &options));
        });
        let failed = self.ask(BATCH_BYTES, |answer| Work::Upkeep(work, answer)).await;
        // Where the work was done it has answered by itself, before its own end was seen.
        is_done.await.unwrap_or_else(|_| Err(failed.unwrap_or_else(|error| error)))
    }

    fn closed(&self) -> Error {
        Error::unavailable(format!("write to the store `{}`: it is closed", self.options.path.display()))
    }
}

/// Tells at the end of the thread, however it ends.
struct End(watch::Sender<bool>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, batch: Batch) -> Result<Verdict> {
        let bytes = batch.validate()?;
        if batch.is_empty() {
            return Ok(Verdict::Done(Receipt { at: self.now(), ..Receipt::default() }));
        }
        let bytes = bytes + BATCH_BYTES + batch.items() * ITEM_BYTES;
        self.measures.commit(async { self.ask(bytes, |answer| Work::Commit(batch, answer)).await? }).await
    }

    async fn claim(&self, claim: Claim) -> Result<Claims> {
        claim.validate()?;
        self.measures.claim(async { self.ask(BATCH_BYTES, |answer| Work::Claim(claim, answer)).await? }).await
    }

    async fn read_stream(&self, stream: &str, from: u64, limit: usize) -> Result<StreamPage> {
        let stream = stream.to_owned();
        self.readers.read(move |connection| read::stream(connection, &stream, from, limit)).await
    }

    async fn read_log(&self, query: LogQuery) -> Result<LogPage> {
        self.readers.read(move |connection| read::log(connection, &query)).await
    }

    async fn stream(&self, stream: &str) -> Result<Option<StreamInfo>> {
        let stream = stream.to_owned();
        let found = self.readers.read(move |connection| read::stream_info(connection, &stream)).await?;
        Ok(found.map(|(_, info)| info))
    }

    async fn streams(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<StreamsPage> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.readers.read(move |connection| read::streams(connection, &prefix, after.as_deref(), limit)).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        self.readers.read(move |connection| read::job(connection, id)).await
    }

    async fn jobs(&self, query: JobQuery) -> Result<JobPage> {
        self.readers.read(move |connection| read::jobs(connection, &query)).await
    }

    async fn queues(&self) -> Result<Vec<QueueCounts>> {
        self.readers.read(read::queues).await
    }

    async fn cell(&self, space: &str, key: &str) -> Result<Option<Cell>> {
        let (space, key, now) = (space.to_owned(), key.to_owned(), self.now());
        self.readers.read(move |connection| read::cell(connection, &space, &key, now)).await
    }

    async fn cells(&self, query: CellQuery) -> Result<CellPage> {
        let now = self.now();
        self.readers.read(move |connection| read::cells(connection, &query, now)).await
    }

    fn changes(&self) -> Changes {
        let feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed store gives hints that end at once.
        feed.clone().unwrap_or_default().listen()
    }

    fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    async fn close(&self) {
        self.room.close();
        // The last connection copies what is beside the file into it, and only the writer's can.
        self.readers.close().await;
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.feed.lock().unwrap_or_else(PoisonError::into_inner).take();
        // An error means that the sender is gone, and with it the thread.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}

#[async_trait]
impl Maintain for SqliteStore {
    async fn prune(&self, rules: &Retention) -> Result<Pruned> {
        let (rules, now) = (rules.clone(), self.now());
        let looking = rules.clone();
        let old = self.readers.read(move |connection| upkeep::old_events(connection, &looking, now)).await?;
        self.alone(move |connection, options| upkeep::prune(connection, &rules, &old, now, options)).await
    }

    async fn purge(&self, queue: &str, states: &[JobState], limit: usize) -> Result<u64> {
        let (name, states, now) = (queue.to_owned(), states.to_owned(), self.now());
        let gone = self
            .alone(move |connection, options| upkeep::purge(connection, &name, &states, limit, now, options));
        let gone = gone.await?;
        if let Some(feed) = &*self.feed.lock().unwrap_or_else(PoisonError::into_inner) {
            feed.tell(Change::Queue(queue.into()));
        }
        Ok(gone)
    }

    async fn check(&self) -> Result<Vec<Problem>> {
        self.readers.read(check::problems).await
    }

    async fn backup(&self, to: &Path) -> Result<Backup> {
        let (options, to) = (self.options.clone(), to.to_owned());
        self.readers.read(move |_| Ok(upkeep::backup(&to, &options))).await?
    }

    async fn compact(&self) -> Result<Compacted> {
        let bytes_before = upkeep::bytes(&self.options.path);
        // Between two steps the writer takes what waits.
        while self.alone(upkeep::compact).await? {}
        Ok(Compacted { bytes_before, bytes_after: upkeep::bytes(&self.options.path) })
    }

    async fn stats(&self) -> Result<Stats> {
        let path = self.options.path.clone();
        self.readers.read(move |connection| upkeep::stats(connection, &path)).await
    }
}

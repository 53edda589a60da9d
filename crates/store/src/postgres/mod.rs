//! The store on PostgreSQL: several nodes share it, and each may go at any moment.
//!
//! Reading order: the store, its writer, what it is asked, and what a group reads, decides and writes; claims; reads; hints; upkeep.

mod target;

mod session;
mod writer;

mod ask;
mod group;

mod load;

mod decide;

mod front;

mod write;

mod claim;

mod read;

mod listen;

mod maintain;

mod error;
mod rows;
mod schema;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use renkei_core::{
    Applied, Error, Result, Secret,
    clock::{Clock, Timestamp},
    store::{
        Backup, Batch, Cell, CellPage, CellQuery, ChangeFeed, Changes, Claim, Claims, Compacted, Job, JobId,
        JobPage, JobQuery, JobState, LogPage, LogQuery, Maintain, Problem, Pruned, QueueCounts, Retention,
        Stats, Store, StreamInfo, StreamPage, StreamsPage, Verdict,
    },
};
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc, oneshot},
    task::JoinHandle,
};
use uuid::Uuid;

use self::{
    ask::Ask,
    error::{Trouble, of_read},
    group::Groups,
    session::Reader,
    target::Target,
    writer::{WAITING, Writer},
};
use crate::measure::Measures;

/// A store in a schema of a PostgreSQL database.
pub struct PostgresStore {
    target: Arc<Target>,
    clock: Arc<dyn Clock>,
    /// Nothing once it is closed.
    open: Mutex<Option<Open>>,
    reader: AsyncMutex<Option<Arc<Reader>>>,
    measures: Measures,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What is there while the store is open.
#[derive(Clone)]
struct Open {
    asks: mpsc::Sender<Ask>,
    feed: ChangeFeed,
}

impl PostgresStore {
    /// Connects, and updates the tables; makes them only with `create`. `url` is `postgres://…`, with `sslmode`, `sslrootcert` and `schema`
    /// (`renkei`) as parameters; paths in it are relative to `base_dir`.
    ///
    /// # Errors
    /// `invalid` for a URL that cannot be meant, `unavailable` when the server cannot be reached, `not_found` where there are no
    /// tables and none are to be made, `internal` for tables of a later version.
    pub async fn open(url: &Secret, base_dir: &Path, create: bool, clock: Arc<dyn Clock>) -> Result<Self> {
        let target = Arc::new(Target::new(url, base_dir)?);
        schema::prepare(&target, create)
            .await
            .map_err(|trouble| trouble.into_error("open the store", Applied::No))?;
        let (asks, asked) = mpsc::channel(WAITING);
        let (feed, node, due) = (ChangeFeed::default(), Uuid::now_v7(), Arc::default());
        let measures = Measures::new();
        let groups = Groups {
            target: target.clone(),
            clock: clock.clone(),
            node,
            measures: measures.clone(),
            due: Arc::clone(&due),
        };
        let writer = Writer::new(groups, feed.clone(), asked);
        let tasks = vec![
            tokio::spawn(writer.run()),
            tokio::spawn(listen::run(target.clone(), node, feed.clone(), due)),
        ];
        Ok(PostgresStore {
            target,
            clock,
            open: Mutex::new(Some(Open { asks, feed })),
            reader: AsyncMutex::default(),
            measures,
            tasks: Mutex::new(tasks),
        })
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<Result<T>>) -> Ask) -> Result<T> {
        let open = lock(&self.open).clone().ok_or_else(|| closed("write to"))?;
        let (answer, answered) = oneshot::channel();
        open.asks.send(ask(answer)).await.map_err(|_| closed("write to"))?;
        drop(open);
        answered.await.map_err(|_| closed("write to").applied(Applied::Unknown))?
    }

    async fn claim_or_idle(&self, claim: Claim) -> Result<Claims> {
        let (queue, now) = (&claim.queue, self.now());
        let idle = self.look(|reader| async move { read::idle(&reader, queue, now).await });
        match idle.await? {
            Some(idle) => Ok(idle),
            None => self.ask(|answer| Ask::Claim { claim, answer }).await,
        }
    }

    async fn reader(&self) -> Result<Arc<Reader>, Trouble> {
        let mut reader = self.reader.lock().await;
        match reader.as_ref().filter(|reader| reader.is_open()) {
            Some(reader) => Ok(reader.clone()),
            None => {
                let new = Arc::new(Reader::open(&self.target).await?);
                *reader = Some(new.clone());
                Ok(new)
            }
        }
    }

    async fn read<T, F>(&self, what: impl Fn(Arc<Reader>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        self.measures.read(self.look(what)).await
    }

    /// Reads, once more on a new connection if the one that was there has ended meanwhile.
    async fn look<T, F>(&self, what: impl Fn(Arc<Reader>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        if lock(&self.open).is_none() {
            return Err(closed("read from"));
        }
        let result = match self.read_once(&what).await {
            Err(trouble) if trouble.ends_connection() => self.read_once(&what).await,
            result => result,
        };
        of_read("read from the store", result)
    }

    async fn read_once<T, F>(&self, what: &impl Fn(Arc<Reader>) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        what(self.reader().await?).await
    }
}

fn closed(doing: &str) -> Error {
    Error::unavailable(format!("{doing} the store: it is closed"))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        // The writer ends when its channel does, after it has answered; the listener would go on.
        for task in lock(&self.tasks).iter().skip(1) {
            task.abort();
        }
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PostgresStore").field(&self.target).finish()
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn commit(&self, batch: Batch) -> Result<Verdict> {
        batch.validate()?;
        if batch.is_empty() {
            return Ok(Verdict::Done(renkei_core::store::Receipt { at: self.now(), ..Default::default() }));
        }
        self.measures.commit(self.ask(|answer| Ask::Commit { batch, answer })).await
    }

    async fn claim(&self, claim: Claim) -> Result<Claims> {
        claim.validate()?;
        self.measures.claim(self.claim_or_idle(claim)).await
    }

    async fn read_stream(&self, stream: &str, from: u64, limit: usize) -> Result<StreamPage> {
        self.read(|reader| async move { read::read_stream(&reader, stream, from, limit).await }).await
    }

    async fn read_log(&self, query: LogQuery) -> Result<LogPage> {
        let query = &query;
        self.read(|reader| async move { read::read_log(&reader, query).await }).await
    }

    async fn stream(&self, stream: &str) -> Result<Option<StreamInfo>> {
        self.read(|reader| async move { read::stream(&reader, stream).await }).await
    }

    async fn streams(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<StreamsPage> {
        self.read(|reader| async move { read::streams(&reader, prefix, after, limit).await }).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        self.read(|reader| async move { read::job(&reader, id).await }).await
    }

    async fn jobs(&self, query: JobQuery) -> Result<JobPage> {
        let query = &query;
        self.read(|reader| async move { read::jobs(&reader, query).await }).await
    }

    async fn queues(&self) -> Result<Vec<QueueCounts>> {
        self.read(|reader| async move { read::queues(&reader).await }).await
    }

    async fn cell(&self, space: &str, key: &str) -> Result<Option<Cell>> {
        let now = self.now();
        self.read(|reader| async move { read::cell(&reader, space, key, now).await }).await
    }

    async fn cells(&self, query: CellQuery) -> Result<CellPage> {
        let (query, now) = (&query, self.now());
        self.read(|reader| async move { read::cells(&reader, query, now).await }).await
    }

    fn changes(&self) -> Changes {
        // A closed one has no more hints.
        lock(&self.open).as_ref().map_or_else(|| ChangeFeed::default().listen(), |open| open.feed.listen())
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn close(&self) {
        drop(lock(&self.open).take());
        let mut tasks = std::mem::take(&mut *lock(&self.tasks)).into_iter();
        if let Some(writer) = tasks.next() {
            let _ = writer.await;
        }
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
        self.reader.lock().await.take();
    }
}

#[async_trait]
impl Maintain for PostgresStore {
    async fn prune(&self, rules: &Retention) -> Result<Pruned> {
        let rules = rules.clone();
        self.ask(|answer| Ask::Prune { rules, answer }).await
    }

    async fn purge(&self, queue: &str, states: &[JobState], limit: usize) -> Result<u64> {
        let (queue, states) = (queue.to_owned(), states.to_vec());
        self.ask(|answer| Ask::Purge { queue, states, limit, answer }).await
    }

    async fn check(&self) -> Result<Vec<Problem>> {
        self.read(|reader| async move { maintain::check(&reader).await }).await
    }

    async fn backup(&self, _: &Path) -> Result<Backup> {
        Err(Error::invalid(format!(
            "back up the store: it is in a PostgreSQL database; use its own tools, such as `pg_dump --schema {}`",
            self.target.schema
        )))
    }

    async fn compact(&self) -> Result<Compacted> {
        self.read(|reader| async move { maintain::compact(&self.target, &reader).await }).await
    }

    async fn stats(&self) -> Result<Stats> {
        // On a connection of its own: it counts, and claims do not wait for that.
        let counted = async { maintain::stats(&self.target, &Reader::open(&self.target).await?).await };
        of_read("read from the store", counted.await)
    }
}

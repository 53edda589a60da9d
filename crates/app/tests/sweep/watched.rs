//! A store and a system with points around what is written to the one, and around what is asked of the other.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use renkei_core::{
    Call, CallContext, ConnectContext, Connection, Diagnostics, Node, PreparedOp, Reply, Request, Result,
    System, Value,
    clock::Timestamp,
    store::{
        Batch, Cell, CellPage, CellQuery, Changes, Claim, Claims, Job, JobId, JobPage, JobQuery, LogPage,
        LogQuery, QueueCounts, Store, StreamInfo, StreamPage, StreamsPage, Verdict,
    },
    template::Names as Known,
};
use tokio::sync::{Mutex, MutexGuard};

use crate::points::Points;

/// What the writes are called.
#[async_trait]
pub(crate) trait Names: fmt::Debug + Send + Sync {
    /// Nothing for one without points.
    async fn of_batch(&self, store: &dyn Store, batch: &Batch) -> Option<String>;

    /// Nothing for a claim that will find nothing.
    async fn of_claim(&self, store: &dyn Store, claim: &Claim) -> Option<String>;
}

/// A store with a point before and after every write that has a name.
#[derive(Debug)]
pub(crate) struct Watched {
    store: Arc<dyn Store>,
    points: Arc<Points>,
    names: Arc<dyn Names>,
    /// One write at a time: what a name was made from holds when the write is made.
    turn: Mutex<()>,
}

impl Watched {
    pub(crate) fn new(store: Arc<dyn Store>, points: Arc<Points>, names: Arc<dyn Names>) -> Self {
        Watched { store, points, names, turn: Mutex::new(()) }
    }

    /// Nothing is written until it is dropped.
    pub(crate) async fn rest(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    fn pass(&self, when: &str, name: Option<&str>) {
        if let Some(name) = name {
            self.points.pass(&format!("{when} {name}"));
        }
    }
}

#[async_trait]
impl Store for Watched {
    async fn commit(&self, batch: Batch) -> Result<Verdict> {
        let _turn = self.rest().await;
        let name = self.names.of_batch(&*self.store, &batch).await;
        self.pass("before", name.as_deref());
        let verdict = self.store.commit(batch).await;
        self.pass("after", name.as_deref());
        verdict
    }

    async fn claim(&self, claim: Claim) -> Result<Claims> {
        let _turn = self.rest().await;
        let name = self.names.of_claim(&*self.store, &claim).await;
        self.pass("before", name.as_deref());
        let claims = self.store.claim(claim).await?;
        if !claims.jobs.is_empty() {
            self.pass("after", Some(name.as_deref().unwrap_or("claim")));
        }
        Ok(claims)
    }

    async fn read_stream(&self, stream: &str, from: u64, limit: usize) -> Result<StreamPage> {
        self.store.read_stream(stream, from, limit).await
    }

    async fn read_log(&self, query: LogQuery) -> Result<LogPage> {
        self.store.read_log(query).await
    }

    async fn stream(&self, stream: &str) -> Result<Option<StreamInfo>> {
        self.store.stream(stream).await
    }

    async fn streams(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<StreamsPage> {
        self.store.streams(prefix, after, limit).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        self.store.job(id).await
    }

    async fn jobs(&self, query: JobQuery) -> Result<JobPage> {
        self.store.jobs(query).await
    }

    async fn queues(&self) -> Result<Vec<QueueCounts>> {
        self.store.queues().await
    }

    async fn cell(&self, space: &str, key: &str) -> Result<Option<Cell>> {
        self.store.cell(space, key).await
    }

    async fn cells(&self, query: CellQuery) -> Result<CellPage> {
        self.store.cells(query).await
    }

    fn changes(&self) -> Changes {
        self.store.changes()
    }

    fn now(&self) -> Timestamp {
        self.store.now()
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

/// What the system outside makes of what it is sent, before it does it.
#[async_trait]
pub(crate) trait Outside: fmt::Debug + Send + Sync {
    async fn meet(&self, text: &str) -> Result<()>;
}

/// It does what it is asked.
#[derive(Debug)]
pub(crate) struct Willing;

#[async_trait]
impl Outside for Willing {
    async fn meet(&self, _: &str) -> Result<()> {
        Ok(())
    }
}

/// A system with a point before and after every call.
#[derive(Debug)]
pub(crate) struct WatchedSystem {
    pub(crate) system: Arc<dyn System>,
    pub(crate) points: Arc<Points>,
    pub(crate) outside: Arc<dyn Outside>,
}

#[async_trait]
impl System for WatchedSystem {
    fn prepare(&self, op: &Node, names: &Known<'_>, d: &mut Diagnostics) -> Option<PreparedOp> {
        self.system.prepare(op, names, d)
    }

    fn show(&self, request: &Request) -> Result<Value> {
        self.system.show(request)
    }

    async fn connect(&self, cx: &ConnectContext) -> Result<Connection> {
        let connection = self.system.connect(cx).await?;
        let (points, outside) = (self.points.clone(), self.outside.clone());
        let watched = WatchedCall { call: connection.call, points, outside };
        Ok(Connection { call: Arc::new(watched), ..connection })
    }
}

struct WatchedCall {
    call: Arc<dyn Call>,
    points: Arc<Points>,
    outside: Arc<dyn Outside>,
}

impl fmt::Debug for WatchedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchedCall")
    }
}

#[async_trait]
impl Call for WatchedCall {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let text = text(request);
        // What is written begins with the step's name; the others read.
        let name = text.split_once(' ').map_or("read", |(word, _)| word);
        self.points.pass(&format!("before call {name}"));
        let reply = match self.outside.meet(&text).await {
            Ok(()) => self.call.call(cx, request).await,
            Err(error) => Err(error),
        };
        self.points.pass(&format!("after call {name}"));
        reply
    }
}

/// What is written.
fn text(request: &Request) -> String {
    let mut texts = request.params.iter().flatten().filter_map(Value::as_str);
    texts.find(|text| text.contains(' ')).unwrap_or_default().to_owned()
}

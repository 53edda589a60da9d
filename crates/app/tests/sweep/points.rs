//! The points at which the process can end: around what is written to the store, and around what is asked of a system.

use std::{
    fmt,
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use renkei_core::{
    Call, CallContext, ConnectContext, Connection, Diagnostics, Node, PreparedOp, Reply, Request, Result,
    System, Value,
    clock::Timestamp,
    store::{
        Batch, Cell, CellPage, CellQuery, Changes, Claim, Claims, Job, JobId, JobPage, JobQuery, LogPage,
        LogQuery, QueueCounts, Store, StreamInfo, StreamPage, StreamsPage, Verdict,
    },
    template::Names,
};

/// What precedes the name of a point on stdout.
const PASSED: &str = "point ";

/// The points that a child has passed, by name.
pub(crate) fn passed(stdout: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(stdout);
    text.lines().filter_map(|line| line.strip_prefix(PASSED)).map(str::to_owned).collect()
}

/// Counts the points of a process, and ends it at one of them.
#[derive(Debug)]
pub(crate) struct Points {
    next: AtomicUsize,
    end: Option<usize>,
}

impl Points {
    pub(crate) fn new(end: Option<usize>) -> Arc<Self> {
        Arc::new(Points { next: AtomicUsize::new(0), end })
    }

    fn pass(&self, name: &str) {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{PASSED}{name}").unwrap();
        stdout.flush().unwrap();
        if self.end == Some(number) {
            std::process::abort();
        }
    }
}

/// A store with a point before and after every write that moves a run on. What depends on the time only – leases that are
/// extended, progress – has none, so that the points are the same in every process.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) points: Arc<Points>,
}

fn name(batch: &Batch) -> Option<String> {
    let events = batch.appends.iter().flat_map(|append| &append.events);
    let name = |event: &renkei_core::store::NewEvent| {
        let path = Value::from_json(&event.data.bytes)
            .ok()
            .and_then(|data| Some(data.get("path")?.as_str()?.to_owned()));
        format!("{} {}", event.kind, path.unwrap_or_default()).trim().to_owned()
    };
    let names: Vec<String> = events.map(name).collect();
    (!names.is_empty()).then(|| names.join(" + "))
}

#[async_trait]
impl Store for Watched {
    async fn commit(&self, batch: Batch) -> Result<Verdict> {
        let name = name(&batch);
        if let Some(name) = &name {
            self.points.pass(&format!("before {name}"));
        }
        let verdict = self.store.commit(batch).await;
        if let Some(name) = &name {
            self.points.pass(&format!("after {name}"));
        }
        verdict
    }

    async fn claim(&self, claim: Claim) -> Result<Claims> {
        let claims = self.store.claim(claim).await?;
        if !claims.jobs.is_empty() {
            self.points.pass("after claim");
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

/// A system with a point before and after every call.
#[derive(Debug)]
pub(crate) struct WatchedSystem {
    pub(crate) system: Arc<dyn System>,
    pub(crate) points: Arc<Points>,
}

#[async_trait]
impl System for WatchedSystem {
    fn prepare(&self, op: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<PreparedOp> {
        self.system.prepare(op, names, d)
    }

    fn show(&self, request: &Request) -> Result<Value> {
        self.system.show(request)
    }

    async fn connect(&self, cx: &ConnectContext) -> Result<Connection> {
        let connection = self.system.connect(cx).await?;
        let watched = WatchedCall { call: connection.call, points: self.points.clone() };
        Ok(Connection { call: Arc::new(watched), ..connection })
    }
}

struct WatchedCall {
    call: Arc<dyn Call>,
    points: Arc<Points>,
}

impl fmt::Debug for WatchedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchedCall")
    }
}

#[async_trait]
impl Call for WatchedCall {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let name = self.system_word(request);
        self.points.pass(&format!("before call {name}"));
        let reply = self.call.call(cx, request).await;
        self.points.pass(&format!("after call {name}"));
        reply
    }
}

impl WatchedCall {
    /// The first word of what is written, which is the step's name; `read` for the others.
    fn system_word(&self, request: &Request) -> String {
        let texts = request.params.iter().flatten().filter_map(Value::as_str);
        let words = texts.filter_map(|text| text.split_once(' ').map(|(word, _)| word.to_owned()));
        words.into_iter().next().unwrap_or_else(|| "read".to_owned())
    }
}

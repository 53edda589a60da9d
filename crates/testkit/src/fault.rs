//! An HTTP server that misbehaves on demand, and tells afterwards what came over the wire.
//!
//! It speaks HTTP/1.1 on a free loopback port, straight on the socket: an HTTP library would repair
//! or refuse much of what tests have to send and see.

mod act;
mod read;

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use flate2::{Compression, write::GzEncoder};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use self::{
    act::{Next, act},
    read::read_request,
};

/// How long a test waits for something that must happen before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A whole answer with `content-length`.
    Reply { status: u16, headers: Vec<(String, String)>, body: Bytes },
    /// These bytes as they are, then the connection is closed: broken heads, bodies cut short.
    Raw(Bytes),
    /// These bytes as they are; the connection stays open for the next request.
    Keep(Bytes),
    /// Nothing, until the client goes away.
    Hang,
    /// Status, headers and `sent` of a body of `length` bytes, then nothing until the client goes away.
    HangInBody { length: usize, sent: Bytes },
    /// Closes the connection without an answer.
    Close,
    /// Resets the connection without an answer.
    Reset,
    /// A whole answer, one piece of the body a write.
    Trickle { content_type: String, pieces: Vec<Bytes> },
    /// A chunked body of `length` bytes of `x`, or as much as the client takes.
    Large { length: usize },
    /// To `CONNECT`: a tunnel to another server, as a proxy makes it.
    Tunnel { to: SocketAddr },
    /// A head that has no end: one header after the other, as long as the client takes them.
    EndlessHead,
    /// A body that has no end, a byte at a time.
    EndlessBody,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Answer::Reply { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub fn json(text: &str) -> Self {
        Self::body(200, "application/json", text.to_owned())
    }

    pub fn html(status: u16, text: &str) -> Self {
        Self::body(status, "text/html; charset=utf-8", text.to_owned())
    }

    pub fn body(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Answer::Reply {
            status,
            headers: vec![("content-type".into(), content_type.into())],
            body: body.into(),
        }
    }

    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).with("location", location)
    }

    /// `200` with a text of the type JSON, compressed with gzip.
    pub fn gzip(text: &[u8]) -> Self {
        Self::gzip_of(text, 1)
    }

    /// The same with the text `times` times. Never holds it unpacked.
    pub fn gzip_of(text: &[u8], times: usize) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..times {
            encoder.write_all(text).expect("memory takes all");
        }
        let packed = encoder.finish().expect("memory takes all");
        Self::body(200, "application/json", packed).with("content-encoding", "gzip")
    }

    /// Adds a header to a whole answer.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Answer::Reply { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }
}

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    /// The request target, byte for byte.
    pub target: String,
    /// In their order, names as sent.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// The head, from the request line to the empty line.
    pub head: Bytes,
}

impl Received {
    /// The value of the first header `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// All values of the header `name`.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = self.headers.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name));
        same.map(|(_, value)| &**value).collect()
    }

    /// The target up to its `?`.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// The target after its `?`.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }
}

#[derive(Debug, Default)]
struct State {
    scripts: Mutex<BTreeMap<String, Script>>,
    received: Mutex<Vec<Received>>,
}

/// What requests to one path get.
enum Script {
    List { answers: Vec<Answer>, next: usize },
    Each(Box<dyn Fn(&Received) -> Answer + Send>),
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

/// Counts that tests wait for.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    received: usize,
    abandoned: usize,
    connections: usize,
}

/// The server. It ends when it is dropped.
#[derive(Debug)]
pub struct FaultServer {
    address: SocketAddr,
    state: Arc<State>,
    counts: watch::Sender<Counts>,
    tasks: JoinSet<()>,
}

impl FaultServer {
    /// Starts on a free port. Paths without a script answer `200` with `{}`.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::<State>::default();
        let (counts, _) = watch::channel(Counts::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, state.clone(), counts.clone()));
        FaultServer { address, state, counts, tasks }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets what requests to `path` (without query) get: one answer each, the last one for ever.
    pub fn on(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        let answers: Vec<_> = answers.into_iter().collect();
        assert!(!answers.is_empty(), "a script needs an answer");
        lock(&self.state.scripts).insert(path.to_owned(), Script::List { answers, next: 0 });
    }

    /// Sets that each request to `path` (without query) gets the answer that `answer` finds for it.
    pub fn on_each(&self, path: &str, answer: impl Fn(&Received) -> Answer + Send + 'static) {
        lock(&self.state.scripts).insert(path.to_owned(), Script::Each(Box::new(answer)));
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state.received).clone()
    }

    /// The only request that came.
    pub fn only(&self) -> Received {
        let mut all = self.received();
        assert_eq!(all.len(), 1, "one request was expected: {all:#?}");
        all.remove(0)
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.counts.borrow().connections
    }

    /// Waits until `count` requests have come.
    pub async fn wait_received(&self, count: usize) {
        self.wait("requests", |counts| counts.received >= count).await;
    }

    /// Waits until the client has gone away from `count` requests before it had the whole answer.
    pub async fn wait_abandoned(&self, count: usize) {
        self.wait("abandoned requests", |counts| counts.abandoned >= count).await;
    }

    async fn wait(&self, what: &str, done: impl FnMut(&Counts) -> bool) {
        let mut counts = self.counts.subscribe();
        let waited = tokio::time::timeout(PATIENCE, counts.wait_for(done)).await;
        assert!(waited.is_ok(), "waited {PATIENCE:?} for {what}; so far {:?}", *self.counts.borrow());
    }

    /// Stops listening and closes all connections.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    /// A loopback address on which nobody listens: connections are refused.
    pub async fn refused() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        listener.local_addr().expect("a bound socket has an address")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<State>, counts: watch::Sender<Counts>) {
    // Owned here, so that the connections end with the server.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                counts.send_modify(|counts| counts.connections += 1);
                connections.spawn(serve(stream, state.clone(), counts.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>, counts: watch::Sender<Counts>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = BytesMut::new();
    while let Some(received) = read_request(&mut stream, &mut buffer).await {
        let head_only = received.method == "HEAD";
        let answer = next_answer(&state, &received);
        lock(&state.received).push(received);
        counts.send_modify(|counts| counts.received += 1);
        match act(&mut stream, answer, head_only).await {
            Next::Serve => {}
            Next::Close => return,
            Next::Abandoned => {
                counts.send_modify(|counts| counts.abandoned += 1);
                return;
            }
        }
    }
}

fn next_answer(state: &State, received: &Received) -> Answer {
    match lock(&state.scripts).get_mut(received.path()) {
        Some(Script::List { answers, next }) => {
            let at = (*next).min(answers.len() - 1);
            *next += 1;
            answers[at].clone()
        }
        Some(Script::Each(answer)) => answer(received),
        None => Answer::json("{}"),
    }
}

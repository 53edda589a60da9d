//! An HTTP server that misbehaves on demand, and tells afterwards what came over the wire.
//!
//! It speaks HTTP/1.1 on a free loopback port, straight on the socket: an HTTP library would repair
//! or refuse much of what tests have to send and see.

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
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// How long a test waits for something that must happen before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);
/// A request larger than this is a fault of the test.
const MAX_REQUEST: usize = 64 << 20;

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
    /// Status, headers and `sent` of a body of `length` bytes, then a reset.
    ResetInBody { length: usize, sent: Bytes },
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

enum Next {
    Serve,
    Close,
    Abandoned,
}

async fn act(stream: &mut TcpStream, answer: Answer, head_only: bool) -> Next {
    let json = |length: usize| head(200, &[("content-type".into(), "application/json".into())], Some(length));
    match answer {
        Answer::Reply { status, headers, body } => {
            let mut out = head(status, &headers, Some(body.len()));
            if !head_only {
                out.extend_from_slice(&body);
            }
            if stream.write_all(&out).await.is_err() { Next::Abandoned } else { Next::Serve }
        }
        Answer::Raw(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            Next::Close
        }
        Answer::Keep(bytes) => {
            if stream.write_all(&bytes).await.is_err() {
                Next::Abandoned
            } else {
                Next::Serve
            }
        }
        Answer::Hang => {
            until_gone(stream).await;
            Next::Abandoned
        }
        Answer::HangInBody { length, sent } => {
            let _ = stream.write_all(&[&json(length)[..], &sent].concat()).await;
            until_gone(stream).await;
            Next::Abandoned
        }
        Answer::ResetInBody { length, sent } => {
            let _ = stream.write_all(&[&json(length)[..], &sent].concat()).await;
            reset(stream)
        }
        Answer::Close => Next::Close,
        Answer::Reset => reset(stream),
        Answer::Trickle { content_type, pieces } => {
            let length = pieces.iter().map(Bytes::len).sum();
            let mut parts =
                vec![Bytes::from(head(200, &[("content-type".into(), content_type)], Some(length)))];
            parts.extend(pieces);
            for part in parts {
                if stream.write_all(&part).await.is_err() {
                    return Next::Abandoned;
                }
                tokio::task::yield_now().await;
            }
            Next::Serve
        }
        Answer::Large { length } => large(stream, length).await,
        Answer::Tunnel { to } => {
            if let Ok(mut other) = TcpStream::connect(to).await
                && stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_ok()
            {
                let _ = tokio::io::copy_bidirectional(stream, &mut other).await;
            }
            Next::Close
        }
        Answer::EndlessHead => endless(stream, "HTTP/1.1 200 OK\r\n", "x-flood: more and more\r\n").await,
        Answer::EndlessBody => {
            endless(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n").await
        }
    }
}

/// `start`, then `piece` for ever, each a write of its own.
async fn endless(stream: &mut TcpStream, start: &str, piece: &str) -> Next {
    let mut next = start;
    while stream.write_all(next.as_bytes()).await.is_ok() {
        tokio::task::yield_now().await;
        next = piece;
    }
    Next::Abandoned
}

async fn large(stream: &mut TcpStream, length: usize) -> Next {
    const CHUNK: usize = 64 << 10;
    let headers = [
        ("content-type".to_owned(), "text/plain".to_owned()),
        ("transfer-encoding".to_owned(), "chunked".to_owned()),
    ];
    if stream.write_all(&head(200, &headers, None)).await.is_err() {
        return Next::Abandoned;
    }
    let filler = vec![b'x'; CHUNK];
    let mut left = length;
    while left > 0 {
        let size = left.min(CHUNK);
        let chunk = [format!("{size:x}\r\n").as_bytes(), &filler[..size], b"\r\n"].concat();
        if stream.write_all(&chunk).await.is_err() {
            return Next::Abandoned;
        }
        left -= size;
    }
    if stream.write_all(b"0\r\n\r\n").await.is_err() { Next::Abandoned } else { Next::Serve }
}

fn reset(stream: &mut TcpStream) -> Next {
    // With no time to linger, closing sends a reset instead of a FIN.
    let _ = stream.set_zero_linger();
    Next::Close
}

async fn until_gone(stream: &mut TcpStream) {
    let mut scratch = [0; 1024];
    while matches!(stream.read(&mut scratch).await, Ok(read) if read > 0) {}
}

fn head(status: u16, headers: &[(String, String)], length: Option<usize>) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in headers {
        out += &format!("{name}: {value}\r\n");
    }
    if let Some(length) = length.filter(|_| status != 204 && status != 304) {
        out += &format!("content-length: {length}\r\n");
    }
    out += "\r\n";
    out.into_bytes()
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Unknown")
}

/// Reads one request; nothing when the client closed the connection or sent none that makes sense.
async fn read_request(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<Received> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, buffer).await?;
        // A TLS handshake, for one: waiting for an empty line would be for ever.
        if !buffer[0].is_ascii_alphabetic() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
            return None;
        }
    };
    let head = buffer.split_to(end).freeze();
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut received = Received { method, target, headers, body: Bytes::new(), head };
    received.body = if received.header("transfer-encoding").is_some() {
        read_chunks(stream, buffer).await?
    } else {
        let length = received.header("content-length").map_or(Some(0), |text| text.parse().ok())?;
        read_exact(stream, buffer, length).await?
    };
    Some(received)
}

async fn read_chunks(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<Bytes> {
    let mut body = BytesMut::new();
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(2).position(|window| window == b"\r\n") {
                break at;
            }
            more(stream, buffer).await?;
        };
        let line = buffer.split_to(end + 2);
        let size = usize::from_str_radix(std::str::from_utf8(&line[..end]).ok()?.trim(), 16).ok()?;
        let chunk = read_exact(stream, buffer, size + 2).await?;
        if size == 0 {
            return Some(body.freeze());
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

async fn read_exact(stream: &mut TcpStream, buffer: &mut BytesMut, length: usize) -> Option<Bytes> {
    while buffer.len() < length {
        more(stream, buffer).await?;
    }
    Some(buffer.split_to(length).freeze())
}

async fn more(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<()> {
    let read = stream.read_buf(buffer).await.ok()?;
    (read > 0 && buffer.len() <= MAX_REQUEST).then_some(())
}

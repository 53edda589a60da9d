//! A tiny REST service for the tools under test: it answers, refuses, breaks, and hangs on purpose,
//! and can tell whether the client of a hanging request went away.
//!
//! HTTP/1.1 by hand on threads: it must be cheap enough to measure beside, and it sees a closed
//! connection at once, which frameworks hide.

use std::{
    collections::BTreeMap,
    fmt,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Result;

/// How long `/hang/ID/entered` and `/hang/ID/left` wait for it to come true.
const WAIT_LIMIT: Duration = Duration::from_secs(10);
const BODY_LIMIT: usize = 1 << 20;

pub(crate) struct StandIn {
    address: SocketAddr,
}

impl StandIn {
    /// Serves on a free port of the loopback interface until the process ends.
    pub(crate) fn start() -> Result<StandIn> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let hangs = Arc::new(Hangs::default());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hangs = hangs.clone();
                thread::spawn(move || {
                    // A client that goes away in the middle is a normal end.
                    let _ = serve(stream, &hangs);
                });
            }
        });
        Ok(StandIn { address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl fmt::Debug for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandIn").field("address", &self.address).finish()
    }
}

/// Which hanging requests came and which of their clients went.
#[derive(Default)]
struct Hangs {
    /// True once the client went away.
    left: Mutex<BTreeMap<String, bool>>,
    changed: Condvar,
}

impl Hangs {
    fn set(&self, id: &str, left: bool) {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), left);
        self.changed.notify_all();
    }

    /// Whether it has come (`left` false) or gone (`left` true) within the limit.
    fn wait(&self, id: &str, left: bool) -> bool {
        let states = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |states: &mut BTreeMap<String, bool>| match states.get(id) {
            Some(gone) => left && !gone,
            None => true,
        };
        let waited = self.changed.wait_timeout_while(states, WAIT_LIMIT, waiting);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

struct Request {
    method: String,
    path: String,
    keep_alive: bool,
}

fn serve(stream: TcpStream, hangs: &Hangs) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader)? {
        let segments: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
        let (status, body) = match (request.method.as_str(), segments.as_slice()) {
            ("GET", ["hang", id]) => {
                hangs.set(id, false);
                // Nothing more is to come: whatever ends this read is the client leaving.
                let _ = reader.read(&mut [0; 1]);
                hangs.set(id, true);
                return Ok(());
            }
            ("GET", ["hang", id, "entered"]) => (200, format!(r#"{{"entered":{}}}"#, hangs.wait(id, false))),
            ("GET", ["hang", id, "left"]) => (200, format!(r#"{{"left":{}}}"#, hangs.wait(id, true))),
            ("GET", ["items", "1"]) => (200, r#"{"id":1,"name":"lamp","price":12.5}"#.to_owned()),
            ("GET", ["items", id]) => (404, format!(r#"{{"error":"no item {id}"}}"#)),
            ("GET", ["stock", id]) => {
                let id: u32 = id.parse().unwrap_or_default();
                (200, format!(r#"{{"id":{id},"name":"lamp-{id:04}","price":{id}.5}}"#))
            }
            ("GET", ["slow", ms]) => {
                let ms: u64 = ms.parse().unwrap_or_default();
                take(Duration::from_millis(ms).min(WAIT_LIMIT));
                (200, format!(r#"{{"ms":{ms}}}"#))
            }
            ("GET", ["broken"]) => (500, r#"{"error":"the warehouse is on fire"}"#.to_owned()),
            _ => (404, r#"{"error":"no such path"}"#.to_owned()),
        };
        let reason = if status == 200 { "OK" } else { "Error" };
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        writer.write_all((head + &body).as_bytes())?;
        if !request.keep_alive {
            break;
        }
    }
    Ok(())
}

/// Answers late, as a slow backend does.
#[expect(clippy::disallowed_methods, reason = "the thread belongs to this connection alone")]
fn take(time: Duration) {
    thread::sleep(time);
}

/// The next request with its body skipped; nothing at the end of the connection.
fn read_request(reader: &mut BufReader<TcpStream>) -> Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let mut request = Request { method, path, keep_alive: true };
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse::<usize>()?.min(BODY_LIMIT),
            "connection" => request.keep_alive = !value.trim().eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    Ok(Some(request))
}

//! A system outside of the process under test: it counts effects by their key, and can hold its answers back.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What came in.
#[derive(Default)]
struct Book {
    /// By key: the body of the first request, and how often it came.
    effects: BTreeMap<String, (Value, usize)>,
    /// All requests.
    count: usize,
    /// The answer to this request, and to all after it, is held back.
    held_from: Option<usize>,
}

pub(crate) struct Ledger {
    pub(crate) url: String,
    book: Arc<(Mutex<Book>, Condvar)>,
}

impl Ledger {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let book = Arc::new((Mutex::new(Book::default()), Condvar::new()));
        let kept = book.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let book = kept.clone();
                thread::spawn(move || serve(stream, &book));
            }
        });
        Ledger { url, book }
    }

    /// Waits until so many requests have come in.
    pub(crate) fn wait_for(&self, count: usize) {
        let (book, changed) = &*self.book;
        let waited =
            changed.wait_timeout_while(book.lock().unwrap(), PATIENCE, |book| book.count < count).unwrap();
        assert!(!waited.1.timed_out(), "{} of {count} requests came in", waited.0.count);
    }

    pub(crate) fn count(&self) -> usize {
        self.book.0.lock().unwrap().count
    }

    /// From the request with this number on, nobody gets an answer; nothing to let all go on.
    pub(crate) fn hold_from(&self, count: Option<usize>) {
        self.book.0.lock().unwrap().held_from = count;
        self.book.1.notify_all();
    }

    /// By key: the body, and how often it came.
    pub(crate) fn effects(&self) -> BTreeMap<String, (Value, usize)> {
        self.book.0.lock().unwrap().effects.clone()
    }
}

/// One request a connection: a `POST` of JSON with a `key`.
fn serve(stream: TcpStream, shared: &(Mutex<Book>, Condvar)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let key = body["key"].as_str().unwrap_or_default().to_owned();
    let (book, changed) = shared;
    let mut book = book.lock().unwrap();
    book.count += 1;
    let number = book.count;
    let seen = book.effects.entry(key.clone()).or_insert_with(|| (body.clone(), 0));
    seen.1 += 1;
    assert_eq!(seen.0, body, "a repeat says the same");
    changed.notify_all();
    let held = changed
        .wait_timeout_while(book, PATIENCE, |book| book.held_from.is_some_and(|from| number >= from))
        .unwrap();
    drop(held);
    let answer = json!({ "receipt": key }).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        answer.len()
    );
    // Whoever asked may be gone.
    let _ = (&stream).write_all((head + &answer).as_bytes());
}

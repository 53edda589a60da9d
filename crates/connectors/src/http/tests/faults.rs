//! What a server can do wrong, and what becomes of it: kind, whether to retry, whether it was applied, and what
//! everybody is told. One line a fault, and the whole as a snapshot, so that every change shows.
//!
//! Each is tried with a read and with a write, with the layers around, so that nothing lasts longer than the
//! deadline. That the memory stays flat is in `tests/memory.rs`.

use std::{fmt::Write as _, net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{Applied, Background, Call, Diagnostics, Error, Reply, connector::SystemPlan};
use renkei_testkit::fault::{Answer, FaultServer};

use super::{
    HttpSystem, Lookup, Stub, context, json, node, prepare, read_system, request, system_at, value, within,
};

/// Long enough for a machine that is busy.
const PATIENT: &str = "20s";
/// For faults that only the deadline ends: long enough to have sent the request on a machine that is busy.
const SHORT: &str = "2s";

/// The call as a pattern makes it: with the deadline, but one try, so that its advice is seen.
fn layered(system: &HttpSystem, lookup: Arc<dyn Lookup>, attempt: &str) -> Arc<dyn Call> {
    let config =
        format!(r#"{{"timeout": {{"attempt": "{attempt}", "total": "60s"}}, "retry": {{"attempts": 1}}}}"#);
    let mut d = Diagnostics::default();
    let layers = renkei_layers::LAYERS.read(&node(&config), &mut d);
    assert!(d.is_empty(), "{:?}", super::texts(&d));
    let connection = system.connect_with(lookup, &within(Duration::from_secs(5))).unwrap();
    let system = Arc::new(HttpSystem { name: system.name.clone(), config: system.config.clone() });
    let plan = SystemPlan { name: "shop".into(), kind: "http", system, layers, fingerprint: 0 };
    plan.layers.start(&plan, Arc::new(Nothing)).around(connection.call)
}

/// Nothing is cached, so nothing goes on when the call has ended.
struct Nothing;

impl Background for Nothing {
    fn run(&self, _: Pin<Box<dyn Future<Output = ()> + Send>>) {
        panic!("work was left behind");
    }
}

async fn ask(system: &HttpSystem, call: &Arc<dyn Call>, op: &str) -> Result<Reply, Error> {
    call.call(&context(), &request(prepare(system, op), value("{}")).unwrap()).await
}

fn told(out: &mut String, op: &str, result: Result<Reply, Error>, ports: &[u16]) {
    let line = match result {
        Ok(reply) => match reply.value {
            renkei_core::Payload::Json(value) if value.to_json().len() > 60 => "a long value".to_owned(),
            renkei_core::Payload::Json(value) => format!("gives {value}"),
            renkei_core::Payload::Blob { bytes, mime_type } => {
                format!("gives {} bytes of {mime_type}", bytes.len())
            }
        },
        Err(error) => format!(
            "{}, retry {:?}, applied {}: {error}",
            error.kind(),
            error.retry_advice(),
            error.was_applied().as_str()
        ),
    };
    let line = ports.iter().fold(line, |line, port| line.replace(&port.to_string(), "PORT"));
    let _ = writeln!(out, "  {op}: {line}");
}

fn raw(text: impl Into<bytes::Bytes>) -> Answer {
    Answer::Raw(text.into())
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

/// What a server does, in the order of the list that it is known by.
fn faults() -> Vec<(&'static str, Answer)> {
    let page = "<!doctype html><html><head><title>Sign in</title></head><body>…</body></html>";
    let pieces = r#"{"a": "byte by byte"}"#.bytes().map(|byte| bytes::Bytes::from(vec![byte])).collect();
    let flood = |count: usize, value: &str| {
        let headers: String = (0..count).map(|at| format!("x-{at}: {value}\r\n")).collect();
        raw(format!("{OK}{headers}content-length: 2\r\n\r\n{{}}"))
    };
    vec![
        ("hangs before the answer", Answer::Hang),
        ("hangs inside the body", Answer::HangInBody { length: 100, sent: "{\"a\": ".into() }),
        ("closes without an answer", Answer::Close),
        ("resets the connection", Answer::Reset),
        ("resets inside the body", Answer::ResetInBody { length: 100, sent: "{\"a\": ".into() }),
        ("trickles byte by byte", Answer::Trickle { content_type: "application/json".into(), pieces }),
        ("trickles for ever", Answer::EndlessBody),
        ("sends 100 MB", Answer::Large { length: 100 << 20 }),
        ("calls a page JSON", Answer::body(200, "application/json", page)),
        ("sends a page with 200", Answer::html(200, page)),
        ("calls JSON an image", Answer::body(200, "image/png", "{}")),
        ("calls nothing anything", raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")),
        ("breaks its JSON off", Answer::json(r#"{"a": [1, 2"#)),
        ("nests its JSON endlessly", Answer::json(&"[".repeat(200_000))),
        ("answers 500 with a page", Answer::html(500, page)),
        ("answers 502 with nothing", Answer::status(502)),
        ("answers 503 and when to come back", Answer::status(503).with("Retry-After", "120")),
        ("answers 429", Answer::status(429)),
        ("answers 429 and when to come back", Answer::status(429).with("Retry-After", "7")),
        ("answers 429 and nonsense", Answer::status(429).with("Retry-After", "soon")),
        ("answers 1xx for ever", raw("HTTP/1.1 100 Continue\r\n\r\n".repeat(5_000))),
        ("answers with a status that is none", raw("HTTP/1.1 999 Whatever\r\ncontent-length: 0\r\n\r\n")),
        ("speaks something else", raw("SSH-2.0-OpenSSH_9.9\r\n")),
        ("breaks off a chunked body", raw(format!("{OK}transfer-encoding: chunked\r\n\r\n5\r\n{{\"a\""))),
        ("breaks off between chunks", raw(format!("{OK}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n"))),
        (
            "sends a chunk of no size",
            raw(format!("{OK}transfer-encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n")),
        ),
        ("sends 5,000 headers", flood(5_000, "a")),
        ("sends 90 headers of 10 KB", flood(90, &"a".repeat(10_000))),
        ("sends headers for ever", Answer::EndlessHead),
        ("promises more than it sends", raw(format!("{OK}content-length: 100\r\n\r\n{{}}"))),
        ("promises a length that is none", raw(format!("{OK}content-length: -1\r\n\r\n{{}}"))),
        ("promises two lengths", raw(format!("{OK}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}} "))),
        ("promises more than there is", raw(format!("{OK}content-length: 99999999999999999999\r\n\r\n{{}}"))),
        ("sends a gzip bomb", Answer::gzip_of(&[b' '; 1 << 10], 100 << 10)),
        ("sends a gzip bomb as an error", bomb_with(503)),
        ("breaks off its gzip", cut_gzip()),
        ("calls gzip what is none", Answer::json("{}").with("content-encoding", "gzip")),
        ("packs in an unknown way", Answer::json("{}").with("content-encoding", "compress")),
    ]
}

fn bomb_with(code: u16) -> Answer {
    match Answer::gzip_of(&[b' '; 1 << 10], 100 << 10) {
        Answer::Reply { headers, body, .. } => Answer::Reply { status: code, headers, body },
        other => other,
    }
}

fn cut_gzip() -> Answer {
    let text: String = (0..2_000).map(|at| at.to_string()).collect();
    match Answer::gzip(format!("[{text}]").as_bytes()) {
        Answer::Reply { status, headers, body } => {
            let half = body.slice(..body.len() / 2);
            Answer::Reply { status, headers, body: half }
        }
        other => other,
    }
}

#[tokio::test]
async fn what_a_server_can_do_wrong() {
    let all = faults().into_iter().map(|(name, answer)| async move {
        let server = FaultServer::start().await;
        server.on("/a", [answer.clone()]);
        let ends = matches!(answer, Answer::Hang | Answer::HangInBody { .. } | Answer::EndlessBody);
        let mut out = format!("{name}\n");
        for op in ["GET /a", "POST /a"] {
            let system = system_at(&server.url(), r#""max_body": "1MB""#);
            let call = layered(&system, Stub::new([]), if ends { SHORT } else { PATIENT });
            let result = ask(&system, &call, op).await;
            if op.starts_with("GET")
                && let Err(error) = &result
            {
                assert_eq!(error.was_applied(), Applied::No, "{name}: what reads has nothing to apply");
            }
            told(&mut out, op, result, &[server.address().port()]);
        }
        out
    });
    let all = futures_util::future::join_all(all).await.concat();
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let address = FaultServer::refused().await;
    let mut out = String::new();
    for (base_url, lookup) in [
        (format!("http://{address}"), Stub::new([])),
        (format!("http://upstream.test:{}", address.port()), Stub::new([("127.0.0.1", "upstream.test")])),
        ("http://nobody.test".to_owned(), Stub::new([])),
    ] {
        let system = system_at(&base_url, "");
        let call = layered(&system, lookup, PATIENT);
        for op in ["GET /a", "POST /a"] {
            told(&mut out, op, ask(&system, &call, op).await, &[address.port()]);
        }
    }
    insta::assert_snapshot!(out);
}

/// Answers one address after the other, as a name server does that wants us inside.
#[derive(Debug)]
struct Changing(std::sync::Mutex<Vec<&'static str>>);

#[async_trait]
impl Lookup for Changing {
    async fn lookup(&self, _: &str) -> Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let mut left = self.0.lock().unwrap();
        let next = if left.len() > 1 { left.remove(0) } else { left[0] };
        Ok(vec![next.parse().unwrap()])
    }
}

/// The address that was checked is the one that is connected to: between the two nobody is asked again.
#[tokio::test]
async fn a_name_whose_address_changes_leads_nowhere_inside() {
    let inside = FaultServer::start().await;
    let port = inside.address().port();
    let system = read_system(&format!(r#"{{"base_url": "http://upstream.test:{port}"}}"#));
    for answers in
        [vec!["127.0.0.1"], vec!["10.0.0.1", "127.0.0.1"], vec!["::ffff:127.0.0.1"], vec!["169.254.169.254"]]
    {
        let count = answers.len();
        let call = layered(&system, Arc::new(Changing(answers.into())), PATIENT);
        for _ in 0..=count {
            let error = ask(&system, &call, "GET /a").await.unwrap_err();
            assert_eq!(error.kind(), renkei_core::Kind::Forbidden, "{error}");
        }
    }
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn a_redirect_inside_leads_nowhere() {
    let inside = FaultServer::start().await;
    let home = FaultServer::start().await;
    let (port, own) = (inside.address().port(), home.address().port());
    let mut out = String::new();
    // The guard knows literal addresses before anything is resolved, and names when they are.
    for location in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://[::ffff:7f00:1]:{port}/"),
        format!("http://localhost:{port}/"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        home.on("/a", [Answer::redirect(302, &location)]);
        let system = read_system(&format!(r#"{{"base_url": "http://upstream.test:{own}", "redirects": 3}}"#));
        // The name of the first host may be inside, as that of a proxy may; the redirect may not.
        let call = super::network::beyond_the_guard(&system);
        told(&mut out, &format!("to {location}"), ask(&system, &call, "GET /a").await, &[port, own]);
    }
    insta::assert_snapshot!(out.replace(&port.to_string(), "PORT"));
    assert_eq!(inside.connections(), 0);
}

/// More than was promised must not become the answer to the next request on the same connection.
#[tokio::test]
async fn what_is_left_of_an_answer_is_not_the_next_one() {
    let smuggled = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 6\r\n\r\n\"evil\"";
    for rest in [smuggled, "garbage"] {
        let server = FaultServer::start().await;
        server.on("/a", [Answer::Keep(format!("{OK}content-length: 6\r\n\r\n\"good\"{rest}").into())]);
        server.on("/b", [Answer::json("\"right\"")]);
        let system = system_at(&server.url(), "");
        let call = layered(&system, Stub::new([]), PATIENT);
        for _ in 0..5 {
            assert_eq!(json(ask(&system, &call, "GET /a").await).as_str(), Some("good"));
            match ask(&system, &call, "GET /b").await {
                Ok(reply) => assert_eq!(json(Ok(reply)).as_str(), Some("right")),
                Err(error) => assert_eq!(error.kind(), renkei_core::Kind::Unavailable, "{error}"),
            }
        }
    }
}

#[tokio::test]
async fn packed_answers_are_unpacked() {
    let zstd: &[u8] = &[
        0x28, 0xb5, 0x2f, 0xfd, 0x24, 0x1a, 0xad, 0, 0, 0x78, 0x7b, 0x22, 0x61, 0x22, 0x3a, 0x20, 0x22, 0x68,
        0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x22, 0x7d, 1, 0, 0x31, 0xca, 0x17, 0x99, 0xe9, 0x67, 0x79,
    ];
    let brotli = b"\x8b\x0c\x80{\"a\": \"hello hello hello\"}\x03";
    let text = r#"{"a":"hello hello hello"}"#;
    for (encoding, answer) in [
        ("gzip", Answer::gzip(br#"{"a": "hello hello hello"}"#)),
        ("zstd", Answer::body(200, "application/json", zstd).with("content-encoding", "zstd")),
        ("br", Answer::body(200, "application/json", &brotli[..]).with("content-encoding", "br")),
    ] {
        let server = FaultServer::start().await;
        server.on("/", [answer.clone()]);
        let reply = super::call(&server, "GET /", "{}").await;
        assert_eq!(json(reply).to_json(), text, "{encoding}");
        let seen = server.only();
        assert!(seen.header("accept-encoding").unwrap().contains(encoding), "{seen:?}");
        // A body that is none is not unpacked.
        assert!(json(super::call(&server, "HEAD /", "{}").await).is_null(), "{encoding}");
        // Who does not want it does not ask for it.
        let error = super::call_with(&server, r#""compression": false"#, "GET /", "{}").await.unwrap_err();
        assert!(error.public().contains(&format!("the encoding `{encoding}`")), "{error}");
        assert_eq!(server.received().pop().unwrap().header("accept-encoding"), None);
    }
    for status in [204, 304] {
        let server = FaultServer::start().await;
        server.on("/", [Answer::status(status).with("content-encoding", "gzip")]);
        assert!(json(super::call(&server, "GET /", "{}").await).is_null(), "{status}");
    }
}

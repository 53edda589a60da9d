//! Whatever a server sends, bytes and all, becomes a reply or an error, within its limits.

use std::{
    collections::VecDeque,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use renkei_connectors::CONNECTORS;
use renkei_core::{
    CallContext, ConnectContext, Diagnostics, Entry, Node, NodeKind, Payload, PreparedOp, Principal, Reply,
    Request, Scope, Span, System, Value, template::Names,
};
use tokio::{runtime::Runtime, time::Instant};

use super::text_node;

/// Of one reply, unpacked.
const MAX_BODY: usize = 16 * 1024;
/// Between two replies of one input.
const NEXT_REPLY: &[u8] = b"\n=====\n";
/// Everything is on this machine, and the server never waits: whatever takes so long hangs.
const TOO_LONG: Duration = Duration::from_secs(10);

/// What is asked; the first byte of an input chooses one.
const OPERATIONS: [&str; 8] = [
    r#"{"get": "/a"}"#,
    r#"{"get": "/a", "as": "text"}"#,
    r#"{"get": "/a", "as": "bytes"}"#,
    r#"{"get": "/a", "as": "json", "errors": {"404": "not_found"}}"#,
    r#"{"get": "/a", "pages": {"number": "page", "max_pages": 4, "max_items": 20}}"#,
    r#"{"get": "/a", "pages": {"cursor": "after", "next": "${$result.next}", "items": "${$result.data}", "max_pages": 4}}"#,
    r#"{"get": "/a", "pages": "link"}"#,
    r#"{"get": "/a", "pages": {"next_url": "${$result.next}", "items": "${$result.data}", "total": "${$result.total}", "max_pages": 4}}"#,
];

/// The first byte chooses: after a digit comes what goes over the wire, `=====` on a line between two replies; after a
/// letter, a body of JSON in a reply that is as it should be.
pub(crate) fn check(data: &[u8]) {
    let Some((way, rest)) = data.split_first() else { return };
    if way & 0x40 != 0 {
        return as_json(rest);
    }
    let replies: VecDeque<Vec<u8>> = split(rest, NEXT_REPLY).map(<[u8]>::to_vec).collect();
    let Ok(reply) = ask(usize::from(way & 7), replies) else { return };
    match &reply.value {
        Payload::Json(value) => assert!(value.to_json().len() <= 8 * MAX_BODY, "larger than its limit"),
        Payload::Blob { bytes, .. } => assert!(bytes.len() <= MAX_BODY, "larger than its limit"),
    }
    if let Some(Ok(page)) = &reply.page {
        assert!(page.items.len() <= MAX_BODY, "more items than bytes");
    }
}

/// A body of JSON is the value that it is, with every digit, or an error.
fn as_json(body: &[u8]) {
    let mut reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    reply.extend_from_slice(body);
    let outcome = ask(0, VecDeque::from([reply]));
    let expected = if body.is_empty() { Some(Value::Null) } else { Value::from_json(body).ok() };
    let expected = expected.filter(|_| body.len() <= MAX_BODY);
    match (outcome, expected) {
        (Ok(Reply { value: Payload::Json(value), .. }), Some(expected)) => {
            assert_eq!(value.to_json(), expected.to_json());
        }
        (Err(_), None) => {}
        (outcome, expected) => panic!("{outcome:?} is not {expected:?}"),
    }
}

fn split<'a>(text: &'a [u8], mark: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let at = text.windows(mark.len()).position(|window| window == mark);
        rest = at.map(|at| &text[at + mark.len()..]);
        Some(at.map_or(text, |at| &text[..at]))
    })
}

/// Everything that is made once.
struct Stage {
    runtime: Runtime,
    system: Arc<dyn System>,
    operations: Vec<Arc<PreparedOp>>,
    replies: Arc<Mutex<VecDeque<Vec<u8>>>>,
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let replies = Arc::<Mutex<VecDeque<Vec<u8>>>>::default();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port of the loopback");
        let address = listener.local_addr().expect("it is bound");
        thread::spawn({
            let replies = replies.clone();
            move || {
                for stream in listener.incoming().flatten() {
                    let reply = replies.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    answer(stream, &reply.unwrap_or_default());
                }
            }
        });
        let config =
            format!(r#"{{"base_url": "http://{address}/v1", "private": true, "max_body": "16KiB"}}"#);
        let kind = CONNECTORS.iter().find(|kind| kind.name() == "http").expect("it is one of the connectors");
        let mut d = Diagnostics::default();
        let system = kind.read("shop", &node(&config), &mut d).unwrap_or_else(|| panic!("{d:?}"));
        let vars = ["result", "result_meta"].map(Into::into).into();
        let names = Names { vars, ..Names::default() };
        let prepare = |op: &&str| {
            let mut d = Diagnostics::default();
            Arc::new(system.prepare(&node(op), &names, &mut d).unwrap_or_else(|| panic!("{op}: {d:?}")))
        };
        let operations = OPERATIONS.iter().map(prepare).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Stage { runtime: runtime.expect("the machine has what a runtime needs"), system, operations, replies }
    })
}

/// Reads a request, sends these bytes, and hangs up.
fn answer(mut stream: TcpStream, reply: &[u8]) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
    // A client that has seen enough may be gone.
    let _ = stream.write_all(reply);
    let _ = stream.shutdown(Shutdown::Both);
}

/// Asks on a connection of its own; of pages, as many as the operation allows.
fn ask(operation: usize, replies: VecDeque<Vec<u8>>) -> renkei_core::Result<Reply> {
    let stage = stage();
    let asked = replies.len();
    *stage.replies.lock().unwrap_or_else(PoisonError::into_inner) = replies;
    stage.runtime.block_on(async {
        let work = async {
            let connection = stage.system.connect(&ConnectContext::new("/")).await?;
            let op = stage.operations[operation].clone();
            let effect = op.effect;
            let mut request = Request {
                op,
                params: Arc::from([]),
                effect,
                key: None,
                vars: Arc::new(Scope::default()),
                page: None,
            };
            let mut last = None;
            for _ in 0..asked.min(4) {
                let deadline = Instant::now() + 2 * TOO_LONG;
                let cx = CallContext::new(deadline, Arc::new(Principal::anonymous()));
                let reply = connection.call.call(&cx, &request).await?;
                let next = reply.page.as_ref().and_then(|page| page.as_ref().ok()?.next.clone());
                last = Some(reply);
                match next {
                    Some(next) => request.page = Some(next),
                    None => break,
                }
            }
            last.ok_or_else(|| renkei_core::Error::internal("nothing was asked"))
        };
        tokio::time::timeout(TOO_LONG, work).await.expect("an answer, since the server hung up")
    })
}

/// JSON as a tree of the config.
fn node(json: &str) -> Node {
    from_value(&Value::from_json(json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}")))
}

fn from_value(value: &Value) -> Node {
    let kind = match value {
        Value::Null => NodeKind::Null,
        Value::Bool(flag) => NodeKind::Bool(*flag),
        Value::Number(number) => NodeKind::Number(number.clone()),
        Value::String(text) => return text_node(text),
        Value::Array(items) => NodeKind::Seq(items.iter().map(from_value).collect()),
        Value::Object(map) => NodeKind::Map(
            map.iter()
                .map(|(key, value)| Entry {
                    key: key.clone(),
                    key_span: Span::default(),
                    value: from_value(value),
                })
                .collect(),
        ),
    };
    Node { kind, span: Span::default() }
}

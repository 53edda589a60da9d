//! A system that sends far more than is wanted costs no more memory than what is wanted: 100 MB as they are, and
//! 100 MB that were packed into 100 KB.
//!
//! What counts is the largest resident size that the kernel saw, so this is a process of its own with one test,
//! and Linux only.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "whatever fails here fails the test")]

use std::{fs, sync::Arc, time::Duration};

use renkei_connectors::http::Http;
use renkei_core::{
    Call, CallContext, ConnectContext, ConnectorKind as _, Diagnostics, Entry, Kind, Node, NodeKind,
    Principal, Reply, Request, Result, Scope, Span, System, Value, node::Text, template::Names,
};
use renkei_testkit::fault::{Answer, FaultServer};
use tokio::time::Instant;

const MB: usize = 1 << 20;
/// `max_body` is 1 MB; buffers of the kernel's and the client's own, and what the allocator keeps, come on top.
const ALLOWED: usize = 12 * MB;

fn text(text: &str) -> Node {
    Node { kind: NodeKind::String(Text::new(text)), span: Span::default() }
}

fn system(url: &str) -> Arc<dyn System> {
    let entry = |key: &str, value| Entry { key: key.into(), key_span: Span::default(), value };
    let flag = Node { kind: NodeKind::Bool(true), span: Span::default() };
    let config = vec![entry("base_url", text(url)), entry("private", flag), entry("max_body", text("1MB"))];
    let mut d = Diagnostics::default();
    let system = Http.read("shop", &Node { kind: NodeKind::Map(config), span: Span::default() }, &mut d);
    assert!(d.is_empty());
    system.unwrap()
}

fn request(system: &dyn System, op: &str) -> Request {
    let op = system.prepare(&text(op), &Names::default(), &mut Diagnostics::default()).unwrap();
    let (effect, vars) = (op.effect, Arc::new(Scope::new(Value::object())));
    let params = op.slots.iter().map(|slot| slot.render(&vars).unwrap()).collect::<Vec<_>>().into();
    Request { op: Arc::new(op), params, effect, key: None, vars, page: None }
}

/// A line of `/proc/self/status`, in bytes.
fn status(key: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<usize>().unwrap() << 10
}

async fn ask(system: &dyn System, call: &dyn Call, op: &str) -> Result<Reply> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let cx = CallContext::new(deadline, Arc::new(Principal::anonymous()));
    call.call(&cx, &request(system, op)).await
}

#[tokio::test]
async fn memory_stays_flat() {
    let server = FaultServer::start().await;
    server.on("/large", [Answer::Large { length: 100 * MB }]);
    server.on("/bomb", [Answer::gzip_of(&[b' '; 1 << 10], 100 << 10)]);
    server.on("/small", [Answer::gzip(b"[1]")]);
    let system = system(&server.url());
    let call = system.connect(&ConnectContext::new("/")).await.unwrap().call;
    ask(&*system, &*call, "GET /small").await.unwrap();
    let before = status("VmHWM:");
    for op in ["GET /large", "POST /large", "GET /bomb", "POST /bomb"] {
        let error = ask(&*system, &*call, op).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal, "{error}");
        assert!(error.public().contains("its body is larger than 1MB"), "{error}");
        let more = status("VmHWM:").saturating_sub(before);
        assert!(more < ALLOWED, "{op}: {more} bytes more than before");
    }
    // Nor is anything kept of a head that has no end.
    server.on("/heads", [Answer::EndlessHead]);
    ask(&*system, &*call, "GET /heads").await.unwrap_err();
    let more = status("VmHWM:").saturating_sub(before);
    assert!(more < ALLOWED, "a head without an end: {more} bytes more than before");
    // And the measure would have seen it.
    let held = std::hint::black_box(vec![1u8; 100 * MB]);
    let more = status("VmHWM:").saturating_sub(before);
    assert!(more > 80 * MB, "{} bytes are held, but only {more} are seen", held.len());
}

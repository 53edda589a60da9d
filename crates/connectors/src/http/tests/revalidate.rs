//! Kept replies are asked for again under the condition that they have changed.

use std::{pin::Pin, sync::Arc};

use renkei_core::{
    Background, Call, CallContext, Diagnostics, Reply, Value,
    connector::{CallNode, SystemPlan},
};
use renkei_testkit::fault::{Answer, FaultServer, Received};

use super::{HttpSystem, connect, context, json, node, op_node, prepare, request, system_at, texts, value};

/// The runtime of the test owns what goes on in the background.
struct Spawned;

impl Background for Spawned {
    fn run(&self, work: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(work);
    }
}

/// A client whose replies are kept so.
struct Client {
    system: HttpSystem,
    call: Arc<dyn Call>,
    cx: CallContext,
    op: &'static str,
}

impl Client {
    fn new(server: &FaultServer, cache: &str, op: &'static str) -> Self {
        let system = system_at(&server.url(), r#""redirects": 3"#);
        let mut d = Diagnostics::default();
        let layers = renkei_layers::LAYERS.read(&node(&format!(r#"{{"cache": {cache}}}"#)), &mut d);
        let prepared = prepare(&system, op);
        let call = CallNode { op: &op_node(op), prepared: &prepared, settings: &[] };
        let settings = layers.read_call(&call, &mut d);
        assert!(d.is_empty(), "{:?}", texts(&d));
        let shared = Arc::new(HttpSystem { name: system.name.clone(), config: system.config.clone() });
        let plan = SystemPlan { name: "shop".into(), kind: "http", system: shared, layers, fingerprint: 0 };
        let call = plan.layers.start(&plan, Arc::new(Spawned)).around(connect(&system));
        Client { system, call, cx: CallContext { settings, ..context() }, op }
    }

    async fn get(&self) -> Reply {
        let request = request(prepare(&self.system, self.op), value("{}")).unwrap();
        self.call.call(&self.cx, &request).await.unwrap()
    }

    /// Asks until so many requests have come to the server: each reply is good for a moment only.
    async fn get_until(&self, server: &FaultServer, requests: usize) -> Value {
        loop {
            // A stale reply is there at once, and the server's turn would never come.
            tokio::task::yield_now().await;
            let reply = json(Ok(self.get().await));
            if server.received().len() >= requests {
                return reply;
            }
        }
    }
}

const CHANGED: &str = "Wed, 21 Oct 2026 07:28:00 GMT";

/// Sends `version` to who has another one, and says how it is told from others by `name`.
fn versions(version: &'static str, name: &'static str, asks: &'static str) -> impl Fn(&Received) -> Answer {
    let said = match name {
        "etag" => format!("W/\"{version}\""),
        _ => CHANGED.to_owned(),
    };
    move |request| match request.header(asks) == Some(&said) {
        true => Answer::status(304).with(name, &said),
        false => Answer::json(&format!("\"{version}\"")).with(name, &said),
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    for (name, asks) in [("etag", "if-none-match"), ("last-modified", "if-modified-since")] {
        for cache in [r#""1ms""#, r#"{"ttl": "1ms", "stale": "1h"}"#] {
            let server = FaultServer::start().await;
            server.on_each("/a", versions("one", name, asks));
            let client = Client::new(&server, cache, "GET /a");
            assert_eq!(client.get_until(&server, 3).await.as_str(), Some("one"));
            let seen = server.received();
            assert_eq!(seen[0].header(asks), None);
            assert!(seen[1..].iter().all(|request| request.header(asks).is_some()), "{seen:?}");
            // What changes comes whole.
            server.on_each("/a", versions("two", "etag", "if-none-match"));
            let mut last = Value::Null;
            while last.as_str() != Some("two") {
                last = client.get_until(&server, 1).await;
            }
            let count = server.received().len();
            client.get_until(&server, count + 2).await;
            let seen = server.received();
            let asked = seen.last().and_then(|request| request.header("if-none-match"));
            assert_eq!(asked, Some("W/\"two\""));
        }
    }
}

/// Who says nothing of its state is asked as before; nor is one asked in whose place another one answered, or where
/// the operation has conditions of its own.
#[tokio::test]
async fn and_only_that() {
    let is_plain = |request: &Received| {
        ["if-none-match", "if-modified-since"].iter().all(|name| request.header(name).is_none())
    };
    let server = FaultServer::start().await;
    server.on("/silent", [Answer::json("1")]);
    server.on_each("/target", versions("one", "etag", "if-none-match"));
    server.on("/moved", [Answer::redirect(302, "/target").with("etag", "\"of the redirect\"")]);
    for op in ["GET /silent", "GET /moved"] {
        let client = Client::new(&server, r#""1ms""#, op);
        let before = server.received().len();
        client.get_until(&server, before + 5).await;
        assert!(server.received()[before..].iter().all(is_plain), "{op}: {:?}", server.received());
    }
    let server = FaultServer::start().await;
    server.on_each("/a", versions("one", "etag", "if-none-match"));
    let own = r#"{"get": "/a", "if_none_match": "\"mine\""}"#;
    let client = Client::new(&server, r#""1ms""#, own);
    client.get_until(&server, 3).await;
    let seen = server.received();
    assert!(seen.iter().all(|request| request.header("if-none-match") == Some("\"mine\"")), "{seen:?}");
}

/// A page that asked and was sent elsewhere does not ask there: the answer could be to another question.
#[tokio::test]
async fn a_redirect_takes_no_condition_along() {
    let server = FaultServer::start().await;
    server.on_each("/target", versions("one", "etag", "if-none-match"));
    server.on_each("/a", |request| match request.header("if-none-match") {
        None => Answer::json("\"zero\"").with("etag", "W/\"one\""),
        Some(_) => Answer::redirect(302, "/target"),
    });
    let client = Client::new(&server, r#""1ms""#, "GET /a");
    let mut last = Value::Null;
    while last.as_str() != Some("one") {
        last = client.get_until(&server, 1).await;
    }
    let seen = server.received();
    let target = seen.iter().find(|request| request.path() == "/target").unwrap();
    assert_eq!(target.header("if-none-match"), None);
}

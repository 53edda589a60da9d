//! Requests and answers as they are on the wire.

use std::sync::Arc;

use axum::{Router, body::Body};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use renkei_core::Principal;
use renkei_mcp::{Limits, Site, router};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::fake::{Event, Fake};

pub(crate) const MODERN: &str = "2026-07-28";
pub(crate) const LEGACY: &str = "2025-11-25";

/// A server without a socket.
pub(crate) struct Face {
    pub(crate) fake: Arc<Fake>,
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) router: Router,
}

impl Face {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        Self::serving(Fake::new(), limits)
    }

    /// With a tool that asks; sessions may live longer then.
    pub(crate) fn asking() -> Self {
        Self::serving(Fake::of(&["ask"]), Limits::default())
    }

    fn serving((fake, events): (Arc<Fake>, mpsc::UnboundedReceiver<Event>), limits: Limits) -> Self {
        let shutdown = CancellationToken::new();
        let router = router(Site::new(fake.endpoints(limits), shutdown.clone()));
        Face { fake, events, shutdown, router }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body, rest: String::new() }
    }

    /// A modern request, as it should be.
    pub(crate) async fn modern(&self, method: &str, params: Value) -> Answer {
        self.send(modern(method, params).build()).await
    }

    /// Opens a legacy session and gives its id.
    pub(crate) async fn initialize(&self) -> String {
        self.initialize_at("/mcp").await
    }

    /// The same at an endpoint.
    pub(crate) async fn initialize_at(&self, path: &'static str) -> String {
        let mut answer = self.send(Post::new(initialize(LEGACY)).at(path).build()).await;
        assert_eq!(answer.status, StatusCode::OK);
        let session = answer.headers["mcp-session-id"].to_str().unwrap().to_owned();
        assert_eq!(answer.message().await["result"]["protocolVersion"], LEGACY);
        let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let answer = self.send(Post::new(note).session(&session).at(path).build()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        session
    }

    /// A request in a legacy session.
    pub(crate) async fn legacy(&self, session: &str, method: &str, params: Value) -> Answer {
        self.legacy_at("/mcp", session, method, params).await
    }

    pub(crate) async fn legacy_at(
        &self,
        path: &'static str,
        session: &str,
        method: &str,
        params: Value,
    ) -> Answer {
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        self.send(Post::new(body).session(session).at(path).build()).await
    }

    pub(crate) async fn event(&mut self) -> Event {
        self.events.recv().await.expect("the fake lives")
    }
}

pub(crate) fn initialize(version: &str) -> Value {
    let params = json!({
        "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}
    });
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
}

/// A modern request with its metadata and headers.
pub(crate) fn modern(method: &str, mut params: Value) -> Post {
    let meta = &mut params["_meta"];
    meta["io.modelcontextprotocol/protocolVersion"] = MODERN.into();
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "test", "version": "0"});
    let name = params["name"].as_str().map(ToOwned::to_owned);
    let post = Post::new(json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}))
        .header("mcp-protocol-version", MODERN)
        .header("mcp-method", method);
    match name {
        Some(name) => post.header("mcp-name", &name),
        None => post,
    }
}

/// A POST to the endpoint.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) body: Value,
    path: &'static str,
    headers: Vec<(String, String)>,
    principal: Option<Arc<Principal>>,
}

impl Post {
    pub(crate) fn new(body: Value) -> Self {
        let headers = [
            ("host", "x"),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Post { body, path: "/mcp", headers, principal: None }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn at(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn session(self, id: &str) -> Self {
        self.header("mcp-session-id", id).header("mcp-protocol-version", LEGACY)
    }

    pub(crate) fn from(mut self, principal: Principal) -> Self {
        self.principal = Some(Arc::new(principal));
        self
    }

    pub(crate) fn build(self) -> Request<Body> {
        let body = self.body.to_string();
        self.method("POST", body)
    }

    pub(crate) fn method(self, method: &str, body: impl Into<Body>) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(body.into()).unwrap();
        if let Some(principal) = self.principal {
            request.extensions_mut().insert(principal);
        }
        request
    }
}

/// An answer whose body is still coming.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Body,
    rest: String,
}

impl Answer {
    pub(crate) fn is_stream(&self) -> bool {
        self.headers["content-type"] == "text/event-stream"
    }

    /// The whole body.
    pub(crate) async fn text(self) -> String {
        let bytes = self.body.collect().await.unwrap().to_bytes();
        self.rest + std::str::from_utf8(&bytes).unwrap()
    }

    pub(crate) async fn json(self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
    }

    /// The next message, of a stream or of a plain body.
    pub(crate) async fn message(&mut self) -> Value {
        self.next().await.expect("another message")
    }

    /// The next message; nothing at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        if !self.is_stream() {
            let bytes = std::mem::take(&mut self.body).collect().await.unwrap().to_bytes();
            return (!bytes.is_empty()).then(|| serde_json::from_slice(&bytes).unwrap());
        }
        loop {
            while let Some((event, rest)) = self.rest.split_once("\n\n") {
                let data: String = event.lines().filter_map(|line| line.strip_prefix("data:")).collect();
                self.rest = rest.to_owned();
                if !data.trim().is_empty() {
                    return Some(serde_json::from_str(data.trim()).unwrap());
                }
            }
            let frame = self.body.frame().await?.unwrap();
            self.rest += std::str::from_utf8(frame.data_ref().unwrap()).unwrap();
        }
    }

    /// The next piece of a stream, as it came.
    pub(crate) async fn frame(&mut self) -> String {
        let frame = self.body.frame().await.expect("another piece").unwrap();
        std::str::from_utf8(frame.data_ref().unwrap()).unwrap().to_owned()
    }

    /// All messages to the end.
    pub(crate) async fn messages(mut self) -> Vec<Value> {
        let mut out = Vec::new();
        while let Some(message) = self.next().await {
            out.push(message);
        }
        out
    }
}

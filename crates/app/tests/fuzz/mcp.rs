//! Whatever a client sends is answered as the protocol has it, and the short way of plain requests gives what the
//! long way gives.

use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, HttpBody as _, to_bytes},
    http::{HeaderValue, Request, StatusCode, header},
};
use renkei_core::{
    CallContext, Error, Kind, Value,
    run::ProgressSink,
    tool::{Content, ToolInfo, ToolResult, Tools, UnknownTool},
};
use renkei_mcp::{Endpoints, Info, Limits, Server, Site, router, serve_streams};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

const MODERN: &str = "2026-07-28";
const MESSAGE_BYTES: usize = 64 * 1024;
const PLAIN: &str = "application/json, text/event-stream";
/// Means the same, and is no plain request's: what has weights goes the long way.
const WEIGHED: &str = "application/json;q=1, text/event-stream;q=1";
/// The clock stands still while anything can go on, so that this passes only when nothing does.
const NEVER: Duration = Duration::from_secs(3600);
/// The same for a stream that stays open, and before it is kept alive: that goes by the clock of the machine, which this
/// one is ahead of by then, so there would be no end of it.
const QUIET: Duration = Duration::from_secs(1);

/// The first byte chooses between a modern body, a legacy body, and lines; the rest is what the client sends.
pub(crate) fn check(data: &[u8]) {
    let Some((way, sent)) = data.split_first() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.expect("the machine has what a runtime needs");
    runtime.block_on(async {
        match way % 3 {
            0 => modern(sent).await,
            1 => drop(post(&face(), sent, PLAIN, None).await),
            _ => lines(sent).await,
        }
    });
}

/// The same body twice: as a plain request, if it is one, and the long way.
async fn modern(body: &[u8]) {
    let router = face();
    let message = Value::from_json(body).ok();
    let short = post(&router, body, PLAIN, message.as_ref()).await;
    let long = post(&router, body, WEIGHED, message.as_ref()).await;
    assert_eq!(short, long, "the short way differs from the long one");
}

fn face() -> Router {
    router(site())
}

fn site() -> Arc<Site> {
    let info = Info {
        name: "fuzz".into(),
        title: None,
        version: "1".into(),
        description: None,
        instructions: None,
        icons: Vec::new(),
    };
    let limits = Limits { message_bytes: MESSAGE_BYTES, ..Limits::default() };
    let endpoints = Endpoints::new(Server::new(Arc::new(Echo::new()), info, limits));
    Site::new(endpoints, CancellationToken::new())
}

/// Status and messages of the answer. With `modern`, the headers repeat what that message says.
async fn post(
    router: &Router,
    body: &[u8],
    accept: &str,
    modern: Option<&Value>,
) -> (StatusCode, Vec<Value>) {
    let mut request = Request::builder().method("POST").uri("/mcp").header("host", "x");
    request = request.header("content-type", "application/json").header("accept", accept);
    // Answers name the trace: the same one in both.
    request = request.header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    if let Some(message) = modern {
        request = request.header("mcp-protocol-version", MODERN);
        let name = message.get("params").and_then(|params| params.get("name"));
        for (header, value) in [("mcp-method", message.get("method")), ("mcp-name", name)] {
            if let Some(value) =
                value.and_then(Value::as_str).and_then(|text| HeaderValue::from_str(text).ok())
            {
                request = request.header(header, value);
            }
        }
    }
    let request = request.body(Body::from(body.to_vec())).expect("each part of it is valid");
    let response = tokio::time::timeout(NEVER, router.clone().oneshot(request)).await;
    let response = response.expect("an answer").unwrap_or_else(|never| match never {});
    let status = response.status();
    assert!(status.as_u16() < 500, "{status} for what a client sent");
    let stream = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    let body = response.into_body();
    let text = match stream {
        true => until_quiet(body).await,
        false => {
            let text = tokio::time::timeout(NEVER, to_bytes(body, usize::MAX)).await;
            text.expect("a plain answer ends").expect("a body is not broken off").to_vec()
        }
    };
    (status, if stream { events(&text) } else { plain(status, &text) })
}

/// What is sent on a stream until it ends, or nothing more comes.
async fn until_quiet(mut body: Body) -> Vec<u8> {
    let mut text = Vec::new();
    let mut next = async || poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
    while let Ok(Some(frame)) = tokio::time::timeout(QUIET, next()).await {
        if let Ok(data) = frame.expect("a body is not broken off").into_data() {
            text.extend_from_slice(&data);
        }
    }
    text
}

/// A plain answer is a message, several of a batch, or a sentence for people beside a status that refuses.
fn plain(status: StatusCode, text: &[u8]) -> Vec<Value> {
    if text.is_empty() {
        return Vec::new();
    }
    match Value::from_json(text) {
        Ok(Value::Array(messages)) => {
            messages.iter().inspect(|message| assert_message(message)).cloned().collect()
        }
        Ok(message) => {
            assert_message(&message);
            vec![message]
        }
        Err(_) => {
            assert!(status.is_client_error(), "{status} and no message: {}", String::from_utf8_lossy(text));
            Vec::new()
        }
    }
}

fn events(text: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(text).expect("events are UTF-8");
    let mut messages = Vec::new();
    for event in text.split("\n\n") {
        let data: String = event.lines().filter_map(|line| line.strip_prefix("data:")).collect();
        if !data.trim().is_empty() {
            let message = Value::from_json(data.trim().as_bytes()).expect("an event holds JSON");
            assert_message(&message);
            messages.push(message);
        }
    }
    messages
}

/// JSON-RPC 2.0, section 5: either a result or an error, with an id; or a notification.
fn assert_message(message: &Value) {
    assert_eq!(message.get("jsonrpc").and_then(Value::as_str), Some("2.0"), "{message}");
    let answers = usize::from(message.get("result").is_some()) + usize::from(message.get("error").is_some());
    match message.get("method") {
        Some(_) => assert_eq!(answers, 0, "{message}"),
        None => {
            assert_eq!(answers, 1, "{message}");
            assert!(message.get("id").is_some() || message.get("error").is_some(), "{message}");
        }
    }
}

/// Lines over a pipe: each line of the answer is a message, and the end of the input ends the conversation.
async fn lines(sent: &[u8]) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (reader, writer) = tokio::io::split(theirs);
    let served = tokio::spawn(serve_streams(site(), None, reader, writer));
    let (mut reader, mut writer) = tokio::io::split(ours);
    let sent = sent.to_vec();
    let sending = tokio::spawn(async move {
        // The server may have hung up.
        let _ = writer.write_all(&sent).await;
        let _ = writer.shutdown().await;
    });
    let mut text = Vec::new();
    let reading = tokio::time::timeout(NEVER, reader.read_to_end(&mut text)).await;
    reading.expect("the end of the input ends the conversation").expect("a pipe in memory does not break");
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match Value::from_json(line) {
            Ok(Value::Array(messages)) => messages.iter().for_each(assert_message),
            Ok(message) => assert_message(&message),
            Err(error) => panic!("{error}: {}", String::from_utf8_lossy(line)),
        }
    }
    // A conversation that never began right may end with an error, which is the operator's.
    let _ = served.await.expect("the server does not panic");
    sending.await.expect("sending does not panic");
}

/// Tools that answer at once, and the same each time.
struct Echo(Vec<Arc<ToolInfo>>);

impl Echo {
    fn new() -> Self {
        let tool = |name: &str, schema: &str| {
            Arc::new(ToolInfo {
                name: name.into(),
                title: None,
                description: format!("Does {name}."),
                input_schema: Value::from_json(schema.as_bytes()).unwrap_or_default(),
                output_schema: None,
                read_only: true,
                destructive: false,
                idempotent: true,
                open_world: false,
                asks: false,
                icons: Vec::new(),
            })
        };
        Echo(vec![
            tool("echo", r#"{"type": "object"}"#),
            tool("refuse", r#"{"type": "object"}"#),
            tool(
                "region",
                r#"{"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}"#,
            ),
        ])
    }
}

#[async_trait]
impl Tools for Echo {
    fn list(&self) -> &[Arc<ToolInfo>] {
        &self.0
    }

    fn find(&self, name: &str) -> Option<&Arc<ToolInfo>> {
        self.0.iter().find(|tool| &*tool.name == name)
    }

    async fn call(
        &self,
        _: CallContext,
        name: &str,
        arguments: Value,
        _: Option<Arc<dyn ProgressSink>>,
    ) -> Result<ToolResult, UnknownTool> {
        match name {
            "refuse" => {
                let error = Error::new(Kind::Rejected, "the card was declined");
                Ok(ToolResult { content: Vec::new(), structured: None, error: Some(error) })
            }
            _ if self.find(name).is_some() => Ok(ToolResult {
                content: vec![Content::Text(arguments.to_json())],
                structured: Some(arguments),
                error: None,
            }),
            _ => Err(UnknownTool(name.to_owned())),
        }
    }

    fn timeout(&self, _: &str) -> Duration {
        Duration::from_secs(30)
    }
}

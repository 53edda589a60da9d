//! Both eras over lines.

use renkei_mcp::{Limits, Site, serve_streams};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    fake::{Event, Fake},
    wire::{LEGACY, MODERN, initialize, modern},
};

pub(crate) struct Pipe {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    writer: WriteHalf<DuplexStream>,
    events: mpsc::UnboundedReceiver<Event>,
    shutdown: CancellationToken,
    served: JoinHandle<std::io::Result<()>>,
}

impl Pipe {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let (fake, events) = Fake::new();
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(theirs);
        let shutdown = CancellationToken::new();
        let site = Site::new(fake.endpoints(limits), shutdown.clone());
        let served = tokio::spawn(serve_streams(site, None, reader, writer));
        let (reader, writer) = tokio::io::split(ours);
        Pipe { lines: BufReader::new(reader).lines(), writer, events, shutdown, served }
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.line(&message.to_string()).await;
    }

    pub(crate) async fn line(&mut self, line: &str) {
        self.bytes(format!("{line}\n").as_bytes()).await;
    }

    pub(crate) async fn bytes(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.unwrap();
    }

    /// Nothing more comes.
    pub(crate) async fn end(&mut self) {
        self.writer.shutdown().await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Value {
        serde_json::from_str(&self.next_line().await).unwrap()
    }

    pub(crate) async fn next_line(&mut self) -> String {
        self.lines.next_line().await.unwrap().expect("another line")
    }

    pub(crate) async fn initialize(&mut self) {
        self.send(&initialize(LEGACY)).await;
        assert_eq!(self.next().await["result"]["serverInfo"]["name"], "fake");
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    }
}

fn cancelled() -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}})
}

#[tokio::test]
async fn the_legacy_era() {
    let mut pipe = Pipe::new();
    pipe.initialize().await;
    let call = |params: Value| json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    pipe.send(&call(json!({"name": "progress", "_meta": {"progressToken": "t"}}))).await;
    for done in [1.0, 2.0, 3.0] {
        assert_eq!(pipe.next().await["params"]["progress"], done);
    }
    assert_eq!(pipe.next().await["result"]["content"][0]["text"], "done");
    pipe.send(&call(json!({"name": "wait"}))).await;
    assert_eq!(pipe.events.recv().await, Some(Event::Started));
    pipe.send(&cancelled()).await;
    assert_eq!(pipe.events.recv().await, Some(Event::Cancelled));
    assert_eq!(pipe.events.recv().await, Some(Event::Dropped));
    pipe.send(&call(json!({"name": "panic"}))).await;
    assert_eq!(pipe.next().await["result"]["isError"], true);
    pipe.send(&json!({"jsonrpc": "2.0", "id": 8, "method": "ping"})).await;
    assert_eq!(pipe.next().await["id"], 8);
}

#[tokio::test]
async fn the_modern_era() {
    let mut pipe = Pipe::new();
    pipe.send(&modern("server/discover", json!({})).body).await;
    let discovered = pipe.next().await;
    assert!(discovered["result"]["supportedVersions"].as_array().unwrap().contains(&json!(MODERN)));
    // A client may have changed its mind about a probe.
    pipe.send(&cancelled()).await;
    pipe.send(&modern("tools/list", json!({})).body).await;
    assert_eq!(pipe.next().await["result"]["ttlMs"], 60_000);
    let progress = modern("tools/call", json!({"name": "progress", "_meta": {"progressToken": 1}}));
    pipe.send(&progress.body).await;
    for done in [1.0, 2.0, 3.0] {
        assert_eq!(pipe.next().await["params"]["progress"], done);
    }
    assert_eq!(pipe.next().await["result"]["resultType"], "complete");
    pipe.send(&modern("tools/call", json!({"name": "wait"})).body).await;
    assert_eq!(pipe.events.recv().await, Some(Event::Started));
    pipe.send(&cancelled()).await;
    assert_eq!(pipe.events.recv().await, Some(Event::Cancelled));
    assert_eq!(pipe.events.recv().await, Some(Event::Dropped));
    let mut bare = modern("tools/list", json!({})).body;
    bare["params"]["_meta"] = json!({});
    pipe.send(&bare).await;
    assert_eq!(pipe.next().await["error"]["code"], -32602);
}

#[tokio::test]
async fn the_end_of_input_ends_the_server() {
    let mut pipe = Pipe::new();
    pipe.initialize().await;
    pipe.end().await;
    pipe.served.await.unwrap().unwrap();
    // Even before anything was said.
    let mut pipe = Pipe::new();
    pipe.end().await;
    pipe.served.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_server_and_its_calls() {
    let mut pipe = Pipe::new();
    pipe.initialize().await;
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "wait"}});
    pipe.send(&call).await;
    assert_eq!(pipe.events.recv().await, Some(Event::Started));
    pipe.shutdown.cancel();
    pipe.served.await.unwrap().unwrap();
    assert_eq!(pipe.events.recv().await, Some(Event::Cancelled));
    assert_eq!(pipe.events.recv().await, Some(Event::Dropped));
    // Before anything was said.
    let pipe = Pipe::new();
    pipe.shutdown.cancel();
    pipe.served.await.unwrap().unwrap();
}

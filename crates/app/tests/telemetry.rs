//! What the built binary tells of itself: metrics, audit, traces, log, probes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStderr, Command, Stdio},
};

use renkei_testkit::{
    collector::{Collector, Span},
    fault::{Answer, FaultServer},
};
use serde_json::{Value, json};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENT_SPAN: &str = "b7ad6b7169203331";

/// A server with the tools that the tests call, and what they need.
struct Server {
    child: Child,
    stderr: BufReader<ChildStderr>,
    address: String,
    /// Of the listener aside.
    aside: String,
    folder: tempfile::TempDir,
}

/// `more` stands under `server:`.
fn config(upstream: &str, more: &str) -> String {
    format!(
        r#"
server:
  name: shop
  metrics: {{ listen: 127.0.0.1:0 }}
{more}
systems:
  db: {{ sqlite: {{ path: ':memory:' }} }}
  api: {{ http: {{ base_url: '{upstream}', private: true }}, retry: {{ attempts: 1 }} }}
tools:
  add:
    description: Adds two numbers.
    input: {{ a: integer, b: {{ type: integer, default: 1 }} }}
    call: {{ db: {{ sql: 'select ${{.a}} + ${{.b}} as sum', one: true }} }}
  refuse:
    description: Always refuses.
    call: {{ db: {{ sql: 'select 1 as x', one: true, reject_when: '${{"out of stock"}}' }} }}
  get: {{ description: Asks., call: {{ api: GET /get }} }}
  order: {{ description: Orders., call: {{ api: POST /order }} }}
  hang: {{ description: Hangs., call: {{ api: GET /hang }} }}
  slow: {{ description: Gives up., timeout: 50ms, call: {{ api: GET /hang }} }}
resources:
  note: {{ uri: 'note://{{id}}', input: {{ id: string }}, text: 'note ${{.id}}' }}
  state: {{ uri: 'state://now', watch: 1s, call: {{ api: GET /get }} }}
prompts:
  greet: {{ messages: [{{ user: Hello }}] }}
"#
    )
}

impl Server {
    fn start(upstream: &str, more: &str, words: &[&str]) -> Self {
        Self::with(&config(upstream, more), words)
    }

    fn with(config: &str, words: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("renkei.yaml"), config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_renkei"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(words)
            .current_dir(folder.path())
            .env_remove("RENKEI_LOG")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (mut address, mut aside, mut said) = (None, None, String::new());
        while address.is_none() || aside.is_none() {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "the server ended before it listened: {said}");
            said += &line;
            let after = |start| Some(line.trim().strip_prefix(start)?.split('/').next()?.to_owned());
            address = address.or_else(|| after("listening on http://"));
            aside = aside.or_else(|| after("metrics on http://"));
        }
        Server { child, stderr, address: address.unwrap(), aside: aside.unwrap(), folder }
    }

    /// One MCP request of the newest revision, sent; the answer may be read, or not.
    fn send(&self, method: &str, mut params: Value, headers: &str) -> TcpStream {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let name = params["name"].as_str().or(params["uri"].as_str());
        let name = name.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: {method}\r\n{name}{headers}Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len(),
        )
        .unwrap();
        stream
    }

    fn request(&self, method: &str, params: Value, headers: &str) -> Value {
        let text = rest(self.send(method, params, headers));
        let json = text.lines().find_map(|line| {
            serde_json::from_str(line.strip_prefix("data: ").unwrap_or(line)).ok().filter(Value::is_object)
        });
        json.unwrap_or_else(|| panic!("no answer in {text}"))
    }

    fn call(&self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }), "")
    }

    fn get_aside(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.aside).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.aside).unwrap();
        rest(stream)
    }

    /// Values by `name{labels}`.
    fn scrape(&self) -> BTreeMap<String, f64> {
        let page = self.get_aside("/metrics");
        let (head, page) = page.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let lines = page.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        lines
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').unwrap();
                (name.to_owned(), value.parse().unwrap())
            })
            .collect()
    }

    /// Serves another config from now on.
    fn serve(&mut self, config: &str) {
        std::fs::write(self.folder.path().join("renkei.yaml"), config).unwrap();
        let done = Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
        let mut line = String::new();
        while !line.contains("the changed config is served") {
            line.clear();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "the server ended");
        }
    }

    fn terminate(&self) {
        let done = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Tells it to stop, and gives the rest of its log when it has.
    fn end(&mut self) -> String {
        self.terminate();
        let mut log = String::new();
        self.stderr.read_to_string(&mut log).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{log}");
        log
    }

    /// The lines of the audit's file.
    fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("audit.log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

async fn upstream() -> FaultServer {
    let upstream = FaultServer::start().await;
    upstream.on("/hang", [Answer::Hang]);
    upstream.on("/order", [Answer::status(500)]);
    upstream
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_counts_what_happened() {
    let upstream = upstream().await;
    let server = Server::start(&upstream.url(), "", &["--log", "error"]);
    for a in 1..=3 {
        assert_eq!(server.call("add", json!({ "a": a }))["result"]["structuredContent"]["sum"], a + 1);
    }
    server.call("add", json!({ "a": "many" }));
    server.call("refuse", json!({}));
    server.call("get", json!({}));
    server.call("order", json!({}));
    server.call("slow", json!({}));
    for made_up in ["x1", "x2"] {
        server.call(made_up, json!({}));
    }
    server.request("resources/read", json!({ "uri": "note://7" }), "");
    server.request("prompts/get", json!({ "name": "greet" }), "");
    let stranger = "POST /mcp HTTP/1.1\r\nHost: evil.example.com\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.write_all(stranger.as_bytes()).unwrap();
    assert!(rest(stream).starts_with("HTTP/1.1 403"));

    let page = server.scrape();
    let calls = |kind: &str, name: &str, outcome: &str| {
        let labels = format!(r#"{{kind="{kind}",name="{name}",outcome="{outcome}"}}"#);
        page.get(&format!("renkei_calls_total{labels}")).copied()
    };
    assert_eq!(calls("tool", "add", "ok"), Some(3.0));
    assert_eq!(calls("tool", "add", "invalid"), Some(1.0));
    assert_eq!(calls("tool", "refuse", "rejected"), Some(1.0));
    assert_eq!(calls("tool", "get", "ok"), Some(1.0));
    assert_eq!(calls("tool", "order", "unavailable"), Some(1.0));
    assert_eq!(calls("tool", "slow", "timeout"), Some(1.0));
    // A client cannot make up labels.
    assert_eq!(calls("tool", "", "not_found"), Some(2.0));
    assert!(!page.keys().any(|key| key.contains("x1")), "{page:#?}");
    assert_eq!(calls("resource", "note", "ok"), Some(1.0));
    assert_eq!(calls("prompt", "greet", "ok"), Some(1.0));
    for (key, value) in [
        (r#"renkei_call_duration_seconds_count{kind="tool",name="add"}"#, 4.0),
        (r#"renkei_calls_in_flight{kind="tool"}"#, 0.0),
        (r#"renkei_system_calls_total{system="db",outcome="ok"}"#, 4.0),
        (r#"renkei_system_calls_total{system="api",outcome="ok"}"#, 1.0),
        (r#"renkei_system_calls_total{system="api",outcome="unavailable"}"#, 1.0),
        (r#"renkei_system_up{system="db"}"#, 1.0),
        (r#"renkei_http_refusals_total{reason="host_not_allowed"}"#, 1.0),
        (r#"renkei_http_requests_total{status="403"}"#, 1.0),
    ] {
        assert_eq!(page.get(key), Some(&value), "{key} in {page:#?}");
    }
    for name in
        ["renkei_http_received_bytes_total", "renkei_http_sent_bytes_total", "renkei_template_steps_total"]
    {
        assert!(page[name] > 0.0, "{name}");
    }
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total"] {
        assert!(page.contains_key(name), "{name} in {page:#?}");
    }
    assert!(page.keys().any(|key| key.starts_with("renkei_build_info{version=")), "{page:#?}");
}

/// Whatever becomes of a call, it has one line, with what is known of it and nothing of what it said.
#[tokio::test(flavor = "multi_thread")]
async fn the_audit_has_one_line_a_call() {
    let upstream = upstream().await;
    let more = "  audit: { file: audit.log }\n  limits: { concurrent_calls: 1 }\n  \
                auth: { anonymous: true, api_keys: [{ name: ada, sha256: \
                c7ade88fc7a21498a6a5e5c385e1f68bed822b72aa63c4a9a48a02c2466ee29e }] }";
    let mut server = Server::start(&upstream.url(), more, &["--log", "warn"]);
    let traced = format!("X-API-Key: secret-key\r\nTraceparent: 00-{TRACE}-{CLIENT_SPAN}-01\r\n");
    let denied = server.request("tools/call", json!({ "name": "add", "arguments": { "a": 1 } }), &traced);
    assert_eq!(denied["error"], "unauthenticated", "{denied}");
    let traced = format!("Traceparent: 00-{TRACE}-{CLIENT_SPAN}-01\r\n");
    server.request("tools/call", json!({ "name": "add", "arguments": { "a": 70_001 } }), &traced);
    server.call("add", json!({ "a": "hunter2" }));
    server.call("refuse", json!({}));
    server.call("slow", json!({}));
    server.call("nowhere", json!({}));
    // One hangs: another is refused, then its client goes away.
    let hanging = server.send("tools/call", json!({ "name": "hang", "arguments": {} }), "");
    upstream.wait_received(2).await;
    server.call("order", json!({}));
    drop(hanging);
    upstream.wait_abandoned(2).await;
    server.request("resources/read", json!({ "uri": "note://7" }), "");
    server.request("prompts/get", json!({ "name": "greet" }), "");
    server.request("tools/list", json!({}), "");
    let log = server.end();

    let lines = server.audit();
    let seen: Vec<[&str; 4]> = lines
        .iter()
        .map(|line| {
            let fields = &line["fields"];
            assert_eq!((&line["target"], &line["level"]), (&json!("audit"), &json!("INFO")));
            assert_eq!((&fields["principal"], &fields["auth"]), (&json!("anonymous"), &json!("none")));
            assert!(fields["duration_ms"].is_u64(), "{line}");
            assert!(!fields["error"].as_str().is_some_and(|error| error.contains('\n')), "{line}");
            ["kind", "name", "outcome", "applied"].map(|key| fields[key].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ["tool", "add", "ok", "no"],
            ["tool", "add", "invalid", "no"],
            ["tool", "refuse", "rejected", "no"],
            ["tool", "slow", "timeout", "no"],
            ["tool", "nowhere", "not_found", "no"],
            ["tool", "order", "rate_limited", "no"],
            ["tool", "hang", "cancelled", "no"],
            ["resource", "note", "ok", "no"],
            ["prompt", "greet", "ok", "no"],
        ]
    );
    assert_eq!(lines[0]["fields"]["trace"], TRACE);
    let digest = lines[0]["fields"]["arguments"].as_str().unwrap();
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    assert!(!format!("{lines:?}").contains("70001"), "what it said is not told");
    assert!(!log.contains("audit"), "the file has the lines, not the log: {log}");
}

/// Somebody subscribed, and that is told once. When they stop listening, nobody must get up.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_reads_for_subscribers_is_no_call() {
    let upstream = upstream().await;
    let mut server =
        Server::start(&upstream.url(), "  audit: { file: audit.log }", &["--log", "info,rmcp=warn"]);
    let filter = json!({ "notifications": { "resourceSubscriptions": ["state://now"] } });
    let listening = server.send("subscriptions/listen", filter, "");
    upstream.wait_received(3).await;
    drop(listening);
    let log = server.end();
    let lines = server.audit();
    let seen: Vec<_> =
        lines.iter().map(|line| ["kind", "name", "outcome"].map(|key| &line["fields"][key])).collect();
    assert_eq!(seen, [[&json!("subscription"), &json!("state"), &json!("ok")]]);
    assert_eq!(lines[0]["fields"]["client"], "127.0.0.1");
    assert!(!log.contains("ERROR"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_json_can_be_read_by_programs() {
    let upstream = upstream().await;
    let mut server =
        Server::start(&upstream.url(), "  audit: { arguments: values }", &["--log", "debug", "--log-json"]);
    server.call("add", json!({ "a": 70_001 }));
    server.call("order", json!({}));
    let log = server.end();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let audit: Vec<_> = lines.iter().filter(|line| line["target"] == "audit").collect();
    assert_eq!(audit.len(), 2, "{log}");
    assert_eq!(audit[0]["fields"]["arguments"], r#"{"a":70001}"#);
    // A system that fails is for somebody to look at, with the trace by which it is found.
    let failed = lines.iter().find(|line| line["level"] == "WARN").unwrap();
    assert_eq!(failed["span"]["system"], "api", "{failed}");
    assert_eq!(failed["span"]["trace"], audit[1]["fields"]["trace"], "{failed}");
    assert!(!lines.iter().any(|line| line["level"] == "ERROR"), "{log}");
}

fn only<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let all: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(all.len(), 1, "`{name}` in {spans:#?}");
    all[0]
}

/// One trace from the client through Renkei to the system, every span under the right one.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_reaches_from_the_client_to_the_system() {
    let (upstream, collector) = (upstream().await, Collector::start().await);
    let more = format!(
        "  telemetry:\n    baggage: true\n    otlp: {{ endpoint: '{}', headers: {{ authorization: Bearer t }} }}",
        collector.url()
    );
    let mut server = Server::start(&upstream.url(), &more, &["--log", "warn"]);
    // In `_meta`, as MCP has it; what HTTP says of the connection counts for less.
    let meta = json!({
        "traceparent": format!("00-{TRACE}-{CLIENT_SPAN}-01"), "tracestate": "a=b", "baggage": "user=7",
    });
    let params = json!({ "name": "get", "arguments": {}, "_meta": meta });
    let other = "Traceparent: 00-11111111111111111111111111111111-2222222222222222-01\r\n";
    server.request("tools/call", params, other);
    let log = server.end();
    assert!(!log.contains("cannot be told"), "{log}");

    let spans = collector.spans();
    let (request, run, step, call) =
        (only(&spans, "tools/call"), only(&spans, "run"), only(&spans, "step"), only(&spans, "call"));
    for span in &spans {
        assert_eq!((&*span.trace, &*span.service), (TRACE, "shop"), "{span:?}");
    }
    assert_eq!(
        [&*request.parent, &run.parent, &step.parent, &call.parent],
        [CLIENT_SPAN, &request.id, &run.id, &step.id]
    );
    assert_eq!((request.kind, call.kind), (2, 3));
    assert!(!request.failed && !call.failed, "{spans:#?}");
    let has = |span: &Span, name: &str, value: &str| span.attributes.contains(&(name.into(), value.into()));
    assert!(has(request, "name", "get") && has(request, "principal", "anonymous"), "{request:?}");
    assert!(has(call, "system", "api"), "{call:?}");
    let seen = upstream.only();
    assert_eq!(seen.header("traceparent"), Some(&*format!("00-{TRACE}-{}-01", call.id)));
    assert_eq!((seen.header("tracestate"), seen.header("baggage")), (Some("a=b"), Some("user=7")));

    assert_eq!(collector.counter("renkei_calls_total"), Some(1));
    for request in collector.received() {
        assert_eq!(request.header("authorization"), Some("Bearer t"));
    }
}

/// A client that does not record its trace, and a server that records none of its own.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_is_not_sent_and_travels_all_the_same() {
    let (upstream, collector) = (upstream().await, Collector::start().await);
    let more =
        format!("  telemetry: {{ otlp: {{ endpoint: '{}', sample: 0, metrics: false }} }}", collector.url());
    let mut server = Server::start(&upstream.url(), &more, &["--log", "warn"]);
    let parent = format!("Traceparent: 00-{TRACE}-{CLIENT_SPAN}-00\r\nBaggage: user=7\r\n");
    server.request("tools/call", json!({ "name": "get", "arguments": {} }), &parent);
    server.call("get", json!({}));
    server.end();
    assert_eq!(collector.received().len(), 0);
    let seen = upstream.received();
    let parents: Vec<_> = seen.iter().map(|request| request.header("traceparent").unwrap()).collect();
    assert!(parents[0].starts_with(&format!("00-{TRACE}-")) && parents[0].ends_with("-00"), "{parents:?}");
    assert!(!parents[0].contains(CLIENT_SPAN) && parents[1].ends_with("-00"), "{parents:?}");
    assert_eq!(seen[0].header("baggage"), None, "baggage goes on only where the config wants it");
}

/// Calls do not wait for a collector, and neither does the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_harms_nobody() {
    let (upstream, nobody) = (upstream().await, FaultServer::refused().await);
    let more = format!("  telemetry: {{ otlp: {{ endpoint: 'http://{nobody}', queue: 4 }} }}");
    let mut server = Server::start(&upstream.url(), &more, &["--log", "info"]);
    for a in 0..20 {
        assert_eq!(server.call("add", json!({ "a": a }))["result"]["structuredContent"]["sum"], a + 1);
    }
    let log = server.end();
    assert!(log.contains("the collector cannot be told") && log.contains(" WARN "), "{log}");
    assert!(!log.contains("ERROR"), "nobody needs to get up for it: {log}");
}

/// While the last calls are finished nobody shall send new ones here.
#[tokio::test(flavor = "multi_thread")]
async fn a_draining_server_says_so_aside() {
    let upstream = upstream().await;
    let mut server = Server::start(&upstream.url(), "", &["--log", "error"]);
    // Systems are connected in the background; a call waits for its own.
    server.call("add", json!({ "a": 1 }));
    let ready = server.get_aside("/health/ready");
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains(r#""db":"up""#), "{ready}");
    let hanging = server.send("tools/call", json!({ "name": "hang", "arguments": {} }), "");
    upstream.wait_received(1).await;
    server.terminate();
    while TcpStream::connect(&server.address).is_ok() {
        std::thread::yield_now();
    }
    let ready = server.get_aside("/health/ready");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("stopping"), "{ready}");
    assert!(server.get_aside("/health/live").starts_with("HTTP/1.1 200"));
    assert_eq!(server.scrape()[r#"renkei_calls_in_flight{kind="tool"}"#], 1.0);
    drop(hanging);
    let mut log = String::new();
    server.stderr.read_to_string(&mut log).unwrap();
    assert_eq!(server.child.wait().unwrap().code(), Some(0), "{log}");
}

/// Probes and gauges tell of the systems that are served now.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_config_changes_what_is_told() {
    let upstream = upstream().await;
    let mut server = Server::start(&upstream.url(), "", &["--no-watch"]);
    let first = config(&upstream.url(), "");
    server.serve(&first.replace("  api:", "  gone: { sqlite: { path: ':memory:' } }\n  api:"));
    while !server.get_aside("/health/ready").contains(r#""gone":"up""#) {
        std::thread::yield_now();
    }
    server.serve(&first.replace(&upstream.url(), &format!("{}/base", upstream.url())));
    let ready = server.get_aside("/health/ready");
    assert!(ready.contains(r#""api""#) && !ready.contains("gone"), "{ready}");
    server.call("get", json!({}));
    while !server.scrape()[r#"renkei_system_up{system="gone"}"#].is_nan() {
        std::thread::yield_now();
    }
    // The one that was replaced has ended as well, and does not speak for its successor.
    assert_eq!(server.scrape()[r#"renkei_system_up{system="api"}"#], 1.0);
}

/// The breaker of a system that was changed is another one, and so is what is shown of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_system_shows_its_own_breaker() {
    let upstream = upstream().await;
    let first =
        config(&upstream.url(), "").replace("attempts: 1 }", "attempts: 1 }, breaker: { failures: 1 }");
    let mut server = Server::start(&upstream.url(), "", &["--no-watch", "--log", "info"]);
    let state = |server: &Server| server.scrape()[r#"renkei_system_breaker_state{system="api"}"#];
    server.serve(&first);
    server.call("order", json!({}));
    server.call("slow", json!({}));
    assert_eq!(state(&server), 2.0);
    server.serve(&first.replace("failures: 1", "failures: 2"));
    assert_eq!(state(&server), 0.0);
    assert_eq!(server.call("get", json!({}))["result"]["isError"], false);
    // And of one that is gone, nothing is shown.
    let without =
        "tools: { one: { description: One., transform: 1 } }\nserver: { metrics: { listen: 127.0.0.1:0 } }";
    server.serve(without);
    while !state(&server).is_nan() {
        std::thread::yield_now();
    }
}

/// A message goes through the store, and the page tells what that took.
#[test]
fn the_page_tells_of_the_store() {
    let config = "tools: { order: { description: Orders., enqueue: { orders: { sku: lamp } } } }\n\
         queues: { orders: { unique: { key: '${.sku}', on_taken: refuse } } }\nserver: { metrics: { listen: 127.0.0.1:0 } }";
    let server = Server::with(config, &["--log", "error"]);
    assert_eq!(server.call("order", json!({}))["result"]["isError"], false);
    assert_eq!(server.call("order", json!({}))["result"]["isError"], true);
    let mut page = server.scrape();
    // It is measured beside the start.
    while !page.contains_key(r#"renkei_store_records{part="cells"}"#) {
        page = server.scrape();
    }
    let commits = |outcome: &str| {
        page[&format!(r#"renkei_store_calls_total{{operation="commit",outcome="{outcome}"}}"#)]
    };
    assert_eq!((commits("ok"), commits("refused"), commits("unavailable")), (1.0, 1.0, 0.0));
    assert_eq!(page[r#"renkei_store_call_duration_seconds_count{operation="commit"}"#], 2.0);
    assert!(page[r#"renkei_store_call_duration_seconds_sum{operation="commit"}"#] > 0.0);
    assert!(page[r#"renkei_store_calls_total{operation="read",outcome="ok"}"#] >= 1.0);
    // What was refused wrote nothing, and needed no sync.
    assert_eq!(page["renkei_store_sync_duration_seconds_count"], 1.0);
    assert!(page["renkei_store_sync_duration_seconds_sum"] > 0.0);
    assert_eq!(page["renkei_store_group_batches_sum"], 1.0);
    assert_eq!(page["renkei_store_group_items_sum"], 1.0);
    assert_eq!(page[r#"renkei_store_group_batches_bucket{le="512"}"#], 1.0);
    assert!(page["renkei_store_bytes"] >= 4096.0);
    assert!(page.contains_key(r#"renkei_store_records{part="jobs"}"#));
}

/// What a dashboard shows must exist: the reference has all names, and is made from where they are defined.
#[test]
fn every_metric_of_the_dashboard_exists() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let read = |path: &str| std::fs::read_to_string(docs.join(path)).unwrap();
    let reference = read("reference/metrics.md");
    let dashboard: Value = serde_json::from_str(&read("grafana/renkei.json")).unwrap();
    let guides = ["guide/telemetry.md", "guide/store.md"].map(read);
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries =
        targets.map(|target| target["expr"].as_str().unwrap()).chain(guides.iter().map(String::as_str));
    let mut checked = 0;
    for word in queries.flat_map(|query| query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))) {
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|part| word.strip_suffix(part));
        let Some(name) = of_histogram.or(Some(word)).filter(|name| name.starts_with("renkei_")) else {
            continue;
        };
        if name != "renkei_mcp" {
            assert!(reference.contains(&format!("| `{name}` |")), "`{name}` is not in the reference");
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked}");
}

//! Tools of other servers, served by the built binary as its own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
};

use renkei_testkit::upstream::Upstream;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const POSTED: &str = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
const FIVE: [&str; 5] = ["echo", "say", "parts", "fail", "grow"];
const SERVED: &str = "the tools that systems offer now are served";

/// A program that is one of our systems.
fn program(upstream: &Upstream, modes: &[&str], expose: Value) -> Value {
    let folder = upstream.folder().to_string_lossy();
    let mcp = json!({
        "command": upstream.command(),
        "args": upstream.args(modes),
        "env": { "UPSTREAM_FOLDER": folder },
        "expose": expose,
    });
    json!({ "mcp": mcp, "timeout": { "connect": "60s" } })
}

fn config(folder: &Path, systems: Value) -> std::path::PathBuf {
    let own = json!({ "description": "Gives one.", "transform": 1 });
    let config = json!({
        "systems": systems,
        "tools": { "own": own },
        "groups": { "some": { "tools": ["good_e*", "own"] } },
    });
    let path = folder.join("renkei.yaml");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

/// A server that ends with the test.
struct Serving {
    child: Child,
    stderr: BufReader<ChildStderr>,
    address: String,
}

impl Serving {
    fn start(config: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_renkei"));
        command.arg("serve").arg(config).args(["--listen", "127.0.0.1:0", "--log", "info"]);
        command.env_remove("RENKEI_LOG").stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut serving = Serving { child, stderr, address: String::new() };
        let log = serving.log_until("listening on http://");
        let (_, address) = log.rsplit_once("listening on http://").unwrap();
        serving.address = address.trim().strip_suffix("/mcp").unwrap().to_owned();
        serving
    }

    fn log_until(&mut self, text: &str) -> String {
        let mut all = String::new();
        loop {
            let from = all.len();
            assert!(self.stderr.read_line(&mut all).unwrap() > 0, "the server ended: {all}");
            if all[from..].contains(text) {
                return all;
            }
        }
    }

    fn begin(&self, path: &str, method: &str, mut params: Value) -> TcpStream {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = params["name"].as_str().map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{POSTED}MCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: {method}\r\n{name}Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len(),
        )
        .unwrap();
        stream
    }

    fn request(&self, path: &str, method: &str, params: Value) -> Value {
        let mut text = String::new();
        self.begin(path, method, params).read_to_string(&mut text).unwrap();
        text.lines().find_map(message).unwrap_or_else(|| panic!("no message: {text}"))
    }

    fn call(&self, name: &str, arguments: Value) -> Value {
        self.request("/mcp", "tools/call", json!({ "name": name, "arguments": arguments }))["result"].clone()
    }

    fn tools(&self, path: &str) -> Vec<String> {
        let list = self.request(path, "tools/list", json!({}));
        let tools = list["result"]["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Asked to end, so that its programs end with it.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn message(line: &str) -> Option<Value> {
    serde_json::from_str(line.strip_prefix("data: ").unwrap_or(line)).ok().filter(Value::is_object)
}

/// The next message of a stream that stays open.
fn next(stream: &mut BufReader<TcpStream>) -> Value {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the stream ended");
        if let Some(message) = message(line.trim()) {
            return message;
        }
    }
}

fn with_own(prefixes: &[&str]) -> Vec<String> {
    let all = prefixes.iter().flat_map(|prefix| FIVE.map(|name| format!("{prefix}{name}")));
    ["own".to_owned()].into_iter().chain(all).collect()
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

/// One server is there, one comes late, one does not exist: the tools of each come when it comes, and stay when it goes.
#[test]
fn tools_come_with_their_server_and_stay_when_it_goes() {
    let runtime = Runtime::new().unwrap();
    let (good, late) = (runtime.block_on(Upstream::new()), runtime.block_on(Upstream::new()));
    let down = |upstream: &Upstream| upstream.folder().join("down");
    std::fs::write(down(&late), "").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let all = json!({ "tools": true });
    let systems = json!({
        "late": program(&late, &["modern"], all.clone()),
        "good": program(&good, &["legacy"], all.clone()),
        "never": { "mcp": { "command": "no-such-program-here", "expose": all } },
    });
    let mut serving = Serving::start(&config(folder.path(), systems));
    if serving.tools("/mcp") != with_own(&["good_"]) {
        // A busy machine: it came after the first look.
        serving.log_until(SERVED);
    }
    assert_eq!(serving.tools("/mcp"), with_own(&["good_"]));
    assert_eq!(serving.tools("/mcp/some"), ["own", "good_echo"]);
    let result = serving.call("good_parts", json!({}));
    let picture = json!({ "type": "image", "data": "iVBORw==", "mimeType": "image/png" });
    assert_eq!(result["content"], json!([{ "type": "text", "text": "a picture" }, picture]));
    let failed = serving.call("good_fail", json!({ "text": "not today" }));
    assert_eq!((text(&failed), &failed["isError"]), ("not today", &json!(true)));
    let structured = serving.call("good_echo", json!({ "n": 1 }));
    assert_eq!(structured["structuredContent"], json!({ "n": 1 }));

    // Clients are told when the late one comes: in the order of the config.
    let wanted = json!({ "notifications": { "toolsListChanged": true } });
    let mut stream = BufReader::new(serving.begin("/mcp", "subscriptions/listen", wanted));
    assert_eq!(next(&mut stream)["method"], "notifications/subscriptions/acknowledged");
    std::fs::remove_file(down(&late)).unwrap();
    assert_eq!(next(&mut stream)["method"], "notifications/tools/list_changed");
    assert_eq!(serving.tools("/mcp"), with_own(&["late_", "good_"]));
    assert_eq!(text(&serving.call("late_say", json!({ "text": "here" }))), "here");

    // It has one more tool.
    serving.call("late_grow", json!({}));
    assert_eq!(next(&mut stream)["method"], "notifications/tools/list_changed");
    assert!(serving.tools("/mcp").contains(&"late_extra_1".to_owned()));

    // One ends and cannot start again: its tools say so, the others work.
    std::fs::write(down(&good), "").unwrap();
    let pid = good.told_of("started").last().unwrap()["pid"].to_string();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    serving.log_until("system `good` has ended");
    let gone = serving.call("good_say", json!({ "text": "x" }));
    assert_eq!(gone["isError"], json!(true));
    assert!(text(&gone).contains("`good` is not connected"), "{gone}");
    assert_eq!(text(&serving.call("late_say", json!({ "text": "still" }))), "still");
    assert!(serving.tools("/mcp").contains(&"good_say".to_owned()));
}

#[test]
fn one_call_waits_for_the_server_of_its_tool() {
    let runtime = Runtime::new().unwrap();
    let upstream = runtime.block_on(Upstream::new());
    let folder = tempfile::tempdir().unwrap();
    let expose = json!({ "prefix": "", "tools": { "rename": { "say": "repeat" } } });
    let path = config(folder.path(), json!({ "good": program(&upstream, &["both"], expose) }));
    let mut command = Command::new(env!("CARGO_BIN_EXE_renkei"));
    let output =
        command.args(["call", "--config"]).arg(&path).args(["repeat", "text=hello"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "hello");
}

#[test]
fn the_check_says_that_tools_come_later() {
    let folder = tempfile::tempdir().unwrap();
    let system = json!({ "mcp": { "command": "npx", "expose": { "tools": true } } });
    let path = config(folder.path(), json!({ "good": system }));
    let output = Command::new(env!("CARGO_BIN_EXE_renkei")).arg("check").arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(said.contains("the tools of `good`"), "{said}");
}

#[test]
fn names_that_could_meet_are_refused_by_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let system = json!({ "mcp": { "command": "npx", "expose": { "prefix": "x_", "tools": true } } });
    let path = config(folder.path(), json!({ "one": system, "two": system }));
    let output = Command::new(env!("CARGO_BIN_EXE_renkei")).arg("check").arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("have the same prefix, `x_`"), "{said}");
}

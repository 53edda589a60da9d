//! A config that changes while the built binary serves it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};

const SERVED: &str = "the changed config is served";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(config: &str) -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write(config);
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn config(&self) -> PathBuf {
        self.path().join("renkei.yaml")
    }

    /// As editors do: a new file takes the old one's place.
    fn write(&self, config: &str) {
        let new = self.path().join("renkei.yaml.new");
        std::fs::write(&new, config).unwrap();
        std::fs::rename(new, self.config()).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_renkei"));
        command.arg("serve").args(words).args(["--log", "info"]).current_dir(self.path());
        command.env_remove("RENKEI_LOG").stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

/// A server that ends with the test.
struct Serving {
    child: Child,
    stderr: BufReader<ChildStderr>,
    address: String,
}

impl Serving {
    fn start(folder: &Folder, words: &[&str]) -> Self {
        let mut child = folder.command(&[&["--listen", "127.0.0.1:0"], words].concat()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut serving = Serving { child, stderr, address: String::new() };
        let line = serving.log_until("listening on http://");
        let (_, address) = line.split_once("listening on http://").unwrap();
        serving.address = address.trim().strip_suffix("/mcp").unwrap().to_owned();
        serving
    }

    /// Reads the log up to a line with `text`, and gives all of it.
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

    fn hang_up(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    }

    /// Sends a request, and gives the connection for its answer.
    fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len(),
        )
        .unwrap();
        stream
    }

    /// One MCP request of the newest revision, under way.
    fn begin(&self, method: &str, mut params: Value) -> TcpStream {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = params["name"].as_str().map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let headers = format!("{POSTED}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}");
        self.send("POST", "/mcp", &headers, &body)
    }

    fn request(&self, method: &str, params: Value) -> Value {
        answer(self.begin(method, params))
    }

    fn call(&self, name: &str) -> Value {
        self.request("tools/call", json!({ "name": name, "arguments": {} }))
    }

    fn tools(&self) -> String {
        let list = self.request("tools/list", json!({}));
        let tools = list["result"]["tools"].as_array().unwrap().clone();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    }

    fn health(&self) -> String {
        let mut text = String::new();
        self.send("GET", "/health/ready", "", "").read_to_string(&mut text).unwrap();
        text
    }

    /// Files, sockets and the like that are open.
    fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const POSTED: &str = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";

fn message(line: &str) -> Option<Value> {
    serde_json::from_str(line.strip_prefix("data: ").unwrap_or(line)).ok().filter(Value::is_object)
}

fn answer(mut stream: TcpStream) -> Value {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.lines().find_map(message).unwrap_or_else(|| panic!("no message: {text}"))
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

fn transform(names: &[&str]) -> String {
    let tools = names.iter().map(|name| format!("  {name}: {{ description: Gives one., transform: 1 }}\n"));
    format!("tools:\n{}", tools.collect::<String>())
}

fn read_request(stream: &TcpStream) -> Option<()> {
    let mut request = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if request.read_line(&mut line).ok()? == 0 {
            return None;
        }
    }
    Some(())
}

const ONE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Type: application/json\r\n\r\n1";

const ONE_AND_CLOSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\nContent-Type: application/json\r\n\r\n1";

#[test]
fn a_call_under_way_ends_on_the_config_it_began_with() {
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", backend.local_addr().unwrap());
    // The second step needs its system when that is no longer in the config.
    let old = format!(
        "systems: {{ api: {{ http: {{ base_url: '{url}', private: true }} }} }}\n\
         tools:\n  slow:\n    description: Waits twice.\n    aggregate:\n      first: {{ call: {{ api: GET /1 }} }}\n      \
         second: {{ needs: [first], call: {{ api: GET /2 }} }}\n    output: '${{$second + 1}}'\n"
    );
    let folder = Folder::new(&old);
    let mut server = Serving::start(&folder, &["--no-watch"]);
    let under_way = server.begin("tools/call", json!({ "name": "slow", "arguments": {} }));
    let (mut upstream, _) = backend.accept().unwrap();
    read_request(&upstream).unwrap();
    folder.write(&transform(&["quick"]));
    server.hang_up();
    server.log_until(SERVED);
    assert_eq!(server.tools(), "quick");
    assert_eq!(server.call("slow")["error"]["code"], -32602);
    assert_eq!(server.call("quick")["result"]["structuredContent"]["result"], 1);
    upstream.write_all(ONE_AND_CLOSE).unwrap();
    drop(upstream);
    let (mut upstream, _) = backend.accept().unwrap();
    read_request(&upstream).unwrap();
    upstream.write_all(ONE).unwrap();
    let answer = answer(under_way);
    assert_eq!(answer["result"]["structuredContent"]["result"], 2, "{answer}");
    // With the call goes the plan, and with the plan the connection.
    assert_eq!(upstream.read(&mut [0; 1]).unwrap(), 0);
}

fn is_ready_without_a_note(server: &Serving) -> bool {
    let health = server.health();
    health.contains(r#""status":"ready""#) && !health.contains("note")
}

#[test]
fn a_broken_config_is_refused_and_the_old_one_stays() {
    let folder = Folder::new(&transform(&["one"]));
    let mut server = Serving::start(&folder, &["--no-watch"]);
    assert!(is_ready_without_a_note(&server), "{}", server.health());
    for (broken, says) in [
        ("tools: { one: { description: x, transfrom: 1 } }", "did you mean `transform`?"),
        ("tools: [", "renkei.yaml"),
    ] {
        folder.write(broken);
        server.hang_up();
        server.log_until("the changed config is refused");
        server.log_until(says);
        assert_eq!(server.tools(), "one");
        assert!(
            server.health().contains("200 OK") && server.health().contains("refused"),
            "{}",
            server.health()
        );
    }
    std::fs::remove_file(folder.config()).unwrap();
    server.hang_up();
    server.log_until("the changed config is refused");
    assert_eq!(server.call("one")["result"]["structuredContent"]["result"], 1);
    folder.write(&transform(&["one", "two"]));
    server.hang_up();
    server.log_until(SERVED);
    assert_eq!(server.tools(), "one two");
    assert!(is_ready_without_a_note(&server), "{}", server.health());
}

#[test]
fn files_are_watched() {
    let folder =
        Folder::new(&format!("{}\nserver: {{ title: '${{file[\"title\"]}}' }}\n", transform(&["one"])));
    std::fs::write(folder.path().join("title"), "First").unwrap();
    let mut server = Serving::start(&folder, &[]);
    // Another file of the folder, one with a slip, its mending, and a file that a value comes from.
    std::fs::write(folder.path().join("more.yaml"), "tools: { two: { description: x, transfrom: 1 } }")
        .unwrap();
    server.log_until("the changed config is refused");
    std::fs::write(folder.path().join("more.yaml"), "tools: { two: { description: x, transform: 1 } }")
        .unwrap();
    server.log_until(SERVED);
    assert_eq!(server.tools(), "one two");
    std::fs::write(folder.path().join("title"), "Second").unwrap();
    server.log_until(SERVED);
    let title = |server: &Serving| {
        let found = server.request("server/discover", json!({}));
        found["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["title"].clone()
    };
    assert_eq!(title(&server), "Second");
    // What the changed config is the first to read is looked at from then on.
    std::fs::write(folder.path().join("other"), "Third").unwrap();
    folder.write(&format!("{}\nserver: {{ title: '${{file[\"other\"]}}' }}\n", transform(&["one"])));
    server.log_until(SERVED);
    assert_eq!(title(&server), "Third");
    std::fs::write(folder.path().join("other"), "Fourth").unwrap();
    server.log_until(SERVED);
    assert_eq!(title(&server), "Fourth");
}

#[test]
fn what_needs_a_restart_is_said() {
    let folder = Folder::new(&format!("{}server: {{ limits: {{ sessions: 10 }} }}\n", transform(&["one"])));
    let mut server = Serving::start(&folder, &["--no-watch"]);
    let changed = "server: { limits: { sessions: 11, list_page: 7 }, listen: '127.0.0.1:1', title: T }\n";
    folder.write(&(transform(&["two"]) + changed));
    server.hang_up();
    let log = server.log_until(SERVED);
    let fixed = "`server.listen`, `server.limits.sessions`: a change takes effect with the next start";
    assert!(log.contains(fixed), "{log}");
    assert_eq!(server.tools(), "two");
}

/// Answers every request with `1`; counts the connections.
fn backend() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                while read_request(&stream).is_some() {
                    stream.write_all(ONE).unwrap();
                }
            });
        }
    });
    (url, connections)
}

fn with_api(url: &str, timeout: &str, title: &str) -> String {
    format!(
        "systems: {{ api: {{ http: {{ base_url: '{url}', private: true }}, timeout: {timeout} }} }}\n\
         tools: {{ get: {{ title: {title}, description: Gets., call: {{ api: GET /x }} }} }}\n"
    )
}

#[test]
fn a_system_that_is_the_same_keeps_its_connection() {
    let (url, connections) = backend();
    let folder = Folder::new(&with_api(&url, "10s", "A"));
    let mut server = Serving::start(&folder, &["--no-watch"]);
    let mut reload = |config: &str| {
        folder.write(config);
        server.hang_up();
        server.log_until(SERVED);
        let answer = server.call("get");
        assert_eq!(answer["result"]["structuredContent"]["result"], 1, "{answer}");
        connections.load(Ordering::SeqCst)
    };
    assert_eq!(reload(&with_api(&url, "10s", "A")), 1);
    // Another tool, another place in the file: the same system.
    assert_eq!(reload(&("# moved\n\n".to_owned() + &with_api(&url, "10s", "B"))), 1);
    assert_eq!(reload(&with_api(&url, "11s", "B")), 2);
    assert_eq!(reload(&with_api(&url, "11s", "C")), 2);
}

#[test]
fn clients_of_both_eras_are_told() {
    let folder = Folder::new(&transform(&["one"]));
    let mut server = Serving::start(&folder, &["--no-watch"]);
    let params = json!({ "notifications": { "toolsListChanged": true } });
    let mut modern = BufReader::new(server.begin("subscriptions/listen", params));
    assert_eq!(next(&mut modern)["method"], "notifications/subscriptions/acknowledged");

    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "0" } } });
    let mut text = String::new();
    server.send("POST", "/mcp", POSTED, &hello.to_string()).read_to_string(&mut text).unwrap();
    let id = text.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
    let session = format!("{POSTED}Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-11-25\r\n");
    let hello = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let mut text = String::new();
    server.send("POST", "/mcp", &session, &hello.to_string()).read_to_string(&mut text).unwrap();
    assert!(text.contains("202 Accepted"), "{text}");
    let mut legacy = BufReader::new(server.send("GET", "/mcp", &session, ""));

    folder.write(&transform(&["one", "two"]));
    server.hang_up();
    server.log_until(SERVED);
    for stream in [&mut modern, &mut legacy] {
        assert_eq!(next(stream)["method"], "notifications/tools/list_changed");
    }
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
    let list = answer(server.send("POST", "/mcp", &session, &list.to_string()));
    assert_eq!(list["result"]["tools"].as_array().unwrap().len(), 2, "{list}");
}

#[test]
fn over_stdio_too() {
    let folder = Folder::new(&transform(&["one"]));
    let mut command = folder.command(&["--stdio", "--no-watch"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut read = || {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "0" }
    });
    writeln!(stdin, "{}", json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }))
        .unwrap();
    assert_eq!(read()["result"]["capabilities"]["tools"]["listChanged"], true);
    writeln!(stdin, "{}", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).unwrap();
    // Once this is answered, the notification before it was taken.
    writeln!(stdin, "{}", json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" })).unwrap();
    assert_eq!(read()["result"]["tools"][0]["name"], "one");
    folder.write(&transform(&["two"]));
    assert!(Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(read()["method"], "notifications/tools/list_changed");
    writeln!(stdin, "{}", json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/list" })).unwrap();
    assert_eq!(read()["result"]["tools"][0]["name"], "two");
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Each time another system, a connection to it, and a subscription of a client that stays.
#[test]
fn many_changes_leave_nothing_open() {
    let (url, connections) = backend();
    let config = |n: usize| {
        let sqlite = format!("db{n}: {{ sqlite: {{ path: ':memory:' }} }}");
        format!(
            "systems: {{ api: {{ http: {{ base_url: '{url}/{n}', private: true }} }}, {sqlite} }}\n\
             tools:\n  get: {{ description: Number {n}., call: {{ api: GET /x }} }}\n  \
             query: {{ description: Asks., call: {{ db{n}: 'select 1 as one' }} }}\n"
        )
    };
    let folder = Folder::new(&config(0));
    let mut server = Serving::start(&folder, &["--no-watch"]);
    let params = json!({ "notifications": { "toolsListChanged": true } });
    let mut listening = BufReader::new(server.begin("subscriptions/listen", params));
    next(&mut listening);
    let use_it = |server: &Serving| {
        for tool in ["get", "query"] {
            let answer = server.call(tool);
            assert_eq!(answer["result"]["isError"], false, "{answer}");
        }
    };
    use_it(&server);
    let before = server.open_files();
    for n in 1..=50 {
        folder.write(&config(n));
        server.hang_up();
        server.log_until(SERVED);
        assert_eq!(next(&mut listening)["method"], "notifications/tools/list_changed");
        use_it(&server);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 51);
    // What is let go of closes a moment later; each look gives it one.
    let settled = (0..2000).any(|_| {
        server.tools();
        server.open_files() <= before
    });
    assert!(settled, "{} files are open; before the first change it were {before}", server.open_files());
}

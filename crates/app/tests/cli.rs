//! The command line as its users see it: the built binary, its output and its exit codes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};

/// A config on a database in memory, and a system that nobody serves.
const CONFIG: &str = r##"
server: { name: test }
systems:
  db:
    sqlite: { path: ':memory:' }
tools:
  add:
    description: Adds two numbers.
    input: { a: integer, b: { type: integer, default: 1 } }
    call: { db: { sql: 'select ${.a} + ${.b} as sum', one: true } }
  echo:
    description: Gives the text back.
    input: { text: string }
    call: { db: { sql: 'select ${.text} as text', one: true } }
  refuse:
    description: Always refuses.
    call: { db: { sql: 'select 1 as x', one: true, reject_when: '${"out of stock"}' } }
"##;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(config: &str) -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        std::fs::write(folder.config(), config).unwrap();
        folder
    }

    fn config(&self) -> PathBuf {
        self.path().join("renkei.yaml")
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_renkei"));
        command.args(words).current_dir(self.path()).env_remove("RENKEI_LOG").stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A server that ends with the test.
struct Serving {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    address: String,
}

impl Serving {
    fn start(folder: &Folder, words: &[&str]) -> Self {
        let words = [&["serve", "--listen", "127.0.0.1:0"], words].concat();
        let mut child = folder.command(&words).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "the server ended before it listened");
            if let Some(rest) = line.trim().strip_prefix("listening on http://") {
                break rest.strip_suffix("/mcp").unwrap().to_owned();
            }
        };
        Serving { child, stderr, address }
    }

    /// One MCP request of the newest revision, and the status and body of its answer.
    fn request(&self, method: &str, params: Value) -> (u16, Value) {
        self.request_at("/mcp", method, params)
    }

    /// The same at an endpoint.
    fn request_at(&self, path: &str, method: &str, mut params: Value) -> (u16, Value) {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = params["name"].as_str().map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: {method}\r\n{name}Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len(),
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        let json = text.lines().find_map(|line| {
            serde_json::from_str(line.strip_prefix("data: ").unwrap_or(line)).ok().filter(Value::is_object)
        });
        (status, json.unwrap_or_default())
    }

    fn terminate(&self) {
        let done = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn check_says_what_the_list_costs() {
    let output = Folder::new(CONFIG).run(&["check"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.starts_with("ok: 1 system, 3 tools; the tool list costs a model about "), "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
}

#[test]
fn check_reports_everything_at_once() {
    let broken = CONFIG.replace("integer, b", "integr, b").replace("${.text}", "${.txet}");
    let folder = Folder::new(&broken);
    let output = folder.run(&["check"]);
    assert_eq!(code(&output), 3);
    let text = stderr(&output);
    for part in
        ["`integr` is not a type", "did you mean `integer`?", "`.txet` is not in the input", "2 errors"]
    {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains('\x1b'), "colour without a terminal");

    let output = folder.run(&["check", "--json"]);
    assert_eq!(code(&output), 3);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["findings"].as_array().unwrap().len(), 2);
    assert_eq!(report["findings"][0]["line"], 9);
}

#[test]
fn check_without_the_secrets() {
    let folder = Folder::new(&CONFIG.replace("':memory:'", "'${env.NOT_SET_ANYWHERE}'"));
    let output = folder.run(&["check"]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("`NOT_SET_ANYWHERE` is not set"), "{}", stderr(&output));
    assert_eq!(code(&folder.run(&["check", "--no-env"])), 0);
}

#[test]
fn what_check_passes_starts() {
    let folder = Folder::new(CONFIG);
    assert_eq!(code(&folder.run(&["check"])), 0);
    let server = Serving::start(&folder, &[]);
    let (status, list) = server.request("tools/list", json!({}));
    assert_eq!(status, 200);
    assert_eq!(list["result"]["tools"].as_array().unwrap().len(), 3, "{list}");
}

#[test]
fn call_reads_values_as_the_schema_says() {
    let folder = Folder::new(CONFIG);
    let output = folder.run(&["call", "add", "a=41"]);
    assert_eq!((code(&output), stdout(&output).trim()), (0, "{\n  \"sum\": 42\n}"), "{}", stderr(&output));
    // Text stays text where the schema says string, even if it looks like a number.
    for (argument, text) in [("text=42", "42"), ("text:=\"x=y\"", "x=y"), ("text=a=b", "a=b")] {
        let output = folder.run(&["call", "echo", argument, "--json"]);
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(result["structured"]["text"], text, "{argument}: {result}");
    }
    std::fs::write(folder.path().join("text"), "from a file").unwrap();
    let output = folder.run(&["call", "echo", "text=@text"]);
    assert!(stdout(&output).contains("from a file"), "{}", stdout(&output));
}

#[test]
fn call_says_what_failed() {
    let folder = Folder::new(CONFIG);
    let output = folder.run(&["call", "refuse", "--json"]);
    assert_eq!(code(&output), 1);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["ok"], &result["error"]["kind"]), (&json!(false), &json!("rejected")), "{result}");
    assert!(result["error"]["message"].as_str().unwrap().contains("out of stock"), "{result}");

    let output = folder.run(&["call", "add", "a=many"]);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains("expected integer, got the string \"many\""), "{}", stdout(&output));
}

/// The tools, and a group with two of them.
fn grouped() -> Folder {
    Folder::new(&format!(
        "{CONFIG}\ngroups: {{ numbers: {{ title: Numbers, tools: [add, 're*'] }}, texts: {{ tools: ['*o'] }} }}\n"
    ))
}

#[test]
fn check_says_what_the_list_of_each_group_costs() {
    let folder = grouped();
    let text = stdout(&folder.run(&["check"]));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[4], "2 groups, each with a list of its own:", "{text}");
    assert!(
        lines[5].ends_with("  /mcp/numbers: 2 tools") && lines[6].ends_with("/mcp/texts: 1 tool"),
        "{text}"
    );
    let report: Value = serde_json::from_slice(&folder.run(&["check", "--json"]).stdout).unwrap();
    let cost = |name: &str| {
        let tools = report["tools"].as_array().unwrap();
        tools.iter().find(|tool| tool["name"] == name).unwrap()["tokens"].as_u64().unwrap()
    };
    assert_eq!(
        report["groups"],
        json!([
            { "name": "numbers", "tokens": cost("add") + cost("refuse"), "tools": ["add", "refuse"],
              "resources": [], "prompts": [] },
            { "name": "texts", "tokens": cost("echo"), "tools": ["echo"], "resources": [], "prompts": [] },
        ])
    );
}

#[test]
fn groups_have_endpoints() {
    let mut server = Serving::start(&grouped(), &["--log", "error"]);
    for name in ["numbers", "texts"] {
        let mut line = String::new();
        server.stderr.read_line(&mut line).unwrap();
        assert_eq!(line, format!("group `{name}` on http://{}/mcp/{name}\n", server.address));
    }
    let names = |path| {
        let (_, list) = server.request_at(path, "tools/list", json!({}));
        let tools = list["result"]["tools"].as_array().unwrap().clone();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("/mcp/numbers"), "add refuse");
    assert_eq!(names("/mcp/texts"), "echo");
    assert_eq!(names("/mcp"), "add echo refuse");
    let (_, found) = server.request_at("/mcp/numbers", "server/discover", json!({}));
    let info = &found["result"]["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!((&info["name"], &info["title"]), (&json!("test-numbers"), &json!("Numbers")), "{found}");
    assert_eq!(server.request_at("/mcp/number", "tools/list", json!({})).0, 404);
}

#[test]
fn call_at_a_group() {
    let folder = grouped();
    assert_eq!(code(&folder.run(&["call", "add", "a=1", "--group", "numbers"])), 0);
    for (words, part) in [
        (&["call", "echo", "text=x", "--group", "numbers"][..], "there is no tool `echo`"),
        (&["call", "echo", "text=x", "--group", "number"], "did you mean `numbers`?"),
        (&["serve", "--stdio", "--group", "number"], "did you mean `numbers`?"),
        (&["serve", "--group", "numbers"], "--stdio"),
    ] {
        let output = folder.run(words);
        assert_eq!(code(&output), 2, "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(part), "{words:?}: {}", stderr(&output));
    }
}

#[test]
fn wrong_command_lines() {
    let folder = Folder::new(CONFIG);
    for (words, part) in [
        (&["call", "ad"][..], "did you mean `add`?"),
        (&["call", "add", "a"], "write `key=value`"),
        (&["call", "add", "a=1", "a=2"], "given twice"),
        (&["call", "add", "a:=nope"], "not JSON"),
        (&["call", "echo", "text=@missing"], "failed to read `missing`"),
        (&["serve", "--listen", "nowhere"], "invalid value 'nowhere'"),
        (&["serve", "--stdio", "--listen", "127.0.0.1:0"], "cannot be used with"),
        (&["serve", "--log", "x=y=z"], "is not a log filter"),
        (&["srve"], "tip"),
    ] {
        let output = folder.run(words);
        assert_eq!(code(&output), 2, "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(part), "{words:?}: {}", stderr(&output));
    }
}

/// A key that the listener cannot use is found by `check`, not at the start.
#[test]
fn check_tries_the_keys() {
    let pem = "-----BEGIN PUBLIC KEY-----\n      bm90IGEga2V5\n      -----END PUBLIC KEY-----";
    let auth =
        format!("{{ jwt: [{{ algorithm: RS256, public_key: \"{}\" }}] }}", pem.replace("\n      ", "\\n"));
    let folder = Folder::new(&CONFIG.replace("name: test }", &format!("name: test, auth: {auth} }}")));
    let output = folder.run(&["check"]);
    assert_eq!(code(&output), 3, "{}{}", stdout(&output), stderr(&output));
    assert!(stderr(&output).contains("RS256"), "{}", stderr(&output));
}

#[test]
fn an_address_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Folder::new(CONFIG).run(&["serve", "--listen", &address]);
    assert_eq!(code(&output), 4);
    assert!(stderr(&output).contains("takes a free port"), "{}", stderr(&output));
}

#[test]
fn schema_and_completions() {
    let folder = Folder::new(CONFIG);
    let schema: Value = serde_json::from_slice(&folder.run(&["schema"]).stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for shell in ["bash", "zsh", "fish"] {
        let output = folder.run(&["completions", shell]);
        assert_eq!(code(&output), 0);
        assert!(stdout(&output).contains("renkei"));
    }
}

#[test]
fn help_shows_examples_and_exit_codes() {
    let folder = Folder::new(CONFIG);
    assert!(stdout(&folder.run(&["--help"])).contains("Exit codes:"));
    for command in ["serve", "check", "call", "schema", "demo", "completions"] {
        assert!(stdout(&folder.run(&[command, "--help"])).contains("Examples:"), "{command}");
    }
}

/// SIGTERM while a call is under way: the call is answered, then the process ends well.
#[test]
fn sigterm_drains() {
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::new(&format!(
        "systems: {{ api: {{ http: {{ base_url: 'http://{}', private: true }} }} }}\n\
         tools: {{ slow: {{ description: Waits., call: {{ api: GET /slow }} }} }}\n",
        backend.local_addr().unwrap()
    ));
    let mut server = Serving::start(&folder, &["--log", "info"]);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| server.request("tools/call", json!({ "name": "slow", "arguments": {} })));
        let (mut upstream, _) = backend.accept().unwrap();
        let mut request = BufReader::new(upstream.try_clone().unwrap());
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert!(request.read_line(&mut line).unwrap() > 0);
        }
        // The call is under way now; the answer comes only after the server was told to stop.
        server.terminate();
        while TcpStream::connect(&server.address).is_ok() {
            std::thread::yield_now();
        }
        upstream
            .write_all(
                b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Type: application/json\r\n\r\n\"ok\"",
            )
            .unwrap();
        let (status, answer) = call.join().unwrap();
        assert_eq!(
            (status, &answer["result"]["structuredContent"]["result"]),
            (200, &json!("ok")),
            "{answer}"
        );
    });
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    let mut log = String::new();
    server.stderr.read_to_string(&mut log).unwrap();
    assert!(log.contains("stopping"), "{log}");
}

#[test]
fn stdio_serves_one_group() {
    let folder = grouped();
    let mut command = folder.command(&["serve", "--stdio", "--group", "texts", "--log", "error"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "0" }
    });
    let call = |name: &str| json!({ "name": name, "arguments": { "text": "x" } });
    let mut ask = |id: i32, method: &str, params: Value| {
        writeln!(stdin, "{}", json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
            .unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    assert_eq!(ask(1, "initialize", params)["result"]["serverInfo"]["name"], "test-texts");
    assert_eq!(ask(2, "tools/list", json!({}))["result"]["tools"][0]["name"], "echo");
    assert_eq!(ask(3, "tools/call", call("echo"))["result"]["structuredContent"], json!({ "text": "x" }));
    assert_eq!(ask(4, "tools/call", call("add"))["error"]["code"], -32602);
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn stdio_speaks_only_protocol_on_stdout() {
    let folder = Folder::new(CONFIG);
    let mut child = folder
        .command(&["serve", "--stdio", "--log", "debug"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": "add", "arguments": { "a": 2, "b": 3 }, "_meta": meta });
    let request = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params });
    writeln!(stdin, "{request}").unwrap();
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let answer: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(answer["result"]["structuredContent"]["sum"], 5, "{answer}");
    // The end of stdin is the end of the server.
    drop(stdin);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A database that is not there yet stops nothing: the tool is listed, says why, and works once it is.
#[test]
fn a_system_that_is_down_at_start() {
    let folder = Folder::new(
        "systems: { db: { sqlite: { path: later.db } } }\n\
         tools: { count: { description: Counts., call: { db: { sql: 'select count(*) as n from t', one: true } } } }\n",
    );
    let server = Serving::start(&folder, &["--log", "error"]);
    let (_, list) = server.request("tools/list", json!({}));
    assert_eq!(list["result"]["tools"][0]["name"], "count", "{list}");
    let (status, refusal) = server.request("tools/call", json!({ "name": "count", "arguments": {} }));
    assert_eq!((status, &refusal["result"]["isError"]), (200, &json!(true)), "{refusal}");
    let text = refusal["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("`db`") && text.contains("later.db"), "{text}");

    let database = rusqlite::Connection::open(folder.path().join("later.db")).unwrap();
    database.execute_batch("create table t (x); insert into t values (1), (2)").unwrap();
    // Each refused call wakes the reconnection; the server answers "not before" until then.
    let found = std::iter::repeat_with(|| {
        server.request("tools/call", json!({ "name": "count", "arguments": {} })).1
    })
    .take(10_000)
    .find(|answer| answer["result"]["isError"] != json!(true));
    assert_eq!(found.expect("it reconnects").pointer("/result/structuredContent/n"), Some(&json!(2)));
}

/// A variable that was mixed up must not end up in a CI log.
#[test]
fn values_of_the_environment_stay_out_of_diagnostics() {
    let folder = Folder::new(&CONFIG.replace("name: test", "name: test, listen: '${env.MIXED_UP}'"));
    let output = folder.command(&["check"]).env("MIXED_UP", "topsecretvalue").output().unwrap();
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("`***` is not an address"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("topsecretvalue"), "{}", stderr(&output));
}

/// A key of the system makes a repeat within a run safe; a second call of the tool is another run.
#[test]
fn a_key_does_not_make_a_tool_idempotent() {
    let config = "systems: { bank: { http: { base_url: 'https://bank.example', headers: { Idempotency-Key: '${$key}' } } } }\n\
                  tools: { charge: { description: Charges., call: { bank: POST /charges } } }\n";
    let server = Serving::start(&Folder::new(config), &["--log", "error"]);
    let (_, list) = server.request("tools/list", json!({}));
    assert_eq!(list["result"]["tools"][0]["annotations"]["idempotentHint"], false, "{list}");
}

/// An integer that would be rounded on the way would address another record.
#[test]
fn a_number_beyond_64_bits_arrives_as_it_is() {
    let server = Serving::start(&Folder::new(CONFIG), &["--log", "error"]);
    let large = 12_345_678_901_234_567_890_123_f64;
    let (_, answer) = server.request("tools/call", json!({ "name": "add", "arguments": { "a": large } }));
    assert_eq!(answer["result"]["structuredContent"]["sum"].as_f64(), Some(large), "{answer}");
}

//! A config, its processes, and the ledger that their workers write to.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use renkei_testkit::fault::{FaultServer, Received};
use serde_json::{Value, json};

/// Nothing here takes so long, unless something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A number that whoever starts the tests may say.
#[expect(clippy::disallowed_methods, reason = "how long a test takes is up to whoever starts it")]
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

pub(crate) struct House {
    folder: tempfile::TempDir,
    pub(crate) ledger: FaultServer,
}

impl House {
    /// `config` without its `systems`: there is one, `ledger`.
    pub(crate) async fn new(config: &str) -> Self {
        let house = House { folder: tempfile::tempdir().unwrap(), ledger: FaultServer::start().await };
        house.write(config);
        house
    }

    pub(crate) fn write(&self, config: &str) {
        let systems = format!(
            "systems:\n  ledger:\n    http: {{ base_url: '{}', private: true }}\n    retry: off\n",
            self.ledger.url()
        );
        let new = self.folder.path().join("renkei.yaml.new");
        std::fs::write(&new, format!("{systems}{config}")).unwrap();
        std::fs::rename(new, self.config()).unwrap();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("renkei.yaml")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_renkei"));
        command.args(words).current_dir(self.folder.path()).env_remove("RENKEI_LOG").stdin(Stdio::null());
        command
    }

    pub(crate) fn serve(&self) -> Process {
        Process::start(self.command(&["serve", "--listen", "127.0.0.1:0", "--log", "info"]))
    }

    pub(crate) fn work(&self, words: &[&str]) -> Process {
        Process::start(self.command(&[&["work", "--log", "info"], words].concat()))
    }

    /// A command that ends by itself, and has to end well.
    pub(crate) fn run(&self, words: &[&str]) -> String {
        let output = self.try_run(words);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{words:?}: {out}{err}");
        out.into_owned()
    }

    pub(crate) fn try_run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let text = self.run(&[words, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Waits until a command says so.
    pub(crate) fn wait_json(&self, words: &[&str], done: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let said = self.json(words);
            if done(&said) {
                return said;
            }
            assert!(began.elapsed() < PATIENCE, "{said}");
        }
    }

    /// What `renkei queue list` says of a queue.
    pub(crate) fn queue(&self, name: &str) -> Value {
        let all = self.json(&["queue", "list"]);
        all.as_array().unwrap().iter().find(|queue| queue["queue"] == name).unwrap().clone()
    }

    /// Waits until the queue looks so.
    pub(crate) fn wait_queue(&self, name: &str, done: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let queue = self.queue(name);
            if done(&queue) {
                return queue;
            }
            assert!(began.elapsed() < PATIENCE, "{queue}");
        }
    }

    /// All that reached the ledger, in its order.
    pub(crate) fn effects(&self) -> Vec<Effect> {
        self.ledger.received().iter().map(Effect::of).collect()
    }
}

/// What one request changed.
#[derive(Clone, Debug)]
pub(crate) struct Effect {
    pub(crate) key: String,
    pub(crate) body: Value,
}

impl Effect {
    fn of(received: &Received) -> Self {
        Effect {
            key: received.header("Idempotency-Key").unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&received.body).unwrap_or_default(),
        }
    }
}

/// A process that ends with the test.
pub(crate) struct Process {
    child: Child,
    log: Arc<(Mutex<String>, Condvar)>,
    pub(crate) address: String,
}

impl Process {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let log: Arc<(Mutex<String>, Condvar)> = Arc::default();
        let sink = log.clone();
        std::thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                sink.0.lock().unwrap().push_str(&line);
                sink.1.notify_all();
                line.clear();
            }
            sink.0.lock().unwrap().push_str("[the end]");
            sink.1.notify_all();
        });
        let mut process = Process { child, log, address: String::new() };
        let log = process.wait_log(&["listening on http://", "working on "]);
        if let Some((_, rest)) = log.split_once("listening on http://") {
            process.address = rest.lines().next().unwrap().strip_suffix("/mcp").unwrap().to_owned();
        }
        process
    }

    /// Waits until the log has one of these texts, and gives all of it.
    pub(crate) fn wait_log(&self, texts: &[&str]) -> String {
        let (log, more) = &*self.log;
        let wanted =
            |log: &mut String| !texts.iter().any(|text| log.contains(text)) && !log.ends_with("[the end]");
        let (log, waited) = more.wait_timeout_while(log.lock().unwrap(), PATIENCE, wanted).unwrap();
        assert!(!waited.timed_out() && texts.iter().any(|text| log.contains(text)), "{texts:?}: {log}");
        log.clone()
    }

    /// Waits until the log has a text so often.
    pub(crate) fn wait_log_times(&self, text: &str, times: usize) {
        let (log, more) = &*self.log;
        let few = |log: &mut String| log.matches(text).count() < times && !log.ends_with("[the end]");
        let (log, waited) = more.wait_timeout_while(log.lock().unwrap(), PATIENCE, few).unwrap();
        assert!(!waited.timed_out() && log.matches(text).count() >= times, "{times} times {text}: {log}");
    }

    pub(crate) fn log(&self) -> String {
        self.log.0.lock().unwrap().clone()
    }

    /// The most memory that it needed so far, in kilobytes.
    pub(crate) fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Waits for its end, and gives its log.
    pub(crate) fn wait(&mut self) -> (bool, String) {
        let status = self.child.wait().unwrap();
        (status.success(), self.wait_log(&["[the end]"]))
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Calls a tool. The error is the transport's.
    pub(crate) fn try_call(&self, name: &str, arguments: Value) -> std::io::Result<Value> {
        self.try_request("tools/call", json!({ "name": name, "arguments": arguments }), Some(name), "")
    }

    /// Calls a tool as whoever has the key.
    pub(crate) fn call_as(&self, key: &str, name: &str, arguments: Value) -> Value {
        let params = json!({ "name": name, "arguments": arguments });
        let authorized = format!("Authorization: Bearer {key}\r\n");
        self.try_request("tools/call", params, Some(name), &authorized).unwrap()["result"].clone()
    }

    /// Sends a request, which has to be answered. `name` is what the header says that it is about.
    pub(crate) fn request(&self, method: &str, params: Value, name: Option<&str>) -> Value {
        self.try_request(method, params, name, "").unwrap()
    }

    /// `more` are headers, each with its end of line.
    fn try_request(
        &self,
        method: &str,
        mut params: Value,
        name: Option<&str>,
        more: &str,
    ) -> std::io::Result<Value> {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let name = name.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        let mut stream = TcpStream::connect(&self.address)?;
        write!(
            stream,
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: {method}\r\n{name}{more}Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len(),
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let message = |line: &str| {
            serde_json::from_str(line.strip_prefix("data: ").unwrap_or(line)).ok().filter(Value::is_object)
        };
        let cut = || std::io::Error::other(format!("no answer: {text}"));
        text.lines().find_map(message).ok_or_else(cut)
    }

    /// Calls a tool, which has to work out, and gives its result.
    pub(crate) fn call(&self, name: &str, arguments: Value) -> Value {
        let answer = self.try_call(name, arguments).unwrap();
        let result = &answer["result"];
        assert_ne!(result["isError"], true, "{answer}");
        assert!(result["structuredContent"].is_object(), "{answer}");
        result["structuredContent"].clone()
    }

    /// Calls a tool, which has to fail, and gives what a model reads.
    pub(crate) fn refusal(&self, name: &str, arguments: Value) -> String {
        let answer = self.try_call(name, arguments).unwrap();
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        answer["result"]["content"][0]["text"].as_str().unwrap().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that was stopped does not hear of anything else.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! The built binary, and requests to it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};

use crate::ledger::PATIENCE;

pub(crate) const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// A server that ends with the test.
pub(crate) struct Serving {
    child: Child,
    // Kept, so that it can write.
    _stderr: BufReader<ChildStderr>,
    pub(crate) address: String,
}

impl Serving {
    #[expect(clippy::zombie_processes, reason = "where it did not start, the test is over")]
    pub(crate) fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_renkei"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error"]).current_dir(folder);
        command.env_remove("RENKEI_LOG").stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut all = String::new();
        loop {
            let from = all.len();
            assert!(stderr.read_line(&mut all).unwrap() > 0, "the server ended: {all}");
            if let Some((_, address)) = all[from..].split_once("listening on http://") {
                let address = address.trim().strip_suffix("/mcp").unwrap().to_owned();
                return Serving { child, _stderr: stderr, address };
            }
        }
    }

    /// As the machine does it: nothing is ended in order.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn terminate(mut self) -> bool {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().success()
    }

    /// A request of the newest revision, under way; nothing if nobody takes it.
    pub(crate) fn send(&self, method: &str, mut params: Value, knows_tasks: bool) -> Option<TcpStream> {
        let extensions = if knows_tasks { json!({ EXTENSION: {} }) } else { json!({}) };
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": { "extensions": extensions },
        });
        let name = params["name"].as_str().or(params["taskId"].as_str());
        let name = name.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: {method}\r\n{name}Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len(),
        )
        .ok()?;
        Some(stream)
    }

    pub(crate) fn request(&self, method: &str, params: Value, knows_tasks: bool) -> Value {
        answer(self.send(method, params, knows_tasks).unwrap()).unwrap()
    }

    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }), true)
    }

    pub(crate) fn task(&self, id: &str) -> Value {
        self.request("tasks/get", json!({ "taskId": id }), true)
    }

    /// The task when it has ended.
    pub(crate) fn ended(&self, id: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let task = self.task(id)["result"].clone();
            if ["completed", "failed", "cancelled"].contains(&task["status"].as_str().unwrap_or("none")) {
                return task;
            }
            assert!(Instant::now() < until && task["status"] == "working", "{task}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The JSON of an answer, as a body or as the last event of a stream; nothing if it ended before.
pub(crate) fn answer(mut stream: TcpStream) -> Option<Value> {
    let mut all = String::new();
    stream.read_to_string(&mut all).ok()?;
    let (_, body) = all.split_once("\r\n\r\n")?;
    let line = body.lines().rev().find(|line| line.contains("\"jsonrpc\""))?;
    serde_json::from_str(line.trim_start_matches("data:").trim()).ok()
}

/// What a command prints, and its exit code.
pub(crate) fn renkei(folder: &Path, words: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_renkei"))
        .args(words)
        .current_dir(folder)
        .env_remove("RENKEI_LOG")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

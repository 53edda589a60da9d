//! The binary as a server, and calls to it.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long a test waits for what must happen before it gives up. Far longer than any deadline under test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server that ends with the test.
pub(crate) struct Serving {
    child: Child,
    address: String,
    /// Of the listener aside.
    aside: String,
    _folder: tempfile::TempDir,
}

impl Serving {
    pub(crate) fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = "server: { metrics: { listen: 127.0.0.1:0 } }\n";
        std::fs::write(folder.path().join("renkei.yaml"), server.to_owned() + config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_renkei"))
            .args(["serve", "--listen", "127.0.0.1:0", "--no-watch"])
            .current_dir(folder.path())
            .env_remove("RENKEI_LOG")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let (mut address, mut aside) = (None, None);
        while address.is_none() || aside.is_none() {
            let from = said.len();
            assert!(log.read_line(&mut said).unwrap() > 0, "the server ended before it listened: {said}");
            let line = &said[from..];
            let after = |start| Some(line.split_once(start)?.1.trim().split('/').next()?.to_owned());
            address = address.or_else(|| after("listening on http://"));
            aside = aside.or_else(|| after("metrics on http://"));
        }
        let (address, aside) = (address.unwrap(), aside.unwrap());
        // It must not stop because nobody reads what it says.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Serving { child, address, aside, _folder: folder }
    }

    /// The sum of a metric over all its labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(&self.aside).await.unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.aside);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut page = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut page)).await.unwrap().unwrap();
        let of = page
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        of.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    fn process(&self) -> String {
        format!("/proc/{}", self.child.id())
    }

    /// Files, sockets and the like that are open.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(self.process() + "/fd").unwrap().count()
    }

    pub(crate) fn threads(&self) -> usize {
        std::fs::read_dir(self.process() + "/task").unwrap().count()
    }

    /// Processes that it started, whether they still run or not.
    pub(crate) fn children(&self) -> String {
        let id = self.child.id();
        std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap()
    }

    /// Resident memory, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let status = std::fs::read_to_string(self.process() + "/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<usize>().unwrap() << 10
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    /// A call of a tool, as bytes on a connection that stays open.
    pub(crate) fn request(&self, tool: &str, arguments: &Value) -> String {
        let params = json!({ "name": tool, "arguments": arguments, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        } });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
        format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len(),
        )
    }

    /// Calls a tool and waits for its result.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let mut stream = self.connect().await;
        let request = self.request(tool, &arguments);
        stream.write_all(request.as_bytes()).await.unwrap();
        let read = timeout(PATIENCE, answer(&mut stream)).await;
        read.unwrap_or_else(|_| panic!("`{tool}` was not answered: it hangs"))
    }
}

/// Reads the result of a call, and leaves the connection as it was before.
pub(crate) async fn answer(stream: &mut TcpStream) -> Value {
    let (mut text, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut part).await.unwrap();
        text.extend_from_slice(&part[..read]);
        let so_far = String::from_utf8_lossy(&text);
        let message = so_far.lines().find_map(|line| {
            serde_json::from_str(line.strip_prefix("data: ").unwrap_or(line)).ok().filter(Value::is_object)
        });
        // A plain answer ends with its message.
        if let Some(message) = message {
            let message: Value = message;
            return message["result"].clone();
        }
        assert!(read > 0, "no answer in {so_far}");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

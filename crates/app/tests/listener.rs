//! The built binary's listener: certificates that are replaced, proxies that are believed, and its end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    time::Duration,
};

use renkei_testkit::secure::{Authority, Identity};
use reqwest::{Certificate, Client, RequestBuilder, Version};
use serde_json::{Value, json};

const MODERN: &str = "2026-07-28";

struct Server {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// `127.0.0.1:PORT`.
    address: String,
    /// Of the listener aside.
    aside: String,
    folder: tempfile::TempDir,
}

impl Server {
    /// `server` stands under `server:`; the tool `slow` asks `upstream`.
    fn start(server: &str, upstream: &str, write: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "server:\n  metrics: {{ listen: 127.0.0.1:0 }}\n{server}\
             systems: {{ api: {{ http: {{ base_url: 'http://{upstream}', private: true }} }} }}\n\
             tools:\n  slow: {{ description: Waits., call: {{ api: GET /slow }} }}\n\
             \x20 quick: {{ description: Does not., transform: 1 }}\n\
             resources:\n  state: {{ uri: 'x:state', watch: 1h, text: same }}\n"
        );
        std::fs::write(folder.path().join("renkei.yaml"), config).unwrap();
        write(folder.path());
        let mut child = Command::new(env!("CARGO_BIN_EXE_renkei"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .current_dir(folder.path())
            .env_remove("RENKEI_LOG")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (address, aside) = (String::new(), String::new());
        let mut server = Server { child, stderr, address, aside, folder };
        let said = server.log_until("metrics on http://");
        let after = |text: &str| {
            let line = said.lines().find_map(|line| line.split_once(text)).unwrap();
            line.1.split('/').next().unwrap().to_owned()
        };
        server.address = match said.contains("https://") {
            true => after("listening on https://"),
            false => after("listening on http://"),
        };
        server.aside = after("metrics on http://");
        server
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

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    fn get_aside(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.aside).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.aside).unwrap();
        rest(stream)
    }

    /// Whether it takes no new connections, now or soon: one that it still took is closed at once.
    fn refuses(&self) -> bool {
        (0..100).any(|_| {
            let Ok(mut stream) = TcpStream::connect(&self.address) else { return true };
            // Whoever speaks, or holds it open in silence, got the port after it.
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            match stream.read(&mut [0]) {
                Ok(read) => read > 0,
                Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            }
        })
    }

    fn metric(&self, name: &str) -> f64 {
        let page = self.get_aside("/metrics");
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
    }

    fn url(&self) -> String {
        let port = self.address.rsplit(':').next().unwrap();
        format!("https://localhost:{port}")
    }

    /// The exit status, and what was logged until then.
    fn ended(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        self.stderr.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap(), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rest(mut stream: impl Read) -> String {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn client(authority: &Authority) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    Client::builder().tls_certs_only([root]).no_proxy().build().unwrap()
}

fn write_pair(folder: &Path, pair: &Identity) {
    for (name, text) in [("server.crt", &pair.certificate), ("server.key", &pair.key)] {
        let new = folder.join(format!("{name}.new"));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, folder.join(name)).unwrap();
    }
}

fn body(method: &str, mut params: Value) -> String {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

/// As header lines.
fn modern(method: &str, name: &str) -> String {
    let name = if name.is_empty() { String::new() } else { format!("Mcp-Name: {name}\r\n") };
    format!("{POSTED}MCP-Protocol-Version: {MODERN}\r\nMcp-Method: {method}\r\n{name}")
}

const POSTED: &str = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";

/// A request on a connection of its own that stays open.
fn post(server: &Server, headers: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        server.address,
        body.len(),
    )
    .unwrap();
    stream
}

fn begin_call(server: &Server, tool: &str) -> TcpStream {
    post(server, &modern("tools/call", tool), &body("tools/call", json!({ "name": tool })))
}

fn call(client: &Client, server: &Server, tool: &str) -> RequestBuilder {
    let request = client.post(format!("{}/mcp", server.url()));
    let request = request.header("content-type", "application/json");
    let request = request.header("accept", "application/json, text/event-stream");
    let request = request.header("mcp-protocol-version", MODERN).header("mcp-method", "tools/call");
    request.header("mcp-name", tool).body(body("tools/call", json!({ "name": tool })))
}

/// Reads a request, and gives the connection to answer on.
fn accept(upstream: &TcpListener) -> TcpStream {
    let (stream, _) = upstream.accept().unwrap();
    let mut lines = BufReader::new(&stream).lines();
    while !lines.next().unwrap().unwrap().is_empty() {}
    stream
}

fn answer(mut stream: TcpStream) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n";
    stream.write_all(format!("{head}7").as_bytes()).unwrap();
}

fn upstream() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

const TLS: &str = "  tls: { cert: server.crt, key: server.key }\n";

#[tokio::test]
async fn a_certificate_is_replaced_while_connections_live() {
    let (first, second) = (Authority::new(), Authority::new());
    let mut server = Server::start(TLS, "127.0.0.1:1", |folder| {
        write_pair(folder, &first.server(&["localhost"]));
    });
    let open = client(&first);
    let answer = call(&open, &server, "quick").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    assert_eq!(answer.text().await.unwrap().matches(r#""result":1"#).count(), 1);

    write_pair(server.folder.path(), &second.server(&["localhost"]));
    server.log_until("the changed config is served");
    call(&client(&second), &server, "quick").send().await.unwrap();
    assert!(call(&client(&first), &server, "quick").send().await.is_err());
    // The connection that was open goes on.
    call(&open, &server, "quick").send().await.unwrap();

    // A key of another certificate, and then nothing at all.
    std::fs::write(server.folder.path().join("server.key"), second.server(&["localhost"]).key).unwrap();
    let log = server.log_until("is not the key of the certificate");
    assert!(log.contains("the changed config is refused"), "{log}");
    call(&client(&second), &server, "quick").send().await.unwrap();
    assert!(server.get_aside("/health/ready").contains("the config on disk was refused"));
    std::fs::remove_file(server.folder.path().join("server.key")).unwrap();
    server.log_until("`server.key` (`server.tls.key`) cannot be read");
    write_pair(server.folder.path(), &first.server(&["localhost"]));
    server.log_until("the changed config is served");
    call(&client(&first), &server, "quick").send().await.unwrap();
    call(&open, &server, "quick").send().await.unwrap();
    assert_eq!(server.metric("renkei_http_handshakes_total{result=\"ok\"}"), 4.0);
}

#[test]
fn a_pair_that_is_none_is_found_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let config = format!("server:\n{TLS}tools: {{ x: {{ description: X., transform: 1 }} }}\n");
    std::fs::write(folder.path().join("renkei.yaml"), config).unwrap();
    let says = |word: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_renkei"));
        let output = command.arg(word).current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for word in ["check", "serve"] {
        let (code, text) = says(word);
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains("`server.crt` (`server.tls.cert`) cannot be read"), "{text}");
    }
    let pair = authority.server(&["localhost"]);
    let other = Identity { key: authority.server(&["localhost"]).key, ..pair.clone() };
    write_pair(folder.path(), &other);
    for word in ["check", "serve"] {
        let (code, text) = says(word);
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains("`server.key` (`server.tls.key`) is not the key of the certificate"), "{text}");
    }
    write_pair(folder.path(), &pair);
    assert_eq!(says("check").0, Some(0));
}

#[test]
fn what_a_trusted_proxy_says_of_the_client_is_in_the_audit() {
    for (server, client) in
        [("", "127.0.0.1"), ("  trusted_proxies: [127.0.0.1, 10.0.0.0/8]\n", "203.0.113.7")]
    {
        let mut server = Server::start(server, "127.0.0.1:1", |_| {});
        let headers = modern("tools/call", "quick") + "X-Forwarded-For: 1.1.1.1, 203.0.113.7, 10.0.0.1\r\n";
        let _open = post(&server, &headers, &body("tools/call", json!({ "name": "quick" })));
        let log = server.log_until("outcome=\"ok\"");
        assert!(log.contains(&format!(" client={client} ")), "{log}");
    }
}

fn initialize() -> String {
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "x", "version": "1" }
    });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }).to_string()
}

/// Opened and left: what is kept of them has an end.
#[test]
fn sessions_that_are_left_make_room() {
    let server = Server::start("  limits: { sessions: 50 }\n", "127.0.0.1:1", |_| {});
    let open = |count| {
        for _ in 0..count {
            let answer = rest(post(&server, &format!("{POSTED}Connection: close\r\n"), &initialize()));
            assert!(answer.contains("mcp-session-id: "), "{answer}");
        }
        assert_eq!(server.metric("renkei_mcp_sessions"), 50.0);
        server.metric("process_resident_memory_bytes")
    };
    let before = open(500);
    let grown = open(1500) - before;
    assert!(grown < 8e6, "it grew by {grown} bytes");
}

/// Of each kind one: what is idle, what is under way, what listens.
#[test]
fn a_server_that_is_told_to_stop_finishes_what_is_under_way() {
    let (upstream, address) = upstream();
    let mut server = Server::start("", &address, |_| {});
    let mut idle = begin_call(&server, "quick");
    let mut byte = [0];
    idle.read_exact(&mut byte).unwrap();
    let silent = TcpStream::connect(&server.address).unwrap();
    // A session and its stream; a subscription.
    let mut opened = post(&server, POSTED, &initialize());
    let mut head = String::new();
    for line in BufReader::new(&mut opened).lines() {
        let line = line.unwrap();
        if line.is_empty() {
            break;
        }
        head += &(line + "\n");
    }
    let session = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
    let mut stream = TcpStream::connect(&server.address).unwrap();
    write!(
        stream,
        "GET /mcp HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\nMcp-Session-Id: {session}\r\n\r\n",
        server.address
    )
    .unwrap();
    stream.read_exact(&mut byte).unwrap();
    let filter =
        json!({ "notifications": { "toolsListChanged": true, "resourceSubscriptions": ["x:state"] } });
    let listening = post(&server, &modern("subscriptions/listen", ""), &body("subscriptions/listen", filter));
    let mut listening = BufReader::new(listening);
    let mut heard = String::new();
    while !heard.contains("acknowledged") {
        assert!(listening.read_line(&mut heard).unwrap() > 0, "{heard}");
    }
    let busy = begin_call(&server, "slow");
    let asked = accept(&upstream);

    server.signal("-TERM");
    server.log_until("stopping:");
    for (what, text) in [
        ("idle", rest(idle)),
        ("silent", rest(silent)),
        ("opened", rest(opened)),
        ("stream", rest(stream)),
        ("listening", rest(listening)),
    ] {
        assert!(!text.contains("jsonrpc\":\"2.0\",\"error"), "{what}: {text}");
    }
    assert!(server.refuses(), "it takes new connections");
    let ready = server.get_aside("/health/ready");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("stopping"), "{ready}");
    answer(asked);
    let text = rest(busy);
    assert!(text.contains(r#""structuredContent":{"result":7}"#), "{text}");
    let (status, log) = server.ended();
    assert!(status.success(), "{status}: {log}");
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_http_2_is_finished_too() {
    let authority = Authority::new();
    let (upstream, address) = upstream();
    let mut server =
        Server::start(TLS, &address, |folder| write_pair(folder, &authority.server(&["localhost"])));
    let client = client(&authority);
    let answered = tokio::spawn(call(&client, &server, "slow").send());
    let asked = accept(&upstream);
    server.signal("-TERM");
    server.log_until("stopping:");
    assert!(server.refuses(), "it takes new connections");
    answer(asked);
    let answered = answered.await.unwrap().unwrap();
    assert_eq!(answered.version(), Version::HTTP_2);
    let text = answered.text().await.unwrap();
    assert!(text.contains(r#""structuredContent":{"result":7}"#), "{text}");
    let (status, log) = server.ended();
    assert!(status.success() && !log.contains("WARN"), "{status}: {log}");
}

#[test]
fn what_takes_too_long_is_cut_and_a_second_signal_ends_at_once() {
    let (upstream, address) = upstream();
    let server = Server::start("  limits: { drain: 100ms }\n", &address, |_| {});
    let busy = begin_call(&server, "slow");
    let _asked = accept(&upstream);
    server.signal("-INT");
    let (status, log) = server.ended();
    assert!(status.success(), "{status}: {log}");
    assert!(log.contains("requests were cut off") && log.contains("cut=1"), "{log}");
    assert_eq!(rest(busy), "");

    let mut server = Server::start("  limits: { drain: 1h }\n", &address, |_| {});
    let _busy = begin_call(&server, "slow");
    let _asked = accept(&upstream);
    server.signal("-TERM");
    server.log_until("stopping:");
    server.signal("-TERM");
    assert_eq!(server.ended().0.code(), Some(130));
}

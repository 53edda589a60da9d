//! Requests to repeat, and the answers that are right.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};

use super::load::Connection;

const REVISION: &str = "2026-07-28";
/// So many different requests a target, so that an answer that went to another client is noticed.
const VARIANTS: u32 = 8;

/// Some requests of one kind, sent in turns.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) exchanges: Vec<Exchange>,
}

/// A request, as bytes, and what its answer must be.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) request: Vec<u8>,
    /// A text that a good answer holds.
    contains: String,
    /// The first good answer; every other one must be the same.
    answer: Option<Vec<u8>>,
}

impl Target {
    /// `GET PREFIX/ID` for several ids; the answer names the item.
    pub(super) fn items(base: &str, prefix: &str) -> Result<Target> {
        let (address, _) = split(base)?;
        let request =
            |id| format!("GET {prefix}/{id} HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\n\r\n");
        Target::learned(address, (1..=VARIANTS).map(|id| (request(id), name_of(id))))
    }

    pub(super) fn get(address: SocketAddr, path: &str, contains: &str) -> Result<Target> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\n\r\n");
        Target::learned(address, [(request, contains.to_owned())].into_iter())
    }

    /// A tool with the argument `id`; the answer names the item.
    pub(super) fn item_tool(url: &str, name: &str) -> Result<Target> {
        let arguments = |id| format!(r#"{{"id":{id}}}"#);
        Target::tool(url, name, (1..=VARIANTS).map(|id| (arguments(id), name_of(id))))
    }

    pub(super) fn tool(
        url: &str,
        name: &str,
        calls: impl Iterator<Item = (String, String)>,
    ) -> Result<Target> {
        let header = format!("mcp-name: {name}\r\n");
        let calls = calls.map(|(arguments, contains)| (call_body(name, &arguments, 1), contains));
        Target::mcp(url, "tools/call", &header, calls)
    }

    /// One call of a tool whose answers differ, but all hold this text.
    pub(super) fn changing_tool(url: &str, name: &str, arguments: &str, contains: &str) -> Result<Target> {
        let mut target = Target::tool(url, name, [(arguments.to_owned(), contains.to_owned())].into_iter())?;
        for exchange in &mut target.exchanges {
            exchange.answer = None;
        }
        Ok(target)
    }

    /// `tools/list`, which names that many tools in one page.
    pub(super) fn list(url: &str, tools: usize) -> Result<Target> {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{{}}}}}"#, meta());
        let target = Target::mcp(url, "tools/list", "", [(body, "\"tools\"".to_owned())].into_iter())?;
        let answer = target.exchanges[0].answer.as_deref().unwrap_or_default();
        let listed = String::from_utf8_lossy(answer).matches("\"inputSchema\"").count();
        ensure!(listed == tools, "{listed} tools were listed, not {tools}");
        Ok(target)
    }

    fn mcp(
        url: &str,
        method: &str,
        headers: &str,
        bodies: impl Iterator<Item = (String, String)>,
    ) -> Result<Target> {
        let (address, path) = split(url)?;
        let request = |body: String| {
            format!(
                "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
                 accept: application/json, text/event-stream\r\nmcp-protocol-version: {REVISION}\r\n\
                 mcp-method: {method}\r\n{headers}content-length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        Target::learned(address, bodies.map(|(body, contains)| (request(body), contains)))
    }

    /// Sends each request once, and keeps the answers for comparison.
    fn learned(address: SocketAddr, requests: impl Iterator<Item = (String, String)>) -> Result<Target> {
        let exchanges = requests.map(|(request, contains)| Exchange {
            request: request.into_bytes(),
            contains,
            answer: None,
        });
        let mut target = Target { address, exchanges: exchanges.collect() };
        let mut connection = Connection::open(address)?;
        for exchange in &mut target.exchanges {
            let answer = connection.exchange(exchange)?.to_vec();
            exchange.answer = Some(answer);
        }
        Ok(target)
    }
}

impl Exchange {
    /// A single request that is not repeated.
    pub(super) fn once(request: String, contains: &str) -> Exchange {
        Exchange { request: request.into_bytes(), contains: contains.to_owned(), answer: None }
    }

    /// Whether an answer is right: the same as the first one, or one that may be the first.
    pub(super) fn verify(&self, body: &[u8]) -> Result<()> {
        let shown = || String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
        match &self.answer {
            Some(answer) => ensure!(answer == body, "another answer than the first time: {}", shown()),
            None => {
                let text = std::str::from_utf8(body)?;
                let failed = text.contains(r#""isError":true"#) || text.contains(r#""error":{"#);
                ensure!(text.contains(&self.contains) && !failed, "unexpected answer: {}", shown());
            }
        }
        Ok(())
    }
}

/// A `tools/call` of the newest protocol.
pub(super) fn call_body(tool: &str, arguments: &str, id: u64) -> String {
    let params = format!(r#""name":"{tool}","arguments":{arguments},{}"#, meta());
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{{params}}}}}"#)
}

/// How the items of every backend are called.
pub(super) fn name_of(id: u32) -> String {
    format!("lamp-{id:04}")
}

/// What every request of the newest protocol carries.
fn meta() -> String {
    let key = "io.modelcontextprotocol";
    format!(
        r#""_meta":{{"{key}/protocolVersion":"{REVISION}","{key}/clientInfo":{{"name":"bench","version":"1"}},"{key}/clientCapabilities":{{}}}}"#
    )
}

/// `http://ADDRESS/PATH` in its two parts.
fn split(url: &str) -> Result<(SocketAddr, String)> {
    let rest = url.strip_prefix("http://").with_context(|| format!("not plain HTTP: {url}"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    Ok((host.parse()?, format!("/{path}")))
}

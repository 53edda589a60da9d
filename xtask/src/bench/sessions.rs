//! What an idle session of a legacy client holds in memory.

use anyhow::{Context, Result};

use super::{load::Connection, start::resident_bytes, target::Exchange};
use crate::service::Service;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
/// Opened first: pools and buffers that grow once are not what a session holds.
const FIRST: usize = 50;

/// Bytes a session, over `sessions` of them. Nothing where the system does not tell.
pub(super) fn bytes_each(service: &Service, sessions: usize) -> Result<Option<f64>> {
    open(service, FIRST)?;
    let before = resident_bytes(service.id());
    open(service, sessions)?;
    let after = resident_bytes(service.id());
    Ok(before.zip(after).map(|(before, after)| (after as f64 - before as f64) / sessions as f64))
}

/// As a client does: the handshake, then nothing.
fn open(service: &Service, sessions: usize) -> Result<()> {
    let host = service.url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    let host = host.with_context(|| format!("not plain HTTP: {}", service.url))?;
    let mut connection = Connection::open(host.parse()?)?;
    let hello = Exchange::once(request(host, "", INITIALIZE), "\"protocolVersion\"");
    for _ in 0..sessions {
        let id = connection.exchange_for(&hello, "mcp-session-id")?;
        let id = id.context("the server gave no session id")?;
        let more = format!("mcp-session-id: {id}\r\nmcp-protocol-version: 2025-11-25\r\n");
        connection.exchange(&Exchange::once(request(host, &more, INITIALIZED), ""))?;
    }
    Ok(())
}

fn request(host: &str, headers: &str, body: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

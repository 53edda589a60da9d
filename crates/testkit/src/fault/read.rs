//! Requests from the wire, as they came.

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::Received;

/// A request larger than this is a fault of the test.
const MAX_REQUEST: usize = 64 << 20;

/// Reads one request; nothing when the client closed the connection or sent none that makes sense.
pub(super) async fn read_request(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<Received> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, buffer).await?;
        // A TLS handshake, for one: waiting for an empty line would be for ever.
        if !buffer[0].is_ascii_alphabetic() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
            return None;
        }
    };
    let head = buffer.split_to(end).freeze();
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut received = Received { method, target, headers, body: Bytes::new(), head };
    received.body = if received.header("transfer-encoding").is_some() {
        read_chunks(stream, buffer).await?
    } else {
        let length = received.header("content-length").map_or(Some(0), |text| text.parse().ok())?;
        read_exact(stream, buffer, length).await?
    };
    Some(received)
}

async fn read_chunks(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<Bytes> {
    let mut body = BytesMut::new();
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(2).position(|window| window == b"\r\n") {
                break at;
            }
            more(stream, buffer).await?;
        };
        let line = buffer.split_to(end + 2);
        let size = usize::from_str_radix(std::str::from_utf8(&line[..end]).ok()?.trim(), 16).ok()?;
        let chunk = read_exact(stream, buffer, size + 2).await?;
        if size == 0 {
            return Some(body.freeze());
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

async fn read_exact(stream: &mut TcpStream, buffer: &mut BytesMut, length: usize) -> Option<Bytes> {
    while buffer.len() < length {
        more(stream, buffer).await?;
    }
    Some(buffer.split_to(length).freeze())
}

async fn more(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<()> {
    let read = stream.read_buf(buffer).await.ok()?;
    (read > 0 && buffer.len() <= MAX_REQUEST).then_some(())
}

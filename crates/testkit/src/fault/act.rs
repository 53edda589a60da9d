//! The answers on the wire, right and wrong.

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::Answer;

/// What becomes of the connection.
pub(super) enum Next {
    Serve,
    Close,
    Abandoned,
}

/// Does what the answer says.
pub(super) async fn act(stream: &mut TcpStream, answer: Answer, head_only: bool) -> Next {
    let json = |length: usize| head(200, &[("content-type".into(), "application/json".into())], Some(length));
    match answer {
        Answer::Reply { status, headers, body } => {
            let mut out = head(status, &headers, Some(body.len()));
            if !head_only {
                out.extend_from_slice(&body);
            }
            if stream.write_all(&out).await.is_err() { Next::Abandoned } else { Next::Serve }
        }
        Answer::Raw(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            Next::Close
        }
        Answer::Keep(bytes) => {
            if stream.write_all(&bytes).await.is_err() {
                Next::Abandoned
            } else {
                Next::Serve
            }
        }
        Answer::Hang => {
            until_gone(stream).await;
            Next::Abandoned
        }
        Answer::HangInBody { length, sent } => {
            let _ = stream.write_all(&[&json(length)[..], &sent].concat()).await;
            until_gone(stream).await;
            Next::Abandoned
        }
        Answer::Close => Next::Close,
        Answer::Reset => reset(stream),
        Answer::Trickle { content_type, pieces } => {
            let length = pieces.iter().map(Bytes::len).sum();
            let mut parts =
                vec![Bytes::from(head(200, &[("content-type".into(), content_type)], Some(length)))];
            parts.extend(pieces);
            for part in parts {
                if stream.write_all(&part).await.is_err() {
                    return Next::Abandoned;
                }
                tokio::task::yield_now().await;
            }
            Next::Serve
        }
        Answer::Large { length } => large(stream, length).await,
        Answer::Tunnel { to } => {
            if let Ok(mut other) = TcpStream::connect(to).await
                && stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_ok()
            {
                let _ = tokio::io::copy_bidirectional(stream, &mut other).await;
            }
            Next::Close
        }
        Answer::EndlessHead => endless(stream, "HTTP/1.1 200 OK\r\n", "x-flood: more and more\r\n").await,
        Answer::EndlessBody => {
            endless(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n").await
        }
    }
}

/// `start`, then `piece` for ever, each a write of its own.
async fn endless(stream: &mut TcpStream, start: &str, piece: &str) -> Next {
    let mut next = start;
    while stream.write_all(next.as_bytes()).await.is_ok() {
        tokio::task::yield_now().await;
        next = piece;
    }
    Next::Abandoned
}

async fn large(stream: &mut TcpStream, length: usize) -> Next {
    const CHUNK: usize = 64 << 10;
    let headers = [
        ("content-type".to_owned(), "text/plain".to_owned()),
        ("transfer-encoding".to_owned(), "chunked".to_owned()),
    ];
    if stream.write_all(&head(200, &headers, None)).await.is_err() {
        return Next::Abandoned;
    }
    let filler = vec![b'x'; CHUNK];
    let mut left = length;
    while left > 0 {
        let size = left.min(CHUNK);
        let chunk = [format!("{size:x}\r\n").as_bytes(), &filler[..size], b"\r\n"].concat();
        if stream.write_all(&chunk).await.is_err() {
            return Next::Abandoned;
        }
        left -= size;
    }
    if stream.write_all(b"0\r\n\r\n").await.is_err() { Next::Abandoned } else { Next::Serve }
}

fn reset(stream: &mut TcpStream) -> Next {
    // With no time to linger, closing sends a reset instead of a FIN.
    let _ = stream.set_zero_linger();
    Next::Close
}

async fn until_gone(stream: &mut TcpStream) {
    let mut scratch = [0; 1024];
    while matches!(stream.read(&mut scratch).await, Ok(read) if read > 0) {}
}

fn head(status: u16, headers: &[(String, String)], length: Option<usize>) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in headers {
        out += &format!("{name}: {value}\r\n");
    }
    if let Some(length) = length.filter(|_| status != 204 && status != 304) {
        out += &format!("content-length: {length}\r\n");
    }
    out += "\r\n";
    out.into_bytes()
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Unknown")
}

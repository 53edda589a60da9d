//! From a connection to an encrypted one, in time, and few at once: a handshake costs a client nothing and a server much.

use std::{io, time::Duration};

use metrics::counter;
use renkei_core::metric;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{Limits, stall::Stalling, tls::Tls};

/// What a client hears that speaks plain HTTP here, in any version of it.
const PLAIN: &str =
    r#"{"error":"plain_http","message":"this port speaks TLS: begin the URL with `https://`"}"#;
/// How long it may take to hear it.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The most that is read of what it sent, so that the answer is not lost to a reset.
const IGNORED_BYTES: u64 = 64 * 1024;

/// Handshakes under way.
#[derive(Debug)]
pub(crate) struct Handshakes(Semaphore);

impl Handshakes {
    pub(crate) fn new(limits: &Limits) -> Self {
        Handshakes(Semaphore::new(limits.handshakes.clamp(1, Semaphore::MAX_PERMITS)))
    }

    /// Nothing for a client that speaks something else, fails, or takes too long.
    pub(crate) async fn encrypt(
        &self,
        stream: TcpStream,
        tls: &Tls,
        limits: &Limits,
    ) -> Option<TlsStream<Stalling<TcpStream>>> {
        let (result, stream) = match timeout(limits.handshake_time, self.begin(stream, tls, limits)).await {
            Ok(Ok(Began::Tls(stream))) => ("ok", Some(*stream)),
            Ok(Ok(Began::Plain(stream))) => {
                tracing::debug!("refused a plain HTTP request: this port speaks TLS");
                // It is gone, or it has been told.
                let _ = timeout(LAST_WORDS, tell(stream)).await;
                ("plain", None)
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                ("failed", None)
            }
            Err(_) => {
                tracing::debug!("a TLS handshake took too long");
                ("slow", None)
            }
        };
        counter!(metric::HANDSHAKES.name, "result" => result).increment(1);
        stream
    }

    async fn begin(&self, stream: TcpStream, tls: &Tls, limits: &Limits) -> io::Result<Began> {
        let mut first = [0];
        // Who says nothing holds no place.
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // A record of TLS begins with 20 to 24 (RFC 8446, 5.1), a request with the letters of its method.
        if first[0].is_ascii_alphabetic() {
            return Ok(Began::Plain(stream));
        }
        let _place = self.0.acquire().await.map_err(io::Error::other)?;
        let acceptor = TlsAcceptor::from(tls.current());
        let stream = acceptor.accept(Stalling::new(stream, limits.write_pause)).await?;
        Ok(Began::Tls(Box::new(stream)))
    }
}

enum Began {
    Tls(Box<TlsStream<Stalling<TcpStream>>>),
    Plain(TcpStream),
}

async fn tell(mut stream: TcpStream) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{PLAIN}",
        PLAIN.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // Closed with something unread, the answer could be lost.
    tokio::io::copy(&mut stream.take(IGNORED_BYTES), &mut tokio::io::sink()).await?;
    Ok(())
}

//! One connection, from its first byte to its end: encrypted or not, HTTP/1.1 (RFC 9112) or HTTP/2 (RFC 9113).

use std::{
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::Duration,
};

use hyper::server::conn::{http1, http2};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Limits, Options,
    client::Peer,
    front::Front,
    handshake::Handshakes,
    metrics::cut,
    stall::Stalling,
    streams::Streams,
    tls::Tls,
    work::{Served, Work},
};

/// The least that hyper accepts as its buffer.
const SMALLEST_BUFFER: usize = 8192;
/// How long a connection without a request may stay once it was told to end: for what is on its way.
const LAST_WORDS: Duration = Duration::from_secs(1);
const HTTP_2: &[u8] = b"h2";

/// What all connections of one listener have in common.
pub(crate) struct Connections {
    app: Front,
    limits: Limits,
    tls: Option<Tls>,
    handshakes: Handshakes,
    shutdown: CancellationToken,
    /// Requests on all of them.
    under_way: Arc<AtomicUsize>,
}

impl Connections {
    pub(crate) fn new(
        app: Front,
        options: Options,
        shutdown: CancellationToken,
        under_way: Arc<AtomicUsize>,
    ) -> Self {
        let Options { limits, tls, .. } = options;
        Connections { app, handshakes: Handshakes::new(&limits), limits, tls, shutdown, under_way }
    }

    /// Serves one to its end.
    pub(crate) async fn serve(&self, stream: TcpStream, address: SocketAddr) {
        // Without it a small write waits for the peer's delayed acknowledgement: 40 ms for each progress report.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot switch off Nagle's algorithm");
        }
        let peer = Peer(address);
        let Some(tls) = &self.tls else {
            let stream = Stalling::new(stream, self.limits.write_pause);
            let stuck = stream.stuck();
            return Box::pin(self.http1(stream, self.served(peer, stuck))).await;
        };
        let encrypted = tokio::select! {
            encrypted = self.handshakes.encrypt(stream, tls, &self.limits) => encrypted,
            () = self.shutdown.cancelled() => None,
        };
        let Some(stream) = encrypted else { return };
        let (socket, session) = stream.get_ref();
        let served = self.served(peer, socket.stuck());
        // In boxes: each connection has room for its own kind only.
        if session.alpn_protocol() == Some(HTTP_2) {
            Box::pin(self.http2(stream, served)).await;
        } else {
            Box::pin(self.http1(stream, served)).await;
        }
    }

    fn served(&self, peer: Peer, stuck: Arc<AtomicBool>) -> Served {
        let work = Work::new(self.under_way.clone(), stuck);
        Served { app: TowerToHyperService::new(self.app.clone()), peer, work }
    }

    async fn http1<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, served: Served) {
        let limits = &self.limits;
        let work = served.work.clone();
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_time)
            .max_headers(limits.header_lines)
            .max_header_size(limits.header_bytes)
            .max_buf_size(limits.header_bytes.max(SMALLEST_BUFFER))
            .serve_connection(TokioIo::new(stream), served);
        // It ends idle connections by itself.
        let until = self.shutdown.cancelled();
        run(connection, |connection| connection.graceful_shutdown(), until, &work).await;
    }

    async fn http2<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, served: Served) {
        let limits = &self.limits;
        let work = served.work.clone();
        let connection = http2::Builder::new(Streams::new(limits.write_pause))
            .timer(TokioTimer::new())
            .max_concurrent_streams(u32::try_from(limits.streams).unwrap_or(u32::MAX))
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
            // A client that is gone without a word is found out.
            .keep_alive_interval(limits.header_time)
            .keep_alive_timeout(limits.write_pause)
            .serve_connection(TokioIo::new(stream), served);
        let until = async {
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = work.idle(limits.header_time) => {}
            }
        };
        run(connection, |connection| connection.graceful_shutdown(), until, &work).await;
    }
}

/// Runs a connection to its end; from `until` on, to its next best one.
async fn run<C>(
    connection: C,
    graceful_shutdown: impl FnOnce(Pin<&mut C>),
    until: impl Future<Output = ()>,
    work: &Work,
) where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = until => {
            graceful_shutdown(connection.as_mut());
            tokio::select! {
                ended = &mut connection => ended,
                // It waits for a client that says nothing.
                () = work.idle(LAST_WORDS) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        if error.is_timeout() {
            cut("header_time");
        }
        tracing::debug!(%error, "a connection ended early");
    }
}

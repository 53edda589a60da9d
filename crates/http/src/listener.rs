//! Connections: taken in, limited, drained.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::{Router, middleware};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{Limits, Options, guard, health, metrics, stall::Stalling};

/// After the system refused a connection for want of something (files, memory), before the next try.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(100);
/// Header lines of one request.
const HEADER_LINES: usize = 100;
/// The least that hyper accepts as its buffer.
const SMALLEST_BUFFER: usize = 8192;

/// How a listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections whose requests were cut off because they took longer than the drain may.
    pub cut: usize,
}

/// Serves `router` until `shutdown` is cancelled, then drains: nothing new is accepted, requests under way
/// are finished, and what is left after `limits.drain_time` is cut.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    options: Options,
) -> io::Result<Drained> {
    let guarded = guard(router, listener.local_addr()?, &options);
    let app = health::router(options.health.clone(), shutdown.clone())
        .fallback_service(guarded)
        .layer(middleware::from_fn(metrics::count));
    let limits = options.limits;
    let places = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            () = shutdown.cancelled() => break,
            (accepted, place) = accept => match accepted {
                Ok((stream, _)) => {
                    let connection = connection(stream, app.clone(), limits.clone(), shutdown.clone());
                    connections.spawn(async move {
                        let _open = metrics::Open::new();
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(REST_AFTER_FAILURE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    // From here on the system refuses new connections.
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.drain_time, all).await.is_err() {
        let cut = connections.len();
        tracing::warn!(cut, "requests were cut off: they took longer than the drain may");
        connections.shutdown().await;
        return Ok(Drained { cut });
    }
    Ok(Drained { cut: 0 })
}

/// One connection, to its end.
async fn connection(stream: TcpStream, app: Router, limits: Limits, shutdown: CancellationToken) {
    // Without it a small write waits for the peer's delayed acknowledgement: 40 ms for each progress report.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch off Nagle's algorithm");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_headers(HEADER_LINES)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes.max(SMALLEST_BUFFER))
        .serve_connection(
            TokioIo::new(Stalling::new(stream, limits.write_pause)),
            TowerToHyperService::new(app),
        );
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

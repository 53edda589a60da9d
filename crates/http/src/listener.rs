//! The listener: takes connections in, as many as it may, and drains them at the end.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{Options, connection::Connections, front::Front, guard, health, metrics};

/// After the system refused a connection for want of something (files, memory), before the next try.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// How a listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Requests that were cut off because they took longer than the drain may.
    pub cut: usize,
}

/// Serves `router` until `shutdown` is cancelled, then drains: nothing new is accepted, idle connections are closed,
/// requests under way are finished, and what is left after `limits.drain_time` is cut.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    options: Options,
) -> io::Result<Drained> {
    let guarded = guard(router, listener.local_addr()?, &options);
    let app = Front::new(health::router(options.health.clone(), shutdown.clone()), guarded);
    let drain_time = options.limits.drain_time;
    let places = options.limits.connections.clamp(1, Semaphore::MAX_PERMITS);
    let under_way = Arc::<AtomicUsize>::default();
    let each = Arc::new(Connections::new(app, options, shutdown.clone(), under_way.clone()));
    let places = Arc::new(Semaphore::new(places));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => match accepted {
                Ok((stream, peer, place)) => {
                    let each = each.clone();
                    connections.spawn(async move {
                        let _open = metrics::Open::new();
                        each.serve(stream, peer).await;
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
    if timeout(drain_time, all).await.is_ok() {
        return Ok(Drained { cut: 0 });
    }
    let cut = under_way.load(Ordering::Relaxed);
    if cut > 0 {
        tracing::warn!(
            cut,
            "requests were cut off: they took longer than the drain may (`server.limits.drain`)"
        );
    }
    (0..connections.len()).for_each(|_| metrics::cut("drain"));
    connections.shutdown().await;
    Ok(Drained { cut })
}

/// The next connection, once there is a place for it; until then it waits in the system's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

//! The listener aside: metrics and probes on an address of their own, until the drain is over.

use std::{io, net::SocketAddr};

use renkei_http::{Access, Drained, Health, Metrics, Options};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::serve::announce;

/// A few scrapers and probes.
const CONNECTIONS: usize = 64;

#[derive(Debug)]
pub(crate) struct Aside {
    end: CancellationToken,
    served: JoinHandle<io::Result<Drained>>,
}

impl Aside {
    /// Listens on `address`. `stopping` says that the server drains: its probes hear it here.
    pub(crate) async fn start(
        address: SocketAddr,
        page: &Metrics,
        server: &Options,
        stopping: &CancellationToken,
    ) -> Result<Self, String> {
        let failed = |error: io::Error| {
            format!(
                "failed to listen on `{address}` (`server.metrics.listen`): {error}; port 0 takes a free one"
            )
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        announce(&format!("metrics on http://{address}{}", page.path));
        let mut limits = server.limits.clone();
        limits.connections = CONNECTIONS;
        let options = Options {
            // Scrapers name an address of the machine; on loopback there may be a browser, whose pages must not.
            access: Access { any_host: !address.ip().is_loopback(), ..Access::default() },
            limits,
            health: Health { names: true, stopping: Some(stopping.clone()), ..server.health.clone() },
            ..Options::default()
        };
        let end = CancellationToken::new();
        let served = tokio::spawn(renkei_http::serve(listener, page.router(), end.clone(), options));
        Ok(Aside { end, served })
    }

    pub(crate) async fn stop(self) {
        self.end.cancel();
        if let Ok(Err(error)) = self.served.await {
            tracing::warn!(%error, "the metrics were not served to the end");
        }
    }
}

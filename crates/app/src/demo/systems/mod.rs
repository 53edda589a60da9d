//! The shop's stand-in systems: three small REST services with state, on loopback.
//!
//! They behave like services that somebody else runs: they validate, refuse, remember keys and
//! want a token. Renkei knows nothing about them but what `examples/shop` says.

mod bank;
mod faults;
mod parcels;
mod problem;
mod stock;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use axum::{Router, extract::DefaultBodyLimit, middleware, routing};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub(crate) use bank::TOKEN as BANK_TOKEN;
pub(crate) use faults::Faults;

/// The largest request body that a stand-in reads, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// The most records that a stand-in keeps of one kind; then it answers 507.
const MAX_RECORDS: usize = 100_000;

/// The ports that `examples/shop` expects unless the environment says otherwise.
pub(crate) const DEFAULT_PORTS: Ports = Ports { stock: 8391, bank: 8392, parcels: 8393 };

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) stock: u16,
    pub(crate) bank: u16,
    pub(crate) parcels: u16,
}

/// One running stand-in.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) faults: Faults,
    task: JoinHandle<()>,
}

impl Service {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// All of them; they stop when told to.
#[derive(Debug)]
pub(crate) struct Systems {
    pub(crate) stock: Service,
    pub(crate) bank: Service,
    pub(crate) parcels: Service,
    stop: CancellationToken,
}

impl Systems {
    /// Starts them. A port that is taken is replaced by a free one if `any_port`, and is an error otherwise.
    /// `skus` are the products that the stock system knows.
    pub(crate) async fn start(
        skus: impl IntoIterator<Item = String>,
        ports: Ports,
        any_port: bool,
    ) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let start = async |name, port, router| Service::start(name, port, any_port, router, &stop).await;
        let stock = start("stock", ports.stock, stock::router(skus)).await?;
        let bank = start("bank", ports.bank, bank::router()).await?;
        let parcels = start("parcels", ports.parcels, parcels::router()).await?;
        Ok(Systems { stock, bank, parcels, stop })
    }

    pub(crate) fn all(&self) -> [&Service; 3] {
        [&self.stock, &self.bank, &self.parcels]
    }

    /// Stops them and waits until they have ended.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        for service in [self.stock, self.bank, self.parcels] {
            // A panic in a stand-in was already answered with a closed connection.
            let _ = service.task.await;
        }
    }
}

impl Service {
    async fn start(
        name: &'static str,
        port: u16,
        any_port: bool,
        router: Router,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let listener = listen(port, any_port).await.with_context(|| {
            format!(
                "failed to listen on 127.0.0.1:{port} for the stand-in `{name}`; is a demo running already?"
            )
        })?;
        let address = listener.local_addr()?;
        let faults = Faults::default();
        let router = router
            .layer(middleware::from_fn_with_state(faults.clone(), faults::answer))
            .route("/faults", routing::post(faults::arm).with_state(faults.clone()))
            .layer(DefaultBodyLimit::max(MAX_BODY));
        let stop = stop.clone();
        let task = tokio::spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::error!(system = name, %error, "stand-in ended");
            }
        });
        Ok(Service { name, address, faults, task })
    }
}

async fn listen(port: u16, any_port: bool) -> std::io::Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Err(error) if any_port && error.kind() == std::io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
        }
        other => other,
    }
}

#[cfg(test)]
mod testing {
    //! One request to a router, without a socket.

    use axum::{
        Router,
        body::Body,
        http::{Request, StatusCode, header},
    };
    use serde_json::Value;
    use tower::ServiceExt as _;

    pub(super) async fn send(
        router: &Router,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<String>,
    ) -> (StatusCode, Value) {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body: String = body.into();
        if body.starts_with('{') {
            request = request.header(header::CONTENT_TYPE, "application/json");
        } else if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let response = router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }
}

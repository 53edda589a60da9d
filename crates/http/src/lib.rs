//! The listener: connections, who may come in, and health. What is served is a router of somebody else.
//!
//! A request passes, in this order:
//! 1. the connection (`listener`, `connection`): a cap on connections, TLS (`handshake`), time for the headers, size of
//!    the headers, time for a client that does not read (`stall`, `streams`);
//! 2. `/health/live` and `/health/ready`, which say little, and so are open to any probe;
//! 3. whom a trusted proxy speaks for (`client`);
//! 4. `Host` and `Origin` (`access`): a page in somebody's browser must not reach a server on loopback;
//! 5. authentication (`auth`): afterwards the request's extensions hold an `Arc<Principal>`;
//! 6. the size of its head, and the body's size and pace (`intake`);
//! 7. the router.
//!
//! `front` is where all but the first are called.

mod access;
mod auth;
mod client;
mod connection;
mod front;
mod handshake;
mod health;
mod intake;
mod listener;
mod metrics;
mod reply;
mod stall;
mod streams;
mod tls;
mod work;

use std::{net::SocketAddr, time::Duration};

use axum::Router;

pub use self::{
    access::{Access, Authority, Origin, Pages},
    auth::{Algorithm, ApiKey, Authentication, JwtKey, JwtOptions},
    client::Proxies,
    front::Guarded,
    health::Health,
    listener::{Drained, serve},
    metrics::Metrics,
    tls::{BadIdentity, Identity, Tls},
};

/// How a listener behaves.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Speaks TLS, and HTTP/2 for clients that want it.
    pub tls: Option<Tls>,
    pub proxies: Proxies,
    pub access: Access,
    pub authentication: Authentication,
    pub limits: Limits,
    /// What the probes hear.
    pub health: Health,
    /// For scrapers, behind the same checks as all else.
    pub metrics: Option<Metrics>,
}

/// What one client, and all together, may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once. More wait in the system's queue.
    pub connections: usize,
    /// TLS handshakes at once. More wait.
    pub handshakes: usize,
    /// How long a client may take to begin and to end one.
    pub handshake_time: Duration,
    /// Requests at once on one connection of HTTP/2.
    pub streams: usize,
    /// Bytes of a request's line and headers.
    pub header_bytes: usize,
    /// Headers of a request.
    pub header_lines: usize,
    /// Bytes of a request's path and query.
    pub uri_bytes: usize,
    /// How long the headers of a request may take; so also how long a connection may idle between two.
    pub header_time: Duration,
    /// Bytes of a request's body.
    pub body_bytes: u64,
    /// How long a client may pause within a body.
    pub body_pause: Duration,
    /// How long a body may take as a whole.
    pub body_time: Duration,
    /// How long a client may take nothing of a response that is ready for it.
    pub write_pause: Duration,
    /// How long requests under way may take after the shutdown began.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 4096,
            handshakes: 256,
            handshake_time: Duration::from_secs(10),
            streams: 100,
            header_bytes: 32 * 1024,
            header_lines: 100,
            uri_bytes: 8 * 1024,
            header_time: Duration::from_secs(30),
            body_bytes: 4 * 1024 * 1024,
            body_pause: Duration::from_secs(30),
            body_time: Duration::from_secs(120),
            write_pause: Duration::from_secs(60),
            drain_time: Duration::from_secs(30),
        }
    }
}

/// `router` behind everything that does not need a connection. [`serve`] does it; tests may.
pub fn guard(router: Router, local: SocketAddr, options: &Options) -> Guarded {
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let router = match &options.metrics {
        Some(metrics) => router.merge(metrics.router()),
        None => router,
    };
    let limits = &options.limits;
    let checks = front::Checks {
        proxies: options.proxies.clone(),
        access: access::Guard::new(&options.access, local, scheme),
        authentication: options.authentication.clone(),
        intake: intake::Limit {
            uri_bytes: limits.uri_bytes,
            header_lines: limits.header_lines,
            bytes: limits.body_bytes,
            pause: limits.body_pause,
            time: limits.body_time,
        },
    };
    Guarded::new(router, checks)
}

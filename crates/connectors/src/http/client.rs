//! The client of a system that is reached by HTTP, and a body that tells when it is sent.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use renkei_core::{Error, Result, call::Attempt};

use super::guard::GuardedResolver;

/// How long an unused connection is kept. Servers close theirs after some 5 to 120 seconds.
const POOL_IDLE: Duration = Duration::from_secs(30);
/// How many unused connections are kept.
const POOL_SIZE: usize = 32;

/// Whether a client speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Always,
    /// What a redirect to HTTPS would need is read if it is there.
    IfPossible,
    /// It must work on a machine without certificates, and need not wait for them to be read.
    Never,
}

/// One pooled client a system. Redirects, retries and proxies are decided elsewhere or not at all: a
/// proxy would resolve names on its own, past the guard.
pub(crate) fn client(
    system: &str,
    tls: Tls,
    resolver: GuardedResolver,
    connect_timeout: Duration,
) -> Result<reqwest::Client> {
    // Fails when it was done before, which is just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        reqwest::Client::builder()
            .user_agent(concat!("renkei/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(resolver.clone())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_SIZE)
            .tcp_nodelay(true)
    };
    let without_tls = || {
        let roots = rustls::RootCertStore::empty();
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        builder().tls_backend_preconfigured(tls).build()
    };
    let client = match tls {
        Tls::Always => builder().build(),
        Tls::IfPossible => builder().build().or_else(|_| without_tls()),
        Tls::Never => without_tls(),
    };
    client.map_err(|error| {
        Error::unavailable(format!(
            "no client for system `{system}`: the certificates of this machine cannot be read; install `ca-certificates`"
        ))
        .detail(error)
    })
}

/// A body that notes when the client begins to send.
///
/// The client looks at the body when it has a connection and is about to write the head; a request
/// whose connection fails never comes so far. That tells "not applied" from "unknown".
#[derive(Debug)]
pub(crate) struct SentBody {
    pub(crate) bytes: Bytes,
    pub(crate) attempt: Arc<Attempt>,
}

impl http_body::Body for SentBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        self.attempt.mark_sent();
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(http_body::Frame::data(bytes))))
    }

    /// Asked first, for empty bodies, too: their frames are never polled.
    fn is_end_stream(&self) -> bool {
        self.attempt.mark_sent();
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.bytes.len() as u64)
    }
}

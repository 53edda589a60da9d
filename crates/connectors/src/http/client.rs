//! The client of a system that is reached by HTTP, and a body that tells when it is sent.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use renkei_core::{Error, Result, call::Attempt};
use renkei_derive::FromNode;

use super::{guard::GuardedResolver, tls::Material};

/// A lasting HTTP/2 connection is asked after so long without a word, and given up when it is silent
/// for [`HTTP2_SILENCE`]: one that is dead would take all calls with it.
const HTTP2_PING: Duration = Duration::from_secs(20);
const HTTP2_SILENCE: Duration = Duration::from_secs(10);

/// Whether a client speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Always,
    /// What a redirect to HTTPS would need is read if it is there.
    IfPossible,
    /// It must work on a machine without certificates, and need not wait for them to be read.
    Never,
}

/// Whether HTTP/2 is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromNode)]
pub(crate) enum Http2 {
    /// Where the server chooses it while TLS is set up; HTTP/1.1 elsewhere.
    Auto,
    /// Without asking, also without TLS (`h2c`). A server that does not speak it is not understood.
    Always,
    /// HTTP/1.1 only.
    Never,
}

/// The connections that are kept between requests, for each host.
#[derive(Clone, Copy, Debug, FromNode)]
pub(crate) struct Pool {
    /// How many unused connections are kept.
    #[config(default = 128)]
    pub(crate) idle: usize,
    /// How long an unused connection is kept. Servers close theirs after some 5 to 120 seconds.
    #[config(default = "30s")]
    pub(crate) idle_timeout: Duration,
    /// After so long without a byte, the other end is asked whether it is still there (TCP keepalive).
    #[config(default = "15s")]
    pub(crate) keepalive: Duration,
}

impl Default for Pool {
    fn default() -> Self {
        Pool { idle: 128, idle_timeout: Duration::from_secs(30), keepalive: Duration::from_secs(15) }
    }
}

/// What a client is made from.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) tls: Tls,
    pub(crate) resolver: GuardedResolver,
    pub(crate) connect_timeout: Duration,
    /// How long a server may be silent in the middle of a request.
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) http2: Http2,
    /// Asks for compressed replies and unpacks them. What is read of them is limited unpacked.
    pub(crate) compression: bool,
    pub(crate) pool: Pool,
    pub(crate) proxy: Option<reqwest::Proxy>,
    pub(crate) material: Material,
}

impl Settings {
    /// HTTP/1.1, bodies as they are, no proxy.
    pub(crate) fn new(tls: Tls, resolver: GuardedResolver, connect_timeout: Duration) -> Self {
        Settings {
            tls,
            resolver,
            connect_timeout,
            read_timeout: None,
            http2: Http2::Never,
            compression: false,
            pool: Pool::default(),
            proxy: None,
            material: Material::default(),
        }
    }

    fn builder(&self) -> reqwest::ClientBuilder {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("renkei/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(self.resolver.clone())
            // Also says that the proxies of the environment are none of ours.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(self.pool.idle_timeout)
            .pool_max_idle_per_host(self.pool.idle)
            .tcp_keepalive(self.pool.keepalive)
            .tcp_nodelay(true)
            .gzip(self.compression)
            .brotli(self.compression)
            .zstd(self.compression);
        builder = match self.http2 {
            Http2::Auto => builder,
            Http2::Always => builder.http2_prior_knowledge(),
            Http2::Never => builder.http1_only(),
        };
        if self.http2 != Http2::Never {
            builder = builder.http2_keep_alive_interval(HTTP2_PING).http2_keep_alive_timeout(HTTP2_SILENCE);
        }
        if let Some(limit) = self.read_timeout {
            builder = builder.read_timeout(limit);
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.clone());
        }
        builder
    }
}

/// One pooled client a system. Redirects and retries are decided elsewhere or not at all.
pub(crate) fn client(system: &str, settings: &Settings) -> Result<reqwest::Client> {
    // Fails when it was done before, which is just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let with_tls = || settings.material.add_to(settings.builder()).build();
    let without_tls = || {
        let roots = rustls::RootCertStore::empty();
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        settings.builder().tls_backend_preconfigured(tls).build()
    };
    let client = match settings.tls {
        Tls::Always => with_tls(),
        Tls::IfPossible => with_tls().or_else(|_| without_tls()),
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

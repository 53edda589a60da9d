//! HTTP and REST systems.
//!
//! Reading order: `config` (what stands under `http:`), `prepare` with `target`, `headers` and
//! `body` (an operation is taken apart once), `wire` (what is encoded and what refused), then `call`, `redirect`, `reply`,
//! `mask`, `error`. `show` is a request as data. `guard` keeps requests away from addresses that are not public.

mod config;

mod body;
mod headers;
mod prepare;
mod target;
mod wire;

mod call;
mod error;
mod guard;
mod mask;
mod redirect;
mod reply;
mod show;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{
    ConnectContext, Connection, ConnectorKind, Definitions, Diagnostics, Error, FromNode, Node, PreparedOp,
    Request, Result, Schema, System, Value, template::Names,
};

use self::{
    call::HttpCall,
    config::Config,
    guard::{GuardedResolver, Lookup, SystemLookup},
};

/// The kind `http`.
#[derive(Clone, Copy, Debug)]
pub struct Http;

impl ConnectorKind for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn schema(&self, defs: &mut Definitions) -> Schema {
        Config::schema(defs)
    }

    fn op_schema(&self, defs: &mut Definitions) -> Schema {
        prepare::schema(defs)
    }

    fn read(&self, name: &str, node: &Node, d: &mut Diagnostics) -> Option<Arc<dyn System>> {
        let config = Arc::new(Config::from_node(node, d)?);
        Some(Arc::new(HttpSystem { name: name.into(), config }))
    }
}

/// A configured HTTP system.
#[derive(Debug)]
struct HttpSystem {
    name: Arc<str>,
    config: Arc<Config>,
}

#[async_trait]
impl System for HttpSystem {
    fn prepare(&self, op: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<PreparedOp> {
        prepare::prepare(&self.name, &self.config, op, names, d)
    }

    fn show(&self, request: &Request) -> Result<Value> {
        show::show(&self.config, request)
    }

    /// Opens nothing yet, so a server that is down does not fail it: that is told by each call.
    async fn connect(&self, cx: &ConnectContext) -> Result<Connection> {
        self.connect_with(Arc::new(SystemLookup::new()), cx.timeout)
    }
}

impl HttpSystem {
    fn connect_with(&self, lookup: Arc<dyn Lookup>, connect_timeout: Duration) -> Result<Connection> {
        let resolver = GuardedResolver::new(lookup, self.config.private);
        let client = client(&self.name, &self.config, resolver, connect_timeout)?;
        let call = HttpCall { config: self.config.clone(), client, connect_timeout };
        Ok(Connection { call: Arc::new(call) })
    }
}

/// How long an unused connection is kept. Servers close theirs after some 5 to 120 seconds.
const POOL_IDLE: Duration = Duration::from_secs(30);
/// How many unused connections are kept.
const POOL_SIZE: usize = 32;

/// One pooled client a system. Redirects, retries and proxies are decided elsewhere or not at all: a
/// proxy would resolve names on its own, past the guard.
fn client(
    system: &str,
    config: &Config,
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
    // A system without TLS must work on a machine without certificates, and need not wait for them to
    // be read; what a redirect to HTTPS would need is read if it is there.
    let without_tls = || {
        let roots = rustls::RootCertStore::empty();
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        builder().tls_backend_preconfigured(tls).build()
    };
    let plain = config.base_url.scheme() == "http";
    let client = match plain && config.redirects == 0 {
        true => without_tls(),
        false => builder().build().or_else(|error| if plain { without_tls() } else { Err(error) }),
    };
    client.map_err(|error| {
        Error::unavailable(format!(
            "no client for system `{system}`: the certificates of this machine cannot be read; install `ca-certificates`"
        ))
        .detail(error)
    })
}

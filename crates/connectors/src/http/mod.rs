//! HTTP and REST systems.
//!
//! Reading order: `config` (what stands under `http:`), `prepare` with `target`, `headers` and
//! `body` (an operation is taken apart once), `credentials`, `wire` (what is encoded and what refused), then `call`, `redirect`,
//! `reply`, `mask`, `error`. `client` is made with `tls` and `proxy`; `oauth` and `token` give it tokens. `pages` is for lists that
//! come in pages. `show` is a request as data, `answer` what a config test answers and `expected` what it expects. `guard` keeps
//! requests away from addresses that are not public. `door` is for connectors whose protocol travels on HTTP.

mod config;
mod oauth;
mod proxy;
mod tls;

mod answer;
mod body;
mod credentials;
mod expected;
mod headers;
mod pages;
mod prepare;
mod target;
mod wire;

mod call;
pub(crate) mod client;
mod door;
pub(crate) mod error;
pub(crate) mod guard;
mod mask;
mod redirect;
mod reply;
mod revalidate;
mod show;
mod token;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{
    ConnectContext, Connection, ConnectorKind, Definitions, Diagnostics, FromNode, Node, PreparedOp, Request,
    Result, Schema, Secret, System, Value,
    connector::{Answer, Came},
    template::Names,
};

use self::{
    call::HttpCall,
    client::{Http2, Settings, Tls},
    config::Config,
    guard::{GuardedResolver, Lookup, SystemLookup},
    oauth::OAuth,
    tls::Material,
    token::Tokens,
};
pub(crate) use self::{
    config::{Auth, Config as HttpConfig, Headers},
    door::{Address, Door},
    proxy::ProxyUrl,
    tls::TlsConfig,
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

    fn answer_words(&self, _: &mut Definitions) -> Vec<(&'static str, Schema)> {
        answer::words()
    }

    fn read_answer(&self, node: &Node, d: &mut Diagnostics) -> Option<Arc<dyn Answer>> {
        answer::read(node, d)
    }

    fn read_request(&self, node: &Node, d: &mut Diagnostics) -> Option<Value> {
        expected::read(node, d)
    }

    fn write_answer(&self, came: &Came<'_>) -> Vec<Value> {
        answer::write(came)
    }

    fn write_request(&self, shown: &Value) -> Value {
        expected::write(shown)
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

    fn depends_on_caller(&self) -> bool {
        self.config.uses("caller")
    }

    fn secrets(&self) -> Vec<Secret> {
        self.config.constant_secrets()
    }

    fn address(&self, request: &Request) -> Option<Vec<String>> {
        let plan = prepare::Plan::of(request).ok()?;
        let path = plan.target.path(&plan.slots, &request.params).ok()?;
        Some(wire::decoded_segments(&path))
    }

    /// Opens nothing yet, so a server that is down does not fail it: that is told by each call.
    async fn connect(&self, cx: &ConnectContext) -> Result<Connection> {
        self.connect_with(Arc::new(SystemLookup::new()), cx)
    }
}

impl HttpSystem {
    fn connect_with(&self, lookup: Arc<dyn Lookup>, cx: &ConnectContext) -> Result<Connection> {
        let (client, tokens) = self.client(lookup, cx)?;
        let call = HttpCall {
            config: self.config.clone(),
            client,
            tokens,
            connect_timeout: cx.timeout,
            read_timeout: cx.read_timeout,
        };
        Ok(Connection::new(Arc::new(call)))
    }

    /// What sends, and what gives it tokens where the system wants some.
    fn client(
        &self,
        lookup: Arc<dyn Lookup>,
        cx: &ConnectContext,
    ) -> Result<(reqwest::Client, Option<Tokens>)> {
        let config = &self.config;
        let tls = match config.base_url.scheme() {
            "http" if config.redirects == 0 => Tls::Never,
            "http" => Tls::IfPossible,
            _ => Tls::Always,
        };
        let material = Material::read(&self.name, "tls", config.tls.as_ref(), cx)?;
        let settings = self.settings(tls, lookup.clone(), config.private, material, cx)?;
        let client = client::client(&self.name, &settings)?;
        let tokens = match config.oauth() {
            None => None,
            Some(oauth) => Some(self.tokens(oauth, lookup, cx)?),
        };
        Ok((client, tokens))
    }

    fn settings(
        &self,
        tls: Tls,
        lookup: Arc<dyn Lookup>,
        private: bool,
        material: Material,
        cx: &ConnectContext,
    ) -> Result<Settings> {
        let config = &self.config;
        let proxy = config.proxy.as_ref();
        let resolver = GuardedResolver::new(lookup, private).with_proxy(proxy.map(ProxyUrl::host));
        let tls = if proxy.is_some_and(ProxyUrl::is_https) { Tls::Always } else { tls };
        Ok(Settings {
            // Where HTTP/1.1 has `Host`, HTTP/2 has a name of its own, which always is that of the URL.
            http2: config.http2.unwrap_or_else(|| match config.sets_header(&http::header::HOST) {
                Some(_) => Http2::Never,
                None => Http2::Auto,
            }),
            read_timeout: cx.read_timeout,
            compression: config.compression,
            pool: config.pool,
            proxy: proxy.map(|proxy| proxy.build(&self.name, &config.no_proxy)).transpose()?,
            material,
            ..Settings::new(tls, resolver, cx.timeout)
        })
    }

    /// A client of its own: a token endpoint is another host, with its own certificates and its own guard.
    fn tokens(&self, oauth: &OAuth, lookup: Arc<dyn Lookup>, cx: &ConnectContext) -> Result<Tokens> {
        let tls = if oauth.token_url.scheme() == "https" { Tls::Always } else { Tls::Never };
        let private = oauth.is_private(self.config.private);
        let material = Material::read(&self.name, "auth.oauth2.tls", oauth.tls.as_ref(), cx)?;
        let settings = self.settings(tls, lookup, private, material, cx)?;
        // Its time has a limit of its own: `timeout` of `oauth2`.
        let settings = Settings { http2: Http2::Auto, read_timeout: None, ..settings };
        let client = client::client(&self.name, &settings)?;
        let proxy = self.config.proxy.as_ref().map(ProxyUrl::host);
        Tokens::new(&self.name, oauth, private, client, cx.timeout, proxy)
    }
}

//! HTTP and REST systems.
//!
//! Reading order: `config` (what stands under `http:`), `prepare` with `target`, `headers` and
//! `body` (an operation is taken apart once), `wire` (what is encoded and what refused), then `call`, `redirect`, `reply`,
//! `mask`, `error`. `pages` is for lists that come in pages. `show` is a request as data, `answer` what a config test answers. `guard` keeps requests away from addresses that are not public.

mod config;

mod answer;
mod body;
mod headers;
mod pages;
mod prepare;
mod target;
mod wire;

mod call;
pub(crate) mod client;
pub(crate) mod error;
pub(crate) mod guard;
mod mask;
mod redirect;
mod reply;
mod show;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{
    ConnectContext, Connection, ConnectorKind, Definitions, Diagnostics, FromNode, Node, PreparedOp, Request,
    Result, Schema, System, Value, connector::Answer, template::Names,
};

use self::{
    call::HttpCall,
    client::Tls,
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

    fn answer_words(&self, _: &mut Definitions) -> Vec<(&'static str, Schema)> {
        answer::words()
    }

    fn read_answer(&self, node: &Node, d: &mut Diagnostics) -> Option<Arc<dyn Answer>> {
        answer::read(node, d)
    }

    fn read_request(&self, node: &Node, d: &mut Diagnostics) -> Option<Value> {
        answer::request(node, d)
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
        let tls = match self.config.base_url.scheme() {
            "http" if self.config.redirects == 0 => Tls::Never,
            "http" => Tls::IfPossible,
            _ => Tls::Always,
        };
        let client = client::client(&self.name, tls, resolver, connect_timeout)?;
        let call = HttpCall { config: self.config.clone(), client, connect_timeout };
        Ok(Connection { call: Arc::new(call) })
    }
}

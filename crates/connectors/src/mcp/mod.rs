//! Other MCP servers: programs that Renkei starts, and servers that are reached by streamable HTTP, of both eras.
//!
//! Reading order: `config` (what stands under `mcp:`), `operation` and `prepare` (a call of a tool, taken apart once),
//! `message` (the protocol's messages), `link` (one request and its answer, whatever carries it) with `process` and
//! `remote`, `greet` (which era is spoken), then `call`, `reply` and `error`. `expose` is for tools that are served as this
//! server's own, `answer` and `expected` are for config tests.
//!
//! The client is our own, not the SDK's (decision 0030): it keeps the digits of numbers, says before the first byte
//! leaves that it leaves, tells the server when nobody waits, and has a limit for everything.

mod config;

mod operation;
mod prepare;

mod message;

mod expose;
mod greet;
mod link;
mod process;
mod remote;

mod call;
mod error;
mod reply;

mod answer;
mod expected;

#[cfg(test)]
mod tests;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use renkei_core::{
    ConnectContext, Connection, ConnectorKind, Definitions, Diagnostics, Effect, Error, FromNode as _, Node,
    PreparedOp, Request, Result, Schema, Secret, System, Value,
    connector::{Answer, Came},
    template::Names,
};
use tokio::sync::Semaphore;

use self::{
    call::McpCall,
    config::{Config, EraWord, Place, Program},
    link::{Link, Terms},
    message::Era,
    prepare::Plan,
    process::Process,
    remote::Remote,
};

/// The kind `mcp`.
#[derive(Clone, Copy, Debug)]
pub struct Mcp;

impl ConnectorKind for Mcp {
    fn name(&self) -> &'static str {
        "mcp"
    }

    fn schema(&self, defs: &mut Definitions) -> Schema {
        Config::schema(defs)
    }

    fn op_schema(&self, defs: &mut Definitions) -> Schema {
        operation::schema(defs)
    }

    fn answer_words(&self, defs: &mut Definitions) -> Vec<(&'static str, Schema)> {
        answer::words(defs)
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
        let prefix = config.expose.as_ref().map(|expose| expose.prefix(name));
        Some(Arc::new(McpSystem { name: name.into(), config, prefix, is_legacy: AtomicBool::new(false) }))
    }
}

/// A configured MCP server.
#[derive(Debug)]
struct McpSystem {
    name: Arc<str>,
    config: Arc<Config>,
    /// Of the names of what is exposed.
    prefix: Option<Arc<str>>,
    /// The program ended when it was spoken with in the modern era: the next one is not.
    is_legacy: AtomicBool,
}

#[async_trait]
impl System for McpSystem {
    fn prepare(&self, op: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<PreparedOp> {
        prepare::prepare(&self.name, op, names, d)
    }

    fn show(&self, request: &Request) -> Result<Value> {
        expected::show(Plan::of(request, &self.name)?, request)
    }

    fn secrets(&self) -> Vec<Secret> {
        self.config.secrets()
    }

    fn exposes(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    fn address(&self, request: &Request) -> Option<Vec<String>> {
        request.op.plan::<Plan>().map(|plan| vec![plan.tool.to_string()])
    }

    /// Starts the program or reaches the server, and agrees with it on an era.
    async fn connect(&self, cx: &ConnectContext) -> Result<Connection> {
        let greeting = words(&self.name, "initialize");
        match &self.config.place {
            Place::Program(program) => {
                let (process, terms) = self.start(program, cx, &greeting).await?;
                let lost = Some(process.lost());
                Ok(Connection { lost, ..self.connection(Arc::new(process), terms, cx) })
            }
            Place::Remote(remote) => {
                let remote = Remote::open(&self.name, remote.clone(), self.config.max_message, cx)?;
                let terms = greet::greet(&remote, self.config.era, &greeting, cx.timeout).await?;
                remote.agreed(&terms);
                Ok(self.connection(Arc::new(remote), terms, cx))
            }
            Place::Unknown => {
                Err(Error::internal(format!("connect `{}`: it is not known where its server is", self.name)))
            }
        }
    }
}

impl McpSystem {
    fn connection(&self, link: Arc<dyn Link>, terms: Terms, cx: &ConnectContext) -> Connection {
        match terms.era {
            Era::Legacy => tracing::debug!(system = &*self.name, version = &*terms.version, "legacy era"),
            Era::Modern => tracing::debug!(system = &*self.name, version = &*terms.version, "modern era"),
        }
        let places = Semaphore::new(self.config.max_calls);
        let (system, config) = (self.name.clone(), self.config.clone());
        let (offer, keeper) = expose::start(&system, &config, &link, &terms, cx.timeout).unzip();
        let call = McpCall { system, config, link, terms, _keeper: keeper, places };
        Connection { offer, ..Connection::new(Arc::new(call)) }
    }

    async fn start(
        &self,
        program: &Program,
        cx: &ConnectContext,
        greeting: &Request,
    ) -> Result<(Process, Terms)> {
        let is_legacy = self.is_legacy.load(Ordering::Relaxed);
        let era =
            if is_legacy && self.config.era == EraWord::Auto { EraWord::Legacy } else { self.config.era };
        match self.launch(program, cx, greeting, era).await? {
            (process, Ok(terms)) => Ok((process, terms)),
            // Some servers of the legacy era end at a first word that they do not know.
            (process, Err(_)) if era == EraWord::Auto && process.has_ended() => {
                drop(process);
                let (process, terms) = self.launch(program, cx, greeting, EraWord::Legacy).await?;
                let terms = terms?;
                self.is_legacy.store(true, Ordering::Relaxed);
                Ok((process, terms))
            }
            (_, Err(error)) => Err(error),
        }
    }
}

impl McpSystem {
    /// A program, and what came of the handshake with it.
    async fn launch(
        &self,
        program: &Program,
        cx: &ConnectContext,
        greeting: &Request,
        era: EraWord,
    ) -> Result<(Process, Result<Terms>)> {
        let process = Process::start(&self.name, program, &cx.base_dir, self.config.max_message)?;
        let greeted = greet::greet(&process, era, greeting, cx.timeout).await;
        Ok((process, greeted))
    }
}

/// What is said beside calls, for messages: the handshake, lists.
fn words(system: &Arc<str>, label: &str) -> Request {
    let op = PreparedOp {
        system: system.clone(),
        label: label.into(),
        effect: Effect::Read,
        carries_key: false,
        slots: Vec::new(),
        pages: None,
        plan: Box::new(()),
    };
    let params = Arc::from([]);
    Request { op: Arc::new(op), params, effect: Effect::Read, key: None, vars: Arc::default(), page: None }
}

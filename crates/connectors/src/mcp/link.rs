//! The way to a server, whatever carries it: one request and its answer.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderValue;
use renkei_core::{
    Map, Request, Result, Value,
    call::{Attempt, Listener, Trace},
};
use tokio::sync::watch;

use super::message::{self, Answer, Era};

/// What was agreed upon with the server.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) era: Era,
    pub(super) version: Arc<str>,
    /// Of streamable HTTP, in the legacy era, where the server wants one.
    pub(super) session: Option<HeaderValue>,
}

/// A request to a server.
pub(super) struct Ask<'a> {
    pub(super) method: &'static str,
    pub(super) params: Map,
    pub(super) trace: Option<&'a Trace>,
    pub(super) attempt: &'a Arc<Attempt>,
    /// Hears how far the server is.
    pub(super) listener: Option<Arc<dyn Listener>>,
    /// For what it is, for messages: a call, or the handshake.
    pub(super) request: &'a Request,
    /// What headers repeat of the arguments, where the protocol wants that: names and values.
    pub(super) mirrored: Vec<(String, String)>,
}

impl<'a> Ask<'a> {
    pub(super) fn new(method: &'static str, attempt: &'a Arc<Attempt>, request: &'a Request) -> Self {
        Ask {
            method,
            params: Map::new(),
            trace: None,
            attempt,
            listener: None,
            request,
            mirrored: Vec::new(),
        }
    }

    pub(super) fn with(mut self, params: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        self.params.extend(params.into_iter().map(|(key, value)| (key.into(), value)));
        self
    }

    /// What `Mcp-Name` says.
    pub(super) fn name(&self) -> Option<&str> {
        self.params.get("name").and_then(Value::as_str)
    }
}

/// An answer, and the session that came with it.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) answer: Answer,
    pub(super) session: Option<HeaderValue>,
}

/// A way to one server. Dropping the future of a request tells the server that nobody waits any more.
#[async_trait]
pub(super) trait Link: Send + Sync {
    /// Asks under these terms.
    ///
    /// # Errors
    /// The server could not be reached, ended, or answered with what is no message.
    async fn ask(&self, terms: &Terms, ask: Ask<'_>) -> Result<Answered>;

    /// Says something that has no answer.
    async fn tell(&self, terms: &Terms, method: &'static str, request: &Request) -> Result<()>;

    /// Counts how often the server said that its tools are others now, or that from now on it would say so.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Hears what the server says by itself, until it stops to say anything.
    async fn hear(&self, terms: &Terms, request: &Request);
}

/// Asks a server of the modern era to tell of changes of its tools. It answers when it stops.
pub(super) async fn subscribe(link: &dyn Link, terms: &Terms, request: &Request) {
    let attempt = Arc::<Attempt>::default();
    let wanted = Value::from([("toolsListChanged", true)]);
    let ask = Ask::new("subscriptions/listen", &attempt, request).with([("notifications", wanted)]);
    match link.ask(terms, ask).await {
        Ok(Answered { answer: Ok(_), .. }) => {}
        Ok(Answered { answer: Err(fault), .. }) => {
            let why = message::shown(&fault.message);
            tracing::debug!(system = &*request.op.system, "the server does not tell of changes: {why}");
        }
        Err(error) => {
            tracing::debug!(system = &*request.op.system, "the server tells of changes no more: {error}");
        }
    }
}

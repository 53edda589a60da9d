//! A server that is reached by streamable HTTP: each message is a `POST`, and its answer is JSON or a stream of events.
//!
//! In the legacy era a session may stand behind it. One that the server has forgotten is begun anew, and the message is
//! sent again: a server that does not know the session has not looked at it. In the modern era nobody keeps anything, and
//! a response that is closed is a call that is cancelled.

mod clerk;
mod events;
mod headers;
mod hear;
mod mirror;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use renkei_core::{
    ConnectContext, Error, Request, Result, Value,
    call::{Attempt, Listener},
    read,
};
use tokio::sync::{mpsc, watch};

use self::{events::Events, mirror::Mirrors};
use super::{
    error, greet,
    link::{self, Answered, Ask, Link, Terms},
    message::{self, Answer, Era, Fault, HEADER_MISMATCH, Incoming, METHOD_NOT_FOUND},
};
use crate::http::{Door, HttpConfig};

/// How often a stream that ended too early is taken up again.
const RESUMPTIONS: u32 = 8;

pub(super) struct Remote {
    shared: Arc<Shared>,
    errands: mpsc::Sender<String>,
    mirrors: Mirrors,
    /// See [`Link::changes`].
    changes: watch::Sender<u64>,
    /// Held by whoever begins a session anew.
    renewal: tokio::sync::Mutex<()>,
}

/// What calls and the clerk share.
pub(super) struct Shared {
    door: Door,
    max_message: read::Bytes,
    next: AtomicU64,
    /// Those of the moment; a session that was forgotten is replaced.
    terms: Mutex<Option<Terms>>,
}

impl Shared {
    fn terms(&self) -> Option<Terms> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Remote {
    /// Opens nothing yet. Needs a runtime, whose task ends with the connection.
    pub(super) fn open(
        system: &Arc<str>,
        config: Arc<HttpConfig>,
        max_message: read::Bytes,
        cx: &ConnectContext,
    ) -> Result<Self> {
        let door = Door::open(system, "mcp", config, cx)?;
        let shared = Arc::new(Shared { door, max_message, next: AtomicU64::new(1), terms: Mutex::default() });
        let errands = clerk::start(system.clone(), shared.clone());
        Ok(Remote {
            shared,
            errands,
            mirrors: Mirrors::default(),
            changes: watch::Sender::new(0),
            renewal: tokio::sync::Mutex::default(),
        })
    }

    /// From now on these are the terms.
    pub(super) fn agreed(&self, terms: &Terms) {
        *self.shared.terms.lock().unwrap_or_else(PoisonError::into_inner) = Some(terms.clone());
    }

    /// Begins a session anew, unless somebody did meanwhile.
    async fn renew(&self, used: &Terms, request: &Request) -> Result<Terms> {
        let _renewal = self.renewal.lock().await;
        if let Some(now) = self.shared.terms()
            && now.session != used.session
        {
            return Ok(now);
        }
        let greeting = Request { effect: renkei_core::Effect::Read, ..request.clone() };
        let terms = greet::initialize(self, &greeting).await?;
        tracing::debug!(
            system = &*request.op.system,
            "the server had forgotten the session; there is a new one"
        );
        self.agreed(&terms);
        Ok(terms)
    }

    /// Sends one request and reads its answer.
    async fn exchange(&self, terms: &Terms, ask: &Ask<'_>) -> Result<Exchanged> {
        let (shared, request) = (&*self.shared, ask.request);
        let id = shared.next.fetch_add(1, Ordering::Relaxed);
        let token = ask.listener.is_some().then_some(id);
        let params = message::params(terms.era, ask.params.clone(), ask.trace, token);
        let body = message::request(id, ask.method, params);
        if body.len() as u64 > shared.max_message.0.saturating_add(MARGIN) {
            return Err(error::too_large_to_send(request, shared.max_message));
        }
        let headers = headers::of(terms, ask);
        let mut guard =
            Asked { remote: self, id, is_open: ask.method == "tools/call" && terms.era == Era::Legacy };
        let answered = self.answered(terms, ask, id, &headers, body.into()).await;
        guard.is_open = false;
        answered
    }

    async fn answered(
        &self,
        terms: &Terms,
        ask: &Ask<'_>,
        id: u64,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Exchanged> {
        let (shared, request) = (&*self.shared, ask.request);
        let mut response = shared.door.send(Method::POST, headers, body, ask.attempt, request).await?;
        let status = response.status();
        let session = response.headers().get(headers::SESSION).cloned();
        if !status.is_success() {
            return self.failed(terms, ask, response).await;
        }
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let answer = match kind.as_str() {
            "application/json" => {
                let Some(bytes) =
                    shared.door.body(&mut response, shared.max_message.as_usize(), request).await?
                else {
                    return Err(error::too_large(request, shared.max_message));
                };
                let message = Value::from_json(&bytes).ok();
                let batch = match &message {
                    Some(Value::Array(all)) => all.to_vec(),
                    other => other.iter().cloned().collect(),
                };
                let found = batch.iter().filter_map(message::read).find_map(|incoming| match incoming {
                    Incoming::Reply { id: own, answer } if own == id => Some(answer),
                    _ => None,
                });
                found.ok_or_else(|| error::strange(request, "what is no answer of the protocol"))?
            }
            "text/event-stream" => self.streamed(terms, ask, id, response).await?,
            _ if status == StatusCode::ACCEPTED => {
                return Err(error::strange(request, "a promise to look at it, and no answer"));
            }
            other => {
                let what = format!("the type `{}`, which is none of the protocol's", message::shown(other));
                return Err(error::strange(request, &what));
            }
        };
        Ok(Exchanged::Answered(Answered { answer, session }))
    }

    /// An answer with the status of a failure.
    async fn failed(
        &self,
        terms: &Terms,
        ask: &Ask<'_>,
        mut response: reqwest::Response,
    ) -> Result<Exchanged> {
        let (shared, request) = (&*self.shared, ask.request);
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes =
            shared.door.body(&mut response, MAX_FAILURE, request).await.ok().flatten().unwrap_or_default();
        let fault = Value::from_json(&bytes).ok().and_then(|message| {
            let error = message.get("error")?;
            let text = error.get("message").and_then(Value::as_str)?.to_owned();
            let code = error.get("code").and_then(Value::as_i64)?;
            Some(Fault { code, message: text, data: error.get("data").cloned().unwrap_or_default() })
        });
        let forgotten = terms.session.is_some()
            && (status == StatusCode::NOT_FOUND
                || status == StatusCode::BAD_REQUEST
                    && fault
                        .as_ref()
                        .is_some_and(|fault| fault.message.to_ascii_lowercase().contains("session")));
        if forgotten {
            return Ok(Exchanged::Forgotten);
        }
        let refuses_caller = matches!(status.as_u16(), 401 | 403 | 407 | 408 | 425 | 429);
        if status.is_client_error() && !refuses_caller {
            // What the protocol has to say goes before what HTTP says.
            if let Some(fault) = fault {
                return Ok(Exchanged::Answered(Answered { answer: Err(fault), session: None }));
            }
            if ask.method == "server/discover" {
                let message = format!("it answered {status}");
                let fault = Fault { code: METHOD_NOT_FOUND, message, data: Value::Null };
                return Ok(Exchanged::Answered(Answered { answer: Err(fault), session: None }));
            }
        }
        let words =
            fault.map(|fault| fault.message).unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned());
        Err(shared.door.status(status, &headers, &words, request))
    }

    /// Reads events until the answer is among them. A stream of the legacy era that ends too early is taken up again
    /// where the server gave its events ids.
    async fn streamed(
        &self,
        terms: &Terms,
        ask: &Ask<'_>,
        id: u64,
        response: reqwest::Response,
    ) -> Result<Answer> {
        let (shared, request) = (&*self.shared, ask.request);
        let mut events = Events::new(shared.max_message.as_usize());
        let mut response = Some(response);
        let mut left = RESUMPTIONS;
        loop {
            if let Some(stream) = &mut response {
                match self.next_answer(terms, ask, id, stream, &mut events).await {
                    Ok(Some(answer)) => return Ok(answer),
                    Ok(None) => {}
                    Err(error) if events.last_id().is_none() || terms.era == Era::Modern => {
                        return Err(error);
                    }
                    Err(_) => {}
                }
            }
            let Some(last) = events.last_id().filter(|_| terms.era == Era::Legacy && left > 0) else {
                return Err(error::cut_off(request));
            };
            left -= 1;
            tokio::time::sleep(events.pause()).await;
            let headers = headers::resuming(terms, last);
            let attempt = Arc::<Attempt>::default();
            events.restart();
            let resumed = shared.door.send(Method::GET, &headers, Bytes::new(), &attempt, request).await;
            response = match resumed {
                Ok(resumed) if resumed.status().is_success() => Some(resumed),
                Ok(_) => return Err(error::cut_off(request)),
                // It may come back.
                Err(_) => None,
            };
        }
    }

    /// Nothing at the end of the stream.
    async fn next_answer(
        &self,
        terms: &Terms,
        ask: &Ask<'_>,
        id: u64,
        stream: &mut reqwest::Response,
        events: &mut Events,
    ) -> Result<Option<Answer>> {
        let (shared, request) = (&*self.shared, ask.request);
        loop {
            while let Some(data) = events.next() {
                let Ok(message) = Value::from_json(data.as_bytes()) else { continue };
                match message::read(&message) {
                    Some(Incoming::Reply { id: own, answer }) if own == id => return Ok(Some(answer)),
                    Some(Incoming::Progress { token, share, note }) if token == id => {
                        report(ask.listener.as_ref(), share, &note);
                    }
                    Some(Incoming::Request { id, method }) if terms.era == Era::Legacy => {
                        // Who asks too much does without answers.
                        let _ = self.errands.try_send(message::reply_to(&id, &method));
                    }
                    Some(Incoming::Changed(kind)) if &*kind == "tools" => self.changed(),
                    Some(Incoming::Line { level, text }) => {
                        tracing::debug!(system = &*request.op.system, level, "the server logs: {text}");
                    }
                    _ => {}
                }
            }
            match shared.door.chunk(stream, request).await {
                Ok(None) => return Ok(None),
                // The rest may come with another stream.
                Err(_) if terms.era == Era::Legacy && events.last_id().is_some() => return Ok(None),
                Err(error) => return Err(error),
                Ok(Some(chunk)) => {
                    if !events.push(&chunk) {
                        return Err(error::too_large(request, shared.max_message));
                    }
                }
            }
        }
    }
}

fn report(listener: Option<&Arc<dyn Listener>>, share: Option<f64>, note: &str) {
    match (listener, share) {
        (Some(listener), Some(share)) => listener.share(share, note),
        (Some(listener), None) => listener.note(note),
        (None, _) => {}
    }
}

/// What a message has beside its arguments.
const MARGIN: u64 = 4096;
/// How much of the body of a failure is read.
const MAX_FAILURE: usize = 64 << 10;

/// What became of a request.
enum Exchanged {
    Answered(Answered),
    /// The server does not know the session any more, and has not looked at the request.
    Forgotten,
}

#[async_trait]
impl Link for Remote {
    async fn ask(&self, terms: &Terms, mut ask: Ask<'_>) -> Result<Answered> {
        let is_call = ask.method == "tools/call";
        // Those of the moment go before those of the beginning.
        let mut terms = self.shared.terms().filter(|_| is_call).unwrap_or_else(|| terms.clone());
        if is_call && terms.era == Era::Modern {
            ask.mirrored = self.mirrors.of(self, &terms, &ask).await?;
        }
        match self.exchange(&terms, &ask).await? {
            Exchanged::Answered(Answered { answer: Err(Fault { code: HEADER_MISMATCH, .. }), .. })
                if is_call && self.mirrors.forget() =>
            {
                // The tool has other headers now. The server compares them before it does anything.
                ask.mirrored = self.mirrors.of(self, &terms, &ask).await?;
            }
            Exchanged::Answered(answered) => return Ok(answered),
            Exchanged::Forgotten => terms = self.renew(&terms, ask.request).await?,
        }
        match self.exchange(&terms, &ask).await? {
            Exchanged::Answered(answered) => Ok(answered),
            Exchanged::Forgotten => {
                let system = &ask.request.op.system;
                let text =
                    format!("the server of system `{system}` forgets each session at once; nothing was done");
                Err(Error::unavailable(text))
            }
        }
    }

    async fn tell(&self, terms: &Terms, method: &'static str, request: &Request) -> Result<()> {
        let attempt = Arc::<Attempt>::default();
        let body = message::notification(method, Value::object());
        let headers = headers::of(terms, &Ask::new(method, &attempt, request));
        let response = self.shared.door.send(Method::POST, &headers, body.into(), &attempt, request).await?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(self.shared.door.failure(response, request).await)
        }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    async fn hear(&self, terms: &Terms, request: &Request) {
        if terms.era == Era::Modern {
            return link::subscribe(self, terms, request).await;
        }
        if let Err(error) = self.hear_stream(request).await {
            tracing::debug!(system = &*request.op.system, "the server does not tell of changes: {error}");
        }
    }
}

/// A request of the legacy era that is under way. When it is dropped before its answer came, the server is told.
struct Asked<'a> {
    remote: &'a Remote,
    id: u64,
    is_open: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.is_open {
            // A clerk with too much to do leaves it: the call ends without it, too.
            let _ = self.remote.errands.try_send(message::cancelled(self.id));
        }
    }
}

/// A header's value, where it can be one.
fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

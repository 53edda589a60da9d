//! Legacy sessions: how many there are, whose they are, and which makes room for a new one.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::{Stream, StreamExt as _};
use indexmap::IndexMap;
use renkei_core::{Principal, Value, metric, principal::How};
use rmcp::{
    model::{ClientJsonRpcMessage, ProtocolVersion, ServerJsonRpcMessage, ServerResult},
    transport::{
        common::server_side_http::ServerSseMessage,
        streamable_http_server::{
            SessionId, SessionManager,
            session::local::{LocalSessionManager, LocalSessionManagerError, SessionConfig},
        },
    },
};
use tokio::time::Instant;

use super::{Limits, Server};

/// rmcp's sessions in memory, counted. At most `limit`; the idle make room.
#[derive(Debug)]
pub(super) struct Sessions {
    inner: LocalSessionManager,
    known: Mutex<IndexMap<SessionId, Arc<Session>>>,
    limit: usize,
}

#[derive(Debug)]
struct Session {
    owner: OnceLock<Owner>,
    /// What `initialize` settled on.
    version: OnceLock<ProtocolVersion>,
    /// Streams of responses that are open, and calls under way with them.
    streams: AtomicUsize,
    used: Mutex<Instant>,
}

/// Whose a session is, and where: what makes two principals the same, and the endpoint. A name is unique only
/// among those of one issuer.
#[derive(Debug, PartialEq)]
pub(super) struct Owner {
    how: How,
    name: Arc<str>,
    issuer: Option<Value>,
    group: Option<Arc<str>>,
}

impl Owner {
    pub(super) fn new(principal: &Principal, server: &Server) -> Self {
        let issuer = principal.claims.get("iss").cloned();
        Owner { how: principal.how, name: principal.name.clone(), issuer, group: server.group.clone() }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("all {0} sessions are in use")]
    Full(usize),
    #[error(transparent)]
    Inner(#[from] LocalSessionManagerError),
}

impl Sessions {
    pub(super) fn new(limits: &Limits) -> Self {
        let mut config = SessionConfig::default();
        config.keep_alive = Some(limits.session_idle);
        let mut inner = LocalSessionManager::default();
        inner.session_config = config;
        Sessions { inner, known: Mutex::default(), limit: limits.sessions }
    }

    /// Whether a new session would be refused: as many as there may be, each with an open stream.
    pub(super) fn is_full(&self) -> bool {
        let known = self.lock();
        known.len() >= self.limit && known.values().all(|session| session.is_busy())
    }

    /// Binds a session that was just opened to whom it was opened for.
    pub(super) fn own(&self, id: &str, owner: Owner) {
        if let Some(session) = self.lock().get(id) {
            // It has an owner already only if the id was given twice, which `create_session` rules out.
            let _ = session.owner.set(owner);
        }
    }

    /// Whether the session is `owner`'s. One that does not exist is nobody's.
    pub(super) fn is_owner(&self, id: &str, owner: &Owner) -> bool {
        self.lock().get(id).and_then(|session| session.owner.get()) == Some(owner)
    }

    /// The protocol version that the session speaks.
    pub(super) fn version(&self, id: &str) -> Option<ProtocolVersion> {
        self.lock().get(id).and_then(|session| session.version.get()).cloned()
    }

    /// Makes room if there is none: the session that is idle longest goes.
    fn make_room(&self) -> Result<Option<SessionId>, SessionError> {
        let mut known = self.lock();
        if known.len() < self.limit {
            return Ok(None);
        }
        let idle = known.iter().filter(|(_, session)| !session.is_busy());
        let oldest = idle.min_by_key(|(_, session)| session.used()).map(|(id, _)| id.clone());
        let oldest = oldest.ok_or(SessionError::Full(self.limit))?;
        known.swap_remove(&oldest);
        gauge().decrement(1.0);
        Ok(Some(oldest))
    }

    fn get(&self, id: &SessionId) -> Option<Arc<Session>> {
        let session = self.lock().get(id).cloned();
        if let Some(session) = &session {
            session.touch();
        }
        session
    }

    /// Counts `stream` as open for as long as it lives.
    fn count<S: Stream + Send + Sync + 'static>(
        &self,
        id: &SessionId,
        stream: S,
    ) -> impl Stream<Item = S::Item> + Send + Sync + use<S> {
        let open = self.get(id).map(Open::new);
        stream.inspect(move |_| {
            let _ = &open;
        })
    }

    fn lock(&self) -> MutexGuard<'_, IndexMap<SessionId, Arc<Session>>> {
        // No code that can panic runs under the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gauge() -> metrics::Gauge {
    metrics::gauge!(metric::SESSIONS.name)
}

impl Session {
    fn is_busy(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0
    }

    fn used(&self) -> Instant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// One open stream.
struct Open(Arc<Session>);

impl Open {
    fn new(session: Arc<Session>) -> Self {
        session.streams.fetch_add(1, Ordering::Relaxed);
        Open(session)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
        self.0.touch();
    }
}

impl SessionManager for Sessions {
    type Error = SessionError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), SessionError> {
        while let Some(idle) = self.make_room()? {
            self.inner.close_session(&idle).await?;
        }
        let (id, transport) = self.inner.create_session().await?;
        let session = Session {
            owner: OnceLock::new(),
            version: OnceLock::new(),
            streams: AtomicUsize::new(0),
            used: Mutex::new(Instant::now()),
        };
        self.lock().insert(id.clone(), Arc::new(session));
        gauge().increment(1.0);
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, SessionError> {
        let answer = self.inner.initialize_session(id, message).await?;
        if let ServerJsonRpcMessage::Response(response) = &answer
            && let ServerResult::InitializeResult(settled) = &response.result
            && let Some(session) = self.lock().get(id)
        {
            // A session is initialized once.
            let _ = session.version.set(settled.protocol_version.clone());
        }
        Ok(answer)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, SessionError> {
        Ok(self.get(id).is_some() && self.inner.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), SessionError> {
        if self.lock().swap_remove(id).is_some() {
            gauge().decrement(1.0);
        }
        Ok(self.inner.close_session(id).await?)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        Ok(self.count(id, self.inner.create_stream(id, message).await?))
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), SessionError> {
        Ok(self.inner.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        Ok(self.count(id, self.inner.create_standalone_stream(id).await?))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        Ok(self.count(id, self.inner.resume(id, last_event_id).await?))
    }
}

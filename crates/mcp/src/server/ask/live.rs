//! Questions as requests of the server, while the client's own request is under way (revisions before 2026-07-28).

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{
    Error, Kind, Result, Retry, Value,
    ask::{Abilities, Answer, Asker, Question},
};
use rmcp::{
    RoleServer,
    model::{CancelledNotificationParam, RequestId},
    service::{Peer, PeerRequestOptions, ServiceError},
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};

use super::wire;

/// How long a client may take to be told.
const TELLING: Duration = Duration::from_secs(5);

/// What a client says to a question may be long; so much of it is told.
const SHOWN: usize = 200;

/// Asks over the peer. A question that is dropped goes to [`Withdrawn`].
pub(in super::super) struct Live {
    abilities: Abilities,
    peer: Peer<RoleServer>,
    open: Arc<Semaphore>,
    limit: usize,
    withdrawn: mpsc::UnboundedSender<RequestId>,
}

/// The questions that nobody waits for any more: the client is told to take them away. There are never more than
/// the run asked.
pub(in super::super) struct Withdrawn(mpsc::UnboundedReceiver<RequestId>);

impl Live {
    /// `open` has a place for each question that waits, of `limit` in all.
    pub(super) fn new(
        abilities: Abilities,
        peer: Peer<RoleServer>,
        open: Arc<Semaphore>,
        limit: usize,
    ) -> (Arc<Self>, Withdrawn) {
        let (withdrawn, receiver) = mpsc::unbounded_channel();
        (Arc::new(Live { abilities, peer, open, limit, withdrawn }), Withdrawn(receiver))
    }
}

impl Withdrawn {
    /// Tells the client of each, until the future is dropped.
    pub(in super::super) async fn tell(&mut self, peer: &Peer<RoleServer>) -> Infallible {
        while let Some(id) = self.0.recv().await {
            notify(id, peer).await;
        }
        std::future::pending().await
    }

    /// Tells the client of the rest, once nothing asks any more.
    pub(in super::super) async fn end(mut self, peer: &Peer<RoleServer>) {
        self.0.close();
        let rest = async {
            while let Some(id) = self.0.recv().await {
                notify(id, peer).await;
            }
        };
        // Who does not take it in time has other worries than a question too many.
        let _ = timeout(TELLING, rest).await;
    }
}

async fn notify(id: RequestId, peer: &Peer<RoleServer>) {
    let reason = "nobody waits for the answer any more".to_owned();
    let params = CancelledNotificationParam::new(Some(id), Some(reason));
    if let Err(error) = peer.notify_cancelled(params).await {
        tracing::debug!(%error, "the client cannot be told of a question that was taken back");
    }
}

/// A question that was sent. Dropped before its answer, it is taken back.
struct Sent<'a> {
    id: Option<RequestId>,
    withdrawn: &'a mpsc::UnboundedSender<RequestId>,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            // Whoever would tell the client is gone only if the client is.
            let _ = self.withdrawn.send(id);
        }
    }
}

#[async_trait]
impl Asker for Live {
    fn abilities(&self) -> Abilities {
        self.abilities
    }

    async fn ask(&self, path: &str, question: &Question) -> Result<Answer> {
        let Ok(_place) = self.open.try_acquire() else {
            let message = format!(
                "ask: the server waits for `{}` answers already, its limit (`server.limits.asks`)",
                self.limit
            );
            return Err(Error::new(Kind::RateLimited, message).retry(Retry::After(Duration::from_secs(10))));
        };
        let id = format!("{}/{path}", uuid::Uuid::new_v4());
        let request = wire::request(question, &id).map_err(|error| {
            Error::internal("ask: the question is none of the protocol; the config must be mended")
                .detail(error)
        })?;
        let options = PeerRequestOptions::no_options();
        let handle =
            self.peer.send_cancellable_request(request, options).await.map_err(|error| failed(&error))?;
        let mut sent = Sent { id: Some(handle.id.clone()), withdrawn: &self.withdrawn };
        let answered = handle.await_response().await;
        sent.id = None;
        let result = answered.map_err(|error| failed(&error))?;
        // Their shapes tell them apart; what rmcp took it for does not matter.
        let result = serde_json::to_value(&result).map_or(Value::Null, Value::from);
        wire::answer(&result)
            .map_err(|why| Error::new(Kind::Rejected, format!("use the client's answer: {why}")))
    }
}

fn failed(error: &ServiceError) -> Error {
    match error {
        ServiceError::McpError(said) => {
            let text: String =
                said.message.chars().filter(|letter| !letter.is_control()).take(SHOWN).collect();
            Error::new(Kind::Rejected, format!("get an answer: the client refused with `{text}`"))
        }
        ServiceError::TransportClosed | ServiceError::Cancelled { .. } => {
            Error::new(Kind::Cancelled, "get an answer: the client is gone")
        }
        other => {
            Error::new(Kind::Unavailable, "get an answer from the client").retry(Retry::Never).detail(other)
        }
    }
}

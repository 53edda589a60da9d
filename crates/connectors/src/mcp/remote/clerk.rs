//! What is said to a server when nobody waits: that a call is cancelled, the answer to a ping, and, when the connection
//! ends, that the session is over. One task does it, one thing after the other, and ends with the connection.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Method;
use renkei_core::call::Attempt;
use tokio::{sync::mpsc, time::timeout};

use super::{Shared, headers};
use crate::mcp::words;

/// What waits to be said; more is left out.
const WAITING: usize = 64;
/// How long one thing may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The clerk of a connection: it takes messages that have no answer, and ends when all senders are gone.
pub(super) fn start(system: Arc<str>, shared: Arc<Shared>) -> mpsc::Sender<String> {
    let (sender, mut errands) = mpsc::channel::<String>(WAITING);
    tokio::spawn(async move {
        let request = words(&system, "notifications");
        let attempt = Arc::<Attempt>::default();
        while let Some(message) = errands.recv().await {
            let Some(terms) = shared.terms() else { continue };
            let headers = headers::in_session(&terms, false);
            let said = shared.door.send(Method::POST, &headers, message.into(), &attempt, &request);
            // A courtesy: the server gets on without it.
            let _ = timeout(LIMIT, said).await;
        }
        if let Some(terms) = shared.terms().filter(|terms| terms.session.is_some()) {
            let headers = headers::in_session(&terms, false);
            let ended = shared.door.send(Method::DELETE, &headers, Bytes::new(), &attempt, &request);
            // A server that does not hear it forgets the session by itself.
            let _ = timeout(LIMIT, ended).await;
        }
    });
    sender
}

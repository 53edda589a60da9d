//! What a server says by itself: that it has other tools.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use renkei_core::{Request, Result, call::Attempt};

use super::{Remote, events::Events, headers};
use crate::mcp::link::Ask;

impl Remote {
    /// The server has other tools now, or could have.
    pub(super) fn changed(&self) {
        self.mirrors.forget();
        self.changes.send_modify(|count| *count += 1);
    }

    /// Opens the stream of the legacy era on which a server says something by itself, and hears it to its end.
    pub(super) async fn hear_stream(&self, request: &Request) -> Result<()> {
        let Some(terms) = self.shared.terms() else { return Ok(()) };
        let headers = headers::of_stream(&terms);
        let attempt = Arc::<Attempt>::default();
        let sent = self.shared.door.send(Method::GET, &headers, Bytes::new(), &attempt, request);
        let mut stream = sent.await?;
        if !stream.status().is_success() {
            return Err(self.shared.door.failure(stream, request).await);
        }
        // What changed before is not told.
        self.changed();
        let mut events = Events::new(self.shared.max_message.as_usize());
        let ask = Ask::new("notifications", &attempt, request);
        // No request has this number.
        self.next_answer(&terms, &ask, 0, &mut stream, &mut events).await.map(drop)
    }
}

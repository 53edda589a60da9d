//! The requests that wait for an answer of the program.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use renkei_core::call::Listener;
use tokio::sync::{Notify, oneshot};

use super::Heard;
use crate::mcp::message::Answer;

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    Answer(Answer),
    /// There is an answer, and it is longer than a message may be.
    TooLong,
}

#[derive(Default)]
pub(super) struct Waiting {
    state: Mutex<State>,
    /// A call was given up: the program may hang.
    pub(super) suspect: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    /// Never more than there are calls under way, and the handshake.
    open: BTreeMap<u64, (oneshot::Sender<Outcome>, Heard)>,
    has_ended: bool,
}

impl Waiting {
    /// The number of a request whose answer goes to `sender`; nothing when the program has ended.
    pub(super) fn enter(&self, sender: oneshot::Sender<Outcome>, listener: Heard) -> Option<u64> {
        let mut state = self.state();
        if state.has_ended {
            return None;
        }
        state.next += 1;
        let id = state.next;
        state.open.insert(id, (sender, listener));
        Some(id)
    }

    /// Whether somebody waited for it. An answer that comes too late is nothing.
    pub(super) fn answer(&self, id: u64, outcome: Outcome) -> bool {
        let open = self.state().open.remove(&id);
        open.is_some_and(|(sender, _)| sender.send(outcome).is_ok())
    }

    pub(super) fn listener(&self, id: u64) -> Option<Arc<dyn Listener>> {
        self.state().open.get(&id).and_then(|(_, listener)| listener.clone())
    }

    pub(super) fn leave(&self, id: u64) {
        self.state().open.remove(&id);
    }

    /// Nobody gets an answer any more.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.has_ended = true;
        state.open.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing inside panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

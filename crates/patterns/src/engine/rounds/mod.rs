//! Calls that end with questions and come again with the answers (multi-round requests, MCP 2026-07-28, SEP-2322).
//!
//! There is no journal: the call that comes again runs its action from the start, with the answers at hand, and gets
//! one answer further. So nothing may be changed before a question; the config is checked for that, and `cx.ask`
//! refuses it. What goes through the client in between is a sealed [`State`](state::State): which run it is – its
//! id and its time, so that keys stay the same –, and the answers so far.
//!
//! Each answer belongs to the words of its question. If a question reads differently when it comes up again – what it
//! shows was read anew and has changed – nobody has answered that one, and it is put again.
//!
//! All that a node needs is in the state, so any node that has the same key goes on with it. That a state is used once is known
//! to the store that they share.

mod session;
mod state;
mod used;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use renkei_core::{
    CallContext, Effect, Error, Principal, Result, Secret, Value,
    ask::{Asking, Rounds},
    store::Store,
};

pub(super) use self::session::Session;
use self::{
    state::{Owner, States},
    used::Used,
};

/// JSON-RPC's code for parameters that do not fit.
const INVALID_PARAMS: i32 = -32602;

/// The limits of calls in rounds.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Seals what goes through clients; one of this process without it.
    pub key: Option<Secret>,
    /// How long a question may wait for its answer.
    pub time: Duration,
    /// Rounds of one call.
    pub rounds: usize,
    /// Bytes of the sealed state, and with it of the answers so far.
    pub state_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { key: None, time: Duration::from_secs(600), rounds: 16, state_bytes: 64_000 }
    }
}

/// What all calls in rounds share.
pub(super) struct Table {
    states: States,
    limits: Limits,
    /// A successor of the engine has the same.
    used: Arc<Used>,
}

/// What comes again: the same thing, by the same caller, with the same arguments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// `tool`, `resource`, `prompt`.
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
    pub(super) caller: &'a Principal,
    /// As they were checked.
    pub(super) arguments: &'a Value,
    pub(super) effect: Effect,
}

impl Table {
    pub(super) fn new(limits: Limits) -> Self {
        Table { states: States::new(limits.key.as_ref(), limits.state_bytes), limits, used: Arc::default() }
    }

    pub(super) fn following(self, old: &Table) -> Self {
        Table { used: old.used.clone(), ..self }
    }

    /// Takes up a call that may be one of several: from then on its run knows the answers so far. Nothing for a call that
    /// is answered while it waits, or not at all. `store` knows which states were used, if there is one.
    ///
    /// # Errors
    /// The state is none of ours, for something else, too old, or was used already. Nothing was done.
    pub(super) async fn begin(
        &self,
        subject: Subject<'_>,
        cx: &mut CallContext,
        store: Option<&Arc<dyn Store>>,
        now_ms: i64,
    ) -> Result<Option<Arc<Session>>> {
        let Asking::Rounds(said) = &cx.asking else { return Ok(None) };
        let said = said.clone();
        let Rounds { abilities, state, answers } = &*said;
        let owner = Owner {
            kind: subject.kind,
            name: subject.name,
            caller: subject.caller,
            arguments: subject.arguments,
        };
        let changes = subject.effect != Effect::Read;
        let session = match state {
            Some(text) => {
                let state = self.states.open(owner, text, now_ms)?;
                // Reading twice does no harm.
                if changes {
                    let store = store.map(|store| &**store);
                    self.used.take(store, state.nonce, state.expires_ms, now_ms).await?;
                }
                Session::again(*abilities, state, answers)
            }
            // Answers to what was not asked in this call. Before a change they do not count; otherwise the client may
            // know the questions.
            None if changes => Session::first(*abilities, None),
            None => Session::first(*abilities, Some(answers)),
        };
        cx.start = Some(session.start().clone());
        let session = Arc::new(session);
        cx.asking = Asking::Live { asker: session.clone(), limit: self.limits.time };
        Ok(Some(session))
    }

    /// What becomes of a run that was suspended: the questions, and the state that comes back with their answers.
    pub(super) fn end(&self, subject: Subject<'_>, session: &Session, error: Error, now_ms: i64) -> Error {
        if !error.is_suspended() {
            return error;
        }
        let Limits { rounds, time, state_bytes, .. } = &self.limits;
        if session.round() >= *rounds {
            return Error::new(
                renkei_core::Kind::Rejected,
                format!(
                    "get its answers in {rounds} rounds, the most there are (`server.limits.ask_rounds`)"
                ),
            );
        }
        let owner = Owner {
            kind: subject.kind,
            name: subject.name,
            caller: subject.caller,
            arguments: subject.arguments,
        };
        let (state, questions) = session.end(now_ms, *time);
        match self.states.seal(owner, &state) {
            Some(state) => Error::asking(renkei_core::ask::Asked { questions, state }),
            None => Error::new(
                renkei_core::Kind::Rejected,
                format!(
                    "keep the answers so far: they have more than `{state_bytes}` bytes (`server.limits.ask_state`)"
                ),
            ),
        }
    }
}

/// A refusal of what came back, as an error of the protocol.
fn refused(message: impl Into<String>) -> Error {
    Error::invalid(message).protocol(INVALID_PARAMS)
}

/// The time for states: of day, so that it means the same on every node and after a restart.
pub(super) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

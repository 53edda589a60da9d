//! A server that is a program of ours: started in a process group of its own, spoken with over its standard input and
//! output, its standard error into the log.
//!
//! One task owns the process: it writes, reads, and ends it. Whatever ends – the program, the connection, Renkei – nothing
//! of the group is left: first its input is closed, then it is asked to end, then it is killed.

mod group;
mod lines;
mod noise;
mod pump;
mod start;
mod waiting;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use renkei_core::{Error, Request, Result, Secret, Value, call::Listener, read};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    config::Program,
    error,
    link::{self, Answered, Ask, Link, Terms},
    message::{self, Era},
};
use waiting::Waiting;

/// Messages that wait until the program reads them.
const OUTGOING: usize = 64;

/// A running program.
pub(super) struct Process {
    shared: Arc<Shared>,
    outgoing: mpsc::Sender<Bytes>,
    lost: watch::Receiver<Option<Error>>,
    /// Ends the program when this is dropped.
    _stop: DropGuard,
}

/// What the task and the calls share.
struct Shared {
    system: Arc<str>,
    secrets: Vec<Secret>,
    max_message: read::Bytes,
    waiting: Waiting,
    /// See [`Link::changes`].
    changes: watch::Sender<u64>,
}

impl Process {
    /// Starts the program. Needs a runtime, whose task ends with the process.
    pub(super) fn start(
        system: &Arc<str>,
        program: &Program,
        base_dir: &Path,
        max_message: read::Bytes,
    ) -> Result<Self> {
        let child = start::spawn(system, program, base_dir)?;
        let (outgoing, queue) = mpsc::channel(OUTGOING);
        let (told, lost) = watch::channel(None);
        let stop = CancellationToken::new();
        let secrets = program.env.values().cloned().collect();
        let shared = Arc::new(Shared {
            system: system.clone(),
            secrets,
            max_message,
            waiting: Waiting::default(),
            changes: watch::Sender::new(0),
        });
        let task = pump::Pump {
            shared: shared.clone(),
            queue,
            answers: outgoing.downgrade(),
            told,
            stop: stop.clone(),
        };
        tokio::spawn(task.run(child));
        Ok(Process { shared, outgoing, lost, _stop: stop.drop_guard() })
    }

    /// Holds the reason once the program has ended.
    pub(super) fn lost(&self) -> watch::Receiver<Option<Error>> {
        self.lost.clone()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lost.borrow().is_some()
    }

    /// Waits until it is known why the program has ended: soon, since it is being ended.
    async fn ended(&self, request: &Request, sent: bool) -> Error {
        let mut lost = self.lost.clone();
        let reason = lost.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        error::ended(reason, request, sent)
    }
}

#[async_trait]
impl Link for Process {
    async fn ask(&self, terms: &Terms, ask: Ask<'_>) -> Result<Answered> {
        let request = ask.request;
        // A program that does not read holds up its own calls only, and they have a deadline.
        let Ok(place) = self.outgoing.reserve().await else { return Err(self.ended(request, false).await) };
        let (sender, answer) = oneshot::channel();
        let wants_progress = ask.listener.is_some();
        let Some(id) = self.shared.waiting.enter(sender, ask.listener) else {
            return Err(self.ended(request, false).await);
        };
        let mut guard = Asked { process: self, id, is_call: ask.method == "tools/call", is_open: true };
        let params = message::params(terms.era, ask.params, ask.trace, wants_progress.then_some(id));
        let mut line = message::request(id, ask.method, params);
        line.push('\n');
        if line.len() as u64 > self.shared.max_message.0.saturating_add(MARGIN) {
            return Err(error::too_large_to_send(request, self.shared.max_message));
        }
        ask.attempt.mark_sent();
        place.send(line.into());
        match answer.await {
            Ok(waiting::Outcome::Answer(answer)) => {
                guard.is_open = false;
                Ok(Answered { answer, session: None })
            }
            Ok(waiting::Outcome::TooLong) => {
                guard.is_open = false;
                Err(error::too_large(request, self.shared.max_message))
            }
            Err(_) => {
                guard.is_open = false;
                Err(self.ended(request, true).await)
            }
        }
    }

    async fn tell(&self, _: &Terms, method: &'static str, request: &Request) -> Result<()> {
        let line = message::notification(method, Value::object()) + "\n";
        match self.outgoing.send(line.into()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended(request, false).await),
        }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// In the legacy era it needs no asking.
    async fn hear(&self, terms: &Terms, request: &Request) {
        match terms.era {
            Era::Modern => link::subscribe(self, terms, request).await,
            Era::Legacy => std::future::pending().await,
        }
    }
}

/// What a message has beside its arguments.
const MARGIN: u64 = 4096;

/// A request that is under way. When it is dropped before its answer came, the program is told.
struct Asked<'a> {
    process: &'a Process,
    id: u64,
    is_call: bool,
    is_open: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let waiting = &self.process.shared.waiting;
        waiting.leave(self.id);
        if self.is_open && self.is_call {
            // A queue that is full says that the program does not read; it would not read this either.
            let _ = self.process.outgoing.try_send((message::cancelled(self.id) + "\n").into());
            waiting.suspect.notify_one();
        }
    }
}

/// Who hears how far the program is.
type Heard = Option<Arc<dyn Listener>>;

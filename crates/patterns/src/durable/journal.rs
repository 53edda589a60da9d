//! The journal of one attempt: what earlier attempts have done, and what this one does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use renkei_core::{
    Applied, Effect, Error, Kind, Reply, Request, Result, Value,
    run::{Begun, Committed, Journal},
    store::{Batch, NewEvent, Receipt},
};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    history::Step,
    record::{self, COMMITTED, CUT_OFF, ENDED_STEP, INTENDED},
    scribe::Order,
};

/// Orders that wait for the scribe; more wait for a place.
pub(super) const WAITING: usize = 64;

pub(super) struct RunJournal {
    known: BTreeMap<String, Step>,
    orders: mpsc::Sender<Order>,
    first: Arc<Mutex<Vec<NewEvent>>>,
    /// What is written, and may be; in bytes.
    written: AtomicUsize,
    limit: usize,
    /// Nothing is written from now on.
    is_closed: AtomicBool,
    /// No step begins from now on.
    is_draining: AtomicBool,
    /// Steps under way that change something.
    changing: watch::Sender<BTreeSet<String>>,
}

impl RunJournal {
    pub(super) fn new(
        known: BTreeMap<String, Step>,
        (orders, first): (mpsc::Sender<Order>, Arc<Mutex<Vec<NewEvent>>>),
        (written, limit): (usize, usize),
    ) -> Self {
        let written = AtomicUsize::new(written);
        RunJournal {
            known,
            orders,
            first,
            written,
            limit,
            is_closed: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
            changing: watch::Sender::new(BTreeSet::new()),
        }
    }

    /// No new step begins: waits until none is under way that changes something.
    pub(super) async fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
        let mut changing = self.changing.subscribe();
        // The sender is this journal's own: it lives as long as the wait.
        let _ = changing.wait_for(BTreeSet::is_empty).await;
    }

    /// The run is left as it is: what is dropped from now on is not cut off, but taken up by somebody else.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    fn first(&self) -> MutexGuard<'_, Vec<NewEvent>> {
        // No code that can panic runs under the lock.
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for an event; whether there is any.
    fn take(&self, bytes: usize) -> bool {
        self.written.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.limit
    }

    fn full(&self, what: &str, bytes: usize) -> Error {
        let limit = self.limit;
        Error::internal(format!(
            "keep {what} ({bytes} bytes) in the journal of this run, which may have {limit} bytes \
             (`server.limits.run_journal`); ask for less at once, or raise it"
        ))
    }

    async fn write(&self, event: NewEvent, batch: Option<Batch>) -> Result<Option<Receipt>> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(gone());
        }
        let (done, told) = oneshot::channel();
        self.orders.send(Order { events: vec![event], batch, done }).await.map_err(|_| gone())?;
        told.await.unwrap_or_else(|_| Err(gone()))
    }

    /// A step begins; not while the run is being drained: then its caller waits until it is dropped.
    async fn enter(&self, path: &str, request: &Request) {
        if self.is_draining.load(Ordering::Acquire) {
            std::future::pending::<()>().await;
        }
        if request.effect != Effect::Read {
            self.changing.send_modify(|paths| {
                paths.insert(path.to_owned());
            });
        }
    }

    fn leave(&self, path: &str) {
        self.changing.send_if_modified(|paths| paths.remove(path));
    }

    async fn intend(&self, path: &str, request: &Request, count: u32) -> Result<Begun> {
        let value = Value::from([
            ("path", Value::from(path)),
            ("calls", format!("{}: {}", request.op.system, request.op.label).into()),
            ("repeat", Value::from(i64::from(count))),
        ]);
        let event = record::event(format!("{path}#{count}"), INTENDED, &value);
        let bytes = event.data.bytes.len();
        if !self.take(bytes) {
            return Err(self.full("one more step", bytes));
        }
        // Before the intent: one that is written and not followed by its step would be in doubt.
        self.enter(path, request).await;
        match self.write(event, None).await {
            Ok(_) => Ok(Begun::New),
            Err(error) => {
                self.leave(path);
                Err(error)
            }
        }
    }

    async fn keep(&self, path: &str, request: &Request, result: Result<Reply>) -> Result<Reply> {
        let event = ended(path, &result);
        let bytes = event.data.bytes.len();
        if self.take(bytes) {
            self.write(event, None).await?;
            return result;
        }
        // It has happened, but the run could not be taken up again after it.
        let error = match (&result, request.effect) {
            (Err(error), _) => error.clone(),
            (Ok(_), Effect::Read) => self.full("a reply", bytes),
            (Ok(_), _) => self.full("a reply", bytes).applied(Applied::Yes),
        };
        let result = Err(error);
        self.record(path, &result).await?;
        result
    }

    async fn record(&self, path: &str, result: &Result<Reply>) -> Result<()> {
        self.write(ended(path, result), None).await.map(drop)
    }
}

fn ended(path: &str, result: &Result<Reply>) -> NewEvent {
    let value = Value::from([("path", Value::from(path)), ("result", record::of_result(result))]);
    record::event(format!("{path}#end"), ENDED_STEP, &value)
}

/// Nobody writes any more: the run ends here, and what this error says reaches nobody.
fn gone() -> Error {
    Error::new(Kind::Cancelled, "go on: this process has let go of the run")
}

/// Whether the step may be taken again when nobody knows what became of it.
fn is_repeatable(request: &Request) -> bool {
    request.effect != Effect::Write || request.key.is_some()
}

/// After a step that was dropped while it was under way.
fn unknown(request: &Request) -> Applied {
    if request.effect == Effect::Read { Applied::No } else { Applied::Unknown }
}

#[async_trait]
impl Journal for RunJournal {
    async fn begin(&self, path: &str, request: &Request) -> Result<Begun> {
        match self.known.get(path) {
            Some(Step::Ended(result)) => Ok(Begun::Known(result.clone())),
            Some(Step::Intended(count)) if is_repeatable(request) => self.intend(path, request, *count).await,
            Some(Step::Intended(_)) => {
                let system = &request.op.system;
                let message = format!(
                    "know whether `{}` on `{system}` happened: the server was stopped in the middle of it, and it carries no `$key` with which it could be repeated",
                    request.op.label
                );
                let result = Err(Error::new(Kind::Unavailable, message)
                    .retry(renkei_core::Retry::Never)
                    .applied(Applied::Unknown)
                    .context(format!("step `{path}`")));
                self.record(path, &result).await?;
                Ok(Begun::Known(result))
            }
            Some(Step::Committed(_)) => {
                Err(record::corrupt(&format!("the step `{path}` was of another kind")))
            }
            // What changes nothing needs no intent: it can be done again.
            None if request.effect == Effect::Read => {
                self.enter(path, request).await;
                Ok(Begun::New)
            }
            None => self.intend(path, request, 0).await,
        }
    }

    async fn end(&self, path: &str, request: &Request, result: Result<Reply>) -> Result<Reply> {
        let result = self.keep(path, request, result).await;
        self.leave(path);
        result
    }

    fn cut_off(&self, path: &str, request: &Request) {
        self.leave(path);
        if self.is_closed.load(Ordering::Acquire) {
            return;
        }
        let message = format!("wait for `{}`: the run went on without it", request.op.system);
        let result = Err(Error::new(Kind::Timeout, message).applied(unknown(request)));
        let value = Value::from([("path", Value::from(path)), ("result", record::of_result(&result))]);
        self.first().push(record::event(format!("{path}#cut"), CUT_OFF, &value));
    }

    async fn commit(&self, path: &str, batch: Batch, given: Value) -> Result<Committed> {
        match self.known.get(path) {
            Some(Step::Committed(given)) => return Ok(Committed::Before(given.clone())),
            Some(_) => return Err(record::corrupt(&format!("the step `{path}` was of another kind"))),
            None => {}
        }
        let value = Value::from([("path", Value::from(path)), ("given", given.clone())]);
        let event = record::event(format!("{path}#commit"), COMMITTED, &value);
        let bytes = event.data.bytes.len();
        if !self.take(bytes) {
            return Err(self.full("one more step", bytes));
        }
        Ok(self.write(event, Some(batch)).await?.map_or(Committed::Before(given), Committed::Now))
    }
}

//! Writes the journal of one run, in order and together: what several branches want to have written at the same moment is
//! one commit. It runs beside the action and not inside it, so that a branch that is dropped drops no commit.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use renkei_core::{
    Applied, Error, Kind, Result,
    store::{Append, Batch, Expected, Lease, NewEvent, Receipt, Refusal, Store, Verdict},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// A commit of which nobody knows whether it happened is made again so often: with the same ids, so that it happens once.
const TRIES: u32 = 4;
/// The first pause between them; each next one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);
/// Entries in one commit.
const TOGETHER: usize = 200;

/// Something to be written.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) events: Vec<NewEvent>,
    /// What is changed with it.
    pub(super) batch: Option<Batch>,
    /// Told when it is durable, or why it is not. No receipt: it was found to be durable already.
    pub(super) done: oneshot::Sender<Result<Option<Receipt>>>,
}

/// Why a run cannot go on here.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// It is somebody else's now.
    Lost,
    /// The store does not take what is to be written.
    Store(Error),
}

impl Trouble {
    pub(super) fn error(&self) -> Error {
        match self {
            Trouble::Lost => Error::new(Kind::Cancelled, "go on: another process has taken up this run"),
            Trouble::Store(error) => error.clone(),
        }
    }
}

/// The one that writes.
#[derive(Debug)]
pub(super) struct Scribe {
    pub(super) store: Arc<dyn Store>,
    pub(super) stream: String,
    pub(super) lease: Lease,
    /// Of the last event of the stream.
    pub(super) version: u64,
    pub(super) orders: mpsc::Receiver<Order>,
    /// Goes before the next order; see [`Journal::cut_off`](renkei_core::run::Journal::cut_off).
    pub(super) first: Arc<Mutex<Vec<NewEvent>>>,
    taken: Option<Order>,
    /// Nobody orders anything any more.
    closed: CancellationToken,
}

impl Scribe {
    pub(super) fn new(
        (store, stream, lease): (Arc<dyn Store>, String, Lease),
        version: u64,
        orders: mpsc::Receiver<Order>,
        first: Arc<Mutex<Vec<NewEvent>>>,
        closed: CancellationToken,
    ) -> Self {
        Scribe { store, stream, lease, version, orders, first, taken: None, closed }
    }

    /// Writes until the orders are closed and done.
    ///
    /// # Errors
    /// Why nothing more can be written.
    pub(super) async fn write(&mut self) -> Result<(), Trouble> {
        while let Some(order) = self.next().await {
            let mut orders = vec![order];
            while orders[0].batch.is_none()
                && orders.len() < TOGETHER
                && let Ok(order) = self.orders.try_recv()
            {
                // Its own preconditions must not hold up the others.
                if order.batch.is_some() {
                    self.taken = Some(order);
                    break;
                }
                orders.push(order);
            }
            self.serve(orders).await?;
        }
        Ok(())
    }

    async fn next(&mut self) -> Option<Order> {
        match self.taken.take() {
            Some(order) => Some(order),
            None => tokio::select! {
                biased;
                order = self.orders.recv() => order,
                () = self.closed.cancelled() => None,
            },
        }
    }

    async fn serve(&mut self, mut orders: Vec<Order>) -> Result<(), Trouble> {
        let batch = orders[0].batch.take().unwrap_or_default();
        let events = orders.iter_mut().flat_map(|order| std::mem::take(&mut order.events)).collect();
        let outcome = self.commit(batch, events).await;
        let (told, trouble) = match outcome {
            Ok(Ok(receipt)) => (Ok(receipt), None),
            Ok(Err(refusal)) => (Err(refusal.into()), None),
            Err(trouble) => (Err(trouble.error()), Some(trouble)),
        };
        for order in orders {
            // Whoever asked may be gone.
            let _ = order.done.send(told.clone());
        }
        trouble.map_or(Ok(()), Err)
    }

    /// Commits `batch` with `events`. The inner error: a precondition of `batch` itself does not hold.
    pub(super) async fn commit(
        &mut self,
        batch: Batch,
        events: Vec<NewEvent>,
    ) -> Result<Result<Option<Receipt>, Refusal>, Trouble> {
        let first = std::mem::take(&mut *self.first.lock().unwrap_or_else(PoisonError::into_inner));
        let events: Vec<NewEvent> = first.into_iter().chain(events).collect();
        let count = events.len() as u64;
        let fences_itself = batch.jobs.iter().any(|change| change.lease() == Some(self.lease));
        let batch = if fences_itself { batch } else { batch.held(self.lease) };
        let batch = match events.is_empty() {
            true => batch,
            false => batch.append(Append {
                stream: self.stream.clone(),
                expected: Expected::Version(self.version),
                events,
            }),
        };
        let mut doubtful = false;
        for attempt in 0..TRIES {
            match self.store.commit(batch.clone()).await {
                Ok(Verdict::Done(receipt)) => {
                    self.version += count;
                    return Ok(Ok(Some(receipt)));
                }
                Ok(Verdict::Refused(Refusal::EventExists { stream, same: true, .. }))
                    if stream == self.stream && doubtful =>
                {
                    self.version += count;
                    return Ok(Ok(None));
                }
                Ok(Verdict::Refused(Refusal::LeaseLost { lease, .. })) if lease == self.lease => {
                    return Err(Trouble::Lost);
                }
                Ok(Verdict::Refused(
                    Refusal::Stream { stream, .. } | Refusal::EventExists { stream, .. },
                )) if stream == self.stream => {
                    return Err(Trouble::Lost);
                }
                Ok(Verdict::Refused(refusal)) => return Ok(Err(refusal)),
                Err(error) if attempt + 1 == TRIES || error.kind() == Kind::Invalid => {
                    return Err(Trouble::Store(error));
                }
                Err(error) => {
                    doubtful |= error.was_applied() != Applied::No;
                    sleep(PAUSE * 2_u32.pow(attempt)).await;
                }
            }
        }
        Err(Trouble::Store(Error::internal("write the journal of a run")))
    }
}

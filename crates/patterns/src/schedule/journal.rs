//! One tick: its message, in one commit with how far its schedule is.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use renkei_core::{
    Error, Reply, Request, Result, Value,
    run::{Begun, Committed, Journal},
    store::{Batch, CellExpected, Check, Refusal, Store, Verdict},
};

use super::progress::{Last, Progress, SPACE};

/// The journal of the run that enqueues one tick.
pub(super) struct TickJournal {
    pub(super) store: Arc<dyn Store>,
    pub(super) schedule: Arc<str>,
    /// What the cell is expected to be.
    pub(super) version: u64,
    /// What it is then.
    pub(super) progress: Progress,
    pub(super) written: Mutex<Written>,
}

/// What became of the cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Written {
    /// Nothing, as far as this run knows.
    #[default]
    No,
    /// Its version now.
    Yes(u64),
    /// Another process was first.
    Overtaken,
}

impl TickJournal {
    pub(super) fn written(&self) -> Written {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, written: Written) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = written;
    }
}

#[async_trait]
impl Journal for TickJournal {
    async fn begin(&self, _: &str, _: &Request) -> Result<Begun> {
        Err(Error::internal("call a system from a schedule: it only enqueues"))
    }

    async fn end(&self, _: &str, _: &Request, result: Result<Reply>) -> Result<Reply> {
        result
    }

    fn cut_off(&self, _: &str, _: &Request) {}

    async fn commit(&self, _: &str, batch: Batch, given: Value) -> Result<Committed> {
        let mut progress = self.progress.clone();
        let message = batch.enqueues.first().map(|job| job.id.to_string());
        if let Some(last) = &mut progress.last {
            *last = Last { message, ..last.clone() };
        }
        let batch = advance(batch, &self.schedule, self.version, &progress);
        match self.store.commit(batch).await? {
            Verdict::Done(receipt) => {
                self.note(Written::Yes(receipt.cells.first().copied().flatten().unwrap_or_default()));
                Ok(Committed::Now(receipt))
            }
            Verdict::Refused(Refusal::Cell { .. }) => {
                self.note(Written::Overtaken);
                Ok(Committed::Before(given))
            }
            Verdict::Refused(other) => Err(other.into()),
        }
    }
}

/// The batch, and the schedule is so far. The cell is looked at before anything else.
pub(super) fn advance(batch: Batch, schedule: &str, version: u64, progress: &Progress) -> Batch {
    let expected = CellExpected::Version(version);
    batch.check(Check::Cell { space: SPACE.to_owned(), key: schedule.to_owned(), expected }).set(
        SPACE,
        schedule,
        expected,
        progress.cell(),
    )
}

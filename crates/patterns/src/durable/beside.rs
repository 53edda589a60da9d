//! What goes on beside the action of an attempt: its lease is extended, somebody may want its end, and how far it is
//! is told.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use renkei_core::{
    run::{Progress, ProgressSink},
    store::{Batch, CellExpected, Change, JobChange, Verdict},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::{
    attempt::Attempt,
    task::{CANCEL, Kept, TASK},
};

/// How far a run is goes to the store so often at most.
const TELL: Duration = Duration::from_millis(500);
/// Another process's wishes are seen after so long at the latest.
const LOOK: Duration = Duration::from_secs(1);

impl Attempt {
    /// Extends the lease while it can; ends when it is lost, or may be.
    pub(super) async fn hold(&self) {
        let mut until = self.claimed + self.options.lease;
        loop {
            sleep_until(until - self.options.lease * 2 / 3).await;
            let asked = Instant::now();
            let extend = JobChange::Extend { lease: self.lease, lease_for: self.options.lease };
            // Sure to have ended before the lease has.
            let margin = until - self.options.lease / 10;
            match timeout_at(margin, self.store.commit(Batch::new().job(extend))).await {
                Ok(Ok(Verdict::Done(_))) => until = asked + self.options.lease,
                Ok(Ok(Verdict::Refused(_))) | Err(_) => return,
                Ok(Err(error)) => {
                    tracing::warn!(job = %self.job.id, "the lease of a run is not extended: {error}");
                    if timeout_at(margin, sleep(self.options.lease / 20)).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    pub(super) async fn is_to_end(&self, task: Option<&str>) -> bool {
        let Some(id) = task else { return false };
        // In doubt it goes on: the wish is looked for again.
        self.store.cell(CANCEL, id).await.is_ok_and(|cell| cell.is_some())
    }

    /// Waits until somebody wants the end of the task.
    pub(super) async fn wish(&self, task: Option<&str>) {
        let mut changes = self.store.changes();
        while !self.is_to_end(task).await {
            let look = Instant::now() + LOOK;
            loop {
                match timeout_at(look, changes.next()).await {
                    Ok(Some(Change::Cell { space, key })) if &*space == CANCEL && Some(&*key) == task => {
                        break;
                    }
                    Ok(Some(Change::Unknown)) | Err(_) => break,
                    Ok(Some(_)) => {}
                    Ok(None) => {
                        sleep_until(look).await;
                        break;
                    }
                }
            }
        }
    }

    /// Writes how far the run is, whenever that is something new. A courtesy: what fails is left out.
    pub(super) async fn tell(&self, task: Option<&str>, reports: &Reports) {
        loop {
            reports.changed.notified().await;
            let message = reports.latest.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let (Some(id), Some(message)) = (task, message)
                && let Ok(Some(cell)) = self.store.cell(TASK, id).await
                && let Ok(mut kept) = Kept::of_cell(&cell)
                && kept.message.as_deref() != Some(&message)
            {
                kept.message = Some(message);
                kept.updated = self.store.now();
                let batch = Batch::new().held(self.lease).set(
                    TASK,
                    id,
                    CellExpected::Version(cell.version),
                    kept.cell(),
                );
                if let Err(error) = self.store.commit(batch).await {
                    tracing::debug!(%error, "how far a run is was not written");
                }
                sleep(TELL).await;
            }
        }
    }
}

/// The latest word of a run on how far it is.
#[derive(Default)]
pub(super) struct Reports {
    latest: Mutex<Option<String>>,
    changed: Notify,
}

impl ProgressSink for Reports {
    fn report(&self, progress: Progress) {
        let Some(message) = progress.message else { return };
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
        self.changed.notify_one();
    }
}

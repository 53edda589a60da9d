//! What the writer is asked, and what it answers.

use renkei_core::{
    Error, Result,
    store::{Batch, Claim, Claims, JobState, Pruned, Retention, Verdict},
};
use tokio::sync::oneshot;

use super::load::Wants;

/// What the writer is asked.
#[derive(Debug)]
pub(super) enum Ask {
    Commit { batch: Batch, answer: oneshot::Sender<Result<Verdict>> },
    Claim { claim: Claim, answer: oneshot::Sender<Result<Claims>> },
    Purge { queue: String, states: Vec<JobState>, limit: usize, answer: oneshot::Sender<Result<u64>> },
    Prune { rules: Retention, answer: oneshot::Sender<Result<Pruned>> },
}

impl Ask {
    /// Roughly what it writes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Ask::Commit { batch, .. } => {
                let events = batch.appends.iter().flat_map(|append| &append.events);
                events.map(|event| event.data.bytes.len() + event.meta.len()).sum::<usize>()
                    + batch
                        .enqueues
                        .iter()
                        .map(|job| job.payload.bytes.len() + job.headers.len())
                        .sum::<usize>()
                    + batch
                        .cells
                        .iter()
                        .flat_map(|cell| &cell.value)
                        .map(|cell| cell.value.bytes.len())
                        .sum::<usize>()
            }
            _ => 0,
        }
    }

    /// How many single things it names; nothing of what is neither a commit nor a claim.
    pub(super) fn items(&self) -> Option<usize> {
        match self {
            Ask::Commit { batch, .. } => Some(batch.items()),
            Ask::Claim { .. } => Some(0),
            Ask::Purge { .. } | Ask::Prune { .. } => None,
        }
    }

    /// Whoever asked is gone.
    pub(super) fn is_abandoned(&self) -> bool {
        match self {
            Ask::Commit { answer, .. } => answer.is_closed(),
            Ask::Claim { answer, .. } => answer.is_closed(),
            Ask::Purge { answer, .. } => answer.is_closed(),
            Ask::Prune { answer, .. } => answer.is_closed(),
        }
    }

    pub(super) fn fail(self, error: Error) {
        // Whoever asked may be gone.
        match self {
            Ask::Commit { answer, .. } => drop(answer.send(Err(error))),
            Ask::Claim { answer, .. } => drop(answer.send(Err(error))),
            Ask::Purge { answer, .. } => drop(answer.send(Err(error))),
            Ask::Prune { answer, .. } => drop(answer.send(Err(error))),
        }
    }

    pub(super) fn answer(self, done: Done) {
        match (self, done) {
            (Ask::Commit { answer, .. }, Done::Verdict(verdict)) => drop(answer.send(Ok(verdict))),
            (Ask::Claim { answer, .. }, Done::Claims(claims)) => drop(answer.send(Ok(claims))),
            (Ask::Purge { answer, .. }, Done::Purged(purged)) => drop(answer.send(Ok(purged))),
            (Ask::Prune { answer, .. }, Done::Pruned(pruned)) => drop(answer.send(Ok(pruned))),
            (ask, done) => {
                let error = Error::internal("write to the store: the answers are in disorder");
                ask.fail(error.detail(format!("{done:?}")));
            }
        }
    }
}

/// What became of one thing that was asked.
#[derive(Debug)]
pub(super) enum Done {
    Verdict(Verdict),
    Claims(Claims),
    Purged(u64),
    Pruned(Pruned),
}

/// Those that can be decided together, and those that must know first what becomes of one of them.
pub(super) fn apart(group: Vec<Ask>) -> (Vec<Ask>, Vec<Ask>) {
    let fits: Vec<bool> = {
        let mut wants = Wants::default();
        group.iter().map(|ask| !matches!(ask, Ask::Commit { batch, .. } if !wants.add(batch))).collect()
    };
    let (mut now, mut later) = (Vec::with_capacity(group.len()), Vec::new());
    for (ask, fits) in group.into_iter().zip(fits) {
        if fits { now.push(ask) } else { later.push(ask) }
    }
    (now, later)
}

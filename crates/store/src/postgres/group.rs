//! One transaction for all that waited: what it reads, decides and writes, and in which order.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use renkei_core::{
    clock::{Clock, Timestamp},
    store::{Change, Position},
};
use uuid::Uuid;

use super::{
    ask::{Ask, Done},
    claim::{self, Due},
    decide::{Writes, decide},
    error::Trouble,
    listen,
    load::{Wants, begin},
    maintain,
    session::Link,
    target::Target,
    write::{Seal, write},
};
use crate::measure::Measures;

/// A group that ran: its answers, if it is known to be durable.
#[derive(Debug, Default)]
pub(super) struct Ran {
    pub(super) done: Vec<Done>,
    pub(super) hints: Vec<Change>,
}

/// What groups of a node have in common.
#[derive(Debug)]
pub(super) struct Groups {
    pub(super) target: Arc<Target>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) node: Uuid,
    pub(super) measures: Measures,
    /// Shared with the listener, which forgets it when another node has written.
    pub(super) due: Arc<Mutex<Due>>,
}

impl Groups {
    /// Runs a group under its number. `sealed` has its answers before the server is asked to commit.
    pub(super) async fn run(
        &self,
        link: &mut Link,
        group: &[Ask],
        number: i64,
        sealed: &mut Option<Ran>,
    ) -> Result<Ran, Trouble> {
        let now = self.clock.now();
        let mut wants = Wants::default();
        for ask in group {
            if let Ask::Commit { batch, .. } = ask {
                wants.add(batch);
            }
        }
        let mut loaded = begin(link, self.target.lock(), &wants, now).await?;
        let mut writes = Writes::default();
        let mut done: Vec<Option<Done>> = Vec::with_capacity(group.len());
        for ask in group {
            done.push(match ask {
                Ask::Commit { batch, .. } => {
                    Some(Done::Verdict(decide(batch, &mut loaded, &mut writes, now)))
                }
                _ => None,
            });
        }
        let mut hints = hints(&writes, loaded.position);
        let mut wrote = !writes.is_empty();
        if done.iter().any(Option::is_none) {
            // What is no commit has to see the commits.
            hints.extend(
                write(link, &writes, now, None)
                    .await?
                    .iter()
                    .map(|queue| Change::Queue(queue.as_str().into())),
            );
            self.note_due(&std::mem::take(&mut writes));
            for (ask, done) in group.iter().zip(&mut done) {
                if done.is_none() {
                    let (answer, changed) = self.other(link, ask, now).await?;
                    *done = Some(answer);
                    wrote |= changed;
                }
            }
        }
        let ran = Ran { done: done.into_iter().flatten().collect(), hints };
        if !wrote {
            rollback(link).await?;
            return Ok(ran);
        }
        let hint = listen::hint(self.node, &self.target.schema, &ran.hints);
        let seal = Seal { node: self.node, number, hint: hint.as_deref() };
        *sealed = Some(ran);
        let began = Instant::now();
        write(link, &writes, now, Some(seal)).await?;
        self.measures.group(began, group.iter().filter_map(Ask::items));
        self.note_due(&writes);
        sealed.take().ok_or_else(|| Trouble::Corrupt("the answers of a group are missing".into()))
    }

    /// Does what is no commit, after all commits of the group.
    async fn other(&self, link: &mut Link, ask: &Ask, now: Timestamp) -> Result<(Done, bool), Trouble> {
        match ask {
            Ask::Commit { .. } => Err(Trouble::Corrupt("a commit was decided twice".into())),
            Ask::Claim { claim, .. } => {
                let mut due = std::mem::take(&mut *self.due.lock().unwrap_or_else(PoisonError::into_inner));
                let claimed = claim::claim(link, &mut due, claim, now).await?;
                *self.due.lock().unwrap_or_else(PoisonError::into_inner) = due;
                Ok((Done::Claims(claimed.claims), claimed.wrote))
            }
            Ask::Purge { queue, states, limit, .. } => {
                let purged = maintain::purge(link, queue, states, *limit, now).await?;
                Ok((Done::Purged(purged), purged > 0))
            }
            Ask::Prune { rules, .. } => {
                let pruned = maintain::prune(link, rules, now).await?;
                Ok((Done::Pruned(pruned), pruned.cells + pruned.jobs + pruned.events > 0))
            }
        }
    }

    fn note_due(&self, writes: &Writes<'_>) {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).note(writes);
    }

    pub(super) fn forget_due(&self) {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).forget();
    }
}

fn hints(writes: &Writes<'_>, position: u64) -> Vec<Change> {
    let queues = writes.counts.keys().map(|queue| Change::Queue(queue.as_str().into()));
    let set = writes.cells.iter().map(|cell| (cell.space, cell.key));
    let cells = set.chain(writes.gone_cells.iter().copied());
    let cells = cells.map(|(space, key)| Change::Cell { space: space.into(), key: key.into() });
    let log = (!writes.events.is_empty()).then(|| Change::Log(Position::from_number(position)));
    queues.chain(cells).chain(log).collect()
}

pub(super) async fn rollback(link: &mut Link) -> Result<(), Trouble> {
    Ok(link.session.client.batch_execute("rollback").await?)
}

//! The one writer of a node: takes all that waits, and does it as one transaction.
//!
//! Groups of all nodes follow each other: each holds one advisory lock from its first statement to the end of its
//! transaction. So what a group reads stays true until it has committed, positions of the log are dense and in the order
//! of the commits, and nothing depends on what transactions of others in the cluster do. A node that stalls in the middle of a
//! group is thrown out by the server.
//!
//! When the connection is lost before the answer to a commit, the next connection takes the lock – then the lost transaction
//! has ended, either way – and looks for the mark that each group leaves.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use renkei_core::{
    Applied, Error, Result,
    clock::{Clock, Timestamp},
    store::{Batch, Change, ChangeFeed, Claim, Claims, JobState, Position, Pruned, Retention, Verdict},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::{
    claim::{self, Due},
    decide::{Writes, decide},
    error::Trouble,
    listen,
    load::{Wants, begin},
    maintain, schema,
    session::Link,
    target::Target,
    write::{Seal, ask, write},
};

/// What waits for the writer; more callers wait until there is room.
pub(super) const WAITING: usize = 1024;
/// Batches and claims of one group.
const GROUP: usize = 512;
/// Roughly how many bytes a group writes.
const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// How long a group may take in all, with its waiting for other nodes.
const GROUP_TIME: Duration = Duration::from_secs(45);
/// How long the writer tries to reach the server before it tells callers that it cannot. A failover fits in.
const RECONNECT: Duration = Duration::from_secs(10);
/// The pause between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(200);
/// After so many groups, what they left behind is cleared away.
const SWEEP_EVERY: i64 = 256;

/// What the writer is asked.
#[derive(Debug)]
pub(super) enum Ask {
    Commit { batch: Batch, answer: oneshot::Sender<Result<Verdict>> },
    Claim { claim: Claim, answer: oneshot::Sender<Result<Claims>> },
    Purge { queue: String, states: Vec<JobState>, limit: usize, answer: oneshot::Sender<Result<u64>> },
    Prune { rules: Retention, answer: oneshot::Sender<Result<Pruned>> },
}

impl Ask {
    fn bytes(&self) -> usize {
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

    fn is_abandoned(&self) -> bool {
        match self {
            Ask::Commit { answer, .. } => answer.is_closed(),
            Ask::Claim { answer, .. } => answer.is_closed(),
            Ask::Purge { answer, .. } => answer.is_closed(),
            Ask::Prune { answer, .. } => answer.is_closed(),
        }
    }

    fn fail(self, error: Error) {
        // Whoever asked may be gone.
        match self {
            Ask::Commit { answer, .. } => drop(answer.send(Err(error))),
            Ask::Claim { answer, .. } => drop(answer.send(Err(error))),
            Ask::Purge { answer, .. } => drop(answer.send(Err(error))),
            Ask::Prune { answer, .. } => drop(answer.send(Err(error))),
        }
    }
}

/// What became of one thing that was asked.
#[derive(Debug)]
enum Done {
    Verdict(Verdict),
    Claims(Claims),
    Purged(u64),
    Pruned(Pruned),
}

/// The writer's own things.
pub(super) struct Writer {
    pub(super) target: Arc<Target>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) feed: ChangeFeed,
    pub(super) node: Uuid,
    pub(super) asks: mpsc::Receiver<Ask>,
    link: Option<Link>,
    waiting: VecDeque<Ask>,
    number: i64,
    /// Shared with the listener, which forgets it when another node has written.
    due: Arc<Mutex<Due>>,
}

/// A group that ran: its answers, if it is known to be durable.
struct Ran {
    done: Vec<Done>,
    hints: Vec<Change>,
}

impl Writer {
    pub(super) fn new(
        target: Arc<Target>,
        clock: Arc<dyn Clock>,
        feed: ChangeFeed,
        node: Uuid,
        asks: mpsc::Receiver<Ask>,
        due: Arc<Mutex<Due>>,
    ) -> Self {
        Writer { target, clock, feed, node, asks, link: None, waiting: VecDeque::new(), number: 0, due }
    }

    /// Works until nobody can ask any more, and all that was asked is answered.
    pub(super) async fn run(mut self) {
        while let Some(group) = self.next_group().await {
            self.serve(group).await;
        }
    }

    /// What waits, up to the size of a group; nothing when nobody can ask any more.
    async fn next_group(&mut self) -> Option<Vec<Ask>> {
        if self.waiting.is_empty() {
            let ask = self.asks.recv().await?;
            self.waiting.push_back(ask);
        }
        while self.waiting.len() < GROUP {
            match self.asks.try_recv() {
                Ok(ask) => self.waiting.push_back(ask),
                Err(_) => break,
            }
        }
        let (mut group, mut bytes) = (Vec::new(), 0);
        while let Some(ask) = self.waiting.pop_front() {
            if ask.is_abandoned() {
                continue;
            }
            bytes += ask.bytes();
            if !group.is_empty() && (bytes > GROUP_BYTES || group.len() >= GROUP) {
                self.waiting.push_front(ask);
                break;
            }
            group.push(ask);
        }
        Some(group)
    }

    /// Runs a group until it is answered.
    async fn serve(&mut self, group: Vec<Ask>) {
        let (group, later) = apart(group);
        for ask in later.into_iter().rev() {
            self.waiting.push_front(ask);
        }
        let give_up = Instant::now() + RECONNECT;
        let mut doubtful: Option<Ran> = None;
        loop {
            let trouble = match self.attempt(&group, &mut doubtful).await {
                Ok(ran) => return self.answer(group, ran),
                Err(trouble) => trouble,
            };
            if trouble.is_of_statement() && group.len() > 1 {
                // One of them is at fault: each by itself, so that the others go on.
                for ask in group.into_iter().rev() {
                    self.waiting.push_front(ask);
                }
                return self.one_by_one().await;
            }
            if !trouble.ends_connection() || Instant::now() >= give_up {
                let applied = if doubtful.is_some() { Applied::Unknown } else { Applied::No };
                let error = trouble.into_error("write to the store", applied);
                tracing::warn!(detail = error.detail_text(), "{error}");
                group.into_iter().for_each(|ask| ask.fail(error.clone()));
                return;
            }
            sleep(PAUSE).await;
        }
    }

    async fn one_by_one(&mut self) {
        let group: Vec<Ask> = self.waiting.drain(..).collect();
        for ask in group {
            let mut doubtful = None;
            match self.attempt(std::slice::from_ref(&ask), &mut doubtful).await {
                Ok(ran) => self.answer(vec![ask], ran),
                Err(trouble) => {
                    let applied = if doubtful.is_some() { Applied::Unknown } else { Applied::No };
                    let error = trouble.into_error("write to the store", applied);
                    tracing::warn!(detail = error.detail_text(), "{error}");
                    ask.fail(error);
                }
            }
        }
    }

    /// One attempt. With `doubtful`, an earlier one may have been committed: that is looked for first.
    async fn attempt(&mut self, group: &[Ask], doubtful: &mut Option<Ran>) -> Result<Ran, Trouble> {
        let mut link = match self.link.take() {
            Some(link) if !link.session.client.is_closed() => link,
            _ => {
                self.forget_due();
                Link::open(&self.target).await?
            }
        };
        if doubtful.is_some() {
            match timeout(GROUP_TIME, self.is_in(&mut link)).await {
                Ok(Ok(true)) => {
                    self.link = Some(link);
                    return Ok(doubtful.take().unwrap_or(Ran { done: Vec::new(), hints: Vec::new() }));
                }
                Ok(Ok(false)) => *doubtful = None,
                Ok(Err(trouble)) => return Err(trouble),
                Err(_) => return Err(Trouble::Slow("did not answer in time")),
            }
        }
        self.number += 1;
        // From when on it may be committed.
        let mut sealed = None;
        let trouble = match timeout(GROUP_TIME, self.group(&mut link, group, &mut sealed)).await {
            Ok(Ok(ran)) => {
                let swept = match self.number % SWEEP_EVERY {
                    0 => maintain::sweep(&mut link, self.clock.now()).await,
                    _ => Ok(()),
                };
                match swept {
                    Ok(()) => self.link = Some(link),
                    Err(trouble) => {
                        tracing::debug!(?trouble, "what groups leave behind is cleared away later")
                    }
                }
                return Ok(ran);
            }
            Ok(Err(trouble)) => trouble,
            Err(_) => Trouble::Slow("did not answer in time"),
        };
        self.forget_due();
        if trouble.ends_connection() {
            *doubtful = sealed;
        } else {
            let back = timeout(GROUP_TIME, rollback(&mut link)).await;
            self.link = back.is_ok_and(|done| done.is_ok()).then_some(link);
        }
        Err(trouble)
    }

    /// Whether the last group is committed. Waits until it cannot be any more otherwise.
    async fn is_in(&self, link: &mut Link) -> Result<bool, Trouble> {
        link.session.client.batch_execute("begin").await?;
        ask(link, "select pg_advisory_xact_lock($1)", &[&self.target.lock()]).await?;
        let found =
            ask(link, "select 1 from groups where node = $1 and number = $2", &[&self.node, &self.number])
                .await?;
        link.session.client.batch_execute("rollback").await?;
        Ok(!found.is_empty())
    }

    /// Runs a group. `sealed` has its answers before the server is asked to commit.
    async fn group(&self, link: &mut Link, group: &[Ask], sealed: &mut Option<Ran>) -> Result<Ran, Trouble> {
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
        let seal = Seal { node: self.node, number: self.number, hint: hint.as_deref() };
        *sealed = Some(ran);
        write(link, &writes, now, Some(seal)).await?;
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

    fn forget_due(&self) {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).forget();
    }

    fn answer(&self, group: Vec<Ask>, ran: Ran) {
        for change in ran.hints {
            self.feed.tell(change);
        }
        for (ask, done) in group.into_iter().zip(ran.done) {
            match (ask, done) {
                (Ask::Commit { answer, .. }, Done::Verdict(verdict)) => drop(answer.send(Ok(verdict))),
                (Ask::Claim { answer, .. }, Done::Claims(claims)) => drop(answer.send(Ok(claims))),
                (Ask::Purge { answer, .. }, Done::Purged(purged)) => drop(answer.send(Ok(purged))),
                (Ask::Prune { answer, .. }, Done::Pruned(pruned)) => drop(answer.send(Ok(pruned))),
                (ask, done) => {
                    ask.fail(
                        Error::internal("write to the store: the answers are in disorder")
                            .detail(format!("{done:?}")),
                    );
                }
            }
        }
    }
}

/// Those that can be decided together, and those that must know first what becomes of one of them.
fn apart(group: Vec<Ask>) -> (Vec<Ask>, Vec<Ask>) {
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

fn hints(writes: &Writes<'_>, position: u64) -> Vec<Change> {
    let queues = writes.counts.keys().map(|queue| Change::Queue(queue.as_str().into()));
    let set = writes.cells.iter().map(|cell| (cell.space, cell.key));
    let cells = set.chain(writes.gone_cells.iter().copied());
    let cells = cells.map(|(space, key)| Change::Cell { space: space.into(), key: key.into() });
    let log = (!writes.events.is_empty()).then(|| Change::Log(Position::from_number(position)));
    queues.chain(cells).chain(log).collect()
}

async fn rollback(link: &mut Link) -> Result<(), Trouble> {
    Ok(link.session.client.batch_execute("rollback").await?)
}

/// Opens the first connection, and brings the tables to this program's version. Without `create`, they must be there.
pub(super) async fn prepare(target: &Target, create: bool) -> Result<(), Trouble> {
    let session = target.open(|_| ()).await?;
    if !create && schema::version(&session.client, &target.schema).await?.is_none() {
        return Err(Trouble::Absent);
    }
    schema::migrate(&session.client, &target.schema).await
}

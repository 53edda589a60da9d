//! The one writer of a node: takes all that waits, and does it as one transaction.
//!
//! Groups of all nodes follow each other: each holds one advisory lock from its first statement to the end of its
//! transaction. So what a group reads stays true until it has committed, positions of the log are dense and in the order
//! of the commits, and nothing depends on what transactions of others in the cluster do. A node that stalls in the middle of a
//! group is thrown out by the server.
//!
//! When the connection is lost before the answer to a commit, the next connection takes the lock – then the lost transaction
//! has ended, either way – and looks for the mark that each group leaves.

use std::{collections::VecDeque, time::Duration};

use renkei_core::{Applied, Result, store::ChangeFeed};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::{
    ask::{Ask, apart},
    error::Trouble,
    group::{Groups, Ran, rollback},
    maintain,
    session::Link,
    write::ask,
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

/// The writer's own things.
#[derive(Debug)]
pub(super) struct Writer {
    groups: Groups,
    feed: ChangeFeed,
    asks: mpsc::Receiver<Ask>,
    link: Option<Link>,
    waiting: VecDeque<Ask>,
    /// Of the last group.
    number: i64,
}

impl Writer {
    pub(super) fn new(groups: Groups, feed: ChangeFeed, asks: mpsc::Receiver<Ask>) -> Self {
        Writer { groups, feed, asks, link: None, waiting: VecDeque::new(), number: 0 }
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
                self.groups.forget_due();
                Link::open(&self.groups.target).await?
            }
        };
        if doubtful.is_some() {
            match timeout(GROUP_TIME, self.is_in(&mut link)).await {
                Ok(Ok(true)) => {
                    self.link = Some(link);
                    return Ok(doubtful.take().unwrap_or_default());
                }
                Ok(Ok(false)) => *doubtful = None,
                Ok(Err(trouble)) => return Err(trouble),
                Err(_) => return Err(Trouble::Slow("did not answer in time")),
            }
        }
        self.number += 1;
        // From when on it may be committed.
        let mut sealed = None;
        let trouble =
            match timeout(GROUP_TIME, self.groups.run(&mut link, group, self.number, &mut sealed)).await {
                Ok(Ok(ran)) => {
                    let swept = match self.number % SWEEP_EVERY {
                        0 => maintain::sweep(&mut link, self.groups.clock.now()).await,
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
        self.groups.forget_due();
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
        ask(link, "select pg_advisory_xact_lock($1)", &[&self.groups.target.lock()]).await?;
        let found = ask(
            link,
            "select 1 from groups where node = $1 and number = $2",
            &[&self.groups.node, &self.number],
        )
        .await?;
        link.session.client.batch_execute("rollback").await?;
        Ok(!found.is_empty())
    }

    fn answer(&self, group: Vec<Ask>, ran: Ran) {
        for change in ran.hints {
            self.feed.tell(change);
        }
        for (ask, done) in group.into_iter().zip(ran.done) {
            ask.answer(done);
        }
    }
}

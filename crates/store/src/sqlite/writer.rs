//! The one thread that writes: takes what waits as a group, does it in one transaction, answers after the `COMMIT`.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Instant,
};

use renkei_core::{
    Error, Result,
    clock::Timestamp,
    store::{Batch, Change, ChangeFeed, Claim, Claims, Position, Verdict},
};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    error::{Doing, Trouble, breaks},
    group::{Group, Hints},
    open::{self, Options},
    rows::unsigned,
};
use crate::measure::Measures;

/// Batches and claims in one transaction.
const GROUP: usize = 1_000;

/// Something for the writer, and its share of what may wait.
pub(super) struct Task {
    pub(super) work: Work,
    pub(super) room: OwnedSemaphorePermit,
}

pub(super) enum Work {
    Commit(Batch, oneshot::Sender<Result<Verdict>>),
    Claim(Claim, oneshot::Sender<Result<Claims>>),
    /// Alone, outside of any transaction. Nothing stands for a connection that could not be opened; the work answers by itself.
    Upkeep(Box<dyn FnOnce(&mut Connection) + Send>, oneshot::Sender<Error>),
}

impl Work {
    fn is_abandoned(&self) -> bool {
        match self {
            Work::Commit(_, answer) => answer.is_closed(),
            Work::Claim(_, answer) => answer.is_closed(),
            Work::Upkeep(_, answer) => answer.is_closed(),
        }
    }

    fn items(&self) -> usize {
        match self {
            Work::Commit(batch, _) => batch.items(),
            Work::Claim(..) | Work::Upkeep(..) => 0,
        }
    }

    fn fail(self, error: Error) {
        // Whoever asked may be gone; then nobody needs the answer.
        let _ = match self {
            Work::Commit(_, answer) => answer.send(Err(error)).is_ok(),
            Work::Claim(_, answer) => answer.send(Err(error)).is_ok(),
            Work::Upkeep(_, answer) => answer.send(error).is_ok(),
        };
    }
}

/// What became of one work of a group.
enum Answer {
    Commit(Verdict),
    Claim(Claims),
}

pub(super) struct Writer {
    pub(super) options: Arc<Options>,
    pub(super) feed: ChangeFeed,
    pub(super) tasks: Receiver<Task>,
    pub(super) measures: Measures,
    /// None after a failure that puts it in doubt; opened anew by the next task.
    pub(super) connection: Option<Connection>,
    pub(super) seen: i64,
    pub(super) looked: Instant,
}

impl Writer {
    /// Until the last sender is gone.
    pub(super) fn run(mut self) {
        loop {
            match self.tasks.recv_timeout(self.options.poll) {
                Ok(task) => self.tasks(task),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.look_around();
        }
    }

    fn tasks(&mut self, first: Task) {
        let (mut group, mut after) = (Vec::new(), None);
        for task in std::iter::once(first).chain(self.tasks.try_iter()) {
            if matches!(task.work, Work::Upkeep(..)) {
                after = Some(task);
                break;
            }
            group.push(task);
            if group.len() == GROUP {
                break;
            }
        }
        // Nobody would know of the leases, and whoever gave up a commit does not count on it.
        group.retain(|task| !task.work.is_abandoned());
        if !group.is_empty() {
            self.group(group);
        }
        if let Some(Task { work: Work::Upkeep(work, answer), room: _room }) = after {
            match self.connection() {
                Ok(connection) => {
                    if catch_unwind(AssertUnwindSafe(|| work(connection))).is_err() {
                        self.connection = None;
                    }
                }
                Err(error) => Work::Upkeep(work, answer).fail(error),
            }
        }
    }

    fn group(&mut self, group: Vec<Task>) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.transaction(&group)));
        match outcome {
            Ok(Ok((answers, hints))) => {
                self.tell(hints);
                for (task, answer) in group.into_iter().zip(answers) {
                    answer.send(task.work);
                }
            }
            // One of them may be what failed, such as one that is too large for the disk. The others must not suffer.
            Ok(Err(Failed { again: true, .. })) if group.len() > 1 => {
                for task in group {
                    self.group(vec![task]);
                }
            }
            Ok(Err(Failed { error, .. })) => {
                group.into_iter().for_each(|task| task.work.fail(error.clone()));
            }
            Err(_) => {
                // The connection goes, and takes its transaction with it.
                self.connection = None;
                let path = self.options.path.display();
                let error = Error::internal(format!("write to the store `{path}`: it failed unexpectedly"))
                    .applied(renkei_core::Applied::Unknown);
                group.into_iter().for_each(|task| task.work.fail(error.clone()));
            }
        }
    }

    fn transaction(&mut self, group: &[Task]) -> Result<(Vec<Answer>, Hints), Failed> {
        let (options, measures) = (self.options.clone(), self.measures.clone());
        let now = options.clock.now();
        let connection = self.connection().map_err(|error| Failed { error, again: false })?;
        let mut doing = Doing::Write;
        let done = grouped(connection, group, now, &mut doing, &measures);
        let why = match done {
            Ok(done) => return Ok(done),
            Err(why) => why,
        };
        // SQLite has rolled back by itself after the worst failures.
        let ended = connection.is_autocommit() || connection.execute_batch("rollback").is_ok();
        if breaks(&why) || !ended {
            self.connection = None;
        }
        let error = Trouble { path: &options.path, doing }.error(&why);
        Err(Failed { error, again: doing == Doing::Write })
    }

    fn connection(&mut self) -> Result<&mut Connection> {
        if self.connection.is_none() {
            self.connection = Some(open::writer(&self.options, false)?);
        }
        let connection = self.connection.as_mut();
        connection.ok_or_else(|| Error::internal("write to the store: it is not open"))
    }

    fn tell(&self, hints: Hints) {
        if let Some(position) = hints.log {
            self.feed.tell(Change::Log(Position::from_number(unsigned(position))));
        }
        for queue in hints.queues {
            self.feed.tell(Change::Queue(queue.into()));
        }
        for (space, key) in hints.cells {
            self.feed.tell(Change::Cell { space: space.into(), key: key.into() });
        }
    }

    /// Now and then: has another process written?
    fn look_around(&mut self) {
        if self.looked.elapsed() < self.options.poll {
            return;
        }
        self.looked = Instant::now();
        let Some(connection) = &self.connection else { return };
        let version = connection.query_row("pragma data_version", [], |row| row.get::<_, i64>(0));
        if let Ok(version) = version
            && version != self.seen
        {
            self.seen = version;
            self.feed.tell(Change::Unknown);
        }
    }
}

fn grouped(
    connection: &Connection,
    group: &[Task],
    now: Timestamp,
    doing: &mut Doing,
    measures: &Measures,
) -> rusqlite::Result<(Vec<Answer>, Hints)> {
    connection.prepare_cached("begin immediate")?.execute([])?;
    let before = connection.total_changes();
    let mut context = Group::begin(connection, now)?;
    let answers = group.iter().map(|task| context.work(&task.work)).collect::<rusqlite::Result<_>>()?;
    let hints = context.end()?;
    *doing = Doing::Commit;
    let began = Instant::now();
    connection.prepare_cached("commit")?.execute([])?;
    // Claims that found nothing have no sync.
    if connection.total_changes() != before {
        measures.group(began, group.iter().map(|task| task.work.items()));
    }
    Ok((answers, hints))
}

struct Failed {
    error: Error,
    /// Nothing was written, and each alone may succeed.
    again: bool,
}

impl Answer {
    fn send(self, work: Work) {
        let _ = match (work, self) {
            (Work::Commit(_, answer), Answer::Commit(verdict)) => answer.send(Ok(verdict)).is_ok(),
            (Work::Claim(_, answer), Answer::Claim(claims)) => answer.send(Ok(claims)).is_ok(),
            _ => unreachable!("answers are made in the order of the works, each by its own"),
        };
    }
}

impl Group<'_> {
    fn work(&mut self, work: &Work) -> rusqlite::Result<Answer> {
        match work {
            Work::Commit(batch, _) => Ok(Answer::Commit(self.commit(batch)?)),
            Work::Claim(claim, _) => Ok(Answer::Claim(self.claim(claim)?)),
            Work::Upkeep(..) => unreachable!("upkeep is never in a group"),
        }
    }
}

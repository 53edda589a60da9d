//! Runs the statements of one call on one connection.
//!
//! What may change something runs between `begin` and `commit`, also a single statement: until the commit
//! nothing has happened, so a failure is "not applied". What reads runs between `begin read only` and `commit`,
//! and a single reading statement goes out with both in one piece, so that it takes one round trip.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use futures_util::{
    TryStreamExt as _,
    future::{join, join3},
};
use renkei_core::{CallContext, Kind, Map, Reply, Value};

use super::{
    bind::{self, Bound},
    error::{Failure, Phase, Place},
    pool::Pool,
    rows::{Columns, Unread},
    session::{Link, Prepared},
};
use crate::sql::{Budget, Cut, Done, Plan, Rendered, Step, Verb, one, together};

/// So many rows beyond the last that is given are thrown away quietly; of more, the server is told to stop.
const THROWN_AWAY: usize = 10_000;

/// What one call asks for.
pub(super) struct Job<'a> {
    pub(super) plan: &'a Plan,
    pub(super) rendered: &'a [Rendered],
    /// Whether it may change something.
    pub(super) writes: bool,
    /// How long one statement may run.
    pub(super) limit: Duration,
    /// Whether `limit` is what is left of the call.
    pub(super) hurried: bool,
    pub(super) cx: &'a CallContext,
    /// How far it came, for whoever ends it from outside.
    pub(super) phase: AtomicU8,
    /// The connection is not to be used again, whatever came of the call.
    pub(super) spoilt: AtomicBool,
}

impl Phase {
    /// From [`Job::phase`].
    pub(super) fn of(number: u8) -> Phase {
        let phases = [Phase::Connect, Phase::Begin, Phase::Prepare, Phase::Run];
        phases.into_iter().find(|phase| *phase as u8 == number).unwrap_or(Phase::Commit)
    }
}

pub(super) async fn run(
    link: &mut Link,
    pool: &Pool,
    place: Place<'_>,
    job: &Job<'_>,
) -> Result<Reply, Failure> {
    let runner = Runner { pool, place, job };
    if !job.writes
        && !job.plan.transaction
        && let ([step], [rendered]) = (&job.plan.statements[..], job.rendered)
    {
        return runner.read(link, step, rendered).await.map(Reply::from);
    }
    let result = runner.transaction(link).await;
    match result {
        Ok(reply) => Ok(reply),
        Err(failure) if failure.broken => Err(failure),
        Err(failure) => match link.client.batch_execute("rollback").await {
            Ok(()) => Err(failure),
            // Closing the connection rolls back, too.
            Err(_) => Err(failure.broken()),
        },
    }
}

struct Runner<'a> {
    pool: &'a Pool,
    place: Place<'a>,
    job: &'a Job<'a>,
}

impl<'a> Runner<'a> {
    fn enter(&self, phase: Phase) {
        self.job.phase.store(phase as u8, Ordering::Release);
    }

    fn at(&self, step: &'a Step) -> Place<'a> {
        Place { statement: Some(&step.statement), ..self.place }
    }

    fn error(&self, kind: Kind, what: &str) -> Failure {
        Failure::plain(self.place.error(Phase::Run, kind, what))
    }

    fn begin(&self) -> String {
        let only = if self.job.writes { "" } else { " read only" };
        format!("begin{only}; set local statement_timeout = {}", self.job.limit.as_millis())
    }

    /// One reading statement.
    async fn read(&self, link: &mut Link, step: &'a Step, rendered: &Rendered) -> Result<Done, Failure> {
        let begin = self.begin();
        if let Some(prepared) = link.statements.get(&rendered.text) {
            let bound = match self.bind(step, &prepared, rendered) {
                Ok(bound) => bound,
                Err(failure) => {
                    // What the server expects may have changed since it was asked.
                    link.statements.forget(&rendered.text);
                    return Err(failure);
                }
            };
            self.job.cx.attempt.mark_sent();
            let client = &link.client;
            // The parts go out in this order, before any of them is answered.
            let (begun, done, ended) = join3(
                client.batch_execute(&begin),
                self.rows(link, step, &prepared, &bound, rendered),
                client.batch_execute("commit"),
            )
            .await;
            self.outcome(begun, done, ended).inspect_err(|_| link.statements.forget(&rendered.text))
        } else {
            self.job.cx.attempt.mark_sent();
            let client = &link.client;
            let (begun, prepared) = join(client.batch_execute(&begin), self.ask(link, step, rendered)).await;
            let done = match (&begun, prepared) {
                (Ok(()), Ok(prepared)) => {
                    link.statements.keep(&rendered.text, prepared.clone());
                    match self.bind(step, &prepared, rendered) {
                        Ok(bound) => self.rows(link, step, &prepared, &bound, rendered).await,
                        Err(failure) => Err(failure),
                    }
                }
                (_, Err(failure)) => Err(failure),
                (Err(_), Ok(_)) => Err(self.error(Kind::Internal, "the transaction did not begin")),
            };
            // Ends it after a failure, too.
            let ended = link.client.batch_execute("commit").await;
            self.outcome(begun, done, ended)
        }
    }

    /// The first failure of a reading statement and what goes out with it.
    fn outcome(
        &self,
        begun: Result<(), tokio_postgres::Error>,
        done: Result<Done, Failure>,
        ended: Result<(), tokio_postgres::Error>,
    ) -> Result<Done, Failure> {
        if let Err(why) = begun {
            // The statement may have run outside of any transaction; the connection is not trusted any more.
            return Err(self.place.failure(Phase::Begin, &why).broken());
        }
        if ended.is_err() {
            // What was read is as good as ever.
            self.job.spoilt.store(true, Ordering::Release);
        }
        done
    }

    async fn transaction(&self, link: &mut Link) -> Result<Reply, Failure> {
        let fail = |phase, why: &tokio_postgres::Error| self.place.failure(phase, why);
        link.client.batch_execute(&self.begin()).await.map_err(|why| fail(Phase::Begin, &why).broken())?;
        // Only now: the server answered, so a connection that had died meanwhile is found before it.
        self.job.cx.attempt.mark_sent();
        let plan = self.job.plan;
        let mut done = VecDeque::with_capacity(plan.statements.len());
        for (step, rendered) in plan.statements.iter().zip(self.job.rendered) {
            done.push_back(self.statement(link, step, rendered).await?);
            if plan.transaction {
                self.job.cx.tell(|| plan.progress(done.len()));
            }
        }
        self.enter(Phase::Commit);
        link.client.batch_execute("commit").await.map_err(|why| fail(Phase::Commit, &why))?;
        Ok(match done.pop_front() {
            Some(only) if !plan.transaction => only.into(),
            first => together(first.into_iter().chain(done)),
        })
    }

    async fn statement(&self, link: &mut Link, step: &'a Step, rendered: &Rendered) -> Result<Done, Failure> {
        let prepared = match link.statements.get(&rendered.text) {
            Some(prepared) => prepared,
            None => {
                let prepared = self.ask(link, step, rendered).await?;
                link.statements.keep(&rendered.text, prepared.clone());
                prepared
            }
        };
        let done = match self.bind(step, &prepared, rendered) {
            Ok(bound) => self.rows(link, step, &prepared, &bound, rendered).await,
            Err(failure) => Err(failure),
        };
        // What the server expects, or its plan, may have changed since it was asked.
        done.inspect_err(|_| link.statements.forget(&rendered.text))
    }

    /// Has the server read the statement: which types it expects, which it gives.
    async fn ask(&self, link: &Link, step: &'a Step, rendered: &Rendered) -> Result<Prepared, Failure> {
        let place = self.at(step);
        let prepare = async |text: &str| {
            link.client.prepare(text).await.map_err(|why| place.failure(Phase::Prepare, &why).of(text))
        };
        let statement = prepare(&rendered.text).await?;
        let columns = Columns::of(statement.columns()).map_err(|name| {
            let what = format!("two columns are named `{name}`; give one another name with `as`");
            self.error(Kind::Internal, &what).of(&rendered.text)
        })?;
        let Some((text, columns_as_texts)) = columns.as_texts(&rendered.text) else {
            return Ok(Prepared { statement, columns: Arc::new(columns) });
        };
        match prepare(&text).await {
            Ok(statement) => Ok(Prepared { statement, columns: Arc::new(columns_as_texts) }),
            Err(failure) if failure.broken => Err(failure),
            Err(failure) => {
                let (name, kind) = columns.unreadable().next().unwrap_or_default();
                let what = format!(
                    "the column `{name}` has the type `{kind}`, which is read as a text; write `{name}::text as {name}`"
                );
                let detail = failure.error.detail_text().unwrap_or_default().to_owned();
                Err(Failure::plain(self.place.error(Phase::Prepare, Kind::Internal, &what).detail(detail)))
            }
        }
    }

    fn bind(&self, step: &Step, prepared: &Prepared, rendered: &Rendered) -> Result<Vec<Bound>, Failure> {
        let kinds = prepared.statement.params();
        if kinds.len() != rendered.values.len() {
            let what = "the statement's parameters and values do not match";
            return Err(self.error(Kind::Internal, what).of(&rendered.text));
        }
        let bound = kinds.iter().zip(&rendered.values).enumerate().map(|(at, (kind, value))| {
            bind::bind(kind, value).map_err(|why| {
                let template = step.statement.template_of(at + 1).unwrap_or_default();
                let (origin, what) =
                    (rendered.origin(at), format!("the value of `${{{template}}}` does not fit: {why}"));
                self.error(origin.kind(), &(what + origin.advice()))
            })
        });
        bound.collect()
    }

    /// Runs the statement and takes its rows, as many as may be given.
    async fn rows(
        &self,
        link: &Link,
        step: &'a Step,
        prepared: &Prepared,
        bound: &[Bound],
        rendered: &Rendered,
    ) -> Result<Done, Failure> {
        self.enter(Phase::Run);
        let fail = |why: &tokio_postgres::Error| self.at(step).failure(Phase::Run, why).of(&rendered.text);
        let stream = link.client.query_raw(&prepared.statement, bound).await.map_err(|why| fail(&why))?;
        let mut stream = pin!(stream);
        let mut taken = Taken::new(self.place.config.max_bytes.as_usize());
        let mut thrown_away = 0;
        let mut stopped = false;
        loop {
            let row = match stream.try_next().await {
                Ok(Some(row)) => row,
                Ok(None) => break,
                // It was told to stop, and did.
                Err(why) if stopped && why.code().is_some_and(|code| code.code() == "57014") => break,
                Err(why) => return Err(fail(&why)),
            };
            taken.found += 1;
            if taken.is_full(step) {
                thrown_away += 1;
                // A changing statement runs to its end; a reading one has nothing more to tell.
                let alone = !self.job.writes && !self.job.plan.transaction;
                if thrown_away > THROWN_AWAY && alone && !stopped {
                    stopped = true;
                    if !self.pool.interrupt(&link.client.cancel_token()).await {
                        // What comes of the statement is nobody's business any more.
                        let what = "the server could not be told to stop a statement that gives too much";
                        return Err(self.error(Kind::Unavailable, what).broken());
                    }
                }
                continue;
            }
            taken.take(&prepared.columns, &row).map_err(|why| match why {
                Unread::Large => {
                    let max_bytes = self.place.config.max_bytes;
                    let what =
                        format!("a row is larger than {max_bytes} (`max_bytes`); select fewer columns");
                    self.error(Kind::Invalid, &what)
                }
                Unread::Malformed(name) => {
                    let what = format!("the column `{name}` cannot be read; write `{name}::text as {name}`");
                    // The type may have been changed since this connection learnt it.
                    self.error(Kind::Internal, &what).of(&rendered.text).broken()
                }
            })?;
        }
        let affected = stream.rows_affected().unwrap_or(0);
        self.done(step, &prepared.columns, taken, affected)
    }

    fn done(&self, step: &Step, columns: &Columns, taken: Taken, affected: u64) -> Result<Done, Failure> {
        let changes = matches!(step.statement.verb, Verb::Insert | Verb::Update | Verb::Delete)
            || matches!(&step.statement.verb, Verb::Other(word) if word == "merge");
        let affected = if changes { affected } else { 0 };
        let one = |rows| one(rows).map_err(|(kind, what)| self.error(kind, what));
        let mut notices = taken.budget.notices();
        notices.extend(taken.cut.map(|cut| cut.notice(taken.values.len(), self.place.config.max_bytes)));
        let mut meta = Map::new();
        meta.insert("affected".into(), affected.into());
        meta.insert("truncated".into(), taken.cut.is_some().into());
        let mut values = taken.values;
        let value = if columns.is_empty() {
            if step.one {
                one(affected)?;
            }
            Value::from([("affected", affected)])
        } else {
            meta.insert("columns".into(), columns.names());
            if step.one {
                one(taken.found)?;
                values.pop().unwrap_or_default()
            } else {
                values.into()
            }
        };
        Ok(Done { value, meta, notices, affected, truncated: taken.cut.is_some() })
    }
}

/// The rows so far.
struct Taken {
    values: Vec<Value>,
    budget: Budget,
    found: u64,
    cut: Option<Cut>,
}

impl Taken {
    fn new(max_bytes: usize) -> Self {
        Taken { values: Vec::new(), budget: Budget::new(max_bytes), found: 0, cut: None }
    }

    /// Whether the row just found is not given.
    fn is_full(&mut self, step: &Step) -> bool {
        if step.one && self.found > 1 {
            return true;
        }
        if self.cut.is_none() && self.values.len() >= step.max_rows {
            self.cut = Some(Cut::Rows);
        }
        self.cut.is_some()
    }

    fn take(&mut self, columns: &Columns, row: &tokio_postgres::Row) -> Result<(), Unread> {
        match columns.row(row, &mut self.budget) {
            Ok(value) => self.values.push(value),
            Err(Unread::Large) if !self.values.is_empty() => self.cut = Some(Cut::Bytes),
            Err(why) => return Err(why),
        }
        Ok(())
    }
}

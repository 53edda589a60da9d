//! Runs the statements of one call on one connection.
//!
//! Whatever may change rows runs between `start transaction` and `commit`, also a single statement: so a
//! statement that fails leaves nothing behind, and what `one: true` refuses is undone. Statements that define
//! tables commit by themselves and run alone.

use mysql_async::{BinaryProtocol, Column, QueryResult, Row, Value as Bound, prelude::Queryable as _};
use renkei_core::{Applied, CallContext, Error, Kind, Map, Reply, Value};
use tokio::time::{Duration, timeout};

use super::{
    bind,
    compare::compared,
    error::{Failure, Phase, Place as At, State},
    open::{Opened, Place},
    operation::defines,
    rows::Columns,
};
use crate::sql::{Budget, Cut, Done, Plan, Rendered, Step, Verb, one, together};

/// What the server gets beyond `statement_timeout` to end a statement by itself: then the connection stays.
const GRACE: Duration = Duration::from_secs(1);
/// Rows beyond the limit that are read and thrown away, as far as they have no more bytes than `max_bytes`, so that the
/// connection can be kept. Where more are to come, it is cheaper to open another one.
const MAX_DRAINED: usize = 1_000;

const CUT_VALUE: &str =
    "a text was compared with a number or a time, and the database reads only its beginning as one";

/// A statement and its values, as one connection runs them.
#[derive(Debug)]
pub(super) struct Work<'a> {
    pub(super) place: &'a Place,
    pub(super) plan: &'a Plan,
    pub(super) rendered: &'a [Rendered],
    pub(super) cx: &'a CallContext,
}

/// What a call gave, and whether the connection can be used again.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) result: Result<Reply, Error>,
    pub(super) connection: State,
}

impl Work<'_> {
    /// Runs all. Where the future is dropped, something may still run on the connection.
    pub(super) async fn run(&self, opened: &mut Opened) -> Finished {
        let mut session = Session { work: self, opened, writes: false, connection: State::Ready };
        match session.all().await {
            Ok(reply) => Finished { result: Ok(reply), connection: session.connection },
            Err(failure) => Finished { result: Err(failure.error), connection: failure.connection },
        }
    }
}

struct Session<'a> {
    work: &'a Work<'a>,
    opened: &'a mut Opened,
    /// Whether a statement that may change something was begun.
    writes: bool,
    connection: State,
}

/// How statements are held together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bracket {
    /// The statement stands alone.
    None,
    Transaction,
    ReadOnly,
}

impl Bracket {
    fn of(place: &Place, plan: &Plan) -> Self {
        if place.config.read_only {
            Bracket::ReadOnly
        } else if plan.statements.iter().any(|step| defines(&step.statement.verb)) {
            Bracket::None
        } else if plan.writes || plan.transaction {
            Bracket::Transaction
        } else {
            Bracket::None
        }
    }
}

impl Session<'_> {
    fn at(&self, phase: Phase) -> At<'_> {
        At { place: self.work.place, phase, writes: self.writes }
    }

    async fn all(&mut self) -> Result<Reply, Failure> {
        let bracket = Bracket::of(self.work.place, self.work.plan);
        match bracket {
            Bracket::None => {}
            Bracket::Transaction => self.command(Phase::Begin, "start transaction").await?,
            Bracket::ReadOnly => self.command(Phase::Begin, "start transaction read only").await?,
        }
        // Only now: a connection that turns out to be dead before has done nothing, so the call may be repeated.
        self.work.cx.attempt.mark_sent();
        match self.statements().await {
            Ok(reply) => {
                // What was cut is still on its way; the connection is of no more use.
                if bracket != Bracket::None && self.connection == State::Ready {
                    self.command(Phase::Commit, "commit").await?;
                }
                Ok(reply)
            }
            Err(failure) if bracket != Bracket::None && failure.connection == State::Ready => {
                Err(self.roll_back(failure).await)
            }
            Err(failure) => Err(failure),
        }
    }

    /// One of our own commands, which take no time.
    async fn command(&mut self, phase: Phase, text: &str) -> Result<(), Failure> {
        let limit = self.limit();
        let done = timeout(limit, self.opened.conn.query_drop(text)).await;
        match done {
            Ok(done) => done.map_err(|why| self.at(phase).failure(&why)),
            Err(_) => Err(self.at(phase).statement_timeout()),
        }
    }

    fn limit(&self) -> Duration {
        self.work.place.config.statement_timeout.saturating_add(GRACE)
    }

    async fn roll_back(&mut self, failure: Failure) -> Failure {
        match self.command(Phase::Begin, "rollback").await {
            // Tables without transactions keep what was changed, and the server says so.
            Ok(()) if self.writes && self.opened.conn.get_warnings() > 0 => {
                Failure { error: failure.error.applied(Applied::Unknown), ..failure }
            }
            Ok(()) => failure,
            // Closing the connection rolls back, too.
            Err(_) => Failure { error: failure.error, connection: State::Unknown },
        }
    }

    async fn statements(&mut self) -> Result<Reply, Failure> {
        let Work { plan, rendered, .. } = self.work;
        let mut done = Vec::with_capacity(plan.statements.len());
        for (step, rendered) in plan.statements.iter().zip(*rendered) {
            // What was cut in the middle of a transaction is read to its end first.
            let last = done.len() + 1 == plan.statements.len();
            let limit = self.limit();
            let result = timeout(limit, self.statement(step, rendered, last && !plan.writes)).await;
            done.push(match result {
                Ok(done) => done.map_err(|failure| failure.of(&rendered.text))?,
                Err(_) => return Err(self.at(Phase::Run).statement_timeout().of(&rendered.text)),
            });
            if plan.transaction {
                self.work.cx.tell(|| plan.progress(done.len()));
            }
        }
        Ok(match done.pop() {
            Some(only) if !plan.transaction => only.into(),
            last => together(done.into_iter().chain(last)),
        })
    }

    /// `leave`: whether rows beyond the limits may be left unread, and the connection with them.
    async fn statement(&mut self, step: &Step, rendered: &Rendered, leave: bool) -> Result<Done, Failure> {
        let values = self.bind(rendered)?;
        let statement = match self.opened.conn.prep(rendered.text.as_str()).await {
            Ok(statement) => statement,
            Err(why) => return Err(self.at(Phase::Prepare).failure(&why)),
        };
        // Known before anything happens, as far as the server says it.
        self.columns(&statement.columns())?;
        self.writes |= step.writes;
        let at = At { place: self.work.place, phase: Phase::Run, writes: self.writes };
        let executed = self.opened.conn.exec_iter(&statement, values).await;
        let mut result = executed.map_err(|why| at.failure(&why))?;
        let columns = result.columns().unwrap_or_default();
        let columns = columns_of(at, &columns)?;
        let mut rows = read(at, step, &columns, &mut result, leave).await?;
        let (affected, insert_id, info) =
            (result.affected_rows(), result.last_insert_id(), result.info().is_empty());
        let warned = result.warnings() > 0;
        drop(result);
        if rows.left {
            self.connection = State::Unknown;
        } else if warned && !step.statement.has_word("ignore") && self.has_cut_values().await? {
            // It is undone: who knows whose row that was.
            if step.writes {
                return Err(Failure::plain(at.error(Kind::Invalid, CUT_VALUE)));
            }
            rows.notices.push(format!("{CUT_VALUE}; the rows may be others than meant"));
        }
        self.done(step, &columns, rows, affected, insert_id.filter(|id| *id != 0), info)
    }

    /// Whether the server warns of a value that it could not read as a whole.
    async fn has_cut_values(&mut self) -> Result<bool, Failure> {
        let at = At { place: self.work.place, phase: Phase::Run, writes: self.writes };
        let warnings: Vec<(String, u16, String)> =
            self.opened.conn.query("show warnings limit 20").await.map_err(|why| at.failure(&why))?;
        Ok(warnings.iter().any(|(_, code, _)| *code == 1292))
    }

    fn bind(&self, rendered: &Rendered) -> Result<Vec<Bound>, Failure> {
        if misread(&rendered.text) {
            let what = "a `:` stands in the statement, and a quotation mark right after a `-` or `/`, \
                        which the driver would misread; put a space before the quotation mark";
            return Err(Failure::plain(self.at(Phase::Prepare).error(Kind::Internal, what)));
        }
        let compared = compared(&rendered.text, self.opened.flavour);
        let invalid = |what: &str| Failure::plain(self.at(Phase::Prepare).error(Kind::Invalid, what));
        let values: Vec<Bound> = rendered
            .values
            .iter()
            .enumerate()
            .map(|(at, value)| {
                bind::bound(value, compared.get(at).copied().unwrap_or(true)).map_err(|what| {
                    let origin = rendered.origin(at);
                    let error = self.at(Phase::Prepare).error(origin.kind(), &(what + origin.advice()));
                    Failure::plain(error)
                })
            })
            .collect::<Result<_, _>>()?;
        let length: u64 = values.iter().map(bind::length).sum();
        match length < self.opened.packet {
            true => Ok(values),
            false => Err(invalid(&format!(
                "the values have {length} bytes, and the server takes fewer than {} (`max_allowed_packet` there)",
                self.opened.packet
            ))),
        }
    }

    fn columns(&self, columns: &[Column]) -> Result<Columns, Failure> {
        columns_of(self.at(Phase::Prepare), columns)
    }

    fn done(
        &self,
        step: &Step,
        columns: &Columns,
        rows: Rows,
        affected: u64,
        insert_id: Option<u64>,
        single: bool,
    ) -> Result<Done, Failure> {
        let at = self.at(Phase::Run);
        let exactly_one = |count: u64| {
            one(count)
                .map_err(|(kind, what)| Failure { error: at.error(kind, what), connection: self.connection })
        };
        let mut meta = Map::new();
        let mut value = Value::from(rows.values);
        // Of a statement that gives rows, the server counts these.
        let affected =
            if step.writes { affected.max(if columns.is_empty() { 0 } else { rows.found }) } else { 0 };
        meta.insert("affected".into(), affected.into());
        meta.insert("truncated".into(), rows.cut.is_some().into());
        if let Some(id) = insert_id.filter(|_| matches!(step.statement.verb, Verb::Insert | Verb::Replace)) {
            meta.insert("last_insert_id".into(), id.into());
        }
        if columns.is_empty() {
            if step.one {
                // One row that replaces another counts as two; only several rows come with an info.
                let replaced =
                    affected == 2 && single && matches!(step.statement.verb, Verb::Insert | Verb::Replace);
                exactly_one(if replaced { 1 } else { affected })?;
            }
            let keys = ["affected", "last_insert_id"];
            value = keys
                .into_iter()
                .filter_map(|key| Some((key.into(), meta.get(key)?.clone())))
                .collect::<Map>()
                .into();
        } else {
            if step.one {
                exactly_one(rows.found)?;
                value = value.at(0).cloned().unwrap_or_default();
            }
            meta.insert("columns".into(), columns.names());
        }
        Ok(Done { value, meta, notices: rows.notices, affected, truncated: rows.cut.is_some() })
    }
}

fn columns_of(at: At<'_>, columns: &[Column]) -> Result<Columns, Failure> {
    Columns::of(columns).map_err(|name| {
        let what = format!("two columns are named `{name}`; give one another name with `as`");
        Failure::plain(at.error(Kind::Internal, &what))
    })
}

/// The rows of one statement, as far as they were read.
struct Rows {
    values: Vec<Value>,
    found: u64,
    cut: Option<Cut>,
    notices: Vec<String>,
    /// Whether there are more on their way.
    left: bool,
}

async fn read(
    at: At<'_>,
    step: &Step,
    columns: &Columns,
    result: &mut QueryResult<'_, '_, BinaryProtocol>,
    leave: bool,
) -> Result<Rows, Failure> {
    let max_bytes = at.place.config.max_bytes;
    let mut budget = Budget::new(max_bytes.as_usize());
    let mut rows = Rows { values: Vec::new(), found: 0, cut: None, notices: Vec::new(), left: false };
    let (mut drained, mut drained_bytes) = (0, 0);
    while let Some(row) = next(at, result).await? {
        rows.found += 1;
        if step.one && rows.found > 1 || rows.cut.is_some() {
            drained += 1;
            drained_bytes += length(&row);
        } else if rows.values.len() >= step.max_rows {
            rows.cut = Some(Cut::Rows);
        } else {
            match columns.row(row, &mut budget) {
                Some(value) => rows.values.push(value),
                None if rows.values.is_empty() => {
                    let what =
                        format!("a row is larger than {max_bytes} (`max_bytes`); select fewer columns");
                    return Err(Failure::unknown(at.doubt(at.error(Kind::Invalid, &what))));
                }
                None => rows.cut = Some(Cut::Bytes),
            }
        }
        if leave && (drained >= MAX_DRAINED || drained_bytes > max_bytes.as_usize()) {
            rows.left = true;
            break;
        }
    }
    rows.notices = budget.notices();
    rows.notices.extend(rows.cut.map(|cut| cut.notice(rows.values.len(), max_bytes)));
    Ok(rows)
}

/// About how many bytes a row has.
fn length(row: &Row) -> usize {
    let bytes = |value: &Bound| if let Bound::Bytes(bytes) = value { bytes.len() } else { size_of::<u64>() };
    (0..row.len()).filter_map(|at| row.as_ref(at)).map(bytes).sum()
}

async fn next(at: At<'_>, result: &mut QueryResult<'_, '_, BinaryProtocol>) -> Result<Option<Row>, Failure> {
    result.next().await.map_err(|why| at.failure(&why))
}

/// The driver looks for `:name` in the text, as its own kind of parameter, and its eyes are weaker than our lexer's:
/// after `-` and `/` it does not see a quotation mark.
fn misread(text: &str) -> bool {
    text.contains(':')
        && text.as_bytes().windows(2).any(|pair| matches!(pair, [b'-' | b'/', b'\'' | b'"' | b'`']))
}

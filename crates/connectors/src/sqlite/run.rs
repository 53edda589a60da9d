//! Runs the statements of one call on one connection.
//!
//! Whatever may change something runs between `begin immediate` and `commit`, also a single statement: until
//! the commit nothing has happened, so a failure, a timeout or a caller who left is "not applied".

use std::sync::Arc;

use renkei_core::{Error, Kind, Map, PreparedOp, Reply, Value};
use rusqlite::{CachedStatement, types::ToSqlOutput};

use super::{
    error::{Failure, Phase, Place as At},
    introspect,
    monitor::Monitor,
    open::{Opened, Place},
    pool::Job,
    rows::Columns,
};
use crate::sql::{Budget, Cut, Done, Plan, Rendered, Step, Verb, one, together};

/// What a thread is asked to do.
#[derive(Debug)]
pub(super) enum Work {
    /// Open the file, no more.
    Check,
    /// Say which tables are there.
    Catalog(introspect::Question),
    Statements {
        op: Arc<PreparedOp>,
        rendered: Vec<Rendered>,
    },
}

pub(super) fn run(
    place: &Place,
    monitor: &Monitor,
    opened: &mut Opened,
    job: &Job,
) -> Result<Reply, Failure> {
    let (op, rendered) = match &job.work {
        Work::Check => return Ok(Reply::json(Value::Null)),
        Work::Catalog(question) => {
            let told = opened.catalog.during(|| introspect::answer(&opened.connection, question));
            let at = At { place, phase: Phase::Run, writes: false, stop: monitor.stop() };
            return told.map(Reply::json).map_err(|why| at.failure(&why, opened.refusal.take()));
        }
        Work::Statements { op, rendered } => (op, rendered),
    };
    let Some(plan) = op.plan::<Plan>() else {
        return Err(Failure::plain(Error::internal(format!(
            "use `{}`: the operation is not its own",
            place.system
        ))));
    };
    let mut session = Session { place, monitor, opened, writes: plan.writes };
    let result = session.transaction(plan, rendered, job);
    // Whatever stopped the work must not stop its undoing.
    monitor.end();
    if !opened.connection.is_autocommit()
        && let Err(why) = opened.connection.execute_batch("rollback")
    {
        // Closing the connection rolls back, too.
        return Err(result.err().unwrap_or_else(|| Failure::rollback(place, &why)).broken());
    }
    result
}

struct Session<'a> {
    place: &'a Place,
    monitor: &'a Monitor,
    opened: &'a Opened,
    writes: bool,
}

impl Session<'_> {
    fn fail(&self, phase: Phase, why: &rusqlite::Error) -> Failure {
        let at = At { place: self.place, phase, writes: self.writes, stop: self.monitor.stop() };
        at.failure(why, self.opened.refusal.take())
    }

    fn error(&self, kind: Kind, what: &str) -> Failure {
        Failure::plain(Error::new(kind, format!("{} `{}`: {what}", self.verb(), self.place.system)))
    }

    fn verb(&self) -> &'static str {
        if self.writes { "change" } else { "read from" }
    }

    fn batch(&self, phase: Phase, sql: &str) -> Result<(), Failure> {
        self.opened.connection.execute_batch(sql).map_err(|why| self.fail(phase, &why))
    }

    fn check_stop(&self) -> Result<(), Failure> {
        match self.monitor.stop() {
            None => Ok(()),
            Some(stop) => {
                Err(At { place: self.place, phase: Phase::Run, writes: self.writes, stop: Some(stop) }
                    .stopped(stop))
            }
        }
    }

    fn transaction(&mut self, plan: &Plan, rendered: &[Rendered], job: &Job) -> Result<Reply, Failure> {
        self.check_stop()?;
        if plan.writes {
            self.batch(Phase::Begin, "begin immediate")?;
        } else if plan.transaction {
            self.batch(Phase::Begin, "begin")?;
        }
        // Set before the look at the ticket: whoever leaves after it finds the call marked as sent.
        job.attempt.mark_sent();
        self.check_stop()?;
        let mut done = Vec::with_capacity(plan.statements.len());
        for (step, rendered) in plan.statements.iter().zip(rendered) {
            done.push(self.statement(step, rendered)?);
            self.check_stop()?;
            if let (true, Some(listener)) = (plan.transaction, &job.listener) {
                listener.note(&plan.progress(done.len()));
            }
        }
        if plan.writes || plan.transaction {
            self.batch(Phase::Commit, "commit")?;
        }
        Ok(match done.pop() {
            Some(only) if !plan.transaction => only.into(),
            last => together(done.into_iter().chain(last)),
        })
    }

    fn statement(&self, step: &Step, rendered: &Rendered) -> Result<Done, Failure> {
        let connection = &self.opened.connection;
        // A refusal of an earlier call has been told already.
        self.opened.refusal.take();
        let mut statement = connection
            .prepare_cached(&rendered.text)
            .map_err(|why| self.fail(Phase::Prepare, &why).of(&rendered.text))?;
        if !step.writes && !statement.readonly() {
            let what = "the statement changes something although it begins like one that only reads";
            return Err(self.error(Kind::Internal, what).of(&rendered.text));
        }
        let columns = Columns::of(&statement).map_err(|name| {
            let what = format!("two columns are named `{name}`; give one another name with `as`");
            self.error(Kind::Internal, &what).of(&rendered.text)
        })?;
        self.bind(&mut statement, rendered)?;
        let total = connection.total_changes();
        let mut done = self.rows(step, &columns, &mut statement)?;
        drop(statement);
        let changed = connection.total_changes() != total;
        done.affected = if changed { connection.changes() } else { 0 };
        done.meta.insert("affected".into(), done.affected.into());
        done.meta.insert("truncated".into(), done.truncated.into());
        if changed && matches!(step.statement.verb, Verb::Insert | Verb::Replace) {
            done.meta.insert("last_insert_id".into(), connection.last_insert_rowid().into());
        }
        if columns.is_empty() {
            if step.one {
                self.one(done.affected)?;
            }
            let keys = ["affected", "last_insert_id"];
            let told = keys.into_iter().filter_map(|key| Some((key.into(), done.meta.get(key)?.clone())));
            done.value = told.collect::<Map>().into();
        } else {
            done.meta.insert("columns".into(), columns.names());
        }
        Ok(done)
    }

    fn bind(&self, statement: &mut CachedStatement<'_>, rendered: &Rendered) -> Result<(), Failure> {
        if statement.parameter_count() != rendered.values.len() {
            return Err(self
                .error(Kind::Internal, "the statement's parameters and values do not match")
                .of(&rendered.text));
        }
        for (at, value) in rendered.values.iter().enumerate() {
            let bound = bound(value).map_err(|what| {
                let origin = rendered.origin(at);
                self.error(origin.kind(), &(what + origin.advice()))
            })?;
            statement
                .raw_bind_parameter(at + 1, bound)
                .map_err(|why| self.fail(Phase::Run, &why).of(&rendered.text))?;
        }
        Ok(())
    }

    fn one(&self, rows: u64) -> Result<(), Failure> {
        one(rows).map_err(|(kind, what)| self.error(kind, what))
    }

    fn rows(
        &self,
        step: &Step,
        columns: &Columns,
        statement: &mut CachedStatement<'_>,
    ) -> Result<Done, Failure> {
        let max_bytes = self.place.config.max_bytes;
        let mut budget = Budget::new(max_bytes.as_usize());
        let mut values = Vec::new();
        let mut cut = None;
        let mut found = 0u64;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(|why| self.fail(Phase::Run, &why))? {
            found += 1;
            if step.one && found > 1 {
                break;
            }
            if cut.is_none() && values.len() >= step.max_rows {
                cut = Some(Cut::Rows);
            }
            if cut.is_some() {
                // A changing statement runs to its end; a reading one has nothing more to tell.
                if step.writes {
                    continue;
                }
                break;
            }
            match columns.row(row, &mut budget).map_err(|why| self.fail(Phase::Run, &why))? {
                Some(value) => values.push(value),
                None if values.is_empty() => {
                    let what =
                        format!("a row is larger than {max_bytes} (`max_bytes`); select fewer columns");
                    return Err(self.error(Kind::Invalid, &what));
                }
                None => {
                    cut = Some(Cut::Bytes);
                    if !step.writes {
                        break;
                    }
                }
            }
        }
        drop(rows);
        let mut notices = budget.notices();
        notices.extend(cut.as_ref().map(|cut| cut.notice(values.len(), max_bytes)));
        let value = if step.one && !columns.is_empty() {
            self.one(found)?;
            values.pop().unwrap_or_default()
        } else {
            values.into()
        };
        Ok(Done { value, meta: Map::new(), notices, affected: 0, truncated: cut.is_some() })
    }
}

/// The value as SQLite stores it; the error says why it cannot.
fn bound(value: &Value) -> Result<ToSqlOutput<'_>, String> {
    use rusqlite::types::ValueRef;
    Ok(ToSqlOutput::Borrowed(match value {
        Value::Null => ValueRef::Null,
        Value::Bool(flag) => ValueRef::Integer((*flag).into()),
        Value::String(text) => ValueRef::Text(text.as_bytes()),
        Value::Number(number) => match number.as_i64() {
            Some(int) => ValueRef::Integer(int),
            None if !number.to_string().contains(['.', 'e', 'E']) => {
                return Err(format!("the integer `{number}` is beyond 64 bits; pass it as a text"));
            }
            None if !number.as_f64().is_finite() => {
                return Err(format!("the number `{number}` is beyond a double; pass it as a text"));
            }
            None => ValueRef::Real(number.as_f64()),
        },
        Value::Array(_) | Value::Object(_) => {
            return Err(format!("an {} is no single value", value.type_name()));
        }
    }))
}

//! What a database answers in a config test: rows, or what a statement changed, as every SQL system gives them.

use std::{collections::BTreeSet, sync::Arc};

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Error, FromNode, Kind, Map, Node, Payload, Reply, Request, Result,
    Schema, Value,
    connector::{Answer, Came},
    read::Spanned,
};
use renkei_derive::FromNode;

use super::{Cut, Done, Plan, Step, Verb, one, together};

/// How the answers of one kind of database differ from those of the others.
#[derive(Clone, Copy, Debug)]
pub struct Answers {
    /// The statements of a request to it.
    pub plan: for<'r> fn(&'r Request) -> Result<&'r Plan>,
    /// Whether an insert tells the id that the database made.
    pub last_insert_id: bool,
    /// Whether a row that replaces another one counts as two.
    pub replaced_is_two: bool,
}

/// What the database answers.
#[derive(Debug, FromNode)]
#[config(check = check)]
struct AnswerConfig {
    /// The rows that an SQL system answers with, each a mapping from column to value, all with the same columns. The
    /// values are those that the types of the columns are read as; `one` and `max_rows` of the operation do with the
    /// rows what they do with real ones.
    rows: Option<Vec<Spanned<Value>>>,
    /// There are more rows than these: the answer was cut at `max_rows` or `max_bytes`.
    #[config(default)]
    more: bool,
    /// How many rows a statement changed. Unless set, as many as it gives.
    affected: Option<u64>,
    /// The id that SQLite or MySQL gave the inserted row.
    last_insert_id: Option<i64>,
    /// The answer to a transaction: the results of its statements, in their order, each with `rows`, or with
    /// `affected` and `last_insert_id`.
    statements: Option<Vec<Node>>,
}

const WORDS: [&str; 5] = ["rows", "more", "affected", "last_insert_id", "statements"];

fn check(answer: &AnswerConfig, node: &Node, d: &mut Diagnostics) {
    let mut columns: Option<BTreeSet<Arc<str>>> = None;
    for row in answer.rows.iter().flatten() {
        let Some(map) = row.as_object() else {
            d.push(
                Diagnostic::error(row.span, format!("a row is a mapping, and this is {}", row.type_name()))
                    .hint("write `{ column: value, … }`"),
            );
            continue;
        };
        let own: BTreeSet<Arc<str>> = map.keys().cloned().collect();
        match &columns {
            Some(first) if *first != own => {
                let other: Vec<String> =
                    first.symmetric_difference(&own).map(|name| format!("`{name}`")).collect();
                let message = "the row has other columns than the first one".to_owned();
                d.push(Diagnostic::error(row.span, message).hint(format!(
                    "every row of a result has the same columns; only one of the two has {}",
                    other.join(", ")
                )));
            }
            Some(_) => {}
            None => columns = Some(own),
        }
    }
    let span = |key: &str| node.entry(key).map_or(node.span, |entry| entry.key_span);
    if answer.more && answer.rows.is_none() {
        d.push(
            Diagnostic::error(span("more"), "`more` belongs to `rows`").hint("say the rows that are given"),
        );
    }
    for key in WORDS.into_iter().filter(|key| *key != "statements") {
        if answer.statements.is_some() && node.entry(key).is_some() {
            d.push(
                Diagnostic::error(span(key), format!("a transaction has no `{key}` of its own"))
                    .hint("each of its `statements` has its own"),
            );
        }
    }
}

/// What one statement gives.
#[derive(Debug)]
struct Part {
    rows: Option<Vec<Value>>,
    more: bool,
    affected: Option<u64>,
    last_insert_id: Option<i64>,
}

#[derive(Debug)]
struct SqlAnswer {
    kind: &'static Answers,
    parts: Vec<Part>,
    transaction: bool,
}

impl Answers {
    /// The words and their schemas: [`ConnectorKind::answer_words`] of every SQL system.
    ///
    /// [`ConnectorKind::answer_words`]: renkei_core::ConnectorKind::answer_words
    pub fn words(&self) -> Vec<(&'static str, Schema)> {
        // Only the properties are used, so the struct needs no definition of its own.
        let mut own = Definitions::default();
        let schema = AnswerConfig::schema(&mut own);
        let words = WORDS.into_iter().filter(|word| self.last_insert_id || *word != "last_insert_id");
        words.filter_map(|name| Some((name, own.property(&schema, name)?))).collect()
    }

    /// Reads an answer: [`ConnectorKind::read_answer`] of every SQL system.
    ///
    /// [`ConnectorKind::read_answer`]: renkei_core::ConnectorKind::read_answer
    pub fn read(&'static self, node: &Node, d: &mut Diagnostics) -> Option<Arc<dyn Answer>> {
        let before = d.iter().count();
        let AnswerConfig { rows, more, affected, last_insert_id, statements } =
            AnswerConfig::from_node(node, d)?;
        let transaction = statements.is_some();
        let parts = match statements {
            None => {
                let rows = rows.map(|rows| rows.into_iter().map(|row| row.value).collect());
                vec![Part { rows, more, affected, last_insert_id }]
            }
            Some(nodes) => nodes.iter().filter_map(|node| self.part(node, d)).collect(),
        };
        (d.iter().count() == before).then(|| Arc::new(SqlAnswer { kind: self, parts, transaction }) as _)
    }

    fn part(&self, node: &Node, d: &mut Diagnostics) -> Option<Part> {
        let refused = [
            ("statements", "a transaction holds no other one"),
            ("last_insert_id", "PostgreSQL has no `last_insert_id`"),
        ];
        for (key, why) in refused {
            if let Some(entry) = node.entry(key).filter(|_| key == "statements" || !self.last_insert_id) {
                d.push(
                    Diagnostic::error(entry.key_span, why)
                        .hint("each statement has `rows` or `affected`; `returning id` gives ids as rows"),
                );
                return None;
            }
        }
        let config = AnswerConfig::from_node(node, d)?;
        let rows = config.rows.map(|rows| rows.into_iter().map(|row| row.value).collect());
        let AnswerConfig { more, affected, last_insert_id, .. } = config;
        Some(Part { rows, more, affected, last_insert_id })
    }

    /// Writes an answer: [`ConnectorKind::write_answer`] of every SQL system.
    ///
    /// [`ConnectorKind::write_answer`]: renkei_core::ConnectorKind::write_answer
    pub fn write(&self, came: &Came<'_>) -> Vec<Value> {
        let Ok(plan) = (self.plan)(came.request) else { return Vec::new() };
        let reply = match came.result {
            Ok(reply) => reply,
            Err(error) => return none_matches(plan, error).into_iter().collect(),
        };
        let Payload::Json(value) = &reply.value else { return Vec::new() };
        if !plan.transaction {
            return plan
                .statements
                .first()
                .map(|step| written(step, value, &reply.meta))
                .into_iter()
                .collect();
        }
        let metas = reply.meta.get("statements").and_then(Value::as_array).unwrap_or_default();
        let steps = plan.statements.iter().zip(value.as_array().unwrap_or_default()).zip(metas);
        let parts: Vec<Value> = steps.map(|((step, value), meta)| written(step, value, meta)).collect();
        vec![Value::from([("statements", parts)])]
    }
}

/// What `one: true` says of no row.
fn none_matches(plan: &Plan, error: &Error) -> Option<Value> {
    let [step] = &plan.statements[..] else { return None };
    if plan.transaction || !step.one || error.kind() != Kind::NotFound {
        return None;
    }
    Some(match gives_rows(step) {
        Some(false) => Value::from([("affected", 0u64)]),
        _ => Value::from([("rows", Vec::new())]),
    })
}

fn written(step: &Step, value: &Value, meta: &Value) -> Value {
    let mut map = Map::new();
    let affected = meta.get("affected").and_then(Value::as_i64).unwrap_or(0);
    let mut rows = 0;
    if meta.get("columns").is_some() {
        let given =
            if step.one { vec![value.clone()] } else { value.as_array().unwrap_or_default().to_vec() };
        rows = if step.writes { given.len() as i64 } else { 0 };
        map.insert("rows".into(), given.into());
        if meta.get("truncated").and_then(Value::as_bool) == Some(true) {
            map.insert("more".into(), true.into());
        }
    }
    if map.is_empty() || affected != rows {
        map.insert("affected".into(), affected.into());
    }
    if let Some(id) = meta.get("last_insert_id") {
        map.insert("last_insert_id".into(), id.clone());
    }
    map.into()
}

/// Whether the statement gives rows, as far as its words tell.
fn gives_rows(step: &Step) -> Option<bool> {
    let statement = &step.statement;
    match &statement.verb {
        Verb::Select | Verb::Values | Verb::Explain => Some(true),
        // What follows a `with` may give rows of what was changed before.
        _ if statement.has_word("with") => None,
        Verb::Insert | Verb::Replace | Verb::Update | Verb::Delete => Some(statement.has_word("returning")),
        Verb::Other(_) => None,
    }
}

impl Answer for SqlAnswer {
    fn answer(&self, request: &Request) -> Result<Reply> {
        let plan = (self.kind.plan)(request)?;
        let system = &request.op.system;
        let wrong = |why: String| Error::internal(format!("answer a request to `{system}`: {why}"));
        let count = plan.statements.len();
        match (plan.transaction, self.transaction) {
            (true, false) => {
                let why = format!("it is a transaction; say the results of its {count} as `statements`");
                return Err(wrong(why));
            }
            (false, true) => {
                let why = "it is one statement, no transaction; `statements` are the answer to one";
                return Err(wrong(why.into()));
            }
            _ if count != self.parts.len() => {
                let why = format!("it has {count} statements, and there are {} results", self.parts.len());
                return Err(wrong(why));
            }
            _ => {}
        }
        let verb = if plan.writes { "change" } else { "read from" };
        let mut done = Vec::with_capacity(count);
        for (step, part) in plan.statements.iter().zip(&self.parts) {
            if let Some(why) = self.impossible(step, part) {
                return Err(wrong(why.into()));
            }
            let one = |rows| {
                one(rows).map_err(|(kind, what)| Error::new(kind, format!("{verb} `{system}`: {what}")))
            };
            done.push(self.done(plan, step, part, &one)?);
        }
        Ok(match done.pop() {
            Some(only) if !plan.transaction => only.into(),
            last => together(done.into_iter().chain(last)),
        })
    }
}

impl SqlAnswer {
    /// Why a database never answers so.
    fn impossible(&self, step: &Step, part: &Part) -> Option<&'static str> {
        let inserts = matches!(step.statement.verb, Verb::Insert | Verb::Replace);
        match gives_rows(step) {
            Some(false) if part.rows.is_some() => {
                Some("the statement gives no rows; say how many it changed as `affected`, or add `returning`")
            }
            Some(true) if part.rows.is_none() => Some("the statement gives rows; say them as `rows`"),
            _ if !step.writes && part.affected.is_some_and(|rows| rows > 0) => {
                Some("a statement that only reads changes no rows; remove `affected`")
            }
            _ if !inserts && part.last_insert_id.is_some() => {
                Some("only an `insert` gives a `last_insert_id`; remove it")
            }
            _ => None,
        }
    }

    fn done(
        &self,
        plan: &Plan,
        step: &Step,
        part: &Part,
        exactly_one: &dyn Fn(u64) -> Result<()>,
    ) -> Result<Done> {
        let given = part.rows.as_ref().map_or(0, Vec::len);
        let affected = part.affected.unwrap_or(if step.writes { given as u64 } else { 0 });
        let mut done = Done {
            value: Value::Null,
            meta: Map::new(),
            notices: Vec::new(),
            affected,
            truncated: !step.one && (part.more || given > step.max_rows),
        };
        done.meta.insert("affected".into(), affected.into());
        done.meta.insert("truncated".into(), done.truncated.into());
        done.meta.extend(part.last_insert_id.map(|id| ("last_insert_id".into(), id.into())));
        let Some(rows) = &part.rows else {
            if step.one {
                let inserts = matches!(step.statement.verb, Verb::Insert | Verb::Replace);
                let replaced = self.kind.replaced_is_two && inserts && affected == 2;
                exactly_one(if replaced { 1 } else { affected })?;
            }
            let keys = ["affected", "last_insert_id"];
            let told = keys.into_iter().filter_map(|key| Some((key.into(), done.meta.get(key)?.clone())));
            done.value = told.collect::<Map>().into();
            return Ok(done);
        };
        done.value = if step.one {
            exactly_one(given as u64 + u64::from(part.more))?;
            rows.first().cloned().unwrap_or_default()
        } else {
            let shown = &rows[..given.min(step.max_rows)];
            if done.truncated {
                let cut = if shown.len() == step.max_rows { Cut::Rows } else { Cut::Bytes };
                done.notices.push(cut.notice(shown.len(), plan.max_bytes));
            }
            shown.to_vec().into()
        };
        let columns = rows.first().and_then(Value::as_object).into_iter().flatten();
        let columns: Vec<Value> = columns.map(|(name, _)| name.clone().into()).collect();
        done.meta.insert("columns".into(), columns.into());
        Ok(done)
    }
}

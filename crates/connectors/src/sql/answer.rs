//! What a database answers in a config test: `{ rows }` or `{ affected }`, as every SQL system gives them.

use std::sync::Arc;

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Error, FromNode, Map, Node, NodeKind, Reply, Request, Result,
    Schema, Value, connector::Answer, read::Bytes, read::Spanned,
};
use renkei_derive::FromNode;

use super::{Cut, Done, Plan, one, show::plain};

/// What the database answers.
#[derive(Debug, FromNode)]
#[config(check = check)]
struct AnswerConfig {
    /// The rows that an SQL system answers with, each a mapping from column to value. `one`, `max_rows` and
    /// the rest of the operation do with them what they do with real ones.
    rows: Option<Vec<Spanned<Value>>>,
    /// How many rows a statement changed, where it gives none.
    affected: Option<u64>,
}

fn check(answer: &AnswerConfig, _: &Node, d: &mut Diagnostics) {
    for row in answer.rows.iter().flatten() {
        if row.as_object().is_none() {
            d.push(
                Diagnostic::error(row.span, format!("a row is a mapping, and this is {}", row.type_name()))
                    .hint("write `{ column: value, … }`"),
            );
        }
    }
}

/// The words and their schemas: [`ConnectorKind::answer_words`] of every SQL system.
///
/// [`ConnectorKind::answer_words`]: renkei_core::ConnectorKind::answer_words
pub fn answer_words() -> Vec<(&'static str, Schema)> {
    // Only the properties are used, so the struct needs no definition of its own.
    let mut own = Definitions::default();
    let schema = AnswerConfig::schema(&mut own);
    ["rows", "affected"].into_iter().filter_map(|name| Some((name, own.property(&schema, name)?))).collect()
}

#[derive(Debug)]
struct SqlAnswer {
    rows: Option<Vec<Value>>,
    affected: u64,
}

/// Reads it: [`ConnectorKind::read_answer`] of every SQL system.
///
/// [`ConnectorKind::read_answer`]: renkei_core::ConnectorKind::read_answer
pub fn read_answer(node: &Node, d: &mut Diagnostics) -> Option<Arc<dyn Answer>> {
    let before = d.iter().count();
    let config = AnswerConfig::from_node(node, d)?;
    let rows = config.rows.map(|rows| rows.into_iter().map(|row| row.value).collect());
    (d.iter().count() == before)
        .then(|| Arc::new(SqlAnswer { rows, affected: config.affected.unwrap_or(0) }) as _)
}

impl Answer for SqlAnswer {
    fn answer(&self, request: &Request) -> Result<Reply> {
        let system = &request.op.system;
        let plan = Plan::of(request, system)?;
        let [step] = &plan.statements[..] else {
            return Err(Error::internal(format!(
                "answer a transaction of {} statements: `rows` is the answer to one statement; give the list of all results as `reply`",
                plan.statements.len()
            )));
        };
        let verb = if plan.writes { "change" } else { "read from" };
        let exactly_one =
            |rows| one(rows).map_err(|(kind, what)| Error::new(kind, format!("{verb} `{system}`: {what}")));
        let mut done = Done {
            value: Value::Null,
            meta: Map::new(),
            notices: Vec::new(),
            affected: self.affected,
            truncated: false,
        };
        let Some(rows) = &self.rows else {
            if step.one {
                exactly_one(self.affected)?;
            }
            done.value = Value::from([("affected", self.affected)]);
            done.meta.insert("affected".into(), self.affected.into());
            done.meta.insert("truncated".into(), false.into());
            return Ok(done.into());
        };
        done.value = if step.one {
            exactly_one(rows.len() as u64)?;
            rows.first().cloned().unwrap_or_default()
        } else {
            let shown = &rows[..rows.len().min(step.max_rows)];
            done.truncated = shown.len() < rows.len();
            if done.truncated {
                done.notices.push(Cut::Rows.notice(shown.len(), Bytes(0)));
            }
            shown.to_vec().into()
        };
        let columns = rows.first().and_then(Value::as_object).into_iter().flatten();
        let columns: Vec<Value> = columns.map(|(name, _)| name.clone().into()).collect();
        done.meta.insert("affected".into(), self.affected.into());
        done.meta.insert("truncated".into(), done.truncated.into());
        done.meta.insert("columns".into(), columns.into());
        Ok(done.into())
    }
}

const REQUEST_KEYS: [&str; 3] = ["sql", "params", "transaction"];

/// A request as a test expects it: [`ConnectorKind::read_request`] of every SQL system. A text is the statement
/// as it is sent; in which white space it is written does not matter.
///
/// [`ConnectorKind::read_request`]: renkei_core::ConnectorKind::read_request
pub fn read_request(node: &Node, d: &mut Diagnostics) -> Option<Value> {
    let part = |node: &Node, d: &mut Diagnostics| -> Option<Value> {
        if let Some(text) = node.as_str() {
            return Some(Value::from([("sql", plain(text))]));
        }
        let Some(entries) = node.as_map() else {
            return renkei_core::read::wrong(node, "a statement, or a mapping with `sql` and `params`", d);
        };
        let mut map = Map::new();
        for entry in entries {
            let value = match (&*entry.key, entry.value.as_str()) {
                ("sql", Some(text)) => plain(text).into(),
                ("sql", None) => return renkei_core::read::wrong(&entry.value, "a statement", d),
                ("params", _) if entry.value.as_seq().is_none() => {
                    return renkei_core::read::wrong(
                        &entry.value,
                        "the list of the values that are bound",
                        d,
                    );
                }
                ("params", _) => entry.value.to_value(),
                (other, _) => {
                    let diagnostic = Diagnostic::error(
                        entry.key_span,
                        format!("a request to an SQL system has no `{other}`"),
                    );
                    d.push(match renkei_core::diagnostic::suggest(other, REQUEST_KEYS) {
                        Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
                        None => diagnostic.hint("it has `sql` and `params`, or `transaction`"),
                    });
                    return None;
                }
            };
            map.insert(entry.key.clone(), value);
        }
        Some(map.into())
    };
    match node.get("transaction").map(|list| &list.kind) {
        None => part(node, d),
        Some(NodeKind::Seq(parts)) => {
            let parts: Option<Vec<Value>> = parts.iter().map(|node| part(node, d)).collect();
            Some(Value::from([("transaction", parts?)]))
        }
        Some(_) => renkei_core::read::wrong(node.get("transaction")?, "the list of its statements", d),
    }
}

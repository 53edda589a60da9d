//! Questions to a database about its own tables. They go the way of every call: the same pool, the same limits.

use std::sync::Arc;

use renkei_core::{
    Call, CallContext, Diagnostics, Entry, Error, Node, NodeKind, Number, PreparedOp, Request, Result, Span,
    System, Value, introspect::MAX_TABLES, node::Text, template::Names,
};

/// A statement whose templates are filled in order: the first is the first value.
#[derive(Debug)]
pub struct Question {
    op: Arc<PreparedOp>,
}

impl Question {
    /// Prepares it as an operation of `system`.
    ///
    /// # Errors
    /// A statement that the system refuses, which is a fault of ours.
    pub fn new(system: &dyn System, sql: &str) -> Result<Question> {
        let node = |kind| Node { kind, span: Span::default() };
        let entry = |key: &str, kind| Entry { key: key.into(), key_span: Span::default(), value: node(kind) };
        let operation = node(NodeKind::Map(vec![
            entry("sql", NodeKind::String(Text::new(sql))),
            entry("max_rows", NodeKind::Number(Number::from(MAX_TABLES as u64))),
        ]));
        let mut d = Diagnostics::default();
        match system.prepare(&operation, &Names::default(), &mut d) {
            Some(op) => Ok(Question { op: Arc::new(op) }),
            None => {
                let why = d.iter().map(|d| d.message.as_str()).collect::<Vec<_>>().join("; ");
                Err(Error::internal(format!("prepare a question about the tables: {why}")))
            }
        }
    }

    /// The rows of the answer, each an object.
    ///
    /// # Errors
    /// What the call gives; an answer that is cut.
    pub async fn ask(&self, call: &dyn Call, cx: &CallContext, values: &[&str]) -> Result<Vec<Value>> {
        let params = values.iter().map(|value| Some(Value::from(*value))).collect::<Vec<_>>().into();
        let (op, effect) = (self.op.clone(), self.op.effect);
        let request = Request { op, params, effect, key: None, page: None, vars: Arc::default() };
        let reply = call.call(cx, &request).await?;
        if reply.meta.get("truncated").and_then(Value::as_bool) == Some(true) {
            return Err(Error::invalid(format!(
                "read the tables of `{}`: there are more than {MAX_TABLES}, or their descriptions are longer \
                 than `max_bytes` of the system; raise that",
                self.op.system
            )));
        }
        match reply.value.into_value() {
            Value::Array(rows) => Ok(rows.to_vec()),
            _ => Err(Error::internal(format!("read the tables of `{}`: no rows came", self.op.system))),
        }
    }
}

/// A text of a row; nothing where it is null or empty.
pub fn text(row: &Value, key: &str) -> Option<String> {
    row.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A name of a row.
pub fn name(row: &Value, key: &str) -> String {
    text(row, key).unwrap_or_default()
}

/// Whether a row says so, as true, as 1 or as `YES`.
pub fn flag(row: &Value, key: &str) -> bool {
    match row.get(key) {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::Number(number)) => number.as_i64() == Some(1),
        Some(Value::String(word)) => word.eq_ignore_ascii_case("yes"),
        _ => false,
    }
}

/// The texts of a list in a row. Nothing where one of them is null: a part of an index that is no column.
pub fn texts(row: &Value, key: &str) -> Option<Vec<String>> {
    row.get(key)?.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

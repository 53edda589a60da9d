//! Rows to JSON, as `docs/reference/postgres-types.md` tells.

use std::{error::Error, sync::Arc};

use renkei_core::{Map, Value};
use tokio_postgres::{
    Column, Row,
    types::{FromSql, Type},
};

use super::types;
use crate::sql::Budget;

/// What the commas, quotes and braces around a value take.
const FRAME: usize = 4;
/// About what a number takes.
const NUMBER: usize = 12;
/// JSON is never so much shorter than the server's own form.
const SHRINKS: usize = 8;

/// The columns of a result.
#[derive(Debug)]
pub(super) struct Columns(Vec<(Arc<str>, Type)>);

/// Why a row is not given.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is larger than the budget.
    Large,
    /// The value of this column is not what its type says.
    Malformed(Arc<str>),
}

impl Columns {
    /// The columns of the statement; or the name that two of them have.
    pub(super) fn of(columns: &[Column]) -> Result<Columns, String> {
        let mut known: Vec<(Arc<str>, Type)> = Vec::with_capacity(columns.len());
        for column in columns {
            let name = column.name();
            if known.iter().any(|(other, _)| &**other == name) {
                return Err(name.into());
            }
            known.push((name.into(), column.type_().clone()));
        }
        Ok(Columns(known))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn names(&self) -> Value {
        self.0.iter().map(|(name, _)| Value::from(name.clone())).collect::<Vec<_>>().into()
    }

    /// The statement with its unreadable columns as texts, which the server writes; nothing if there are none.
    pub(super) fn as_texts(&self, statement: &str) -> Option<(String, Columns)> {
        if self.0.iter().all(|(_, kind)| types::is_readable(kind)) {
            return None;
        }
        let (mut names, mut columns, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (name, kind)) in self.0.iter().enumerate() {
            names.push(format!("c{at}"));
            let readable = types::is_readable(kind);
            columns.push(if readable { format!("c{at}") } else { format!("c{at}::pg_catalog.text") });
            kinds.push((name.clone(), if readable { kind.clone() } else { Type::TEXT }));
        }
        let (names, columns) = (names.join(", "), columns.join(", "));
        let text = format!("with renkei_rows ({names}) as ({statement}) select {columns} from renkei_rows");
        Some((text, Columns(kinds)))
    }

    /// The names of the columns that can only be read as texts.
    pub(super) fn unreadable(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter(|(_, kind)| !types::is_readable(kind)).map(|(name, kind)| (&**name, kind.name()))
    }

    /// The row as an object.
    pub(super) fn row(&self, row: &Row, budget: &mut Budget) -> Result<Value, Unread> {
        let mut map = Map::with_capacity(self.0.len());
        for (at, (name, kind)) in self.0.iter().enumerate() {
            let malformed = || Unread::Malformed(name.clone());
            let raw: Raw<'_> = row.try_get(at).map_err(|_| malformed())?;
            let value = match raw.0 {
                Some(raw) if raw.len() / SHRINKS > budget.left() => return Err(Unread::Large),
                Some(raw) => types::read(kind, raw, budget).map_err(|_| malformed())?,
                None => Value::Null,
            };
            budget.take(name.len() + FRAME + weight(&value)).ok_or(Unread::Large)?;
            map.insert(name.clone(), value);
        }
        Ok(map.into())
    }
}

/// About how many bytes the value takes as JSON.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => FRAME,
        Value::Number(_) => NUMBER,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| 1 + weight(item)).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + FRAME + weight(value)).sum(),
    }
}

/// The bytes of a value, as the server sent them.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

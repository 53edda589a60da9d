//! Rows to JSON, as `docs/reference/sqlite-types.md` tells.

use std::{borrow::Cow, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use renkei_core::{Map, Value};
use rusqlite::{Row, Statement, types::ValueRef};

use crate::sql::Budget;

/// What the commas, quotes and braces around a value take.
const FRAME: usize = 4;
/// About what a number takes.
const NUMBER: usize = 12;

/// The columns of a result.
#[derive(Debug)]
pub(super) struct Columns(Vec<(Arc<str>, Declared)>);

/// What the type in the column's declaration changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Declared {
    Plain,
    Boolean,
    Json,
}

impl Declared {
    fn of(declaration: Option<&str>) -> Self {
        match declaration.map(str::to_ascii_lowercase).as_deref() {
            Some("boolean" | "bool") => Declared::Boolean,
            Some("json") => Declared::Json,
            _ => Declared::Plain,
        }
    }
}

impl Columns {
    /// The columns of the statement; or the name that two of them have.
    pub(super) fn of(statement: &Statement<'_>) -> Result<Columns, String> {
        let mut columns: Vec<(Arc<str>, Declared)> = Vec::new();
        for column in statement.columns() {
            let name = column.name();
            if columns.iter().any(|(known, _)| &**known == name) {
                return Err(name.into());
            }
            columns.push((name.into(), Declared::of(column.decl_type())));
        }
        Ok(Columns(columns))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn names(&self) -> Value {
        self.0.iter().map(|(name, _)| Value::from(name.clone())).collect::<Vec<_>>().into()
    }

    /// The row as an object. Nothing if it is larger than the budget.
    pub(super) fn row(&self, row: &Row<'_>, budget: &mut Budget) -> rusqlite::Result<Option<Value>> {
        let mut map = Map::with_capacity(self.0.len());
        for (at, (name, declared)) in self.0.iter().enumerate() {
            let Some(value) = value(row.get_ref(at)?, name.len(), *declared, budget) else {
                return Ok(None);
            };
            map.insert(name.clone(), value);
        }
        Ok(Some(map.into()))
    }
}

fn value(value: ValueRef<'_>, name: usize, declared: Declared, budget: &mut Budget) -> Option<Value> {
    let frame = name + FRAME;
    Some(match value {
        ValueRef::Null => {
            budget.take(frame + FRAME)?;
            Value::Null
        }
        ValueRef::Integer(int) => {
            budget.take(frame + NUMBER)?;
            match (declared, int) {
                (Declared::Boolean, 0) => Value::Bool(false),
                (Declared::Boolean, 1) => Value::Bool(true),
                _ => Value::from(int),
            }
        }
        ValueRef::Real(real) => {
            budget.take(frame + NUMBER)?;
            if !real.is_finite() {
                budget.tell("an infinite number is given as null, since JSON has none");
            }
            Value::from(real)
        }
        ValueRef::Text(bytes) => {
            budget.take(frame + bytes.len())?;
            let text = String::from_utf8_lossy(bytes);
            if matches!(text, Cow::Owned(_)) {
                budget.tell("bytes in a text that are not UTF-8 are given as \u{fffd}");
            }
            match declared {
                Declared::Json => match Value::from_json(bytes) {
                    Ok(value) => value,
                    Err(_) => {
                        let notice =
                            "a value in a column declared as JSON is no JSON, and is given as a string";
                        budget.tell(notice);
                        text.into_owned().into()
                    }
                },
                Declared::Plain | Declared::Boolean => text.into_owned().into(),
            }
        }
        ValueRef::Blob(bytes) => {
            budget.take(frame + bytes.len().div_ceil(3) * 4)?;
            STANDARD.encode(bytes).into()
        }
    })
}

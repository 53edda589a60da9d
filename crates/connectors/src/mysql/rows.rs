//! Rows to JSON, as `docs/reference/mysql-types.md` tells.

use std::{fmt::Write as _, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mysql_async::{
    Column, Row, Value as Cell,
    consts::{ColumnFlags, ColumnType},
};
use renkei_core::{Map, Number, Value};

use crate::sql::Budget;

/// What the commas, quotes and braces around a value take.
const FRAME: usize = 4;
/// About what a number takes.
const NUMBER: usize = 12;
/// About what a date or a time takes.
const TIME: usize = 30;
/// The number of the character set `binary`: bytes, not letters.
const BINARY: u16 = 63;
/// What the server says where a time has no fixed number of digits after the second.
const MAX_DECIMALS: u8 = 6;

/// The columns of a result.
#[derive(Debug)]
pub(super) struct Columns(Vec<(Arc<str>, Shape)>);

/// What a column's type makes of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Numbers, and whatever says by itself what it is.
    Plain,
    /// `tinyint(1)`
    Boolean,
    /// Of digits, which are kept.
    Text,
    Bytes,
    Bits,
    Json,
    Date,
    /// With so many digits after the second.
    DateTime(u8),
    Timestamp(u8),
    Time(u8),
}

impl Shape {
    fn of(column: &Column) -> Self {
        use ColumnType::{
            MYSQL_TYPE_BIT as Bit, MYSQL_TYPE_BLOB as Blob, MYSQL_TYPE_DATE as Date,
            MYSQL_TYPE_DATETIME as DateTime, MYSQL_TYPE_DATETIME2 as DateTime2,
            MYSQL_TYPE_DECIMAL as OldDecimal, MYSQL_TYPE_GEOMETRY as Geometry, MYSQL_TYPE_JSON as Json,
            MYSQL_TYPE_NEWDATE as NewDate, MYSQL_TYPE_NEWDECIMAL as Decimal, MYSQL_TYPE_TIME as Time,
            MYSQL_TYPE_TIME2 as Time2, MYSQL_TYPE_TIMESTAMP as Timestamp,
            MYSQL_TYPE_TIMESTAMP2 as Timestamp2, MYSQL_TYPE_TINY as Tiny,
        };
        let decimals = column.decimals();
        match column.column_type() {
            Tiny if column.column_length() == 1 => Shape::Boolean,
            Bit => Shape::Bits,
            Json => Shape::Json,
            Geometry => Shape::Bytes,
            Date | NewDate => Shape::Date,
            DateTime | DateTime2 => Shape::DateTime(decimals),
            Timestamp | Timestamp2 => Shape::Timestamp(decimals),
            Time | Time2 => Shape::Time(decimals),
            Decimal | OldDecimal => Shape::Text,
            Blob if column.character_set() == BINARY => Shape::Bytes,
            // Numbers have this character set, too; but their values are no bytes.
            _ if column.character_set() == BINARY
                && !column.flags().intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG) =>
            {
                Shape::Bytes
            }
            Tiny => Shape::Plain,
            _ => Shape::Text,
        }
    }
}

impl Columns {
    /// The columns of a result; or the name that two of them have.
    pub(super) fn of(columns: &[Column]) -> Result<Columns, String> {
        let mut named: Vec<(Arc<str>, Shape)> = Vec::with_capacity(columns.len());
        for column in columns {
            let name = column.name_str();
            if named.iter().any(|(known, _)| **known == *name) {
                return Err(name.into_owned());
            }
            named.push((name.into(), Shape::of(column)));
        }
        Ok(Columns(named))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn names(&self) -> Value {
        self.0.iter().map(|(name, _)| Value::from(name.clone())).collect::<Vec<_>>().into()
    }

    /// The row as an object. Nothing if it is larger than the budget.
    pub(super) fn row(&self, row: Row, budget: &mut Budget) -> Option<Value> {
        let mut map = Map::with_capacity(self.0.len());
        for ((name, shape), cell) in self.0.iter().zip(row.unwrap_raw()) {
            let value = value(cell.unwrap_or(Cell::NULL), *shape, name.len() + FRAME, budget)?;
            map.insert(name.clone(), value);
        }
        Some(map.into())
    }
}

fn value(cell: Cell, shape: Shape, frame: usize, budget: &mut Budget) -> Option<Value> {
    budget.take(frame)?;
    Some(match (cell, shape) {
        (Cell::NULL, _) => {
            budget.take(FRAME)?;
            Value::Null
        }
        (Cell::Int(int @ (0 | 1)), Shape::Boolean) => {
            budget.take(NUMBER)?;
            Value::Bool(int == 1)
        }
        (Cell::UInt(int @ (0 | 1)), Shape::Boolean) => {
            budget.take(NUMBER)?;
            Value::Bool(int == 1)
        }
        (Cell::Int(int), _) => {
            budget.take(NUMBER)?;
            int.into()
        }
        (Cell::UInt(int), _) => {
            budget.take(NUMBER)?;
            int.into()
        }
        // The shortest digits of the single, not those of the double that it is no closer to.
        (Cell::Float(single), _) => {
            budget.take(NUMBER)?;
            Number::parse(&format!("{single:?}")).map_or_else(|| f64::from(single).into(), Value::Number)
        }
        (Cell::Double(double), _) => {
            budget.take(NUMBER)?;
            double.into()
        }
        (Cell::Bytes(bytes), Shape::Bits) => {
            budget.take(NUMBER)?;
            bytes.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte)).into()
        }
        (Cell::Bytes(bytes), Shape::Bytes) => {
            budget.take(bytes.len().div_ceil(3) * 4)?;
            STANDARD.encode(bytes).into()
        }
        (Cell::Bytes(bytes), shape) => {
            budget.take(bytes.len())?;
            text(bytes, shape, budget)
        }
        (Cell::Date(year, month, day, hour, minute, second, micros), shape) => {
            budget.take(TIME)?;
            date((year, month, day), (hour, minute, second, micros), shape).into()
        }
        (Cell::Time(negative, days, hours, minutes, seconds, micros), shape) => {
            budget.take(TIME)?;
            let decimals = match shape {
                Shape::Time(decimals) => decimals,
                _ => MAX_DECIMALS + 1,
            };
            let sign = if negative { "-" } else { "" };
            let hours = u64::from(days) * 24 + u64::from(hours);
            let mut text = format!("{sign}{hours:02}:{minutes:02}:{seconds:02}");
            fraction(&mut text, micros, decimals);
            text.into()
        }
    })
}

fn text(bytes: Vec<u8>, shape: Shape, budget: &mut Budget) -> Value {
    if shape == Shape::Json {
        match Value::from_json(&bytes) {
            Ok(value) => return value,
            Err(_) => budget.tell("a JSON value that is nested too deeply is given as a string"),
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(broken) => {
            budget.tell("bytes in a text that are not UTF-8 are given as \u{fffd}");
            String::from_utf8_lossy(broken.as_bytes()).into_owned().into()
        }
    }
}

/// As ISO 8601 writes it; `0000-00-00` and the like as they are.
fn date((year, month, day): (u16, u8, u8), time: (u8, u8, u8, u32), shape: Shape) -> String {
    let mut text = format!("{year:04}-{month:02}-{day:02}");
    let (decimals, zone) = match shape {
        Shape::Date => return text,
        Shape::DateTime(decimals) => (decimals, ""),
        // The session's time zone is UTC.
        Shape::Timestamp(decimals) => (decimals, "Z"),
        _ => (MAX_DECIMALS + 1, ""),
    };
    let (hour, minute, second, micros) = time;
    let _ = write!(text, "T{hour:02}:{minute:02}:{second:02}");
    fraction(&mut text, micros, decimals);
    text + zone
}

/// As many digits as the column has. Where their number is not fixed, as many as the value has.
fn fraction(text: &mut String, micros: u32, decimals: u8) {
    let digits = format!("{micros:06}");
    if decimals > MAX_DECIMALS {
        let digits = digits.trim_end_matches('0');
        if !digits.is_empty() {
            let _ = write!(text, ".{digits}");
        }
    } else if decimals > 0 {
        let _ = write!(text, ".{}", &digits[..usize::from(decimals)]);
    }
}

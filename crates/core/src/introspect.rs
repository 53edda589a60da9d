//! What a database says of itself: its tables, and how SQL is written for it.
//!
//! Filled in by the connectors that can, read by whoever writes a config from it. Names are as the database has
//! them, unquoted; sequences keep the database's order.

use async_trait::async_trait;

use crate::{CallContext, Result};

/// A connection that can say which tables are there.
#[async_trait]
pub trait Introspect: Send + Sync {
    /// Whether the system refuses changes.
    fn is_read_only(&self) -> bool;

    /// How SQL is written for the database that is connected.
    fn grammar(&self) -> Grammar;

    /// All tables and views that can be read, by schema and name; none of the database's own.
    ///
    /// # Errors
    /// A database that cannot be asked, or more than [`MAX_TABLES`] of them.
    async fn tables(&self, cx: &CallContext) -> Result<Vec<TableName>>;

    /// One of them in full.
    ///
    /// # Errors
    /// A database that cannot be asked, a table that has gone, or one of more than [`MAX_COLUMNS`] columns.
    async fn describe(&self, cx: &CallContext, table: &TableName) -> Result<Table>;
}

/// The most tables that a database may have to be listed.
pub const MAX_TABLES: usize = 10_000;
/// The most columns that a table may have to be described. Indexes and foreign keys have the same limit.
pub const MAX_COLUMNS: usize = 2_000;

/// How SQL is written for one kind of database.
#[derive(Clone, Debug)]
pub struct Grammar {
    /// As people call it.
    pub name: &'static str,
    /// What stands around a name that is a keyword or has special characters; doubled inside.
    pub quote: char,
    /// Whether a name in capitals is another one without its quotation marks.
    pub folds_case: bool,
    /// Whether a changed row comes back with `returning`.
    pub returning: Returning,
    /// Whether an object or a list is bound as it is; else as its JSON text.
    pub structures: bool,
    /// A condition: `column` contains `value`, whether in capitals or not.
    pub contains: fn(column: &str, value: &str) -> String,
    /// An item of `order by` that is the same for two rows only if they show the same value.
    pub exact_order: fn(column: &str, kind: &ValueType) -> String,
}

/// Which statements may have `returning`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returning {
    pub insert: bool,
    pub update: bool,
}

/// The name of a table or view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    pub schema: Option<String>,
    pub name: String,
    /// Whether the connection finds it without the schema.
    pub is_visible: bool,
}

/// A table or view.
#[derive(Clone, Debug)]
pub struct Table {
    pub name: TableName,
    /// Whether rows can only be read.
    pub is_view: bool,
    pub comment: Option<String>,
    pub columns: Vec<Column>,
    /// Names of columns; empty where there is none.
    pub primary_key: Vec<String>,
    /// Further keys, each of one or more columns.
    pub unique_keys: Vec<Vec<String>>,
    pub foreign_keys: Vec<ForeignKey>,
    /// The columns of each index that can find and sort rows, keys included.
    pub indexes: Vec<Vec<String>>,
    /// A name that the database gives to a row of every table and that orders all rows, such as SQLite's `rowid`.
    pub row_id: Option<&'static str>,
}

impl Table {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    /// As the database calls it: `numeric(10,2)`.
    pub type_name: String,
    /// What its values are as JSON, which the connector's table of types says.
    pub kind: ValueType,
    pub nullable: bool,
    /// What the database takes without a value: an expression in its SQL.
    pub default: Option<String>,
    /// Whether the database makes the value itself: an identity, or computed from others.
    pub is_generated: bool,
    pub comment: Option<String>,
    /// The only values that it may have, of an enumeration.
    pub choices: Vec<String>,
}

/// References from columns to those of another table.
#[derive(Clone, Debug)]
pub struct ForeignKey {
    pub columns: Vec<String>,
    pub schema: Option<String>,
    pub table: String,
}

/// What a value is as JSON, and what can be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueType {
    Boolean,
    Integer,
    /// A number with a fraction, exact or not.
    Number,
    Text,
    Uuid,
    /// `2026-01-31`
    Date,
    /// A time of day.
    Time,
    /// A date and time without a zone: `2026-01-31T10:00:00`.
    LocalTime,
    /// A moment: `2026-01-31T10:00:00Z`.
    Instant,
    /// A date or time in whatever form it was stored.
    StoredTime,
    /// Any JSON.
    Json,
    Array(Box<ValueType>),
    /// An object of the database's own form, such as a range.
    Structure,
    /// Bytes, as base64.
    Binary,
    /// A text of the database's own form; or what its type does not tell.
    Other,
}

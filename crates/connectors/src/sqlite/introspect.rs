//! Which tables are there: the pragmas that tell of tables, on one of the system's own threads.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{
    CallContext, Error, Kind, Map, Result, Value,
    introspect::{
        Column, ForeignKey, Grammar, Introspect, MAX_COLUMNS, MAX_TABLES, Returning, Table, TableName,
        ValueType,
    },
};
use rusqlite::{Connection, OptionalExtension as _, Row, types::ValueRef};

use super::{
    call::SqliteCall,
    pool::{Job, Pool},
    run::Work,
};
use crate::sql::{
    Check, Says,
    catalog::{flag, name, text},
    checks,
    dialect::SQLITE,
};

/// The pragmas that a question asks; all others stay refused.
pub(super) const PRAGMAS: &[&str] =
    &["table_list", "table_xinfo", "index_list", "index_xinfo", "foreign_key_list"];

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) enum Question {
    Tables,
    Table(String),
}

/// Asks, on the thread that has the connection. Each row of a pragma is an object.
pub(super) fn answer(connection: &Connection, question: &Question) -> rusqlite::Result<Value> {
    let ask = |pragma: &str, of: &str| {
        let mut rows = Vec::new();
        connection.pragma(None, pragma, of, |row| {
            // One too many says that there are too many.
            if rows.len() <= MAX_TABLES {
                rows.push(object(row)?);
            }
            Ok(())
        })?;
        Ok::<_, rusqlite::Error>(rows)
    };
    match question {
        Question::Tables => {
            let mut statement = connection.prepare("pragma main.table_list")?;
            let rows = statement.query_map([], object)?.take(MAX_TABLES + 1);
            Ok(rows.collect::<rusqlite::Result<Vec<Value>>>()?.into())
        }
        Question::Table(table) => {
            let mut indexes = Vec::new();
            for index in ask("index_list", table)?.into_iter().take(MAX_COLUMNS) {
                let parts = ask("index_xinfo", &name(&index, "name"))?;
                indexes.push(Value::from([("index", index), ("parts", parts.into())]));
            }
            let made = "select sql from main.sqlite_schema where name = ?1";
            let made: Option<String> =
                connection.query_row(made, [table], |row| row.get(0)).optional()?.flatten();
            Ok(Value::from([
                ("sql", Value::from(made)),
                ("table", Value::from(ask("table_list", table)?)),
                ("columns", ask("table_xinfo", table)?.into()),
                ("indexes", indexes.into()),
                ("foreign_keys", ask("foreign_key_list", table)?.into()),
            ]))
        }
    }
}

fn object(row: &Row<'_>) -> rusqlite::Result<Value> {
    let columns: Vec<String> = row.as_ref().column_names().map(str::to_owned).collect();
    let mut map = Map::new();
    for (at, name) in columns.into_iter().enumerate() {
        let value = match row.get_ref(at)? {
            ValueRef::Integer(number) => number.into(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
            // None of these pragmas gives others.
            ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => Value::Null,
        };
        map.insert(name.into(), value);
    }
    Ok(map.into())
}

/// The tables of one connected file.
pub(super) struct Schema {
    call: Arc<SqliteCall>,
}

impl Schema {
    pub(super) fn new(call: Arc<SqliteCall>) -> Schema {
        Schema { call }
    }

    fn pool(&self) -> &Pool {
        self.call.pool()
    }

    async fn ask(&self, cx: &CallContext, question: Question) -> Result<Value> {
        let (deadline, attempt) = (cx.deadline.into_std(), cx.attempt.clone());
        let job = Job { work: Work::Catalog(question), deadline, attempt, listener: None };
        Ok(self.pool().run(job).await?.value.into_value())
    }

    fn too_many(&self, what: &str) -> Error {
        Error::invalid(format!("read `{}`: there are more {what}", self.pool().place().system))
    }
}

#[async_trait]
impl Introspect for Schema {
    fn is_read_only(&self) -> bool {
        self.pool().place().config.read_only
    }

    fn grammar(&self) -> Grammar {
        Grammar {
            name: "SQLite",
            quote: '"',
            folds_case: false,
            returning: Returning { insert: true, update: true },
            structures: false,
            contains: |column, value| format!("instr(lower({column}), lower({value})) > 0"),
            exact_order: |column, kind| match kind {
                ValueType::Boolean | ValueType::Integer | ValueType::Number => column.to_owned(),
                // The column may have another.
                _ => format!("{column} collate binary"),
            },
        }
    }

    async fn tables(&self, cx: &CallContext) -> Result<Vec<TableName>> {
        let told = self.ask(cx, Question::Tables).await?;
        let rows = told.as_array().unwrap_or_default();
        if rows.len() > MAX_TABLES {
            return Err(self.too_many(&format!("than {MAX_TABLES} tables")));
        }
        let mut tables: Vec<TableName> = rows
            .iter()
            .filter(|row| name(row, "schema") == "main" && name(row, "type") != "shadow")
            .map(|row| TableName { schema: None, name: name(row, "name"), is_visible: true })
            .filter(|table| !table.name.starts_with("sqlite_"))
            .collect();
        tables.sort();
        Ok(tables)
    }

    async fn describe(&self, cx: &CallContext, table: &TableName) -> Result<Table> {
        let told = self.ask(cx, Question::Table(table.name.clone())).await?;
        let rows = |key: &str| told.get(key).and_then(Value::as_array).unwrap_or_default();
        let columns = rows("columns");
        if columns.is_empty() {
            let (system, name) = (&self.pool().place().system, &table.name);
            return Err(Error::new(Kind::NotFound, format!("read `{system}`: the table `{name}` has gone")));
        }
        if columns.len() > MAX_COLUMNS {
            return Err(self.too_many(&format!("than {MAX_COLUMNS} columns in `{}`", table.name)));
        }
        let about = rows("table").iter().find(|row| name(row, "schema") == "main");
        let is_table = about.is_some_and(|row| name(row, "type") == "table");
        let has_row_id = is_table && !about.is_some_and(|row| flag(row, "wr"));
        let checks = checks(told.get("sql").and_then(Value::as_str).unwrap_or_default(), &SQLITE);
        let mut described =
            assemble(table, columns, rows("indexes"), rows("foreign_keys"), is_table, has_row_id);
        for column in described.columns.iter_mut().filter(|column| column.kind == ValueType::Text) {
            let own = checks.iter().find(|check| check.column.eq_ignore_ascii_case(&column.name));
            if let Some(Check { says: Says::Texts(texts), .. }) = own {
                column.choices = texts.clone();
            }
        }
        Ok(described)
    }
}

fn assemble(
    table: &TableName,
    columns: &[Value],
    indexes: &[Value],
    foreign_keys: &[Value],
    is_table: bool,
    has_row_id: bool,
) -> Table {
    let place = |row: &Value| row.get("pk").and_then(Value::as_i64).unwrap_or_default();
    let mut key: Vec<&Value> = columns.iter().filter(|row| place(row) > 0).collect();
    key.sort_by_key(|row| place(row));
    // "ROWIDs and the INTEGER PRIMARY KEY": then the column is the row's own number.
    let is_number =
        has_row_id && matches!(&key[..], [only] if name(only, "type").eq_ignore_ascii_case("integer"));
    let primary_key: Vec<String> = key.iter().map(|row| name(row, "name")).collect();
    let mut all: Vec<Vec<String>> = Vec::new();
    if is_number {
        all.push(primary_key.clone());
    }
    all.extend(indexes.iter().filter(|index| !is_partial(index)).filter_map(parts));
    let unique = |index: &&Value| {
        let of = |key: &str| index.get("index").map(|index| (flag(index, key), name(index, "origin")));
        !is_partial(index) && of("unique").is_some_and(|(unique, origin)| unique && origin != "pk")
    };
    let visible: Vec<Column> = columns
        .iter()
        // Arguments and ranks of virtual tables.
        .filter(|row| row.get("hidden").and_then(Value::as_i64) != Some(1))
        .map(|row| column(row, is_number, has_row_id))
        .collect();
    let taken = |name: &str| visible.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    Table {
        row_id: ["rowid", "_rowid_", "oid"].into_iter().find(|name| has_row_id && !taken(name)),
        name: table.clone(),
        is_view: !is_table,
        comment: None,
        primary_key,
        unique_keys: indexes.iter().filter(unique).filter_map(parts).collect(),
        foreign_keys: references(foreign_keys),
        indexes: all,
        columns: visible,
    }
}

fn is_partial(index: &Value) -> bool {
    index.get("index").is_some_and(|index| flag(index, "partial"))
}

/// The columns of an index; nothing where one is an expression.
fn parts(index: &Value) -> Option<Vec<String>> {
    let parts = index.get("parts")?.as_array()?;
    parts.iter().filter(|part| flag(part, "key")).map(|part| text(part, "name")).collect()
}

fn references(rows: &[Value]) -> Vec<ForeignKey> {
    let mut found: Vec<(i64, ForeignKey)> = Vec::new();
    for row in rows {
        let id = row.get("id").and_then(Value::as_i64).unwrap_or_default();
        match found.iter_mut().find(|(known, _)| *known == id) {
            Some((_, key)) => key.columns.push(name(row, "from")),
            None => {
                let columns = vec![name(row, "from")];
                found.push((id, ForeignKey { columns, schema: None, table: name(row, "table") }));
            }
        }
    }
    found.sort_by_key(|(id, _)| *id);
    found.into_iter().map(|(_, key)| key).collect()
}

fn column(row: &Value, is_number: bool, has_row_id: bool) -> Column {
    let type_name = name(row, "type");
    let in_key = row.get("pk").and_then(Value::as_i64).is_some_and(|place| place > 0);
    // 2 and 3: computed from other columns.
    let computed = row.get("hidden").and_then(Value::as_i64).is_some_and(|hidden| hidden > 1);
    // Only without a row number of its own does a key refuse NULL.
    let never_null = flag(row, "notnull") || in_key && (is_number || !has_row_id);
    Column {
        name: name(row, "name"),
        kind: kind(&type_name),
        type_name,
        nullable: !never_null,
        default: text(row, "dflt_value").filter(|default| !default.eq_ignore_ascii_case("null")),
        is_generated: computed || in_key && is_number,
        comment: None,
        choices: Vec::new(),
    }
}

/// By the declaration, as SQLite finds the affinity ("3.1. Determination Of Column Affinity"), and what
/// `docs/reference/sqlite-types.md` adds.
fn kind(declared: &str) -> ValueType {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    match declared.as_str() {
        "BOOLEAN" | "BOOL" => ValueType::Boolean,
        "JSON" => ValueType::Json,
        _ if has(&["INT"]) => ValueType::Integer,
        _ if has(&["CHAR", "CLOB", "TEXT", "UUID"]) => ValueType::Text,
        _ if has(&["BLOB", "BINARY"]) => ValueType::Binary,
        _ if has(&["DATE", "TIME"]) => ValueType::StoredTime,
        _ if has(&["REAL", "FLOA", "DOUB", "DEC", "NUM"]) => ValueType::Number,
        _ => ValueType::Other,
    }
}

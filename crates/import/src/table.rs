//! A table as its tools need it: what of it can be written down, under which names, and what orders its rows.

use renkei_core::introspect::{Column, Grammar, Table, ValueType};

use crate::{
    arguments::{can_be_compared, is_time},
    names::{Taken, plural, singular, snake},
    words::{can_be_written, quoted},
};

/// A column that a config can name.
#[derive(Clone, Debug)]
pub(crate) struct Field<'t> {
    pub(crate) column: &'t Column,
    /// As SQL.
    pub(crate) sql: String,
    /// As an argument.
    pub(crate) argument: String,
}

/// What decides the order of rows, and finds one.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    /// Columns that are never null and never the same twice: indexes of fields.
    Columns(Vec<usize>),
    /// A name of the database's own for each row.
    Row(&'static str),
    /// All that is shown: two rows may look the same, and then it does not matter which comes first.
    Shown,
}

/// A table with names for everything.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'t> {
    pub(crate) table: &'t Table,
    pub(crate) grammar: &'t Grammar,
    /// As SQL, with the schema where it is needed.
    pub(crate) sql: String,
    /// For one row, and for several: `order_item`, `order_items`.
    pub(crate) one: String,
    pub(crate) many: String,
    pub(crate) fields: Vec<Field<'t>>,
    /// Names of columns that a config cannot hold.
    pub(crate) unnamed: usize,
    pub(crate) key: Key,
}

/// Arguments of list tools that are no columns.
const OWN_ARGUMENTS: &[&str] = &["order", "limit", "offset"];

impl<'t> Subject<'t> {
    /// Nothing where the table, or all of its columns, have names that a config cannot hold.
    pub(crate) fn of(table: &'t Table, grammar: &'t Grammar, nouns: &mut Taken) -> Option<Subject<'t>> {
        let name = &table.name;
        let schema = name.schema.as_ref().filter(|_| !name.is_visible);
        if !can_be_written(&name.name) || schema.is_some_and(|schema| !can_be_written(schema)) {
            return None;
        }
        let mut arguments = Taken::with(OWN_ARGUMENTS);
        let fields: Vec<Field<'_>> = table
            .columns
            .iter()
            .filter(|column| can_be_written(&column.name))
            .map(|column| Field {
                column,
                sql: quoted(&column.name, grammar),
                argument: arguments.give(&snake(&column.name), "column"),
            })
            .collect();
        if fields.iter().all(|field| field.column.kind == ValueType::Binary) {
            return None;
        }
        let base = match schema {
            Some(schema) => snake(&format!("{schema}_{}", name.name)),
            None => snake(&name.name),
        };
        let noun = singular(&base);
        let one = nouns.give(&noun, "row");
        let many = match one.strip_prefix(&noun) {
            Some(number) if !noun.is_empty() => format!("{}{number}", plural(&noun)),
            _ => one.clone(),
        };
        let table_sql = quoted(&name.name, grammar);
        let sql = match schema {
            Some(schema) => format!("{}.{table_sql}", quoted(schema, grammar)),
            None => table_sql,
        };
        let unnamed = table.columns.len() - fields.len();
        let mut subject = Subject { table, grammar, sql, one, many, fields, unnamed, key: Key::Shown };
        subject.key = subject.find_key();
        Some(subject)
    }

    /// The primary key, else another key whose columns are never null.
    fn find_key(&self) -> Key {
        let keys = std::iter::once(&self.table.primary_key).chain(&self.table.unique_keys);
        let mut keys = keys.filter_map(|names| {
            let columns = names.iter().map(|name| self.position(name)).collect::<Option<Vec<usize>>>()?;
            let sound = !columns.is_empty() && columns.iter().all(|at| !self.fields[*at].column.nullable);
            sound.then_some(columns)
        });
        match (keys.next(), self.table.row_id) {
            (Some(columns), _) => Key::Columns(columns),
            (None, Some(row)) => Key::Row(row),
            (None, None) => Key::Shown,
        }
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.column.name == name)
    }

    /// The columns that find one row, where values for them can be given.
    pub(crate) fn finder(&self) -> Option<Vec<&Field<'t>>> {
        // A primary key that may be null finds a row, too, though it does not order all of them.
        let columns = match &self.key {
            Key::Columns(columns) => columns.clone(),
            _ if self.table.primary_key.is_empty() => return None,
            _ => self.table.primary_key.iter().map(|name| self.position(name)).collect::<Option<_>>()?,
        };
        let fields: Vec<&Field<'t>> = columns.into_iter().map(|at| &self.fields[at]).collect();
        fields.iter().all(|field| can_be_compared(&field.column.kind)).then_some(fields)
    }

    /// Whether the column is all of the key by which one row is got.
    pub(crate) fn is_whole_key(&self, field: &Field<'_>) -> bool {
        self.finder().is_some_and(|key| matches!(&key[..], [only] if only.column.name == field.column.name))
    }

    /// Whether an index finds and sorts by the column alone.
    pub(crate) fn is_indexed(&self, field: &Field<'_>) -> bool {
        self.table.indexes.iter().any(|index| index.first() == Some(&field.column.name))
    }

    /// Whether the column alone is a key.
    pub(crate) fn is_unique(&self, field: &Field<'_>) -> bool {
        let alone = |key: &Vec<String>| matches!(&key[..], [only] if *only == field.column.name);
        self.table.unique_keys.iter().any(alone) || alone(&self.table.primary_key)
    }

    /// The table that the column refers to.
    pub(crate) fn refers_to(&self, field: &Field<'_>) -> Option<&'t str> {
        let key = self.table.foreign_keys.iter().find(|key| key.columns.contains(&field.column.name))?;
        Some(&key.table)
    }

    /// What is selected: all but bytes.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &Field<'t>> {
        self.fields.iter().filter(|field| field.column.kind != ValueType::Binary)
    }

    /// Bytes, which would fill a model's context.
    pub(crate) fn hidden(&self) -> impl Iterator<Item = &Field<'t>> {
        self.fields.iter().filter(|field| field.column.kind == ValueType::Binary)
    }

    /// Items of `order by` that leave no two rows in doubt.
    pub(crate) fn total_order(&self) -> Vec<String> {
        match &self.key {
            Key::Columns(columns) => columns.iter().map(|at| self.fields[*at].sql.clone()).collect(),
            Key::Row(row) => vec![(*row).to_owned()],
            Key::Shown => {
                let exact = self.grammar.exact_order;
                self.shown().map(|field| exact(&field.sql, &field.column.kind)).collect()
            }
        }
    }

    /// Whether it is worth sorting by.
    pub(crate) fn sorts(&self, field: &Field<'_>) -> bool {
        let kind = &field.column.kind;
        self.is_indexed(field)
            && (is_time(kind) || matches!(kind, ValueType::Integer | ValueType::Number | ValueType::Text))
            && self.refers_to(field).is_none()
            && field.column.choices.is_empty()
    }

    /// In sentences: `order item`.
    pub(crate) fn noun(&self) -> String {
        self.one.replace('_', " ")
    }

    /// At the beginning of one: `Order items`.
    pub(crate) fn heading(&self) -> String {
        capital(&self.many.replace('_', " "))
    }
}

/// With a capital first letter.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

//! Which tables are there, from `information_schema`.

use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use renkei_core::{
    Call, CallContext, Error, Kind, Result, System, Value,
    introspect::{
        Column, ForeignKey, Grammar, Introspect, MAX_COLUMNS, Returning, Table, TableName, ValueType,
    },
};

use super::open::Flavour;
use crate::sql::{
    Check, Says,
    catalog::{Question, flag, name, text},
    check,
    dialect::MYSQL,
};

// MySQL gives the names of these columns in capitals where no other name is asked for.

const TABLES: &str = "
    select table_schema as schema_name, table_name as found_name,
      coalesce(table_schema = database(), 0) as is_visible
    from information_schema.tables
    where table_schema not in ('mysql', 'sys', 'information_schema', 'performance_schema')
      and table_type in ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
    order by 1, 2";

const TABLE: &str = "
    select table_type = 'VIEW' as is_view, table_comment as found_comment
    from information_schema.tables
    where table_schema = ${.schema} and table_name = ${.name}";

const COLUMNS: &str = "
    select column_name as found_name, data_type as found_type, column_type as type_name,
      is_nullable as nullable, column_default as default_value, extra as extra_words,
      column_comment as found_comment, numeric_scale as scale, generation_expression as computed
    from information_schema.columns
    where table_schema = ${.schema} and table_name = ${.name}
    order by ordinal_position";

const INDEXES: &str = "
    select index_name as found_index, non_unique = 0 as is_unique, column_name as found_name,
      sub_part as prefix, index_type as found_type
    from information_schema.statistics
    where table_schema = ${.schema} and table_name = ${.name}
    order by index_name = 'PRIMARY' desc, index_name, seq_in_index";

const FOREIGN_KEYS: &str = "
    select constraint_name as found_key, column_name as found_name,
      referenced_table_schema as to_schema, referenced_table_name as to_table
    from information_schema.key_column_usage
    where table_schema = ${.schema} and table_name = ${.name} and referenced_table_name is not null
    order by constraint_name, ordinal_position";

/// What MariaDB checks: its JSON is a text with such a check.
const CHECKS: &str = "
    select check_clause as clause
    from information_schema.check_constraints
    where constraint_schema = ${.schema} and table_name = ${.name}
    order by constraint_name";

/// The tables of one connected server.
pub(super) struct Schema {
    system: Arc<str>,
    call: Arc<dyn Call>,
    is_read_only: bool,
    flavour: Flavour,
    tables: Question,
    table: Question,
    columns: Question,
    indexes: Question,
    foreign_keys: Question,
    /// Only MariaDB says which table they belong to.
    checks: Option<Question>,
}

impl Schema {
    pub(super) fn new(
        name: &Arc<str>,
        system: &dyn System,
        call: Arc<dyn Call>,
        is_read_only: bool,
        flavour: Flavour,
    ) -> Result<Schema> {
        let question = |sql| Question::new(system, sql);
        Ok(Schema {
            system: name.clone(),
            call,
            is_read_only,
            flavour,
            tables: question(TABLES)?,
            table: question(TABLE)?,
            columns: question(COLUMNS)?,
            indexes: question(INDEXES)?,
            foreign_keys: question(FOREIGN_KEYS)?,
            checks: if flavour == Flavour::MariaDb { Some(question(CHECKS)?) } else { None },
        })
    }
}

#[async_trait]
impl Introspect for Schema {
    fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    fn grammar(&self) -> Grammar {
        let mariadb = self.flavour == Flavour::MariaDb;
        Grammar {
            name: if mariadb { "MariaDB" } else { "MySQL" },
            quote: '`',
            folds_case: false,
            returning: Returning { insert: mariadb, update: false },
            structures: false,
            // The column's collation says which letters are the same.
            contains: |column, value| format!("locate({value}, {column}) > 0"),
            // To most collations `a` and `A` are the same.
            exact_order: |column, kind| match kind {
                ValueType::Text | ValueType::Json | ValueType::Other => format!("binary {column}"),
                _ => column.to_owned(),
            },
        }
    }

    async fn tables(&self, cx: &CallContext) -> Result<Vec<TableName>> {
        let rows = self.tables.ask(&*self.call, cx, &[]).await?;
        Ok(rows
            .iter()
            .map(|row| TableName {
                schema: text(row, "schema_name"),
                name: name(row, "found_name"),
                is_visible: flag(row, "is_visible"),
            })
            .collect())
    }

    async fn describe(&self, cx: &CallContext, table: &TableName) -> Result<Table> {
        let place = [table.schema.as_deref().unwrap_or_default(), &table.name];
        let told = self.table.ask(&*self.call, cx, &place).await?;
        let Some(told) = told.first() else {
            let (system, name) = (&self.system, &table.name);
            return Err(Error::new(Kind::NotFound, format!("read `{system}`: the table `{name}` has gone")));
        };
        let columns = self.columns.ask(&*self.call, cx, &place).await?;
        if columns.len() > MAX_COLUMNS {
            let (system, name) = (&self.system, &table.name);
            let text = format!("read `{system}`: the table `{name}` has more than {MAX_COLUMNS} columns");
            return Err(Error::invalid(text));
        }
        let rows = self.indexes.ask(&*self.call, cx, &place).await?;
        let indexes = grouped(&rows, "found_index");
        let rows = self.foreign_keys.ask(&*self.call, cx, &place).await?;
        let foreign_keys = grouped(&rows, "found_key");
        let checks: Vec<Check> = match &self.checks {
            Some(question) => {
                let rows = question.ask(&*self.call, cx, &place).await?;
                rows.iter().filter_map(|row| check(&name(row, "clause"), &MYSQL)).collect()
            }
            None => Vec::new(),
        };
        let keys = |is_primary: bool| {
            indexes.iter().filter(move |(name, parts)| {
                (name.as_str() == "PRIMARY") == is_primary && parts.iter().all(|part| flag(part, "is_unique"))
            })
        };
        let is_view = flag(told, "is_view");
        Ok(Table {
            name: table.clone(),
            is_view,
            // Of a view the server says just `VIEW`.
            comment: text(told, "found_comment").filter(|_| !is_view),
            columns: columns.iter().map(|row| column(row, self.flavour, &checks)).collect(),
            primary_key: keys(true).find_map(|(_, parts)| whole_columns(parts)).unwrap_or_default(),
            unique_keys: keys(false).filter_map(|(_, parts)| whole_columns(parts)).collect(),
            foreign_keys: foreign_keys
                .values()
                .filter_map(|parts| {
                    let first = parts.first()?;
                    Some(ForeignKey {
                        columns: parts.iter().map(|part| name(part, "found_name")).collect(),
                        schema: text(first, "to_schema"),
                        table: name(first, "to_table"),
                    })
                })
                .collect(),
            indexes: indexes
                .values()
                .filter(|parts| parts.iter().all(|part| name(part, "found_type") == "BTREE"))
                .filter_map(|parts| whole_columns(parts))
                .collect(),
            row_id: None,
        })
    }
}

/// The rows by what they say under `key`, in their order.
fn grouped<'r>(rows: &'r [Value], key: &str) -> IndexMap<String, Vec<&'r Value>> {
    let mut groups: IndexMap<String, Vec<&Value>> = IndexMap::new();
    for row in rows {
        groups.entry(name(row, key)).or_default().push(row);
    }
    groups
}

/// The columns of an index. Nothing where it holds an expression, or only the beginning of a text.
fn whole_columns(parts: &[&Value]) -> Option<Vec<String>> {
    let whole = |part: &&Value| part.get("prefix").is_none_or(Value::is_null);
    let whole = |part: &&Value| text(part, "found_name").filter(|_| whole(part));
    parts.iter().map(whole).collect()
}

fn column(row: &Value, flavour: Flavour, checks: &[Check]) -> Column {
    let (column_name, type_name) = (name(row, "found_name"), name(row, "type_name"));
    let mut own = checks.iter().filter(|check| check.column.eq_ignore_ascii_case(&column_name));
    let word = match own.clone().any(|check| check.says == Says::Json) {
        true => "json".into(),
        false => name(row, "found_type"),
    };
    let extra = name(row, "extra_words").to_ascii_lowercase();
    let computed = text(row, "computed").is_some()
        || ["virtual generated", "stored generated", "virtual", "persistent"].contains(&extra.as_str());
    let choices = match word.as_str() {
        "enum" => words(&type_name),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
            let texts = own.find_map(|check| match &check.says {
                Says::Texts(texts) => Some(texts.clone()),
                Says::Json => None,
            });
            texts.unwrap_or_default()
        }
        _ => Vec::new(),
    };
    Column {
        name: column_name,
        kind: kind(&word, &type_name, row.get("scale").and_then(Value::as_i64)),
        type_name,
        nullable: flag(row, "nullable"),
        default: default(row.get("default_value").and_then(Value::as_str), &extra, flavour),
        is_generated: computed || extra.contains("auto_increment"),
        comment: text(row, "found_comment"),
        choices,
    }
}

/// As SQL. MariaDB gives an expression; MySQL a value as it is, or an expression and says so.
fn default(told: Option<&str>, extra: &str, flavour: Flavour) -> Option<String> {
    let told = told?;
    match flavour {
        Flavour::MariaDb => Some(told.to_owned()).filter(|told| !told.eq_ignore_ascii_case("null")),
        Flavour::MySql if extra.contains("default_generated") => Some(told.to_owned()),
        Flavour::MySql => Some(format!("'{}'", told.replace('\\', "\\\\").replace('\'', "''"))),
    }
}

/// The words of `enum('a','b''c')`.
fn words(type_name: &str) -> Vec<String> {
    let inside = type_name.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
    let mut words = Vec::new();
    let mut letters = inside.chars().peekable();
    while letters.any(|letter| letter == '\'') {
        let mut word = String::new();
        while let Some(letter) = letters.next() {
            match letter {
                '\'' if letters.peek() != Some(&'\'') => break,
                '\'' => {
                    letters.next();
                    word.push('\'');
                }
                _ => word.push(letter),
            }
        }
        words.push(word);
    }
    words
}

/// As `docs/reference/mysql-types.md` has it.
fn kind(word: &str, type_name: &str, scale: Option<i64>) -> ValueType {
    match word {
        "tinyint" if type_name.starts_with("tinyint(1)") && !type_name.contains("unsigned") => {
            ValueType::Boolean
        }
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" | "bit" => ValueType::Integer,
        "decimal" if scale == Some(0) => ValueType::Integer,
        "decimal" | "float" | "double" => ValueType::Number,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" | "inet4"
        | "inet6" => ValueType::Text,
        "uuid" => ValueType::Uuid,
        "date" => ValueType::Date,
        "time" => ValueType::Time,
        "datetime" => ValueType::LocalTime,
        "timestamp" => ValueType::Instant,
        "json" => ValueType::Json,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "geometry" | "point"
        | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" | "geomcollection" | "vector" => ValueType::Binary,
        _ => ValueType::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enumerations_and_defaults() {
        assert_eq!(words("enum('a','b''c','')"), ["a", "b'c", ""]);
        assert_eq!(default(Some("it's"), "", Flavour::MySql).unwrap(), "'it''s'");
        assert_eq!(default(Some("now()"), "default_generated", Flavour::MySql).unwrap(), "now()");
        assert_eq!(default(Some("NULL"), "", Flavour::MariaDb), None);
        assert_eq!(default(Some("'x'"), "", Flavour::MariaDb).unwrap(), "'x'");
    }
}

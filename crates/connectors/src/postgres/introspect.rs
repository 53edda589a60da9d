//! Which tables are there, from `pg_catalog` ("53. System Catalogs").

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{
    Call, CallContext, Error, Kind, Result, System, Value,
    introspect::{
        Column, ForeignKey, Grammar, Introspect, MAX_COLUMNS, Returning, Table, TableName, ValueType,
    },
};

use crate::sql::{
    Says,
    catalog::{Question, flag, name, text, texts},
    check,
    dialect::POSTGRES,
};

const TABLES: &str = "
    select n.nspname as schema_name, c.relname as table_name, pg_table_is_visible(c.oid) as is_visible
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
      and n.nspname <> 'information_schema' and left(n.nspname, 3) <> 'pg_'
      and has_schema_privilege(n.oid, 'usage') and has_any_column_privilege(c.oid, 'select')
      and not exists (select from pg_depend d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    order by 1, 2";

const TABLE: &str = "
    select c.relkind in ('v', 'm') as is_view, obj_description(c.oid, 'pg_class') as comment
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${.schema} and c.relname = ${.name}";

/// `attgenerated` is younger than some servers, so it is asked for as a member of the row's JSON.
const COLUMNS: &str = "
    select a.attname as column_name, format_type(a.atttypid, a.atttypmod) as type_name,
      case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod)
        else format_type(a.atttypid, a.atttypmod) end as base_name,
      b.typtype::text as base_kind, (b.typcategory = 'A' and b.typelem <> 0) as is_array,
      format_type(b.typelem, null) as element_name, e.typtype::text as element_kind,
      not (a.attnotnull or t.typnotnull) as nullable,
      coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault) as default_value,
      (a.attidentity::text <> '' or coalesce(to_jsonb(a) ->> 'attgenerated', '') <> '') as is_generated,
      col_description(a.attrelid, a.attnum) as comment,
      array(select l.enumlabel::text from pg_enum l where l.enumtypid = b.oid order by l.enumsortorder) as choices
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_type t on t.oid = a.atttypid
    join pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
    left join pg_type e on e.oid = b.typelem
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where n.nspname = ${.schema} and c.relname = ${.name} and a.attnum > 0 and not a.attisdropped
      and has_column_privilege(c.oid, a.attnum, 'select')
    order by a.attnum";

/// Of the table, each of one column, and of the domains of its columns, which say `VALUE`. One that is not valid says
/// nothing of the rows that are there.
const CHECKS: &str = "
    select a.attname as column_name, f.contypid <> 0 as of_domain, pg_get_constraintdef(f.oid) as clause
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_constraint f on f.contype = 'c' and f.convalidated
      and (f.conrelid = c.oid and f.conkey = array[a.attnum] or f.contypid = a.atttypid)
    where n.nspname = ${.schema} and c.relname = ${.name}
    order by a.attnum, f.conname";

/// Included columns of an index do not count; a partial one is no key of the whole table.
const INDEXES: &str = "
    select i.indisprimary as is_primary, i.indisunique and i.indpred is null as is_unique,
      i.indpred is null and m.amname in ('btree') as sorts,
      array(select a.attname::text
        from unnest(i.indkey::int2[]) with ordinality as k(num, pos)
        left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num and k.num > 0
        where k.pos <= coalesce((to_jsonb(i) ->> 'indnkeyatts')::int, i.indnatts)
        order by k.pos) as columns
    from pg_index i
    join pg_class c on c.oid = i.indrelid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_class x on x.oid = i.indexrelid
    join pg_am m on m.oid = x.relam
    where n.nspname = ${.schema} and c.relname = ${.name} and i.indisvalid
    order by i.indisprimary desc, x.relname";

const FOREIGN_KEYS: &str = "
    select array(select a.attname::text from unnest(f.conkey) with ordinality as k(num, pos)
        join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.num order by k.pos) as columns,
      o.nspname as to_schema, r.relname as to_table
    from pg_constraint f
    join pg_class c on c.oid = f.conrelid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_class r on r.oid = f.confrelid
    join pg_namespace o on o.oid = r.relnamespace
    where f.contype = 'f' and n.nspname = ${.schema} and c.relname = ${.name}
    order by f.conname";

/// The tables of one connected database.
pub(super) struct Schema {
    system: Arc<str>,
    call: Arc<dyn Call>,
    is_read_only: bool,
    tables: Question,
    table: Question,
    columns: Question,
    indexes: Question,
    foreign_keys: Question,
    checks: Question,
}

impl Schema {
    pub(super) fn new(
        name: &Arc<str>,
        system: &dyn System,
        call: Arc<dyn Call>,
        is_read_only: bool,
    ) -> Result<Schema> {
        let question = |sql| Question::new(system, sql);
        Ok(Schema {
            system: name.clone(),
            call,
            is_read_only,
            tables: question(TABLES)?,
            table: question(TABLE)?,
            columns: question(COLUMNS)?,
            indexes: question(INDEXES)?,
            foreign_keys: question(FOREIGN_KEYS)?,
            checks: question(CHECKS)?,
        })
    }
}

#[async_trait]
impl Introspect for Schema {
    fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    fn grammar(&self) -> Grammar {
        Grammar {
            name: "PostgreSQL",
            quote: '"',
            folds_case: true,
            returning: Returning { insert: true, update: true },
            structures: true,
            // One place for the value, whose type the server then infers as text.
            contains: |column, value| format!("strpos(lower({column}), lower({value})) > 0"),
            // Only these are the same exactly if they look the same; `numeric` has 1.0 and 1.00, `json` no order.
            exact_order: |column, kind| match kind {
                ValueType::Boolean
                | ValueType::Integer
                | ValueType::Uuid
                | ValueType::Date
                | ValueType::LocalTime
                | ValueType::Instant => column.to_owned(),
                _ => format!("{column}::text"),
            },
        }
    }

    async fn tables(&self, cx: &CallContext) -> Result<Vec<TableName>> {
        let rows = self.tables.ask(&*self.call, cx, &[]).await?;
        Ok(rows
            .iter()
            .map(|row| TableName {
                schema: text(row, "schema_name"),
                name: name(row, "table_name"),
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
        let indexes = self.indexes.ask(&*self.call, cx, &place).await?;
        let foreign_keys = self.foreign_keys.ask(&*self.call, cx, &place).await?;
        let checks = self.checks.ask(&*self.call, cx, &place).await?;
        let keys = |is_primary: bool| {
            indexes.iter().filter(move |row| flag(row, "is_unique") && flag(row, "is_primary") == is_primary)
        };
        Ok(Table {
            name: table.clone(),
            is_view: flag(told, "is_view"),
            comment: text(told, "comment"),
            columns: columns.iter().map(|row| column(row, &checks)).collect(),
            primary_key: keys(true).find_map(|row| texts(row, "columns")).unwrap_or_default(),
            unique_keys: keys(false).filter_map(|row| texts(row, "columns")).collect(),
            foreign_keys: foreign_keys
                .iter()
                .filter_map(|row| {
                    Some(ForeignKey {
                        columns: texts(row, "columns")?,
                        schema: text(row, "to_schema"),
                        table: name(row, "to_table"),
                    })
                })
                .collect(),
            indexes: indexes
                .iter()
                .filter(|row| flag(row, "sorts"))
                .filter_map(|row| texts(row, "columns"))
                .collect(),
            row_id: None,
        })
    }
}

/// The texts that a check allows in the column.
fn allowed(column: &str, checks: &[Value]) -> Option<Vec<String>> {
    checks.iter().filter(|row| name(row, "column_name") == column).find_map(|row| {
        let found = check(&name(row, "clause"), &POSTGRES)?;
        match found.says {
            Says::Texts(texts) if flag(row, "of_domain") || found.column == column => Some(texts),
            _ => None,
        }
    })
}

fn column(row: &Value, checks: &[Value]) -> Column {
    let base = name(row, "base_name");
    let default = text(row, "default_value");
    // What `serial` makes.
    let counted = default.as_deref().is_some_and(|default| default.starts_with("nextval("));
    let kind = match flag(row, "is_array") {
        true => match kind(&name(row, "element_name"), &name(row, "element_kind")) {
            // Written as the server's text.
            ValueType::Structure | ValueType::Other => ValueType::Other,
            element => ValueType::Array(Box::new(element)),
        },
        false => kind(&base, &name(row, "base_kind")),
    };
    let column_name = name(row, "column_name");
    let mut choices = texts(row, "choices").unwrap_or_default();
    if choices.is_empty() && kind == ValueType::Text {
        choices = allowed(&column_name, checks).unwrap_or_default();
    }
    Column {
        name: column_name,
        type_name: name(row, "type_name"),
        kind,
        nullable: flag(row, "nullable"),
        default,
        is_generated: flag(row, "is_generated") || counted,
        comment: text(row, "comment"),
        choices,
    }
}

/// As `docs/reference/postgres-types.md` has it.
fn kind(type_name: &str, kind: &str) -> ValueType {
    match kind {
        "e" => return ValueType::Text,
        "c" | "r" | "m" => return ValueType::Structure,
        _ => {}
    }
    // `timestamp(3) with time zone`, `numeric(10,2)`
    let (word, arguments) = match type_name.split_once('(') {
        Some((before, after)) => {
            let (arguments, rest) = after.split_once(')').unwrap_or((after, ""));
            (format!("{before}{rest}"), arguments)
        }
        None => (type_name.to_owned(), ""),
    };
    match word.as_str() {
        "smallint" | "integer" | "bigint" | "oid" => ValueType::Integer,
        // Given as a text; a number is taken.
        "numeric" if arguments.is_empty() || !arguments.ends_with(",0") => ValueType::Number,
        "numeric" => ValueType::Integer,
        "real" | "double precision" => ValueType::Number,
        "boolean" => ValueType::Boolean,
        "text" | "character varying" | "character" | "name" | "\"char\"" | "citext" | "inet" | "cidr"
        | "macaddr" | "macaddr8" => ValueType::Text,
        "uuid" => ValueType::Uuid,
        "date" => ValueType::Date,
        "time without time zone" | "time with time zone" => ValueType::Time,
        "timestamp without time zone" => ValueType::LocalTime,
        "timestamp with time zone" => ValueType::Instant,
        "json" | "jsonb" => ValueType::Json,
        "bytea" => ValueType::Binary,
        _ => ValueType::Other,
    }
}

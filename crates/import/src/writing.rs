//! Tools that change rows: `create_…`, `update_…`, `delete_…`.

use renkei_core::introspect::{Column, ValueType};

use crate::{
    arguments::{Extra, argument, described},
    reading::{about, equals},
    table::{Field, Subject},
    tool::{Tool, broken, columns, quoted_list},
    yaml::{Yaml, entry},
};

/// The tools of a table. Why one is missing is said in a note.
pub(crate) fn tools(
    subject: &Subject<'_>,
    known: &dyn Fn(&str) -> Option<String>,
) -> (Vec<Tool>, Vec<String>) {
    if subject.table.is_view {
        return (Vec::new(), vec!["A view: nothing is written.".into()]);
    }
    let mut notes = Vec::new();
    let mut tools = Vec::new();
    match create(subject, known) {
        Ok(tool) => tools.push(tool),
        Err(why) => notes.push(why),
    }
    if let Some(key) = subject.finder() {
        tools.extend(update(subject, &key, known));
        tools.push(delete(subject, &key, known));
    }
    (tools, notes)
}

/// Whether the database makes the value: always, or by an expression where none is given.
fn is_made(column: &Column) -> bool {
    column.is_generated || column.default.as_deref().is_some_and(|default| !is_constant(default))
}

/// Whether a default is one fixed value, such as `'open'`, `0` or `'{}'::jsonb`.
pub(crate) fn is_constant(default: &str) -> bool {
    if default.contains(['$', '?', ';', '\\', ':']) && !default.contains("::")
        || default.contains(['$', '?', ';', '\\'])
    {
        return false;
    }
    let (value, cast) = match default.split_once("::") {
        Some((value, cast)) => (value, Some(cast)),
        None => (default, None),
    };
    let letters = |char: char| char.is_alphanumeric() || " _.\"[](),".contains(char);
    if cast.is_some_and(|cast| cast.is_empty() || !cast.chars().all(letters) || cast.contains("::")) {
        return false;
    }
    let value = value.trim_matches(['(', ')', ' ']);
    let text = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    let number = value.strip_prefix('-').unwrap_or(value);
    text.is_some_and(|text| !text.replace("''", "").contains('\'') && !text.chars().any(char::is_control))
        || !number.is_empty() && number.chars().all(|char| char.is_ascii_digit() || char == '.')
        || ["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// The value of an argument as the statement takes it.
fn value(subject: &Subject<'_>, field: &Field<'_>) -> String {
    let name = &field.argument;
    match field.column.kind {
        ValueType::Json | ValueType::Structure | ValueType::Array(_) if !subject.grammar.structures => {
            format!("${{if .{name} == null then null else (.{name} | tojson) end}}")
        }
        _ => format!("${{.{name}}}"),
    }
}

fn create(subject: &Subject<'_>, known: &dyn Fn(&str) -> Option<String>) -> Result<Tool, String> {
    let is_needed = |column: &Column| !column.nullable && column.default.is_none() && !column.is_generated;
    if subject.unnamed > 0 {
        // One of them may be needed.
        let left = subject.table.columns.iter().filter(|column| subject.position(&column.name).is_none());
        if left.clone().any(is_needed) {
            return Err(
                "No row can be created: a column that is needed has a name that a config cannot hold.".into(),
            );
        }
    }
    if let Some(field) = subject.hidden().find(|field| is_needed(field.column)) {
        return Err(format!("No row can be created: it needs the bytes of `{}`.", field.column.name));
    }
    let fields: Vec<&Field<'_>> = subject.shown().filter(|field| !is_made(field.column)).collect();
    if fields.is_empty() {
        return Err("No row can be created: there is no value to give.".into());
    }
    let input = fields.iter().map(|field| {
        let column = field.column;
        let default = column.default.as_ref().map(|default| format!("Without it, {default}."));
        let description = described(&[about(subject, field, known), default]);
        let extra = Extra { optional: !is_needed(column), nullable: false, description };
        entry(&field.argument, argument(column, &extra))
    });
    let values = fields.iter().map(|field| match &field.column.default {
        Some(default) => format!("coalesce({}, {default})", value(subject, field)),
        None => value(subject, field),
    });
    let names = fields.iter().map(|field| field.sql.clone());
    let mut sql = vec![
        format!("insert into {} ({})", subject.sql, broken(names, subject.sql.len() + 14)),
        format!("values ({})", broken(values, 8)),
    ];
    let gives = subject.grammar.returning.insert;
    if gives {
        sql.push(format!("returning {}", columns(subject)));
    }
    let result = if gives { " The result is the whole row." } else { "" };
    let made: Vec<&str> = subject
        .fields
        .iter()
        .filter(|field| is_made(field.column))
        .map(|field| field.column.name.as_str())
        .collect();
    let mut notes = Vec::new();
    if !made.is_empty() {
        notes.push(format!("The database itself makes {}.", made.join(", ")));
    }
    Ok(Tool {
        notes,
        description: format!("Create {}.{result}", crate::names::with_article(&subject.noun())),
        input: input.collect(),
        sql,
        one: true,
        annotations: vec![entry("destructive", false)],
        ..Tool::new("create", &subject.one)
    })
}

fn update(subject: &Subject<'_>, key: &[&Field<'_>], known: &dyn Fn(&str) -> Option<String>) -> Option<Tool> {
    let in_key = |field: &Field<'_>| key.iter().any(|part| part.column.name == field.column.name);
    let fields: Vec<&Field<'_>> =
        subject.shown().filter(|field| !is_made(field.column) && !in_key(field)).collect();
    if fields.is_empty() {
        return None;
    }
    let mut input: Vec<_> = key_arguments(subject, key, known);
    let mut sets = Vec::new();
    for field in &fields {
        let (column, name, sql) = (field.column, &field.argument, &field.sql);
        let extra =
            Extra { optional: true, nullable: column.nullable, description: about(subject, field, known) };
        input.push(entry(name, argument(column, &extra)));
        let value = value(subject, field);
        sets.push(match column.nullable {
            // Null empties the column, and what is left out stays.
            true => format!("{sql} = case when ${{has(\"{name}\")}} then {value} else {sql} end"),
            false => format!("{sql} = coalesce({value}, {sql})"),
        });
    }
    let mut sql = vec![format!("update {} set", subject.sql)];
    let last = sets.len() - 1;
    sql.extend(
        sets.iter().enumerate().map(|(at, set)| format!("  {set}{}", if at == last { "" } else { "," })),
    );
    sql.push(where_key(key));
    let gives = subject.grammar.returning.update;
    if gives {
        sql.push(format!("returning {}", columns(subject)));
    }
    let result = if gives { " The result is the whole row." } else { "" };
    let nulls = if fields.iter().any(|field| field.column.nullable) { "; null empties it" } else { "" };
    Some(Tool {
        description: format!(
            "Change {}, by {}. What is left out stays as it is{nulls}.{result}",
            crate::names::with_article(&subject.noun()),
            names(key)
        ),
        input,
        sql,
        one: true,
        // Fixed values: a repeat changes nothing more.
        effect: Some("idempotent"),
        annotations: vec![entry("destructive", true), entry("idempotent", true)],
        ..Tool::new("update", &subject.one)
    })
}

fn delete(subject: &Subject<'_>, key: &[&Field<'_>], known: &dyn Fn(&str) -> Option<String>) -> Tool {
    Tool {
        description: format!("Delete {}, by {}.", crate::names::with_article(&subject.noun()), names(key)),
        input: key_arguments(subject, key, known),
        sql: vec![format!("delete from {}", subject.sql), where_key(key)],
        one: true,
        annotations: vec![entry("destructive", true), entry("idempotent", true)],
        ..Tool::new("delete", &subject.one)
    }
}

fn names(key: &[&Field<'_>]) -> String {
    quoted_list(&key.iter().map(|field| field.argument.as_str()).collect::<Vec<_>>(), "and")
}

fn where_key(key: &[&Field<'_>]) -> String {
    format!("where {}", key.iter().map(|field| equals(field)).collect::<Vec<_>>().join(" and "))
}

fn key_arguments(
    subject: &Subject<'_>,
    key: &[&Field<'_>],
    known: &dyn Fn(&str) -> Option<String>,
) -> Vec<crate::yaml::Entry> {
    let argument = |field: &&Field<'_>| -> Yaml {
        argument(field.column, &Extra { description: about(subject, field, known), ..Extra::default() })
    };
    key.iter().map(|field| entry(&field.argument, argument(field))).collect()
}

#[cfg(test)]
mod tests {
    use super::is_constant;

    #[test]
    fn fixed_values_and_made_ones() {
        for fixed in [
            "'open'",
            "'it''s'",
            "0",
            "-1.5",
            "(3)",
            "true",
            "'{}'::jsonb",
            "'a'::character varying",
            "'x'::public.\"State\"",
        ] {
            assert!(is_constant(fixed), "{fixed}");
        }
        for made in [
            "now()",
            "CURRENT_TIMESTAMP",
            "gen_random_uuid()",
            "nextval('a'::regclass)",
            "'a' || 'b'",
            "b'0'",
            "'a$b'",
            "(1 + 2)",
        ] {
            assert!(!is_constant(made), "{made}");
        }
    }
}

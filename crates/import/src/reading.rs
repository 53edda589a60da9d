//! Tools that read: `get_…`, `find_…`, `list_…`.

use renkei_core::introspect::ValueType;

use crate::{
    arguments::{Extra, argument, can_be_compared, described, is_time, sentence},
    names::{Taken, singular, snake, with_article},
    table::{Field, Key, Subject},
    tool::{Tool, columns, joined, quoted_list},
    yaml::{Entry, Yaml, entry},
};

/// Filters of one list tool; more make a choice harder, not easier.
const MAX_FILTERS: usize = 12;
/// Columns that a list can be sorted by, beside its key.
const MAX_SORTS: usize = 5;
/// Rows on a page, and unless the caller says otherwise.
const PAGE: i64 = 100;
const USUAL_PAGE: i64 = 20;
/// Rows that a find tool gives.
const FOUND: i64 = 20;

/// The tools of a table, in the order in which they are written.
pub(crate) fn tools(subject: &Subject<'_>, known: &dyn Fn(&str) -> Option<String>) -> Vec<Tool> {
    [get(subject, known), find(subject), Some(list(subject, known))].into_iter().flatten().collect()
}

/// `a = ${.a}`
pub(crate) fn equals(field: &Field<'_>) -> String {
    format!("{} = ${{.{}}}", field.sql, field.argument)
}

/// What is said of a column by which rows are found: its comment, and whose key it is.
pub(crate) fn about(
    subject: &Subject<'_>,
    field: &Field<'_>,
    known: &dyn Fn(&str) -> Option<String>,
) -> Option<String> {
    let reference = subject.refers_to(field).map(|table| {
        let noun = with_article(&singular(&snake(table)).replace('_', " "));
        match known(table) {
            Some(tool) => format!("Of {noun}, as `{tool}` takes it."),
            None => format!("Of {noun}."),
        }
    });
    described(&[field.column.comment.clone(), reference])
}

fn get(subject: &Subject<'_>, known: &dyn Fn(&str) -> Option<String>) -> Option<Tool> {
    let key = subject.finder()?;
    let names: Vec<&str> = key.iter().map(|field| field.argument.as_str()).collect();
    let input = key.iter().map(|field| {
        let extra = Extra { description: about(subject, field, known), ..Extra::default() };
        entry(&field.argument, argument(field.column, &extra))
    });
    let conditions: Vec<String> = key.iter().map(|field| equals(field)).collect();
    let comment = subject.table.comment.as_deref().map(sentence).unwrap_or_default();
    let description = format!("One {}, by {}. {comment}", subject.noun(), quoted_list(&names, "and"));
    Some(Tool {
        description: description.trim().to_owned(),
        input: input.collect(),
        sql: vec![
            format!("select {}", columns(subject)),
            format!("from {}", subject.sql),
            format!("where {}", conditions.join(" and ")),
        ],
        one: true,
        ..Tool::new("get", &subject.one)
    })
}

fn find(subject: &Subject<'_>) -> Option<Tool> {
    let fields: Vec<&Field<'_>> = subject.fields.iter().filter(|field| is_sought(subject, field)).collect();
    let names: Vec<&str> = fields.iter().map(|field| field.argument.as_str()).collect();
    let alone = fields.len() == 1;
    if fields.is_empty() {
        return None;
    }
    let input: Vec<Entry> = fields
        .iter()
        .map(|field| {
            let description = described(std::slice::from_ref(&field.column.comment));
            let extra = Extra { optional: false, description, ..Extra::default() };
            entry(&field.argument, argument(field.column, &extra))
        })
        .collect();
    let conditions: Vec<String> = match alone {
        true => fields.iter().map(|field| equals(field)).collect(),
        false => fields.iter().map(|field| optional(&equals(field), &field.argument)).collect(),
    };
    let which = match alone {
        true => format!("by {}", quoted_list(&names, "and")),
        false => format!("by {}: at least one of them, exactly as it is stored", quoted_list(&names, "or")),
    };
    let description = format!("{} {which}. At most {FOUND}.", subject.heading());
    let mut sql = vec![format!("select {}", columns(subject)), format!("from {}", subject.sql)];
    sql.extend(where_all(&conditions));
    sql.push(format!("order by {}", subject.total_order().join(", ")));
    Some(Tool {
        description,
        input,
        needs_one: !alone,
        sql,
        max_rows: Some(FOUND),
        ..Tool::new("find", &subject.many)
    })
}

/// Whether people look for a row by it: another key, or a word with an index.
fn is_sought(subject: &Subject<'_>, field: &Field<'_>) -> bool {
    let kind = &field.column.kind;
    let plain = field.column.choices.is_empty() && can_be_compared(kind) && *kind != ValueType::Boolean;
    plain
        && !subject.is_whole_key(field)
        && subject.refers_to(field).is_none()
        && (subject.is_unique(field)
            || subject.is_indexed(field) && matches!(kind, ValueType::Text | ValueType::Uuid))
}

struct Filter {
    argument: Entry,
    condition: String,
}

fn list(subject: &Subject<'_>, known: &dyn Fn(&str) -> Option<String>) -> Tool {
    let mut taken = Taken::with(&["order", "limit", "offset"]);
    let mut filters: Vec<Filter> =
        subject.fields.iter().flat_map(|field| filters(subject, field, known, &mut taken)).collect();
    let mut notes = Vec::new();
    if filters.len() > MAX_FILTERS {
        let left: Vec<&str> = filters[MAX_FILTERS..].iter().map(|f| f.argument.key.as_str()).collect();
        notes.push(format!("Not all that could be asked for is: {} are left out.", left.join(", ")));
        filters.truncate(MAX_FILTERS);
    }
    let sorts = sorts(subject);
    let mut sql = vec![format!("select {}", columns(subject)), format!("from {}", subject.sql)];
    sql.extend(where_all(&filters.iter().map(|filter| filter.condition.clone()).collect::<Vec<_>>()));
    sql.push(match sorts.is_empty() {
        true => format!("order by {}", subject.total_order().join(", ")),
        false => "order by ${choose.order}".into(),
    });
    sql.push("limit ${.limit} offset ${.offset}".into());
    let mut input: Vec<Entry> = filters.into_iter().map(|filter| filter.argument).collect();
    if let Some((first, _)) = sorts.first() {
        let words = sorts.iter().map(|(word, _)| Yaml::from(word.as_str())).collect();
        input.push(entry("order", vec![entry("enum", Yaml::List(words)), entry("default", first.as_str())]));
    }
    let number = |least: i64, most: Option<i64>, usual: i64| {
        let mut schema = vec![entry("type", "integer"), entry("minimum", least)];
        schema.extend(most.map(|most| entry("maximum", most)));
        schema.push(entry("default", usual));
        schema
    };
    input.push(entry("limit", number(1, Some(PAGE), USUAL_PAGE)));
    input.push(entry("offset", number(0, None, 0)));
    let comment = subject.table.comment.as_deref().map(sentence).unwrap_or_default();
    let description = format!(
        "{}, page by page: `next_offset` is the `offset` of the next one, and missing on the last. {comment}",
        subject.heading()
    );
    let next = "${if $result_meta.truncated or ($result | length) == .limit then .offset + ($result | length) else empty end}";
    if matches!(subject.key, Key::Shown) && !subject.table.is_view {
        notes.push("The table has no key, so a page is sorted by all that it shows.".into());
    }
    Tool {
        notes,
        description: description.split_whitespace().collect::<Vec<_>>().join(" "),
        input,
        sql,
        sorts,
        output: vec![entry(&subject.many, "${$result}"), entry("next_offset", next)],
        ..Tool::new("list", &subject.many)
    }
}

/// What may be asked of one column.
fn filters(
    subject: &Subject<'_>,
    field: &Field<'_>,
    known: &dyn Fn(&str) -> Option<String>,
    taken: &mut Taken,
) -> Vec<Filter> {
    let (column, kind) = (field.column, &field.column.kind);
    let reference = subject.refers_to(field).is_some();
    let chosen = !column.choices.is_empty();
    if subject.is_whole_key(field)
        || !can_be_compared(kind)
        || !(reference || chosen || subject.is_indexed(field))
    {
        return Vec::new();
    }
    let mut filter = |ending: &str, said: Option<&str>, condition: &dyn Fn(&str) -> String| {
        let name = taken.give(&format!("{}{ending}", field.argument), "column");
        let own = match ending {
            "" => about(subject, field, known),
            _ => described(&[column.comment.clone(), said.map(str::to_owned)]),
        };
        let extra = Extra { optional: true, description: own, ..Extra::default() };
        let condition = optional(&condition(&format!("${{.{name}}}")), &name);
        Filter { argument: entry(&name, argument(column, &extra)), condition }
    };
    let sql = &field.sql;
    match kind {
        _ if reference || chosen => vec![filter("", None, &|value| format!("{sql} = {value}"))],
        ValueType::Text => {
            let contains = subject.grammar.contains;
            vec![filter("_contains", Some("A part of it."), &|value| contains(sql, value))]
        }
        _ if is_time(kind) => vec![
            filter("_from", Some("Then or later."), &|value| format!("{sql} >= {value}")),
            filter("_to", Some("Then or earlier."), &|value| format!("{sql} <= {value}")),
        ],
        ValueType::Integer | ValueType::Number => vec![
            filter("_min", Some("At least."), &|value| format!("{sql} >= {value}")),
            filter("_max", Some("At most."), &|value| format!("{sql} <= {value}")),
        ],
        _ => vec![filter("", None, &|value| format!("{sql} = {value}"))],
    }
}

/// A condition that holds for all rows where its argument is left out. The comparison stands first, since there a
/// server learns the value's type.
fn optional(condition: &str, argument: &str) -> String {
    format!("({condition} or ${{.{argument}}} is null)")
}

fn where_all(conditions: &[String]) -> Vec<String> {
    let word = |at| if at == 0 { "where" } else { "  and" };
    conditions.iter().enumerate().map(|(at, condition)| format!("{} {condition}", word(at))).collect()
}

/// Words for the orders of a list, the first is the usual one; each order ends with the key, so that no row is on two
/// pages. Nothing where there is but one.
fn sorts(subject: &Subject<'_>) -> Vec<(String, String)> {
    let total = subject.total_order();
    let key_name = match &subject.key {
        Key::Columns(columns) => match &columns[..] {
            [only] => Some(subject.fields[*only].argument.clone()),
            _ => Some("key".into()),
        },
        Key::Row(_) => Some("stored".into()),
        Key::Shown => None,
    };
    let in_key = |field: &Field<'_>| matches!(&total[..], [only] if *only == field.sql);
    let others: Vec<&Field<'_>> = subject
        .fields
        .iter()
        .filter(|field| subject.sorts(field) && !in_key(field))
        .take(MAX_SORTS)
        .collect();
    let mut taken = Taken::default();
    let mut found = Vec::new();
    if let Some(name) = key_name {
        let name = taken.give(&name, "key");
        let back: Vec<String> = total.iter().map(|item| format!("{item} desc")).collect();
        found.push((name.clone(), total.join(", ")));
        found.push((taken.give(&format!("{name}_desc"), "key"), back.join(", ")));
    } else if !others.is_empty() {
        found.push((taken.give("shown", "shown"), total.join(", ")));
    }
    for field in others {
        let rest: Vec<&String> = total.iter().filter(|item| **item != field.sql).collect();
        for (ending, direction) in [("", ""), ("_desc", " desc")] {
            let name = taken.give(&format!("{}{ending}", field.argument), "column");
            found.push((name, joined(&format!("{}{direction}", field.sql), &rest)));
        }
    }
    found
}

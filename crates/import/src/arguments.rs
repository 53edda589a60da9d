//! Arguments of tools, from columns.

use renkei_core::introspect::{Column, ValueType};

use crate::yaml::{Entry, Yaml, entry};

/// A time without a zone. One with a zone would be cut by the database, without a word.
const LOCAL_TIME: &str = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?$";

/// Whether `=` with a value finds what the same value in a row shows.
pub(crate) fn can_be_compared(kind: &ValueType) -> bool {
    !matches!(
        kind,
        ValueType::Json | ValueType::Array(_) | ValueType::Structure | ValueType::Binary | ValueType::Other
    )
}

/// Whether one may ask for what is between two values.
pub(crate) fn is_time(kind: &ValueType) -> bool {
    matches!(kind, ValueType::Date | ValueType::LocalTime | ValueType::Instant | ValueType::StoredTime)
}

/// What an argument has beside its type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    pub(crate) optional: bool,
    /// Whether null is a value of its own: it empties the column.
    pub(crate) nullable: bool,
    pub(crate) description: Option<String>,
}

/// The argument for values of a column: one word where that says it all.
pub(crate) fn argument(column: &Column, extra: &Extra) -> Yaml {
    let any = matches!(column.kind, ValueType::Json | ValueType::Structure);
    let said = any.then(|| extra.description.clone().unwrap_or_else(|| "Any JSON.".into()));
    let said = said.or_else(|| extra.description.clone());
    let mut schema = match column.choices.is_empty() {
        true => schema(&column.kind, extra.nullable),
        false => vec![entry("enum", choices(column, extra.nullable))],
    };
    if extra.optional {
        schema.push(entry("optional", true));
    }
    if let Some(description) = said {
        schema.push(entry("description", description));
    }
    match &schema[..] {
        [Entry { key, value: value @ Yaml::Text(_), .. }] if key == "type" => value.clone(),
        _ => Yaml::Map(schema),
    }
}

fn choices(column: &Column, nullable: bool) -> Yaml {
    let words = column.choices.iter().map(|word| Yaml::Text(word.clone()));
    Yaml::List(words.chain(nullable.then(|| Yaml::Word("null".into()))).collect())
}

fn schema(kind: &ValueType, nullable: bool) -> Vec<Entry> {
    let (name, format) = match kind {
        ValueType::Boolean => ("boolean", None),
        ValueType::Integer => ("integer", None),
        ValueType::Number => ("number", None),
        ValueType::Text
        | ValueType::Time
        | ValueType::LocalTime
        | ValueType::StoredTime
        | ValueType::Other => ("string", None),
        ValueType::Uuid => ("string", Some("uuid")),
        ValueType::Date => ("string", Some("date")),
        ValueType::Instant => ("string", Some("date-time")),
        ValueType::Binary => ("string", None),
        ValueType::Array(_) => ("array", None),
        // Any JSON.
        ValueType::Json | ValueType::Structure => return Vec::new(),
    };
    let mut schema = match (nullable, format) {
        (false, format) => vec![entry("type", format.unwrap_or(name))],
        (true, format) => {
            let mut schema = vec![entry("type", Yaml::List(vec![name.into(), "null".into()]))];
            schema.extend(format.map(|format| entry("format", format)));
            schema
        }
    };
    match kind {
        ValueType::LocalTime => schema.push(entry("pattern", LOCAL_TIME)),
        ValueType::Array(element) => {
            let mut items = self::schema(element, false);
            items.retain(|entry| entry.key != "pattern");
            if !items.is_empty() {
                schema.push(entry("items", whole(element)));
            }
        }
        _ => {}
    }
    schema
}

/// The schema of an element, where the shorthand's words are not read.
fn whole(kind: &ValueType) -> Vec<Entry> {
    let mut schema = schema(kind, true);
    for entry in &mut schema {
        if let ("type", Yaml::List(types)) = (entry.key.as_str(), &entry.value)
            && let Some(first) = types.first()
        {
            entry.value = first.clone();
        }
    }
    schema
}

/// The text of a description: the database's own comment and what else there is to say.
pub(crate) fn described(parts: &[Option<String>]) -> Option<String> {
    let sentences: Vec<String> = parts.iter().flatten().map(|part| sentence(part)).collect();
    Some(sentences.join(" ")).filter(|text| !text.is_empty())
}

/// On one line, with a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.ends_with(['.', '!', '?', ':', ';', '。']) {
        _ if text.is_empty() => text,
        true => text,
        false => format!("{text}."),
    }
}

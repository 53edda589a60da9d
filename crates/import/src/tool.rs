//! One tool, and how it is written down.

use crate::{
    table::{Field, Subject},
    yaml::{Entry, Yaml, entry},
};

/// Lines of SQL are not longer than this, where they can be shorter.
const WIDTH: usize = 96;
/// A statement as short as this stands on one line.
const SHORT: usize = 84;

/// A tool that calls one statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tool {
    pub(crate) verb: &'static str,
    pub(crate) noun: String,
    /// What a reader of the config has to know.
    pub(crate) notes: Vec<String>,
    pub(crate) description: String,
    pub(crate) input: Vec<Entry>,
    /// Whether the arguments are optional, but not all at once.
    pub(crate) needs_one: bool,
    pub(crate) sql: Vec<String>,
    pub(crate) one: bool,
    pub(crate) max_rows: Option<i64>,
    pub(crate) effect: Option<&'static str>,
    /// Words of the argument `order`, and what each stands for.
    pub(crate) sorts: Vec<(String, String)>,
    pub(crate) output: Vec<Entry>,
    pub(crate) annotations: Vec<Entry>,
}

impl Tool {
    pub(crate) fn new(verb: &'static str, noun: &str) -> Tool {
        Tool { verb, noun: noun.to_owned(), ..Tool::default() }
    }

    /// As an entry of `tools:`.
    pub(crate) fn written(self, name: &str, system: &str) -> Entry {
        let mut parts = vec![entry("description", self.description)];
        match self.needs_one {
            // Only a whole schema can say "at least one of them".
            true => parts.push(entry(
                "input_schema",
                Yaml::Tall(vec![
                    entry("type", "object"),
                    entry("properties", Yaml::Tall(whole(self.input))),
                    entry("minProperties", 1),
                    entry("additionalProperties", false),
                ]),
            )),
            false if self.input.len() == 1 => parts.push(entry("input", self.input)),
            false => parts.push(entry("input", Yaml::Tall(self.input))),
        }
        let line = self.sql.join(" ");
        let sql = match line.chars().count() <= SHORT && !line.contains('\n') && self.sorts.is_empty() {
            true => Yaml::Text(line),
            false => Yaml::Lines(self.sql.join("\n")),
        };
        let mut operation = vec![entry("sql", sql)];
        if self.one {
            operation.push(entry("one", true));
        }
        operation.extend(self.max_rows.map(|rows| entry("max_rows", rows)));
        operation.extend(self.effect.map(|effect| entry("effect", effect)));
        if !self.sorts.is_empty() {
            let options: Vec<Entry> = self.sorts.into_iter().map(|(word, sql)| entry(word, sql)).collect();
            let choice = vec![entry("by", "${.order}"), entry("options", options)];
            operation.push(entry("choose", vec![entry("order", Yaml::Tall(choice))]));
        }
        parts.push(entry("call", Yaml::Tall(vec![entry(system, operation)])));
        if !self.output.is_empty() {
            parts.push(entry("output", Yaml::Tall(self.output)));
        }
        if !self.annotations.is_empty() {
            parts.push(entry("annotations", self.annotations));
        }
        Entry { key: name.to_owned(), value: Yaml::Tall(parts), comment: self.notes }
    }
}

/// Arguments in shorthand as members of a whole schema, where `type` is a word of JSON Schema and nothing is said of
/// being optional.
fn whole(arguments: Vec<Entry>) -> Vec<Entry> {
    let mut arguments = arguments;
    for argument in &mut arguments {
        let mut schema = match std::mem::replace(&mut argument.value, Yaml::Map(Vec::new())) {
            Yaml::Map(schema) => schema,
            word => vec![entry("type", word)],
        };
        let format =
            schema.iter_mut().find(|entry| entry.key == "type").and_then(|entry| match &entry.value {
                Yaml::Text(word) if ["date", "date-time", "uuid"].contains(&word.as_str()) => {
                    Some(std::mem::replace(&mut entry.value, "string".into()))
                }
                _ => None,
            });
        if let Some(format) = format {
            schema.insert(1, entry("format", format));
        }
        argument.value = Yaml::Map(schema);
    }
    arguments
}

/// What is selected, broken between columns.
pub(crate) fn columns(subject: &Subject<'_>) -> String {
    broken(subject.shown().map(|field: &Field<'_>| field.sql.clone()), "select ".len())
}

/// Items with commas between them, on several lines where one that begins with so many letters would be too long.
pub(crate) fn broken(items: impl Iterator<Item = String>, start: usize) -> String {
    let mut text = String::new();
    let mut width = start;
    for (at, item) in items.enumerate() {
        let length = item.chars().count() + 2;
        match at {
            0 => {}
            _ if width + length > WIDTH => {
                text.push_str(",\n  ");
                width = 2;
            }
            _ => text.push_str(", "),
        }
        text.push_str(&item);
        width += length;
    }
    text
}

/// Items with commas between them.
pub(crate) fn joined(first: &str, rest: &[&String]) -> String {
    rest.iter().fold(first.to_owned(), |text, item| format!("{text}, {item}"))
}

/// `` `a`, `b` and `c` ``
pub(crate) fn quoted_list(names: &[&str], word: &str) -> String {
    match names {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [before @ .., last] => {
            let before: Vec<String> = before.iter().map(|name| format!("`{name}`")).collect();
            format!("{} {word} `{last}`", before.join(", "))
        }
    }
}

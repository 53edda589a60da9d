//! `input:` – arguments in shorthand, as JSON Schema 2020-12.

use std::sync::Arc;

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Entry, FromNode, Map, Node, NodeKind, Schema, Value,
    diagnostic::suggest,
};

use super::json_schema;

/// The words that stand for a type.
const WORDS: [&str; 9] =
    ["string", "integer", "number", "boolean", "object", "array", "date", "date-time", "uuid"];

/// `input:`, read only to have a schema of the config; [`read`] does the reading.
#[derive(Clone, Debug)]
pub(crate) struct Input;

impl FromNode for Input {
    fn from_node(_: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(Input)
    }

    fn schema(_: &mut Definitions) -> Schema {
        let words = WORDS.join("|");
        let word = Value::from([
            ("type", Value::from("string")),
            ("pattern", format!("^({words})(\\[\\])*$").into()),
            (
                "description",
                "A type, such as `string`, `integer` or `date`; `string[]` is an array of them.".into(),
            ),
        ]);
        let full = Value::from([
            ("type", Value::from("object")),
            (
                "properties",
                Value::from([
                    (
                        "optional",
                        Value::from([
                            ("type", Value::from("boolean")),
                            ("description", "Whether the argument may be left out.".into()),
                        ]),
                    ),
                    (
                        "default",
                        Value::from([("description", "What a left out argument is taken for.")]),
                    ),
                ]),
            ),
            (
                "description",
                "A JSON Schema; `type` may be one of the words, too. It is required unless it is `optional: true` or has a `default`."
                    .into(),
            ),
        ]);
        Value::from([
            ("type", Value::from("object")),
            ("additionalProperties", Value::from([("anyOf", Value::from(vec![word, full]))])),
        ])
    }
}

/// The arguments as a JSON Schema of type `object` that refuses others. Nothing, with diagnostics, if
/// an argument is wrong.
pub(crate) fn read(node: &Node, d: &mut Diagnostics) -> Option<Value> {
    let entries = match &node.kind {
        NodeKind::Map(entries) => entries.as_slice(),
        _ => {
            d.push(
                Diagnostic::error(
                    node.span,
                    format!("`input` is a mapping of arguments, and this is {}", node.what()),
                )
                .hint("write `input: { name: string }`; leave `input` out for a tool without arguments"),
            );
            return None;
        }
    };
    let mut properties = Map::new();
    let mut required = Vec::new();
    let mut good = true;
    for entry in entries {
        if entry.key.is_empty() || entry.key.len() > 64 {
            let message = "the name of an argument has 1 to 64 bytes";
            d.push(Diagnostic::error(entry.key_span, message).hint("choose a short name"));
            good = false;
            continue;
        }
        match argument(entry, d) {
            Some((schema, is_required)) => {
                if is_required {
                    required.push(Value::from(entry.key.clone()));
                }
                properties.insert(entry.key.clone(), schema);
            }
            None => good = false,
        }
    }
    good.then(|| object(properties, required))
}

/// `input:` of something whose arguments come as texts: variables of a URI, arguments of a prompt. Each of
/// `variables` is a `string` unless `input` says otherwise, and needed if its flag says so.
pub(crate) fn of_texts(
    holder: &Node,
    what: &str,
    variables: &[(Arc<str>, bool)],
    d: &mut Diagnostics,
) -> Option<Value> {
    let schema = match holder.get("input") {
        Some(node) => read(node, d)?,
        None => none(),
    };
    let declared = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let entry = |name: &str| holder.get("input").and_then(|input| input.entry(name));
    let mut good = true;
    for (name, property) in &declared {
        let span = entry(name).map_or(holder.span, |entry| entry.value.span);
        if what != "a prompt" && !variables.iter().any(|(known, _)| known == name) {
            let message = format!("the URI has no variable `{name}`");
            let span = entry(name).map_or(span, |entry| entry.key_span);
            d.push(
                Diagnostic::error(span, message)
                    .hint(format!("write `{{{name}}}` into the `uri`, or remove it")),
            );
            good = false;
        } else if !is_scalar(property) {
            let message = format!("`{name}` comes as a text, which cannot become this type");
            d.push(
                Diagnostic::error(span, message)
                    .hint("the types: `string`, `integer`, `number`, `boolean`, `date`, `date-time`, `uuid`"),
            );
            good = false;
        }
    }
    if variables.is_empty() {
        return good.then_some(schema);
    }
    let text = || Value::from([("type", "string")]);
    let properties =
        variables.iter().map(|(name, _)| (name.clone(), declared.get(name).cloned().unwrap_or_else(text)));
    let needed = variables.iter().filter(|(_, needed)| *needed);
    let required = needed.map(|(name, _)| Value::from(name.clone())).collect();
    good.then(|| object(properties.collect(), required))
}

fn is_scalar(schema: &Value) -> bool {
    let scalar =
        |name: &Value| matches!(name.as_str(), Some("string" | "integer" | "number" | "boolean" | "null"));
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().all(scalar),
        Some(name) => scalar(name),
        None => true,
    }
}

/// A tool without arguments.
pub(crate) fn none() -> Value {
    object(Map::new(), Vec::new())
}

fn object(properties: Map, required: Vec<Value>) -> Value {
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), properties.into());
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    schema.insert("additionalProperties".into(), false.into());
    schema.into()
}

/// The schema of one argument, and whether it is required.
fn argument(entry: &Entry, d: &mut Diagnostics) -> Option<(Value, bool)> {
    let node = &entry.value;
    match &node.kind {
        NodeKind::String(text) => Some((word(node, &text.value, d)?.into(), true)),
        NodeKind::Map(members) => detailed(node, members, d),
        NodeKind::Null => {
            let message = format!("the argument `{}` has no type", entry.key);
            d.push(Diagnostic::error(entry.key_span, message).hint(format!("write `{}: string`", entry.key)));
            None
        }
        _ => {
            let message =
                format!("the type of an argument is a word or a schema, and this is {}", node.what());
            d.push(
                Diagnostic::error(node.span, message).hint(format!("the words: {}, `string[]`, …", listed())),
            );
            None
        }
    }
}

fn detailed(node: &Node, members: &[Entry], d: &mut Diagnostics) -> Option<(Value, bool)> {
    let mut schema = Map::new();
    let mut optional = false;
    let mut good = true;
    for member in members {
        match (&*member.key, &member.value.kind) {
            ("optional", NodeKind::Bool(flag)) => optional = *flag,
            ("optional", _) => {
                let diagnostic = Diagnostic::error(member.value.span, "`optional` is `true` or `false`");
                d.push(diagnostic.hint("write `optional: true`"));
                good = false;
            }
            ("required", NodeKind::Bool(_)) => {
                d.push(
                    Diagnostic::error(
                        member.key_span,
                        "an argument is required unless it says `optional: true`",
                    )
                    .hint("remove `required: true`; instead of `required: false` write `optional: true`"),
                );
                good = false;
            }
            ("type", NodeKind::String(text)) => match word(&member.value, &text.value, d) {
                Some(of_type) => schema.extend(of_type),
                None => good = false,
            },
            _ => {
                schema.insert(member.key.clone(), member.value.to_value());
            }
        }
    }
    let schema = Value::from(schema);
    good &= json_schema::check_keywords(node, &["optional"], d);
    if !good || !json_schema::check(node, &schema, d) {
        return None;
    }
    if let Some(default) = node.get("default") {
        good &= json_schema::check_default(default, &schema, d);
    }
    let is_required = !optional && schema.get("default").is_none();
    good.then_some((schema, is_required))
}

/// The schema that a word stands for.
fn word(node: &Node, word: &str, d: &mut Diagnostics) -> Option<Map> {
    if let Some(items) = word.strip_suffix("[]") {
        let items = self::word(node, items, d)?;
        return Some(map([("type", "array".into()), ("items", items.into())]));
    }
    if let Some(kept) = word.strip_suffix('?') {
        d.push(
            Diagnostic::error(node.span, format!("`{word}` is not a type"))
                .hint(format!("write `{{ type: {kept}, optional: true }}`")),
        );
        return None;
    }
    match word {
        "string" | "integer" | "number" | "boolean" | "object" | "array" => {
            Some(map([("type", word.into())]))
        }
        "date" | "date-time" | "uuid" => Some(map([("type", "string".into()), ("format", word.into())])),
        // JSON Schema knows it, where it stands in a list of types.
        "null" => Some(map([("type", "null".into())])),
        _ => {
            let known = match word {
                "str" | "text" | "String" => Some("string"),
                "int" | "long" | "Integer" => Some("integer"),
                "float" | "double" | "decimal" => Some("number"),
                "bool" => Some("boolean"),
                "map" | "dict" => Some("object"),
                "list" => Some("array"),
                "datetime" | "timestamp" => Some("date-time"),
                "guid" => Some("uuid"),
                _ => suggest(word, WORDS),
            };
            let diagnostic = Diagnostic::error(node.span, format!("`{word}` is not a type"));
            d.push(match known {
                Some(known) => diagnostic.hint(format!("did you mean `{known}`?")),
                None => diagnostic.hint(format!("the types: {}; `T[]` is an array of T", listed())),
            });
            None
        }
    }
}

fn map<const N: usize>(members: [(&str, Value); N]) -> Map {
    members.into_iter().map(|(key, value)| (Arc::from(key), value)).collect()
}

fn listed() -> String {
    WORDS.map(|word| format!("`{word}`")).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(text: &str) -> Result<String, Vec<String>> {
        let mut d = Diagnostics::default();
        let node = crate::yaml::read(0, text, &mut d).unwrap();
        let schema = read(&node, &mut d);
        let problems: Vec<String> = d.iter().map(|x| x.message.clone()).collect();
        schema.filter(|_| problems.is_empty()).map(|schema| schema.to_json()).ok_or(problems)
    }

    #[test]
    fn words_and_schemas() {
        assert_eq!(
            input("{ id: integer, tags: 'string[]', day: date, when: { type: date-time, optional: true }, n: { type: integer, minimum: 1, default: 10 }, e: { enum: [a, b], optional: true } }").unwrap(),
            r#"{"type":"object","properties":{"id":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}},"day":{"type":"string","format":"date"},"when":{"type":"string","format":"date-time"},"n":{"type":"integer","minimum":1,"default":10},"e":{"enum":["a","b"]}},"required":["id","tags","day"],"additionalProperties":false}"#
        );
        assert_eq!(none().to_json(), r#"{"type":"object","properties":{},"additionalProperties":false}"#);
    }

    #[test]
    fn what_is_no_type_is_said() {
        assert_eq!(
            input("{ a: strng, b: string?, c: 7, d: , e: { type: int }, f: { type: integer, minmum: 1 }, g: { type: integer, default: x }, h: { type: string, pattern: '(' }, i: { type: string, required: false } }").unwrap_err(),
            [
                "`strng` is not a type",
                "`string?` is not a type",
                "the type of an argument is a word or a schema, and this is a number",
                "the argument `d` has no type",
                "`int` is not a type",
                "unknown keyword `minmum` in a schema",
                "the default does not fit its own schema: \"x\" is not of type \"integer\"",
                "`(` is not a regular expression that can be used here",
                "an argument is required unless it says `optional: true`",
            ]
        );
    }
}

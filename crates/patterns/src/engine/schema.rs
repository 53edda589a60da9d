//! JSON Schemas of arguments and results: compiled once, never fetched, linear in their patterns.

use jsonschema::{Draft, PatternOptions, Validator};
use renkei_core::{Map, Value};

/// Compiles a schema (draft 2020-12). Formats are asserted; `$ref` stays inside the schema;
/// patterns run in linear time. The error is a sentence fragment.
pub(crate) fn compile(schema: &Value) -> Result<Validator, String> {
    let schema = serde_json::Value::from(schema);
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex())
        .offline()
        .build(&schema)
        .map_err(|error| {
            let at = error.instance_path();
            if at.as_str().is_empty() { error.to_string() } else { format!("{error} (at `{at}`)") }
        })
}

/// Whether a schema can be used here. The error is a sentence fragment that names the place.
pub fn check(schema: &Value) -> Result<(), String> {
    compile(schema).map(drop)
}

/// What a local `$ref` points to; `schema` itself where there is none.
pub(crate) fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    // A chain of references may be a circle.
    for _ in 0..8 {
        let Some(pointer) = schema.get("$ref").and_then(|r| r.as_str()?.strip_prefix('#')) else { break };
        match pointed_to(root, pointer) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

fn pointed_to<'a>(root: &'a Value, pointer: &str) -> Option<&'a Value> {
    pointer.split('/').skip(1).try_fold(root, |value, part| {
        let part = part.replace("~1", "/").replace("~0", "~");
        match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            _ => value.get(&part),
        }
    })
}

/// Whether a result of this schema is published as it is: its type is `object`, and nothing else.
pub(crate) fn is_object(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("object")
}

/// Of another server's result, which is an object always, here: see [`wrap`].
pub(crate) fn object(schema: &Value) -> Value {
    if is_object(schema) { schema.clone() } else { wrap(schema) }
}

/// The schema of `{ "result": … }`. Definitions move to the new root, where references look for
/// them; references to the root follow it down.
pub(crate) fn wrap(schema: &Value) -> Value {
    let mut outer = Map::new();
    let inner = match schema {
        // With an id of its own, its references stay inside.
        Value::Object(map) if !map.contains_key("$id") => {
            let mut inner = Map::clone(map);
            for key in ["$schema", "$defs", "definitions"] {
                if let Some(value) = inner.shift_remove(key) {
                    let value = if key == "$schema" { value } else { moved(&value) };
                    outer.insert(key.into(), value);
                }
            }
            moved(&inner.into())
        }
        other => other.clone(),
    };
    let count = || Value::from([("type", "integer")]);
    let truncated = Value::from([
        ("type", Value::from("object")),
        ("description", "Only there when the result was too large and was cut.".into()),
        ("properties", Value::from([("shown", count()), ("of", count())])),
        ("required", vec![Value::from("shown"), "of".into()].into()),
    ]);
    outer.insert("type".into(), "object".into());
    outer.insert("properties".into(), Value::from([("result", inner), ("truncated", truncated)]));
    outer.insert("required".into(), vec![Value::from("result")].into());
    outer.into()
}

/// With every reference to the old root changed to where it is now.
fn moved(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(moved).collect::<Vec<_>>().into(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match (&**key, value) {
                ("$ref", Value::String(target)) => (key.clone(), moved_reference(target).into()),
                _ => (key.clone(), moved(value)),
            })
            .collect::<Map>()
            .into(),
        other => other.clone(),
    }
}

fn moved_reference(target: &str) -> String {
    match target.strip_prefix('#') {
        Some(pointer) if pointer.starts_with("/$defs/") || pointer.starts_with("/definitions/") => {
            target.into()
        }
        Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => {
            format!("#/properties/result{pointer}")
        }
        _ => target.into(),
    }
}

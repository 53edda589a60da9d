//! The shape of arguments on one line: `{ id: integer, status?: "open" | "closed" }`.

use renkei_core::Value;

use super::schema::resolve;

/// Objects in objects are spelled out this deep.
const DEPTH: usize = 3;
/// A longer shape is cut.
const LENGTH: usize = 800;

/// The shape that `schema`, a part of `root`, describes.
pub(crate) fn shape(root: &Value, schema: &Value) -> String {
    let text = write(root, schema, 0);
    match text.char_indices().nth(LENGTH) {
        Some((cut, _)) => format!("{} …", &text[..cut]),
        None => text,
    }
}

fn write(root: &Value, schema: &Value, depth: usize) -> String {
    let schema = resolve(root, schema);
    if let Some(value) = schema.get("const") {
        return value.to_json();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return alternatives(values.iter().map(Value::to_json));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(forms) = schema.get(key).and_then(Value::as_array) {
            return alternatives(forms.iter().map(|form| write(root, form, depth)));
        }
    }
    match schema.get("type") {
        Some(Value::Array(types)) => alternatives(
            types.iter().filter_map(Value::as_str).map(|name| of_type(root, schema, name, depth)),
        ),
        Some(Value::String(name)) => of_type(root, schema, name, depth),
        _ if schema.get("properties").is_some() => of_type(root, schema, "object", depth),
        _ => "any".into(),
    }
}

fn of_type(root: &Value, schema: &Value, name: &str, depth: usize) -> String {
    match name {
        "object" => object(root, schema, depth),
        "array" => match schema.get("items") {
            Some(items) => {
                let item = write(root, items, depth);
                if item.contains(" | ") { format!("({item})[]") } else { format!("{item}[]") }
            }
            None => "array".into(),
        },
        "string" => match schema.get("format").and_then(Value::as_str) {
            Some(format) => format!("string ({format})"),
            None => "string".into(),
        },
        other => other.into(),
    }
}

fn object(root: &Value, schema: &Value, depth: usize) -> String {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return "object".into();
    };
    if properties.is_empty() {
        return "{}".into();
    }
    if depth >= DEPTH {
        return "{ … }".into();
    }
    let required = schema.get("required").and_then(Value::as_array).unwrap_or_default();
    let members: Vec<String> = properties
        .iter()
        .map(|(name, property)| {
            let needed = required.iter().any(|key| key.as_str() == Some(name));
            format!("{name}{}: {}", if needed { "" } else { "?" }, write(root, property, depth + 1))
        })
        .collect();
    format!("{{ {} }}", members.join(", "))
}

fn alternatives(forms: impl Iterator<Item = String>) -> String {
    let mut distinct: Vec<String> = Vec::new();
    for form in forms {
        if !distinct.contains(&form) {
            distinct.push(form);
        }
    }
    if distinct.is_empty() { "nothing".into() } else { distinct.join(" | ") }
}

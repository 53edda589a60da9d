//! Arguments that come as texts – a URI's variables, a prompt's arguments – as what their types say.

use renkei_core::{Map, Number, Value};

/// An object of the texts, each as its schema in `properties` wants it. What does not fit stays a text, so that
/// the check against the schema says what is wrong with it.
pub(super) fn typed<'t>(schema: &Value, texts: impl Iterator<Item = (&'t str, &'t str)>) -> Value {
    let properties = schema.get("properties");
    let member = |(name, text): (&str, &str)| {
        let property = properties.and_then(|all| all.get(name));
        (name.into(), property.map_or_else(|| text.into(), |property| one(property, text)))
    };
    texts.map(member).collect::<Map>().into()
}

fn one(schema: &Value, text: &str) -> Value {
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let has = |name| types.contains(&name);
    if has("string") || types.is_empty() {
        return text.into();
    }
    match text {
        "true" | "false" if has("boolean") => Value::Bool(text == "true"),
        "null" if has("null") => Value::Null,
        _ if has("integer") || has("number") => {
            Number::parse(text).map_or_else(|| text.into(), Value::Number)
        }
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_what_their_types_say() {
        let schema = br#"{ "properties": {
            "id": { "type": "integer" }, "price": { "type": "number" }, "open": { "type": "boolean" },
            "name": { "type": "string" }, "maybe": { "type": ["integer", "null"] }, "any": {}, "word": { "enum": ["1"] } } }"#;
        let schema = Value::from_json(schema).unwrap();
        let texts = |pairs: &[(&'static str, &'static str)]| typed(&schema, pairs.iter().copied()).to_json();
        assert_eq!(
            texts(&[
                ("id", "12345678901234567890"),
                ("price", "1.50"),
                ("open", "true"),
                ("name", "7"),
                ("word", "1")
            ]),
            r#"{"id":12345678901234567890,"price":1.50,"open":true,"name":"7","word":"1"}"#
        );
        assert_eq!(
            texts(&[("id", "x"), ("open", "yes"), ("maybe", "null"), ("any", "1"), ("other", "2")]),
            r#"{"id":"x","open":"yes","maybe":null,"any":"1","other":"2"}"#
        );
    }
}

//! Arguments that a modern client repeats in `Mcp-Param-*` headers, where the tool's schema asks for it
//! (`x-mcp-header`).
//!
//! rmcp compares header and body, as text, and it shall not see the arguments themselves (see `message`). So
//! it gets a copy of just those: numbers as the text of their digits, and in the header's own spelling where
//! the value is the same, because the specification compares integers as numbers (`42` and `42.0`).

use std::sync::Arc;

use http::HeaderMap;
use renkei_core::{Map, Value};

/// One annotated property.
#[derive(Debug)]
pub(super) struct Mirror {
    path: Vec<Arc<str>>,
    header: String,
}

/// The annotated properties of an input schema: those reached through `properties` alone, as rmcp finds them.
pub(super) fn mirrors(schema: &Value) -> Vec<Mirror> {
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), &mut found);
    found
}

fn collect(schema: &Value, path: &mut Vec<Arc<str>>, found: &mut Vec<Mirror>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        path.push(name.clone());
        if let Some(header) = property.get("x-mcp-header").and_then(Value::as_str) {
            found.push(Mirror { path: path.clone(), header: format!("mcp-param-{header}") });
        }
        collect(property, path, found);
        path.pop();
    }
}

/// What rmcp compares with the headers.
pub(super) fn copy(mirrors: &[Mirror], arguments: &Value, headers: &HeaderMap) -> Value {
    let mut copied = Value::object();
    for Mirror { path, header } in mirrors {
        let found = path.iter().try_fold(arguments, |value, key| value.get(key));
        let shown = match found {
            Some(Value::Number(number)) => {
                let header = headers.get(header).and_then(|value| value.to_str().ok());
                let same = header.filter(|text| renkei_core::Number::parse(text).as_ref() == Some(number));
                same.map_or_else(|| number.to_string(), ToOwned::to_owned).into()
            }
            Some(scalar @ (Value::String(_) | Value::Bool(_))) => scalar.clone(),
            _ => continue,
        };
        copied = put(copied, path, shown);
    }
    copied
}

fn put(into: Value, path: &[Arc<str>], value: Value) -> Value {
    let [first, rest @ ..] = path else { return value };
    let mut members = match into {
        Value::Object(members) => Arc::unwrap_or_clone(members),
        _ => Map::new(),
    };
    let inner = members.get(first).cloned().unwrap_or_else(Value::object);
    members.insert(first.clone(), put(inner, rest, value));
    members.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_headers_repeat_is_copied() {
        let schema = br#"{"properties":{
            "region":{"x-mcp-header":"Region"},
            "count":{"x-mcp-header":"Count"},
            "deep":{"properties":{"flag":{"x-mcp-header":"Flag"},"big":{"x-mcp-header":"Big"},"own":{}}},
            "list":{"items":{"x-mcp-header":"Item"}}}}"#;
        let mirrors = mirrors(&Value::from_json(schema).unwrap());
        let arguments = br#"{"region":"eu","count":42.0,"other":1,"list":[1],
            "deep":{"flag":true,"big":123456789012345678901234567890,"own":{"a":1}}}"#;
        let mut headers = HeaderMap::new();
        headers.insert("mcp-param-count", "42".parse().unwrap());
        headers.insert("mcp-param-big", "7".parse().unwrap());
        let copied = copy(&mirrors, &Value::from_json(arguments).unwrap(), &headers);
        assert_eq!(
            copied.to_json(),
            r#"{"region":"eu","count":"42","deep":{"flag":true,"big":"123456789012345678901234567890"}}"#
        );
    }
}

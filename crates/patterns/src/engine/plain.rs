//! Says of most arguments at a glance that they are right, without a copy and without the compiled schema.
//!
//! It only ever says yes, and only where that is certain: flat objects of texts, whole numbers and booleans, as most
//! tools have them. The validator has the last word on everything else; a test holds that it never disagrees.

use std::sync::Arc;

use renkei_core::{Map, Value};

/// What describes a member and does not restrict it.
const WORDS: [&str; 4] = ["title", "description", "examples", "deprecated"];
/// Beyond it a double, with which the validator compares, has no room for each number.
const EXACT: i64 = 1 << 53;

/// A schema that is simple enough.
#[derive(Debug)]
pub(super) struct Plain(Vec<Member>);

#[derive(Debug)]
struct Member {
    name: Arc<str>,
    kind: Kind,
    required: bool,
    /// Where it is not there, it is filled in.
    has_default: bool,
}

#[derive(Debug)]
enum Kind {
    Boolean,
    Integer {
        least: i64,
        most: i64,
    },
    /// Of so many characters.
    Text {
        least: usize,
        most: usize,
    },
}

impl Plain {
    /// Nothing for a schema that says more than this file reads.
    pub(super) fn of(schema: &Value) -> Option<Plain> {
        let schema = schema.as_object()?;
        let known = ["type", "properties", "required", "additionalProperties"];
        let is_simple = schema.keys().all(|key| known.contains(&&**key) || WORDS.contains(&&**key))
            && schema.get("type")?.as_str() == Some("object")
            && schema.get("additionalProperties").is_none_or(|more| more.as_bool().is_some());
        if !is_simple {
            return None;
        }
        let required = schema.get("required").map_or(Some(&[][..]), Value::as_array)?;
        let is_required = |name: &str| required.iter().any(|other| other.as_str() == Some(name));
        let properties = schema.get("properties")?.as_object()?;
        // What is required and not described would be looked for in vain below.
        let described = |name: &Value| name.as_str().is_some_and(|name| properties.contains_key(name));
        if !required.iter().all(described) {
            return None;
        }
        let member = |(name, property): (&Arc<str>, &Value)| {
            let property = property.as_object()?;
            Some(Member {
                name: name.clone(),
                kind: Kind::of(property)?,
                required: is_required(name),
                has_default: property.contains_key("default"),
            })
        };
        properties.iter().map(member).collect::<Option<Vec<_>>>().map(Plain)
    }

    /// Whether these arguments are certainly right, with nothing to fill in.
    pub(super) fn is_right(&self, arguments: &Value) -> bool {
        let Value::Object(arguments) = arguments else { return false };
        let mut seen = 0;
        for member in &self.0 {
            match arguments.get(&member.name) {
                Some(value) if member.kind.fits(value) => seen += 1,
                None if !member.required && !member.has_default => {}
                _ => return false,
            }
        }
        seen == arguments.len()
    }
}

impl Kind {
    fn of(property: &Map) -> Option<Kind> {
        let only = |known: &[&str]| {
            let is_known = |key: &str| known.contains(&key) || WORDS.contains(&key);
            property.keys().all(|key| matches!(&**key, "type" | "default") || is_known(key))
        };
        match property.get("type")?.as_str()? {
            "boolean" if only(&[]) => Some(Kind::Boolean),
            "integer" if only(&["minimum", "maximum"]) => {
                let bound = |key, otherwise| property.get(key).map_or(Some(otherwise), Value::as_i64);
                Some(Kind::Integer {
                    least: bound("minimum", -EXACT)?.max(-EXACT),
                    most: bound("maximum", EXACT)?.min(EXACT),
                })
            }
            "string" if only(&["minLength", "maxLength"]) => {
                let bound = |key, otherwise| match property.get(key) {
                    None => Some(otherwise),
                    Some(length) => usize::try_from(length.as_i64()?).ok(),
                };
                Some(Kind::Text { least: bound("minLength", 0)?, most: bound("maxLength", usize::MAX)? })
            }
            _ => None,
        }
    }

    fn fits(&self, value: &Value) -> bool {
        match (self, value) {
            (Kind::Boolean, Value::Bool(_)) => true,
            (Kind::Integer { least, most }, Value::Number(number)) => {
                number.as_i64().is_some_and(|number| (*least..=*most).contains(&number))
            }
            (Kind::Text { least: 0, most: usize::MAX }, Value::String(_)) => true,
            (Kind::Text { least, most }, Value::String(text)) => {
                (*least..=*most).contains(&text.chars().count())
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{
        collection::{btree_map, btree_set},
        prelude::*,
        sample::select,
    };

    use super::*;
    use crate::{engine::schema, fake::value};

    const SCHEMAS: &[&str] = &[
        r#"{ "type": "boolean", "description": "yes or no" }"#,
        r#"{ "type": "integer" }"#,
        r#"{ "type": "integer", "minimum": 1, "maximum": 9007199254740993 }"#,
        r#"{ "type": "integer", "minimum": -9007199254740993, "default": 3 }"#,
        r#"{ "type": "integer", "minimum": 1.5 }"#,
        r#"{ "type": "integer", "exclusiveMinimum": 1 }"#,
        r#"{ "type": "string" }"#,
        r#"{ "type": "string", "minLength": 1, "maxLength": 3 }"#,
        r#"{ "type": "string", "maxLength": 2, "default": "é" }"#,
        r#"{ "type": "string", "pattern": "^a" }"#,
        r#"{ "type": "string", "enum": ["a", "éé"] }"#,
        r#"{ "type": ["string", "null"] }"#,
        r#"{ "enum": [1, true] }"#,
        "true",
        "false",
    ];
    const VALUES: &[&str] = &[
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "2",
        "-1",
        "1.0",
        "1e2",
        "0.5",
        "9007199254740992",
        "9007199254740993",
        "9223372036854775807",
        "-9007199254740993",
        "1e400",
        "\"\"",
        "\"a\"",
        "\"éé\"",
        "\"e\u{301}e\u{301}\"",
        "\"abcd\"",
        "[]",
        "{}",
    ];
    const MORE: &[&str] = &["true", "false", r#"{ "type": "string" }"#];
    const NAMES: &[&str] = &["a", "b", "c", "d"];

    fn object(members: impl IntoIterator<Item = (&'static str, &'static str)>) -> Value {
        members.into_iter().map(|(name, text)| (name.into(), value(text))).collect::<Map>().into()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_yes_is_the_validators_yes(
            properties in btree_map(select(NAMES), select(SCHEMAS), 0..4),
            required in btree_set(select(NAMES), 0..3),
            more in select(MORE),
            arguments in btree_map(select(NAMES), select(VALUES), 0..4),
        ) {
            let required: Vec<Value> = required.into_iter().map(Value::from).collect();
            let schema = Value::from([
                ("type", Value::from("object")),
                ("properties", object(properties)),
                ("required", required.into()),
                ("additionalProperties", value(more)),
            ]);
            let arguments = object(arguments);
            if Plain::of(&schema).is_some_and(|plain| plain.is_right(&arguments)) {
                let validator = schema::compile(&schema).unwrap();
                prop_assert!(validator.is_valid(&serde_json::Value::from(&arguments)));
            }
        }
    }

    #[test]
    fn what_most_tools_are_sent_is_plain() {
        let schema = value(
            r#"{
                "type": "object",
                "properties": {
                    "id": { "type": "integer", "minimum": 1, "description": "The item's number" },
                    "note": { "type": "string", "maxLength": 20 },
                    "page": { "type": "integer", "default": 1 }
                },
                "required": ["id"],
                "additionalProperties": false
            }"#,
        );
        let plain = Plain::of(&schema).unwrap();
        for right in [r#"{ "id": 7, "page": 2 }"#, r#"{ "id": 7, "note": "é", "page": 2 }"#] {
            assert!(plain.is_right(&value(right)), "{right}");
        }
        for other in [
            r#"{ "id": 7 }"#,
            r#"{ "page": 2 }"#,
            r#"{ "id": 0, "page": 2 }"#,
            r#"{ "id": 7, "page": 2, "x": 1 }"#,
            "[]",
        ] {
            assert!(!plain.is_right(&value(other)), "{other}");
        }
    }
}

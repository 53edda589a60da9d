//! Wrong arguments and the texts that answer them; defaults; nulls; digits.

use renkei_core::{Result, Value};

use crate::{engine::input::Input, fake::value};

const ORDER: &str = r##"{
  "type": "object",
  "properties": {
    "sku": { "type": "string", "minLength": 3, "maxLength": 8, "pattern": "^[A-Z]+-[0-9]+$" },
    "quantity": { "type": "integer", "minimum": 1, "maximum": 99 },
    "status": { "enum": ["open", "closed", "on hold"], "default": "open" },
    "gift": { "type": "boolean", "default": false },
    "note": { "type": ["string", "null"] },
    "due": { "type": "string", "format": "date" },
    "at": { "type": "string", "format": "date-time" },
    "ref": { "type": "string", "format": "uuid" },
    "tags": { "type": "array", "items": { "type": "string" }, "maxItems": 2, "uniqueItems": true },
    "to": { "$ref": "#/$defs/address" },
    "price": { "type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5 },
    "pay": { "oneOf": [{ "type": "string" }, { "type": "object", "properties": { "card": { "type": "string" } }, "required": ["card"] }] },
    "kind": { "const": "order" }
  },
  "required": ["sku", "quantity"],
  "additionalProperties": false,
  "$defs": {
    "address": {
      "type": "object",
      "properties": { "city": { "type": "string" }, "country": { "type": "string", "default": "JP" } },
      "required": ["city"],
      "additionalProperties": false
    }
  }
}"##;

fn check(arguments: &str) -> Result<Value> {
    Input::new(&value(ORDER)).unwrap().check("place_order", value(arguments))
}

#[test]
fn texts_for_wrong_arguments() {
    let cases = [
        "{}",
        "[1]",
        r#""ABC-1""#,
        r#"{ "sku": "ABC-1" }"#,
        r#"{ "sku": "ABC-1", "quantty": 2 }"#,
        r#"{ "sku": "ABC-1", "quantity": "2" }"#,
        r#"{ "sku": "ABC-1", "quantity": 2.5 }"#,
        r#"{ "sku": "ABC-1", "quantity": 0 }"#,
        r#"{ "sku": "ABC-1", "quantity": 100 }"#,
        r#"{ "sku": 7, "quantity": null }"#,
        r#"{ "sku": "a", "quantity": 1 }"#,
        r#"{ "sku": "ABCDEFGH-12345", "quantity": 1 }"#,
        r#"{ "sku": "ABC-1", "quantity": 1, "status": "opne" }"#,
        r#"{ "sku": "ABC-1", "quantity": 1, "gift": "true" }"#,
        r#"{ "sku": "ABC-1", "quantity": 1, "due": "28.7.2026", "at": "now", "ref": "7" }"#,
        r#"{ "sku": "ABC-1", "quantity": 1, "tags": "red" }"#,
        r#"{ "sku": "ABC-1", "quantity": 1, "tags": "[\"red\"]" }"#,
        r#"{ "sku": "ABC-1", "quantity": 1, "tags": ["red", 7, "red"] }"#,
        r#"{ "sku": "ABC-1", "quantity": 1, "tags": ["red", "red"] }"#,
        r#"{ "sku": "ABC-1", "quantity": 1, "to": { "cty": "Kyoto" } }"#,
        r#"{ "sku": "ABC-1", "quantity": 1, "to": "{\"city\": \"Kyoto\"}" }"#,
        r#"{ "sku": "ABC-1", "quantity": 1, "price": 0 }"#,
        r#"{ "sku": "ABC-1", "quantity": 1, "price": 1.3 }"#,
        r#"{ "sku": "ABC-1", "quantity": 1, "pay": { "crad": "x" } }"#,
        r#"{ "sku": "ABC-1", "quantity": 1, "kind": "offer" }"#,
        r#"{ "sku": "ABC-1", "quantity": 1, "a": 1, "b": 2, "c": 3 }"#,
    ];
    let mut texts = String::new();
    for case in cases {
        let error = check(case).unwrap_err();
        texts += &format!("--- {case}\n{}\n", error.public());
    }
    insta::assert_snapshot!(texts);
}

#[test]
fn many_problems_are_counted() {
    let extra: Vec<String> = (0..40).map(|n| format!(r#""x{n}": 1"#)).collect();
    let list: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    for arguments in
        [format!("{{ {} }}", extra.join(", ")), format!(r#"{{ "tags": [{}] }}"#, list.join(", "))]
    {
        let text = check(&arguments).unwrap_err().public().to_owned();
        assert!(text.lines().count() < 20, "{text}");
        assert!(text.contains(" more"), "{text}");
    }
}

#[test]
fn defaults_are_filled_in_at_every_level() {
    let filled = check(r#"{ "sku": "ABC-1", "quantity": 1, "to": { "city": "Kyoto" } }"#).unwrap();
    let expected = r#"{ "sku": "ABC-1", "quantity": 1, "to": { "city": "Kyoto", "country": "JP" }, "status": "open", "gift": false }"#;
    assert_eq!(filled, value(expected));
}

#[test]
fn no_arguments_at_all_are_an_empty_object() {
    let input =
        Input::new(&value(r#"{ "type": "object", "properties": { "n": { "default": 7 } } }"#)).unwrap();
    assert_eq!(input.check("t", Value::Null).unwrap(), value(r#"{ "n": 7 }"#));
}

#[test]
fn a_null_that_may_be_left_out_is_left_out() {
    let checked = check(
        r#"{ "sku": "ABC-1", "quantity": 1, "due": null, "status": null, "note": null, "to": { "city": "Kyoto", "country": null } }"#,
    );
    let expected = r#"{ "sku": "ABC-1", "quantity": 1, "note": null, "to": { "city": "Kyoto", "country": "JP" }, "status": "open", "gift": false }"#;
    assert_eq!(checked.unwrap(), value(expected));
    // One that is required is not.
    let text = check(r#"{ "sku": null, "quantity": 1, "due": null }"#).unwrap_err().to_string();
    assert!(text.contains("`sku`: must not be null; expected string"), "{text}");
}

#[test]
fn numbers_keep_their_digits() {
    let input =
        Input::new(&value(r#"{ "type": "object", "properties": { "n": { "type": "integer" } } }"#)).unwrap();
    let arguments = r#"{"n":123456789012345678901234567890,"x":1.10}"#;
    assert_eq!(input.check("t", value(arguments)).unwrap().to_json(), arguments);
}

#[test]
fn schemas_that_cannot_be_used_say_why() {
    for (schema, part) in [
        (r#"{ "type": "strin" }"#, "strin"),
        (r#"{ "$ref": "https://example.com/schema.json" }"#, "example.com"),
        (r##"{ "$ref": "#/$defs/none" }"##, "none"),
        (r#"{ "properties": { "a": { "pattern": "(?=x)" } } }"#, "(?=x)"),
        (r#"{ "properties": { "a": { "pattern": "(" } } }"#, "("),
    ] {
        let problem = Input::new(&value(schema)).unwrap_err();
        assert!(problem.contains(part), "{schema}: {problem}");
    }
}

#[test]
fn a_pattern_takes_linear_time() {
    let input = Input::new(&value(r#"{ "properties": { "a": { "pattern": "^(a+)+$" } } }"#)).unwrap();
    let arguments = Value::from([("a", format!("{}!", "a".repeat(50_000)))]);
    assert!(input.check("t", arguments).is_err());
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let tree = r##"{ "type": "object", "properties": { "left": { "$ref": "#" }, "n": { "type": "integer", "default": 1 } }, "additionalProperties": false }"##;
    let input = Input::new(&value(tree)).unwrap();
    assert!(input.check("t", value(r#"{ "left": { "left": {} } }"#)).is_ok());
    let text = input.check("t", value(r#"{ "left": { "rigth": {} } }"#)).unwrap_err().to_string();
    assert!(text.contains("expected: { left?: { left?: { left?: { … }"), "{text}");
    let circle = Input::new(&value(
        r##"{ "properties": { "a": { "$ref": "#/$defs/a" } }, "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } }"##,
    ));
    // Refused or harmless, but it ends.
    let _ = circle.map(|circle| circle.check("t", value(r#"{ "a": 1 }"#)));
}

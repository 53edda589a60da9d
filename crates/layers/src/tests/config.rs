//! `timeout` and `retry` as they are written, and what is wrong with them.

use std::time::Duration;

use renkei_core::{Definitions, Diagnostics, Entry, FromNode, Node, NodeKind, Span, Value, node::Text};

use crate::{
    LAYERS,
    config::{Retry, Timeout},
};

fn node(value: &Value) -> Node {
    let kind = match value {
        Value::Null => NodeKind::Null,
        Value::Bool(flag) => NodeKind::Bool(*flag),
        Value::Number(number) => NodeKind::Number(number.clone()),
        Value::String(text) => NodeKind::String(Text::new(text.clone())),
        Value::Array(items) => NodeKind::Seq(items.iter().map(node).collect()),
        Value::Object(map) => NodeKind::Map(
            map.iter()
                .map(|(key, value)| Entry { key: key.clone(), key_span: Span::default(), value: node(value) })
                .collect(),
        ),
    };
    Node { kind, span: Span::default() }
}

fn read<T: FromNode>(json: &str) -> (Option<T>, Vec<String>) {
    let mut d = Diagnostics::default();
    let read = T::from_node(&node(&Value::from_json(json.as_bytes()).unwrap()), &mut d);
    (read, d.iter().map(|d| d.message.clone()).collect())
}

fn good<T: FromNode>(json: &str) -> T {
    let (read, problems) = read(json);
    assert!(problems.is_empty(), "{json}: {problems:?}");
    read.unwrap()
}

fn timeout(connect: u64, attempt: u64, total: u64) -> Timeout {
    let seconds = Duration::from_secs;
    Timeout { connect: seconds(connect), attempt: seconds(attempt), total: seconds(total) }
}

#[test]
fn timeouts() {
    assert_eq!(good::<Timeout>("{}"), timeout(5, 30, 60));
    assert_eq!(good::<Timeout>(r#""10s""#), timeout(5, 10, 10));
    assert_eq!(good::<Timeout>(r#""2s""#), timeout(2, 2, 2));
    assert_eq!(good::<Timeout>(r#""2m""#), timeout(5, 30, 120));
    assert_eq!(good::<Timeout>(r#"{ "attempt": "90s" }"#), timeout(5, 90, 90));
    assert_eq!(good::<Timeout>(r#"{ "connect": "1s", "attempt": "2s", "total": "9s" }"#), timeout(1, 2, 9));
}

#[test]
fn retries() {
    let ms = Duration::from_millis;
    let usual = |attempts| Retry { attempts, first: ms(200), max: ms(5000) };
    assert_eq!(good::<Retry>("{}"), usual(3));
    assert_eq!(good::<Retry>("5"), usual(5));
    assert_eq!(good::<Retry>(r#""off""#), usual(1));
    assert_eq!(good::<Retry>("false"), usual(1));
    assert_eq!(
        good::<Retry>(r#"{ "attempts": 2, "backoff": { "first": "1s", "max": "10s" } }"#),
        Retry { attempts: 2, first: ms(1000), max: ms(10_000) }
    );
}

#[test]
fn wrong_ones_are_diagnostics() {
    for json in [
        "10",
        "true",
        "[]",
        r#""soon""#,
        r#""0s""#,
        r#""2h""#,
        r#"{ "total": "0s" }"#,
        r#"{ "totl": "1s" }"#,
        r#"{ "attempt": "10s", "total": "5s" }"#,
        r#"{ "connect": "10s", "attempt": "5s" }"#,
        r#"{ "connect": "10s", "total": "5s" }"#,
    ] {
        assert_eq!(read::<Timeout>(json).1.len(), 1, "timeout: {json}: {:?}", read::<Timeout>(json).1);
    }
    for json in [
        "0",
        "-1",
        "21",
        "2.5",
        "true",
        "[]",
        r#""on""#,
        r#"{ "attempts": 0 }"#,
        r#"{ "attempts": 99 }"#,
        r#"{ "atempts": 2 }"#,
        r#"{ "backoff": "1s" }"#,
        r#"{ "backoff": { "first": "9s" } }"#,
    ] {
        assert_eq!(read::<Retry>(json).1.len(), 1, "retry: {json}: {:?}", read::<Retry>(json).1);
    }
}

#[test]
fn reads_its_own_keys_of_a_system_only() {
    let system = Value::from_json(br#"{ "http": { "timeout": 7 }, "timeout": "9s", "other": 1 }"#).unwrap();
    let mut d = Diagnostics::default();
    let layers = LAYERS.read(&node(&system), &mut d);
    assert!(d.is_empty());
    assert_eq!(layers.connect_timeout(), Duration::from_secs(5));
}

#[test]
fn every_property_has_a_description() {
    let mut defs = Definitions::default();
    let properties = LAYERS.properties(&mut defs);
    assert_eq!(properties.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["timeout", "retry"]);
    for (name, schema) in properties {
        assert!(schema.get("description").is_some(), "{name}");
    }
}

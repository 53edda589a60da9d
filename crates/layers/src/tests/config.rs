//! The words as they are written, and what is wrong with them.

use std::time::Duration;

use renkei_core::{
    CallNode, Definitions, Diagnostics, Effect, Entry, FromNode, Layers, Node, NodeKind, PreparedOp, Span,
    Tree, Value, connector::CALL_WORDS, node::Text, read::Rate, template::Names,
};

use super::script;
use crate::{
    LAYERS,
    config::{Attempts, BreakerChoice, Budget, Cache, Limit, Own, Retry, Settings, Share, Timeout},
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
    Timeout { connect: seconds(connect), read: None, attempt: seconds(attempt), total: seconds(total) }
}

#[test]
fn timeouts() {
    assert_eq!(good::<Timeout>("{}"), timeout(5, 30, 60));
    assert_eq!(good::<Timeout>(r#""10s""#), timeout(5, 10, 10));
    assert_eq!(good::<Timeout>(r#""2s""#), timeout(2, 2, 2));
    assert_eq!(good::<Timeout>(r#""2m""#), timeout(5, 30, 120));
    assert_eq!(good::<Timeout>(r#"{ "attempt": "90s" }"#), timeout(5, 90, 90));
    assert_eq!(good::<Timeout>(r#"{ "connect": "1s", "attempt": "2s", "total": "9s" }"#), timeout(1, 2, 9));
    let read = good::<Timeout>(r#"{ "read": "3s" }"#).read;
    assert_eq!(read, Some(Duration::from_secs(3)));
}

#[test]
fn retries() {
    let ms = Duration::from_millis;
    let usual = |attempts| Retry {
        plan: Attempts { attempts, first: ms(200), max: ms(5000) },
        budget: Some(Budget { share: Share(20), minimum: Rate { count: 10, per: ms(1000) } }),
    };
    assert_eq!(good::<Retry>("{}"), usual(3));
    assert_eq!(good::<Retry>("5"), usual(5));
    assert_eq!(good::<Retry>(r#""off""#), usual(1));
    assert_eq!(good::<Retry>("false"), usual(1));
    assert_eq!(
        good::<Retry>(r#"{ "attempts": 2, "backoff": { "first": "1s", "max": "10s" }, "budget": "off" }"#),
        Retry { plan: Attempts { attempts: 2, first: ms(1000), max: ms(10_000) }, budget: None }
    );
    assert_eq!(
        good::<Retry>(r#"{ "budget": { "share": "5%", "minimum": "1/m" } }"#).budget,
        Some(Budget { share: Share(5), minimum: Rate { count: 1, per: ms(60_000) } })
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
        r#"{ "read": "10s", "attempt": "5s" }"#,
        r#"{ "read": "10s", "total": "5s" }"#,
        r#"{ "read": "0s" }"#,
        r#"{ "read": "5s", "attempt": "10s", "total": "6s" }"#,
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
        r#"{ "budget": { "share": "120%" } }"#,
        r#"{ "budget": { "share": 0.2 } }"#,
        r#"{ "budget": { "minimum": "10" } }"#,
        r#"{ "budget": "on" }"#,
    ] {
        assert_eq!(read::<Retry>(json).1.len(), 1, "retry: {json}: {:?}", read::<Retry>(json).1);
    }
    for json in [
        "5",
        "null",
        r#""yes""#,
        r#"{ "failures": 0 }"#,
        r#"{ "rate": "101%" }"#,
        r#"{ "window": "1ms" }"#,
        r#"{ "failurs": 3 }"#,
        r#"{ "reset": "2d" }"#,
    ] {
        let problems = read::<BreakerChoice>(json).1;
        assert_eq!(problems.len(), 1, "breaker: {json}: {problems:?}");
    }
    for json in [
        "5",
        "{}",
        r#"{ "rate": "50" }"#,
        r#"{ "rate": "0/s" }"#,
        r#"{ "rate": "5/w" }"#,
        r#"{ "concurrency": 0 }"#,
        r#"{ "concurrency": 1, "burst": 3 }"#,
        r#"{ "rate": "1/s", "per": "user" }"#,
        r#"{ "rate": "1/s", "wait": "2m" }"#,
    ] {
        let problems = read::<Limit>(json).1;
        assert_eq!(problems.len(), 1, "limit: {json}: {problems:?}");
    }
    for json in [
        "5",
        "true",
        r#""0s""#,
        r#"{ "ttl": "0s" }"#,
        r#"{ "ttl": "5m", "name": "My Cache" }"#,
        r#"{ "stale": "5m" }"#,
        r#"{ "ttl": "5m", "max_entries": 0 }"#,
        r#"{ "ttl": "5m", "max_bytes": "0B" }"#,
    ] {
        let problems = read::<Cache>(json).1;
        assert_eq!(problems.len(), 1, "cache: {json}: {problems:?}");
    }
}

#[test]
fn breakers_limits_and_caches() {
    assert_eq!(good::<BreakerChoice>(r#""on""#).0, good::<BreakerChoice>("{}").0);
    assert_eq!(good::<BreakerChoice>(r#""off""#).0, None);
    assert_eq!(good::<BreakerChoice>(r#"{ "failures": 3, "rate": "10%" }"#).0.unwrap().rate, Share(10));
    let limit = good::<Limit>(r#"{ "rate": "50/s", "concurrency": 20 }"#);
    assert_eq!(limit.rate.unwrap().interval(), Duration::from_millis(20));
    assert_eq!(limit.rate.unwrap().to_string(), "50/s");
    assert_eq!(limit.concurrency, Some(20));
    assert_eq!(good::<Cache>(r#""5m""#).keep.unwrap().ttl, Duration::from_secs(300));
    assert_eq!(good::<Cache>(r#"{ "max_entries": 7 }"#).keep, None);
    let cache = good::<Cache>(r#"{ "ttl": "5m", "stale": "1m", "name": "customers" }"#).keep.unwrap();
    assert_eq!((cache.stale, cache.name.as_deref()), (Duration::from_secs(60), Some("customers")));
}

/// What holds for a call on a system, with its problems.
fn own(system: &str, call: &str, effect: Effect) -> Result<Own, Vec<String>> {
    let mut d = Diagnostics::default();
    let layers = LAYERS.read(&node(&Value::from_json(system.as_bytes()).unwrap()), &mut d);
    let settings = node(&Value::from_json(call.as_bytes()).unwrap());
    let prepared = script::request(effect, None).op;
    let op = node(&Value::from("GET /"));
    let call = CallNode { op: &op, prepared: &prepared, settings: settings.as_map().unwrap() };
    let read = layers.read_call(&call, &mut d);
    match read {
        Some(own) if d.is_empty() => Ok(own.downcast_ref::<Own>().unwrap().clone()),
        _ => Err(d.iter().map(|d| d.message.clone()).collect()),
    }
}

#[test]
fn a_call_says_what_is_different_and_its_system_the_rest() {
    let seconds = Duration::from_secs;
    let system = r#"{ "timeout": { "connect": "1s", "attempt": "4s", "total": "8s" }, "retry": { "attempts": 5, "backoff": { "first": "1s" } }, "cache": { "ttl": "5m", "stale": "1m", "name": "all" } }"#;
    let read = |call| own(system, call, Effect::Read).unwrap();
    let plain = read("{}");
    assert_eq!(
        (plain.timeout.attempt, plain.timeout.total, plain.retry.attempts),
        (seconds(4), seconds(8), 5)
    );
    assert_eq!(plain.cache.unwrap().keep.ttl, seconds(300));

    let short = read(r#"{ "timeout": "2s", "retry": "off", "cache": "off" }"#);
    assert_eq!(
        (short.timeout.attempt, short.timeout.total, short.retry.attempts),
        (seconds(2), seconds(2), 1)
    );
    assert!(short.cache.is_none());

    let long = read(r#"{ "timeout": { "attempt": "20s" }, "retry": 2, "cache": { "ttl": "10s" } }"#);
    assert_eq!((long.timeout.attempt, long.timeout.total), (seconds(20), seconds(20)));
    assert_eq!((long.retry.attempts, long.retry.first), (2, seconds(1)));
    let keep = long.cache.unwrap().keep;
    assert_eq!((keep.ttl, keep.stale, keep.name.as_deref()), (seconds(10), seconds(60), Some("all")));

    // The system's word is for reads; a call's own word about a write is a mistake.
    assert!(own(system, "{}", Effect::Write).unwrap().cache.is_none());
    let problems = own(system, r#"{ "cache": "5m" }"#, Effect::Write).unwrap_err();
    assert_eq!(problems, ["only replies to reads are kept, and this call may change something"]);
    let problems = own("{}", r#"{ "cache": { "stale": "5m" } }"#, Effect::Read).unwrap_err();
    assert_eq!(problems, ["`cache` does not say how long a reply is good"]);
    for (call, problem) in [
        (r#"{ "timeout": { "connect": "1s" } }"#, "unknown key `connect`"),
        (r#"{ "retry": { "budget": "off" } }"#, "unknown key `budget`"),
        (r#"{ "cache": { "ttl": "1m", "max_entries": 5 } }"#, "unknown key `max_entries`"),
    ] {
        assert_eq!(own("{}", call, Effect::Read).unwrap_err(), [problem]);
    }
}

#[test]
fn what_is_another_in_every_run_is_not_kept() {
    let mut d = Diagnostics::default();
    let names = Names { vars: vec!["run".into()], ..Names::default() };
    let slot = Tree::read(&node(&Value::from("${$run}")), &names, &mut d).unwrap();
    let prepared = PreparedOp {
        system: "crm".into(),
        label: "".into(),
        effect: Effect::Read,
        carries_key: false,
        slots: vec![slot],
        pages: None,
        plan: Box::new(()),
    };
    let op = node(&Value::from("GET /"));
    let settings = Settings { cache: good(r#""5m""#), ..Settings::default() };
    let beside = node(&Value::from([("cache", "5m")]));
    let mut read = |settings: &[Entry], layers: &Settings| {
        let call = CallNode { op: &op, prepared: &prepared, settings };
        layers.read_call(&call, &mut d).map(|own| own.downcast_ref::<Own>().unwrap().cache.is_some())
    };
    assert_eq!(read(&[], &settings), Some(false));
    assert_eq!(read(beside.as_map().unwrap(), &settings), None);
    assert_eq!(d.iter().count(), 1);
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
    assert_eq!(
        properties.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["timeout", "cache", "retry", "breaker", "limit"]
    );
    let of_calls = LAYERS.call_properties(&mut defs);
    assert_eq!(of_calls.iter().map(|(name, _)| *name).collect::<Vec<_>>(), CALL_WORDS);
    let resolve = |schema: &Value| match schema.get("$ref").and_then(|r| r.as_str()?.strip_prefix("#/$defs/"))
    {
        Some(name) => defs.map[name].clone(),
        None => schema.clone(),
    };
    for (name, schema) in properties.into_iter().chain(of_calls) {
        let schema = resolve(&schema);
        assert!(schema.get("description").is_some(), "{name}");
    }
}

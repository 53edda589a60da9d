//! What is known without a connection.

use proptest::{prelude::*, test_runner::TestRunner};
use renkei_core::{Definitions, Diagnostics, Effect, NodeKind, Value};

use crate::subject::{Ask, Subject, json, names, node, prepare, read, subjects};

const ALL: [Ask; 6] = [Ask::Get, Ask::Put, Ask::Create, Ask::List, Ask::Slow, Ask::EchoSecret];

#[test]
fn the_effect_is_known_offline() {
    for subject in subjects(&[]) {
        let system = read(subject, &subject.config()).unwrap();
        let effect = |ask| prepare(&*system, &subject.op(ask).unwrap()).unwrap().effect;
        assert_eq!(effect(Ask::Get), Effect::Read);
        assert_eq!(effect(Ask::List), Effect::Read);
        assert_eq!(effect(Ask::Put), Effect::Idempotent);
        assert_eq!(effect(Ask::Create), Effect::Write);
    }
}

/// Preparing is pure: twice gives the same, and the label tells the operation without its values.
#[test]
fn preparing_twice_gives_the_same() {
    for subject in subjects(&[]) {
        let system = read(subject, &subject.config()).unwrap();
        for op in ALL.into_iter().filter_map(|ask| subject.op(ask)) {
            let (one, other) = (prepare(&*system, &op).unwrap(), prepare(&*system, &op).unwrap());
            assert_eq!(
                (&one.label, one.effect, one.slots.len()),
                (&other.label, other.effect, other.slots.len())
            );
            assert_eq!(&*one.system, "items");
            assert!(
                !one.label.is_empty() && !one.label.contains("${") && !one.label.contains('\n'),
                "{}",
                one.label
            );
        }
    }
}

/// The schemas are objects that describe every key, and all that they refer to is there.
#[test]
fn schemas_are_whole() {
    for subject in subjects(&[]) {
        let kind = subject.kind();
        let mut defs = Definitions::default();
        let schemas = [kind.schema(&mut defs), kind.op_schema(&mut defs)];
        let text = Value::from(schemas.to_vec()).to_json() + &Value::from(defs.map.clone()).to_json();
        for reference in text.split("#/$defs/").skip(1) {
            let name = reference.split('"').next().unwrap_or_default();
            assert!(defs.map.contains_key(name), "{}: {name}", kind.name());
        }
        assert!(text.contains("description"), "{text}");
    }
}

/// Slips of the hand are told with a suggestion.
#[test]
fn unknown_keys_are_told() {
    for subject in subjects(&[]) {
        let mut map = subject.config().as_object().unwrap().clone();
        map.insert("no_such_key".into(), Value::Null);
        let wrong = read(subject, &map.into()).expect_err("an unknown key is an error").join("\n");
        assert!(wrong.contains("`no_such_key`"), "{wrong}");
        let wrong = read(subject, &json(r#""text""#)).expect_err("a text is no config").join("\n");
        assert!(wrong.contains("a mapping"), "{wrong}");
    }
}

/// No config and no operation makes a connector panic; what gives nothing says why.
#[test]
fn nothing_panics() {
    for subject in subjects(&[]) {
        let mut runner =
            TestRunner::new(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() });
        let checked = runner.run(&tree(subject), |value| {
            let mut d = Diagnostics::default();
            if subject.kind().read("items", &node(&value), &mut d).is_none() {
                prop_assert!(d.has_errors(), "no config and no word: {}", value);
            }
            let system = read(subject, &subject.config()).unwrap();
            let mut d = Diagnostics::default();
            if system.prepare(&node(&value), &names(), &mut d).is_none() {
                prop_assert!(d.has_errors(), "no operation and no word: {}", value);
            }
            Ok(())
        });
        checked.unwrap_or_else(|why| panic!("{}: {why}", subject.kind().name()));
    }
}

/// A config whose values are not known here (`check --no-env`) is read all the same.
#[test]
fn unknown_values_fit() {
    for subject in subjects(&[]) {
        let mut config = node(&subject.config());
        if let NodeKind::Map(entries) = &mut config.kind {
            for entry in entries {
                entry.value.kind = NodeKind::Unknown;
            }
        }
        let mut d = Diagnostics::default();
        let system = subject.kind().read("items", &config, &mut d);
        assert!(system.is_some() && !d.has_errors(), "{}: {d:?}", subject.kind().name());
        assert!(prepare(&*system.unwrap(), &subject.op(Ask::Get).unwrap()).is_ok());
    }
}

/// Trees of the keys and texts that the connector knows, and of others.
fn tree(subject: &dyn Subject) -> impl Strategy<Value = Value> + use<> {
    let mut defs = Definitions::default();
    let kind = subject.kind();
    let schemas = [kind.schema(&mut defs), kind.op_schema(&mut defs), Value::from(defs.map.clone())];
    let mut keys = Vec::new();
    schemas.iter().for_each(|schema| words(schema, &mut keys));
    ALL.into_iter().filter_map(|ask| subject.op(ask)).for_each(|op| words(&op, &mut keys));
    let text = prop_oneof![
        3 => proptest::sample::select(keys.clone()),
        1 => "[a-z ${}.'\"/?;:-]{0,12}",
        1 => ".{0,8}",
        1 => Just("${.a}".to_owned()),
        1 => Just("5s".to_owned()),
    ];
    let leaf = prop_oneof![
        6 => text.prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        let keys = prop_oneof![6 => proptest::sample::select(keys.clone()), 1 => "[a-z]{1,4}"];
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => proptest::collection::btree_map(keys, inner, 0..6).prop_map(|map| {
                map.into_iter().map(|(key, value)| (key.into(), value)).collect::<renkei_core::Map>().into()
            }),
        ]
    })
}

/// All keys and texts in a value.
fn words(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) if text.len() < 300 => into.push(text.to_string()),
        Value::Array(items) => items.iter().for_each(|item| words(item, into)),
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            into.push(key.to_string());
            words(value, into);
        }),
        _ => {}
    }
}

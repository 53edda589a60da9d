//! What `call` takes and refuses, and what a run does.

use std::{sync::Arc, time::Duration};

use renkei_core::{
    ActionContext, ActionNode, Definitions, Diagnostics, Effect, Kind, PatternKind, Value, call::CallContext,
    pattern::NoActions, template::Names, tool::Tools,
};

use crate::{
    PATTERNS,
    fake::{Bench, Fake, Reports, Tool, context, node, systems, value},
};

/// The problems of a `call`, each with its hint.
fn problems(call: &str) -> Vec<String> {
    let systems = systems(Fake { ledger: Arc::default(), connect_takes: Duration::ZERO });
    let mut d = Diagnostics::default();
    let mut cx = ActionContext {
        systems: &systems,
        patterns: PATTERNS,
        actions: &NoActions,
        names: Names::default(),
        journaled: false,
        diagnostics: &mut d,
    };
    let read = super::Kind.read(&ActionNode::alone(&node(call)), &mut cx);
    assert_eq!(read.is_none(), d.has_errors(), "{call}");
    d.iter().map(|d| format!("{} – {}", d.message, d.hint.as_deref().unwrap_or("no hint"))).collect()
}

#[test]
fn says_what_is_wrong() {
    for (call, expected) in [
        (
            r#""GET /""#,
            "expected a system and its operation, such as `{ crm: GET /customers }`, found the text `GET /` – no hint",
        ),
        (
            "{}",
            "expected a system and its operation, such as `{ crm: GET /customers }`, found an empty mapping – no hint",
        ),
        (r#"{ "crn": {} }"#, "there is no system `crn` – did you mean `crm`?"),
        (
            r#"{ "warehouse": {} }"#,
            "there is no system `warehouse` – declare it under `systems`; there are `crm`",
        ),
        (
            r#"{ "crm": {}, "bank": {} }"#,
            "a `call` is one call on one system – keep one system; beside it may stand `timeout`, `retry`, `cache`, `invalidates`",
        ),
        (
            r#"{ "crm": {}, "reject_when": "${.}" }"#,
            "a `call` is one call on one system – put `reject_when` into the operation, beside its own keys",
        ),
        (
            r#"{ "crm": { "value": 1, "reject_when": true } }"#,
            "expected a template such as `${$result.ok == false}`, found `true` – no hint",
        ),
        (
            r#"{ "crm": { "value": 1, "reject_when": "closed" } }"#,
            "`reject_when` is the same for every reply – ask the reply: `${$result.ok == false}`, or a text for the reason: `${$result.error}`",
        ),
    ] {
        assert_eq!(problems(call), [expected], "{call}");
    }
    assert_eq!(problems(r#"{ "crm": { "value": 1, "reject_when": "${$result.error}" } }"#), [""; 0]);
    // What belongs to the reply is not in reach before there is one.
    assert_eq!(problems(r#"{ "crm": { "value": "${$result}" } }"#).len(), 1);
}

#[test]
fn the_schema_adds_its_own_key_to_the_connectors_mappings() {
    let mut defs = Definitions::default();
    defs.map.insert(
        "op".into(),
        value(r#"{ "type": "object", "properties": { "get": {} }, "additionalProperties": false }"#),
    );
    let op = value(r##"{ "oneOf": [{ "type": "string" }, { "$ref": "#/$defs/op" }] }"##);
    let schema = super::Kind.schema(&[("fake", op)], &mut defs);
    let forms = schema.get("additionalProperties").unwrap().get("anyOf").unwrap().at(0).unwrap();
    // The definition itself gets it, so that every page that shows the mapping shows the key.
    assert_eq!(forms.get("oneOf").unwrap().at(1).unwrap().get("$ref").unwrap().as_str(), Some("#/$defs/op"));
    let mapping = &defs.map["op"];
    let keys: Vec<_> =
        mapping.get("properties").unwrap().as_object().unwrap().keys().map(|key| &**key).collect();
    assert_eq!(keys, ["get", "reject_when"]);
}

async fn call(call: &'static str, arguments: &str) -> Result<Value, String> {
    let bench = Bench::new(Tool::of(call));
    let result = bench.engine.call(context(), "t", value(arguments), None).await.unwrap();
    match result.error {
        None => Ok(result.structured.unwrap()),
        Some(error) => Err(format!("{}: {error}", error.kind())),
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_says_no_is_a_refusal() {
    const WORDS: &str = r#"{ "crm": { "value": "${.}", "reject_when": "${$result.no}" } }"#;
    for good in ["{}", r#"{ "no": null }"#, r#"{ "no": false }"#] {
        assert_eq!(call(WORDS, good).await.as_ref(), Ok(&value(good)));
    }
    let refused = call(WORDS, r#"{ "no": "the shop is closed" }"#).await;
    assert_eq!(refused.unwrap_err(), "rejected: `crm` refused: the shop is closed");
    let refused = call(WORDS, r#"{ "no": true }"#).await;
    assert_eq!(refused.unwrap_err(), "rejected: `crm` refused: no reason was given");
    let wrong = call(WORDS, r#"{ "no": [1] }"#).await;
    assert!(wrong.unwrap_err().starts_with("internal: `reject_when` of the call to `crm` gave array"));
}

#[tokio::test(start_paused = true)]
async fn the_key_belongs_to_the_run_and_makes_a_write_safe_to_repeat() {
    let bench = Bench::new(Tool::of(r#"{ "crm": { "do": "key", "effect": "write", "value": "${$key}" } }"#));
    for _ in 0..2 {
        bench.engine.call(context(), "t", Value::object(), None).await.unwrap();
    }
    let calls = bench.ledger.calls.lock().unwrap();
    assert!(calls.iter().all(|request| request.effect == Effect::Idempotent));
    let keys: Vec<&str> = calls.iter().map(|request| request.key.as_deref().unwrap()).collect();
    assert!(keys[0].ends_with("/call"), "{keys:?}");
    assert_ne!(keys[0], keys[1]);
    // A repeated tool call is another run: the hint for clients must not promise more.
    assert!(!bench.engine.find("t").unwrap().idempotent);
    assert_eq!(calls[0].vars.get("key").and_then(Value::as_str), Some(keys[0]));
    assert!(calls[0].vars.get("caller").is_some());
}

#[tokio::test(start_paused = true)]
async fn without_the_key_a_write_stays_a_write() {
    let bench = Bench::new(Tool::of(r#"{ "crm": { "do": "key", "effect": "write", "value": "${.}" } }"#));
    bench.engine.call(context(), "t", Value::object(), None).await.unwrap();
    let calls = bench.ledger.calls.lock().unwrap();
    assert_eq!((calls[0].effect, calls[0].key.clone()), (Effect::Write, None));
}

#[tokio::test(start_paused = true)]
async fn reports_grow_from_call_to_judgement() {
    let bench = Bench::new(Tool::default());
    bench.ledger.failing_calls.store(2, std::sync::atomic::Ordering::SeqCst);
    let reports = Arc::new(Reports::default());
    let result = bench.engine.call(context(), "t", Value::object(), Some(reports.clone())).await.unwrap();
    assert!(result.error.is_none());
    let reports = reports.0.lock().unwrap();
    let done: Vec<f64> = reports.iter().map(|report| report.done).collect();
    assert_eq!(done, [0.0, 0.5, 0.75, 1.0, 2.0]);
    assert!(reports.iter().all(|report| report.total == Some(2.0)));
    assert!(
        reports[1].message.as_deref().unwrap().starts_with("`crm`: unavailable; attempt 2 of 3 follows in ")
    );
}

/// What a system says of its own progress lies between "called" and "answered", and only grows.
#[tokio::test(start_paused = true)]
async fn the_systems_own_progress_is_told() {
    let bench = Bench::new(Tool::of(r#"{ "crm": { "do": "shares", "value": "${.shares}" } }"#));
    let reports = Arc::new(Reports::default());
    let input = value(r#"{ "shares": [0.25, 0.5, 0.1, -1, 0.75, 1, 7] }"#);
    let result = bench.engine.call(context(), "t", input, Some(reports.clone())).await.unwrap();
    assert!(result.error.is_none(), "{:?}", result.error);
    let reports = reports.0.lock().unwrap();
    let done: Vec<f64> = reports.iter().map(|report| report.done).collect();
    assert_eq!(done.len(), 10);
    assert!(done.windows(2).all(|pair| pair[0] < pair[1]), "{done:?}");
    for (at, share) in [(1, 0.25), (2, 0.5), (5, 0.75)] {
        assert!((done[at] - share).abs() < 0.01, "{done:?}");
        assert_eq!(reports[at].message.as_deref(), Some(&*share.to_string()));
    }
    assert_eq!(done[8..], [1.0, 2.0]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_when_a_template_fails() {
    let bench = Bench::new(Tool::of(r#"{ "crm": { "value": "a ${.list} b" } }"#));
    let cx: CallContext = context();
    let result = bench.engine.call(cx, "t", value(r#"{ "list": [1] }"#), None).await.unwrap();
    assert_eq!(result.error.unwrap().kind(), Kind::Invalid);
    assert!(bench.ledger.calls.lock().unwrap().is_empty());
}

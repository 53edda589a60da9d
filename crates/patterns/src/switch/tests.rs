//! Which case is taken, and what is refused.

use std::time::Duration;

use renkei_core::{Diagnostics, Effect, Error, Kind, Value, tool::Tools};

use crate::fake::{Bench, Fake, Named, Tool, context, read, systems, value};

const CASES: &str = r#"{ "switch": [
    { "when": "${.n == 1}", "transform": "one" },
    { "when": "${.n == 1 or .n == 2}", "transform": "two" },
    { "when": "${.n == 3}", "call": { "crm": { "effect": "write", "value": "three" } } } ] }"#;

async fn call(action: &str, arguments: &str) -> Result<Value, Error> {
    let bench = Bench::new(Tool { action: Some(action.to_owned()), ..Tool::default() });
    let result = bench.engine.call(context(), "t", value(arguments), None).await.unwrap();
    match result.error {
        None => Ok(result.structured.unwrap().get("result").unwrap().clone()),
        Some(error) => Err(error),
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_case_that_fits_is_taken() {
    for (n, expected) in [("1", "one"), ("2", "two"), ("3", "three")] {
        let given = format!(r#"{{ "n": {n} }}"#);
        assert_eq!(call(CASES, &given).await.unwrap().as_str(), Some(expected));
    }
    let error = call(CASES, r#"{ "n": 4 }"#).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert_eq!(error.to_string(), "find a case of 3 that fits; there is no `else`");
    let other = CASES.replace("] }", r#"], "else": { "transform": "${.n}" } }"#);
    assert_eq!(call(&other, r#"{ "n": 4 }"#).await.unwrap(), value("4"));
    let by_config = CASES.replace("${.n == 3}", "${$caller == 3}");
    assert_eq!(call(&by_config, r#"{ "n": 4 }"#).await.unwrap_err().kind(), Kind::Internal);
}

fn of(action: &str) -> (Option<Effect>, Vec<String>) {
    let systems = systems(Fake { ledger: Default::default(), connect_takes: Duration::ZERO });
    let mut d = Diagnostics::default();
    let read = read(action, &Named { systems: &systems, actions: &[] }, &mut d);
    assert!(read.is_some() || d.has_errors(), "{action}");
    let said = d.iter().map(|d| format!("{} – {}", d.message, d.hint.as_deref().unwrap_or("no hint")));
    (read.map(|action| action.effect()), said.collect())
}

#[test]
fn its_effect_is_the_strongest_of_its_cases() {
    assert_eq!(of(CASES), (Some(Effect::Write), vec![]));
    let other = CASES
        .replace("write", "read")
        .replace("] }", r#"], "else": { "call": { "crm": { "effect": "idempotent", "value": 1 } } } }"#);
    assert_eq!(of(&other), (Some(Effect::Idempotent), vec![]));
}

#[test]
fn says_what_is_wrong() {
    for (action, expected) in [
        (
            r#"{ "switch": {} }"#,
            "expected a list of cases, such as `- { when: '${.express}', call: … }`, found an empty mapping – no hint",
        ),
        (
            r#"{ "switch": [{ "transform": 1 }] }"#,
            "case 1 of the `switch` has no `when` – add `when: '${…}'`; what is done if no case fits is `else:`, beside `switch:`",
        ),
        (
            r#"{ "switch": [1] }"#,
            "case 1 of the `switch` is a number, not a mapping – give it an action: `{ call: … }`",
        ),
        (
            r#"{ "switch": [{ "when": "${.a}", "transform": 1, "els": 1 }] }"#,
            "unknown key `els` in case 1 of the `switch` – did you mean `else`?",
        ),
        (
            r#"{ "switch": [{ "when": "${.a}", "transform": 1 }], "else": 5 }"#,
            "the `else` is a number, not a mapping – give it an action: `{ call: … }`",
        ),
        (
            r#"{ "transform": 1, "else": { "transform": 2 } }"#,
            "`else` belongs to `switch`, and the tool `t` has `transform` – remove it",
        ),
    ] {
        let said = of(action).1;
        assert_eq!(said.first().map(String::as_str), Some(expected), "{action}: {said:?}");
    }
}

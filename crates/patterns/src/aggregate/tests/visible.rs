//! Which `$names` are seen where, and how deep it goes.

use std::time::Duration;

use renkei_core::{Diagnostics, Kind, Value};

use super::{bench, call, timed, tool};
use crate::fake::{Bench, Fake, Named, read, systems, value};

fn problems(action: &str) -> Vec<String> {
    let systems = systems(Fake { ledger: Default::default(), connect_takes: Duration::ZERO });
    let mut d = Diagnostics::default();
    let read = read(action, &Named { systems: &systems, actions: &[] }, &mut d);
    assert!(read.is_some() || d.has_errors(), "{action}");
    d.iter().map(|d| format!("{} – {}", d.message, d.hint.as_deref().unwrap_or("no hint"))).collect()
}

#[test]
fn a_reference_from_within_is_a_reference() {
    // `b` waits for `a` through an inner aggregate, whose own `c` is not the outer one.
    let action = r#"{ "aggregate": {
        "a": { "aggregate": { "x": { "transform": "${$b}" }, "b": { "transform": 1 } } },
        "b": { "aggregate": { "c": { "transform": "${$a}" }, "d": { "transform": "${$c}" } } },
        "c": { "transform": "${$b}" } } }"#;
    assert_eq!(problems(action), [""; 0]);
    let cycle = action.replace(r#", "b": { "transform": 1 } } }"#, " } }");
    assert_eq!(
        problems(&cycle),
        [
            "the branch `a` waits for itself: `a` → `b` → `a` – take away one of the references, or make one branch of them"
        ]
    );
    for place in [
        r#""when": "${$b != null}", "transform": 1"#,
        r#""fallback": "${$b}", "transform": 1"#,
        r#""for_each": "${$b_meta}", "transform": 1"#,
        r#""for_each": { "in": [1], "key": "${$b}" }, "transform": 1"#,
        r#""needs": ["b"], "transform": 1"#,
        r#""switch": [{ "when": "${$b}", "transform": 1 }]"#,
        r#""map": { "in": [1], "transform": "${$b}" }"#,
        r#""fail": { "message": "${$b}" }"#,
        r#""log": { "message": "m", "fields": { "b": "${$b}" } }"#,
    ] {
        let action =
            format!(r#"{{ "aggregate": {{ "a": {{ {place} }}, "b": {{ "transform": "${{$a}}" }} }} }}"#);
        assert!(problems(&action)[0].contains("`a` → `b` → `a`"), "{place}");
    }
}

#[tokio::test(start_paused = true)]
async fn inner_branches_see_outer_ones_unless_they_have_the_name() {
    let bench = bench(
        r#"{ "aggregate": {
            "a": { "transform": "outer a" },
            "b": { "transform": "outer b" },
            "c": { "needs": ["a"], "aggregate": {
                "a": { "transform": "inner a", "when": "${.x == 1}" },
                "seen": { "transform": ["${$a}", "${$b}", "${.id}"] } } } } }"#,
    );
    let (result, _) = timed(&bench, r#"{ "id": 7 }"#).await;
    // The inner one was skipped: it is absent, and not the outer one.
    assert_eq!(result.get("c").unwrap(), &value(r#"{ "seen": ["outer b", 7] }"#));
}

#[tokio::test(start_paused = true)]
async fn run_sees_only_its_with() {
    let tool = |action: &str| super::Tool {
        actions: vec![(
            "inner",
            r#"{ "type": "object", "properties": { "id": {} }, "additionalProperties": false }"#,
            action.to_owned(),
        )],
        ..tool(
            r#"{ "aggregate": {
                "a": { "transform": 41 },
                "b": { "run": "inner", "with": { "id": "${$a + 1}" } } } }"#,
        )
    };
    let (result, _) = timed(&Bench::new(tool(r#"{ "transform": "${.}" }"#)), r#"{ "x": 1 }"#).await;
    assert_eq!(result.get("b").unwrap(), &value(r#"{ "id": 42 }"#));
    let systems = systems(Fake { ledger: Default::default(), connect_takes: Duration::ZERO });
    let mut d = Diagnostics::default();
    let broken = tool(r#"{ "transform": "${$a}" }"#);
    let named = Named { systems: &systems, actions: &broken.actions };
    read(&broken.action.unwrap(), &named, &mut d);
    assert_eq!(d.iter().next().unwrap().message, "`$a` is not known here");
}

#[tokio::test(start_paused = true)]
async fn three_levels_share_one_deadline() {
    let inner = r#"{ "aggregate": {
        "here": { "call": { "crm": { "do": "wait", "value": { "id": "here", "ms": 200 } } } },
        "late": { "call": { "crm": { "do": "wait", "effect": "write", "value": { "id": "late", "ms": 900, "after": "${$here.id}" } } } } } }"#;
    let whole = |timeout: u64, branch: &str| super::Tool {
        timeout: Some(Duration::from_millis(timeout)),
        actions: vec![("inner", r#"{ "type": "object" }"#, inner.to_owned())],
        ..tool(&format!(
            r#"{{ "aggregate": {{
                "first": {{ "call": {{ "crm": {{ "do": "wait", "value": {{ "id": "first", "ms": 100 }} }} }} }},
                "outer": {{ "needs": ["first"], "run": "inner"{branch} }} }} }}"#
        ))
    };
    let (result, took) = timed(&Bench::new(whole(5000, "")), "{}").await;
    assert_eq!(took.as_millis() / 10, 120);
    assert!(result.get("outer").unwrap().get("late").is_some());

    let bench = Bench::new(whole(700, ""));
    let start = tokio::time::Instant::now();
    let error = call(&bench, "{}").await.error.unwrap();
    assert_eq!(start.elapsed().as_millis() / 10, 70);
    assert_eq!((error.kind(), error.was_applied()), (Kind::Timeout, renkei_core::Applied::Unknown));

    // A timeout in the middle narrows what is below, and the whole goes on.
    let bench = Bench::new(whole(5000, r#", "timeout": "400ms", "optional": true"#));
    let (result, took) = timed(&bench, "{}").await;
    assert_eq!(took.as_millis() / 10, 50);
    let told = result.get("errors").unwrap().get("outer").unwrap();
    assert_eq!(told.get("kind").and_then(Value::as_str), Some("timeout"));
    assert_eq!(told.get("applied").and_then(Value::as_str), Some("unknown"));
}

#[test]
fn nesting_ends_somewhere() {
    let nested = |levels: usize| {
        let mut action = r#"{ "transform": 1 }"#.to_owned();
        for _ in 0..levels {
            action = format!(r#"{{ "aggregate": {{ "a": {action} }} }}"#);
        }
        action
    };
    assert_eq!(problems(&nested(15)), [""; 0]);
    assert_eq!(
        problems(&nested(16)),
        ["actions nest more than 16 deep – those that `run` names count, too; do more of it in one"]
    );
}

#[test]
fn says_what_is_wrong() {
    for (branches, expected) in [
        (
            "{}",
            "expected branches by name, such as `{ profile: { call: … } }`, found an empty mapping – no hint",
        ),
        (r#"{ "a": 1 }"#, "the branch `a` is a number, not a mapping – give it an action: `{ call: … }`"),
        (
            r#"{ "profile-id": { "transform": 1 } }"#,
            "`profile-id` cannot be the name of a branch – a name has 1 to 64 lower-case letters, digits and `_`, and does not begin with a digit: `profile_id`",
        ),
        (
            r#"{ "item": { "transform": 1 } }"#,
            "`item` cannot be the name of a branch – `item` has a meaning of its own; choose another name",
        ),
        (
            r#"{ "a_meta": { "transform": 1 } }"#,
            "`a_meta` cannot be the name of a branch – `$a_meta` is what is known about a branch; leave out `_meta`",
        ),
        (
            r#"{ "profile": { "transform": 1, "needs": ["profil"] } }"#,
            "there is no branch `profil` – did you mean `profile`?",
        ),
        (
            r#"{ "profile": { "transform": 1 }, "b": { "transform": "${$profil}" } }"#,
            "`$profil` is not known here – did you mean `$profile`?",
        ),
        (
            r#"{ "a": { "transform": "${$a}" } }"#,
            "the branch `a` waits for itself – take away one of the references, or make one branch of them",
        ),
        (
            r#"{ "a": { "transform": 1, "timeout": "0s" } }"#,
            "with no time at all, the branch would always fail – give it some milliseconds, or leave it out",
        ),
        (
            r#"{ "a": { "transform": 1, "when": "yes" } }"#,
            "this condition is always the same – ask the input or a result: `${.express == true}`",
        ),
    ] {
        assert_eq!(problems(&format!(r#"{{ "aggregate": {branches} }}"#)), [expected], "{branches}");
    }
    let many: Vec<String> = (0..65).map(|at| format!(r#""b{at}": {{ "transform": 1 }}"#)).collect();
    assert!(
        problems(&format!(r#"{{ "aggregate": {{ {} }} }}"#, many.join(",")))[0].starts_with("65 branches; ")
    );
}

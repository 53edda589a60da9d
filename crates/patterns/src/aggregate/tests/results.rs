//! What comes out, whatever becomes of the branches.

use std::{sync::Arc, time::Duration};

use renkei_core::{
    Applied, Error, Kind,
    tool::{Content, ToolResult, Tools},
};

use super::{bench, call, timed, tool};
use crate::fake::{Bench, Reports, context, value};

fn texts(result: &ToolResult) -> Vec<&str> {
    let mut texts = Vec::new();
    for part in &result.content {
        let Content::Text(text) = part else { panic!("{part:?}") };
        texts.push(text.as_str());
    }
    texts
}

async fn error(action: &str) -> Error {
    call(&bench(action), "{}").await.error.unwrap()
}

#[tokio::test(start_paused = true)]
async fn branches_run_beside_each_other_and_come_in_the_order_of_the_config() {
    let bench = bench(
        r#"{ "aggregate": {
            "slow": { "call": { "crm": { "do": "wait", "value": { "ms": 300, "give": 1 } } } },
            "fast": { "call": { "crm": { "do": "wait", "value": { "ms": 100, "give": 2 } } } },
            "next": { "call": { "crm": { "do": "wait", "value": { "ms": 100, "give": "${$fast + .more}" } } } } } }"#,
    );
    let (result, took) = timed(&bench, r#"{ "more": 40 }"#).await;
    assert_eq!(result.to_json(), r#"{"slow":1,"fast":2,"next":42}"#);
    assert_eq!(took.as_millis() / 10, 30);
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_may_be_missing_is_null_and_told_of() {
    let bench = bench(
        r#"{ "aggregate": {
            "orders": { "call": { "crm": { "do": "not_found", "value": 1 } }, "optional": true },
            "count": { "transform": "${$orders | length}" },
            "name": { "transform": "Ada" } } }"#,
    );
    let result = call(&bench, "{}").await;
    let expected = r#"{ "orders": null, "count": 0, "name": "Ada",
        "errors": { "orders": { "kind": "not_found", "message": "`crm` answered 404: no such customer" } } }"#;
    assert_eq!(result.structured.as_ref().unwrap(), &value(expected));
    assert_eq!(
        texts(&result)[1..],
        ["`orders` is missing (not_found): `crm` answered 404: no such customer."]
    );
}

#[tokio::test(start_paused = true)]
async fn a_fallback_stands_in_and_sees_what_its_branch_sees() {
    let bench = bench(
        r#"{ "aggregate": {
            "profile": { "transform": { "segment": "b" } },
            "risk": { "call": { "crm": { "do": "hang", "value": "${$profile.segment}" } },
                "timeout": "800ms", "fallback": { "score": 5, "of": "${$profile.segment}", "for": "${.id}" } },
            "next": { "transform": "${$risk.score + 1}" } } }"#,
    );
    let (result, took) = timed(&bench, r#"{ "id": 7 }"#).await;
    assert_eq!(result.get("risk").unwrap(), &value(r#"{ "score": 5, "of": "b", "for": 7 }"#));
    assert_eq!(result.get("next").unwrap(), &value("6"));
    let told = result.get("errors").unwrap().get("risk").unwrap();
    assert_eq!(
        told,
        &value(
            r#"{ "kind": "timeout", "message": "the branch `risk` was not done within 800ms, its `timeout`" }"#
        )
    );
    assert_eq!(took.as_millis() / 10, 80);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_that_fails_is_the_failure() {
    let error = error(
        r#"{ "aggregate": { "a": { "call": { "crm": { "do": "not_found", "value": 1 } }, "fallback": "${1 | error(\"no\")}" } } }"#,
    )
    .await;
    assert_eq!(error.to_string().split(':').next(), Some("branch `a`"));
    assert_eq!(error.detail_text(), Some("after: `crm` answered 404: no such customer"));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_due_is_absent() {
    let bench = bench(
        r#"{ "aggregate": {
            "a": { "transform": 1, "when": "${.deep == true}" },
            "b": { "transform": { "sees": "${$a}", "or": "${$a // \"nothing\"}", "meta": "${$a_meta}" } } } }"#,
    );
    let (shallow, _) = timed(&bench, "{}").await;
    assert_eq!(shallow.to_json(), r#"{"b":{"or":"nothing"}}"#);
    let (deep, _) = timed(&bench, r#"{ "deep": true }"#).await;
    assert_eq!(deep.to_json(), r#"{"a":1,"b":{"sees":1,"or":1,"meta":{}}}"#);
    let odd = error(r#"{ "aggregate": { "a": { "transform": 1, "when": "${.id // \"yes\"}" } } }"#).await;
    assert_eq!(odd.kind(), Kind::Invalid);
    assert_eq!(
        odd.to_string(),
        "branch `a`: decide by `when`: it gave a value of type string; it must give true or false"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_names_its_branch_and_drops_the_others_at_once() {
    let bench = bench(
        r#"{ "aggregate": {
            "slow": { "call": { "crm": { "do": "hang", "value": 1 } } },
            "bad": { "call": { "crm": { "do": "wait", "value": { "id": "bad", "ms": 100, "fail": "rejected" } } } },
            "never": { "call": { "crm": "${$slow}" } } } }"#,
    );
    let start = tokio::time::Instant::now();
    let result = call(&bench, "{}").await;
    assert_eq!(start.elapsed().as_millis() / 10, 10);
    let error = result.error.unwrap();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Rejected, Applied::No));
    assert_eq!(error.to_string(), "branch `bad`: `bad` was told to fail");
    assert_eq!(bench.ledger.calls.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_does_not_hide_what_siblings_did() {
    let write = |name: &str, ms: u32| {
        format!(
            r#""{name}": {{ "call": {{ "crm": {{ "do": "wait", "effect": "write", "value": {{ "id": "{name}", "ms": {ms} }} }} }} }}"#
        )
    };
    let bad = r#""bad": { "call": { "crm": { "do": "wait", "value": { "id": "bad", "ms": 200, "fail": "rejected" } } } }"#;
    for (siblings, applied, said) in [
        (write("charge", 100), Applied::Unknown, "; done already: `charge`"),
        (write("charge", 300), Applied::Unknown, "; cut off, and perhaps done: `charge`"),
        (
            format!("{}, {}", write("charge", 100), write("ship", 300)),
            Applied::Unknown,
            "; done already: `charge`; cut off, and perhaps done: `ship`",
        ),
        // It could write, and did not begin to.
        (write("charge", 100).replace(r#""call""#, r#""needs": ["bad"], "call""#), Applied::No, ""),
        (write("charge", 100).replace(r#""call""#, r#""when": "${.x == 1}", "call""#), Applied::No, ""),
        (
            write("charge", 100)
                .replace(r#""ms": 100"#, r#""ms": 100, "fail": "conflict""#)
                .replace(r#""call""#, r#""optional": true, "call""#),
            Applied::No,
            "",
        ),
    ] {
        let error = error(&format!(r#"{{ "aggregate": {{ {siblings}, {bad} }} }}"#)).await;
        assert_eq!(error.to_string(), format!("branch `bad`: `bad` was told to fail{said}"));
        assert_eq!(error.was_applied(), applied, "{siblings}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_a_write_is_no_failure_but_doubt() {
    for (effect, applied) in [("read", Applied::No), ("write", Applied::Unknown)] {
        let branch = format!(
            r#""a": {{ "call": {{ "crm": {{ "do": "hang", "effect": "{effect}", "value": 1 }} }}, "timeout": "50ms" }}"#
        );
        let error = error(&format!(r#"{{ "aggregate": {{ {branch} }} }}"#)).await;
        assert_eq!((error.kind(), error.was_applied()), (Kind::Timeout, applied), "{effect}");
        let optional = branch.replace(r#""timeout""#, r#""optional": true, "timeout""#);
        let result = call(&bench(&format!(r#"{{ "aggregate": {{ {optional} }} }}"#)), "{}").await;
        let told = result.structured.as_ref().unwrap().get("errors").unwrap().get("a").unwrap();
        let doubt = told.get("applied").and_then(renkei_core::Value::as_str);
        assert_eq!(doubt, (effect == "write").then_some("unknown"));
        assert_eq!(texts(&result)[1].contains("may have happened"), effect == "write");
    }
}

#[tokio::test(start_paused = true)]
async fn output_and_content_see_the_branches() {
    let tool = super::Tool {
        output: Some(
            r#"{ "name": "${$profile.name}", "status": "${$call_it_meta.status}", "all": "${$result | keys}", "none": "${$skipped}" }"#,
        ),
        ..tool(
            r#"{ "aggregate": {
                "profile": { "transform": { "name": "Ada" } },
                "call_it": { "call": { "crm": 1 } },
                "skipped": { "transform": 1, "when": "${.x == 1}" } } }"#,
        )
    };
    let (result, _) = timed(&Bench::new(tool), "{}").await;
    assert_eq!(result, value(r#"{ "name": "Ada", "status": 200, "all": ["call_it", "profile"] }"#));
}

#[tokio::test(start_paused = true)]
async fn notices_say_from_which_branch_they_come() {
    let result = call(
        &bench(r#"{ "aggregate": { "rows": { "call": { "crm": { "do": "many", "value": 2 } } } } }"#),
        "{}",
    )
    .await;
    assert_eq!(texts(&result)[1..], ["`rows`: more rows exist"]);
}

#[tokio::test(start_paused = true)]
async fn progress_counts_branches_and_grows() {
    let bench = bench(
        r#"{ "aggregate": {
            "a": { "call": { "crm": { "do": "wait", "value": { "ms": 10 } } } },
            "b": { "transform": "${$a}" },
            "c": { "transform": 1, "when": "${.x == 1}" } } }"#,
    );
    let reports = Arc::new(Reports::default());
    bench.engine.call(context(), "t", value("{}"), Some(reports.clone())).await.unwrap();
    let reports = reports.0.lock().unwrap();
    assert!(reports.windows(2).all(|pair| pair[0].done < pair[1].done), "{reports:?}");
    assert!(reports.iter().all(|report| report.total == Some(3.0)));
    let said: Vec<&str> = reports.iter().filter_map(|report| report.message.as_deref()).collect();
    assert_eq!(
        said,
        [
            "1 of 3 branches done",
            "`a`: `crm` answered",
            "`a`: the reply is good",
            "2 of 3 branches done",
            "3 of 3 branches done"
        ]
    );
    assert_eq!(reports.last().unwrap().done, 3.0);
}

#[tokio::test(start_paused = true)]
async fn the_time_for_the_whole_holds_for_every_branch() {
    let tool = super::Tool {
        timeout: Some(Duration::from_millis(500)),
        ..tool(
            r#"{ "aggregate": {
                "a": { "call": { "crm": { "do": "hang", "value": 1 } }, "timeout": "2s", "optional": true },
                "b": { "transform": 2 } } }"#,
        )
    };
    // What is known at the end is given: the branch was allowed to be missing.
    let (result, took) = timed(&Bench::new(tool), "{}").await;
    assert_eq!(took.as_millis() / 10, 50);
    assert_eq!(result.get("b").unwrap(), &value("2"));
    let told = result.get("errors").unwrap().get("a").unwrap();
    assert_eq!(told.get("kind").unwrap(), &value(r#""timeout""#));
}

#[tokio::test(start_paused = true)]
async fn a_fault_in_a_branch_ends_the_call_and_drops_all() {
    let error = error(
        r#"{ "aggregate": {
            "a": { "call": { "crm": { "do": "hang", "effect": "write", "value": 1 } } },
            "b": { "call": { "crm": { "do": "panic", "value": 1 } }, "optional": true } } }"#,
    )
    .await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::Internal, Applied::Unknown));
}

#[tokio::test(start_paused = true)]
async fn results_are_not_held_without_end() {
    let error = error(
        r#"{ "aggregate": { "all": { "for_each": "${[range(60)]}", "call": { "crm": { "value": "${\"0123456789abcdef\" * 100000}" } } } } }"#,
    )
    .await;
    assert!(error.to_string().contains("larger than 67108864 bytes together"), "{error}");
}

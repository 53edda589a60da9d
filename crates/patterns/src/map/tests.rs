//! One action an element: order, caps, keys, and what a failure leaves.

use std::{sync::atomic::Ordering, time::Duration};

use renkei_core::{Applied, Diagnostics, Error, Kind, Value, tool::Tools};
use tokio::time::Instant;

use crate::fake::{Bench, Fake, Named, Tool, context, read, systems, value};

fn bench(action: &str) -> Bench {
    Bench::new(Tool { action: Some(action.to_owned()), ..Tool::default() })
}

async fn call(bench: &Bench, arguments: &str) -> Result<Value, Error> {
    let result = bench.engine.call(context(), "t", value(arguments), None).await.unwrap();
    assert_eq!(bench.ledger.open.load(Ordering::SeqCst), 0);
    match result.error {
        None => Ok(result.structured.unwrap().get("result").unwrap().clone()),
        Some(error) => Err(error),
    }
}

#[tokio::test(start_paused = true)]
async fn results_come_in_the_order_of_the_list() {
    let bench = bench(
        r#"{ "map": { "in": "${.list}", "call": { "crm": { "do": "wait",
            "value": { "ms": "${$item * 100}", "give": ["${$index}", "${$item}", "${.id}"] } } } } }"#,
    );
    let start = Instant::now();
    let result = call(&bench, r#"{ "list": [3, 1, 2], "id": "x" }"#).await.unwrap();
    assert_eq!(result.to_json(), r#"[[0,3,"x"],[1,1,"x"],[2,2,"x"]]"#);
    assert_eq!(start.elapsed().as_millis() / 10, 30);
    assert_eq!(call(&bench, r#"{ "list": [], "id": "x" }"#).await.unwrap().to_json(), "[]");
}

#[tokio::test(start_paused = true)]
async fn never_more_at_once_than_said() {
    for (said, cap) in [("", 8), (r#""concurrency": 3,"#, 3), (r#""concurrency": 1,"#, 1)] {
        let wait = r#""call": { "crm": { "do": "wait", "value": { "ms": "${100 + $item * 7 % 50}" } } }"#;
        let list = r#""${[range(40)]}""#;
        let map = bench(&format!(r#"{{ "map": {{ "in": {list}, {said} {wait} }} }}"#));
        assert_eq!(call(&map, "{}").await.unwrap().as_array().unwrap().len(), 40);
        assert_eq!(map.ledger.most_open.load(Ordering::SeqCst), cap, "{said}");
        let each = bench(&format!(
            r#"{{ "aggregate": {{ "all": {{ "for_each": {{ {said} "in": {list} }}, {wait} }} }} }}"#
        ));
        let result = each.engine.call(context(), "t", value("{}"), None).await.unwrap().structured.unwrap();
        assert_eq!(result.get("all").unwrap().as_array().unwrap().len(), 40);
        assert_eq!(each.ledger.most_open.load(Ordering::SeqCst), cap, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_none_or_too_long_is_refused_before_anything_is_done() {
    let call_it = r#""call": { "crm": "${$item}" }"#;
    for (map, arguments, kind, expected) in [
        (
            r#""in": "${.list}", "max": 2"#,
            r#"{ "list": [1, 2, 3] }"#,
            Kind::Invalid,
            "go through a list of 3 elements, more than its `max` of 2; ask for less",
        ),
        (
            r#""in": "${.list}""#,
            "{}",
            Kind::Invalid,
            "go through a list: the template gave nothing; `${… // []}` makes it an empty list",
        ),
        (
            r#""in": "${$now}""#,
            "{}",
            Kind::Internal,
            "go through a list: the template gave string; `${… // []}` makes it an empty list",
        ),
        (
            r#""in": "${.list}", "key": "${$item.id}""#,
            r#"{ "list": [{ "id": 1 }, { "id": 1 }] }"#,
            Kind::Internal,
            "tell elements apart: element 1 has the same `key` as one before it",
        ),
        (
            r#""in": "${.list}", "key": "${$item.id}""#,
            r#"{ "list": [{ "id": 1 }, {}] }"#,
            Kind::Internal,
            "tell elements apart: the `key` of element 1 is no number and no text",
        ),
    ] {
        let bench = bench(&format!(r#"{{ "map": {{ {map}, {call_it} }} }}"#));
        let error = call(&bench, arguments).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, expected));
        assert!(bench.ledger.calls.lock().unwrap().is_empty());
    }
}

/// In no order: which of several that run at once is first is open.
async fn keys(action: &str, arguments: &str) -> Vec<String> {
    let bench = bench(action);
    call(&bench, arguments).await.unwrap();
    let calls = bench.ledger.calls.lock().unwrap();
    // Without the id of the run.
    let tail = |key: &str| key.split_once('/').unwrap().1.to_owned();
    let mut keys: Vec<_> = calls.iter().map(|request| tail(request.key.as_deref().unwrap())).collect();
    keys.sort();
    keys
}

#[tokio::test(start_paused = true)]
async fn each_element_has_a_key_of_its_own() {
    let call_it = r#""call": { "crm": { "effect": "write", "value": "${$key}" } }"#;
    let by_index = format!(r#"{{ "map": {{ "in": "${{.list}}", {call_it} }} }}"#);
    assert_eq!(keys(&by_index, r#"{ "list": ["x", "x"] }"#).await, ["0/call", "1/call"]);
    let by_key = format!(r#"{{ "map": {{ "in": "${{.list}}", "key": "${{$item}}", {call_it} }} }}"#);
    assert_eq!(
        keys(&by_key, r#"{ "list": ["a/1", "a", 7, "%2F"] }"#).await,
        ["%252F/call", "7/call", "a%2F1/call", "a/call"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_ends_all_and_tells_of_the_others() {
    let action = |effect: &str| {
        format!(
            r#"{{ "map": {{ "in": [100, 200, 300], "call": {{ "crm": {{ "do": "wait", "effect": "{effect}",
                "value": {{ "id": "x", "ms": "${{$item}}", "fail": "${{if $item == 200 then \"conflict\" else empty end}}" }} }} }} }} }}"#
        )
    };
    let start = Instant::now();
    let error = call(&bench(&action("write")), "{}").await.unwrap_err();
    assert_eq!(start.elapsed().as_millis() / 10, 20);
    assert_eq!((error.kind(), error.was_applied()), (Kind::Conflict, Applied::Unknown));
    assert_eq!(
        error.to_string(),
        "element 1: `x` was told to fail; done already: 1 other element; cut off, and perhaps done: 1 other element"
    );
    let error = call(&bench(&action("read")), "{}").await.unwrap_err();
    assert_eq!(error.was_applied(), Applied::No);
    assert_eq!(error.to_string(), "element 1: `x` was told to fail");
}

#[tokio::test(start_paused = true)]
async fn a_run_has_a_thousand_parts_at_most() {
    let action = r#"{ "map": { "in": "${[range(40)]}", "concurrency": 40,
        "map": { "in": "${[range(40)]}", "concurrency": 40, "call": { "crm": { "do": "wait", "value": { "ms": 10 } } } } } }"#;
    let error = call(&bench(action), "{}").await.unwrap_err();
    assert!(
        error.to_string().ends_with("run more than 1000 branches and elements at once; lower `concurrency`"),
        "{error}"
    );
    let fits = action.replacen(r#""concurrency": 40"#, r#""concurrency": 20"#, 1);
    assert_eq!(call(&bench(&fits), "{}").await.unwrap().as_array().unwrap().len(), 40);
}

#[test]
fn says_what_is_wrong() {
    let systems = systems(Fake { ledger: Default::default(), connect_takes: Duration::ZERO });
    for (map, expected) in [
        (
            r#""${.ids}""#,
            "expected a list and an action, such as `{ in: '${.ids}', call: … }`, found the text `${.ids}`",
        ),
        (r#"{ "transform": 1 }"#, "the key `in` is missing"),
        (
            r#"{ "in": 5, "transform": 1 }"#,
            "expected a list, or a template that gives one, such as `${.ids}`, found the number `5`",
        ),
        (
            r#"{ "in": "ids", "transform": 1 }"#,
            "expected a list, or a template that gives one, such as `${.ids}`, found the text `ids`",
        ),
        (
            r#"{ "in": [1], "key": "x", "transform": 1 }"#,
            "expected a template that tells elements apart, such as `${$item.id}`, found the text `x`",
        ),
        (r#"{ "in": [1], "concurrency": 101, "transform": 1 }"#, "`concurrency` is 101; it can be 1 to 100"),
        (r#"{ "in": [1], "max": 0, "transform": 1 }"#, "`max` is 0; it can be 1 to 10000"),
        (r#"{ "in": "${$item}", "transform": 1 }"#, "`$item` is not known here"),
        (r#"{ "in": [1] }"#, "the `map` does nothing"),
    ] {
        let mut d = Diagnostics::default();
        let action =
            read(&format!(r#"{{ "map": {map} }}"#), &Named { systems: &systems, actions: &[] }, &mut d);
        assert!(action.is_none() || d.has_errors());
        let messages: Vec<&str> = d.iter().map(|d| &*d.message).collect();
        assert_eq!(messages, [expected], "{map}");
    }
}

//! Lists that come in pages: what is given, what ends them, and what is told of the rest.

use std::{sync::Arc, time::Duration};

use renkei_core::{
    CallContext, Kind, Principal, Value,
    tool::{Content, ToolResult, Tools},
};
use tokio::time::Instant;

use crate::{
    engine::{Keep, Options},
    fake::{Bench, Reports, Tool, context, value},
};

/// A tool whose pages are its argument `pages`.
fn bench(limits: &str) -> Bench {
    let call = format!(r#"{{ "crm": {{ "do": "pages", "value": "${{.pages}}", "pages": {limits} }} }}"#);
    Bench::new(Tool { action: Some(format!(r#"{{ "call": {call} }}"#)), ..Tool::default() })
}

async fn call_on(bench: &Bench, pages: &str, cursor: Option<&str>) -> ToolResult {
    let mut arguments = vec![("pages", value(pages))];
    arguments.extend(cursor.map(|cursor| ("cursor", cursor.into())));
    let arguments =
        arguments.into_iter().map(|(key, value)| (key.into(), value)).collect::<renkei_core::Map>();
    bench.engine.call(context(), "t", arguments.into(), None).await.unwrap()
}

async fn call(limits: &str, pages: &str) -> ToolResult {
    call_on(&bench(limits), pages, None).await
}

fn items(result: &ToolResult) -> String {
    match &result.error {
        None => result.structured.as_ref().unwrap().get("result").unwrap().to_json(),
        Some(error) => format!("{}: {error}", error.kind()),
    }
}

fn next(result: &ToolResult) -> Option<&str> {
    result.structured.as_ref()?.get("next_cursor")?.as_str()
}

/// What the model reads beside the items, without the sentence that has the cursor.
fn told(result: &ToolResult) -> Vec<&str> {
    let texts = result.content.iter().skip(1).map(|part| match part {
        Content::Text(text) => text.as_str(),
        other => panic!("{other:?}"),
    });
    texts
        .filter(|text| !text.starts_with("To go on, call again with the same arguments and `cursor`: "))
        .collect()
}

const THREE: &str = r#"[
    { "items": [1, 2, 3], "next": 1 }, { "items": [4, 5, 6], "next": 2 }, { "items": [7] }
]"#;

#[tokio::test(start_paused = true)]
async fn the_result_is_the_whole_list() {
    let result = call("{}", THREE).await;
    assert_eq!(items(&result), "[1,2,3,4,5,6,7]");
    assert_eq!((next(&result), told(&result)), (None, vec![]));
    assert_eq!(items(&call("{}", "[]").await), "[]");
}

#[tokio::test(start_paused = true)]
async fn each_limit_ends_it_with_a_notice_and_a_cursor() {
    for (limits, pages, expected, notice) in [
        (
            r#"{ "max_pages": 2 }"#,
            THREE,
            "[1,2,3,4,5,6]",
            "The list may go on: 6 items are here, the most for one call (`max_pages`).",
        ),
        (
            r#"{ "max_items": 6 }"#,
            THREE,
            "[1,2,3,4,5,6]",
            "The list may go on: 6 items are here, the most for one call (`max_items`).",
        ),
        (
            r#"{ "max_items": 5 }"#,
            THREE,
            "[1,2,3,4,5]",
            "The list goes on: 5 items are here, the most for one call (`max_items`).",
        ),
        (
            r#"{ "max_items": 2 }"#,
            r#"[{ "items": [1, 2, 3], "total": 3 }]"#,
            "[1,2]",
            "The list goes on: 2 of 3 items are here, the most for one call (`max_items`).",
        ),
        (
            r#"{ "max_bytes": 100 }"#,
            r#"[{ "items": [1], "bytes": 60, "next": 1 }, { "items": [2], "bytes": 41 }]"#,
            "[1]",
            "The list goes on: 1 item is here, the most for one call (`max_body`).",
        ),
    ] {
        let result = call(limits, pages).await;
        assert_eq!(items(&result), expected, "{limits}");
        assert_eq!(told(&result), [notice], "{limits}");
        assert!(next(&result).is_some(), "{limits}");
    }
    // Just within the limits is whole.
    for limits in [r#"{ "max_pages": 3 }"#, r#"{ "max_items": 7 }"#] {
        let result = call(limits, THREE).await;
        assert_eq!((told(&result), next(&result)), (vec![], None), "{limits}");
    }
}

/// A result has room for so much: the list ends before, so that the cursor goes on where the model stopped reading.
#[tokio::test(start_paused = true)]
async fn a_list_ends_where_the_result_is_full() {
    let pages = r#"[{ "items": ["aaaa", "bbbb", "cccc"], "next": 1 }, { "items": ["dddddddddddddddddddddddddddd", "e"] }]"#;
    let call = r#"{ "crm": { "do": "pages", "value": "${.pages}", "pages": {} } }"#;
    let options =
        Options { result_bytes: 16, keep: Keep { total_bytes: 0, ..Keep::default() }, ..Options::default() };
    let bench = Bench::with(Tool::of(call), options, Duration::ZERO, 0);
    let first = call_on(&bench, pages, None).await;
    assert_eq!(items(&first), r#"["aaaa","bbbb"]"#);
    assert_eq!(
        told(&first),
        ["The list goes on: 2 items are here, the most for one call (`server.limits.result_bytes`)."]
    );
    let second = call_on(&bench, pages, next(&first)).await;
    assert_eq!(items(&second), r#"["cccc"]"#);
    // One that is too large by itself is the result's own matter.
    let third = call_on(&bench, pages, next(&second)).await;
    assert!(
        items(&third).starts_with("invalid: the result has 32 bytes, and at most 16 bytes can be given"),
        "{}",
        items(&third)
    );
}

#[tokio::test(start_paused = true)]
async fn calls_that_go_on_give_each_item_once() {
    for limits in [
        r#"{ "max_items": 1 }"#,
        r#"{ "max_items": 2 }"#,
        r#"{ "max_items": 4 }"#,
        r#"{ "max_pages": 1 }"#,
        r#"{ "max_pages": 2, "max_items": 5 }"#,
        r#"{ "max_bytes": 1 }"#,
    ] {
        let bench = bench(limits);
        let pages = THREE.replace(r#""items""#, r#""bytes": 1, "items""#);
        let (mut all, mut cursor) = (Vec::new(), None);
        for _ in 0..10 {
            let result = call_on(&bench, &pages, cursor.as_deref()).await;
            let part = value(&items(&result));
            all.extend(part.as_array().unwrap().to_vec());
            cursor = next(&result).map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(Value::from(all).to_json(), "[1,2,3,4,5,6,7]", "{limits}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cursor_holds_for_its_arguments_only() {
    let bench = bench(r#"{ "max_pages": 1 }"#);
    let result = call_on(&bench, THREE, None).await;
    let cursor = next(&result).unwrap();
    let other = call_on(&bench, r#"[{ "items": [1] }]"#, Some(cursor)).await;
    let error = other.error.unwrap();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.public().starts_with("`cursor` was given for other arguments"), "{error}");
    let made_up = call_on(&bench, THREE, Some("MQ")).await;
    assert!(made_up.error.unwrap().public().starts_with("`cursor` is none that `t` gave"));
    let long = call_on(&bench, THREE, Some(&"A".repeat(8193))).await;
    assert!(long.error.unwrap().public().contains("8193 characters are too long: at most 8192"));
    // Nobody was asked with any of them.
    assert_eq!(bench.ledger.calls.lock().unwrap().len(), 1);
    // Many clients fill in nulls.
    let arguments = value(&format!(r#"{{ "pages": {THREE}, "cursor": null }}"#));
    let result = bench.engine.call(context(), "t", arguments, None).await.unwrap();
    assert_eq!(items(&result), "[1,2,3]");
}

#[tokio::test(start_paused = true)]
async fn a_tool_takes_a_cursor_if_its_call_gives_one() {
    let has = |bench: &Bench| {
        bench
            .engine
            .find("t")
            .unwrap()
            .input_schema
            .get("properties")
            .is_some_and(|all| all.get("cursor").is_some())
    };
    assert!(has(&bench("{}")));
    assert!(!has(&bench(r#"{ "cursor_argument": false }"#)));
    assert!(!has(&Bench::new(Tool::default())));
    let hidden = call(r#"{ "cursor_argument": false, "max_pages": 1 }"#, THREE).await;
    assert_eq!((next(&hidden), told(&hidden).len(), hidden.content.len()), (None, 1, 2));
    // An aggregate has no one list to go on with.
    let branch =
        r#"{ "call": { "crm": { "do": "pages", "value": "${.pages}", "pages": { "max_pages": 1 } } } }"#;
    let action = Some(format!(r#"{{ "aggregate": {{ "list": {branch} }} }}"#));
    let output =
        Some(r#"{ "items": "${$list}", "cut": "${$list_meta.truncated}", "pages": "${$list_meta.pages}" }"#);
    let bench = Bench::new(Tool { action, output, ..Tool::default() });
    assert!(!has(&bench));
    let result = call_on(&bench, THREE, None).await;
    assert_eq!(result.structured.as_ref().unwrap().to_json(), r#"{"items":[1,2,3],"cut":true,"pages":1}"#);
    assert_eq!(
        told(&result),
        ["`list`: The list may go on: 3 items are here, the most for one call (`max_pages`)."]
    );
}

#[tokio::test(start_paused = true)]
async fn the_next_cursor_is_in_the_result_whatever_its_shape() {
    let shaped = |output: &'static str, output_schema: Option<&'static str>| async move {
        let call = r#"{ "crm": { "do": "pages", "value": "${.pages}", "pages": { "max_pages": 1 } } }"#;
        let bench = Bench::new(Tool { output: Some(output), output_schema, ..Tool::of(call) });
        let published = bench.engine.find("t").unwrap().output_schema.clone();
        let result = call_on(&bench, THREE, None).await;
        assert!(result.error.is_none(), "{:?}", result.error);
        let structured = result.structured.unwrap();
        let next = structured.get("next_cursor").is_some();
        (
            structured.as_object().unwrap().keys().map(|key| key.to_string()).collect::<Vec<_>>().join(" "),
            next,
            published,
        )
    };
    let (keys, ..) = shaped(r#"{ "n": "${$result | length}" }"#, None).await;
    assert_eq!(keys, "n next_cursor");
    let (keys, ..) = shaped(r#"{ "next_cursor": "${$result_meta.next_cursor}", "n": 1 }"#, None).await;
    assert_eq!(keys, "next_cursor n");
    let (keys, ..) = shaped(r#""${$result | length}""#, None).await;
    assert_eq!(keys, "result next_cursor");
    // A closed promise is opened for it, and says so.
    let closed = r#"{ "type": "object", "properties": { "n": {} }, "additionalProperties": false }"#;
    let (keys, _, published) = shaped(r#"{ "n": 1 }"#, Some(closed)).await;
    assert_eq!(keys, "n next_cursor");
    assert!(published.unwrap().get("properties").unwrap().get("next_cursor").is_some());
    let (keys, _, published) = shaped(r#"["a"]"#, Some(r#"{ "type": "array" }"#)).await;
    assert_eq!(keys, "result next_cursor");
    assert!(published.unwrap().get("properties").unwrap().get("next_cursor").is_some());
    // Where it cannot be opened, the promise is kept: the notice has the cursor.
    let sealed = r#"{ "type": "object", "properties": { "n": {} }, "maxProperties": 1 }"#;
    let (keys, ..) = shaped(r#"{ "n": 1 }"#, Some(sealed)).await;
    assert_eq!(keys, "n");
}

/// Page 3 fails after two good ones.
#[tokio::test(start_paused = true)]
async fn a_page_that_fails_leaves_what_is_there() {
    let failing = |word: &str| THREE.replace(r#""items": [7]"#, &format!(r#""fail": "{word}""#));
    let bench = bench("{}");
    let result = call_on(&bench, &failing("unavailable"), None).await;
    assert_eq!(items(&result), "[1,2,3,4,5,6]");
    let notice = "The list is not whole: 6 items are here, but page 3 could not be read (unavailable): after 3 attempts: the fake was told to fail with unavailable.";
    assert_eq!(told(&result), [notice]);
    // Each page is repeated by itself.
    assert_eq!(bench.ledger.calls.lock().unwrap().len(), 2 + 3);
    let again = call_on(&bench, &failing("unavailable"), next(&result)).await;
    assert!(items(&again).starts_with("unavailable: "), "{}", items(&again));
    // What fails the same way again is nowhere to go on.
    let refused = call("{}", &failing("forbidden")).await;
    assert_eq!((items(&refused), next(&refused)), ("[1,2,3,4,5,6]".into(), None));
    // The first page is the whole call.
    let first = call("{}", r#"[{ "fail": "not_found" }]"#).await;
    assert_eq!(items(&first), "not_found: the fake was told to fail with not_found");
}

#[tokio::test(start_paused = true)]
async fn whole_or_nothing() {
    let whole = |more: &str| format!(r#"{{ "whole": true, "cursor_argument": false{more} }}"#);
    assert_eq!(items(&call(&whole(""), THREE).await), "[1,2,3,4,5,6,7]");
    let cut = call(&whole(r#", "max_items": 5"#), THREE).await;
    assert_eq!(
        items(&cut),
        "invalid: `a fake`: the list goes on after 5 items on 2 pages, the most for one call (`max_items`), and only a whole one is of use; ask for less"
    );
    let failing = THREE.replace(r#""items": [7]"#, r#""fail": "forbidden""#);
    let failed = call(&whole(""), &failing).await;
    assert_eq!(items(&failed), "forbidden: `a fake`: page 3: the fake was told to fail with forbidden");
    let circle = call(&whole(""), r#"[{ "items": [1], "next": 1 }, { "items": [2], "next": 1 }]"#).await;
    assert!(
        items(&circle).starts_with("internal: `a fake`: after page 2 the system points back"),
        "{}",
        items(&circle)
    );
}

#[tokio::test(start_paused = true)]
async fn a_circle_ends() {
    // It names itself: everything is there, as far as anybody knows.
    let itself = call("{}", r#"[{ "items": [1], "next": 1 }, { "items": [2], "next": 1 }]"#).await;
    assert_eq!((items(&itself), next(&itself)), ("[1,2]".into(), None));
    let notice = "The list may not be whole: 2 items are here, and then the system points back to a page that was read already.";
    assert_eq!(told(&itself), [notice]);
    let back = call(
        "{}",
        r#"[{ "items": [1], "next": 1 }, { "items": [2], "next": 2 }, { "items": [3], "next": 1 }]"#,
    )
    .await;
    assert_eq!(items(&back), "[1,2,3]");
    // It does not read the cursor: the same page again, which would be there twice.
    let deaf = call("{}", r#"[{ "items": [1], "next": 1 }, { "items": [1], "next": 1 }]"#).await;
    assert!(
        items(&deaf).starts_with("internal: page 2 of `a fake`: it has the items of the page before"),
        "{}",
        items(&deaf)
    );
    // Empty pages that say more are followed as far as any.
    let empty: Vec<String> = (1..20).map(|next| format!(r#"{{ "items": [], "next": {next} }}"#)).collect();
    let bench = bench("{}");
    let result = call_on(&bench, &format!("[{}]", empty.join(",")), None).await;
    assert_eq!(items(&result), "[]");
    assert!(next(&result).is_some());
    assert_eq!(bench.ledger.calls.lock().unwrap().len(), 10);
    // The same items under another cursor: only suspicious.
    let same =
        call("{}", r#"[{ "items": [1], "next": 1 }, { "items": [1] , "next": 2 }, { "items": [2] }]"#).await;
    assert_eq!(items(&same), "[1,1,2]");
    assert_eq!(
        told(&same),
        ["Pages 1 and 2 have the same items; perhaps the system does not read which page is asked for."]
    );
}

fn within(limit: Duration) -> CallContext {
    CallContext::new(Instant::now() + limit, Arc::new(Principal::anonymous()))
}

/// All pages share the time of the call. Its end leaves what is there, with time to give it.
#[tokio::test(start_paused = true)]
async fn time_is_up_in_the_middle() {
    let slow = r#"[
        { "ms": 300, "items": [1], "next": 1 }, { "ms": 300, "items": [2], "next": 2 },
        { "ms": 300, "items": [3], "next": 3 }, { "ms": 300, "items": [4] }
    ]"#;
    let arguments = || value(&format!(r#"{{ "pages": {slow} }}"#));
    let call = r#"{ "crm": { "do": "pages", "value": "${.pages}", "pages": {} } }"#;
    let bench = Bench::new(Tool { output: Some(r#""${$result | map(. * 10)}""#), ..Tool::of(call) });
    let start = Instant::now();
    let result = bench.engine.call(within(Duration::from_secs(1)), "t", arguments(), None).await.unwrap();
    // A tenth is kept: page 4 is not waited for to the last moment.
    assert_eq!(start.elapsed(), Duration::from_millis(900));
    assert_eq!(items(&result), "[10,20,30]");
    assert!(
        told(&result)[0]
            .starts_with("The list is not whole: 3 items are here, but page 4 could not be read (timeout): ")
    );
    let cursor = next(&result).unwrap().to_owned();
    let arguments = value(&format!(r#"{{ "pages": {slow}, "cursor": "{cursor}" }}"#));
    let rest = bench.engine.call(within(Duration::from_secs(1)), "t", arguments, None).await.unwrap();
    assert_eq!((items(&rest), next(&rest)), ("[40]".into(), None));
    // Nothing is under way any more.
    assert_eq!(bench.ledger.open.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn the_first_page_may_take_all_of_the_time() {
    let bench = bench("{}");
    let arguments = value(r#"{ "pages": [{ "ms": 950, "items": [1] }] }"#);
    let result = bench.engine.call(within(Duration::from_secs(1)), "t", arguments, None).await.unwrap();
    assert_eq!(items(&result), "[1]");
    let arguments = value(r#"{ "pages": [{ "ms": 1050, "items": [1] }] }"#);
    let result = bench.engine.call(within(Duration::from_secs(1)), "t", arguments, None).await.unwrap();
    assert!(items(&result).starts_with("timeout: "));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_waits_for_reads_no_further_page() {
    let bench = bench("{}");
    let cx = context();
    let cancel = cx.cancel.clone();
    let arguments = value(r#"{ "pages": [{ "items": [1], "next": 1 }, { "ms": 1000, "items": [2] }] }"#);
    let call = bench.engine.call(cx, "t", arguments, None);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(call, stop);
    assert_eq!(result.unwrap().error.unwrap().kind(), Kind::Cancelled);
    assert_eq!(bench.ledger.open.load(std::sync::atomic::Ordering::SeqCst), 0);
}

/// A refusal in good words is a refusal on every page.
#[tokio::test(start_paused = true)]
async fn each_page_is_judged() {
    let call =
        r#"{ "crm": { "do": "pages", "value": "${.pages}", "pages": {}, "reject_when": "${$result.no}" } }"#;
    let run = |pages: &'static str| async move { call_on(&Bench::new(Tool::of(call)), pages, None).await };
    let first = run(r#"[{ "items": [1], "no": "closed" }]"#).await;
    assert_eq!(items(&first), "rejected: `crm` refused: closed");
    let second = run(r#"[{ "items": [1], "next": 1 }, { "items": [2], "no": "closed" }]"#).await;
    assert_eq!((items(&second), next(&second)), ("[1]".into(), None));
    assert!(told(&second)[0].ends_with("page 2 could not be read (rejected): `crm` refused: closed."));
}

#[tokio::test(start_paused = true)]
async fn progress_grows_with_each_page() {
    let bench = bench("{}");
    let reports = Arc::new(Reports::default());
    let arguments = value(&format!(r#"{{ "pages": {THREE} }}"#));
    bench.engine.call(context(), "t", arguments, Some(reports.clone())).await.unwrap();
    let reports = reports.0.lock().unwrap();
    let done: Vec<f64> = reports.iter().map(|report| report.done).collect();
    assert_eq!(done, [0.0, 0.5, 0.75, 1.0, 2.0]);
    assert_eq!(reports[2].message.as_deref(), Some("`crm`: 2 pages, 6 items so far"));
}

/// A system that is not told of pages, as in a config test that says the reply itself.
#[tokio::test(start_paused = true)]
async fn a_reply_that_nobody_read_as_a_page_is_the_list() {
    let call = r#"{ "crm": { "value": "${.}", "pages": {} } }"#;
    let bench = Bench::new(Tool::of(call));
    let result = bench.engine.call(context(), "t", Value::object(), None).await.unwrap();
    assert_eq!(items(&result), "internal: `a fake` has pages, so its reply is the list of the items");
}

//! What a call says of its layers, what it makes untrue, and what outlives a connection.

use std::{sync::atomic::Ordering, time::Duration};

use renkei_core::{
    Applied, Kind,
    tool::{ToolResult, Tools},
};
use tokio::time::{Instant, sleep};

use crate::fake::{Bench, Tool, context, value};

async fn call(bench: &Bench, tool: &str, arguments: &str) -> ToolResult {
    bench.engine.call(context(), tool, value(arguments), None).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_has_its_own_timeout_and_repeats() {
    let hang = r#"{ "crm": { "do": "hang", "value": 1 }, "timeout": "2s", "retry": "off" }"#;
    let bench = Bench::layered("{}", vec![("t", Tool::of(hang))]);
    let start = Instant::now();
    let error = call(&bench, "t", "{}").await.error.unwrap();
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(start.elapsed() <= Duration::from_millis(2_001), "{:?}", start.elapsed());
    assert_eq!(bench.ledger.calls.lock().unwrap().len(), 1);
}

const GET: &str =
    r#"{ "crm": { "value": "/customers/${.id}" }, "cache": { "ttl": "5m", "name": "customers" } }"#;

/// How many requests come to the system when two customers are read, one is changed, and both are read again.
async fn requests(put: &'static str) -> usize {
    let bench = Bench::layered("{}", vec![("get", Tool::of(GET)), ("put", Tool::of(put))]);
    let read = async || {
        for id in ["1", "2"] {
            assert!(call(&bench, "get", &format!(r#"{{ "id": {id} }}"#)).await.error.is_none());
        }
    };
    read().await;
    call(&bench, "put", r#"{ "id": 1 }"#).await;
    let before = bench.ledger.calls.lock().unwrap().len();
    read().await;
    bench.ledger.calls.lock().unwrap().len() - before
}

#[tokio::test(start_paused = true)]
async fn a_write_makes_untrue_what_it_says() {
    let put = |what: &str| -> &'static str {
        format!(r#"{{ "crm": {{ "effect": "write", "value": 1 }}, "invalidates": {what} }}"#).leak()
    };
    assert_eq!(requests(r#"{ "crm": { "effect": "write", "value": 1 } }"#).await, 0);
    assert_eq!(requests(put(r#"["customers"]"#)).await, 2);
    assert_eq!(requests(put(r#""crm""#)).await, 2);
    assert_eq!(requests(put(r#"["/customers/${.id}"]"#)).await, 1);
    assert_eq!(requests(put(r#"["/customers/*"]"#)).await, 2);
    assert_eq!(requests(put(r#"["/customers/${.id}/**"]"#)).await, 1);
    assert_eq!(requests(put(r#"["/customers/9${.id}", "/orders/**"]"#)).await, 0);
    // What is not said could be anything.
    assert_eq!(requests(put(r#"["/customers/${.name}"]"#)).await, 2);
}

#[tokio::test(start_paused = true)]
async fn only_a_write_that_may_have_happened_makes_untrue() {
    let put = |word: &str| -> &'static str {
        format!(
            r#"{{ "crm": {{ "do": "{word}", "effect": "write", "value": 1 }}, "timeout": "1s", "invalidates": ["customers"] }}"#
        )
        .leak()
    };
    assert_eq!(requests(put("not_found")).await, 0);
    // It was sent, and no answer came.
    assert_eq!(requests(put("hang")).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_nobody_waits_for_makes_untrue() {
    let put = r#"{ "crm": { "do": "hang", "effect": "write", "value": 1 }, "invalidates": ["customers"] }"#;
    let bench = Bench::layered("{}", vec![("get", Tool::of(GET)), ("put", Tool::of(put))]);
    call(&bench, "get", r#"{ "id": 1 }"#).await;
    let cx = context();
    let cancel = cx.cancel.clone();
    let (result, ()) = tokio::join!(bench.engine.call(cx, "put", value("{}"), None), async {
        sleep(Duration::from_secs(1)).await;
        cancel.cancel();
    });
    assert_eq!(result.unwrap().error.unwrap().was_applied(), Applied::Unknown);
    call(&bench, "get", r#"{ "id": 1 }"#).await;
    assert_eq!(bench.ledger.calls.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn where_a_reply_comes_from_is_in_its_meta() {
    let tool = Tool { output: Some(r#"{ "hit": "${$result_meta.cache.hit}" }"#), ..Tool::of(GET) };
    let bench = Bench::layered("{}", vec![("get", tool)]);
    for hit in [false, true] {
        let result = call(&bench, "get", r#"{ "id": 1 }"#).await;
        assert_eq!(result.structured.unwrap().get("hit").unwrap().as_bool(), Some(hit));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_layers_know_outlives_a_connection() {
    let layers = r#"{ "retry": "off", "cache": "5m", "breaker": { "failures": 1 } }"#;
    let bench = Bench::layered(layers, vec![("t", Tool::default())]);
    assert!(call(&bench, "t", r#"{ "id": 1 }"#).await.error.is_none());
    bench.ledger.failing_calls.store(1, Ordering::SeqCst);
    assert!(call(&bench, "t", r#"{ "id": 2 }"#).await.error.is_some());
    sleep(Duration::from_secs(3)).await;
    // It was connected anew; the breaker is still open, and the reply still kept.
    assert_eq!(bench.ledger.connects.lock().unwrap().len(), 2);
    let error = call(&bench, "t", r#"{ "id": 2 }"#).await.error.unwrap();
    assert!(error.public().contains("`breaker` is open"), "{error}");
    assert!(call(&bench, "t", r#"{ "id": 1 }"#).await.error.is_none());
    assert_eq!(bench.ledger.calls.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_kept_reply_is_given_while_nobody_can_be_reached() {
    let bench = Bench::layered(r#"{ "retry": "off", "cache": "1h" }"#, vec![("t", Tool::default())]);
    assert!(call(&bench, "t", r#"{ "id": 1 }"#).await.error.is_none());
    bench.ledger.failing_connects.store(usize::MAX, Ordering::SeqCst);
    bench.ledger.failing_calls.store(1, Ordering::SeqCst);
    assert!(call(&bench, "t", r#"{ "id": 2 }"#).await.error.is_some());
    sleep(Duration::from_secs(60)).await;
    assert!(bench.engine.health()[0].1.is_some());
    let start = Instant::now();
    assert!(call(&bench, "t", r#"{ "id": 1 }"#).await.error.is_none());
    assert_eq!(start.elapsed(), Duration::ZERO);
    let error = call(&bench, "t", r#"{ "id": 2 }"#).await.error.unwrap();
    assert!(error.public().contains("system `crm` is not connected"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_the_layers_know_goes_with_a_system_that_is_the_same() {
    let layers = r#"{ "retry": "off", "cache": "5m", "breaker": { "failures": 1 } }"#;
    let tools = || vec![("t", Tool::default())];
    let calls = |bench: &Bench| bench.ledger.calls.lock().unwrap().len();
    let bench = Bench::layered(layers, tools());
    assert!(call(&bench, "t", r#"{ "id": 1 }"#).await.error.is_none());
    bench.ledger.failing_calls.store(1, Ordering::SeqCst);
    assert!(call(&bench, "t", r#"{ "id": 2 }"#).await.error.is_some());
    let same = bench.followed(0, layers, tools());
    assert!(call(&same, "t", r#"{ "id": 1 }"#).await.error.is_none());
    let error = call(&same, "t", r#"{ "id": 2 }"#).await.error.unwrap();
    assert!(error.public().contains("`breaker` is open"), "{error}");
    assert_eq!((calls(&bench), calls(&same)), (2, 0));
    // Another one begins with nothing, and takes nothing from the one before.
    let other = same.followed(1, layers, tools());
    assert!(call(&other, "t", r#"{ "id": 1 }"#).await.error.is_none());
    assert!(call(&other, "t", r#"{ "id": 2 }"#).await.error.is_none());
    assert!(call(&same, "t", r#"{ "id": 2 }"#).await.error.is_some());
    assert_eq!((calls(&bench), calls(&other)), (2, 2));
}

/// What a call of the plan before changes is no longer true in the one that is served now.
#[tokio::test(start_paused = true)]
async fn a_write_of_the_plan_before_makes_untrue_what_the_next_one_keeps() {
    let put = r#"{ "crm": { "do": "wait", "effect": "write", "value": { "id": "a", "ms": 5000 } }, "invalidates": ["customers"] }"#;
    let tools = || vec![("get", Tool::of(GET)), ("put", Tool::of(put))];
    let bench = Bench::layered("{}", tools());
    let (next, written) = tokio::join!(
        async {
            sleep(Duration::from_secs(1)).await;
            let next = bench.followed(1, "{}", tools());
            for _ in 0..2 {
                assert!(call(&next, "get", r#"{ "id": 1 }"#).await.error.is_none());
            }
            next
        },
        call(&bench, "put", "{}")
    );
    assert!(written.error.is_none());
    let calls = || next.ledger.calls.lock().unwrap().len();
    assert_eq!(calls(), 1);
    assert!(call(&next, "get", r#"{ "id": 1 }"#).await.error.is_none());
    assert_eq!(calls(), 2);
}

const REFRESHED: &str = r#"{ "crm": { "do": "wait", "value": { "id": "a", "ms": 20000 } }, "cache": { "ttl": "1s", "stale": "1h" } }"#;

/// A refresh is owned: shutting down ends it.
#[tokio::test(start_paused = true)]
async fn shutdown_ends_a_refresh_and_waits_for_it() {
    let bench = Bench::layered("{}", vec![("t", Tool::of(REFRESHED))]);
    shutdown_ends_a_refresh(&bench).await;
    let bench = Bench::layered("{}", vec![("t", Tool::of(REFRESHED))]);
    shutdown_ends_a_refresh(&bench.followed(1, "{}", vec![("t", Tool::of(REFRESHED))])).await;
}

async fn shutdown_ends_a_refresh(bench: &Bench) {
    assert!(call(bench, "t", "{}").await.error.is_none());
    sleep(Duration::from_secs(5)).await;
    assert!(call(bench, "t", "{}").await.error.is_none());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.ledger.open.load(Ordering::SeqCst), 1);
    let start = Instant::now();
    bench.engine.shutdown().await;
    assert!(start.elapsed() < Duration::from_millis(10));
    assert_eq!(bench.ledger.open.load(Ordering::SeqCst), 0);
}

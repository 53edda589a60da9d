//! A call from outside: limits, leaving early, faults, and the texts of failures.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use renkei_core::{
    Applied, Effect, Error, Kind, Retry, Value,
    tool::{Content, ToolResult, Tools},
};
use tokio::time::{Instant, sleep};

use crate::{
    engine::{Options, refusal},
    fake::{Bench, Fake, Tool, context, systems, value},
};

const HANG_READ: &str = r#"{ "crm": { "do": "hang", "value": 1 } }"#;
const HANG_WRITE: &str = r#"{ "crm": { "do": "hang", "effect": "write", "value": 1 } }"#;

fn text(result: &ToolResult) -> &str {
    match &result.content[..] {
        [Content::Text(text)] => text,
        other => panic!("{other:?}"),
    }
}

async fn call(bench: &Bench) -> ToolResult {
    bench.engine.call(context(), "t", Value::Null, None).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_unknown_tool_is_not_a_result() {
    let bench = Bench::new(Tool::default());
    let error = bench.engine.call(context(), "none", Value::Null, None).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no tool `none`");
    assert!(bench.engine.find("none").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_fault_ends_one_call_and_nothing_else() {
    let bench = Bench::new(Tool::of(r#"{ "crm": { "do": "panic", "effect": "write", "value": 1 } }"#));
    let cx = context();
    let trace = cx.trace.id().to_owned();
    let result = bench.engine.call(cx, "t", Value::Null, None).await.unwrap();
    let error = result.error.as_ref().unwrap();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Internal, Applied::Unknown));
    assert_eq!(error.detail_text(), Some("the fake was told to"));
    assert!(text(&result).contains(&trace), "{}", text(&result));
    assert!(!text(&result).contains("told to"));
    assert_eq!(bench.ledger.open.load(Ordering::SeqCst), 0);
    assert_eq!(call(&bench).await.error.unwrap().kind(), Kind::Internal);
}

#[tokio::test(start_paused = true)]
async fn cancelling_frees_the_call_at_once() {
    let bench = Bench::new(Tool::of(HANG_WRITE));
    let cx = context();
    let cancel = cx.cancel.clone();
    let start = Instant::now();
    let (result, ()) = tokio::join!(bench.engine.call(cx, "t", Value::Null, None), async {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(bench.ledger.open.load(Ordering::SeqCst), 1);
        cancel.cancel();
    });
    assert!(start.elapsed() < Duration::from_millis(1010));
    assert_eq!(bench.ledger.open.load(Ordering::SeqCst), 0);
    let error = result.unwrap().error.unwrap();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Cancelled, Applied::Unknown));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_frees_the_call_too() {
    let bench = Bench::new(Tool::of(HANG_READ));
    let called = tokio::time::timeout(Duration::from_secs(1), call(&bench)).await;
    assert!(called.is_err());
    assert_eq!(bench.ledger.open.load(Ordering::SeqCst), 0);
    // And its place under the limit.
    assert_eq!(bench.engine.timeout("t"), Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn the_shortest_deadline_counts() {
    // The caller's, the tool's, the system's (60s in all, 30s a try).
    for (caller, tool, seconds) in [(3600, None, 60), (3600, Some(5), 5), (3, Some(5), 3)] {
        let tool = Tool { timeout: tool.map(Duration::from_secs), ..Tool::of(HANG_READ) };
        let bench = Bench::new(tool);
        let mut cx = context();
        cx.deadline = Instant::now() + Duration::from_secs(caller);
        let start = Instant::now();
        let error = bench.engine.call(cx, "t", Value::Null, None).await.unwrap().error.unwrap();
        assert_eq!(error.kind(), Kind::Timeout);
        let took = start.elapsed();
        assert!(took <= Duration::from_millis(seconds * 1000 + 10), "{took:?}");
        assert!(took >= Duration::from_secs(seconds), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_says_so() {
    let bench = Bench::new(Tool { timeout: Some(Duration::from_secs(5)), ..Tool::of(HANG_WRITE) });
    let result = call(&bench).await;
    assert_eq!(result.error.as_ref().unwrap().was_applied(), Applied::Unknown);
    assert_eq!(
        text(&result),
        "`t` ran out of time: `crm` did not answer within 5s after the request was sent.\n\
         It may have happened all the same: check the state before repeating it, or it may be done twice."
    );
}

#[tokio::test(start_paused = true)]
async fn one_call_too_many_is_refused_at_once() {
    let options = Options { concurrent_calls: 2, ..Options::default() };
    let bench = Bench::with(Tool::of(HANG_READ), options, Duration::ZERO, 0);
    let start = Instant::now();
    let refused = async {
        sleep(Duration::from_secs(1)).await;
        call(&bench).await
    };
    let (_, _, refused) = tokio::join!(call(&bench), call(&bench), async {
        let refused = refused.await;
        assert!(start.elapsed() < Duration::from_millis(1010));
        refused
    });
    assert_eq!(refused.error.as_ref().unwrap().kind(), Kind::RateLimited);
    assert_eq!(
        text(&refused),
        "`t` was turned away by a limit: this server runs `2` calls already, its limit.\nNothing was changed.\nTry again in 1s at the earliest."
    );
    // Their places are free again.
    assert_eq!(call(&bench).await.error.unwrap().kind(), Kind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_input_sends_nothing() {
    let bench = Bench::new(Tool { input: r#"{ "type": "object", "required": ["id"] }"#, ..Tool::default() });
    let result = bench.engine.call(context(), "t", value("{}"), None).await.unwrap();
    assert_eq!(result.error.unwrap().kind(), Kind::Invalid);
    assert!(bench.ledger.calls.lock().unwrap().is_empty());
}

#[test]
fn schemas_are_checked_before_anything_runs() {
    let systems = systems(Fake { ledger: Arc::default(), connect_takes: Duration::ZERO });
    let wrong = Tool {
        input: r#"{ "type": "objec" }"#,
        output_schema: Some(r#"{ "minimum": "x" }"#),
        ..Tool::default()
    };
    let tools = vec![wrong.plan("t", &systems)];
    let problems = crate::engine::Engine::new(systems, tools, Options::default()).unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["input_schema", "output_schema"]);
}

#[test]
fn texts_of_failures() {
    let seconds = Duration::from_secs;
    let error = |kind| Error::new(kind, "`crm` said so");
    let cases = [
        (Effect::Read, error(Kind::NotFound)),
        (Effect::Read, error(Kind::Unavailable)),
        (Effect::Read, error(Kind::Unavailable).retry(Retry::Exhausted).context("after 3 attempts")),
        (Effect::Read, error(Kind::RateLimited).retry(Retry::After(Duration::from_millis(90_500)))),
        (Effect::Read, error(Kind::Timeout)),
        (Effect::Read, error(Kind::Forbidden)),
        (Effect::Read, error(Kind::Unauthenticated)),
        (Effect::Write, error(Kind::Rejected)),
        (Effect::Write, error(Kind::Conflict)),
        (Effect::Write, error(Kind::Invalid)),
        (Effect::Write, error(Kind::Unavailable)),
        (Effect::Write, error(Kind::Timeout).applied(Applied::Unknown)),
        (Effect::Write, error(Kind::Unavailable).applied(Applied::Unknown).retry(Retry::After(seconds(5)))),
        (Effect::Idempotent, error(Kind::Timeout).applied(Applied::Unknown)),
        (Effect::Idempotent, error(Kind::Timeout).applied(Applied::Unknown).retry(Retry::Exhausted)),
        (Effect::Write, error(Kind::Internal).applied(Applied::Yes)),
        (Effect::Write, error(Kind::Internal)),
        (Effect::Write, error(Kind::Cancelled).applied(Applied::Unknown)),
    ];
    let mut texts = String::new();
    for (effect, error) in cases {
        let (kind, applied, retry) = (error.kind(), error.was_applied(), error.retry_advice());
        let text = refusal::text("place_order", effect, &error, "0af7651916cd43dd8448eb211c80319c");
        texts += &format!("--- {effect:?} {kind} applied {applied:?} retry {retry:?}\n{text}\n");
    }
    insta::assert_snapshot!(texts);
}

/// Whatever went wrong, the text says what and why, whether it was applied, whether to repeat it, and what
/// to change; and no two of its sentences contradict each other.
#[test]
fn every_text_of_a_failure_is_whole() {
    let retries = [Retry::Never, Retry::Safe, Retry::Exhausted, Retry::After(Duration::from_secs(5))];
    let mut checked = 0;
    for kind in Kind::ALL {
        for effect in [Effect::Read, Effect::Idempotent, Effect::Write] {
            for applied in [Applied::No, Applied::Unknown, Applied::Yes] {
                for retry in retries {
                    let error = Error::new(kind, "`crm` said so").applied(applied).retry(retry);
                    let text = refusal::text("t", effect, &error, "0af7651916cd43dd8448eb211c80319c");
                    let has = |what: &str| text.contains(what);
                    assert!(text.starts_with("`t` ") && has(": `crm` said so."), "{text}");
                    let outcomes = ["Nothing was changed.", "It may have happened", "What it does is done"];
                    assert_eq!(outcomes.iter().filter(|outcome| has(outcome)).count(), 1, "{text}");
                    let repeats =
                        ["again", "repeat", "The same call", "The next call", "asks for less", "not help"];
                    assert!(repeats.iter().any(|word| has(word)), "{text}");
                    assert_eq!(has("0af7651916cd43dd8448eb211c80319c"), kind == Kind::Internal, "{text}");
                    if applied == Applied::Yes {
                        assert!(has("was carried out, but"), "{text}");
                        assert!(!has("not carried out") && !has("Change the arguments"), "{text}");
                    }
                    if applied == Applied::Unknown && effect == Effect::Write {
                        assert!(!has("Trying again may help"), "{text}");
                    }
                    checked += 1;
                }
            }
        }
    }
    assert_eq!(checked, 11 * 3 * 3 * 4);
}

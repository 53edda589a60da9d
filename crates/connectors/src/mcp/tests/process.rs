//! A program at work: it misbehaves, and is told when nobody waits.

use renkei_core::{Applied, Kind};
use renkei_testkit::upstream::Upstream;

use super::{SECRET, program, started, system};
use crate::fixture::{Client, context};

#[tokio::test]
async fn what_is_no_message_is_read_over() {
    let upstream = Upstream::new().await;
    let client = started(&upstream, &["both"], "").await;
    assert_eq!(client.get("garbage", "{}").await, r#""clean""#);
    assert_eq!(client.get(r#"{"tool": "flood", "arguments": {"lines": 20000}}"#, "{}").await, r#""flooded""#);
    assert_eq!(client.get("echo", "{}").await, "{}");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_its_own_calls_failure() {
    let upstream = Upstream::new().await;
    let client = started(&upstream, &["both"], r#""max_message": "100KB""#).await;
    let waiting = client.request("slow", "{}");
    let cx = context();
    let call = client.call();
    let mut waiting = call.call(&cx, &waiting);
    tokio::select! {
        reply = &mut waiting => panic!("{reply:?}"),
        _ = upstream.wait("slow started", 1) => {}
    }
    let error = client.fails(r#"{"tool": "huge", "arguments": {"bytes": 10000000}}"#, "{}").await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::Internal, Applied::Yes), "{error}");
    assert!(error.public().contains("100KB (`max_message`"), "{error}");
    // Nobody else noticed.
    assert_eq!(client.get("echo", "{}").await, "{}");
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let op = r#"{"tool": "say", "arguments": {"text": "${.text}"}}"#;
    let error = client.fails(op, &format!(r#"{{"text": "{}"}}"#, "x".repeat(200_000))).await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::Invalid, Applied::No), "{error}");
    assert!(error.public().contains("max_message"), "{error}");
}

/// Whose answer it is cannot be told: then the program is at fault, and it is started anew.
#[tokio::test]
async fn a_line_without_end_ends_the_program() {
    let upstream = Upstream::new().await;
    let config = program(&upstream, &["both"], r#""max_message": "100KB""#);
    let system = system(&config);
    let connection = system.connect(&super::patient()).await.unwrap();
    let client = Client { system, call: Some(connection.call.clone()) };
    let error = client.fails(r#"{"tool": "huge_line", "arguments": {"bytes": 10000000}}"#, "{}").await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::Unknown), "{error}");
    assert!(super::lost(&connection).await.public().contains("max_message"));
}

#[tokio::test]
async fn one_call_too_many_is_refused() {
    let upstream = Upstream::new().await;
    let client = started(&upstream, &["both"], r#""max_calls": 1"#).await;
    let (slow, cx, call) = (client.request("slow", "{}"), context(), client.call());
    let mut slow = call.call(&cx, &slow);
    tokio::select! {
        reply = &mut slow => panic!("{reply:?}"),
        _ = upstream.wait("slow started", 1) => {}
    }
    let error = client.fails("echo", "{}").await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::RateLimited, Applied::No));
    assert!(error.public().contains("1 calls under way already (`max_calls`)"), "{error}");
    drop(slow);
    assert_eq!(client.get("echo", "{}").await, "{}");
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_cancelled() {
    for era in ["legacy", "modern"] {
        let upstream = Upstream::new().await;
        let client = started(&upstream, &[era], "").await;
        let (slow, cx) = (client.request("slow", "{}"), context());
        let call = client.call();
        tokio::select! {
            reply = call.call(&cx, &slow) => panic!("{reply:?}"),
            _ = upstream.wait("slow started", 1) => {}
        }
        assert!(cx.attempt.was_sent());
        let cancelled = upstream.wait("notifications/cancelled", 1).await;
        assert!(cancelled[0]["params"]["requestId"].is_u64(), "{cancelled:?}");
        assert_eq!(client.get("echo", "{}").await, "{}");
    }
}

#[tokio::test]
async fn a_program_gets_no_variable_of_ours_but_a_few() {
    let upstream = Upstream::new().await;
    let folder = upstream.folder().to_string_lossy().into_owned();
    let client = started(&upstream, &["both"], &format!(r#""cwd": "{folder}""#)).await;
    let told = client.reply("tell_environment", "{}").await.value.into_value();
    let names: Vec<&str> = told
        .get("environment")
        .and_then(renkei_core::Value::as_array)
        .unwrap()
        .iter()
        .filter_map(renkei_core::Value::as_str)
        .collect();
    assert!(names.contains(&"PATH") && names.contains(&"SECRET"), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("CARGO")), "{names:?}");
    assert_eq!(told.get("folder").and_then(renkei_core::Value::as_str), Some(&*folder));
    let error = client.fails("tell_secret", "{}").await;
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
}

/// It takes no input and gives no answer: a call has its deadline, and the program is found out.
#[tokio::test]
async fn a_program_that_hangs_is_ended() {
    let upstream = Upstream::new().await;
    let system = system(&program(&upstream, &["both"], ""));
    let connection = system.connect(&super::patient()).await.unwrap();
    let client = Client { system, call: Some(connection.call.clone()) };
    let (freeze, cx) = (client.request("freeze", "{}"), context());
    tokio::select! {
        reply = connection.call.call(&cx, &freeze) => panic!("{reply:?}"),
        _ = upstream.wait("frozen", 1) => {}
    }
    // Nothing else happens from here on, so that the clock need not be waited for.
    tokio::time::pause();
    let reason = super::lost(&connection).await;
    assert!(reason.public().contains("not even to a ping"), "{reason}");
}

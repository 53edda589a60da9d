//! A server over HTTP: sessions, headers, streams.

use renkei_core::{Applied, Kind, Value};
use renkei_testkit::upstream::Upstream;

use super::reached;
use crate::fixture::context;

#[tokio::test]
async fn a_session_that_was_forgotten_is_begun_anew() {
    let upstream = Upstream::new().await;
    let served = upstream.serve(0, &["legacy"], &[]).await;
    let client = reached(&served.url(), "").await.unwrap();
    assert_eq!(client.get("forget", "{}").await, r#""all sessions are forgotten""#);
    // Many at once begin one session.
    let all = futures_util::future::join_all((0..8).map(|_| client.get("echo", "{}"))).await;
    assert!(all.iter().all(|value| value == "{}"), "{all:?}");
    assert_eq!(upstream.count("initialize"), 2);
    // A server that was started anew has forgotten it, too.
    let port = served.port();
    served.stop().await;
    let error = client.fails("echo", "{}").await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::No), "{error}");
    let _served = upstream.serve(port, &["legacy"], &[]).await;
    assert_eq!(client.get("echo", "{}").await, "{}");
    let calls = upstream.told_of("call").len();
    assert_eq!(calls, 10, "each call was made once");
}

#[tokio::test]
async fn a_session_is_ended_with_its_connection() {
    let upstream = Upstream::new().await;
    let served = upstream.serve(0, &["legacy"], &[]).await;
    let client = reached(&served.url(), "").await.unwrap();
    client.get("echo", "{}").await;
    drop(client);
    upstream.wait("session ended", 1).await;
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_cancelled() {
    for (mode, told) in [("legacy", "notifications/cancelled"), ("modern", "abandoned")] {
        let upstream = Upstream::new().await;
        let served = upstream.serve(0, &[mode], &[]).await;
        let client = reached(&served.url(), "").await.unwrap();
        let (slow, cx, call) = (client.request("slow", "{}"), context(), client.call());
        tokio::select! {
            reply = call.call(&cx, &slow) => panic!("{reply:?}"),
            _ = upstream.wait("slow started", 1) => {}
        }
        assert!(cx.attempt.was_sent());
        upstream.wait(told, 1).await;
        assert_eq!(client.get("echo", "{}").await, "{}");
    }
}

/// What a header repeats is compared by the server: a call that went well had the right ones.
#[tokio::test]
async fn headers_say_what_the_body_says() {
    let upstream = Upstream::new().await;
    let served = upstream.serve(0, &["modern"], &[]).await;
    let client = reached(&served.url(), "").await.unwrap();
    let op = r#"{"tool": "echo", "arguments": {"region": "${.region}", "n": 1}}"#;
    assert_eq!(client.get(op, r#"{"region": "eu-1"}"#).await, r#"{"region":"eu-1","n":1}"#);
    let last: Value = (&upstream.told_of("headers").pop().unwrap()).into();
    for (name, value) in [
        ("mcp-method", "tools/call"),
        ("mcp-name", "echo"),
        ("mcp-param-region", "eu-1"),
        ("mcp-protocol-version", "2026-07-28"),
    ] {
        assert_eq!(last.get(name).and_then(Value::as_str), Some(value), "{last}");
    }
    assert_eq!(client.get(op, "{}").await, r#"{"n":1}"#);
}

/// The answer did not come with the stream, but the server keeps it.
#[tokio::test]
async fn a_stream_that_ends_too_early_is_taken_up_again() {
    let upstream = Upstream::new().await;
    let served = upstream.serve(0, &["legacy", "broken"], &[]).await;
    let client = reached(&served.url(), "").await.unwrap();
    assert_eq!(client.get("echo", r#"{}"#).await, "{}");
    let resumed = upstream.wait("resumed", 1).await;
    assert_eq!(resumed[0]["last"], "1");
    assert_eq!(upstream.count("call"), 1);
}

#[tokio::test]
async fn credentials_are_sent_and_kept() {
    let upstream = Upstream::new().await;
    let token = super::SECRET;
    let served = upstream.serve(0, &["both"], &[("TOKEN", token)]).await;
    let error = reached(&served.url(), "").await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unauthenticated, "{error}");
    let client = reached(&served.url(), &format!(r#""auth": {{"bearer": "{token}"}}"#)).await.unwrap();
    assert_eq!(client.get("echo", "{}").await, "{}");
    let error = client.fails("tell_secret", "{}").await;
    assert!(!format!("{error} {error:?}").contains(token) && error.public().contains("***"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused() {
    let upstream = Upstream::new().await;
    for form in ["json", "sse"] {
        let served = upstream.serve(0, &["both", form], &[]).await;
        let client = reached(&served.url(), r#""max_message": "100KB""#).await.unwrap();
        let error = client.fails(r#"{"tool": "huge", "arguments": {"bytes": 1000000}}"#, "{}").await;
        assert_eq!((error.kind(), error.was_applied()), (Kind::Internal, Applied::Yes), "{form}: {error}");
        assert!(error.public().contains("100KB (`max_message`"), "{error}");
        assert_eq!(client.get("echo", "{}").await, "{}");
    }
}

/// In the middle of a call the server is gone: nobody knows.
#[tokio::test]
async fn a_server_that_dies_in_a_call_leaves_doubt() {
    let upstream = Upstream::new().await;
    let served = upstream.serve(0, &["both"], &[]).await;
    let client = reached(&served.url(), "").await.unwrap();
    let error = client.fails("die", "{}").await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::Unknown), "{error}");
    served.ended().await;
    let error = client.fails("echo", "{}").await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::No), "{error}");
}

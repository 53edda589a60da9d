//! What the server holds at most, whose sessions are, and how it stops.

use std::time::Duration;

use http::StatusCode;
use renkei_core::{Principal, Value as CoreValue, principal::How};
use renkei_mcp::Limits;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    fake::Event,
    wire::{Face, LEGACY, Post, initialize, modern},
};

fn principal(name: &str, how: How) -> Principal {
    Principal { name: name.into(), how, claims: CoreValue::object() }
}

#[tokio::test]
async fn one_call_too_many_is_told_so() {
    let mut face = Face::with(Limits { calls: 1, ..Limits::default() });
    let router = face.router.clone();
    let request = modern("tools/call", json!({"name": "wait"})).build();
    let call = tokio::spawn(async move { tower::ServiceExt::oneshot(router, request).await });
    assert_eq!(face.event().await, Event::Started);
    let result = face.modern("tools/call", json!({"name": "echo"})).await.json().await["result"].clone();
    assert_eq!(result["isError"], true);
    assert_eq!(
        result["content"][0]["text"],
        "`echo` was turned away by a limit: this server runs `1` calls already, its limit.\n\
         Nothing was changed.\nTry again in 1s at the earliest."
    );
    call.abort();
    while face.event().await != Event::Dropped {}
    let result = face.modern("tools/call", json!({"name": "echo"})).await.json().await["result"].clone();
    assert_eq!(result["isError"], false);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let face = Face::with(Limits { message_bytes: 1000, ..Limits::default() });
    let post = modern("tools/call", json!({"name": "echo", "arguments": {"text": "x".repeat(1000)}}));
    assert_eq!(face.send(post.build()).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn the_session_that_is_idle_longest_makes_room() {
    let face = Face::with(Limits { sessions: 2, ..Limits::default() });
    let first = face.initialize().await;
    let second = face.initialize().await;
    // Now the second one is idle for longer.
    face.legacy(&first, "ping", json!({})).await.message().await;
    let third = face.initialize().await;
    for (session, status) in
        [(&first, StatusCode::OK), (&second, StatusCode::NOT_FOUND), (&third, StatusCode::OK)]
    {
        assert_eq!(face.legacy(session, "ping", json!({})).await.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_idle_for_too_long_is_closed() {
    let face = Face::with(Limits { session_idle: Duration::from_secs(600), ..Limits::default() });
    let session = face.initialize().await;
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(599)).await;
        face.legacy(&session, "ping", json!({})).await.message().await;
    }
    tokio::time::advance(Duration::from_secs(601)).await;
    // Its worker has to see the time first. No request may do it: that would wake the session.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(face.legacy(&session, "ping", json!({})).await.status, StatusCode::NOT_FOUND);
}

/// Opened and left, as many a client does: no session is left, no task of one, and nothing of what they subscribed to.
#[tokio::test(start_paused = true)]
async fn sessions_that_nobody_uses_leave_nothing() {
    const SESSIONS: usize = 500;
    let face = Face::with(Limits { session_idle: Duration::from_secs(600), ..Limits::default() });
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(face.initialize().await);
    }
    assert!(tasks() >= before + SESSIONS, "each session has a task at least: {}", tasks());
    let end = Instant::now() + Duration::from_secs(660);
    while tasks() > before {
        assert!(Instant::now() < end, "{} tasks are left of {before}", tasks());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    for session in sessions {
        assert_eq!(face.legacy(&session, "ping", json!({})).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn sessions_in_use_make_no_room() {
    let face = Face::with(Limits { sessions: 1, ..Limits::default() });
    let session = face.initialize().await;
    let stream = face.send(Post::new(json!(null)).session(&session).method("GET", "")).await;
    assert!(stream.is_stream());
    let refused = face.send(Post::new(initialize(LEGACY)).build()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers.contains_key("retry-after"));
    assert!(refused.json().await["error"]["message"].as_str().unwrap().starts_with("every session"));
    // The modern era needs none.
    assert_eq!(face.modern("tools/list", json!({})).await.status, StatusCode::OK);
    drop(stream);
    face.initialize().await;
}

#[tokio::test]
async fn a_session_is_its_owners() {
    let face = Face::new();
    let ada = principal("ada", How::ApiKey);
    let mut answer = face.send(Post::new(initialize(LEGACY)).from(ada.clone()).build()).await;
    let session = answer.headers["mcp-session-id"].to_str().unwrap().to_owned();
    answer.message().await;
    let ping = || Post::new(json!({"jsonrpc": "2.0", "id": 2, "method": "ping"})).session(&session);
    let issued = Principal { claims: CoreValue::from([("iss", "x")]), ..ada.clone() };
    let others = [principal("bob", How::ApiKey), principal("ada", How::Jwt), Principal::anonymous(), issued];
    for other in others {
        for method in ["POST", "GET", "DELETE"] {
            let body = ping().body.to_string();
            let answer = face.send(ping().from(other.clone()).method(method, body)).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {other:?}");
        }
    }
    assert_eq!(face.send(ping().from(ada).build()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_shutdown_ends_open_streams_and_lets_calls_finish() {
    let mut face = Face::new();
    let session = face.initialize().await;
    let stream = face.send(Post::new(json!(null)).session(&session).method("GET", "")).await;
    let params = json!({"name": "report_and_wait", "_meta": {"progressToken": 1}});
    let mut call = face.modern("tools/call", params).await;
    assert_eq!(face.event().await, Event::Started);
    face.shutdown.cancel();
    assert_eq!(stream.messages().await, Vec::<serde_json::Value>::new());
    assert_eq!(call.message().await["method"], "notifications/progress");
    assert!(face.events.try_recv().is_err(), "the call goes on");
}

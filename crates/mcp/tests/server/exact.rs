//! Numbers keep their digits both ways, whatever transport and era they come by.

use http::StatusCode;
use serde_json::json;

use crate::{
    fake::Event,
    stdio::Pipe,
    wire::{Face, Post, modern},
};

/// None of these survives a trip through doubles.
const DIGITS: &str = r#"{"price":1.10,"exponent":1e2,"zero":-0,"huge":1e400,"tiny":-1.5E-400,"id":123456789012345678901234567890,"unsigned":18446744073709551615,"pi":3.14159265358979323846264338327950288,"deep":[{"x":0.10},[1.0]],"text":"a \"quote\" and a \\, 連携 \u0001"}"#;

/// The text that `message` has for the result of `echo`: the part and the structure.
fn check(message: &str) {
    assert!(message.contains(&format!(r#""structuredContent":{DIGITS},"#)), "{message}");
    let part = serde_json::to_string(DIGITS).unwrap();
    assert!(message.contains(&format!(r#""content":[{{"type":"text","text":{part}}}]"#)), "{message}");
}

fn legacy_call(id: i32) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","arguments":{DIGITS}}}}}"#
    )
}

fn modern_call(arguments: &str) -> String {
    let meta = &modern("tools/call", json!({"name": "echo"})).body["params"]["_meta"];
    format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"echo","arguments":{arguments},"_meta":{meta}}}}}"#
    )
}

#[tokio::test]
async fn over_http() {
    let face = Face::new();
    let post = modern("tools/call", json!({"name": "echo"}));
    let answer = face.send(post.clone().method("POST", modern_call(DIGITS))).await;
    assert_eq!(answer.status, StatusCode::OK);
    check(&answer.text().await);
    // In a stream of its own.
    let body = modern_call(DIGITS).replacen(r#""_meta":{"#, r#""_meta":{"progressToken":1,"#, 1);
    let body = body.replace(r#""name":"echo""#, r#""name":"report_and_echo""#);
    let answer = face.send(post.header("mcp-name", "report_and_echo").method("POST", body)).await;
    assert!(answer.is_stream());
    check(&answer.text().await);
    let session = face.initialize().await;
    let answer = face.send(Post::new(json!(null)).session(&session).method("POST", legacy_call(7))).await;
    check(&answer.text().await);
}

#[tokio::test]
async fn over_stdio() {
    let mut pipe = Pipe::new();
    pipe.line(&modern_call(DIGITS)).await;
    check(&pipe.next_line().await);
    let mut pipe = Pipe::new();
    pipe.initialize().await;
    pipe.line(&legacy_call(8)).await;
    check(&pipe.next_line().await);
}

#[tokio::test]
async fn a_resumed_stream_has_them_too() {
    let mut face = Face::new();
    let session = face.initialize().await;
    let post = Post::new(json!(null)).session(&session);
    let call = legacy_call(7).replace(r#""echo""#, r#""echo_when_told""#);
    let mut first = face.send(post.clone().method("POST", call)).await;
    // Its first event names it; the rest is asked for with a second request.
    let named = first.frame().await;
    let id = named.lines().find_map(|line| line.strip_prefix("id:")).expect("an event with an id").trim();
    assert_eq!(face.event().await, Event::Started);
    drop(first);
    let mut resumed = face.send(post.header("last-event-id", id).method("GET", "")).await;
    assert_eq!(resumed.status, StatusCode::OK);
    face.fake.told.notify_one();
    let mut event = resumed.frame().await;
    while !event.contains("jsonrpc") {
        event = resumed.frame().await;
    }
    check(&event);
}

#[tokio::test]
async fn headers_are_compared_by_value() {
    let face = Face::new();
    let arguments = r#"{"count":42.0,"account":123456789012345678901234567890,"region":"eu"}"#;
    let post = || {
        modern("tools/call", json!({"name": "echo"}))
            .header("mcp-param-region", "eu")
            .header("mcp-param-account", "123456789012345678901234567890")
    };
    for (count, status) in [
        ("42", StatusCode::OK),
        ("42.0", StatusCode::OK),
        ("4.2e1", StatusCode::OK),
        ("43", StatusCode::BAD_REQUEST),
        ("x", StatusCode::BAD_REQUEST),
    ] {
        let request = post().header("mcp-param-count", count).method("POST", modern_call(arguments));
        assert_eq!(face.send(request).await.status, status, "{count}");
    }
    let close = post().header("mcp-param-count", "42");
    let close = close.header("mcp-param-account", "123456789012345678901234567891");
    let answer = face.send(close.method("POST", modern_call(arguments))).await;
    assert_eq!(answer.json().await["error"]["code"], -32020);
}

#[tokio::test]
async fn the_list_is_whole_over_stdio_too() {
    let mut pipe = Pipe::new();
    pipe.send(&modern("tools/list", json!({})).body).await;
    let over_stdio = pipe.next().await["result"]["tools"].clone();
    let over_http = Face::new().modern("tools/list", json!({})).await.json().await["result"]["tools"].clone();
    assert_eq!(over_stdio, over_http);
    assert_eq!(over_http[0]["name"], "echo");
}

//! Batches: protocol version 2025-03-26 has them, and no other.

use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    stdio::Pipe,
    wire::{Face, Post, initialize, modern},
};

const VERSION: &str = "2025-03-26";

async fn session(face: &Face, version: &str) -> String {
    let mut answer = face.send(Post::new(initialize(version)).build()).await;
    assert_eq!(answer.message().await["result"]["protocolVersion"], version);
    let id = answer.headers["mcp-session-id"].to_str().unwrap().to_owned();
    let note = Post::new(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    face.send(note.header("mcp-session-id", &id).build()).await;
    id
}

fn batch() -> Value {
    let echo = json!({"name": "echo", "arguments": {"x": 1}});
    json!([
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": echo},
        {"jsonrpc": "2.0", "id": 3, "method": "nonsense"},
        {"jsonrpc": "2.0", "id": 4},
        initialize(VERSION),
        7
    ])
}

/// Each answer by its id; the two without one are in `null`.
fn check(answers: Vec<Value>) {
    let find = |id: Value| answers.iter().filter(|answer| answer["id"] == id).cloned().collect::<Vec<_>>();
    assert_eq!(answers.len(), 6, "{answers:?}");
    let ones = find(json!(1));
    assert!(ones.contains(&json!({"jsonrpc": "2.0", "id": 1, "result": {}})), "{answers:?}");
    assert!(ones.iter().any(|answer| answer["error"]["code"] == -32600), "{answers:?}");
    assert_eq!(find(json!(2))[0]["result"]["structuredContent"], json!({"x": 1}));
    assert_eq!(find(json!(3))[0]["error"]["code"], -32601);
    assert_eq!(find(json!(4))[0]["error"]["code"], -32600);
    assert_eq!(find(json!(null))[0]["error"]["code"], -32600);
}

#[tokio::test]
async fn over_http() {
    let face = Face::new();
    let id = session(&face, VERSION).await;
    let post = Post::new(batch()).header("mcp-session-id", &id);
    for post in [post.clone(), post.clone().header("mcp-protocol-version", VERSION)] {
        let answer = face.send(post.build()).await;
        assert_eq!(answer.status, StatusCode::OK);
        check(answer.messages().await);
    }
    let notes = json!([{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}]);
    let answer = face.send(Post::new(notes).header("mcp-session-id", &id).build()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let many: Vec<_> = (0..101).map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "ping"})).collect();
    let answer = face.send(Post::new(many.into()).header("mcp-session-id", &id).build()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer.json().await["error"]["message"],
        "101 messages in one batch are too many: at most `100`"
    );
    // Another version by header.
    let answer = face.send(post.header("mcp-protocol-version", "2025-06-18").build()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn other_versions_have_none() {
    let face = Face::new();
    let mut posts = vec![Post::new(batch()), modern("tools/list", json!({}))];
    posts[1].body = batch();
    for version in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        posts.push(Post::new(batch()).header("mcp-session-id", &session(&face, version).await));
    }
    for post in posts {
        let answer = face.send(post.build()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let error = answer.json().await["error"].clone();
        assert_eq!(error["code"], -32600);
        assert!(error["message"].as_str().unwrap().starts_with("batches (JSON arrays) exist only after"));
    }
}

#[tokio::test]
async fn over_stdio() {
    let mut pipe = Pipe::new();
    pipe.send(&initialize(VERSION)).await;
    assert_eq!(pipe.next().await["result"]["protocolVersion"], VERSION);
    pipe.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    pipe.send(&batch()).await;
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(pipe.next().await);
    }
    check(answers);
    let mut pipe = Pipe::new();
    pipe.initialize().await;
    pipe.send(&batch()).await;
    assert_eq!(pipe.next().await["error"]["code"], -32600);
}

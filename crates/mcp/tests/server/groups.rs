//! Groups: endpoints beside the one with everything.

use http::StatusCode;
use renkei_mcp::{Endpoints, Info, Limits, Server, Site, router};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    fake::{Event, Fake},
    wire::{Face, LEGACY, Post, initialize, modern},
};

const HALF: &str = "/mcp/half";

/// Everything, and the group `half`, which has `echo` and `media`.
fn face(limits: Limits) -> Face {
    let (fake, events) = Fake::new();
    let (half, _) = Fake::of(&["echo", "media"]);
    let info = Info {
        name: "fake-half".into(),
        title: Some("Half of it".into()),
        version: "1.2.3".into(),
        description: Some("What a half is good for.".into()),
        instructions: None,
        icons: vec![],
    };
    let endpoints = fake.endpoints(limits);
    // Its own limits count for nothing.
    let half = Server::new(half, info, Limits { calls: 7, sessions: 7, ..Limits::default() });
    let endpoints: Endpoints = endpoints.with_group("half".into(), half);
    let shutdown = CancellationToken::new();
    Face { router: router(Site::new(endpoints, shutdown.clone())), fake, events, shutdown }
}

fn names(result: &Value) -> Vec<&str> {
    result["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_group_has_a_list_and_a_name_of_its_own() {
    let face = face(Limits::default());
    let modern_at = async |method: &str, params: Value| {
        face.send(modern(method, params).at(HALF).build()).await.json().await["result"].clone()
    };
    assert_eq!(names(&modern_at("tools/list", json!({})).await), ["echo", "media"]);
    let discovered = modern_at("server/discover", json!({})).await;
    assert_eq!(
        discovered["_meta"]["io.modelcontextprotocol/serverInfo"],
        json!({
            "name": "fake-half",
            "title": "Half of it",
            "version": "1.2.3",
            "description": "What a half is good for."
        })
    );
    let session = face.initialize_at(HALF).await;
    let list = face.legacy_at(HALF, &session, "tools/list", json!({})).await.message().await;
    assert_eq!(names(&list["result"]), ["echo", "media"]);
    let whole = face.modern("tools/list", json!({})).await.json().await;
    assert!(names(&whole["result"]).len() > 10);
}

#[tokio::test]
async fn what_is_not_in_the_group_does_not_exist_there() {
    let face = face(Limits::default());
    let session = face.initialize_at(HALF).await;
    for (tool, exists) in [("echo", true), ("log", false)] {
        let call = json!({"name": tool, "arguments": {"a": 1}});
        let modern = face.send(modern("tools/call", call.clone()).at(HALF).build()).await.json().await;
        let legacy = face.legacy_at(HALF, &session, "tools/call", call.clone()).await.message().await;
        for answer in [&modern, &legacy] {
            if exists {
                assert_eq!(answer["result"]["structuredContent"], json!({"a": 1}), "{answer}");
            } else {
                assert_eq!(answer["error"]["code"], -32602, "{answer}");
                let text = answer["error"]["message"].as_str().unwrap();
                assert!(text.starts_with("unknown tool `log`"), "{text}");
            }
        }
        let whole = face.modern("tools/call", call).await.json().await;
        assert_eq!(whole["result"]["isError"], false, "{whole}");
    }
}

/// rmcp compares them with the schema of the tool at this endpoint.
#[tokio::test]
async fn repeated_arguments_are_compared_there_too() {
    let face = face(Limits::default());
    let call = |region| {
        let params = json!({"name": "echo", "arguments": {"region": "eu"}});
        modern("tools/call", params).header("mcp-param-region", region).at(HALF).build()
    };
    assert_eq!(face.send(call("eu")).await.status, StatusCode::OK);
    let refused = face.send(call("us")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.json().await["error"]["code"], -32020);
}

#[tokio::test]
async fn a_group_that_is_not_there() {
    let face = face(Limits::default());
    for method in ["POST", "GET", "DELETE"] {
        for path in ["/mcp/halt", "/mcp/Half", "/mcp/a%2Fb"] {
            let post = modern("tools/list", json!({})).at(path);
            let body = post.body.to_string();
            let answer = face.send(post.method(method, body)).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND);
            let text = answer.text().await;
            assert!(text.contains("the groups are `half`; everything is at `/mcp`"), "{text}");
        }
    }
    let without = Face::new();
    let answer = without.send(modern("tools/list", json!({})).at(HALF).build()).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.text().await.contains("the config has no groups"));
}

#[tokio::test]
async fn a_session_belongs_to_its_endpoint() {
    let face = face(Limits::default());
    for (own, other) in [("/mcp", HALF), (HALF, "/mcp")] {
        let session = face.initialize_at(own).await;
        let list = || json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
        for method in ["POST", "GET", "DELETE"] {
            let post = Post::new(list()).session(&session).at(other);
            let answer = face.send(post.method(method, list().to_string())).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {other}");
        }
        let answer = face.legacy_at(own, &session, "tools/list", json!({})).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn limits_count_over_all_endpoints() {
    let mut face = face(Limits { calls: 1, sessions: 1, ..Limits::default() });
    let router = face.router.clone();
    let request = modern("tools/call", json!({"name": "wait"})).build();
    let call = tokio::spawn(async move { tower::ServiceExt::oneshot(router, request).await });
    assert_eq!(face.event().await, Event::Started);
    let call_there = modern("tools/call", json!({"name": "echo"})).at(HALF);
    let busy = face.send(call_there.clone().build()).await.json().await;
    assert_eq!(busy["result"]["isError"], true, "{busy}");
    call.abort();
    while face.event().await != Event::Dropped {}
    let answer = face.send(call_there.build()).await.json().await;
    assert_eq!(answer["result"]["isError"], false, "{answer}");

    let session = face.initialize().await;
    let stream = face.send(Post::new(json!(null)).session(&session).method("GET", "")).await;
    assert!(stream.is_stream());
    let refused = face.send(Post::new(initialize(LEGACY)).at(HALF).build()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
}

//! Plain modern requests, which do not pass through rmcp, are answered as it would answer them.

use http::StatusCode;
use renkei_core::{Principal, principal::How};
use renkei_mcp::Limits;
use serde_json::{Value, json};

use crate::{
    fake::Event,
    wire::{Face, Post, modern},
};

/// Means the same, and is not plain: weights are left to rmcp.
const WEIGHED: &str = "application/json;q=1, text/event-stream;q=1";

fn call(tool: &str, arguments: Value) -> Post {
    modern("tools/call", json!({"name": tool, "arguments": arguments}))
}

fn with(mut post: Post, pointer: &str, key: &str, value: Value) -> Post {
    let object = post.body.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
    object.insert(key.to_owned(), value);
    post
}

fn without(mut post: Post, pointer: &str, key: &str) -> Post {
    post.body.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key);
    post
}

/// What may be asked, rightly and wrongly.
fn requests() -> Vec<(&'static str, Post)> {
    let list = || modern("tools/list", json!({}));
    let echo = || call("report_and_echo", json!({"a": [1, {"b": "c\n\u{1}连"}], "big": 1.5e300}));
    let meta = "/params/_meta";
    let version = "io.modelcontextprotocol/protocolVersion";
    let capabilities = "io.modelcontextprotocol/clientCapabilities";
    vec![
        ("a list", list()),
        ("a list for somebody", list().from(somebody())),
        ("a list with an unknown cursor", with(list(), "/params", "cursor", json!("x"))),
        ("a list with an unknown member", with(list(), "/params", "odd", json!(1))),
        ("a list with an unknown member of its metadata", with(list(), meta, "odd", json!(1))),
        ("a call", echo()),
        ("a call of somebody", echo().from(somebody())),
        ("an id that is a text", with(echo(), "", "id", json!("se\"ven"))),
        ("an id that is negative", with(echo(), "", "id", json!(-7))),
        ("no id", without(echo(), "", "id")),
        ("no arguments", without(echo(), "/params", "arguments")),
        ("null for arguments", with(echo(), "/params", "arguments", json!(null))),
        ("a list for arguments", with(echo(), "/params", "arguments", json!([1]))),
        ("media", call("media", json!({}))),
        ("a refusal", call("refuse", json!({}))),
        ("a panic", call("panic", json!({}))),
        ("a panic at once", call("panic_at_once", json!({}))),
        ("an error of the protocol", call("refuse_by_protocol", json!({}))),
        ("log lines that nobody wants", call("log", json!({}))),
        ("log lines", with(call("log", json!({})), meta, "io.modelcontextprotocol/logLevel", json!("info"))),
        ("progress", with(call("burst", json!({})), meta, "progressToken", json!(1))),
        ("progress for nobody", with(echo(), meta, "progressToken", json!({}))),
        (
            "headers that repeat arguments",
            call("echo", json!({"region": "eu"})).header("mcp-param-region", "eu"),
        ),
        ("headers that do not", call("echo", json!({"region": "eu"})).header("mcp-param-region", "us")),
        ("an unknown tool", call("nothing", json!({}))),
        ("no tool", without(echo(), "/params", "name")),
        ("a number for a tool", with(echo(), "/params", "name", json!(1))),
        ("an unknown member", with(echo(), "/params", "odd", json!(1))),
        ("no method header", echo().without("mcp-method")),
        ("another method's header", echo().header("mcp-method", "tools/list")),
        ("no name header", echo().without("mcp-name")),
        ("another name's header", echo().header("mcp-name", "refuse")),
        ("a name in base64", echo().header("mcp-name", "=?base64?cmVwb3J0X2FuZF9lY2hv?=")),
        ("no version header", echo().without("mcp-protocol-version")),
        ("another version's header", echo().header("mcp-protocol-version", "2025-11-25")),
        ("a version of nobody", echo().header("mcp-protocol-version", "2030-01-01")),
        ("no metadata", without(echo(), "/params", "_meta")),
        ("no version", without(echo(), meta, version)),
        ("another version", with(echo(), meta, version, json!("2025-11-25"))),
        ("no capabilities", without(echo(), meta, capabilities)),
        ("capabilities of a wrong type", with(echo(), meta, capabilities, json!([]))),
        ("capabilities with a wrong type", with(echo(), meta, capabilities, json!({"roots": 1}))),
        ("capabilities", with(echo(), meta, capabilities, json!({"roots": {"listChanged": true}, "x": {}}))),
        ("a session that is none", echo().header("mcp-session-id", "x")),
        ("an unknown method", modern("tools/odd", json!({}))),
        ("discovery", modern("server/discover", json!({}))),
        ("another protocol", with(echo(), "", "jsonrpc", json!("1.0"))),
    ]
}

fn somebody() -> Principal {
    Principal { name: "ada".into(), how: How::ApiKey, ..Principal::anonymous() }
}

#[tokio::test]
async fn answers_are_those_of_rmcp() {
    same_answers(requests(), Face::new).await;
}

#[tokio::test]
async fn questions_are_those_of_rmcp() {
    let capabilities = "io.modelcontextprotocol/clientCapabilities";
    let ask = || call("ask", json!({}));
    let of_somebody_with_roots = with(ask(), "/params/_meta", capabilities, json!({"roots": {}}));
    let answer = Face::asking().send(of_somebody_with_roots.clone().build()).await.text().await;
    assert!(answer.contains(r#""resultType":"input_required""#), "{answer}");
    same_answers(vec![("a question", of_somebody_with_roots), ("to nobody", ask())], Face::asking).await;
}

async fn same_answers(requests: Vec<(&'static str, Post)>, face: impl Fn() -> Face) {
    for (what, post) in requests {
        let mut answers = Vec::new();
        for post in [post.clone(), post.header("accept", WEIGHED)] {
            let answer = face().send(post.build()).await;
            let (status, headers) = (answer.status, answer.headers.clone());
            let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok().map(str::to_owned));
            let body = answer.text().await;
            // Each call has a trace of its own, and a stream's events have ids.
            let body: String = body
                .split_inclusive([' ', '"', '\n'])
                .filter(|word| !(word.len() > 32 && word[..32].bytes().all(|byte| byte.is_ascii_hexdigit())))
                .filter(|word| !word.starts_with("id:"))
                .collect();
            answers.push((status, kind, body));
        }
        assert_eq!(answers[0], answers[1], "{what}");
    }
}

/// rmcp makes `1` of it. So this shows which requests do not pass through it.
#[tokio::test]
async fn an_id_comes_back_as_it_was_written() {
    for method in ["tools/list", "tools/call"] {
        let params = if method == "tools/call" { json!({"name": "report_and_echo"}) } else { json!({}) };
        let post = modern(method, params);
        let body = post.body.to_string().replacen(r#""id":7"#, r#""id":1.0"#, 1);
        let answer = Face::new().send(post.method("POST", body)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.text().await.starts_with(r#"{"jsonrpc":"2.0","id":1.0,"result":"#), "{method}");
    }
}

#[tokio::test]
async fn digits_are_kept() {
    let face = Face::new();
    let post = call("report_and_echo", json!({}));
    let body = post.body.to_string().replacen(r#""arguments":{}"#, r#""arguments":{"a":1.10,"b":1e400}"#, 1);
    let text = face.send(post.method("POST", body)).await.text().await;
    assert!(text.contains(r#""structuredContent":{"a":1.10,"b":1e400}"#), "{text}");
}

#[tokio::test]
async fn the_context_is_the_requests_own() {
    let face = Face::new();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let other = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let post = call("report_and_echo", json!({})).header("traceparent", other).from(somebody());
    face.send(post.clone().build()).await;
    assert_eq!(face.fake.context().trace.id(), &other[3..35]);
    assert_eq!(&*face.fake.context().principal.name, "ada");
    face.send(with(post, "/params/_meta", "traceparent", json!(parent)).build()).await;
    assert_eq!(face.fake.context().trace.id(), &parent[3..35]);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_call() {
    let mut face = Face::new();
    let request = call("wait", json!({})).build();
    let router = face.router.clone();
    let calling = tokio::spawn(tower::ServiceExt::oneshot(router, request));
    assert_eq!(face.event().await, Event::Started);
    calling.abort();
    assert_eq!(face.event().await, Event::Cancelled);
    assert_eq!(face.event().await, Event::Dropped);
}

#[tokio::test]
async fn calls_at_once_are_limited() {
    let mut face = Face::with(Limits { calls: 1, ..Limits::default() });
    let calling = {
        let router = face.router.clone();
        tokio::spawn(tower::ServiceExt::oneshot(router, call("wait", json!({})).build()))
    };
    assert_eq!(face.event().await, Event::Started);
    let refused = face.send(call("report_and_echo", json!({})).build()).await.json().await;
    assert_eq!(refused["result"]["isError"], true);
    calling.abort();
    assert_eq!(face.event().await, Event::Cancelled);
    assert_eq!(face.event().await, Event::Dropped);
    let answer = face.send(call("report_and_echo", json!({})).build()).await.json().await;
    assert_eq!(answer["result"]["isError"], false);
}

#[tokio::test]
async fn a_list_of_several_pages_is_left_to_rmcp() {
    let face = Face::with(Limits { list_page: 2, ..Limits::default() });
    let answer = face.modern("tools/list", json!({})).await.json().await;
    assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), 2);
    assert!(answer["result"]["nextCursor"].is_string());
}

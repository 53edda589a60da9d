//! What is no message gets an answer that says what is wrong, and the next message is served.

use http::StatusCode;
use renkei_mcp::Limits;
use serde_json::{Value, json};

use crate::{
    stdio::Pipe,
    wire::{Face, MODERN, Post},
};

fn deep(levels: usize) -> String {
    let nested = "[".repeat(levels) + &"]".repeat(levels);
    format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"echo","arguments":{{"x":{nested}}}}}}}"#
    )
}

/// What is sent, the code and the id of the answer, and what its text says.
fn table() -> Vec<(String, i64, Value, &'static str)> {
    let case = |text: &str, code, id, says| (text.to_owned(), code, id, says);
    vec![
        case("nonsense", -32700, json!(null), "cannot be read as JSON: not a JSON value at byte 0"),
        case(
            r#"{"jsonrpc":"2.0","id":7,"method":"ping""#,
            -32700,
            json!(null),
            "`,` or `}` is due at byte 39",
        ),
        case(
            r#"{"jsonrpc":"2.0","id":7,"method":"ping"} {}"#,
            -32700,
            json!(null),
            "text after the value at byte 41",
        ),
        case(r#"{'jsonrpc':"2.0"}"#, -32700, json!(null), "a key in quotes is due at byte 1"),
        case(
            r#"{"jsonrpc":"2.0","id":07,"method":"ping"}"#,
            -32700,
            json!(null),
            "not a JSON number at byte 22",
        ),
        (deep(126), -32700, json!(null), "nested more than 128 deep"),
        (deep(100_000), -32700, json!(null), "nested more than 128 deep"),
        case("7", -32600, json!(null), "is an object, not number"),
        case(r#""ping""#, -32600, json!(null), "is an object, not string"),
        case("null", -32600, json!(null), "is an object, not null"),
        case("{}", -32600, json!(null), "`jsonrpc`"),
        case(r#"{"id":7,"method":"ping"}"#, -32600, json!(7), "`jsonrpc`"),
        case(r#"{"jsonrpc":"1.0","id":"x","method":"ping"}"#, -32600, json!("x"), "`jsonrpc`"),
        case(r#"{"jsonrpc":"2.0","id":7}"#, -32600, json!(7), "neither a request nor a response"),
        case(r#"{"jsonrpc":"2.0","id":7,"method":7}"#, -32600, json!(7), "`method` is a string, not number"),
        case(r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600, json!(null), "`id`"),
        case(r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600, json!(null), "`id`"),
        case(r#"{"jsonrpc":"2.0","id":99999999999999999999,"method":"ping"}"#, -32600, json!(null), "`id`"),
        case(
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":"x"}"#,
            -32600,
            json!(7),
            "`params` is an object, not string",
        ),
        case(r#"{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}"#, -32600, json!(7), "not both"),
        case(
            r#"{"jsonrpc":"2.0","id":7,"result":{},"error":{"code":1,"message":""}}"#,
            -32600,
            json!(7),
            "not both",
        ),
        case(r#"{"jsonrpc":"2.0","result":{}}"#, -32600, json!(null), "the `id` of its request"),
        case(r#"{"jsonrpc":"2.0","id":7,"error":"no"}"#, -32600, json!(7), "does not allow"),
        case("[]", -32600, json!(null), "an empty array"),
        case(r#"[{"jsonrpc":"2.0","id":7,"method":"ping"}]"#, -32600, json!(null), "batches (JSON arrays)"),
    ]
}

fn check(answer: &Value, text: &str, code: i64, id: &Value, says: &str) {
    let shown: String = text.chars().take(100).collect();
    assert_eq!(answer["jsonrpc"], "2.0", "{shown}: {answer}");
    assert_eq!(answer["error"]["code"], code, "{shown}: {answer}");
    assert_eq!(answer.get("id"), Some(id), "{shown}: {answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains(says), "{shown}: {message}");
}

#[tokio::test]
async fn over_http() {
    let face = Face::new();
    let session = face.initialize().await;
    for (text, code, id, says) in table() {
        let bare = Post::new(json!(null));
        for post in
            [bare.clone(), bare.clone().session(&session), bare.header("mcp-protocol-version", MODERN)]
        {
            let answer = face.send(post.method("POST", text.clone())).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{says}");
            check(&answer.json().await, &text, code, &id, says);
        }
    }
    let answer = face.send(Post::new(json!(null)).method("POST", "")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    check(&answer.json().await, "", -32700, &json!(null), "the message is empty");
    // The session lives.
    assert_eq!(face.legacy(&session, "ping", json!({})).await.message().await["result"], json!({}));
}

#[tokio::test]
async fn over_stdio() {
    for legacy in [false, true] {
        let mut pipe = Pipe::new();
        if legacy {
            pipe.initialize().await;
        }
        for (text, code, id, says) in table() {
            pipe.line(&text).await;
            check(&pipe.next().await, &text, code, &id, says);
        }
        // An empty line is nothing, and a notification gets no answer, whatever it says.
        pipe.line("\r").await;
        pipe.line(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":[1]}"#).await;
        pipe.send(&json!({"jsonrpc": "2.0", "id": 9, "method": "ping"})).await;
        assert_eq!(pipe.next().await, json!({"jsonrpc": "2.0", "id": 9, "result": {}}));
    }
}

#[tokio::test]
async fn bytes_that_are_no_text() {
    let face = Face::new();
    let bytes = b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"\xff\"}".to_vec();
    let answer = face.send(Post::new(json!(null)).method("POST", bytes.clone())).await.json().await;
    check(&answer, "", -32700, &json!(null), "not UTF-8 at byte 34");
    let mut pipe = Pipe::new();
    pipe.bytes(&bytes).await;
    pipe.bytes(b"\n").await;
    check(&pipe.next().await, "", -32700, &json!(null), "not UTF-8 at byte 34");
}

#[tokio::test]
async fn a_message_that_is_too_long_is_named_and_skipped() {
    let limits = Limits { message_bytes: 4096, ..Limits::default() };
    let long = format!("\"{}\"", "x".repeat(20_000));
    let face = Face::with(limits.clone());
    let answer = face.send(Post::new(json!(null)).method("POST", long.clone())).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    check(&answer.json().await, "", -32600, &json!(null), "more than `4096` bytes");
    let mut pipe = Pipe::with(limits);
    pipe.initialize().await;
    // A line at the limit passes, and one above it does not.
    let ping = |bytes: usize| {
        let ping = r#"{"jsonrpc":"2.0","id":8,"method":"ping"}"#;
        format!("{ping}{}", " ".repeat(bytes - ping.len()))
    };
    for _ in 0..2 {
        pipe.line(&long).await;
        check(&pipe.next().await, "", -32600, &json!(null), "more than `4096` bytes");
        pipe.line(&ping(4097)).await;
        check(&pipe.next().await, "", -32600, &json!(null), "more than `4096` bytes");
        pipe.line(&ping(4096)).await;
        assert_eq!(pipe.next().await["result"], json!({}));
    }
}

#[tokio::test]
async fn the_last_line_may_lack_its_end() {
    let mut pipe = Pipe::new();
    pipe.initialize().await;
    pipe.bytes(br#"{"jsonrpc":"2.0","id":8,"method":"ping"}"#).await;
    pipe.end().await;
    assert_eq!(pipe.next().await["id"], 8);
}

//! What an answer becomes.

use renkei_core::{Kind, Payload};
use renkei_testkit::fault::{Answer, FaultServer};

use super::{call, call_with, json, value};

async fn reply_to(op: &str, answer: Answer) -> renkei_core::Result<renkei_core::Reply> {
    let server = FaultServer::start().await;
    server.on("/", [answer]);
    call(&server, op, "{}").await
}

#[tokio::test]
async fn json_by_its_type() {
    for kind in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"] {
        let text = "\u{feff}{\"z\": 1.10, \"a\": 12345678901234567890}";
        let reply = reply_to("GET /", Answer::body(200, kind, text)).await;
        assert_eq!(json(reply).to_json(), r#"{"z":1.10,"a":12345678901234567890}"#, "{kind}");
    }
}

#[tokio::test]
async fn text_by_its_type_and_charset() {
    let text = |kind: &'static str, body: &'static [u8]| async move {
        reply_to("GET /", Answer::body(200, kind, body)).await
    };
    assert_eq!(json(text("text/plain", "é".as_bytes()).await).as_str(), Some("é"));
    assert_eq!(json(text("text/csv; charset=\"UTF-8\"", "é".as_bytes()).await).as_str(), Some("é"));
    assert_eq!(json(text("text/plain; charset=ISO-8859-1", b"\xe9").await).as_str(), Some("é"));
    let reply = text("text/plain", b"a\xe9").await.unwrap();
    assert_eq!(reply.notices.len(), 1);
    assert_eq!(json(Ok(reply)).as_str(), Some("a\u{fffd}"));
    let error = text("text/plain; charset=shift_jis", b"x").await.unwrap_err();
    assert!(error.public().contains("`shift_jis`") && error.public().contains("`as: bytes`"), "{error}");
}

#[tokio::test]
async fn anything_else_is_bytes() {
    for (kind, expected) in [("image/png", "image/png"), ("application/pdf; a=b", "application/pdf; a=b")] {
        let reply = reply_to("GET /", Answer::body(200, kind, &b"\x00\x01"[..])).await.unwrap();
        let Payload::Blob { bytes, mime_type } = reply.value else { panic!("{reply:?}") };
        assert_eq!((&bytes[..], &*mime_type), (&[0, 1][..], expected));
    }
    let answer = Answer::Reply { status: 200, headers: Vec::new(), body: "x".into() };
    let Payload::Blob { mime_type, .. } = reply_to("GET /", answer).await.unwrap().value else { panic!() };
    assert_eq!(&*mime_type, "application/octet-stream");
}

#[tokio::test]
async fn an_empty_body_is_null() {
    assert!(json(reply_to("GET /", Answer::status(204)).await).is_null());
    assert!(json(reply_to("GET /", Answer::body(200, "application/json", "")).await).is_null());
    assert!(json(reply_to("HEAD /", Answer::json("{}")).await).is_null());
    assert!(json(reply_to("GET /", Answer::status(304)).await).is_null());
}

#[tokio::test]
async fn the_operation_says_how_to_read() {
    let answer = Answer::body(200, "text/plain", "[1]");
    assert_eq!(json(reply_to(r#"{"get": "/", "as": "json"}"#, answer.clone()).await).to_json(), "[1]");
    let answer = Answer::json("[1]");
    assert_eq!(json(reply_to(r#"{"get": "/", "as": "text"}"#, answer.clone()).await).as_str(), Some("[1]"));
    let reply = reply_to(r#"{"get": "/", "as": "bytes"}"#, answer).await.unwrap();
    assert!(matches!(reply.value, Payload::Blob { .. }));
}

#[tokio::test]
async fn broken_json_is_told_with_its_beginning() {
    let error = reply_to("GET /", Answer::json("{\"a\": <html>")).await.unwrap_err();
    assert_eq!((error.kind(), error.status_code()), (Kind::Unavailable, Some(200)));
    assert!(error.public().contains("not valid JSON") && error.public().contains("<html>"), "{error}");
    let deep = "[".repeat(100_000);
    assert!(reply_to("GET /", Answer::json(&deep)).await.is_err());
}

#[tokio::test]
async fn an_encoding_that_nobody_asked_for_is_refused() {
    let error = reply_to("GET /", Answer::json("x").with("Content-Encoding", "compress")).await.unwrap_err();
    assert!(error.public().contains("`compress`"), "{error}");
}

#[tokio::test]
async fn a_body_has_a_limit_with_a_name() {
    let limit = r#""max_body": "64KB""#;
    for answer in [
        Answer::Large { length: 100 << 20 },
        Answer::Reply {
            status: 200,
            headers: vec![("content-type".into(), "text/plain".into())],
            body: vec![b'x'; 65_000].into(),
        },
    ] {
        let server = FaultServer::start().await;
        server.on("/", [answer]);
        let error = call_with(&server, limit, "GET /", "{}").await.unwrap_err();
        assert!(
            error.public().contains("larger than 64KB") && error.public().contains("`max_body`"),
            "{error}"
        );
        assert_eq!(error.kind(), Kind::Internal);
        // The operation's own limit wins.
        let op = r#"{"get": "/", "max_body": "1KB"}"#;
        let error = call_with(&server, limit, op, "{}").await.unwrap_err();
        assert!(error.public().contains("larger than 1KB"), "{error}");
    }
    let server = FaultServer::start().await;
    server.on("/", [Answer::body(200, "text/plain", vec![b'x'; 64_000])]);
    assert!(call_with(&server, limit, "GET /", "{}").await.is_ok());
}

#[tokio::test]
async fn a_reply_that_comes_in_pieces_is_whole() {
    let pieces = vec!["{\"a\"".into(), ": [1".into(), ", 2]}".into()];
    let answer = Answer::Trickle { content_type: "application/json".into(), pieces };
    assert_eq!(json(reply_to("GET /", answer).await).to_json(), r#"{"a":[1,2]}"#);
}

#[tokio::test]
async fn meta_tells_status_headers_and_url() {
    let server = FaultServer::start().await;
    let answer = Answer::body(201, "application/json", "{}")
        .with("X-One", "a")
        .with("X-Two", "b")
        .with("x-two", "c")
        .with("Set-Cookie", "session=hunter2")
        .with("WWW-Authenticate", "hunter2");
    server.on("/c", [answer]);
    let more = r#""auth": {"api_key": {"query": "key", "value": "hunter2"}}"#;
    let meta = call_with(&server, more, "GET /c?a=1", "{}").await.unwrap().meta;
    let headers = meta.get("headers").unwrap();
    assert_eq!(meta.get("status").unwrap().as_i64(), Some(201));
    assert_eq!(headers.get("x-one").unwrap().as_str(), Some("a"));
    assert_eq!(headers.get("x-two").unwrap().to_json(), r#"["b","c"]"#);
    assert_eq!(meta.get("url").unwrap().as_str(), Some(&*format!("{}/c?a=1", server.url())));
    assert!(!meta.to_json().contains("hunter2"), "{meta}");
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = FaultServer::start().await;
    let system = super::system_at(&server.url(), "");
    let client = super::connect(&system);
    for _ in 0..5 {
        let request = super::request(super::prepare(&system, "GET /"), super::value("{}")).unwrap();
        client.call(&super::context(), &request).await.unwrap();
    }
    assert_eq!((server.connections(), server.received().len()), (1, 5));
}

/// A system that repeats its own secret, in every place of an answer, and in every form.
#[tokio::test]
async fn a_secret_that_the_system_repeats_is_masked() {
    let secrets = [
        (r#""auth": {"bearer": "hunter2/token"}"#, "hunter2/token"),
        (r#""auth": {"basic": {"user": "me", "password": "hunter2/token"}}"#, "hunter2/token"),
        (r#""auth": {"basic": {"user": "me", "password": "hunter2/token"}}"#, "bWU6aHVudGVyMi90b2tlbg=="),
        (r#""auth": {"api_key": {"header": "X-Key", "value": "hunter2/token"}}"#, "hunter2/token"),
        (r#""auth": {"api_key": {"query": "key", "value": "hunter2/token"}}"#, "hunter2%2Ftoken"),
        (r#""headers": {"X-Session-Token": "hunter2/token"}"#, "hunter2/token"),
        (r#""headers": {"X-Session-Token": "hunter2/token"}"#, "hunter2\\/token"),
        (r#""headers": {"X-Session-Token": "hunter2/token"}"#, "hunter\\u0032/token"),
    ];
    for (more, secret) in secrets {
        let server = FaultServer::start().await;
        let body = format!(r#"{{"a": ["got {secret}!"], "{secret}": 1.10, "b": "hunter2"}}"#);
        server.on("/json", [Answer::json(&body)]);
        let reply = call_with(&server, more, "GET /json", "{}").await.unwrap();
        let notice = "system `shop` repeated a secret of its own `auth` or `headers`; it is shown as `***`";
        assert_eq!(reply.notices, [notice], "{more} {secret}");
        assert_eq!(json(Ok(reply)).to_json(), r#"{"a":["got ***!"],"***":1.10,"b":"hunter2"}"#, "{secret}");
    }
    let bearer = r#""auth": {"bearer": "hunter2/token"}, "redirects": 1"#;
    let server = FaultServer::start().await;
    server.on("/text", [Answer::body(200, "text/plain", "hunter2/token")]);
    let reply = call_with(&server, bearer, "GET /text", "{}").await;
    assert_eq!(json(reply).as_str(), Some("***"));

    server.on("/bytes", [Answer::body(200, "application/xml", &b"<a>\xff hunter2/token</a>"[..])]);
    let reply = call_with(&server, bearer, "GET /bytes", "{}").await.unwrap();
    let Payload::Blob { bytes, .. } = reply.value else { panic!("{reply:?}") };
    assert_eq!(&bytes[..], b"<a>\xff *************</a>");

    server.on("/header", [Answer::json("{}").with("X-Debug", "Bearer hunter2/token")]);
    let reply = call_with(&server, bearer, "GET /header", "{}").await.unwrap();
    assert_eq!(reply.meta.get("headers").unwrap().get("x-debug").unwrap().as_str(), Some("Bearer ***"));
    assert_eq!(reply.notices.len(), 1);

    let location = "/c?token=hunter2%2Ftoken";
    server.on("/moved", [Answer::status(302).with("Location", location)]);
    server.on("/c", [Answer::json("{}")]);
    let meta = call_with(&server, bearer, "GET /moved", "{}").await.unwrap().meta;
    assert_eq!(meta.get("url").unwrap().as_str(), Some(&*format!("{}/c?token=***", server.url())));
}

#[tokio::test]
async fn what_is_no_secret_stays() {
    let server = FaultServer::start().await;
    let body = r#"{"a": "short \"hunter2\"", "b": "run-1/reserve, shop"}"#;
    server.on("/", [Answer::json(body)]);
    let more =
        r#""auth": {"bearer": "short"}, "headers": {"Idempotency-Key": "${$key}", "X-Tenant": "shop"}"#;
    let reply = call_with(&server, more, "GET /", "{}").await.unwrap();
    assert_eq!(reply.notices, [] as [String; 0]);
    assert_eq!(json(Ok(reply)).to_json(), value(body).to_json());
}

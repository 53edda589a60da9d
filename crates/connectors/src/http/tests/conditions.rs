//! Conditional requests, and the header that carries the key.

use renkei_core::Kind;
use renkei_testkit::fault::{Answer, FaultServer};

use super::{
    call, call_on, call_with, json, names, op_node, prepare, refused_op, refused_system, system_at, texts,
    value,
};

async fn header(op: &str, input: &str, name: &str) -> Option<String> {
    let server = FaultServer::start().await;
    call(&server, op, input).await.unwrap();
    server.only().header(name).map(Into::into)
}

/// Read, change, write: what others changed in between is not overwritten.
#[tokio::test]
async fn optimistic_concurrency_end_to_end() {
    let server = FaultServer::start().await;
    server.on(
        "/doc",
        [
            Answer::json(r#"{"a": 1}"#).with("ETag", "\"v1\""),
            Answer::status(204).with("ETag", "\"v2\""),
            Answer::status(412),
        ],
    );
    let read = call(&server, "GET /doc", "{}").await.unwrap();
    let etag = read.meta.get("etag").unwrap().to_json();
    let write = r#"{"put": "/doc", "if_match": "${.etag}", "body": {"a": 2}}"#;
    let input = format!(r#"{{"etag": {etag}}}"#);
    let written = call(&server, write, &input).await.unwrap();
    assert_eq!(written.meta.get("etag").unwrap().as_str(), Some("\"v2\""));
    let error = call(&server, write, &input).await.unwrap_err();
    assert_eq!((error.kind(), error.status_code()), (Kind::Conflict, Some(412)));
    assert!(error.public().ends_with("not in the state that was expected: read it again before another try"));
    let seen = server.received();
    assert_eq!((seen[1].header("if-match"), seen[2].header("if-match")), (Some("\"v1\""), Some("\"v1\"")));
}

#[tokio::test]
async fn entity_tags_as_they_are_sent() {
    let op = r#"{"put": "/", "if_match": "${.t}"}"#;
    for (tag, sent) in [
        (r#""\"v1\"""#, "\"v1\""),
        (r#""W/\"v1\"""#, "W/\"v1\""),
        // Models lose quotes.
        (r#""v1""#, "\"v1\""),
        (r#""*""#, "*"),
        (r#"["\"a\"", "b"]"#, "\"a\", \"b\""),
    ] {
        assert_eq!(
            header(op, &format!(r#"{{"t": {tag}}}"#), "if-match").await.as_deref(),
            Some(sent),
            "{tag}"
        );
    }
    let create = r#"{"put": "/", "if_none_match": "*"}"#;
    assert_eq!(header(create, "{}", "if-none-match").await.as_deref(), Some("*"));
    // The first read has none yet.
    assert_eq!(header(r#"{"get": "/", "if_none_match": "${.t}"}"#, "{}", "if-none-match").await, None);
}

/// A header would disappear, and the write would overwrite whatever is there.
#[tokio::test]
async fn a_write_whose_tag_is_missing_is_not_sent() {
    let server = FaultServer::start().await;
    for input in ["{}", r#"{"t": null}"#, r#"{"t": ""}"#, r#"{"t": 7}"#, r#"{"t": []}"#, r#"{"t": "a\r\nb"}"#]
    {
        let error = call(&server, r#"{"put": "/", "if_match": "${.t}"}"#, input).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(
            error.public().contains("`if_match`") && error.public().contains("nothing was sent"),
            "{error}"
        );
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn nothing_new_is_no_error() {
    let server = FaultServer::start().await;
    server.on("/", [Answer::status(304).with("ETag", "\"v1\"")]);
    let reply = call(&server, r#"{"get": "/", "if_none_match": "${.t}"}"#, r#"{"t": "v1"}"#).await.unwrap();
    assert_eq!(reply.meta.get("not_modified").unwrap().to_json(), "true");
    assert!(json(Ok(reply)).is_null());
    server.on("/", [Answer::json("1").with("ETag", "\"v2\"")]);
    let reply = call(&server, "GET /", "{}").await.unwrap();
    assert_eq!(reply.meta.get("not_modified"), None);
}

const KEY: &str = "run-1/reserve";

#[tokio::test]
async fn the_key_is_sent_with_writes() {
    let server = FaultServer::start().await;
    let standard = r#""idempotency_key": true"#;
    let own = r#""idempotency_key": "X-Request-Id""#;
    for (system, op, name, carried) in [
        (standard, "POST /", "Idempotency-Key", true),
        (standard, "PATCH /", "Idempotency-Key", true),
        (standard, "GET /", "Idempotency-Key", false),
        (standard, "PUT /", "Idempotency-Key", false),
        (standard, r#"{"post": "/", "effect": "read"}"#, "Idempotency-Key", false),
        (standard, r#"{"post": "/", "idempotency_key": false}"#, "Idempotency-Key", false),
        (standard, r#"{"put": "/", "idempotency_key": true}"#, "Idempotency-Key", true),
        (standard, r#"{"post": "/", "idempotency_key": "X-Key"}"#, "X-Key", true),
        (own, "POST /", "X-Request-Id", true),
        (own, "POST /", "Idempotency-Key", false),
        ("", r#"{"post": "/", "idempotency_key": true}"#, "Idempotency-Key", true),
        ("", "POST /", "Idempotency-Key", false),
    ] {
        let system = system_at(&server.url(), system);
        call_on(&system, op, value("{}")).await.unwrap();
        let seen = server.received().pop().unwrap();
        assert_eq!(seen.all(name), if carried { vec![KEY] } else { vec![] }, "{op}");
        let sent = seen.headers.iter().any(|(_, value)| value == KEY);
        assert_eq!(prepare(&system, op).carries_key, sent, "{op}");
    }
}

#[tokio::test]
async fn the_key_stays_at_home() {
    let (home, away) = (FaultServer::start().await, FaultServer::start().await);
    home.on("/a", [Answer::redirect(303, &format!("{}/b", away.url()))]);
    call_with(&home, r#""idempotency_key": true, "redirects": 1"#, "POST /a", "{}").await.unwrap();
    assert_eq!(
        (home.only().header("idempotency-key"), away.only().header("idempotency-key")),
        (Some(KEY), None)
    );
}

#[test]
fn what_is_said_twice_is_refused() {
    let op = |json: &str| refused_op(json).join("\n");
    assert!(
        op(r#"{"put": "/", "if_match": "a", "headers": {"if-match": "b"}}"#).contains("among the `headers`")
    );
    assert!(
        op(r#"{"post": "/", "idempotency_key": "X-A", "headers": {"x-a": "b"}}"#)
            .contains("set by `headers` and by `idempotency_key`")
    );
    assert!(op(r#"{"post": "/", "idempotency_key": "Content-Length"}"#).contains("cannot be set"));
    assert!(op(r#"{"post": "/", "idempotency_key": 7}"#).contains("the name of a header"));
    let system = refused_system(
        r#"{"base_url": "https://a.example.com", "idempotency_key": true, "headers": {"Idempotency-Key": "${$key}"}}"#,
    );
    assert!(system.join("\n").contains("is set by `headers` already"), "{system:?}");
    let system = system_at("http://127.0.0.1:1", r#""headers": {"X-Key": "a"}"#);
    let mut d = renkei_core::Diagnostics::default();
    renkei_core::System::prepare(
        &system,
        &op_node(r#"{"post": "/", "idempotency_key": "X-Key"}"#),
        &names(),
        &mut d,
    );
    assert!(texts(&d).join("\n").contains("is set by `headers` of the system"), "{:?}", texts(&d));
}

//! A test for each sentence of the language about paths, queries, headers and bodies.

use renkei_core::{Kind, System as _};
use renkei_testkit::fault::{FaultServer, Received};

use super::{call, call_with, prepare, request, scope, system_at, value};

/// What one call sent.
async fn sent(op: &str, input: &str) -> Received {
    sent_with("", op, input).await
}

async fn sent_with(more: &str, op: &str, input: &str) -> Received {
    let server = FaultServer::start().await;
    call_with(&server, more, op, input).await.unwrap();
    let seen = server.only();
    super::show::agrees(more, op, input, &seen);
    seen
}

async fn target(op: &str, input: &str) -> String {
    sent(op, input).await.target
}

/// The message of a call that is refused before anything is sent.
async fn refused(op: &str, input: &str) -> String {
    let server = FaultServer::start().await;
    let error = call(&server, op, input).await.unwrap_err();
    assert_eq!(super::show::refusal(op, input), error.to_string());
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert_eq!(server.connections(), 0, "{op} {input}: something was sent");
    error.public().to_owned()
}

#[tokio::test]
async fn a_path_value_is_encoded_whole() {
    assert_eq!(target("GET /c/${.x}", r#"{"x": "a/b"}"#).await, "/c/a%2Fb");
    assert_eq!(target("GET /c/${.x}", r#"{"x": "a?b#c&d=e"}"#).await, "/c/a%3Fb%23c%26d%3De");
    assert_eq!(target("GET /c/${.x}", r#"{"x": "a b\r\nHost: x"}"#).await, "/c/a%20b%0D%0AHost%3A%20x");
    assert_eq!(target("GET /c/${.x}", r#"{"x": "%2e%2e"}"#).await, "/c/%252e%252e");
    assert_eq!(target("GET /c/${.x}", r#"{"x": "連\\;@:"}"#).await, "/c/%E9%80%A3%5C%3B%40%3A");
    assert_eq!(target("GET /c/${.x}", r#"{"x": "a.b-c_d~e"}"#).await, "/c/a.b-c_d~e");
}

#[tokio::test]
async fn a_path_value_is_a_string_number_or_boolean() {
    assert_eq!(
        target("GET /c/${.x}", r#"{"x": 12345678901234567890.10}"#).await,
        "/c/12345678901234567890.10"
    );
    assert_eq!(target("GET /c/${.x}", r#"{"x": true}"#).await, "/c/true");
    for (input, why) in [
        (r#"{"x": null}"#, "is null"),
        ("{}", "is absent"),
        (r#"{"x": ["a"]}"#, "is an array"),
        (r#"{"x": {"a": 1}}"#, "is an object"),
        (r#"{"x": ""}"#, "is empty"),
        (r#"{"x": "."}"#, "is `.` or `..`"),
        (r#"{"x": ".."}"#, "is `.` or `..`"),
    ] {
        let text = refused("DELETE /reservations/${.x}", input).await;
        assert!(text.starts_with("`${.x}` in the path") && text.contains(why), "{text}");
        refused("DELETE /reservations/a${.x}b", input).await;
    }
}

#[tokio::test]
async fn a_segment_cannot_come_together_from_dots() {
    refused("GET /c/.${.x}", r#"{"x": "."}"#).await;
    refused("GET /c/${.x}${.y}/d", r#"{"x": ".", "y": "."}"#).await;
    assert_eq!(target("GET /c/.${.x}", r#"{"x": ".a"}"#).await, "/c/..a");
    assert_eq!(target("GET /c/${.x}.json", r#"{"x": "a"}"#).await, "/c/a.json");
}

#[tokio::test]
async fn several_segments_are_each_checked() {
    assert_eq!(target("GET /f/${+ .x}/raw", r#"{"x": "a b/c?/d"}"#).await, "/f/a%20b/c%3F/d/raw");
    assert_eq!(target("GET /f/${+ .x}", r#"{"x": ["a/b", 7]}"#).await, "/f/a%2Fb/7");
    for input in [
        "\"\"",
        "\"/a\"",
        "\"a/\"",
        "\"a//b\"",
        "\"a/../b\"",
        "\"./a\"",
        "[]",
        "[\"a\", \"..\"]",
        "[[1]]",
        "null",
    ] {
        refused("GET /f/${+ .x}", &format!(r#"{{"x": {input}}}"#)).await;
    }
    refused("GET /f/.${+ .x}", r#"{"x": "./a"}"#).await;
    refused("GET /f/${+ .x}", "{}").await;
}

#[tokio::test]
async fn the_path_is_appended_to_the_base_and_never_leaves_it() {
    let server = FaultServer::start().await;
    for base in ["/api/v1", "/api/v1/"] {
        let system = system_at(&format!("{}{base}", server.url()), "");
        super::call_on(&system, "GET /c/${.x}", value(r#"{"x": "../../admin"}"#)).await.unwrap();
    }
    assert!(server.received().iter().all(|seen| seen.target == "/api/v1/c/..%2F..%2Fadmin"));
}

#[tokio::test]
async fn a_query_pair_without_a_value_disappears() {
    let op = "GET /c?a=${.a}&fixed=1&b=${.b}";
    assert_eq!(target(op, r#"{"a": 1, "b": "x"}"#).await, "/c?a=1&fixed=1&b=x");
    assert_eq!(target(op, r#"{"a": null}"#).await, "/c?fixed=1");
    assert_eq!(target(op, r#"{"a": "", "b": false}"#).await, "/c?a=&fixed=1&b=false");
    assert_eq!(target("GET /c?a=${.a}", "{}").await, "/c");
    assert_eq!(target("GET /c?a=${.a | empty}", "{}").await, "/c");
    let op = r#"{"get": "/c?x=1", "query": {"q": "${.q}", "n": 5, "s": "a b"}}"#;
    assert_eq!(target(op, r#"{"q": null}"#).await, "/c?x=1&n=5&s=a%20b");
    assert_eq!(target(op, r#"{"q": "&x=2#"}"#).await, "/c?x=1&q=%26x%3D2%23&n=5&s=a%20b");
}

#[tokio::test]
async fn lists_in_a_query_repeat_or_are_joined() {
    let input = r#"{"id": ["a,b", null, 2], "none": []}"#;
    assert_eq!(target("GET /c?id=${.id}&none=${.none}", input).await, "/c?id=a%2Cb&id=2");
    let op = r#"{"get": "/c?id=${.id}&none=${.none}", "style": "comma"}"#;
    assert_eq!(target(op, input).await, "/c?id=a%2Cb,2");
    let op = r#"{"get": "/c", "query": {"id": [1, "${.x}", "${.y}"]}}"#;
    assert_eq!(target(op, r#"{"x": "z"}"#).await, "/c?id=1&id=z");
    for input in [r#"{"id": {"a": 1}}"#, r#"{"id": [{"a": 1}]}"#, r#"{"id": [[1]]}"#] {
        let text = refused("GET /c?id=${.id}", input).await;
        assert!(text.contains("query parameter `id`"), "{text}");
    }
}

#[tokio::test]
async fn text_and_values_mix_in_a_query() {
    assert_eq!(target("GET /c?q=name:${.a}*&f", r#"{"a": "x&y=+"}"#).await, "/c?q=name:x%26y%3D%2B*&f");
    for input in ["{}", r#"{"a": null}"#, r#"{"a": [1]}"#] {
        refused("GET /c?q=name:${.a}*", input).await;
    }
    assert_eq!(
        target("GET /c?filter[a]=${.a}&b=%20'é", r#"{"a": 1}"#).await,
        "/c?filter%5Ba%5D=1&b=%20%27%C3%A9"
    );
    assert_eq!(target("GET /c?=${.a}", r#"{"a": 1}"#).await, "/c?=1");
}

#[tokio::test]
async fn a_header_value_cannot_start_another_header() {
    let op = r#"{"get": "/c", "headers": {"X-A": "${.a}", "x-b": "v ${.b}"}}"#;
    let seen = sent(op, r#"{"a": "ok ~", "b": true}"#).await;
    assert_eq!((seen.header("x-a"), seen.header("x-b")), (Some("ok ~"), Some("v true")));
    for input in [r#"{"b": 1}"#, r#"{"a": null, "b": 1}"#] {
        let seen = sent(op, input).await;
        assert_eq!(seen.header("x-a"), None);
    }
    for bad in ["a\\r\\nX-Evil: 1", "a\\nb", "a\\rb", "a\\u0000b", " a", "\\ta", "é", "a\\u007f", "a\\u0001"]
    {
        let text = refused(op, &format!(r#"{{"a": "{bad}", "b": 1}}"#)).await;
        assert!(text.starts_with("header `X-A`"), "{text}");
    }
    refused(op, r#"{"a": ["x"], "b": 1}"#).await;
    refused(op, r#"{"a": {"x": 1}, "b": 1}"#).await;
}

#[tokio::test]
async fn a_json_body_drops_what_is_absent_and_keeps_null() {
    let op = r#"{"post": "/c", "body": {"a": "${.a}", "b": {"c": "${.c}", "d": ["${.d}", 1]}, "n": 1.10, "t": "x${.a}"}}"#;
    let seen = sent(op, r#"{"a": 12345678901234567890.50, "d": null}"#).await;
    assert_eq!(
        seen.body,
        r#"{"a":12345678901234567890.50,"b":{"d":[null,1]},"n":1.10,"t":"x12345678901234567890.50"}"#
    );
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("content-length"), Some(&*seen.body.len().to_string()));
    assert_eq!(seen.header("transfer-encoding"), None);

    let seen = sent(r#"{"post": "/c", "body": "${.}"}"#, r#"{"a": "\"}, {"}"#).await;
    assert_eq!(seen.body, r#"{"a":"\"}, {"}"#);
    let seen = sent(r#"{"put": "/c", "body": null}"#, "{}").await;
    assert_eq!(seen.body, "null");
    let seen = sent(r#"{"post": "/c", "body": "${.absent}"}"#, "{}").await;
    assert_eq!((&seen.body[..], seen.header("content-type")), (&b""[..], None));
    assert_eq!(seen.header("content-length"), Some("0"));
    let op = r#"{"patch": "/c", "headers": {"Content-Type": "application/merge-patch+json"}, "body": {"a": null}}"#;
    let seen = sent(op, "{}").await;
    assert_eq!(seen.all("content-type"), ["application/merge-patch+json"]);
    assert_eq!(seen.body, r#"{"a":null}"#);
}

#[tokio::test]
async fn a_form_drops_what_is_absent_or_null() {
    let op = r#"{"post": "/c", "form": {"a b": "${.a}", "b": "${.b}", "l": "${.l}", "t": "x ${.t}"}}"#;
    let seen = sent(op, r#"{"a": "1&b=2 é", "b": null, "t": "-", "l": [1, null, "="]}"#).await;
    assert_eq!(seen.body, "a%20b=1%26b%3D2%20%C3%A9&l=1&l=%3D&t=x%20-");
    assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
    refused(r#"{"post": "/c", "form": {"a": "${.a}"}}"#, r#"{"a": {}}"#).await;
}

#[tokio::test]
async fn a_multipart_body_has_its_parts() {
    let op = r#"{"post": "/c", "multipart": {
        "note": "${.note}", "gone": "${.gone}", "nil": null, "tags": "${.tags}",
        "meta": {"value": "${.meta}", "content_type": "application/json"},
        "file": {"base64": "${.file}", "filename": "${.name}", "content_type": "image/png"}}}"#;
    let input = r#"{"note": "a\r\n--b", "tags": ["x", 2], "meta": {"k": [1]}, "file": "AAEC", "name": "a\"b\\c.png"}"#;
    let seen = sent(op, input).await;
    let kind = seen.header("content-type").unwrap().to_owned();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let part = |head: &str, body: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n")
    };
    let expected = [
        part("name=\"note\"", "a\r\n--b"),
        part("name=\"tags\"", "x"),
        part("name=\"tags\"", "2"),
        part("name=\"meta\"\r\nContent-Type: application/json", r#"{"k":[1]}"#),
        part("name=\"file\"; filename=\"a%22b%5Cc.png\"\r\nContent-Type: image/png", "\u{0}\u{1}\u{2}"),
        format!("--{boundary}--\r\n"),
    ];
    assert_eq!(String::from_utf8_lossy(&seen.body), expected.concat());
    for bad in ["a\\r\\nX: 1", " a", "é", "a\\u0000"] {
        let text = refused(op, &format!(r#"{{"file": "", "name": "{bad}"}}"#)).await;
        assert!(text.starts_with("the file name of part `file`"), "{text}");
    }
    refused(op, r#"{"note": {"a": 1}}"#).await;
    refused(op, r#"{"tags": [[1]]}"#).await;
    assert!(refused(op, r#"{"file": "no base64!"}"#).await.contains("is not base64"));
}

#[tokio::test]
async fn a_raw_body_is_sent_as_it_is() {
    let op = r#"{"post": "/c", "raw": {"body": "${.csv}", "content_type": "text/csv"}}"#;
    let seen = sent(op, r#"{"csv": "a,b\n1,é"}"#).await;
    assert_eq!((&*seen.body, seen.header("content-type")), ("a,b\n1,é".as_bytes(), Some("text/csv")));
    let seen =
        sent(r#"{"post": "/c", "raw": {"base64": "AAH/", "content_type": "application/x-thing"}}"#, "{}")
            .await;
    assert_eq!(&*seen.body, [0, 1, 255]);
    let seen = sent(op, "{}").await;
    assert_eq!((seen.body.len(), seen.header("content-type")), (0, None));
    refused(op, r#"{"csv": [1]}"#).await;
}

#[tokio::test]
async fn sends_trace_and_accept_and_no_proxy_knows() {
    let server = FaultServer::start().await;
    let system = system_at(&server.url(), "");
    let request = request(prepare(&system, "GET /"), value("{}")).unwrap();
    let mut cx = super::context();
    cx.trace = renkei_core::call::Trace::child_of(
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        Some("vendor=1"),
    );
    super::connect(&system).call(&cx, &request).await.unwrap();
    let seen = server.only();
    assert_eq!(seen.header("traceparent"), Some(&*cx.trace.parent));
    assert_eq!(seen.header("tracestate"), Some("vendor=1"));
    assert_eq!(seen.header("user-agent"), Some(concat!("renkei/", env!("CARGO_PKG_VERSION"))));
    assert!(seen.header("accept").unwrap().starts_with("application/json"));
    assert_eq!(seen.header("accept-encoding"), Some("zstd,gzip,br"));
    assert_eq!(seen.header("host"), Some(&*server.address().to_string()));
    let seen = sent(r#"{"get": "/", "accept": "text/csv"}"#, "{}").await;
    assert_eq!(seen.all("accept"), ["text/csv"]);
}

#[tokio::test]
async fn proves_who_it_is() {
    let seen = sent_with(r#""auth": {"bearer": "s3cret-token"}"#, "GET /", "{}").await;
    assert_eq!(seen.all("authorization"), ["Bearer s3cret-token"]);
    let seen = sent_with(r#""auth": {"basic": {"user": "me", "password": "p:w"}}"#, "GET /", "{}").await;
    assert_eq!(seen.all("authorization"), ["Basic bWU6cDp3"]);
    let more = r#""auth": {"api_key": {"header": "X-Api-Key", "value": "k-123"}}"#;
    assert_eq!(sent_with(more, "GET /", "{}").await.all("x-api-key"), ["k-123"]);
    let more = r#""auth": {"api_key": {"query": "api key", "value": "k&1"}}"#;
    assert_eq!(sent_with(more, "GET /c", "{}").await.target, "/c?api%20key=k%261");
    assert_eq!(sent_with(more, "GET /c?a=1", "{}").await.target, "/c?a=1&api%20key=k%261");
}

#[tokio::test]
async fn headers_and_auth_are_rendered_per_call() {
    let more = r#""headers": {"Idempotency-Key": "${$key}", "X-Caller": "${$caller.name}", "X-Gone": "${$caller.claims.none}",
        "X-Run": "r/${$run}"}, "auth": {"bearer": "for-${$caller.name}"}"#;
    let op = r#"{"post": "/c", "headers": {"X-Other": "operation"}}"#;
    let seen = sent_with(more, op, "{}").await;
    assert_eq!(seen.header("idempotency-key"), Some("run-1/reserve"));
    assert_eq!(seen.header("x-caller"), Some("anonymous"));
    assert_eq!(seen.header("x-run"), Some("r/run-1"));
    assert_eq!(seen.header("x-gone"), None);
    assert_eq!(seen.all("x-other"), ["operation"]);
    assert_eq!(seen.all("authorization"), ["Bearer for-anonymous"]);

    let server = FaultServer::start().await;
    let error = call_with(&server, r#""auth": {"bearer": "${$caller.claims.token}"}"#, "GET /", "{}")
        .await
        .unwrap_err();
    assert_eq!((error.kind(), server.connections()), (Kind::Unauthenticated, 0), "{error}");
}

#[tokio::test]
async fn a_caller_cannot_inject_through_the_systems_headers() {
    let server = FaultServer::start().await;
    let system = system_at(&server.url(), r#""headers": {"X-Caller": "${$caller.name}"}"#);
    let mut request = request(prepare(&system, "GET /"), value("{}")).unwrap();
    let mut vars = scope(value("{}"));
    vars.set("caller", value(r#"{"name": "a\r\nX-Admin: 1"}"#));
    request.vars = std::sync::Arc::new(vars);
    let error = super::connect(&system).call(&super::context(), &request).await.unwrap_err();
    assert_eq!((error.kind(), server.connections()), (Kind::Internal, 0), "{error}");
}

#[tokio::test]
async fn refuses_what_is_too_large_to_send() {
    let server = FaultServer::start().await;
    let body = format!(r#"{{"a": "{}"}}"#, "x".repeat(2_000));
    let op = r#"{"post": "/", "body": "${.}"}"#;
    let error = call_with(&server, r#""max_request": "1KB""#, op, &body).await.unwrap_err();
    assert!(error.public().contains("more than 1KB (`max_request`"), "{error}");
    let error =
        call(&server, "GET /c?a=${.a}", &format!(r#"{{"a": "{}"}}"#, "x".repeat(70_000))).await.unwrap_err();
    assert!(error.public().contains("URL of the request"), "{error}");
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_method_has_an_effect() {
    use renkei_core::Effect::{Idempotent, Read, Write};
    let system = system_at("http://127.0.0.1:1", "");
    for (op, effect) in [
        ("GET /", Read),
        ("HEAD /", Read),
        ("OPTIONS /", Read),
        ("PUT /", Idempotent),
        ("DELETE /", Idempotent),
        ("POST /", Write),
        ("PATCH /", Write),
        (r#"{"post": "/search", "effect": "read"}"#, Read),
        (r#"{"get": "/fire", "effect": "write"}"#, Write),
    ] {
        assert_eq!(prepare(&system, op).effect, effect, "{op}");
    }
    // Every request carries the key, so a repeat within the run is recognised; the effect stays what it is.
    let system = system_at("http://127.0.0.1:1", r#""headers": {"Idempotency-Key": "${$key}"}"#);
    let op = prepare(&system, "POST /");
    assert_eq!((op.effect, op.carries_key), (Write, true));
    assert_eq!(prepare(&system, "GET /").effect, Read);
    let op = prepare(
        &system_at("http://127.0.0.1:1", ""),
        r#"{"post": "/a/${.x}?q=${$key}", "body": {"k": "${$run}"}}"#,
    );
    assert_eq!(&*op.label, "POST /a/{}");
    assert_eq!(op.slots.iter().map(|slot| slot.vars().len()).collect::<Vec<_>>(), [0, 1, 1]);
}

/// Whose value does not fit is told: arguments, the caller, or the config.
#[tokio::test]
async fn a_value_that_does_not_fit_says_where_it_came_from() {
    let server = FaultServer::start().await;
    for (op, kind, says) in [
        ("GET /${.none}", Kind::Invalid, "give it a text, a number or a boolean"),
        ("GET /${$caller.claims.none}", Kind::Forbidden, "comes with the caller, not with the arguments"),
        (r#"{"get": "/", "query": {"q": "${$caller}"}}"#, Kind::Forbidden, "comes with the caller"),
        (r#"{"get": "/", "headers": {"X-Q": "${$caller}"}}"#, Kind::Forbidden, "comes with the caller"),
        (r#"{"get": "/", "query": {"q": "${[$now, {}]}"}}"#, Kind::Internal, "the config must be mended"),
    ] {
        let error = call(&server, op, "{}").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{op}: {error}");
        assert!(
            error.public().contains("nothing was sent") && error.public().contains(says),
            "{op}: {error}"
        );
    }
    assert!(server.received().is_empty());
}

#[test]
fn whose_reply_it_is_and_what_it_is_about() {
    let depends = |more: &str| system_at("http://127.0.0.1:1", more).depends_on_caller();
    assert!(!depends(""));
    assert!(!depends(r#""headers": { "X-Run": "${$run}" }, "auth": { "bearer": "fixed" }"#));
    assert!(depends(r#""headers": { "X-User": "${$caller.name}" }"#));
    assert!(depends(r#""auth": { "bearer": "${$caller.claims.token}" }"#));
    assert!(depends(r#""auth": { "basic": { "user": "${$caller.name}", "password": "fixed" } }"#));
    assert!(depends(r#""auth": { "api_key": { "query": "key", "value": "${$caller.name}" } }"#));
    let oauth = r#""auth": { "oauth2": { "token_url": "http://127.0.0.1:1/token", "client_id": "renkei", "client_secret": "s" } }"#;
    assert!(!depends(oauth));
    assert!(depends(&format!(r#"{oauth}, "headers": {{ "X-User": "${{$caller.name}}" }}"#)));

    let system = system_at("http://127.0.0.1:1/api", "");
    let address = |op: &str, input: &str| {
        system.address(&request(prepare(&system, op), value(input)).unwrap()).unwrap()
    };
    assert_eq!(address("GET /customers/${.id}?x=1", r#"{ "id": "a/b c" }"#), ["customers", "a/b c"]);
    assert_eq!(address("GET /${+ .path}", r#"{ "path": "x/y" }"#), ["x", "y"]);
}

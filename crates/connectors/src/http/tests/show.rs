//! A request as data says what is sent: every request that the other tests send is compared with its data, too.

use renkei_core::{System as _, Value};
use renkei_testkit::fault::Received;

use super::{prepare, read_system, request, value};

fn show(more: &str, op: &str, input: &str) -> Result<Value, renkei_core::Error> {
    let comma = if more.is_empty() { "" } else { ", " };
    let system = read_system(&format!(r#"{{"base_url": "https://shop.example.com/api"{comma}{more}}}"#));
    system.show(&request(prepare(&system, op), value(input)).unwrap())
}

fn shown(op: &str, input: &str) -> String {
    show("", op, input).unwrap().to_json()
}

/// Why it cannot be shown.
pub(super) fn refusal(op: &str, input: &str) -> String {
    show("", op, input).unwrap_err().to_string()
}

/// The data of the request say what came over the wire.
pub(super) fn agrees(more: &str, op: &str, input: &str, seen: &Received) {
    let shown = show(more, op, input).unwrap();
    assert_eq!(shown.get("method").and_then(Value::as_str), Some(&*seen.method), "{op}");
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    assert_eq!(shown.get("path").and_then(Value::as_str), Some(path), "{op}");
    if more.is_empty() {
        let sent = super::super::wire::decoded_pairs(query.as_bytes());
        assert_eq!(shown.get("query").cloned().unwrap_or(Value::object()), sent, "{op}");
        for (name, text) in shown.get("headers").and_then(Value::as_object).into_iter().flatten() {
            assert_eq!(text.as_str(), seen.header(name), "{op}: {name}");
        }
    }
    let body = ["body", "form", "multipart", "raw"].into_iter().find_map(|key| shown.get(key));
    match (shown.get("body"), shown.get("form"), body) {
        (Some(json), ..) => assert_eq!(json.to_json(), seen.body, "{op}"),
        (_, Some(form), _) => assert_eq!(*form, super::super::wire::decoded_pairs(&seen.body), "{op}"),
        (_, _, body) => assert_eq!(body.is_some(), !seen.body.is_empty(), "{op}"),
    }
}

#[test]
fn shows_a_request_in_the_words_of_the_config() {
    assert_eq!(
        shown("GET /customers/${.id}?expand=${.x}&n=1", r#"{"id": "a/b", "x": ["p q", 2]}"#),
        r#"{"method":"GET","path":"/customers/a%2Fb","query":{"expand":["p q","2"],"n":"1"}}"#
    );
    assert_eq!(shown("GET /c?a=${.a}", "{}"), r#"{"method":"GET","path":"/c"}"#);
    assert_eq!(
        shown(
            r#"{"post": "/c", "headers": {"X-A": "${.n}", "X-B": null}, "body": {"n": "${.n}"}}"#,
            r#"{"n": 1.10}"#
        ),
        r#"{"method":"POST","path":"/c","headers":{"x-a":"1.10"},"body":{"n":1.10}}"#
    );
    assert_eq!(
        shown(r#"{"post": "/c", "form": {"a b": "${.a}", "l": ["x", "y"]}}"#, r#"{"a": "1&2"}"#),
        r#"{"method":"POST","path":"/c","form":{"a b":"1&2","l":["x","y"]}}"#
    );
    assert_eq!(
        shown(r#"{"post": "/c", "raw": {"base64": "/w==", "content_type": "image/png"}}"#, "{}"),
        r#"{"method":"POST","path":"/c","raw":{"content_type":"image/png","base64":"/w=="}}"#
    );
    let op = r#"{"post": "/c", "multipart": {"note": "hi", "file": {"base64": "/w==", "filename": "${.f}", "content_type": "image/png"}}}"#;
    assert_eq!(
        shown(op, r#"{"f": "a\"b"}"#),
        r#"{"method":"POST","path":"/c","multipart":[{"name":"note","value":"hi"},{"name":"file","filename":"a%22b","content_type":"image/png","base64":"/w=="}]}"#
    );
}

#[test]
fn does_not_show_what_is_the_systems_own() {
    let more = r#""auth": {"bearer": "s3cret"}, "headers": {"X-Own": "s3cret"}"#;
    let shown = show(more, r#"{"get": "/c", "headers": {"X-Mine": "1"}}"#, "{}").unwrap();
    assert_eq!(shown.to_json(), r#"{"method":"GET","path":"/c","headers":{"x-mine":"1"}}"#);
    let more = r#""auth": {"api_key": {"query": "key", "value": "s3cret"}}"#;
    assert_eq!(show(more, "GET /c", "{}").unwrap().to_json(), r#"{"method":"GET","path":"/c"}"#);
}

#[test]
fn refuses_what_would_not_be_sent() {
    assert!(refusal("DELETE /r/${.x}", r#"{"x": ".."}"#).contains("is `.` or `..`"));
    let error = show(r#""max_request": "10B""#, r#"{"post": "/", "body": "${.}"}"#, r#"{"a": "0123456789"}"#);
    assert!(error.unwrap_err().to_string().contains("more than 10B"));
}

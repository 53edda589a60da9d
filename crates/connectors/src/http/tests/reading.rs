//! What is refused at start, with its words.

use renkei_core::{Diagnostics, System as _};

use super::{names, op_node, refused_op, refused_system, system_at, texts};

#[test]
fn refuses_broken_systems() {
    let cases: &[(&str, &str)] = &[
        (r#"{}"#, "the key `base_url` is missing"),
        (r#"{"base_url": "ftp://a.example"}"#, "`base_url` has the scheme `ftp`"),
        (r#"{"base_url": "https://u:p@a.example"}"#, "holds a user name or a password"),
        (r#"{"base_url": "https://a.example?x=1"}"#, "has a query or a fragment"),
        (r#"{"base_url": "https://a.example#x"}"#, "has a query or a fragment"),
        (r#"{"base_url": "http://127.0.0.1:80"}"#, "add `private: true`"),
        (r#"{"base_url": "http://localhost/api"}"#, "`localhost` is this machine itself"),
        (r#"{"base_url": "http://0x7f.1/"}"#, "`127.0.0.1` is a loopback address"),
        (r#"{"base_url": "http://[::ffff:10.0.0.1]/"}"#, "a private address"),
        (r#"{"base_url": "https://a.example", "redirects": 11}"#, "at most 10"),
        (r#"{"base_url": "https://a.example", "redirects": true}"#, "expected a whole number"),
        (r#"{"base_url": "https://a.example", "hedaers": {}}"#, "did you mean `headers`?"),
        (r#"{"base_url": "https://a.example", "headers": {"Content-Length": "1"}}"#, "cannot be set"),
        (r#"{"base_url": "https://a.example", "headers": {"Connection": "${$run}"}}"#, "cannot be set"),
        (
            r#"{"base_url": "https://a.example", "headers": {"Transfer-Encoding": "chunked"}}"#,
            "cannot be set",
        ),
        (
            r#"{"base_url": "https://a.example", "headers": {"Host": "${$run}"}}"#,
            "`Host` cannot hold a template",
        ),
        (r#"{"base_url": "https://a.example", "headers": {"a b": "c"}}"#, "is not a header name"),
        (r#"{"base_url": "https://a.example", "headers": {"a": "c\nd"}}"#, "line break"),
        (r#"{"base_url": "https://a.example", "headers": {"a": "${.x}"}}"#, ""),
        (r#"{"base_url": "https://a.example", "headers": {"a": "${$nope}"}}"#, ""),
        (r#"{"base_url": "https://a.example", "headers": ["a"]}"#, "a mapping from header names"),
        (r#"{"base_url": "https://a.example", "auth": {}}"#, ""),
        (r#"{"base_url": "https://a.example", "auth": {"bearer": "x", "basic": {}}}"#, ""),
        (r#"{"base_url": "https://a.example", "auth": {"bearer": 5}}"#, "put it into quotes"),
        (
            r#"{"base_url": "https://a.example", "auth": {"api_key": {"value": "x"}}}"#,
            "not said where the API key goes",
        ),
        (
            r#"{"base_url": "https://a.example", "auth": {"api_key": {"value": "x", "header": "a", "query": "b"}}}"#,
            "not into both",
        ),
        (
            r#"{"base_url": "https://a.example", "auth": {"api_key": {"value": "x", "header": "a b"}}}"#,
            "is not a header name",
        ),
        (r#"{"base_url": "https://a.example", "max_body": "much"}"#, ""),
    ];
    for (json, expected) in cases {
        let found = refused_system(json);
        assert!(!found.is_empty() && found.iter().any(|text| text.contains(expected)), "{json}: {found:#?}");
    }
}

#[test]
fn a_secret_is_never_shown() {
    let json = r#"{"base_url": "https://a.example", "headers": {"X-Key": "hunter2-a"},
        "auth": {"basic": {"user": "hunter2-b", "password": "hunter2-c"}}}"#;
    let system = super::read_system(json);
    let text = format!("{system:?}");
    assert!(!text.contains("hunter2"), "{text}");
    let broken = r#"{"base_url": "https://u:hunter2@a.example", "auth": {"bearer": ["hunter2"]}}"#;
    let found = refused_system(broken);
    assert!(!found.is_empty() && !found.concat().contains("hunter2"), "{found:?}");
}

#[test]
fn refuses_broken_operations() {
    let cases: &[(&str, &str)] = &[
        ("", "does not start with a method"),
        ("get /c", "did you mean `GET`?"),
        ("GTE /c", "did you mean `GET`?"),
        ("/c", "does not start with a method"),
        ("FETCH /c", "does not start with a method"),
        ("${.method} /c", "the method of an operation cannot be a template"),
        ("GET", "does not start with `/`"),
        ("GET c", "does not start with `/`"),
        ("GET ${.path}", "does not start with `/`"),
        ("GET https://evil.example/c", "not a whole URL"),
        ("GET /c/../d", "segment `.` or `..`"),
        ("GET /c/./d", "segment `.` or `..`"),
        ("GET /..", "segment `.` or `..`"),
        ("GET //evil.example/c", "empty segment"),
        ("GET /c//d", "empty segment"),
        ("GET /c/%2e%2E/d", "encoded dot"),
        ("GET /c/%zz", "two hexadecimal digits"),
        ("GET /c/%2${.x}", "two hexadecimal digits"),
        ("GET /c\\d", "a literal one is `%5C`"),
        ("GET /c#d", "a literal `#` is `%23`"),
        ("GET /c d", "a space or a control character"),
        ("GET /c?q=a b", "a space or a control character"),
        ("GET /c\n", "a space or a control character"),
        ("GET /c/{id}", "a template is `${.id}`"),
        ("GET /c?${.q}", "cannot be the name of a query parameter"),
        ("GET /c?a=1&${.q}=2", "cannot be the name of a query parameter"),
        ("GET /c?a${.q}=2", "cannot be the name of a query parameter"),
        ("GET /c/${.x", ""),
        ("GET /c/${.x | env}", ""),
        ("GET /c/${$nope}", ""),
        ("GET /c/${env.HOME}", ""),
        (r#"{}"#, "the operation has no method"),
        (r#"{"get": "/a", "post": "/b"}"#, "two methods, `get` and `post`"),
        (r#"{"get": 5}"#, "expected a path"),
        (r#"{"get": "GET /a"}"#, "the method is named twice"),
        (r#"{"get": "a"}"#, "does not start with `/`"),
        (r#"{"get": "/a", "boody": {}}"#, "did you mean `body`?"),
        (r#"{"post": "/a", "body": {}, "form": {}}"#, "two bodies, `body` and `form`"),
        (r#"{"get": "/a", "query": {"a": {"b": 1}}}"#, "query parameter `a` cannot be a mapping"),
        (r#"{"get": "/a", "query": ["a"]}"#, ""),
        (r#"{"get": "/a", "headers": {"Host": "${.h}"}}"#, "`Host` cannot hold a template"),
        (r#"{"get": "/a", "headers": {"Content-Length": "${.h}"}}"#, "cannot be set"),
        (r#"{"get": "/a", "headers": {"Transfer-Encoding": "x"}}"#, "cannot be set"),
        (r#"{"get": "/a", "headers": {"connection": "close"}}"#, "cannot be set"),
        (r#"{"get": "/a", "headers": {"x": "a\r\nb"}}"#, "line break"),
        (r#"{"get": "/a", "headers": {"${.n}": "a"}}"#, "a template cannot be a name"),
        (r#"{"post": "/a", "multipart": {"a\r\nb": "x"}}"#, "the name of the part"),
        (
            r#"{"post": "/a", "multipart": {"a": {"filename": "x"}}}"#,
            "give the content as `value` or as `base64`",
        ),
        (
            r#"{"post": "/a", "multipart": {"a": {"value": "x", "content_type": "a\r\nb"}}}"#,
            "is not a media type",
        ),
        (r#"{"post": "/a", "raw": {"body": "x"}}"#, "the key `content_type` is missing"),
        (
            r#"{"post": "/a", "raw": {"body": "x", "base64": "x", "content_type": "text/csv"}}"#,
            "or as `base64`",
        ),
        (r#"{"post": "/a", "form": "${.}"}"#, "a mapping of `form` fields"),
        (r#"{"get": "/a", "errors": {"404": "not_fond"}}"#, "did you mean `not_found`?"),
        (r#"{"get": "/a", "errors": {"4xx": "not_found"}}"#, "is not the status of an error"),
        (r#"{"get": "/a", "errors": {"200": "not_found"}}"#, "is not the status of an error"),
        (r#"{"get": "/a", "effect": "none"}"#, ""),
        (r#"{"get": "/a", "as": "xml"}"#, ""),
        (r#"{"get": "/a", "style": "pipe"}"#, ""),
        (r#"{"get": "/a", "accept": "a\nb"}"#, "`accept` contains a line break"),
    ];
    for (op, expected) in cases {
        let found = refused_op(op);
        assert!(!found.is_empty() && found.iter().any(|text| text.contains(expected)), "{op}: {found:#?}");
    }
}

/// Whose name it is does not depend on the case of letters.
#[test]
fn an_operation_cannot_replace_what_the_system_sets() {
    let refused = |more: &str, header: &str| {
        let system = system_at("https://shop.example.com", more);
        let op = format!(r#"{{"get": "/", "headers": {{"{header}": "${{.x}}"}}}}"#);
        let mut d = Diagnostics::default();
        let prepared = system.prepare(&op_node(&op), &names(), &mut d);
        assert_eq!(prepared.is_none(), d.has_errors(), "{op}");
        texts(&d).concat()
    };
    let bearer = r#""auth": {"bearer": "s3cret-token"}"#;
    let basic = r#""auth": {"basic": {"user": "me", "password": "s3cret"}}"#;
    let key = r#""auth": {"api_key": {"header": "X-Api-Key", "value": "s3cret"}}"#;
    let headers = r#""headers": {"X-Tenant": "shop"}"#;
    for (more, header, part) in [
        (bearer, "Authorization", "auth"),
        (bearer, "AUTHORIZATION", "auth"),
        (basic, "authorization", "auth"),
        (key, "X-Api-Key", "auth"),
        (key, "x-api-key", "auth"),
        (key, "X-API-KEY", "auth"),
        (headers, "x-tenant", "headers"),
    ] {
        let expected = format!(
            "the header `{header}` is set by `{part}` of the system | an operation cannot replace it; leave it out, or declare another system"
        );
        assert_eq!(refused(more, header), expected);
    }
    for (more, header) in [("", "Authorization"), (key, "Authorization"), (headers, "X-Tenant-Id")] {
        assert_eq!(refused(more, header), "", "{more} {header}");
    }
}

#[test]
fn a_body_says_its_type_by_itself() {
    for (body, hint) in [
        (r#""form": {"a": 1}"#, "leave the header out"),
        (r#""multipart": {"a": 1}"#, "leave the header out"),
        (
            r#""raw": {"body": "a", "content_type": "text/csv"}"#,
            "leave the header out, and write it as `content_type` of `raw`",
        ),
    ] {
        let found =
            refused_op(&format!(r#"{{"post": "/", "headers": {{"content-type": "text/x"}}, {body}}}"#));
        let kind = body.split('"').nth(1).unwrap();
        assert_eq!(
            found,
            [format!("`content-type` beside `{kind}`: the body says its type by itself | {hint}")]
        );
    }
    // JSON has many types.
    let merge = r#"{"patch": "/", "headers": {"Content-Type": "application/merge-patch+json"}, "body": {}}"#;
    assert_eq!(refused_op(merge), [] as [&str; 0]);
}

#[test]
fn tells_all_problems_at_once() {
    let op = r#"{"post": "/a/{id}/${$nope}", "query": {"a": "${$no}", "b": {}}, "headers": {"Host": "${.x}"}, "style": "pipe"}"#;
    assert!(refused_op(op).len() >= 6, "{:#?}", refused_op(op));
}

#[test]
fn underlines_the_place() {
    let op = "GET /c/{id}?a=${.x}&b=${$nope}#f";
    let mut d = Diagnostics::default();
    let system = super::read_system(r#"{"base_url": "https://shop.example.com"}"#);
    system.prepare(&super::text_node(op), &super::names(), &mut d);
    let places: Vec<&str> = d.iter().map(|x| &op[x.span.start as usize..x.span.end as usize]).collect();
    assert!(places.contains(&"{") && places.contains(&"}") && places.contains(&"#"), "{places:?}");
    assert!(places.iter().any(|place| place.contains("$nope")), "{places:?}");
}

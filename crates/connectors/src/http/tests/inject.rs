//! No value injects: whatever it is, the server reads back the structure that the config wrote.

use proptest::{prelude::*, test_runner::TestRunner};
use renkei_core::Value;
use renkei_testkit::fault::{FaultServer, Received};
use tokio::runtime::Runtime;

use super::{call_on, system_at};

/// Texts made to break out of something, and any other.
fn nasty() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "/",
        "\\",
        "..",
        ".",
        "?",
        "#",
        "&",
        "=",
        "%",
        "%2e",
        "%2F",
        "%00",
        "\r\n",
        "\n",
        "\r",
        "\0",
        " ",
        "\t",
        ":",
        ";",
        ",",
        "@",
        "//",
        "://",
        "http://evil.example",
        "\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        "--",
        "${.x}",
        "$${",
        "+",
        "Host: evil",
        "Content-Length: 0",
        "\r\n\r\nGET /admin HTTP/1.1\r\n",
        "a",
        "0",
        "é",
        "連",
        "\u{feff}",
        "\u{202e}",
        "😀",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "＃",
        "／",
        "．",
        "</script>",
        "null",
        "true",
    ]);
    prop_oneof![
        3 => prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
    ]
}

/// Runs `check` on many values against one server, whose received requests are looked at one by one.
fn check(op: &str, cases: u32, check: impl Fn(&str, Option<Received>)) {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(FaultServer::start());
    let system = system_at(&server.url(), "");
    let mut runner =
        TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let result = runner.run(&nasty(), |text| {
        let before = server.received().len();
        let input = Value::from([("x", Value::from(text.as_str()))]);
        let outcome = runtime.block_on(call_on(&system, op, input));
        let mut seen = server.received();
        let seen = match outcome {
            Ok(_) => {
                // One request and nothing smuggled behind it.
                prop_assert_eq!(seen.len(), before + 1);
                seen.pop()
            }
            Err(error) => {
                prop_assert_eq!(error.kind(), renkei_core::Kind::Invalid, "{}", error);
                prop_assert_eq!(seen.len(), before);
                None
            }
        };
        check(&text, seen);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

#[test]
fn in_a_path() {
    check("GET /a/${.x}/b?c=1", 150, |text, seen| match seen {
        None => assert!(matches!(text, "" | "." | ".."), "{text:?} was refused"),
        Some(seen) => {
            assert_eq!(seen.query(), Some("c=1"));
            let segments: Vec<String> = seen.path().split('/').map(decode).collect();
            assert_eq!(segments, ["", "a", text, "b"]);
            // What a proxy may collapse does not change it, either.
            let url = url::Url::parse(&format!("http://h{}", seen.target)).unwrap();
            assert_eq!(url.path(), seen.path());
        }
    });
}

#[test]
fn in_several_segments() {
    check("GET /a/${+ .x}/b", 150, |text, seen| {
        let fine = text.split('/').all(|part| !matches!(part, "" | "." | ".."));
        assert_eq!(seen.is_some(), fine, "{text:?}");
        if let Some(seen) = seen {
            let segments: Vec<String> = seen.path().split('/').map(decode).collect();
            let expected: Vec<&str> = ["", "a"].into_iter().chain(text.split('/')).chain(["b"]).collect();
            assert_eq!(segments, expected);
        }
    });
}

#[test]
fn in_a_query() {
    for op in ["GET /a?b=1&x=${.x}&c=2", r#"{"get": "/a?b=1", "query": {"x": "${.x}", "c": 2}}"#] {
        check(op, 150, |text, seen| {
            let seen = seen.expect("every text is fine in a query");
            assert_eq!(seen.path(), "/a");
            let pairs: Vec<(String, String)> =
                url::form_urlencoded::parse(seen.query().unwrap().as_bytes()).into_owned().collect();
            let expected = [("b", "1"), ("x", text), ("c", "2")].map(|(k, v)| (k.to_owned(), v.to_owned()));
            assert_eq!(pairs, expected);
        });
    }
    check("GET /a?q=<${.x}>", 100, |text, seen| {
        let seen = seen.expect("every text is fine in a query");
        let pairs: Vec<_> =
            url::form_urlencoded::parse(seen.query().unwrap().as_bytes()).into_owned().collect();
        assert_eq!(pairs, [("q".to_owned(), format!("<{text}>"))]);
    });
}

#[test]
fn in_a_header() {
    let op = r#"{"get": "/a", "headers": {"X-Before": "1", "X-Value": "${.x}", "X-After": "2"}}"#;
    check(op, 200, |text, seen| {
        let fine = text.is_ascii()
            && !text.starts_with([' ', '\t'])
            && !text.bytes().any(|byte| byte != b'\t' && (byte < 0x20 || byte == 0x7f));
        assert_eq!(seen.is_some(), fine, "{text:?}");
        if let Some(seen) = seen {
            assert_eq!(seen.all("x-value"), [text.trim()]);
            assert_eq!((seen.all("x-before"), seen.all("x-after")), (vec!["1"], vec!["2"]));
            assert_eq!(seen.headers.len(), 8, "{:?}", seen.headers);
        }
    });
}

#[test]
fn in_a_json_body() {
    let op = r#"{"post": "/a", "body": {"b": 1, "x": "${.x}", "y": ["<${.x}>"], "c": null}}"#;
    check(op, 200, |text, seen| {
        let seen = seen.expect("every text is fine in JSON");
        let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
        let expected = serde_json::json!({"b": 1, "x": text, "y": [format!("<{text}>")], "c": null});
        assert_eq!(body, expected);
    });
}

#[test]
fn in_a_form() {
    check(r#"{"post": "/a", "form": {"b": 1, "x": "${.x}", "c": 2}}"#, 200, |text, seen| {
        let seen = seen.expect("every text is fine in a form");
        let pairs: Vec<_> = url::form_urlencoded::parse(&seen.body).into_owned().collect();
        let expected = [("b", "1"), ("x", text), ("c", "2")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(pairs, expected);
    });
}

#[test]
fn in_multipart() {
    let op = r#"{"post": "/a", "multipart": {"b": 1, "x": "${.x}", "f": {"value": "v", "filename": "${.x}"}, "c": 2}}"#;
    let plain = r#"{"post": "/a", "multipart": {"b": 1, "x": "${.x}", "c": 2}}"#;
    let name = |text: &str| text.replace('\\', "%5C").replace('"', "%22");
    check(op, 150, |text, seen| {
        let Some(seen) = seen else { return };
        let expected = [
            ("form-data; name=\"b\"".to_owned(), "1"),
            ("form-data; name=\"x\"".to_owned(), text),
            (format!("form-data; name=\"f\"; filename=\"{}\"", name(text)), "v"),
            ("form-data; name=\"c\"".to_owned(), "2"),
        ];
        assert_eq!(parts(&seen), expected.map(|(head, body)| (head, body.to_owned())));
    });
    check(plain, 150, |text, seen| {
        let seen = seen.expect("every text is fine as a part");
        let bodies: Vec<String> = parts(&seen).into_iter().map(|(_, body)| body).collect();
        assert_eq!(bodies, ["1", text, "2"]);
    });
}

/// Reads a multipart body like a server does: by its boundary, then head and body of each part.
fn parts(seen: &Received) -> Vec<(String, String)> {
    let boundary = seen.header("content-type").unwrap().split_once("boundary=").unwrap().1;
    let text = std::str::from_utf8(&seen.body).unwrap();
    let inner = text.strip_prefix(&format!("--{boundary}\r\n")).unwrap();
    let inner = inner.strip_suffix(&format!("\r\n--{boundary}--\r\n")).unwrap();
    let delimiter = format!("\r\n--{boundary}\r\n");
    inner
        .split(&delimiter)
        .map(|part| {
            let (head, body) = part.split_once("\r\n\r\n").unwrap();
            let head = head.strip_prefix("Content-Disposition: ").unwrap();
            assert!(!head.contains("\r\n"), "{head}");
            (head.to_owned(), body.to_owned())
        })
        .collect()
}

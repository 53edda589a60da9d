//! No value leads out of the root.

use proptest::{prelude::*, test_runner::TestRunner};
use renkei_core::{Applied, Kind, Value};
use std::os::unix::fs::symlink;

use super::Docs;

const TEXTS: [&str; 21] = [
    "",
    ".",
    "..",
    "../x",
    "a/..",
    "/",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "..\\x",
    "a\u{0}b",
    "a\nb",
    "\u{7f}",
    "C:",
    "c:\\x",
    "d:x",
    "a/",
    "/a",
    "a//b",
    "./a",
    "\u{1b}[2J",
];

#[tokio::test]
async fn one_value_is_one_name() {
    let docs = Docs::new("").await;
    for text in TEXTS {
        for op in [
            r#"{"write": "${.v}", "content": "x"}"#,
            r#"{"write": "n/${.v}", "content": "x"}"#,
            r#"{"read": "${.v}/f"}"#,
            r#"{"append": "a-${.v}.txt", "content": "x"}"#,
            r#"{"delete": "${.v}", "recursive": true}"#,
            r#"{"list": "${.v}"}"#,
            r#"{"copy": "x", "to": "${.v}"}"#,
        ] {
            let cx = super::context();
            let request = docs.request(op, &Value::from([("v", text)]).to_json());
            let error = docs.call().call(&cx, &request).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.was_applied()),
                (Kind::Invalid, Applied::No),
                "{op} {text:?}: {error}"
            );
            assert!(error.public().contains("nothing was touched"), "{error}");
            assert!(!error.public().chars().any(char::is_control), "{error:?}");
            assert!(!cx.attempt.was_sent());
        }
    }
    for value in ["null", "[]", "[\"a\"]", "{\"a\": 1}"] {
        let error = docs.fails(r#"{"read": "${.v}"}"#, &format!("{{\"v\": {value}}}")).await;
        assert_eq!(error.kind(), Kind::Invalid, "{value}");
    }
    assert_eq!(docs.fails(r#"{"read": "${.v}"}"#, "{}").await.kind(), Kind::Invalid);
    assert_eq!(docs.everything(), ["root"]);
}

#[tokio::test]
async fn a_spread_is_several_names_each_checked() {
    let docs = Docs::new("").await;
    docs.put("a/b/c", "x");
    docs.put("1", "x");
    let read = r#"{"read": "${+ .v}"}"#;
    for value in [r#""a/b/c""#, r#"["a", "b", "c"]"#, "1", r#"["1"]"#] {
        assert_eq!(docs.get(read, &format!("{{\"v\": {value}}}")).await, r#""x""#, "{value}");
    }
    for value in [
        r#""""#,
        r#""/a/b/c""#,
        r#""a/b/c/""#,
        r#""a//c""#,
        r#""a/../a/b/c""#,
        r#""a/./b/c""#,
        r#"["a", "..", "a"]"#,
        r#"["a/b", "c"]"#,
        r#"["a", ""]"#,
        r#"["a", null]"#,
        r#"["a", ["b"]]"#,
        "[]",
        "null",
        r#"{"a": "b"}"#,
        r#""a\\b""#,
    ] {
        let error = docs.fails(read, &format!("{{\"v\": {value}}}")).await;
        assert_eq!(error.kind(), Kind::Invalid, "{value}: {error}");
    }
    // Parts of one name make no dots together.
    let error = docs.fails(r#"{"read": "${.a}${.b}/f"}"#, r#"{"a": ".", "b": "."}"#).await;
    assert_eq!(error.kind(), Kind::Invalid);
    for value in [r#""a/.b""#, r#"".b""#] {
        assert_eq!(docs.fails(read, &format!("{{\"v\": {value}}}")).await.kind(), Kind::Forbidden, "{value}");
    }
    let long = format!(r#"{{"v": "{}"}}"#, "x".repeat(256));
    assert!(docs.fails(read, &long).await.public().contains("longer than 255"));
    let many = format!(r#"{{"v": "{}a"}}"#, "a/".repeat(600));
    assert!(docs.fails(read, &many).await.public().contains("at most 1024 and 64"));
}

#[tokio::test]
async fn dots_and_spaces_inside_names_are_letters() {
    let docs = Docs::new("").await;
    for name in [
        "a..b",
        "...a",
        " a ",
        "a b",
        "~",
        "$HOME",
        "*",
        "-rf",
        "%2e%2e",
        "．．",
        "é",
        "e\u{301}",
        "漢字 😀",
        "con",
        "\u{202e}x",
    ] {
        if name.starts_with('.') {
            continue;
        }
        let input = Value::from([("v", name)]);
        docs.ask(r#"{"write": "${.v}", "content": "${.v}"}"#, &input).await.unwrap();
        assert_eq!(std::fs::read_to_string(docs.path(name)).unwrap(), name);
        assert_eq!(docs.ask("read ${.v}", &input).await.unwrap().value.into_value(), name.into());
    }
}

/// Names that are there, most of them links, and names that might mean something to somebody.
fn segment() -> impl Strategy<Value = String> {
    let odd = ["..", ".", "", "/", "\\", "~", "...", "..%2f", "a/..", "../.."];
    prop_oneof![
        8 => proptest::sample::select(vec!["out", "up", "in", "a", "b", "deep"]).prop_map(str::to_owned),
        2 => proptest::sample::select(odd.to_vec()).prop_map(str::to_owned),
        1 => "[./\\\\a-b]{0,6}",
        1 => ".{0,4}",
    ]
}

/// Whatever is asked for, in a folder full of links, nothing beside the root is read or changed.
#[test]
fn no_path_escapes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let docs = runtime.block_on(Docs::new(r#""hidden": true"#));
    let outside = docs.folder.path().join("out");
    std::fs::create_dir_all(outside.join("a")).unwrap();
    for path in ["a/a", "b", "secret"] {
        std::fs::write(outside.join(path), "SECRET").unwrap();
    }
    let plant = || {
        let _ = std::fs::remove_dir_all(docs.path(""));
        docs.put("a/b", "inside");
        docs.put("deep/a/b/a", "inside");
        symlink("../out", docs.path("out")).unwrap();
        symlink("..", docs.path("up")).unwrap();
        symlink(&outside, docs.path("a/out")).unwrap();
        symlink("../../out/b", docs.path("deep/b")).unwrap();
        symlink("../up", docs.path("deep/up")).unwrap();
        symlink("a", docs.path("in")).unwrap();
    };
    let beside = || -> Vec<(String, Option<Vec<u8>>)> {
        let names = docs.everything().into_iter().filter(|name| name != "root" && !name.starts_with("root/"));
        names.map(|name| (name.clone(), std::fs::read(docs.folder.path().join(name)).ok())).collect()
    };
    plant();
    let before = beside();
    assert_eq!(before.len(), 5);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 600, failure_persistence: None, ..Default::default() });
    let ops = [
        "read ${+ .p}",
        "read ${+ .p}",
        "read deep/${.q}",
        "stat ${+ .p}",
        r#"{"list": "${+ .p}", "recursive": true}"#,
        r#"{"write": "${+ .p}", "content": "evil"}"#,
        r#"{"write": "a/${.q}", "content": "evil"}"#,
        r#"{"append": "${+ .p}", "content": "evil"}"#,
        r#"{"copy": "a/b", "to": "${+ .p}"}"#,
        r#"{"rename": "deep/${.q}", "to": "${+ .p}"}"#,
        r#"{"delete": "${+ .p}", "recursive": true}"#,
    ];
    let path = prop_oneof![
        proptest::collection::vec(segment(), 1..5).prop_map(|names| Value::from(names.join("/"))),
        proptest::collection::vec(segment(), 0..5).prop_map(|names| names
            .into_iter()
            .map(Value::from)
            .collect::<Vec<_>>()
            .into()),
    ];
    let checked = runner.run(&(path, segment(), 0..ops.len()), |(p, q, op)| {
        let input = Value::from([("p", p), ("q", q.into())]);
        let done = runtime.block_on(docs.ask(ops[op], &input));
        if let Ok(reply) = done {
            let text = reply.value.into_value().to_json();
            prop_assert!(
                !text.contains("SECRET") && !text.contains("secret"),
                "{} {}: {}",
                ops[op],
                input,
                text
            );
        }
        prop_assert_eq!(&beside(), &before, "{} {}", ops[op], input);
        if op > 4 {
            plant();
        }
        Ok(())
    });
    checked.unwrap();
}

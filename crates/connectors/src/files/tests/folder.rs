//! What each operation does in a folder.

use renkei_core::{Applied, Kind, Payload, Value};

use super::Docs;

#[tokio::test]
async fn writes_and_reads_texts_and_other_bytes() {
    let docs = Docs::new("").await;
    let written = docs
        .reply(
            r#"{"write": "a/b/${.name}.txt", "content": "${.text}"}"#,
            r#"{"name": "c", "text": "grüß 漢\n"}"#,
        )
        .await;
    let value = written.value.into_value();
    assert_eq!(value.get("path"), Some(&"a/b/c.txt".into()));
    assert_eq!(value.get("size"), Some(&Value::from(11u64)));
    assert_eq!(value.get("content_type"), Some(&"text/plain".into()));
    assert_eq!(std::fs::read_to_string(docs.path("a/b/c.txt")).unwrap(), "grüß 漢\n");
    let read = docs.reply("read a/b/c.txt", "{}").await;
    assert!(read.notices.is_empty());
    assert_eq!(read.meta.get("etag"), value.get("etag"));
    assert_eq!(read.meta.get("truncated"), Some(&Value::Bool(false)));
    assert_eq!(read.value.into_value(), Value::from("grüß 漢\n"));

    let png = b"\x89PNG\r\n\x1a\n\xff\xfe";
    docs.put("x.png", png);
    let Payload::Blob { bytes, mime_type } = docs.reply("read x.png", "{}").await.value else { panic!() };
    assert_eq!((&bytes[..], &*mime_type), (&png[..], "image/png"));
    docs.get(r#"{"write": "y", "base64": "${.data}"}"#, r#"{"data": "iVBORw0KGgr//g=="}"#).await;
    assert_eq!(std::fs::read(docs.path("y")).unwrap(), png);
}

#[tokio::test]
async fn content_may_be_anything() {
    let docs = Docs::new("").await;
    for (content, text) in [
        (r#""""#, ""),
        ("1.50", "1.50"),
        ("true", "true"),
        (r#"{"a": [1, null], "b": 12345678901234567890}"#, r#"{"a":[1,null],"b":12345678901234567890}"#),
    ] {
        docs.get(r#"{"write": "a", "content": "${.c}"}"#, &format!(r#"{{"c": {content}}}"#)).await;
        assert_eq!(std::fs::read_to_string(docs.path("a")).unwrap(), text);
    }
    assert_eq!(
        docs.get(r#"{"read": "a", "as": "json"}"#, "{}").await,
        r#"{"a":[1,null],"b":12345678901234567890}"#
    );
    for input in ["{}", r#"{"c": null}"#] {
        let error = docs.fails(r#"{"write": "a", "content": "${.c}"}"#, input).await;
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.public().contains("`content` is absent or null"), "{error}");
    }
    let error = docs.fails(r#"{"write": "a", "base64": "${.c}"}"#, r#"{"c": "a b"}"#).await;
    assert!(error.public().contains("is not base64"), "{error}");
}

#[tokio::test]
async fn a_part_says_how_to_get_the_rest() {
    let docs = Docs::new(r#""max_bytes": "5B""#).await;
    docs.put("a.txt", "aäbcdefgh");
    let whole = docs.reply("read a.txt", "{}").await;
    assert_eq!(whole.value.into_value(), "aäbc".into());
    assert_eq!(whole.meta.get("truncated"), Some(&Value::Bool(true)));
    assert!(whole.notices[0].contains("has 10 bytes, these are the bytes 0 to 5"), "{:?}", whole.notices);
    assert!(
        whole.notices[0].contains("`max_bytes` of the system is 5B")
            && whole.notices[0].contains("`offset: 5`")
    );
    let op = r#"{"read": "a.txt", "offset": "${.from}", "limit": "${.most}"}"#;
    let part = docs.reply(op, r#"{"from": 5}"#).await;
    assert_eq!((part.value.into_value(), part.notices), ("defgh".into(), Vec::new()));
    // Whole letters only, and the next offset fits.
    let part = docs.reply(op, r#"{"from": 0, "most": 2}"#).await;
    assert_eq!((part.value.into_value(), part.meta.get("bytes")), ("a".into(), Some(&Value::from(1u64))));
    assert!(
        part.notices[0].contains("`limit` is 2") && part.notices[0].contains("`offset: 1`"),
        "{:?}",
        part.notices
    );
    let part = docs.reply(op, r#"{"from": 1, "most": 2}"#).await;
    assert_eq!(part.value.into_value(), "ä".into());
    let part = docs.reply(op, r#"{"from": 10}"#).await;
    assert_eq!(part.value.into_value(), "".into());
    for (input, why) in [
        (r#"{"from": 11}"#, "`offset` is 11, but the file has 10 bytes"),
        (r#"{"from": -1}"#, "not a whole number"),
        (r#"{"from": 1.5}"#, "not a whole number"),
        (r#"{"from": "1"}"#, "of type string"),
        (r#"{"from": 1, "most": 1}"#, "less than one letter"),
    ] {
        let error = docs.fails(op, input).await;
        assert_eq!(error.kind(), Kind::Invalid, "{input}: {error}");
        assert!(error.public().contains(why), "{input}: {error}");
    }
    let error = docs.fails(r#"{"read": "a.txt", "as": "json"}"#, "{}").await;
    assert!(error.public().contains("`max_bytes`"), "{error}");
}

#[tokio::test]
async fn a_file_is_read_as_asked() {
    let docs = Docs::new("").await;
    docs.put("a", b"a\xffb");
    docs.put("b.json", "\u{feff}{\"a\": 1.10}");
    docs.put("c.txt", "c");
    let text = docs.reply(r#"{"read": "a", "as": "text"}"#, "{}").await;
    assert_eq!(text.value.into_value(), "a\u{fffd}b".into());
    assert!(text.notices[0].contains("not UTF-8"));
    assert_eq!(docs.get("read a", "{}").await, r#"{"mime_type":"application/octet-stream","base64":"Yf9i"}"#);
    assert_eq!(docs.get(r#"{"read": "b.json", "as": "json"}"#, "{}").await, r#"{"a":1.10}"#);
    assert_eq!(
        docs.get(r#"{"read": "c.txt", "as": "bytes"}"#, "{}").await,
        r#"{"mime_type":"application/octet-stream","base64":"Yw=="}"#
    );
    let error = docs.fails(r#"{"read": "c.txt", "as": "json"}"#, "{}").await;
    assert!(error.public().contains("not valid JSON"), "{error}");
}

#[tokio::test]
async fn lists_by_path_with_globs() {
    let docs = Docs::new("").await;
    for path in
        ["b.md", "a.md", "a.txt", "n/x.md", "n/y.txt", "n/m/z.md", ".secret", "n/.git/config", ".renkei-1"]
    {
        docs.put(path, "1");
    }
    assert_eq!(docs.list("list .", "{}").await, "a.md a.txt b.md n");
    assert_eq!(docs.list("list n", "{}").await, "n/m n/x.md n/y.txt");
    assert_eq!(
        docs.list(r#"{"list": ".", "recursive": true}"#, "{}").await,
        "a.md a.txt b.md n n/m n/m/z.md n/x.md n/y.txt"
    );
    let glob = r#"{"list": "${+ .folder}", "glob": "${.glob}", "after": "${.after}"}"#;
    for (input, paths) in [
        (r#"{"glob": "*.md"}"#, "a.md b.md"),
        (r#"{"glob": "**/*.md"}"#, "a.md b.md n/m/z.md n/x.md"),
        (r#"{"glob": "**/*.md", "after": "b.md"}"#, "n/m/z.md n/x.md"),
        (r#"{"glob": "n/*.{md,txt}"}"#, "n/x.md n/y.txt"),
        (r#"{"glob": "*.md", "folder": "n"}"#, "n/x.md"),
        (r#"{"folder": ["n", "m"]}"#, "n/m/z.md"),
        (r#"{"folder": "n/m", "glob": null}"#, "n/m/z.md"),
        (r#"{"folder": []}"#, "a.md a.txt b.md n"),
        (r#"{"glob": ".*"}"#, ""),
    ] {
        assert_eq!(docs.list(glob, input).await, paths, "{input}");
    }
    let entry = docs.reply(r#"{"list": ".", "glob": "a.md"}"#, "{}").await.value.into_value();
    let entry = entry.at(0).unwrap();
    assert_eq!((entry.get("type"), entry.get("size")), (Some(&"file".into()), Some(&Value::from(1u64))));
    assert!(entry.get("modified").unwrap().as_str().unwrap().ends_with('Z'));
    let hidden = Docs::new(r#""hidden": true"#).await;
    for path in [".secret", ".renkei-1", "a"] {
        hidden.put(path, "1");
    }
    assert_eq!(hidden.list("list .", "{}").await, ".secret a");
    for (op, input, kind) in [
        ("list nothing", "{}", Kind::NotFound),
        ("list a.md", "{}", Kind::Invalid),
        (glob, r#"{"glob": "["}"#, Kind::Invalid),
        (glob, r#"{"folder": ""}"#, Kind::Invalid),
        (glob, r#"{"folder": "n/../.."}"#, Kind::Invalid),
        (glob, r#"{"folder": ".git"}"#, Kind::Forbidden),
    ] {
        assert_eq!(docs.fails(op, input).await.kind(), kind, "{op} {input}");
    }
}

#[tokio::test]
async fn long_lists_are_cut_with_a_notice() {
    let docs = Docs::new(r#""max_entries": 3, "max_scan": 10"#).await;
    for at in 0..8 {
        docs.put(&format!("{at}"), "");
    }
    let list = docs.reply("list .", "{}").await;
    assert_eq!(list.meta.get("truncated"), Some(&Value::Bool(true)));
    assert!(
        list.notices[0].contains("`max_entries` is 3") && list.notices[0].contains("after `2`"),
        "{:?}",
        list.notices
    );
    let op = r#"{"list": ".", "limit": "${.limit}", "after": "${.after}"}"#;
    assert_eq!(docs.list(op, r#"{"after": "2"}"#).await, "3 4 5");
    assert_eq!(docs.list(op, r#"{"limit": 2, "after": "6"}"#).await, "7");
    let list = docs.reply(op, r#"{"limit": 2}"#).await;
    assert!(list.notices[0].contains("`limit` is 2"), "{:?}", list.notices);
    let all = docs.reply(op, r#"{"limit": 100}"#).await;
    assert_eq!((all.notices.len(), all.meta.get("truncated")), (0, Some(&Value::Bool(false))));
    for at in 8..12 {
        docs.put(&format!("{at}"), "");
    }
    let error = docs.fails("list .", "{}").await;
    assert!(error.public().contains("`max_scan`"), "{error}");
}

#[tokio::test]
async fn appends_in_the_order_of_calls() {
    let docs = Docs::new("").await;
    let op = r#"{"append": "logs/a.log", "content": "${.line}"}"#;
    for line in ["a\n", "b\n"] {
        docs.ask(op, &Value::from([("line", line)])).await.unwrap();
    }
    assert_eq!(docs.get("read logs/a.log", "{}").await, r#""a\nb\n""#);
    let inputs: Vec<Value> = (0..40).map(|at| Value::from([("line", format!("line {at}\n"))])).collect();
    let done = futures_util::future::join_all(inputs.iter().map(|input| docs.ask(op, input))).await;
    assert!(done.iter().all(Result::is_ok));
    let text = std::fs::read_to_string(docs.path("logs/a.log")).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("line ")).count(), 40);
    assert_eq!(text.len(), 4 + 10 * 7 + 30 * 8);
}

#[tokio::test]
async fn deletes_what_is_there() {
    let docs = Docs::new("").await;
    docs.put("a/b/c", "1");
    docs.put("a/.hidden", "1");
    docs.put("d", "1");
    assert_eq!(docs.get("delete d", "{}").await, r#"{"deleted":"d"}"#);
    for gone in ["delete d", "delete x/y/z", "delete d/e"] {
        docs.get(gone, "{}").await;
    }
    let error = docs.fails("delete a", "{}").await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::Invalid, Applied::No));
    assert!(error.public().contains("`recursive: true`"), "{error}");
    assert!(docs.path("a/b/c").exists());
    docs.get(r#"{"delete": "a", "recursive": true}"#, "{}").await;
    assert_eq!(docs.everything(), ["root"]);
    // Too much is refused before anything is gone.
    let docs = Docs::new(r#""max_scan": 3"#).await;
    for path in ["a/1", "a/2", "a/3", "a/4"] {
        docs.put(path, "");
    }
    let error = docs.fails(r#"{"delete": "a", "recursive": true}"#, "{}").await;
    assert!(error.public().contains("`max_scan`"), "{error}");
    assert_eq!(docs.everything().len(), 6);
}

#[tokio::test]
async fn conditions_hold() {
    let docs = Docs::new("").await;
    let new = r#"{"write": "a", "content": "${.c}", "if": "absent"}"#;
    docs.get(new, r#"{"c": "1"}"#).await;
    let error = docs.fails(new, r#"{"c": "2"}"#).await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::Conflict, Applied::No));
    let change = r#"{"write": "a", "content": "${.c}", "if": {"etag": "${.etag}"}}"#;
    let etag = docs.reply("read a", "{}").await.meta.get("etag").unwrap().as_str().unwrap().to_owned();
    let written = docs.reply(change, &format!(r#"{{"c": "3", "etag": "{etag}"}}"#)).await;
    assert_ne!(written.meta.get("etag"), Some(&Value::from(&*etag)));
    let error = docs.fails(change, &format!(r#"{{"c": "4", "etag": "{etag}"}}"#)).await;
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.public().contains("changed meanwhile"), "{error}");
    assert_eq!(docs.get("read a", "{}").await, r#""3""#);
    for path in ["b", "x/y"] {
        let op = format!(r#"{{"write": "{path}", "content": "", "if": {{"etag": "1"}}}}"#);
        assert_eq!(docs.fails(&op, "{}").await.kind(), Kind::Conflict, "{path}");
    }
    assert_eq!(docs.fails(change, r#"{"c": "4"}"#).await.kind(), Kind::Invalid);
    // Of many at once, one wins.
    let op = r#"{"write": "race", "content": "${.c}", "if": "absent"}"#;
    let inputs: Vec<Value> = (0..20i64).map(|at| Value::from([("c", at)])).collect();
    let done = futures_util::future::join_all(inputs.iter().map(|input| docs.ask(op, input))).await;
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1);
    assert_eq!(docs.everything(), ["root", "root/a", "root/race"]);
    let etag = docs.reply("stat race", "{}").await.meta.get("etag").unwrap().clone();
    let op = r#"{"write": "race", "content": "${.c}", "if": {"etag": "${.e}"}}"#;
    let input = |at: i64| Value::from([("c", Value::from(at)), ("e", etag.clone())]);
    let inputs: Vec<Value> = (0..20).map(input).collect();
    let done = futures_util::future::join_all(inputs.iter().map(|input| docs.ask(op, input))).await;
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1);
}

#[tokio::test]
async fn copies_and_renames() {
    let docs = Docs::new("").await;
    docs.put("a", "1");
    docs.put("b", "2");
    docs.put("f/x", "3");
    docs.get(r#"{"copy": "a", "to": "c/d"}"#, "{}").await;
    assert_eq!(docs.get("read c/d", "{}").await, r#""1""#);
    for op in [r#"{"copy": "a", "to": "b", "if": "absent"}"#, r#"{"rename": "a", "to": "b", "if": "absent"}"#]
    {
        assert_eq!(docs.fails(op, "{}").await.kind(), Kind::Conflict, "{op}");
    }
    docs.get(r#"{"rename": "a", "to": "b"}"#, "{}").await;
    assert_eq!(docs.get("read b", "{}").await, r#""1""#);
    docs.get(r#"{"rename": "f", "to": "g/h"}"#, "{}").await;
    docs.get(r#"{"rename": "g/h/x", "to": "y", "if": "absent"}"#, "{}").await;
    assert_eq!(docs.everything(), ["root", "root/b", "root/c", "root/c/d", "root/g", "root/g/h", "root/y"]);
    for (op, kind) in [
        (r#"{"copy": "none", "to": "b"}"#, Kind::NotFound),
        (r#"{"copy": "g", "to": "k"}"#, Kind::Invalid),
        (r#"{"copy": "b", "to": "g"}"#, Kind::Invalid),
        (r#"{"copy": "b", "to": "b"}"#, Kind::Invalid),
        (r#"{"rename": "none", "to": "b"}"#, Kind::NotFound),
        (r#"{"rename": "g", "to": "g/h/i"}"#, Kind::Invalid),
        (r#"{"rename": "b", "to": "y/z"}"#, Kind::Conflict),
    ] {
        let error = docs.fails(op, "{}").await;
        assert_eq!((error.kind(), error.was_applied()), (kind, Applied::No), "{op}: {error}");
    }
}

#[tokio::test]
async fn tells_what_stands_where() {
    let docs = Docs::new("").await;
    docs.put("n/a.md", "12");
    let stat = docs.reply("stat n/a.md", "{}").await.value.into_value();
    assert_eq!(stat.get("content_type"), Some(&"text/markdown".into()));
    assert_eq!((stat.get("type"), stat.get("size")), (Some(&"file".into()), Some(&Value::from(2u64))));
    assert!(stat.get("etag").is_some());
    for folder in ["stat n", "stat ."] {
        assert_eq!(docs.reply(folder, "{}").await.value.into_value().get("type"), Some(&"folder".into()));
    }
    for (op, kind) in [
        ("stat x", Kind::NotFound),
        ("read x", Kind::NotFound),
        ("read n", Kind::Invalid),
        ("read n/a.md/b", Kind::NotFound),
        (r#"{"write": "n", "content": ""}"#, Kind::Invalid),
        (r#"{"write": "n/a.md/b", "content": ""}"#, Kind::Conflict),
        (r#"{"append": "n", "content": ""}"#, Kind::Invalid),
    ] {
        let error = docs.fails(op, "{}").await;
        assert_eq!((error.kind(), error.was_applied()), (kind, Applied::No), "{op}: {error}");
        assert!(!error.public().contains(docs.folder.path().to_str().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let docs = Docs::new(r#""max_write": "3B""#).await;
    for op in [r#"{"write": "a", "content": "1234"}"#, r#"{"append": "a", "base64": "MTIzNA=="}"#] {
        let error = docs.fails(op, "{}").await;
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.public().contains("4 bytes are more than 3B (`max_write`"), "{error}");
    }
    assert_eq!(docs.everything(), ["root"]);
}

#[tokio::test]
async fn a_missing_root_can_be_created() {
    let folder = tempfile::tempdir().unwrap();
    let connect = renkei_core::ConnectContext::new(folder.path());
    let missing = super::read_system(r#"{"root": "a/b"}"#).unwrap().connect(&connect).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::Unavailable);
    assert!(missing.public().contains("`create: true`"), "{missing}");
    assert!(!missing.public().contains(folder.path().to_str().unwrap()), "{missing}");
    super::read_system(r#"{"root": "a/b", "create": true}"#).unwrap().connect(&connect).await.unwrap();
    assert!(folder.path().join("a/b").is_dir());
    std::fs::write(folder.path().join("file"), "").unwrap();
    let file = super::read_system(r#"{"root": "file"}"#).unwrap().connect(&connect).await.unwrap_err();
    assert!(file.public().contains("not a folder"), "{file}");
}

#[tokio::test]
async fn requests_are_shown_in_the_words_of_their_operations() {
    let docs = Docs::new("").await;
    let input = r#"{"n": "a", "t": "text", "f": ["x", "y"], "g": "*.md", "e": "1-2", "l": 5}"#;
    for (op, shown) in [
        ("read notes/${.n}.txt", r#"{"read":"notes/a.txt"}"#),
        (
            r#"{"read": "${.n}", "offset": "${.l}", "limit": 3, "as": "text"}"#,
            r#"{"read":"a","offset":5,"limit":3,"as":"text"}"#,
        ),
        ("list .", r#"{"list":"."}"#),
        ("list ${+ .none}", r#"{"list":"."}"#),
        (r#"{"list": "${+ .f}", "glob": "${.g}"}"#, r#"{"list":"x/y","glob":"*.md"}"#),
        (
            r#"{"list": "x", "glob": "**/a", "limit": "${.l}", "after": "${.n}"}"#,
            r#"{"list":"x","glob":"**/a","recursive":true,"limit":5,"after":"a"}"#,
        ),
        (r#"{"write": "${.n}", "content": "${.t}"}"#, r#"{"write":"a","content":"text"}"#),
        (
            r#"{"write": "a", "content": {"l": "${.l}"}, "if": "absent"}"#,
            r#"{"write":"a","content":"{\"l\":5}","if":"absent"}"#,
        ),
        (
            r#"{"write": "a", "base64": "/w==", "content_type": "image/x", "if": {"etag": "${.e}"}}"#,
            r#"{"write":"a","base64":"/w==","content_type":"image/x","if":{"etag":"1-2"}}"#,
        ),
        (r#"{"append": "a", "content": "b"}"#, r#"{"append":"a","content":"b"}"#),
        ("delete a", r#"{"delete":"a"}"#),
        (r#"{"delete": "a", "recursive": true}"#, r#"{"delete":"a","recursive":true}"#),
        ("stat a", r#"{"stat":"a"}"#),
        (r#"{"copy": "a", "to": "b/${.n}"}"#, r#"{"copy":"a","to":"b/a"}"#),
        (r#"{"rename": "a", "to": "b", "if": "absent"}"#, r#"{"rename":"a","to":"b","if":"absent"}"#),
    ] {
        assert_eq!(docs.show(op, input).unwrap(), shown, "{op}");
    }
    assert_eq!(docs.everything(), ["root"]);
}

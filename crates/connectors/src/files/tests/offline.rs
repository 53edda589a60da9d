//! What is told at start.

use renkei_core::Effect;

use super::{prepare, read_system};

const FOLDER: &str = r#"{"root": "root"}"#;
const S3: &str = r#"{"s3": {"bucket": "reports", "region": "eu-central-1"}}"#;
const WEBDAV: &str = r#"{"webdav": {"url": "https://cloud.example.com/dav"}}"#;

#[test]
fn wrong_configs_are_told() {
    let key = r#""bucket": "reports", "region": "eu-central-1""#;
    for (config, message) in [
        ("{}".to_owned(), "it is not said where the files are"),
        (r#"{"root": "a", "webdav": {"url": "https://x.example"}}"#.into(), "not in `root` and in `webdav`"),
        (r#"{"root": "a", "read_only": true, "create": true}"#.into(), "cannot be created"),
        (r#"{"root": "a", "private": true}"#.into(), "`private` belongs to"),
        (format!(r#"{{"s3": {{{key}}}, "create": true}}"#), "`create` belongs to `root`"),
        (format!(r#"{{"s3": {{{key}}}, "parallel": 2}}"#), "`parallel` belongs to `root`"),
        (r#"{"root": "a", "parallel": 0}"#.into(), "between 1 and 64"),
        (r#"{"root": "a", "max_bytes": "2GiB"}"#.into(), "more than 1GiB"),
        (r#"{"root": "a", "max_entries": 0}"#.into(), "cannot be 0"),
        (r#"{"root": "a", "hiden": true}"#.into(), "unknown key `hiden`"),
        (r#"{"s3": {"bucket": "a/b", "region": "x"}}"#.into(), "not the name of a bucket"),
        (r#"{"s3": {"bucket": "abc", "region": "x/y"}}"#.into(), "is not a region"),
        (format!(r#"{{"s3": {{{key}, "access_key_id": "a"}}}}"#), "half of the access key"),
        (format!(r#"{{"s3": {{{key}, "session_token": "a"}}}}"#), "belongs to an access key"),
        (format!(r#"{{"s3": {{{key}, "prefix": "a/../b"}}}}"#), "`prefix` has"),
        (format!(r#"{{"s3": {{{key}, "endpoint": "ftp://x.example"}}}}"#), "the scheme `ftp`"),
        (format!(r#"{{"s3": {{{key}, "endpoint": "https://x.example/y"}}}}"#), "has a path"),
        (format!(r#"{{"s3": {{{key}, "endpoint": "http://127.0.0.1:9000"}}}}"#), "a loopback address"),
        (r#"{"webdav": {"url": "https://u:p@x.example"}}"#.into(), "holds a user name"),
        (r#"{"webdav": {"url": "https://10.0.0.1/dav"}}"#.into(), "a private address"),
        (r#"{"webdav": {"url": "https://x.example", "user": "a"}}"#.into(), "`password` is missing"),
        (
            r#"{"webdav": {"url": "https://x.example", "user": "a", "password": "b", "token": "c"}}"#.into(),
            "give `token`, or",
        ),
    ] {
        let wrong = read_system(&config).expect_err(&config).join("\n");
        assert!(wrong.contains(message), "{config}: {wrong}");
    }
    for config in [FOLDER, S3, WEBDAV] {
        read_system(config).unwrap();
    }
}

#[test]
fn secrets_are_not_printed() {
    let config = r#"{"s3": {"bucket": "reports", "region": "x", "access_key_id": "AKIA4711", "secret_access_key": "open sesame", "session_token": "abracadabra"}}"#;
    let printed = format!("{:?}", read_system(config).unwrap());
    for secret in ["AKIA4711", "open sesame", "abracadabra"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn effects_follow_from_what_is_done() {
    let system = read_system(FOLDER).unwrap();
    for (op, effect) in [
        ("list .", Effect::Read),
        ("read a", Effect::Read),
        ("stat a", Effect::Read),
        ("delete a", Effect::Idempotent),
        (r#"{"write": "a", "content": "b"}"#, Effect::Idempotent),
        (r#"{"write": "a", "content": "b", "if": "absent"}"#, Effect::Write),
        (r#"{"write": "a", "content": "b", "if": {"etag": "${.e}"}}"#, Effect::Write),
        (r#"{"append": "a", "content": "b"}"#, Effect::Write),
        (r#"{"copy": "a", "to": "b"}"#, Effect::Idempotent),
        (r#"{"rename": "a", "to": "b"}"#, Effect::Write),
    ] {
        assert_eq!(prepare(&*system, op).unwrap().effect, effect, "{op}");
    }
    assert!(system.is_local());
    assert!(!read_system(S3).unwrap().is_local());
}

#[test]
fn labels_hold_no_values() {
    let system = read_system(FOLDER).unwrap();
    for (op, label) in [
        ("list .", "list ."),
        ("read notes/${.name}.md", "read notes/{}.md"),
        ("stat ${+ .path}", "stat {}"),
        (r#"{"copy": "a/${.x}", "to": "b/${.y}"}"#, "copy a/{} to b/{}"),
    ] {
        assert_eq!(&*prepare(&*system, op).unwrap().label, label);
    }
}

#[test]
fn wrong_operations_are_told() {
    for (config, op, message) in [
        (FOLDER, "fetch a", "`fetch` is nothing that files can do"),
        (FOLDER, "write a", "`write` needs more than a path"),
        (FOLDER, "read", "this is not an operation"),
        (FOLDER, "${.op} a", "this is not an operation"),
        (FOLDER, "read ", "the path is empty"),
        (FOLDER, "read .", "names the top folder"),
        (FOLDER, "read /etc/passwd", "begins with `/`"),
        (FOLDER, "read a/../b", "`.` or `..`"),
        (FOLDER, "list a/", "is empty"),
        (FOLDER, "read a//b", "is empty"),
        (FOLDER, "read a\\b", "contains `\\`"),
        (FOLDER, "read C:/a", "drive letter"),
        (FOLDER, "read .env", "begins with a dot"),
        (FOLDER, "read a/.git/config", "begins with a dot"),
        (FOLDER, "read x${+ .path}", "beside other letters"),
        (FOLDER, "read ${.a | }", "Expected a value"),
        (FOLDER, "{}", "it is not said what is done"),
        (FOLDER, r#"{"read": "a", "stat": "b"}"#, "not `read` and `stat`"),
        (FOLDER, r#"{"read": "a", "glob": "*"}"#, "`glob` does not belong to `read`"),
        (FOLDER, r#"{"write": "a"}"#, "as `content` or as `base64`"),
        (FOLDER, r#"{"write": "a", "content": "b", "base64": "Yg=="}"#, "as `content` or as `base64`"),
        (FOLDER, r#"{"write": "a", "content": "b", "content_type": "b"}"#, "not a media type"),
        (FOLDER, r#"{"copy": "a"}"#, "what to `copy` to"),
        (FOLDER, r#"{"rename": "a", "to": "b", "if": {"etag": "c"}}"#, "`if: absent` only"),
        (FOLDER, r#"{"list": ".", "glob": "["}"#, "`[` without"),
        (FOLDER, r#"{"list": ".", "limit": -1}"#, "not a whole number"),
        (FOLDER, r#"{"read": "a", "offset": "b"}"#, "not a whole number"),
        (FOLDER, r#"{"read": "a", "as": "xml"}"#, "xml"),
        (S3, r#"{"append": "a", "content": "b"}"#, "`append` is not possible"),
        (S3, r#"{"rename": "a", "to": "b"}"#, "`rename` is not possible"),
        (S3, r#"{"copy": "a", "to": "b", "if": "absent"}"#, "`if` is not possible"),
        (WEBDAV, r#"{"append": "a", "content": "b"}"#, "`append` is not possible"),
    ] {
        let wrong = prepare(&*read_system(config).unwrap(), op).expect_err(op).join("\n");
        assert!(wrong.contains(message), "{op}: {wrong}");
    }
    let system = read_system(r#"{"root": "root", "read_only": true}"#).unwrap();
    for op in [
        "delete a",
        r#"{"write": "a", "content": "b"}"#,
        r#"{"append": "a", "content": "b"}"#,
        r#"{"copy": "a", "to": "b"}"#,
        r#"{"rename": "a", "to": "b"}"#,
    ] {
        let wrong = prepare(&*system, op).expect_err(op).join("\n");
        assert!(wrong.contains("`read_only: true`"), "{op}: {wrong}");
    }
    assert!(prepare(&*system, "read a").is_ok());
    let hidden = read_system(r#"{"root": "root", "hidden": true}"#).unwrap();
    assert!(prepare(&*hidden, "read .env").is_ok());
    assert!(prepare(&*hidden, "read .renkei-1").is_err());
    assert!(prepare(&*hidden, "read a/.Renkei-1").is_err());
}

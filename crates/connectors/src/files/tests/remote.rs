//! Stores elsewhere: what they do otherwise, what their failures mean, and what never reaches them.

use std::{net::IpAddr, sync::Arc};

use async_trait::async_trait;
use renkei_core::{Applied, ConnectContext, Kind, Payload, Retry, Value};
use renkei_testkit::{
    fault::{Answer, FaultServer},
    store::StoreServer,
};

use super::{Docs, prepare, read_system};
use crate::http::guard::Lookup;

pub(super) fn s3(server: &StoreServer, more: &str) -> String {
    s3_at(&server.url(), "sesame-4711", more)
}

fn s3_at(url: &str, secret: &str, more: &str) -> String {
    format!(
        r#"{{"private": true, "s3": {{"bucket": "bucket", "region": "us-east-1", "endpoint": "{url}", "access_key_id": "key", "secret_access_key": "{secret}"{more}}}}}"#
    )
}

pub(super) fn webdav(server: &StoreServer, folder: &str) -> String {
    let url = server.url();
    format!(
        r#"{{"private": true, "webdav": {{"url": "{url}{folder}", "user": "me", "password": "sesame-4711"}}}}"#
    )
}

/// The same operations on both stores.
async fn works(docs: &Docs) {
    for (path, content) in [("n/a.md", "1"), ("n/m/b.md", "22"), ("n/c.txt", "333"), ("z.md", "4")] {
        let input = Value::from([("p", path), ("c", content)]);
        docs.ask(r#"{"write": "${+ .p}", "content": "${.c}"}"#, &input).await.unwrap();
    }
    assert_eq!(docs.get("read n/m/b.md", "{}").await, r#""22""#);
    assert_eq!(docs.list("list .", "{}").await, "n z.md");
    assert_eq!(docs.list("list n", "{}").await, "n/a.md n/c.txt n/m");
    let glob = r#"{"list": "${+ .f}", "glob": "**/*.md", "after": "${.after}", "limit": "${.limit}"}"#;
    assert_eq!(docs.list(glob, "{}").await, "n/a.md n/m/b.md z.md");
    assert_eq!(docs.list(glob, r#"{"after": "n/a.md"}"#).await, "n/m/b.md z.md");
    assert_eq!(docs.list(glob, r#"{"f": "n"}"#).await, "n/a.md n/m/b.md");
    assert_eq!(docs.list(glob, r#"{"limit": 1}"#).await, "n/a.md");
    let part = docs.reply(r#"{"read": "n/c.txt", "offset": 1, "limit": 1}"#, "{}").await;
    assert_eq!(part.value.into_value(), "3".into());
    assert!(part.notices[0].contains("has 3 bytes"), "{:?}", part.notices);
    let stat = docs.reply("stat n/c.txt", "{}").await.value.into_value();
    assert_eq!((stat.get("type"), stat.get("size")), (Some(&"file".into()), Some(&Value::from(3u64))));
    assert!(stat.get("modified").unwrap().as_str().unwrap().ends_with('Z'));
    assert_eq!(docs.reply("stat .", "{}").await.value.into_value().get("type"), Some(&"folder".into()));
    docs.get(r#"{"copy": "n/c.txt", "to": "copy/ä b.txt"}"#, "{}").await;
    assert_eq!(docs.get("read copy/ä b.txt", "{}").await, r#""333""#);
    docs.get(r#"{"write": "x.png", "base64": "iVBORw0KGgr//g=="}"#, "{}").await;
    let Payload::Blob { mime_type, .. } = docs.reply("read x.png", "{}").await.value else { panic!() };
    assert_eq!(&*mime_type, "image/png");
    for (op, kind) in [
        ("read none", Kind::NotFound),
        ("stat none/x", Kind::NotFound),
        (r#"{"copy": "none", "to": "b"}"#, Kind::NotFound),
        (r#"{"read": "z.md", "offset": 9}"#, Kind::Invalid),
        (r#"{"read": " a"}"#, Kind::Invalid),
        (r#"{"write": "a ", "content": ""}"#, Kind::Invalid),
    ] {
        let error = docs.fails(op, "{}").await;
        assert_eq!((error.kind(), error.was_applied()), (kind, Applied::No), "{op}: {error} {error:?}");
    }
    let new = r#"{"write": "new", "content": "${.c}", "if": "absent"}"#;
    docs.get(new, r#"{"c": "1"}"#).await;
    let error = docs.fails(new, r#"{"c": "2"}"#).await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::Conflict, Applied::No), "{error:?}");
    assert!(error.public().contains("is there already"), "{error}");
    let etag = docs.reply("stat new", "{}").await.meta.get("etag").unwrap().clone();
    let change = r#"{"write": "new", "content": "${.c}", "if": {"etag": "${.etag}"}}"#;
    let input = |content: &str| Value::from([("c", Value::from(content)), ("etag", etag.clone())]);
    docs.ask(change, &input("longer than before")).await.unwrap();
    let error = docs.ask(change, &input("4")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error:?}");
    assert!(error.public().contains("changed meanwhile"), "{error}");
    assert_eq!(docs.get("read new", "{}").await, r#""longer than before""#);
    for gone in ["delete z.md", "delete z.md", "delete none/x", r#"{"delete": "n", "recursive": true}"#] {
        docs.get(gone, "{}").await;
    }
    assert_eq!(docs.list("list .", "{}").await, "copy new x.png");
    docs.get(r#"{"delete": "none", "recursive": true}"#, "{}").await;
}

#[tokio::test]
async fn s3_works() {
    let server = StoreServer::s3("bucket", "key", "sesame-4711");
    works(&Docs::with(&s3(&server, "")).await).await;
}

#[tokio::test]
async fn webdav_works() {
    let server = StoreServer::webdav("me", "sesame-4711");
    let docs = Docs::with(&webdav(&server, "")).await;
    works(&docs).await;
    docs.get(r#"{"rename": "new", "to": "r/s"}"#, "{}").await;
    assert_eq!(docs.get("read r/s", "{}").await, r#""longer than before""#);
    let stat = docs.reply("stat r", "{}").await.value.into_value();
    assert_eq!(stat.get("type"), Some(&"folder".into()));
    // A careless request would delete or replace all that is in a folder.
    for op in [
        "delete r",
        r#"{"write": "r", "content": ""}"#,
        r#"{"copy": "x.png", "to": "r"}"#,
        r#"{"rename": "x.png", "to": "r"}"#,
        r#"{"copy": "r", "to": "t"}"#,
        "read r",
    ] {
        let error = docs.fails(op, "{}").await;
        assert_eq!((error.kind(), error.was_applied()), (Kind::Invalid, Applied::No), "{op}: {error}");
    }
    for op in [
        r#"{"copy": "x.png", "to": "r/s", "if": "absent"}"#,
        r#"{"rename": "x.png", "to": "r/s", "if": "absent"}"#,
    ] {
        assert_eq!(docs.fails(op, "{}").await.kind(), Kind::Conflict, "{op}");
    }
    assert_eq!(docs.get("read r/s", "{}").await, r#""longer than before""#);
    docs.get(r#"{"rename": "x.png", "to": "r/u", "if": "absent"}"#, "{}").await;
    assert_eq!(docs.list(r#"{"list": ".", "recursive": true}"#, "{}").await, "copy copy/ä b.txt r r/s r/u");
}

/// What is outside of the prefix is out of reach, whatever its name.
#[tokio::test]
async fn a_prefix_is_a_root() {
    let server = StoreServer::s3("bucket", "key", "sesame-4711");
    let all = Docs::with(&s3(&server, "")).await;
    for path in ["top", "in/side", "inside", "in2/x", "in/a.txt"] {
        all.ask(r#"{"write": "${+ .p}", "content": "x"}"#, &Value::from([("p", path)])).await.unwrap();
    }
    let docs = Docs::with(&s3(&server, r#", "prefix": "/in/""#)).await;
    assert_eq!(docs.list(r#"{"list": ".", "recursive": true}"#, "{}").await, "a.txt side");
    assert_eq!(docs.list(r#"{"list": ".", "after": "a.txt"}"#, "{}").await, "side");
    assert_eq!(docs.fails("read top", "{}").await.kind(), Kind::NotFound);
    docs.get(r#"{"write": "new/x", "content": "y"}"#, "{}").await;
    docs.get(r#"{"delete": "s", "recursive": true}"#, "{}").await;
    assert_eq!(
        all.list(r#"{"list": ".", "glob": "**"}"#, "{}").await,
        "in in/a.txt in/new in/new/x in/side in2 in2/x inside top"
    );
}

/// The bytes are on the disk of the server, so it is no echo.
#[tokio::test]
async fn s3_really_has_them() {
    let server = StoreServer::s3("bucket", "key", "sesame-4711");
    let docs = Docs::with(&s3(&server, r#", "prefix": "p""#)).await;
    docs.get(r#"{"write": "a/b.txt", "content": "x", "content_type": "text/x-special"}"#, "{}").await;
    assert_eq!(std::fs::read_to_string(server.folder().unwrap().join("bucket/p/a/b.txt")).unwrap(), "x");
    let stat = docs.reply("stat a/b.txt", "{}").await.value.into_value();
    assert_eq!(stat.get("content_type"), Some(&"text/x-special".into()));
}

#[tokio::test]
async fn a_wrong_key_is_told_and_not_shown() {
    let s3 = StoreServer::s3("bucket", "key", "another");
    let config = s3_at(&s3.url(), "sesame-4711", "");
    let dav = StoreServer::webdav("me", "another");
    for config in [config, webdav(&dav, "")] {
        let docs = Docs::with(&config).await;
        for op in [r#"{"write": "a", "content": "x"}"#, "list .", r#"{"delete": "a", "recursive": true}"#] {
            let error = docs.fails(op, "{}").await;
            assert_eq!(
                (error.kind(), error.was_applied()),
                (Kind::Unauthenticated, Applied::No),
                "{op}: {error:?}"
            );
            assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_missing_bucket_is_told() {
    let server = StoreServer::s3("other", "key", "sesame-4711");
    let docs = Docs::with(&s3(&server, "")).await;
    let error = docs.fails("list .", "{}").await;
    assert_eq!((error.kind(), error.retry_advice()), (Kind::Unavailable, Retry::Never), "{error:?}");
    assert!(error.public().contains("no such bucket"), "{error}");
}

/// What the answers of a store mean.
#[tokio::test]
async fn failures_are_told_apart() {
    let xml =
        |code: &str| format!("<Error><Code>{code}</Code><Message>because sesame-4711</Message></Error>");
    let write = r#"{"write": "f", "content": "x"}"#;
    let deadly = Answer::body(503, "application/xml", xml("SlowDown")).with("retry-after", "7");
    for (answer, op, kind, applied) in [
        (Answer::body(403, "application/xml", xml("AccessDenied")), write, Kind::Forbidden, Applied::No),
        (
            Answer::body(403, "application/xml", xml("SignatureDoesNotMatch")),
            write,
            Kind::Unauthenticated,
            Applied::No,
        ),
        (Answer::body(400, "application/xml", xml("Odd")), write, Kind::Internal, Applied::No),
        (Answer::redirect(307, "http://127.0.0.1:1/"), write, Kind::Internal, Applied::No),
        (
            Answer::body(500, "application/xml", xml("InternalError")),
            write,
            Kind::Unavailable,
            Applied::Unknown,
        ),
        (Answer::body(500, "text/plain", "oh"), "read f", Kind::Unavailable, Applied::No),
        (deadly, write, Kind::RateLimited, Applied::No),
        (Answer::Close, write, Kind::Unavailable, Applied::Unknown),
        (Answer::Reset, "read f", Kind::Unavailable, Applied::No),
        (Answer::body(200, "application/xml", "<no"), "list .", Kind::Unavailable, Applied::No),
        (
            Answer::body(
                200,
                "application/xml",
                "<ListBucketResult><Contents><Key>x</Key><Size>1</Size><LastModified>2020-01-01T00:00:00Z</LastModified></Contents><IsTruncated>false</IsTruncated></ListBucketResult>",
            ),
            r#"{"list": "some/folder"}"#,
            Kind::NotFound,
            Applied::No,
        ),
    ] {
        let server = FaultServer::start().await;
        for path in ["/bucket/f", "/bucket"] {
            server.on(path, [answer.clone()]);
        }
        let docs = Docs::with(&s3_at(&server.url(), "sesame-4711", "")).await;
        if kind == Kind::NotFound {
            // A list that names what was not asked for is no reason to panic.
            let _ = docs.run(op, "{}").await;
            continue;
        }
        let error = docs.fails(op, "{}").await;
        assert_eq!((error.kind(), error.was_applied()), (kind, applied), "{answer:?}: {error} {error:?}");
        assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
        assert!(error.public().contains("`shop`") && !error.public().contains("S3Error"), "{error}");
    }
}

/// A folder of S3 is a part of names.
#[tokio::test]
async fn folders_of_s3_are_found_by_what_is_in_them() {
    let server = FaultServer::start().await;
    let none = Answer::body(404, "application/xml", "<Error><Code>NoSuchKey</Code></Error>");
    let list = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>n/x</Key><Size>1</Size><LastModified>2020-01-01T00:00:00Z</LastModified></Contents></ListBucketResult>";
    for path in ["/bucket/n", "/bucket/n/"] {
        server.on(path, [none.clone()]);
    }
    server.on("/bucket", [Answer::body(200, "application/xml", list)]);
    let docs = Docs::with(&s3_at(&server.url(), "sesame-4711", "")).await;
    assert_eq!(docs.get("stat n", "{}").await, r#"{"path":"n","type":"folder"}"#);
}

#[tokio::test]
async fn retry_after_is_handed_on() {
    let server = FaultServer::start().await;
    let busy = Answer::body(503, "text/plain", "busy").with("retry-after", "7");
    server.on("/bucket/f", [busy]);
    let docs = Docs::with(&s3_at(&server.url(), "sesame-4711", "")).await;
    let error = docs.fails("delete f", "{}").await;
    assert_eq!(error.retry_advice(), Retry::After(std::time::Duration::from_secs(7)), "{error:?}");
    assert_eq!(error.status_code(), Some(503));
}

/// An answer without end fills no memory.
#[tokio::test]
async fn too_much_is_not_read() {
    let server = FaultServer::start().await;
    server.on("/bucket", [Answer::body(200, "application/xml", vec![b' '; 17 << 20])]);
    let docs = Docs::with(&s3_at(&server.url(), "sesame-4711", "")).await;
    let error = docs.fails("list .", "{}").await;
    assert!(error.public().contains("more than it was asked for"), "{error}");
}

#[derive(Debug)]
struct Inside;

#[async_trait]
impl Lookup for Inside {
    async fn lookup(&self, _: &str) -> Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(vec![[127, 0, 0, 1].into()])
    }
}

/// A name that resolves to an address inside is refused unless the system is private.
#[tokio::test]
async fn the_guard_holds_for_endpoints() {
    let server = FaultServer::start().await;
    let port = server.address().port();
    for (store, private) in [("s3", false), ("webdav", false), ("s3", true)] {
        let place = if store == "s3" {
            format!(r#""s3": {{"bucket": "bucket", "region": "x", "endpoint": "http://store.test:{port}"}}"#)
        } else {
            format!(r#""webdav": {{"url": "http://store.test:{port}/dav"}}"#)
        };
        let mut d = renkei_core::Diagnostics::default();
        let config = super::json(&format!(r#"{{"private": {private}, {place}}}"#));
        let config =
            <super::super::Config as renkei_core::FromNode>::from_node(&super::node(&config), &mut d);
        let system = super::super::FilesSystem { name: "docs".into(), config: Arc::new(config.unwrap()) };
        let connection = system.connect_with(Arc::new(Inside), &ConnectContext::new("/")).await.unwrap();
        let request = super::request(prepare(&system, "list .").unwrap(), &Value::object());
        let cx = super::context();
        let done = connection.call.call(&cx, &request).await;
        assert_eq!(cx.attempt.was_sent(), private);
        if !private {
            let error = done.unwrap_err();
            assert_eq!((error.kind(), error.was_applied()), (Kind::Forbidden, Applied::No), "{error}");
            assert!(error.public().contains("set `private: true`"), "{error}");
            assert_eq!(server.connections(), 0);
        }
    }
    assert_eq!(server.connections(), 1);
}

/// Where the requests go: the bucket in the host with Amazon, in the path elsewhere.
#[tokio::test]
async fn keys_of_the_environment_are_not_used() {
    let server = FaultServer::start().await;
    server.on("/bucket", [Answer::body(200, "application/xml", "<ListBucketResult/>")]);
    let config = format!(
        r#"{{"private": true, "s3": {{"bucket": "bucket", "region": "us-east-1", "endpoint": "{}"}}}}"#,
        server.url()
    );
    let docs = Docs::with(&config).await;
    assert_eq!(docs.get("list .", "{}").await, "[]");
    let request = server.only();
    assert_eq!(request.header("authorization"), None);
    assert!(read_system(&config).is_ok());
}

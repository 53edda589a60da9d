//! Values go in and out unchanged.

use std::sync::Arc;

use futures_util::future::join_all;
use renkei_core::{Applied, Kind, Value};

use crate::subject::{Ask, Capability, Running, Size, context, id, item, prepare, request, subjects};

#[tokio::test]
async fn an_item_is_read_as_it_was_written() {
    for subject in subjects(&[]) {
        let items = Running::start(subject, Size::Default).await;
        for (at, (text, number)) in [
            ("plain", 0),
            ("ä ß 漢字 😀 \u{202e}", i64::MAX),
            ("", i64::MIN),
            ("  spaces  ", -1),
            ("a\nb\tc", 1 << 53),
        ]
        .into_iter()
        .enumerate()
        {
            let item = item(at as i64, text, number);
            items.ask(Ask::Put, &item).await.unwrap();
            let back = items.get(Ask::Get, &id(at as i64)).await;
            // Exact digits, too.
            assert_eq!(back.to_json(), item.to_json(), "{}", subject.kind().name());
        }
        let list = items.all().await;
        assert_eq!(list.as_array().map(<[_]>::len), Some(5));
    }
}

#[tokio::test]
async fn absent_and_null_are_nothing_and_never_a_text() {
    for subject in subjects(&[]) {
        let items = Running::start(subject, Size::Default).await;
        let absent = Value::from([("id", Value::from(1i64)), ("text", "a".into()), ("number", 1i64.into())]);
        items.ask(Ask::Put, &absent).await.unwrap();
        items.ask(Ask::Put, &item(2, "b", 2)).await.unwrap();
        for at in [1, 2] {
            let note = items.get(Ask::Get, &id(at)).await.get("note").cloned();
            assert!(matches!(note, None | Some(Value::Null)), "{}: {note:?}", subject.kind().name());
        }
    }
}

/// Whatever a text looks like to the system, it is a text: it comes back, and nothing else has changed.
#[tokio::test]
async fn no_text_injects() {
    for subject in subjects(&[]) {
        let items = Running::start(subject, Size::Default).await;
        let bystander = item(1, "bystander", 7);
        items.ask(Ask::Put, &bystander).await.unwrap();
        for text in ADVERSARIAL {
            let item = item(2, text, 1);
            if let Err(error) = items.ask(Ask::Put, &item).await {
                // Some systems cannot keep this one character, and say so.
                let excused = subject.capabilities().contains(&Capability::NoNul) && text.contains('\0');
                assert!(excused, "{}: {text}: {error}", subject.kind().name());
                assert_eq!((error.kind(), error.was_applied()), (Kind::Invalid, Applied::No));
                assert!(error.public().contains("U+0000"), "{error}");
                continue;
            }
            assert_eq!(items.get(Ask::Get, &id(2)).await, item, "{}", subject.kind().name());
            let all = items.all().await;
            assert_eq!(all, vec![bystander.clone(), item].into(), "{}: {text}", subject.kind().name());
        }
    }
}

const ADVERSARIAL: &[&str] = &[
    "'; drop table items; --",
    "' or ''='",
    "\" or \"\"=\"",
    "1; delete from items",
    "') , (3, 'x', 1, null) --",
    "\\'",
    "?1 ? :a @a $1",
    "${.id}",
    "$${.id}",
    "${env.HOME}",
    "${$caller.name}",
    "\",\"id\":1,\"x\":\"",
    "{\"id\":1}",
    "[1]",
    "null",
    "true",
    "0",
    "1e999",
    "a\r\nX-Evil: 1\r\n\r\nGET /items/1 HTTP/1.1",
    "../1",
    "..%2f1",
    "%2e%2e/1",
    "1?x=y&id=1#top",
    "/items/1",
    "//evil.example/",
    "<script>alert(1)</script>",
    "&amp;&lt;",
    "%s%n%00",
    "a\u{0}b",
    "\u{feff}bom",
    "\u{2028}\u{2029}",
    "＇ʼ＂",
    "e\u{301}",
    "é",
    " ",
    "\t",
    "`id`",
    "$(id)",
    "|id",
    "--",
    "/*",
    "*/",
    "%",
    "_",
    "\\u0027",
    "A\u{10ffff}",
];

/// One prepared operation serves many calls at once, and none sees another one's values.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_do_not_mix() {
    for subject in subjects(&[]) {
        let items = Running::start(subject, Size::Default).await;
        for at in 0..20 {
            items.ask(Ask::Put, &item(at, &format!("text {at}"), at)).await.unwrap();
        }
        let op = Arc::new(prepare(&*items.system, &subject.op(Ask::Get).unwrap()).unwrap());
        let replies = join_all((0..20).map(|at| {
            let (call, request) = (items.call.clone(), request(op.clone(), &id(at)));
            async move { call.call(&context(), &request).await.unwrap().value.into_value() }
        }))
        .await;
        for (at, reply) in replies.iter().enumerate() {
            assert_eq!(reply, &item(at as i64, &format!("text {at}"), at as i64));
        }
    }
}

/// What is too much is cut with a notice, or refused; either way the limit has a name.
#[tokio::test]
async fn too_much_is_told_by_the_name_of_the_limit() {
    for subject in subjects(&[]) {
        let items = Running::start(subject, Size::Small).await;
        let text = "x".repeat(300);
        for at in 0..20 {
            items.ask(Ask::Put, &item(at, &text, at)).await.unwrap();
        }
        let words = match items.ask(Ask::List, &Value::object()).await {
            Ok(reply) => {
                assert_eq!(reply.meta.get("truncated"), Some(&Value::Bool(true)));
                assert!(reply.value.into_value().to_json().len() <= 1_000);
                reply.notices.join("\n")
            }
            Err(error) => error.public().to_owned(),
        };
        assert!(words.contains("max_") && words.contains("1KB"), "{}: {words}", subject.kind().name());
        // Below the limit all is there.
        assert_eq!(items.get(Ask::Get, &id(3)).await, item(3, &text, 3));
    }
}

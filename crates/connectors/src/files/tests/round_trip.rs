//! What is written is read, byte for byte.

use base64::Engine as _;
use proptest::{prelude::*, test_runner::TestRunner};
use renkei_core::{Payload, Value};
use renkei_testkit::store::StoreServer;

use super::Docs;

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..Default::default() })
}

/// Bytes that are a text come back as one, others as they are.
async fn round_trip(docs: &Docs, bytes: &[u8]) -> Result<(), TestCaseError> {
    let base64 = base64::engine::general_purpose::STANDARD.encode(bytes);
    let written =
        docs.ask(r#"{"write": "f", "base64": "${.b}"}"#, &Value::from([("b", base64)])).await.unwrap();
    prop_assert_eq!(written.meta.get("size"), Some(&Value::from(bytes.len())));
    match (docs.reply("read f", "{}").await.value, std::str::from_utf8(bytes)) {
        (Payload::Json(Value::String(text)), Ok(expected)) => {
            prop_assert_eq!(&*text, expected);
            docs.ask(r#"{"write": "g", "content": "${.t}"}"#, &Value::from([("t", expected)])).await.unwrap();
            let copy = docs.reply(r#"{"read": "g", "as": "bytes"}"#, "{}").await.value;
            let Payload::Blob { bytes: copy, .. } = copy else { panic!() };
            prop_assert_eq!(&copy[..], bytes);
        }
        (Payload::Blob { bytes: read, .. }, Err(_)) => prop_assert_eq!(&read[..], bytes),
        (value, _) => prop_assert!(false, "{:?}", value),
    }
    Ok(())
}

/// The parts of a text, each from where the one before says, are the text.
async fn in_parts(docs: &Docs, text: &str, most: u64) -> Result<(), TestCaseError> {
    docs.ask(r#"{"write": "f", "content": "${.t}"}"#, &Value::from([("t", text)])).await.unwrap();
    let (mut all, mut from) = (String::new(), 0);
    loop {
        let input = Value::from([("o", Value::from(from)), ("l", most.into())]);
        let part = docs.ask(r#"{"read": "f", "offset": "${.o}", "limit": "${.l}"}"#, &input).await.unwrap();
        let more = part.meta.get("truncated") == Some(&Value::Bool(true));
        prop_assert_eq!(more, !part.notices.is_empty());
        let value = part.value.into_value();
        all += value.as_str().unwrap();
        from = all.len() as u64;
        if !more {
            break;
        }
    }
    prop_assert_eq!(all, text);
    Ok(())
}

fn check(docs: &Docs, runtime: &tokio::runtime::Runtime, cases: u32) {
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        ".{0,60}".prop_map(String::into_bytes),
        Just(Vec::new()),
    ];
    runner(cases).run(&bytes, |bytes| runtime.block_on(round_trip(docs, &bytes))).unwrap();
    let parts = ("[a-zä漢😀\\n]{0,40}", 4u64..20);
    runner(cases).run(&parts, |(text, most)| runtime.block_on(in_parts(docs, &text, most))).unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn in_a_folder() {
    let runtime = runtime();
    check(&runtime.block_on(Docs::new("")), &runtime, 100);
}

#[test]
fn in_s3() {
    let (runtime, server) = (runtime(), StoreServer::s3("bucket", "key", "sesame-4711"));
    let config = super::remote::s3(&server, "");
    check(&runtime.block_on(Docs::with(&config)), &runtime, 30);
}

#[test]
fn in_webdav() {
    let (runtime, server) = (runtime(), StoreServer::webdav("me", "sesame-4711"));
    let config = super::remote::webdav(&server, "");
    check(&runtime.block_on(Docs::with(&config)), &runtime, 30);
}

//! What becomes of the answer of a tool.

use std::sync::{Arc, Mutex};

use renkei_core::{Applied, CallContext, Kind, Payload, Retry, call::Listener};
use renkei_testkit::upstream::Upstream;

use super::{SECRET, reached, started};
use crate::fixture::{Client, context};

/// The same server over both transports and in both eras.
async fn everywhere(trial: impl AsyncFn(&Client, &str)) {
    let upstream = Upstream::new().await;
    for era in ["modern", "legacy"] {
        let client = started(&upstream, &[era], "").await;
        trial(&client, &format!("stdio {era}")).await;
        for form in ["json", "sse"] {
            let served = upstream.serve(0, &[era, form], &[("SECRET", SECRET)]).await;
            let auth = format!(r#""auth": {{"bearer": "{SECRET}"}}"#);
            let client = reached(&served.url(), &auth).await.unwrap();
            trial(&client, &format!("http {era} {form}")).await;
        }
    }
}

#[tokio::test]
async fn results_are_values() {
    everywhere(async |client, place| {
        let get = async |op: &str| client.get(op, r#"{"n": 12345678901234567890123, "t": "ä\n"}"#).await;
        let echoed = get(r#"{"tool": "echo", "arguments": "${.}"}"#).await;
        assert_eq!(echoed, r#"{"n":12345678901234567890123,"t":"ä\n"}"#, "{place}");
        let absent = get(r#"{"tool": "echo", "arguments": {"a": "${.none}", "b": null}}"#).await;
        assert_eq!(absent, r#"{"b":null}"#, "{place}");
        assert_eq!(get(r#"{"tool": "say", "arguments": {"text": "${.t}"}}"#).await, r#""ä\n""#, "{place}");
        assert_eq!(get(r#"{"tool": "echo", "as": "text"}"#).await, r#""{}""#, "{place}");
        assert_eq!(get(r#"{"tool": "list", "as": "json"}"#).await, "[]", "{place}");
        let parts = client.reply("parts", "{}").await;
        assert_eq!(parts.value.into_value().as_array().map(<[_]>::len), Some(2), "{place}");
        let picture = client.reply("picture", "{}").await;
        assert!(
            matches!(&picture.value, Payload::Blob { bytes, mime_type } if &bytes[..] == b"\x89PNG" && &**mime_type == "image/png"),
            "{place}: {picture:?}"
        );
        assert_eq!(picture.meta.get("structured").and_then(renkei_core::Value::as_bool), Some(false));
    })
    .await;
}

#[tokio::test]
async fn failures_are_classed() {
    everywhere(async |client, place| {
        let error = client.fails(r#"{"tool": "fail", "arguments": {"text": "out of stock"}}"#, "{}").await;
        assert_eq!(
            (error.kind(), error.was_applied(), error.retry_advice()),
            (Kind::Rejected, Applied::Unknown, Retry::Never),
            "{place}: {error}"
        );
        assert!(error.public().contains("out of stock") && error.public().contains("`fail`"), "{error}");
        let error = client.fails(r#"{"tool": "fail", "effect": "read"}"#, "{}").await;
        assert_eq!((error.kind(), error.was_applied()), (Kind::Rejected, Applied::No), "{place}");
        let op =
            r#"{"tool": "fail", "arguments": {"text": "Out of stock"}, "errors": {"*stock*": "conflict"}}"#;
        let error = client.fails(op, "{}").await;
        assert_eq!((error.kind(), error.was_applied()), (Kind::Conflict, Applied::No), "{place}");
        for (code, kind, applied) in [
            (-32602, Kind::Invalid, Applied::No),
            (-32603, Kind::Unavailable, Applied::Unknown),
            (-32001, Kind::Timeout, Applied::Unknown),
            (-32042, Kind::Unauthenticated, Applied::No),
            (-32099, Kind::Rejected, Applied::Unknown),
            (7, Kind::Rejected, Applied::Unknown),
        ] {
            let op = format!(r#"{{"tool": "fault", "arguments": {{"code": {code}}}}}"#);
            let error = client.fails(&op, "{}").await;
            assert_eq!((error.kind(), error.was_applied()), (kind, applied), "{place}: {code}: {error}");
        }
        let error = client.fails("no_such_tool", "{}").await;
        assert_eq!((error.kind(), error.was_applied()), (Kind::Invalid, Applied::No), "{place}: {error}");
        let error = client.fails("wants_input", "{}").await;
        assert_eq!(error.kind(), Kind::Rejected, "{place}: {error}");
        assert!(error.public().contains("question"), "{error}");
        let error = client.fails("tell_secret", "{}").await;
        assert!(
            !format!("{error} {error:?}").contains(SECRET) && error.public().contains("***"),
            "{place}: {error}"
        );
    })
    .await;
}

#[derive(Default)]
struct Heard(Mutex<Vec<(Option<f64>, String)>>);

impl Listener for Heard {
    fn note(&self, note: &str) {
        self.0.lock().unwrap().push((None, note.to_owned()));
    }

    fn share(&self, share: f64, note: &str) {
        self.0.lock().unwrap().push((Some(share), note.to_owned()));
    }
}

#[tokio::test]
async fn progress_is_passed_on() {
    everywhere(async |client, place| {
        let heard = Arc::new(Heard::default());
        let cx = CallContext { listener: Some(heard.clone()), ..context() };
        client.call().call(&cx, &client.request("steps", "{}")).await.unwrap();
        let heard = heard.0.lock().unwrap().clone();
        let expected = [(0.25, "step 1"), (0.5, "step 2"), (0.75, "step 3")];
        assert_eq!(heard, expected.map(|(share, note)| (Some(share), note.to_owned())), "{place}");
    })
    .await;
}

/// A server may ask us, too: a ping is answered, what we do not offer is refused.
#[tokio::test]
async fn what_a_server_asks_is_answered() {
    let upstream = Upstream::new().await;
    let served = upstream.serve(0, &["legacy"], &[]).await;
    for client in [started(&upstream, &["legacy"], "").await, reached(&served.url(), "").await.unwrap()] {
        let asked = async |method: &str| {
            client
                .get(&format!(r#"{{"tool": "ask_client", "arguments": {{"method": "{method}"}}}}"#), "{}")
                .await
        };
        assert_eq!(asked("ping").await, r#"{"result":{}}"#);
        assert!(asked("sampling/createMessage").await.contains("-32601"));
        assert!(asked("roots/list").await.contains("-32601"));
    }
}

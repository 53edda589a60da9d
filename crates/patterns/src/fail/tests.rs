//! Which error comes out.

use std::time::Duration;

use renkei_core::{Diagnostics, Kind, tool::Tools};

use crate::fake::{Bench, Fake, Named, Tool, context, read, systems, value};

async fn error(fail: &str) -> (Kind, String, Option<i32>) {
    let tool = Tool { action: Some(format!(r#"{{ "fail": {fail} }}"#)), ..Tool::default() };
    let result = Bench::new(tool).engine.call(context(), "t", value(r#"{ "id": 7 }"#), None).await.unwrap();
    let error = result.error.unwrap();
    (error.kind(), error.to_string(), error.protocol_code())
}

#[tokio::test(start_paused = true)]
async fn fails_as_it_is_told() {
    for (fail, kind, message, code) in [
        (r#"{ "message": "no ${.id}" }"#, Kind::Rejected, "no 7", None),
        (r#"{ "message": "${.}", "kind": "not_found" }"#, Kind::NotFound, r#"{"id":7}"#, None),
        (r#"{ "message": "${.none}" }"#, Kind::Rejected, "no reason was given", None),
        (r#"{ "message": "x", "protocol": false }"#, Kind::Rejected, "x", None),
        (r#"{ "message": "x", "protocol": true }"#, Kind::Rejected, "x", Some(-32603)),
        (r#"{ "message": "x", "kind": "invalid", "protocol": true }"#, Kind::Invalid, "x", Some(-32602)),
        (r#"{ "message": "x", "protocol": 4001 }"#, Kind::Rejected, "x", Some(4001)),
        (r#"{ "message": "x", "protocol": -32602 }"#, Kind::Rejected, "x", Some(-32602)),
    ] {
        assert_eq!(error(fail).await, (kind, message.to_owned(), code), "{fail}");
    }
    let long = error(r#"{ "message": "${\"x\" * 3000}" }"#).await.1;
    assert_eq!(long.len(), 2000);
}

#[test]
fn says_what_is_wrong() {
    let systems = systems(Fake { ledger: Default::default(), connect_takes: Duration::ZERO });
    let taken = |code: &str| format!("the code {code} has a meaning of its own in JSON-RPC or MCP");
    for (fail, expected) in [
        (r#"{ "kind": "rejected" }"#, "the key `message` is missing".to_owned()),
        (r#"{ "message": 5 }"#, "expected a text, found the number `5`".to_owned()),
        (r#"{ "message": "x", "protocol": -32000 }"#, taken("-32000")),
        (r#"{ "message": "x", "protocol": -32601 }"#, taken("-32601")),
        (r#"{ "message": "x", "protocol": -32768 }"#, taken("-32768")),
        (
            r#"{ "message": "x", "protocol": 5000000000 }"#,
            "expected a code of at most 32 bits, found the number `5000000000`".to_owned(),
        ),
        (
            r#"{ "message": "x", "protocol": "yes" }"#,
            "expected `true` or a code such as `-32602`, found the text `yes`".to_owned(),
        ),
    ] {
        let mut d = Diagnostics::default();
        let action =
            read(&format!(r#"{{ "fail": {fail} }}"#), &Named { systems: &systems, actions: &[] }, &mut d);
        assert!(action.is_none());
        let messages: Vec<&str> = d.iter().map(|d| &*d.message).collect();
        assert_eq!(messages, [expected.as_str()], "{fail}");
    }
}

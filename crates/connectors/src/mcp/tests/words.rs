//! Config tests speak of tools in the words of the protocol.

use renkei_core::{ConnectorKind as _, Diagnostics, Kind, Value, connector::Came};

use crate::{
    fixture::{json, node, prepare, read_system, request, texts},
    mcp::Mcp,
};

fn answered(op: &str, answer: &str) -> Result<renkei_core::Reply, renkei_core::Error> {
    let system = read_system(&Mcp, &json(r#"{"command": "npx"}"#)).unwrap();
    let mut d = Diagnostics::default();
    let read = Mcp.read_answer(&node(&json(answer)), &mut d).unwrap_or_else(|| panic!("{:?}", texts(&d)));
    read.answer(&request(prepare(&*system, op).unwrap(), "{}"))
}

#[test]
fn an_answer_is_read_as_if_it_came() {
    let value = |op: &str, answer: &str| answered(op, answer).unwrap().value.into_value().to_json();
    assert_eq!(value("a", r#"{"text": "x"}"#), r#""x""#);
    assert_eq!(value("a", r#"{"structured": {"n": 1.10}}"#), r#"{"n":1.10}"#);
    assert_eq!(value(r#"{"tool": "a", "as": "text"}"#, r#"{"structured": {"n": 1}}"#), r#""{\"n\":1}""#);
    assert_eq!(value(r#"{"tool": "a", "as": "json"}"#, r#"{"text": "[1, 2.50]"}"#), "[1,2.50]");
    assert_eq!(
        value("a", r#"{"content": ["x", "y"]}"#),
        r#"[{"type":"text","text":"x"},{"type":"text","text":"y"}]"#
    );
    let error = answered(
        r#"{"tool": "a", "errors": {"*no such*": "not_found"}}"#,
        r#"{"tool_error": "No such thing"}"#,
    );
    assert_eq!(error.unwrap_err().kind(), Kind::NotFound);
    let mut d = Diagnostics::default();
    Mcp.read_answer(&node(&json(r#"{"text": "x", "tool_error": "y"}"#)), &mut d);
    assert!(texts(&d).join("").contains("at once"));
}

#[test]
fn a_request_has_short_forms() {
    let read = |text: &str| {
        let mut d = Diagnostics::default();
        Mcp.read_request(&crate::fixture::op(text), &mut d)
            .map(|value| value.to_json())
            .ok_or_else(|| texts(&d).join(""))
    };
    assert_eq!(read("get_time").unwrap(), r#"{"tool":"get_time"}"#);
    assert_eq!(read(r#"{"arguments": {"a": 1}}"#).unwrap(), r#"{"arguments":{"a":1}}"#);
    assert!(read(r#"{"argumets": {}}"#).unwrap_err().contains("did you mean `arguments`"));
    assert!(read(r#"{"tool": 1}"#).is_err());
    let shown = json(r#"{"tool": "a", "arguments": {}}"#);
    assert_eq!(Mcp.write_request(&shown).to_json(), r#""a""#);
    let shown = json(r#"{"tool": "a", "arguments": {"x": 1}}"#);
    assert_eq!(Mcp.write_request(&shown), shown);
}

/// What is recorded of an answer reads as that answer.
#[test]
fn what_is_written_is_read_again() {
    let system = read_system(&Mcp, &json(r#"{"command": "npx"}"#)).unwrap();
    for result in [
        r#"{"content": [{"type": "text", "text": "x"}]}"#,
        r#"{"content": [{"type": "text", "text": "{\"a\":1}"}], "structuredContent": {"a": 1}}"#,
        r#"{"content": [{"type": "text", "text": "one"}], "structuredContent": {"a": 1}}"#,
        r#"{"content": [{"type": "text", "text": "x"}, {"type": "image", "data": "AAAA", "mimeType": "image/png"}]}"#,
    ] {
        let answer: super::super::message::Answer = Ok(json(result));
        let request = request(prepare(&*system, "a").unwrap(), "{}");
        let plan = super::super::Plan::of(&request, &request.op.system).unwrap();
        let live = super::super::reply::reply(&request, plan, &answer, &[]);
        let shown = super::super::answer::shown(&answer, &[]);
        let came = Came { request: &request, result: &live, answered: Some(&shown) };
        let written = Mcp.write_answer(&came);
        assert!(!written.is_empty(), "{result}");
        let (live, last) = (live.unwrap(), written.last().unwrap());
        let again = answered("a", &last.to_json()).unwrap();
        assert_eq!(again.value.into_value(), live.value.into_value(), "{result}: {last}");
        assert_eq!(again.meta, live.meta, "{result}: {last}");
        let _: &Value = last;
    }
}

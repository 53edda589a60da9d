//! What is said about a config and an operation before anything is started.

use renkei_core::{Effect, Value};

use crate::{
    fixture::{json, prepare, read_system},
    mcp::Mcp,
};

fn wrong(config: &str) -> Vec<String> {
    read_system(&Mcp, &json(config)).expect_err("the config is wrong")
}

fn told(config: &str, words: &[&str]) {
    let told = wrong(config).join("\n");
    for word in words {
        assert!(told.contains(word), "{config}: {told}");
    }
}

#[test]
fn a_server_is_in_one_place() {
    told("{}", &["not said where the server is", "command", "url"]);
    told(r#"{"command": "npx", "url": "https://a.example"}"#, &["not both", "a system for each"]);
    told(r#"{"command": "npx", "auth": {"bearer": "x"}}"#, &["`auth` belongs to `url`"]);
    told(r#"{"url": "https://a.example", "args": ["x"]}"#, &["`args` belongs to `command`"]);
    told(r#"{"command": ""}"#, &["expected a path"]);
    told(r#"{"command": "npx", "env": {"A=B": "x"}}"#, &["`A=B` cannot be a variable"]);
    told(r#"{"command": "npx", "comand": 1}"#, &["`comand`", "did you mean"]);
}

#[test]
fn an_address_is_checked_like_that_of_http() {
    told(r#"{"url": "http://127.0.0.1:1/mcp"}"#, &["`url`", "private: true"]);
    told(r#"{"url": "ftp://a.example"}"#, &["scheme `ftp`", "command"]);
    told(r#"{"url": "https://u:p@a.example"}"#, &["user name or a password", "basic"]);
    told(r#"{"url": "https://a.example#x"}"#, &["fragment"]);
    told(r#"{"url": "https://a.example", "no_proxy": ["b"]}"#, &["`no_proxy` without `proxy`"]);
    told(
        r#"{"url": "https://a.example", "auth": {"bearer": "${$caller.name}"}}"#,
        &["`auth` uses `$caller`", "own credentials"],
    );
    told(r#"{"url": "https://a.example", "headers": {"X-Key": "${$key}"}}"#, &["`headers` uses `$key`"]);
}

#[test]
fn limits_have_bounds() {
    told(r#"{"command": "npx", "max_message": "10B"}"#, &["`max_message`"]);
    told(r#"{"command": "npx", "max_message": "2GiB"}"#, &["`max_message`"]);
    told(r#"{"command": "npx", "max_calls": 0}"#, &["`max_calls`"]);
}

#[test]
fn an_operation_is_a_tool_and_its_arguments() {
    let system = read_system(&Mcp, &json(r#"{"command": "npx"}"#)).unwrap();
    let short = prepare(&*system, "get_time").unwrap();
    assert_eq!((&*short.label, short.effect, short.slots.len()), ("get_time", Effect::Write, 0));
    let long =
        prepare(&*system, r#"{"tool": "get", "arguments": {"id": "${.id}"}, "effect": "read"}"#).unwrap();
    assert_eq!((&*long.label, long.effect, long.slots.len()), ("get", Effect::Read, 1));
    let keyed = prepare(&*system, r#"{"tool": "pay", "idempotency_key": "request_id"}"#).unwrap();
    assert!(keyed.carries_key);
    let told = |op: &str, words: &[&str]| {
        let told = prepare(&*system, op).expect_err("the operation is wrong").join("\n");
        for word in words {
            assert!(told.contains(word), "{op}: {told}");
        }
    };
    told("", &["1 to 128 bytes"]);
    told("${.tool}", &["no templates", "switch"]);
    told(r#"{"arguments": {}}"#, &["`tool`"]);
    told(r#"{"tool": "a", "argument": {}}"#, &["`argument`", "did you mean `arguments`"]);
    told(r#"{"tool": "a", "arguments": [1]}"#, &["`arguments` is a list"]);
    told(r#"{"tool": "a", "arguments": "text"}"#, &["`arguments` is string"]);
    told(r#"{"tool": "a", "arguments": {"id": 1}, "idempotency_key": "id"}"#, &["set by `arguments` and by"]);
    told(r#"{"tool": "a", "errors": {"*": "not_fund"}}"#, &["did you mean `not_found`"]);
    told(r#"{"tool": "a", "errors": {"": "not_found"}}"#, &["the pattern is empty"]);
    told(r#"{"tool": "a", "effect": "reed"}"#, &["read"]);
}

#[test]
fn what_is_secret_is_known() {
    let system = read_system(&Mcp, &json(r#"{"command": "npx", "env": {"KEY": "geheim"}}"#)).unwrap();
    assert_eq!(
        system.secrets().iter().map(|secret| secret.expose().to_owned()).collect::<Vec<_>>(),
        ["geheim"]
    );
    assert!(!format!("{system:?}").contains("geheim"));
    let system =
        read_system(&Mcp, &json(r#"{"url": "https://a.example", "auth": {"bearer": "geheim"}}"#)).unwrap();
    assert!(system.secrets().iter().any(|secret| secret.expose() == "geheim"));
    let _: Value = json("{}");
}

//! Tools that are offered to be served as ours.

use std::sync::Arc;

use renkei_core::{Connection, Request, Scope, Value, connector::Offer};
use renkei_testkit::upstream::Upstream;
use tokio::sync::watch;

use super::{patient, program, system};
use crate::fixture::{context, json, read_system};

type Offered = watch::Receiver<Option<Arc<Offer>>>;

const ALL: &str = r#""expose": {"tools": true}"#;
const FIVE: &str = "shop_echo shop_say shop_parts shop_fail shop_grow";

async fn connected(config: &Value) -> (Connection, Offered) {
    let connection =
        system(config).connect(&patient()).await.unwrap_or_else(|error| panic!("{error} {error:?}"));
    let offered = connection.offer.clone().expect("it offers something");
    (connection, offered)
}

fn at(url: &str, more: &str) -> Value {
    json(&format!(r#"{{"url": "{url}", "private": true, {more}}}"#))
}

fn names(offer: &Offer) -> String {
    offer.tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>().join(" ")
}

/// Waits until that is offered.
async fn wait(offered: &mut Offered, expected: &str) -> Arc<Offer> {
    let there = |offer: &Option<Arc<Offer>>| offer.as_ref().is_some_and(|offer| names(offer) == expected);
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), offered.wait_for(there)).await;
    match waited {
        Ok(offer) => offer.expect("the connection is there").clone().expect("something is offered"),
        Err(_) => panic!("{expected} is not offered"),
    }
}

async fn call(connection: &Connection, offer: &Offer, tool: &str, input: &str) -> Value {
    let tool = offer.tools.iter().find(|offered| &*offered.name == tool).expect(tool);
    let scope = Scope::new(json(input));
    let params = tool.op.slots.iter().map(|slot| slot.render(&scope).unwrap()).collect::<Vec<_>>();
    let (op, effect) = (tool.op.clone(), tool.op.effect);
    let request = Request { op, params: params.into(), effect, key: None, vars: Arc::default(), page: None };
    let reply =
        connection.call.call(&context(), &request).await.unwrap_or_else(|error| panic!("{error} {error:?}"));
    reply.value.into_value()
}

#[tokio::test]
async fn programs_of_each_era_say_when_they_have_other_tools() {
    for mode in ["legacy", "modern"] {
        let upstream = Upstream::new().await;
        let (connection, mut offered) = connected(&program(&upstream, &[mode], ALL)).await;
        let offer = wait(&mut offered, FIVE).await;
        call(&connection, &offer, "shop_grow", "{}").await;
        let offer = wait(&mut offered, &format!("{FIVE} shop_extra_1")).await;
        let result = call(&connection, &offer, "shop_extra_1", "{}").await;
        assert_eq!(result.to_json(), r#"{"content":[{"type":"text","text":"extra_1"}]}"#, "{mode}");
    }
}

#[tokio::test]
async fn servers_of_each_era_say_when_they_have_other_tools() {
    for mode in ["legacy", "modern"] {
        let upstream = Upstream::new().await;
        let served = upstream.serve(0, &[mode], &[]).await;
        let (connection, mut offered) = connected(&at(&served.url(), ALL)).await;
        let offer = wait(&mut offered, FIVE).await;
        upstream.wait("listening to changes", 1).await;
        call(&connection, &offer, "shop_grow", "{}").await;
        wait(&mut offered, &format!("{FIVE} shop_extra_1")).await;
    }
}

/// Some never tell: they are looked at now and then.
#[tokio::test]
async fn who_does_not_tell_of_changes_is_looked_at() {
    let upstream = Upstream::new().await;
    let served = upstream.serve(0, &["modern", "deaf"], &[]).await;
    let (connection, mut offered) = connected(&at(&served.url(), ALL)).await;
    let offer = wait(&mut offered, FIVE).await;
    call(&connection, &offer, "shop_grow", "{}").await;
    wait(&mut offered, &format!("{FIVE} shop_extra_1")).await;
}

#[tokio::test]
async fn a_list_may_come_in_pages() {
    let upstream = Upstream::new().await;
    let some = r#""expose": {"prefix": "", "tools": {"exclude": ["grow"], "rename": {"say": "shop.say"}}}"#;
    let (_connection, mut offered) = connected(&program(&upstream, &["both", "pages"], some)).await;
    wait(&mut offered, "echo shop.say parts fail").await;
}

#[tokio::test]
async fn results_are_whole_whatever_they_say() {
    let upstream = Upstream::new().await;
    let (connection, mut offered) = connected(&program(&upstream, &["both"], ALL)).await;
    let offer = wait(&mut offered, FIVE).await;
    for (tool, input, result) in [
        (
            "shop_echo",
            r#"{"n":1.10}"#,
            r#"{"content":[{"type":"text","text":"{\"n\": 1.1}"}],"structuredContent":{"n":1.1}}"#,
        ),
        (
            "shop_parts",
            "{}",
            r#"{"content":[{"type":"text","text":"a picture"},{"type":"image","data":"iVBORw==","mimeType":"image/png"}]}"#,
        ),
        ("shop_fail", r#"{"text":"no"}"#, r#"{"content":[{"type":"text","text":"no"}],"isError":true}"#),
    ] {
        assert_eq!(call(&connection, &offer, tool, input).await.to_json(), result);
    }
}

/// It tells of a change once, and its list cannot be read just then.
#[tokio::test]
async fn a_changed_list_that_cannot_be_read_is_looked_at_again() {
    let upstream = Upstream::new().await;
    let (connection, mut offered) = connected(&program(&upstream, &["legacy", "slips"], ALL)).await;
    let offer = wait(&mut offered, FIVE).await;
    call(&connection, &offer, "shop_grow", "{}").await;
    wait(&mut offered, &format!("{FIVE} shop_extra_1")).await;
}

/// Its tools cannot be listed: that is no reason not to call them.
#[tokio::test]
async fn a_list_that_fails_harms_no_call() {
    let upstream = Upstream::new().await;
    let config = program(&upstream, &["both", "badlist"], ALL);
    let (connection, offered) = connected(&config).await;
    let client = crate::fixture::Client { system: system(&config), call: Some(connection.call.clone()) };
    assert_eq!(client.get("echo", "{}").await, "{}");
    assert!(offered.borrow().is_none());
}

/// What looks after the list ends with the connection, and lets go of the program.
#[tokio::test]
async fn nothing_is_left_of_a_connection_that_offered() {
    let upstream = Upstream::new().await;
    for mode in ["legacy", "modern"] {
        let before = upstream.count("input closed");
        let (connection, mut offered) = connected(&program(&upstream, &[mode], ALL)).await;
        wait(&mut offered, FIVE).await;
        if mode == "modern" {
            // It would end early over an answer that nobody takes.
            upstream.wait("listening to changes", 1).await;
        }
        drop(connection);
        upstream.wait("input closed", before + 1).await;
        assert!(offered.changed().await.is_err(), "nobody offers anything any more");
    }
}

#[test]
fn what_is_exposed_is_checked() {
    let wrong = |expose: &str| {
        let config = json(&format!(r#"{{"command": "npx", "expose": {expose}}}"#));
        read_system(&super::Mcp, &config).expect_err(expose).join("\n")
    };
    for (expose, words) in [
        ("{}", "add `tools: true`"),
        (r#"{"tools": false}"#, "leave `expose` out"),
        (r#"{"tools": 7}"#, "or a mapping"),
        (r#"{"tools": true, "prefix": "a b"}"#, "cannot begin the names"),
        (r#"{"tools": {"include": [""]}}"#, "a pattern of `include` is empty"),
        (r#"{"tools": {"rename": {"a": "b c"}}}"#, "cannot be the name of a tool"),
        (r#"{"tools": {"rename": {"a": "x", "b": "x"}}}"#, "two tools are renamed to `x`"),
        (r#"{"tools": {"descriptions": {"a": " "}}}"#, "the description is empty"),
        (r#"{"tools": {"effects": {"a": "reed"}}}"#, "read"),
        (r#"{"tools": {"max_tools": 0}}"#, "`max_tools` is between"),
        (r#"{"tools": {"only": []}}"#, "`only`"),
    ] {
        let told = wrong(expose);
        assert!(told.contains(words), "{expose}: {told}");
    }
    let prefix = |more: &str| {
        let config = json(&format!(r#"{{"command": "npx"{more}}}"#));
        system(&config).exposes().map(str::to_owned)
    };
    assert_eq!(prefix(""), None);
    assert_eq!(prefix(r#", "expose": {"tools": true}"#).as_deref(), Some("shop_"));
    assert_eq!(prefix(r#", "expose": {"tools": true, "prefix": ""}"#).as_deref(), Some(""));
}

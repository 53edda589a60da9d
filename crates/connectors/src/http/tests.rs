//! The connector against a server that tells what came over the wire.

mod breaker;
mod conditions;
mod errors;
mod faults;
mod inject;
mod network;
mod oauth;
mod pages;
mod proxy;
mod reading;
mod replies;
mod requests;
mod revalidate;
mod secure;
mod show;

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{
    Call, CallContext, ConnectContext, ConnectorKind as _, Diagnostics, Effect, Error, Node, Params, Payload,
    PreparedOp, Principal, Reply, Request, Scope, System as _, Value, template::Names,
};
use renkei_testkit::fault::FaultServer;
use tokio::time::Instant;

use super::{Config, FromNode as _, HttpSystem, guard::Lookup};
use crate::fixture::{self, json as value, op as op_node, text_node};

/// JSON as a tree of the config.
fn node(json: &str) -> Node {
    fixture::node(&value(json))
}

/// Messages with their hints.
fn texts(d: &Diagnostics) -> Vec<String> {
    d.iter()
        .map(|x| match &x.hint {
            Some(hint) => format!("{} | {hint}", x.message),
            None => x.message.clone(),
        })
        .collect()
}

/// A system whose config is `base_url` of a server, `private`, and `more` (members of a JSON object).
fn system_at(base_url: &str, more: &str) -> HttpSystem {
    let comma = if more.is_empty() { "" } else { ", " };
    read_system(&format!(r#"{{"base_url": "{base_url}", "private": true{comma}{more}}}"#))
}

fn read_system(json: &str) -> HttpSystem {
    let mut d = Diagnostics::default();
    let config = Config::from_node(&node(json), &mut d);
    assert!(d.is_empty(), "{json}: {:?}", texts(&d));
    HttpSystem { name: "shop".into(), config: Arc::new(config.unwrap()) }
}

fn refused_system(json: &str) -> Vec<String> {
    let mut d = Diagnostics::default();
    super::Http.read("shop", &node(json), &mut d);
    texts(&d)
}

fn names() -> Names<'static> {
    let vars = ["caller", "key", "run", "now"].map(Into::into).into();
    Names { vars, ..Names::default() }
}

fn prepare(system: &HttpSystem, op: &str) -> PreparedOp {
    let mut d = Diagnostics::default();
    let prepared = system.prepare(&op_node(op), &names(), &mut d);
    assert!(d.is_empty(), "{op}: {:?}", texts(&d));
    prepared.unwrap()
}

fn refused_op(op: &str) -> Vec<String> {
    let mut d = Diagnostics::default();
    let prepared =
        read_system(r#"{"base_url": "https://shop.example.com"}"#).prepare(&op_node(op), &names(), &mut d);
    assert!(prepared.is_none() || !d.has_errors() || !d.is_empty(), "{op}");
    texts(&d)
}

fn scope(input: Value) -> Scope {
    let mut scope = Scope::new(input);
    scope.set("caller", Principal::anonymous().to_value());
    scope.set("key", "run-1/reserve");
    scope.set("run", "run-1");
    scope.set("now", "2026-11-22T00:00:00Z");
    scope
}

/// Like the pattern does it: slots rendered in their order.
fn request(op: PreparedOp, input: Value) -> Result<Request, Error> {
    let scope = scope(input);
    let params: Params =
        op.slots.iter().map(|slot| slot.render(&scope)).collect::<Result<Vec<_>, _>>()?.into();
    let effect = op.effect;
    Ok(Request { op: Arc::new(op), params, effect, key: None, vars: Arc::new(scope), page: None })
}

fn context() -> CallContext {
    CallContext::new(Instant::now() + Duration::from_secs(60), Arc::new(Principal::anonymous()))
}

/// Connections must open within this time.
fn within(timeout: Duration) -> ConnectContext {
    ConnectContext { timeout, ..ConnectContext::new("/") }
}

fn connect(system: &HttpSystem) -> Arc<dyn Call> {
    let stub = Stub::new([("127.0.0.1", "upstream.test")]);
    system.connect_with(stub, &ConnectContext::new("/")).unwrap().call
}

async fn call_on(system: &HttpSystem, op: &str, input: Value) -> Result<Reply, Error> {
    let request = request(prepare(system, op), input)?;
    let reply = connect(system).call(&context(), &request).await;
    if let Err(refused) = system.show(&request) {
        // What cannot be shown is not sent either, for the same reason.
        assert_eq!(reply.as_ref().unwrap_err().to_string(), refused.to_string(), "{op}");
    }
    reply
}

/// Calls a server whose system has `more` in its config.
async fn call_with(server: &FaultServer, more: &str, op: &str, input: &str) -> Result<Reply, Error> {
    call_on(&system_at(&server.url(), more), op, value(input)).await
}

async fn call(server: &FaultServer, op: &str, input: &str) -> Result<Reply, Error> {
    call_with(server, "", op, input).await
}

fn json(reply: Result<Reply, Error>) -> Value {
    match reply.unwrap().value {
        Payload::Json(value) => value,
        blob @ Payload::Blob { .. } => panic!("{blob:?}"),
    }
}

/// Answers lookups from a list that tests may change.
#[derive(Debug)]
struct Stub(std::sync::Mutex<Vec<(IpAddr, String)>>);

impl Stub {
    fn new<const N: usize>(answers: [(&str, &str); N]) -> Arc<Self> {
        let stub = Arc::new(Stub(std::sync::Mutex::default()));
        stub.set(answers);
        stub
    }

    fn set<const N: usize>(&self, answers: [(&str, &str); N]) {
        let answers = answers.map(|(address, host)| (address.parse().unwrap(), host.to_owned()));
        *self.0.lock().unwrap() = answers.into();
    }
}

#[async_trait]
impl Lookup for Stub {
    async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let answers = self.0.lock().unwrap();
        let found: Vec<IpAddr> =
            answers.iter().filter(|(_, name)| name == host).map(|(address, _)| *address).collect();
        if found.is_empty() { Err("no such name".into()) } else { Ok(found) }
    }
}

#[tokio::test]
async fn reaches_a_server() {
    let server = FaultServer::start().await;
    server.on("/customers/7", [renkei_testkit::fault::Answer::json(r#"{"id": 7, "sum": 1.10}"#)]);
    let reply =
        call(&server, "GET /customers/${.id}?expand=${.expand}", r#"{"id": 7, "expand": "a b&c"}"#).await;
    assert_eq!(json(reply).to_json(), r#"{"id":7,"sum":1.10}"#);
    let seen = server.only();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/customers/7?expand=a%20b%26c"));
    assert_eq!(prepare(&system_at(&server.url(), ""), "GET /").effect, Effect::Read);
}

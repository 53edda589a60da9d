//! What the layers cost a call, beside a system that answers at once: `cargo bench -p renkei-layers`.
//!
//! A figure, not a test: it fails nothing. What counts is its ratio to a call over loopback, some 100 µs.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{pin::Pin, sync::Arc, time::Instant};

use async_trait::async_trait;
use renkei_core::{
    Background, Call, CallContext, CallNode, ConnectContext, Connection, Diagnostics, Effect, Entry, Error,
    Node, NodeKind, PreparedOp, Principal, Reply, Request, Result, Span, System, Value,
    connector::SystemPlan, node::Text, template::Names,
};
use renkei_layers::LAYERS;

const CALLS: u32 = 100_000;

#[derive(Debug)]
struct Instantly;

#[async_trait]
impl Call for Instantly {
    async fn call(&self, _: &CallContext, _: &Request) -> Result<Reply> {
        Ok(Reply::json(Value::Null))
    }
}

#[async_trait]
impl System for Instantly {
    fn prepare(&self, _: &Node, _: &Names<'_>, _: &mut Diagnostics) -> Option<PreparedOp> {
        None
    }

    fn show(&self, _: &Request) -> Result<Value> {
        Ok(Value::Null)
    }

    async fn connect(&self, _: &ConnectContext) -> Result<Connection> {
        Err(Error::internal("not here"))
    }
}

struct Spawned;

impl Background for Spawned {
    fn run(&self, work: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(work);
    }
}

fn node(value: &Value) -> Node {
    let kind = match value {
        Value::Object(map) => NodeKind::Map(
            map.iter()
                .map(|(key, value)| Entry { key: key.clone(), key_span: Span::default(), value: node(value) })
                .collect(),
        ),
        Value::String(text) => NodeKind::String(Text::new(text.clone())),
        Value::Number(number) => NodeKind::Number(number.clone()),
        _ => NodeKind::Null,
    };
    Node { kind, span: Span::default() }
}

fn request() -> Request {
    let op = PreparedOp {
        system: "crm".into(),
        label: "GET /customers/{}".into(),
        effect: Effect::Read,
        carries_key: false,
        slots: Vec::new(),
        pages: None,
        plan: Box::new(()),
    };
    let params = vec![Some(Value::from(7i64)), Some(Value::from("some text"))];
    Request {
        op: Arc::new(op),
        params: params.into(),
        effect: Effect::Read,
        key: None,
        vars: Arc::default(),
        page: None,
    }
}

async fn measure(name: &str, call: &dyn Call, cx: &CallContext) {
    let request = request();
    let start = Instant::now();
    for _ in 0..CALLS {
        if let Err(error) = call.call(cx, &request).await {
            println!("{name}: {error}");
            return;
        }
    }
    println!("{name:<40} {:>8} ns a call", start.elapsed().as_nanos() / u128::from(CALLS));
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let system: Arc<Instantly> = Arc::new(Instantly);
    measure("no layers", &*system, &context()).await;
    for (name, config) in [
        ("timeouts only", r#"{ "retry": { "attempts": 1, "budget": "off" } }"#),
        ("the defaults", "{}"),
        (
            "everything but the cache",
            r#"{ "breaker": "on", "limit": { "rate": "1000000/s", "burst": 1000000, "concurrency": 100 } }"#,
        ),
        ("a cached reply", r#"{ "cache": "1h" }"#),
    ] {
        let mut d = Diagnostics::default();
        let config = node(&Value::from_json(config.as_bytes()).unwrap_or_default());
        let layers = LAYERS.read(&config, &mut d);
        let request = request();
        let op = node(&Value::from("GET /customers/${.id}"));
        let settings = layers.read_call(&CallNode { op: &op, prepared: &request.op, settings: &[] }, &mut d);
        let plan = SystemPlan {
            name: "crm".into(),
            kind: "none",
            system: system.clone(),
            layers: layers.clone(),
            fingerprint: 0,
        };
        let call = layers.start(&plan, Arc::new(Spawned)).around(system.clone());
        measure(name, &*call, &CallContext { settings, ..context() }).await;
    }
}

fn context() -> CallContext {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(3600);
    CallContext::new(deadline, Arc::new(Principal::anonymous()))
}

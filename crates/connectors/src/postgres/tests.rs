//! The connector on a real server.

mod config;
mod errors;
mod lifecycle;
mod operations;
mod results;
mod safety;
mod tls;
mod types;

use std::{sync::Arc, time::Duration};

use renkei_core::{
    Call, CallContext, ConnectContext, ConnectorKind as _, Diagnostics, Entry, Error, Node, NodeKind, Params,
    PreparedOp, Principal, Reply, Request, Scope, Span, System, Value, node::Text, template::Names,
};
use renkei_testkit::postgres::Server;
use tokio::time::Instant;

/// JSON as a tree of the config. Each text is where it would be if the file held nothing else.
fn node(value: &Value) -> Node {
    let kind = match value {
        Value::Null => NodeKind::Null,
        Value::Bool(flag) => NodeKind::Bool(*flag),
        Value::Number(number) => NodeKind::Number(number.clone()),
        Value::String(text) => {
            let span = Span { file: 0, start: 0, end: text.len() as u32 };
            let text = Text { verbatim: Some(0), ..Text::new(text.clone()) };
            return Node { kind: NodeKind::String(text), span };
        }
        Value::Array(items) => NodeKind::Seq(items.iter().map(node).collect()),
        Value::Object(map) => NodeKind::Map(
            map.iter()
                .map(|(key, value)| Entry { key: key.clone(), key_span: Span::default(), value: node(value) })
                .collect(),
        ),
    };
    Node { kind, span: Span::default() }
}

fn json(text: &str) -> Value {
    Value::from_json(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// An operation: a statement as it is, or JSON of a mapping.
fn op(text: &str) -> Node {
    node(&if text.starts_with('{') { json(text) } else { text.into() })
}

fn texts(d: &Diagnostics) -> Vec<String> {
    d.iter().map(|d| format!("{} | {}", d.message, d.hint.as_deref().unwrap_or_default())).collect()
}

fn read_system(config: &Value) -> Result<Arc<dyn System>, Vec<String>> {
    let mut d = Diagnostics::default();
    let system = super::Postgres.read("shop", &node(config), &mut d);
    if d.has_errors() { Err(texts(&d)) } else { Ok(system.expect("a system without errors")) }
}

fn prepare(system: &dyn System, text: &str) -> Result<PreparedOp, Vec<String>> {
    let mut d = Diagnostics::default();
    let names = Names { vars: vec!["key".into()], ..Names::default() };
    let prepared = system.prepare(&op(text), &names, &mut d);
    if prepared.is_none() {
        assert!(d.has_errors(), "refused without a word: {text}");
    }
    if d.has_errors() { Err(texts(&d)) } else { Ok(prepared.expect("an operation without errors")) }
}

fn request(op: PreparedOp, input: &str) -> Request {
    let scope = Scope::new(json(input));
    let params: Params = op.slots.iter().map(|slot| slot.render(&scope).unwrap()).collect::<Vec<_>>().into();
    let effect = op.effect;
    Request { op: Arc::new(op), params, effect, key: None, vars: Arc::default(), page: None }
}

fn context() -> CallContext {
    CallContext::new(Instant::now() + Duration::from_secs(60), Arc::new(Principal::anonymous()))
}

/// A database of its own on a server.
struct Shop {
    system: Arc<dyn System>,
    call: Option<Arc<dyn Call>>,
    server: Server,
    database: String,
}

impl Shop {
    /// With the tables that `schema` makes; `more` are members of the config, as JSON.
    async fn new(schema: &str, more: &str) -> Shop {
        Shop::on(Server::shared(), schema, more).await
    }

    async fn on(server: Server, schema: &str, more: &str) -> Shop {
        let database = server.new_database();
        server.run(&database, schema);
        let mut shop = Shop { system: Shop::system(&server, &database, more), call: None, server, database };
        shop.connect().await.unwrap();
        shop
    }

    fn system(server: &Server, database: &str, more: &str) -> Arc<dyn System> {
        let comma = if more.is_empty() { "" } else { ", " };
        read_system(&json(&format!("{{\"url\": \"{}\"{comma}{more}}}", server.url(database)))).unwrap()
    }

    /// Another system on the same database, connected.
    async fn again(&self, more: &str) -> (Arc<dyn System>, Arc<dyn Call>) {
        let system = Shop::system(&self.server, &self.database, more);
        let call = system.connect(&ConnectContext::new("/")).await.unwrap().call;
        (system, call)
    }

    async fn connect(&mut self) -> Result<(), Error> {
        self.call = Some(self.system.connect(&ConnectContext::new("/")).await?.call);
        Ok(())
    }

    /// Past the connector.
    fn direct(&self, sql: &str) -> String {
        self.server.run(&self.database, sql)
    }

    /// How many connections to the database do what `condition` says.
    fn activity(&self, condition: &str) -> String {
        self.direct(&format!(
            "select count(*) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid() and {condition}"
        ))
    }

    fn call(&self) -> Arc<dyn Call> {
        self.call.clone().expect("it is connected")
    }

    fn request(&self, text: &str, input: &str) -> Request {
        request(prepare(&*self.system, text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}")), input)
    }

    async fn run(&self, text: &str, input: &str) -> Result<Reply, Error> {
        self.call().call(&context(), &self.request(text, input)).await
    }

    /// The value, as JSON.
    async fn get(&self, text: &str, input: &str) -> String {
        let reply = self.run(text, input).await.unwrap_or_else(|error| panic!("{text}: {error} {error:?}"));
        reply.value.into_value().to_json()
    }

    async fn fails(&self, text: &str, input: &str) -> Error {
        match self.run(text, input).await {
            Ok(reply) => panic!("{text}: {reply:?}"),
            Err(error) => error,
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.call = None;
        if !std::thread::panicking() {
            self.server.drop_database(&self.database);
        }
    }
}

const PRODUCTS: &str = "
    create table products (id integer generated by default as identity primary key, sku text not null unique, name text,
        price integer constraint not_negative check (price >= 0));
    insert into products values (1, 'a', 'Anvil', 100), (2, 'b', 'Bell', 250), (3, 'c', null, 999);
    alter table products alter id restart with 4;
";

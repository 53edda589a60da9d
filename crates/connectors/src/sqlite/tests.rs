//! The connector on real files.

mod errors;
mod lifecycle;
mod operations;
mod results;
mod safety;

use std::{path::PathBuf, sync::Arc, time::Duration};

use renkei_core::{
    Call, CallContext, ConnectContext, ConnectorKind as _, Diagnostics, Entry, Error, Node, NodeKind, Params,
    PreparedOp, Principal, Reply, Request, Scope, Span, System, Value, node::Text, template::Names,
};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::sql::Rules;

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
    let system = super::Sqlite.read("shop", &node(config), &mut d);
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

/// As [`prepare`], without what only the text of a statement for SQLite tells.
fn unseen(text: &str) -> PreparedOp {
    let rules = Rules {
        dialect: &crate::sql::dialect::POSTGRES,
        system: &"shop".into(),
        read_only: false,
        max_rows: 1000,
        max_bytes: renkei_core::read::Bytes(1024 * 1024),
        effect: super::operation::effect,
    };
    let mut d = Diagnostics::default();
    let prepared = crate::sql::operation::prepare(&rules, &op(text), &Names::default(), &mut d);
    prepared.unwrap_or_else(|| panic!("{text}: {:?}", texts(&d)))
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

/// A database in a folder of its own.
struct Shop {
    folder: TempDir,
    system: Arc<dyn System>,
    call: Option<Arc<dyn Call>>,
}

const FILE: &str = "shop.db";

impl Shop {
    /// With the tables that `schema` makes; `more` are members of the config, as JSON.
    async fn new(schema: &str, more: &str) -> Shop {
        let mut shop = Shop::unconnected(schema, more);
        shop.connect().await.unwrap();
        shop
    }

    fn unconnected(schema: &str, more: &str) -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop { system: Shop::system(more), folder, call: None };
        shop.direct().execute_batch(schema).unwrap();
        shop
    }

    fn system(more: &str) -> Arc<dyn System> {
        let comma = if more.is_empty() { "" } else { ", " };
        read_system(&json(&format!("{{\"path\": \"{FILE}\"{comma}{more}}}"))).unwrap()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }

    /// A connection of another program.
    fn direct(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }

    async fn connect(&mut self) -> Result<(), Error> {
        self.call = Some(self.system.connect(&ConnectContext::new(self.folder.path())).await?.call);
        Ok(())
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

const PRODUCTS: &str = "
    create table products (id integer primary key, sku text not null unique, name text, price integer check (price >= 0));
    insert into products values (1, 'a', 'Anvil', 100), (2, 'b', 'Bell', 250), (3, 'c', null, 999);
";

//! The connector on real folders, and against other people's S3 and WebDAV servers.

mod folder;
mod hard;
mod offline;
mod paths;
mod remote;
mod round_trip;

use std::{path::PathBuf, sync::Arc, time::Duration};

use renkei_core::{
    Call, CallContext, ConnectContext, ConnectorKind as _, Diagnostics, Entry, Error, Node, NodeKind, Params,
    PreparedOp, Principal, Reply, Request, Scope, Span, System, Value, node::Text, template::Names,
};
use tempfile::TempDir;
use tokio::time::Instant;

use super::Files;

fn json(text: &str) -> Value {
    Value::from_json(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// JSON as a tree of the config.
fn node(value: &Value) -> Node {
    let span = Span::default();
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
                .map(|(key, value)| Entry { key: key.clone(), key_span: span, value: node(value) })
                .collect(),
        ),
    };
    Node { kind, span }
}

/// An operation: a short form, or JSON.
fn op(text: &str) -> Node {
    if text.starts_with('{') { node(&json(text)) } else { node(&Value::from(text)) }
}

/// Messages with their hints.
fn texts(d: &Diagnostics) -> Vec<String> {
    d.iter().map(|d| format!("{} | {}", d.message, d.hint.as_deref().unwrap_or_default())).collect()
}

fn read_system(config: &str) -> Result<Arc<dyn System>, Vec<String>> {
    let mut d = Diagnostics::default();
    let system = Files.read("docs", &node(&json(config)), &mut d);
    match system {
        Some(system) if !d.has_errors() => Ok(system),
        _ => Err(texts(&d)),
    }
}

fn prepare(system: &dyn System, text: &str) -> Result<PreparedOp, Vec<String>> {
    let mut d = Diagnostics::default();
    let names = Names { vars: vec!["key".into()], ..Names::default() };
    let prepared = system.prepare(&op(text), &names, &mut d);
    if prepared.is_none() {
        assert!(d.has_errors(), "refused without a word: {text}");
    }
    if d.has_errors() { Err(texts(&d)) } else { Ok(prepared.unwrap()) }
}

fn request(op: PreparedOp, input: &Value) -> Request {
    let scope = Scope::new(input.clone());
    let params: Params = op.slots.iter().map(|slot| slot.render(&scope).unwrap()).collect::<Vec<_>>().into();
    let effect = op.effect;
    Request { op: Arc::new(op), params, effect, key: None, vars: Arc::default(), page: None }
}

fn context() -> CallContext {
    CallContext::new(Instant::now() + Duration::from_secs(60), Arc::new(Principal::anonymous()))
}

/// A connected system.
struct Docs {
    /// `root` is the folder of the system, beside it there may be what it must never reach.
    folder: TempDir,
    system: Arc<dyn System>,
    call: Arc<dyn Call>,
}

impl Docs {
    /// A folder of this machine; `more` are members of the config, as JSON.
    async fn new(more: &str) -> Docs {
        let comma = if more.is_empty() { "" } else { ", " };
        Self::with(&format!("{{\"root\": \"root\"{comma}{more}}}")).await
    }

    async fn with(config: &str) -> Docs {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("root")).unwrap();
        let system = read_system(config).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let call = system.connect(&ConnectContext::new(folder.path())).await.unwrap().call;
        Docs { folder, system, call }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path)
    }

    /// Writes a file behind the connector's back.
    fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn request(&self, text: &str, input: &Value) -> Request {
        request(prepare(&*self.system, text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}")), input)
    }

    async fn run(&self, text: &str, input: &str) -> Result<Reply, Error> {
        self.ask(text, &json(input)).await
    }

    async fn ask(&self, text: &str, input: &Value) -> Result<Reply, Error> {
        let request = self.request(text, input);
        let reply = self.call.call(&context(), &request).await;
        if let Err(refused) = self.system.show(&request) {
            // What cannot be shown is not done either, for the same reason.
            assert_eq!(reply.as_ref().unwrap_err().to_string(), refused.to_string(), "{text}");
        }
        reply
    }

    /// The request as data, as JSON.
    fn show(&self, text: &str, input: &str) -> String {
        self.system.show(&self.request(text, &json(input))).unwrap().to_json()
    }

    async fn reply(&self, text: &str, input: &str) -> Reply {
        self.run(text, input).await.unwrap_or_else(|error| panic!("{text}: {error} {error:?}"))
    }

    /// The value, as JSON.
    async fn get(&self, text: &str, input: &str) -> String {
        self.reply(text, input).await.value.into_value().to_json()
    }

    async fn fails(&self, text: &str, input: &str) -> Error {
        match self.run(text, input).await {
            Ok(reply) => panic!("{text}: {reply:?}"),
            Err(error) => error,
        }
    }

    /// The paths that a list gives, with spaces between them.
    async fn list(&self, text: &str, input: &str) -> String {
        let value = self.reply(text, input).await.value.into_value();
        let paths =
            value.as_array().unwrap().iter().map(|entry| entry.get("path").unwrap().as_str().unwrap());
        paths.collect::<Vec<_>>().join(" ")
    }

    /// Everything in the folder and beside it, links not followed.
    fn everything(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.folder.path().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                found.push(entry.path().strip_prefix(self.folder.path()).unwrap().display().to_string());
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }
}

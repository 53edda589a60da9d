//! What the tests of all connectors begin with: a config as JSON, a prepared operation, a request, a client.

use std::{sync::Arc, time::Duration};

use renkei_core::{
    Call, CallContext, ConnectContext, ConnectorKind, Diagnostics, Entry, Error, Node, NodeKind, Params,
    PreparedOp, Principal, Reply, Request, Scope, Span, System, Value, node::Text, template::Names,
};
use tokio::time::Instant;

/// JSON as a tree of the config. Each text is where it would be if the file held nothing else.
pub(crate) fn node(value: &Value) -> Node {
    let kind = match value {
        Value::Null => NodeKind::Null,
        Value::Bool(flag) => NodeKind::Bool(*flag),
        Value::Number(number) => NodeKind::Number(number.clone()),
        Value::String(text) => return text_node(text),
        Value::Array(items) => NodeKind::Seq(items.iter().map(node).collect()),
        Value::Object(map) => NodeKind::Map(
            map.iter()
                .map(|(key, value)| Entry { key: key.clone(), key_span: Span::default(), value: node(value) })
                .collect(),
        ),
    };
    Node { kind, span: Span::default() }
}

/// A text as if the file held nothing else, so that spans are offsets in it.
pub(crate) fn text_node(text: &str) -> Node {
    let span = Span { file: 0, start: 0, end: text.len() as u32 };
    Node { kind: NodeKind::String(Text { verbatim: Some(0), ..Text::new(text) }), span }
}

pub(crate) fn json(text: &str) -> Value {
    Value::from_json(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// An operation: a text as it is, or JSON of a mapping.
pub(crate) fn op(text: &str) -> Node {
    node(&if text.starts_with('{') { json(text) } else { text.into() })
}

/// Messages with their hints.
pub(crate) fn texts(d: &Diagnostics) -> Vec<String> {
    d.iter().map(|d| format!("{} | {}", d.message, d.hint.as_deref().unwrap_or_default())).collect()
}

/// The system `shop` with this config, or everything that is wrong with it.
pub(crate) fn read_system(kind: &dyn ConnectorKind, config: &Value) -> Result<Arc<dyn System>, Vec<String>> {
    let mut d = Diagnostics::default();
    let system = kind.read("shop", &node(config), &mut d);
    if d.has_errors() { Err(texts(&d)) } else { Ok(system.expect("a system without errors")) }
}

/// An operation, or everything that is wrong with it.
pub(crate) fn prepare(system: &dyn System, text: &str) -> Result<PreparedOp, Vec<String>> {
    let mut d = Diagnostics::default();
    let names = Names { vars: vec!["key".into()], ..Names::default() };
    let prepared = system.prepare(&op(text), &names, &mut d);
    if prepared.is_none() {
        assert!(d.has_errors(), "refused without a word: {text}");
    }
    if d.has_errors() { Err(texts(&d)) } else { Ok(prepared.expect("an operation without errors")) }
}

/// Like a pattern does it: slots rendered in their order. `input` is JSON.
pub(crate) fn request(op: PreparedOp, input: &str) -> Request {
    let scope = Scope::new(json(input));
    let params: Params = op.slots.iter().map(|slot| slot.render(&scope).unwrap()).collect::<Vec<_>>().into();
    let effect = op.effect;
    Request { op: Arc::new(op), params, effect, key: None, vars: Arc::default(), page: None }
}

pub(crate) fn context() -> CallContext {
    context_for(Duration::from_secs(60))
}

pub(crate) fn context_for(time: Duration) -> CallContext {
    CallContext::new(Instant::now() + time, Arc::new(Principal::anonymous()))
}

/// A system, and a connection to it.
pub(crate) struct Client {
    pub(crate) system: Arc<dyn System>,
    /// Nothing before it is connected.
    pub(crate) call: Option<Arc<dyn Call>>,
}

impl Client {
    pub(crate) fn unconnected(system: Arc<dyn System>) -> Client {
        Client { system, call: None }
    }

    pub(crate) async fn connected(system: Arc<dyn System>) -> Result<Client, Error> {
        let mut client = Client::unconnected(system);
        client.connect(&ConnectContext::new("/")).await?;
        Ok(client)
    }

    pub(crate) async fn connect(&mut self, cx: &ConnectContext) -> Result<(), Error> {
        self.call = Some(self.system.connect(cx).await?.call);
        Ok(())
    }

    pub(crate) fn call(&self) -> Arc<dyn Call> {
        self.call.clone().expect("it is connected")
    }

    pub(crate) fn request(&self, text: &str, input: &str) -> Request {
        request(prepare(&*self.system, text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}")), input)
    }

    pub(crate) async fn run(&self, text: &str, input: &str) -> Result<Reply, Error> {
        let request = self.request(text, input);
        let reply = self.call().call(&context(), &request).await;
        if let Err(refused) = self.system.show(&request) {
            // What cannot be shown is not done either, for the same reason.
            assert_eq!(reply.as_ref().unwrap_err().to_string(), refused.to_string(), "{text}");
        }
        reply
    }

    /// The request as data, as JSON.
    pub(crate) fn show(&self, text: &str, input: &str) -> Result<String, Error> {
        self.system.show(&self.request(text, input)).map(|shown| shown.to_json())
    }

    pub(crate) async fn reply(&self, text: &str, input: &str) -> Reply {
        self.run(text, input).await.unwrap_or_else(|error| panic!("{text}: {error} {error:?}"))
    }

    /// The value, as JSON.
    pub(crate) async fn get(&self, text: &str, input: &str) -> String {
        self.reply(text, input).await.value.into_value().to_json()
    }

    pub(crate) async fn fails(&self, text: &str, input: &str) -> Error {
        match self.run(text, input).await {
            Ok(reply) => panic!("{text}: {reply:?}"),
            Err(error) => error,
        }
    }
}

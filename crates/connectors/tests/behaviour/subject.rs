//! What a connector brings to the suite: a small store of items, and the operations on it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{
    Call, CallContext, ConnectContext, ConnectorKind, Diagnostics, Entry, Error, Node, NodeKind, Params,
    PreparedOp, Principal, Reply, Request, Scope, Span, System, Value, node::Text, template::Names,
};
use tokio::time::{Instant, timeout};

use crate::SUBJECTS;

/// How long a trial waits for what must happen before it gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The operations. An item is `{ id, text, number, note }`; `note` may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The item `.id` as an object.
    Get,
    /// Writes the item `.id`, whether it is there or not.
    Put,
    /// Writes a new item; one that is there already is a conflict.
    Create,
    /// All items, by id.
    List,
    /// Reads, and never ends.
    Slow,
    /// Fails, and says back what it was sent, the system's secret included.
    EchoSecret,
}

/// What a connector must be able to do for some trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capability {
    /// The config holds a secret that goes to the system.
    Secret,
    /// It has an operation that takes as long as one likes.
    Slow,
    /// Its texts cannot hold the character U+0000; it is refused.
    NoNul,
}

/// A connector under test.
#[async_trait]
pub(crate) trait Subject: Send + Sync {
    fn kind(&self) -> &'static dyn ConnectorKind;

    fn capabilities(&self) -> &'static [Capability];

    /// The operation as JSON; nothing if the connector has no such thing.
    fn op(&self, ask: Ask) -> Option<Value>;

    /// The least config, as JSON, for trials that do not connect.
    fn config(&self) -> Value;

    /// Starts a system without items.
    async fn start(&self, size: Size) -> Started;

    /// All items, where a list gives something else.
    async fn all(&self, running: &Running) -> Value {
        running.get(Ask::List, &Value::object()).await
    }
}

/// How much of a result the system gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// As much as the connector gives by default.
    Default,
    /// Not more than about a thousand bytes.
    Small,
}

/// A running system, before anything is connected to it.
pub(crate) struct Started {
    pub(crate) config: Value,
    pub(crate) base_dir: std::path::PathBuf,
    pub(crate) control: Box<dyn Control>,
}

/// What a trial does to a system behind the connector's back.
#[async_trait]
pub(crate) trait Control: Send + Sync {
    /// A slow call has reached the system.
    async fn slow_started(&self);

    /// No slow call holds anything in the system any more. `running` can make calls to find out.
    async fn slow_ended(&self, running: &Running);

    /// From now on it cannot be reached.
    async fn take_down(&self);

    /// It can be reached again, as it was.
    async fn bring_back(&self);
}

/// A connected system.
pub(crate) struct Running {
    pub(crate) subject: &'static dyn Subject,
    pub(crate) system: Arc<dyn System>,
    pub(crate) call: Arc<dyn Call>,
    pub(crate) connect: ConnectContext,
    pub(crate) control: Box<dyn Control>,
}

impl Running {
    pub(crate) async fn start(subject: &'static dyn Subject, size: Size) -> Running {
        let started = subject.start(size).await;
        let system = read(subject, &started.config).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let connect = ConnectContext::new(started.base_dir);
        let call = system.connect(&connect).await.unwrap().call;
        Running { subject, system, call, connect, control: started.control }
    }

    pub(crate) fn request(&self, ask: Ask, input: &Value) -> Request {
        let op = self.subject.op(ask).unwrap_or_else(|| panic!("no operation for {ask:?}"));
        let op = prepare(&*self.system, &op).unwrap_or_else(|wrong| panic!("{ask:?}: {wrong:?}"));
        request(Arc::new(op), input)
    }

    pub(crate) async fn ask(&self, ask: Ask, input: &Value) -> Result<Reply, Error> {
        patiently(self.call.call(&context(), &self.request(ask, input))).await
    }

    pub(crate) async fn get(&self, ask: Ask, input: &Value) -> Value {
        let reply = self.ask(ask, input).await;
        reply.unwrap_or_else(|error| panic!("{ask:?}: {error} {error:?}")).value.into_value()
    }

    /// All items, by id.
    pub(crate) async fn all(&self) -> Value {
        self.subject.all(self).await
    }

    pub(crate) async fn fails(&self, ask: Ask, input: &Value) -> Error {
        match self.ask(ask, input).await {
            Ok(reply) => panic!("{ask:?} went well: {reply:?}"),
            Err(error) => error,
        }
    }

    /// A request that is under way in the system.
    pub(crate) async fn slowly<T>(&self, cx: &CallContext, then: impl AsyncFnOnce() -> T) -> T {
        let request = self.request(Ask::Slow, &Value::object());
        let mut slow = self.call.call(cx, &request);
        let started = async {
            while !cx.attempt.was_sent() {
                tokio::task::yield_now().await;
            }
            self.control.slow_started().await;
        };
        tokio::select! {
            reply = &mut slow => panic!("the slow call ended: {reply:?}"),
            () = patiently(started) => {}
        }
        drop(slow);
        then().await
    }
}

pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("what must happen did not")
}

/// All connectors that can do what a trial needs.
pub(crate) fn subjects(needed: &[Capability]) -> impl Iterator<Item = &'static dyn Subject> {
    let able: Vec<_> = SUBJECTS
        .iter()
        .copied()
        .filter(|subject| needed.iter().all(|capability| subject.capabilities().contains(capability)))
        .collect();
    assert!(!able.is_empty(), "no connector takes this trial");
    able.into_iter()
}

pub(crate) fn item(id: i64, text: &str, number: i64) -> Value {
    Value::from([
        ("id", Value::from(id)),
        ("text", text.into()),
        ("number", number.into()),
        ("note", Value::Null),
    ])
}

pub(crate) fn id(id: i64) -> Value {
    Value::from([("id", id)])
}

pub(crate) fn context() -> CallContext {
    CallContext::new(Instant::now() + PATIENCE, Arc::new(Principal::anonymous()))
}

pub(crate) fn names() -> Names<'static> {
    Names { vars: ["caller", "key", "run", "now"].map(Into::into).into(), ..Names::default() }
}

pub(crate) fn read(subject: &dyn Subject, config: &Value) -> Result<Arc<dyn System>, Vec<String>> {
    let mut d = Diagnostics::default();
    let system = subject.kind().read("items", &node(config), &mut d);
    match system {
        Some(system) if !d.has_errors() => Ok(system),
        _ => Err(told(&d)),
    }
}

pub(crate) fn prepare(system: &dyn System, op: &Value) -> Result<PreparedOp, Vec<String>> {
    let mut d = Diagnostics::default();
    let op = system.prepare(&node(op), &names(), &mut d);
    match op {
        Some(op) if !d.has_errors() => Ok(op),
        _ => Err(told(&d)),
    }
}

fn told(d: &Diagnostics) -> Vec<String> {
    assert!(d.has_errors(), "refused without a word");
    d.iter().map(|d| format!("{} | {}", d.message, d.hint.as_deref().unwrap_or_default())).collect()
}

/// Renders the slots as the pattern does.
pub(crate) fn request(op: Arc<PreparedOp>, input: &Value) -> Request {
    let mut scope = Scope::new(input.clone());
    scope.set("caller", Principal::anonymous().to_value());
    scope.set("key", "run/step");
    scope.set("run", "run");
    let params: Params = op.slots.iter().map(|slot| slot.render(&scope).unwrap()).collect::<Vec<_>>().into();
    let effect = op.effect;
    Request { op, params, effect, key: None, vars: Arc::new(scope), page: None }
}

/// JSON as a tree of the config.
pub(crate) fn node(value: &Value) -> Node {
    let kind = match value {
        Value::Null => NodeKind::Null,
        Value::Bool(flag) => NodeKind::Bool(*flag),
        Value::Number(number) => NodeKind::Number(number.clone()),
        Value::String(text) => NodeKind::String(Text::new(text.clone())),
        Value::Array(items) => NodeKind::Seq(items.iter().map(node).collect()),
        Value::Object(map) => NodeKind::Map(
            map.iter()
                .map(|(key, value)| Entry { key: key.clone(), key_span: Span::default(), value: node(value) })
                .collect(),
        ),
    };
    Node { kind, span: Span::default() }
}

pub(crate) fn json(text: &str) -> Value {
    Value::from_json(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

//! A system that does what the operation says, and a config around it, for tests.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use renkei_core::{
    ActionContext, Call, CallContext, ConnectContext, Connection, Cursor, Diagnostics, Effect, Entry, Error,
    Kind, Layers, Map, Node, NodeKind, Page, Paging, Pattern, Payload, PreparedOp, Principal, Reply, Request,
    Result, Retry, Span, System, Tree, Value,
    connector::SystemPlan,
    node::Text,
    pattern::{ActionPlan, Actions, Holder},
    run::{Progress, ProgressSink},
    task::Support,
    template::Names,
    tool::{Annotations, ContentPlan, ToolPlan},
};
use renkei_layers::LAYERS;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    PATTERNS,
    engine::{Engine, Options},
};

/// A tree from JSON, without places.
pub(crate) fn node(json: &str) -> Node {
    of_value(&Value::from_json(json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}")))
}

pub(crate) fn value(json: &str) -> Value {
    node(json).to_value()
}

fn of_value(value: &Value) -> Node {
    let kind = match value {
        Value::Null => NodeKind::Null,
        Value::Bool(flag) => NodeKind::Bool(*flag),
        Value::Number(number) => NodeKind::Number(number.clone()),
        Value::String(text) => NodeKind::String(Text::new(text.clone())),
        Value::Array(items) => NodeKind::Seq(items.iter().map(of_value).collect()),
        Value::Object(map) => NodeKind::Map(
            map.iter()
                .map(|(key, value)| Entry {
                    key: key.clone(),
                    key_span: Span::default(),
                    value: of_value(value),
                })
                .collect(),
        ),
    };
    Node { kind, span: Span::default() }
}

/// What happened to the system.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) connects: Mutex<Vec<Instant>>,
    /// The parameters of each call.
    pub(crate) calls: Mutex<Vec<Request>>,
    /// Calls that began and did not end yet.
    pub(crate) open: AtomicUsize,
    /// The most that were open at the same time.
    pub(crate) most_open: AtomicUsize,
    /// Of calls that `wait`: their `id`, when they began, and when they ended by themselves.
    pub(crate) waits: Mutex<Vec<(String, Instant, Option<Instant>)>>,
    /// So many of the next attempts to connect fail.
    pub(crate) failing_connects: AtomicUsize,
    /// So many of the next calls find nobody there.
    pub(crate) failing_calls: AtomicUsize,
    /// Of the last connection: takes the reason why it is lost.
    pub(crate) lost: Mutex<Option<watch::Sender<Option<Error>>>>,
}

impl Ledger {
    /// Of `{ "id", "ms", "fail"?, "give"? }`: takes its time, then fails or gives.
    async fn wait(&self, given: &Value) -> Result<Reply> {
        let id = given.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let at = {
            let mut waits = self.waits.lock().unwrap();
            waits.push((id.clone(), Instant::now(), None));
            waits.len() - 1
        };
        let ms = given.get("ms").and_then(Value::as_i64).unwrap_or_default();
        sleep(Duration::from_millis(ms.unsigned_abs())).await;
        self.waits.lock().unwrap()[at].2 = Some(Instant::now());
        match given.get("fail").and_then(Value::as_str) {
            Some(word) => {
                let kind = Kind::parse(word).unwrap();
                Err(Error::new(kind, format!("`{id}` was told to fail")).retry(Retry::Never))
            }
            None => Ok(Reply::json(given.get("give").unwrap_or(given).clone())),
        }
    }
}

/// The page of `given`, a list of `{ "items", "next"?, "total"?, "bytes"?, "ms"?, "fail"?, "no"? }`, whose place is the
/// cursor. A page that is not there has no items.
async fn page(given: &Value, cursor: Option<&Cursor>) -> Result<Reply> {
    let at = cursor.and_then(|Cursor(at)| at.as_i64()).unwrap_or_default();
    let empty = Value::object();
    let page = usize::try_from(at).ok().and_then(|at| given.at(at)).unwrap_or(&empty);
    let number = |key: &str| page.get(key).and_then(Value::as_i64);
    sleep(Duration::from_millis(number("ms").unwrap_or_default().unsigned_abs())).await;
    if let Some(word) = page.get("fail").and_then(Value::as_str) {
        return Err(Error::new(Kind::parse(word).unwrap(), format!("the fake was told to fail with {word}")));
    }
    let items = page.get("items").and_then(Value::as_array).unwrap_or_default().to_vec();
    let bytes = number("bytes").unwrap_or_default().unsigned_abs();
    let total = number("total").map(i64::unsigned_abs);
    let page_read = Page { items, next: page.get("next").cloned().map(Cursor), total, bytes };
    Ok(Reply { meta: Value::from([("at", at)]), page: Some(Ok(page_read)), ..Reply::json(page.clone()) })
}

/// Of an operation's `"pages"`: its limits, where they are not the default.
fn paging(node: &Node) -> Paging {
    let value = node.to_value();
    let number =
        |key: &str| value.get(key).and_then(Value::as_i64).map(|number| number.unsigned_abs() as usize);
    let flag = |key: &str| value.get(key).and_then(Value::as_bool);
    Paging {
        max_pages: number("max_pages").unwrap_or(10),
        max_items: number("max_items").unwrap_or(1000),
        max_bytes: number("max_bytes").unwrap_or(10_000) as u64,
        whole: flag("whole").unwrap_or(false),
        cursor_argument: flag("cursor_argument").unwrap_or(true),
    }
}

#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) connect_takes: Duration,
}

/// Reads `{ "do": WORD, "effect": WORD, "value": TREE, "pages": LIMITS }`.
#[async_trait]
impl System for Fake {
    fn prepare(&self, op: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<PreparedOp> {
        let word = |key: &str| op.get(key).and_then(|node| node.as_str().map(str::to_owned));
        for entry in op.as_map().unwrap_or_default() {
            if !["do", "effect", "value", "pages"].contains(&&*entry.key) {
                d.error(entry.key_span, format!("unknown key `{}`", entry.key));
            }
        }
        let tree = Tree::read(op.get("value").unwrap_or(op), names, d)?;
        Some(PreparedOp {
            system: "crm".into(),
            label: "a fake".into(),
            effect: match word("effect").as_deref() {
                Some("write") => Effect::Write,
                Some("idempotent") => Effect::Idempotent,
                _ => Effect::Read,
            },
            carries_key: false,
            slots: vec![tree],
            pages: op.get("pages").map(paging),
            plan: Box::new(word("do").unwrap_or_default()),
        })
    }

    fn show(&self, request: &Request) -> Result<Value> {
        let word = request.op.plan::<String>().map(|word| Value::from(word.as_str()));
        let value = request.params.first().cloned().flatten();
        let members = [("do", word), ("value", value)];
        Ok(members.into_iter().filter_map(|(key, value)| Some((key.into(), value?))).collect::<Map>().into())
    }

    /// The value, where it is a path.
    fn address(&self, request: &Request) -> Option<Vec<String>> {
        let path = request.params.first()?.as_ref()?.as_str()?.strip_prefix('/')?;
        Some(path.split('/').map(Into::into).collect())
    }

    async fn connect(&self, _: &ConnectContext) -> Result<Connection> {
        self.ledger.connects.lock().unwrap().push(Instant::now());
        sleep(self.connect_takes).await;
        let count = &self.ledger.failing_connects;
        if count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Error::unavailable("connection refused").detail("os error 111"));
        }
        let (lose, lost) = watch::channel(None);
        *self.ledger.lost.lock().unwrap() = Some(lose);
        Ok(Connection { lost: Some(lost), ..Connection::new(Arc::new(Connected(self.ledger.clone()))) })
    }
}

struct Connected(Arc<Ledger>);

/// Counts a call as open until it ends or is dropped.
struct Open(Arc<Ledger>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Call for Connected {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        self.0.calls.lock().unwrap().push(request.clone());
        let open = self.0.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_open.fetch_max(open, Ordering::SeqCst);
        let _open = Open(self.0.clone());
        let failing = &self.0.failing_calls;
        if failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Error::unavailable("`crm` refuses connections; check that it runs"));
        }
        let given = request.params[0].clone().unwrap_or_default();
        match request.op.plan::<String>().map(String::as_str) {
            Some("hang") => {
                cx.attempt.mark_sent();
                std::future::pending().await
            }
            Some("wait") => {
                cx.attempt.mark_sent();
                self.0.wait(&given).await
            }
            Some("pages") => page(&given, request.page.as_ref()).await,
            Some("shares") => {
                for share in given.as_array().unwrap_or_default() {
                    if let Some(listener) = &cx.listener {
                        listener.share(share.as_f64().unwrap_or(f64::NAN), &share.to_json());
                    }
                }
                Ok(Reply::json(Value::Null))
            }
            Some("panic") => panic!("the fake was told to"),
            Some("busy") => {
                cx.attempt.mark_sent();
                Err(Error::unavailable("`crm` answered 503").status(503))
            }
            Some("rate_limited") => Err(Error::new(Kind::RateLimited, "`crm` answered 429")
                .retry(Retry::After(Duration::from_millis(90_500)))),
            Some("not_found") => Err(Error::new(Kind::NotFound, "`crm` answered 404: no such customer")),
            Some("blob") => Ok(Reply {
                value: Payload::Blob {
                    bytes: Bytes::from_static(b"\x89PNG"),
                    mime_type: given.as_str().unwrap_or("image/png").into(),
                },
                ..Reply::json(Value::Null)
            }),
            Some("many") => {
                let count = given.as_i64().unwrap_or_default();
                let rows = (0..count).map(|id| Value::from([("id", id)])).collect::<Vec<_>>();
                Ok(Reply { notices: vec!["more rows exist".into()], ..Reply::json(rows.into()) })
            }
            Some("key") => Ok(Reply::json(Value::from(request.key.clone()))),
            _ => Ok(Reply { meta: Value::from([("status", 200i64)]), ..Reply::json(given) }),
        }
    }
}

/// A tool of JSON texts.
pub(crate) struct Tool {
    pub(crate) call: &'static str,
    /// A whole action, instead of `call`.
    pub(crate) action: Option<String>,
    /// What stands under `actions`: name to input schema and action.
    pub(crate) actions: Vec<(&'static str, &'static str, String)>,
    pub(crate) input: &'static str,
    pub(crate) output: Option<&'static str>,
    pub(crate) output_schema: Option<&'static str>,
    pub(crate) content: Option<Vec<&'static str>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) task: Support,
    pub(crate) annotations: Annotations,
}

impl Default for Tool {
    fn default() -> Self {
        Tool {
            call: r#"{ "crm": { "value": "${.}" } }"#,
            action: None,
            actions: Vec::new(),
            input: r#"{ "type": "object" }"#,
            output: None,
            output_schema: None,
            content: None,
            timeout: None,
            task: Support::Never,
            annotations: Annotations::default(),
        }
    }
}

impl Tool {
    pub(crate) fn of(call: &'static str) -> Self {
        Tool { call, ..Tool::default() }
    }

    pub(crate) fn plan(self, name: &str, systems: &IndexMap<Arc<str>, SystemPlan>) -> ToolPlan {
        let mut d = Diagnostics::default();
        let text = self.action.unwrap_or_else(|| format!(r#"{{ "call": {} }}"#, self.call));
        let named = Named { systems, actions: &self.actions };
        let action = read(&text, &named, &mut d);
        let own = action.as_deref().map(Pattern::results).unwrap_or_default();
        let names = names().with(own.iter().map(|name| name.to_string())).with(["result", "result_meta"]);
        let mut tree = |json: &str| Tree::read(&node(json), &names, &mut d).expect(json);
        let output = self.output.map(&mut tree);
        let mut part = |json: &str| {
            let part = node(json);
            let mut field = |key: &str| part.get(key).map(|node| tree(&node.to_value().to_json()));
            let mime_type = field("mime_type");
            match (field("text"), field("image"), field("uri"), field("blob")) {
                (Some(text), None, None, _) => ContentPlan::Text { text },
                (None, Some(data), None, _) => ContentPlan::Image { data, mime_type: mime_type.unwrap() },
                (text, None, Some(uri), blob) if text.is_some() || blob.is_some() => {
                    ContentPlan::Resource { uri, mime_type, text, blob }
                }
                (_, _, Some(uri), _) => {
                    ContentPlan::Link { uri, name: field("name").unwrap(), description: None, mime_type }
                }
                _ => panic!("{json}"),
            }
        };
        let content = self.content.map(|parts| parts.into_iter().map(&mut part).collect());
        let problems: Vec<_> = d.iter().map(|problem| &problem.message).collect();
        ToolPlan {
            name: name.into(),
            title: None,
            description: "A tool.".into(),
            input_schema: value(self.input),
            output_schema: self.output_schema.map(value),
            annotations: self.annotations,
            icons: Vec::new(),
            action: action.unwrap_or_else(|| panic!("{problems:?}")),
            is_passed_on: false,
            output,
            content,
            timeout: self.timeout,
            idempotency: None,
            task: self.task,
            asks_first: false,
            definition: self.call.into(),
        }
    }
}

fn names() -> Names<'static> {
    Names::default().with(["caller", "now", "run", "key"])
}

/// Reads a whole action.
pub(crate) fn read(json: &str, named: &Named<'_>, d: &mut Diagnostics) -> Option<Arc<dyn Pattern>> {
    let node = node(json);
    let mut cx = ActionContext {
        systems: named.systems,
        patterns: PATTERNS,
        actions: named,
        names: names(),
        journaled: false,
        diagnostics: d,
    };
    let holder = Holder { kind: "a tool", name: "the tool `t`", at: Span::default(), keys: &[] };
    let members = holder.known(node.as_map().unwrap(), PATTERNS, cx.diagnostics);
    holder.action(&members, &mut cx)
}

/// Actions with a name, each read when it is asked for.
pub(crate) struct Named<'a> {
    pub(crate) systems: &'a IndexMap<Arc<str>, SystemPlan>,
    pub(crate) actions: &'a [(&'static str, &'static str, String)],
}

impl Actions for Named<'_> {
    fn get(&self, name: &str, _: Span, d: &mut Diagnostics) -> Option<Arc<ActionPlan>> {
        let (_, schema, action) = self.actions.iter().find(|(known, ..)| *known == name).expect(name);
        let action = read(action, self, d)?;
        let plan = ActionPlan {
            name: name.into(),
            input_schema: value(schema),
            action,
            output: None,
            timeout: None,
        };
        Some(Arc::new(plan))
    }
}

/// One system, `crm`, and an engine on it.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) ledger: Arc<Ledger>,
}

pub(crate) fn systems(fake: Fake) -> IndexMap<Arc<str>, SystemPlan> {
    layered("{}", fake)
}

/// The system with `layers` beside its kind.
fn layered(layers: &str, fake: Fake) -> IndexMap<Arc<str>, SystemPlan> {
    let layers: Arc<dyn Layers> = LAYERS.read(&node(layers), &mut Diagnostics::default());
    let plan =
        SystemPlan { name: "crm".into(), kind: "fake", system: Arc::new(fake), layers, fingerprint: 0 };
    IndexMap::from_iter([("crm".into(), plan)])
}

impl Bench {
    /// Connected, with the tool `t`.
    pub(crate) fn new(tool: Tool) -> Self {
        Self::with(tool, Options::default(), Duration::ZERO, 0)
    }

    /// With layers, and several tools by name.
    pub(crate) fn layered(layers: &str, tools: Vec<(&str, Tool)>) -> Self {
        let (engine, ledger) = Self::unstarted(layers, tools, 0);
        engine.start();
        Bench { engine, ledger }
    }

    /// The successor of this one, on a system whose config has this fingerprint; that of this one is 0.
    pub(crate) fn followed(&self, fingerprint: u64, layers: &str, tools: Vec<(&str, Tool)>) -> Self {
        let (engine, ledger) = Self::unstarted(layers, tools, fingerprint);
        let engine = engine.following(&self.engine);
        engine.start();
        Bench { engine, ledger }
    }

    fn unstarted(layers: &str, tools: Vec<(&str, Tool)>, fingerprint: u64) -> (Engine, Arc<Ledger>) {
        let ledger = Arc::new(Ledger::default());
        let mut systems = layered(layers, Fake { ledger: ledger.clone(), connect_takes: Duration::ZERO });
        systems[0].fingerprint = fingerprint;
        let tools = tools.into_iter().map(|(name, tool)| tool.plan(name, &systems)).collect();
        (Engine::new(systems, tools, Options::default()).unwrap(), ledger)
    }

    pub(crate) fn with(tool: Tool, options: Options, connect_takes: Duration, failing: usize) -> Self {
        let ledger = Arc::new(Ledger::default());
        ledger.failing_connects.store(failing, Ordering::SeqCst);
        let systems = systems(Fake { ledger: ledger.clone(), connect_takes });
        let tools = vec![tool.plan("t", &systems)];
        let engine = Engine::new(systems, tools, options).unwrap();
        engine.start();
        Bench { engine, ledger }
    }
}

pub(crate) fn context() -> CallContext {
    CallContext::new(Instant::now() + Duration::from_secs(3600), Arc::new(Principal::anonymous()))
}

/// Keeps the reports.
#[derive(Default)]
pub(crate) struct Reports(pub(crate) Mutex<Vec<Progress>>);

impl ProgressSink for Reports {
    fn report(&self, progress: Progress) {
        self.0.lock().unwrap().push(progress);
    }
}

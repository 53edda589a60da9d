//! A system that does what a script says, and the layers around it.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use renkei_core::{
    Applied, Background, Call, CallContext, ConnectContext, Connection, Diagnostics, Effect, Error, Kind,
    LayerStack, Node, PreparedOp, Principal, Reply, Request, Result, Retry, Scope, System, Value,
    connector::SystemPlan, template::Names,
};
use tokio::time::{Instant, sleep};

use crate::{config::Settings, stack::Stack};

/// The layers around a system `crm`.
pub(crate) fn stack(settings: &Settings) -> Stack {
    stack_of(settings, Fake::default())
}

pub(crate) fn stack_of(settings: &Settings, system: Fake) -> Stack {
    let plan = SystemPlan {
        name: "crm".into(),
        kind: "fake",
        system: Arc::new(system),
        layers: Arc::new(settings.clone()),
        fingerprint: 0,
    };
    Stack::new(settings, &plan, Arc::new(Spawned))
}

pub(crate) fn around(settings: &Settings, inner: Arc<dyn Call>) -> Arc<dyn Call> {
    stack(settings).around(inner)
}

/// The runtime of the test owns what goes on in the background.
struct Spawned;

impl Background for Spawned {
    fn run(&self, work: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(work);
    }
}

/// What the layers want to know of a system. An address is the request's first parameter, as a path.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    pub(crate) per_caller: bool,
}

#[async_trait]
impl System for Fake {
    fn prepare(&self, _: &Node, _: &Names<'_>, _: &mut Diagnostics) -> Option<PreparedOp> {
        None
    }

    fn show(&self, _: &Request) -> Result<Value> {
        Ok(Value::Null)
    }

    fn depends_on_caller(&self) -> bool {
        self.per_caller
    }

    fn address(&self, request: &Request) -> Option<Vec<String>> {
        let path = request.params.first()?.as_ref()?.as_str()?;
        Some(path.split('/').map(Into::into).collect())
    }

    async fn connect(&self, _: &ConnectContext) -> Result<Connection> {
        Err(Error::internal("tests bring their own connections"))
    }
}

/// Counters and gauges by name and labels.
#[derive(Debug, Default)]
pub(crate) struct Counted(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Counted {
    /// Makes something whose metrics are counted here.
    pub(crate) fn within<T>(&self, make: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(self, make)
    }

    pub(crate) fn count(&self, name: &str) -> u64 {
        self.0.lock().unwrap()[name].load(Ordering::SeqCst)
    }

    pub(crate) fn gauge(&self, name: &str) -> f64 {
        f64::from_bits(self.count(name))
    }

    fn of(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        self.0.lock().unwrap().entry(name).or_default().clone()
    }
}

impl Recorder for Counted {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// What one try does.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    /// How long it takes.
    pub(crate) takes: Duration,
    /// Whether the request leaves, at once.
    pub(crate) sent: bool,
    pub(crate) ends: End,
}

#[derive(Clone, Debug)]
pub(crate) enum End {
    Well,
    Badly { retry: Retry, applied: Applied },
    Fails(Kind),
}

impl Try {
    pub(crate) fn well() -> Self {
        Try { takes: Duration::from_millis(10), sent: true, ends: End::Well }
    }

    pub(crate) fn hangs() -> Self {
        Try { takes: Duration::from_secs(1_000_000), ..Self::well() }
    }

    pub(crate) fn fails(retry: Retry) -> Self {
        Try { ends: End::Badly { retry, applied: Applied::No }, ..Self::well() }
    }

    pub(crate) fn unsent(self) -> Self {
        Try { sent: false, ..self }
    }

    pub(crate) fn in_doubt(self) -> Self {
        match self.ends {
            End::Badly { retry, .. } => Try { ends: End::Badly { retry, applied: Applied::Unknown }, ..self },
            End::Well | End::Fails(_) => self,
        }
    }

    pub(crate) fn with(kind: Kind) -> Self {
        Try { ends: End::Fails(kind), ..Self::well() }
    }
}

/// What was seen of one try.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) cx: CallContext,
    pub(crate) began: Instant,
    pub(crate) ended: Option<Instant>,
}

#[derive(Debug, Default)]
pub(crate) struct Script {
    tries: Mutex<VecDeque<Try>>,
    pub(crate) seen: Mutex<Vec<Seen>>,
}

impl Script {
    pub(crate) fn new(tries: impl IntoIterator<Item = Try>) -> Arc<Self> {
        Arc::new(Script { tries: Mutex::new(tries.into_iter().collect()), seen: Mutex::default() })
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

#[async_trait]
impl Call for Script {
    async fn call(&self, cx: &CallContext, _: &Request) -> Result<Reply> {
        let next = self.tries.lock().unwrap().pop_front().unwrap_or_else(Try::well);
        let index = {
            let mut seen = self.seen.lock().unwrap();
            seen.push(Seen { cx: cx.clone(), began: Instant::now(), ended: None });
            seen.len() - 1
        };
        if next.sent {
            cx.attempt.mark_sent();
        }
        sleep(next.takes).await;
        self.seen.lock().unwrap()[index].ended = Some(Instant::now());
        match next.ends {
            End::Well => Ok(Reply::json(Value::from("good"))),
            End::Badly { retry, applied } => {
                Err(Error::new(Kind::Unavailable, "`crm` is busy").retry(retry).applied(applied))
            }
            End::Fails(kind) => Err(Error::new(kind, "`crm` said so").retry(Retry::Never)),
        }
    }
}

pub(crate) fn request(effect: Effect, key: Option<&str>) -> Request {
    let op = PreparedOp {
        system: "crm".into(),
        label: "GET /".into(),
        effect,
        carries_key: false,
        slots: Vec::new(),
        pages: None,
        plan: Box::new(()),
    };
    Request {
        op: Arc::new(op),
        params: Arc::default(),
        effect,
        key: key.map(Into::into),
        vars: Arc::new(Scope::default()),
        page: None,
    }
}

pub(crate) fn context(limit: Duration) -> CallContext {
    CallContext::new(Instant::now() + limit, Arc::new(Principal::anonymous()))
}

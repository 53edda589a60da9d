//! Runs a test on live systems and keeps what came of every request.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use indexmap::IndexMap;
use renkei_core::{
    Call, CallContext, ConnectContext, Connection, Diagnostics, Effect, Error, Kind, Node, PreparedOp, Reply,
    Request, Result, System, Value,
    call::{RunStart, Witness},
    connector::SystemPlan,
    template::Names,
    tool::ToolResult,
    trial::TestPlan,
};
use tokio::sync::OnceCell;

use crate::{audience::Audience, run::Rehearse, stage::Stage};

/// What a recording may do and hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Whether requests are sent that change something.
    pub allow_writes: bool,
    /// How many bytes of answers are kept of one test.
    pub max_bytes: usize,
}

/// A test that was run on live systems.
#[derive(Debug)]
pub struct Take {
    pub test: TestPlan,
    /// Whether all systems were live, so that other mocks of the test go.
    pub whole: bool,
    /// What came to each live system, in the order of the requests.
    pub calls: IndexMap<Arc<str>, Vec<Taken>>,
    pub result: ToolResult,
    /// What `$run` was.
    pub run: Arc<str>,
}

/// A request, and what came of it.
#[derive(Clone, Debug)]
pub struct Taken {
    pub request: Request,
    pub shown: Value,
    /// None: nothing came before the layers gave up.
    pub result: Option<Result<Reply>>,
    /// In the system's own words, where the connector tells.
    pub answered: Option<Value>,
}

/// Runs a test: the systems that are to be recorded are live, the others answer as the test says.
///
/// # Errors
/// A sentence without its full stop: why nothing can be recorded.
pub async fn take(
    test: &TestPlan,
    again: bool,
    systems: &IndexMap<Arc<str>, SystemPlan>,
    house: &dyn Rehearse,
    limits: &Limits,
) -> Result<Take, String> {
    let recording = &test.recording;
    let mut live = recording.wanted.clone();
    if again {
        live.extend(recording.recorded.iter().cloned());
    }
    let whole =
        recording.unmocked || !test.mocks.is_empty() && test.mocks.keys().all(|name| live.contains(name));
    let tape = Arc::new(Tape { left: AtomicUsize::new(limits.max_bytes), ..Tape::default() });
    let mut mixed = Stage::new(systems, &test.mocks).1;
    for (name, plan) in systems.iter().filter(|(name, _)| whole || live.contains(name)) {
        let own = Live { inner: plan.system.clone(), tape: tape.clone(), allow_writes: limits.allow_writes };
        mixed.insert(name.clone(), SystemPlan { system: Arc::new(own), ..plan.clone() });
    }
    // The engine shortens it to the tool's own.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(24 * 3600);
    let mut cx = CallContext::new(deadline, test.caller.clone());
    // A run of its own, or a system that honours keys would take it for one that was there before.
    let start = RunStart { now: test.start.now.clone(), ..RunStart::new() };
    cx.start = Some(start.clone());
    cx.asking = Audience::new(&test.answers).asking();
    let result = house.call(mixed, Arc::default(), test, cx, test.arguments.clone()).await?;
    tape.finished()?;
    let mut calls: IndexMap<Arc<str>, Vec<Taken>> = IndexMap::new();
    // Systems come in the order of the config, whatever was asked first.
    for name in systems.keys() {
        let own: Vec<Taken> =
            tape.all().iter().filter(|taken| taken.request.op.system == *name).cloned().collect();
        if !own.is_empty() || live.contains(name) {
            calls.insert(name.clone(), own);
        }
    }
    Ok(Take { test: test.clone(), whole, calls, result, run: start.id })
}

/// What came of the requests of one test.
#[derive(Debug, Default)]
struct Tape {
    taken: Mutex<Vec<Taken>>,
    /// The first request that was not let through.
    refused: Mutex<Option<String>>,
    left: AtomicUsize,
}

impl Tape {
    fn all(&self) -> MutexGuard<'_, Vec<Taken>> {
        // Nothing inside panics while it is held; what a panic elsewhere left is whole.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, why: String) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }

    /// Takes so many bytes of what may be kept.
    fn keep(&self, bytes: usize) -> bool {
        let taken =
            self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.is_ok()
    }

    /// Whether it is worth writing down.
    fn finished(&self) -> Result<(), String> {
        if let Some(why) = self.refused.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(why);
        }
        for taken in self.all().iter() {
            let (system, label) = (&taken.request.op.system, &taken.request.op.label);
            match &taken.result {
                None => return Err(format!("`{system}` did not answer `{label}` in time")),
                Some(Err(error)) if taken.answered.is_none() && is_no_answer(error.kind()) => {
                    return Err(format!("`{system}` gave no answer that is worth a test: {error}"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// Whether the failure says more of this hour, or of the config, than of the system.
fn is_no_answer(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Unavailable | Kind::Timeout | Kind::Cancelled | Kind::Unauthenticated | Kind::Internal
    )
}

/// A live system. It is connected when it is first asked: one that a test does not need may be down.
#[derive(Debug)]
struct Live {
    inner: Arc<dyn System>,
    tape: Arc<Tape>,
    allow_writes: bool,
}

#[async_trait]
impl System for Live {
    fn prepare(&self, op: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<PreparedOp> {
        self.inner.prepare(op, names, d)
    }

    fn show(&self, request: &Request) -> Result<Value> {
        self.inner.show(request)
    }

    fn is_local(&self) -> bool {
        self.inner.is_local()
    }

    async fn connect(&self, cx: &ConnectContext) -> Result<Connection> {
        let call = Listening {
            inner: self.inner.clone(),
            tape: self.tape.clone(),
            allow_writes: self.allow_writes,
            cx: cx.clone(),
            connection: OnceCell::new(),
        };
        Ok(Connection::new(Arc::new(call)))
    }
}

struct Listening {
    inner: Arc<dyn System>,
    tape: Arc<Tape>,
    allow_writes: bool,
    cx: ConnectContext,
    connection: OnceCell<Connection>,
}

/// Keeps the answer as it came.
#[derive(Debug, Default)]
struct Heard(Mutex<Option<Value>>);

impl Witness for Heard {
    fn answered(&self, answer: Value) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }
}

#[async_trait]
impl Call for Listening {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        // What the connector refuses to send is refused here, too, and is no request.
        let shown = self.inner.show(request)?;
        let (system, label) = (&request.op.system, &request.op.label);
        if request.effect != Effect::Read && !self.allow_writes {
            let why = format!(
                "`{label}` may change `{system}`, and nothing was sent; record it where that does no harm, with `--allow-writes`"
            );
            self.tape.refuse(why.clone());
            return Err(Error::new(Kind::Forbidden, why));
        }
        let at = {
            let mut all = self.tape.all();
            all.push(Taken { request: request.clone(), shown, result: None, answered: None });
            all.len() - 1
        };
        let heard = Arc::new(Heard::default());
        let result = match self.connection.get_or_try_init(|| self.inner.connect(&self.cx)).await {
            Ok(connection) => {
                let cx = CallContext { witness: Some(heard.clone()), ..cx.clone() };
                connection.call.call(&cx, request).await
            }
            Err(error) => Err(error),
        };
        let answered = heard.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let bytes = answered.as_ref().map_or(0, |answered| answered.to_json().len())
            + result.as_ref().map_or(0, weight);
        if !self.tape.keep(bytes) {
            self.tape.refuse(format!(
                "the answers are larger than what a test may hold (`--max-bytes`): `{system}` answered `{label}` with {bytes} bytes; ask for less"
            ));
            return result;
        }
        let mut all = self.tape.all();
        if let Some(taken) = all.get_mut(at) {
            (taken.result, taken.answered) = (Some(result.clone()), answered);
        }
        result
    }
}

fn weight(reply: &Reply) -> usize {
    match &reply.value {
        renkei_core::Payload::Json(value) => value.to_json().len(),
        renkei_core::Payload::Blob { bytes, .. } => bytes.len(),
    }
}

//! One execution of an action, and the one door through which it has effects.

mod asking;
mod effects;
mod given;
mod journal;
mod pauses;

use std::{
    borrow::Cow,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

pub use effects::Effects;
pub(crate) use given::Given;
use journal::UnderWay;
pub use journal::{Begun, Committed, Journal};
use pauses::Pauses;

use crate::{
    Call, CallContext, Effect, Error, Invalidation, Kind, Map, Reply, Request, Result, Scope, Value,
    ask::Asking,
    call::RunStart,
    store::{Batch, Store},
};

/// So many parts of one run – branches, elements of lists – are under way at once; one more is an error.
pub const MAX_PARTS: usize = 1000;

/// Gives the connected systems of a run; an unavailable one is an error that says so.
#[async_trait]
pub trait Systems: Send + Sync {
    async fn get(&self, name: &str) -> Result<Arc<dyn Call>>;

    /// Forgets cached replies of all systems.
    fn invalidate(&self, _: &Invalidation) {}
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Must grow from report to report.
    pub done: f64,
    pub total: Option<f64>,
    pub message: Option<String>,
}

/// How much a line of `log` matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warning,
    Error,
}

/// What an action writes for whoever called.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub level: Level,
    pub message: String,
    /// An object, if there is anything.
    pub fields: Option<Value>,
}

/// Takes progress reports, and what actions write. Both are a courtesy: they never block or fail a run.
pub trait ProgressSink: Send + Sync {
    fn report(&self, progress: Progress);

    fn line(&self, _: Line) {}
}

/// What a pattern sees of its run. Every effect goes through [`RunContext::step`].
#[derive(Clone)]
pub struct RunContext {
    pub call: CallContext,
    run: Arc<Run>,
    /// Names of the actions around this one, outermost first.
    path: Arc<[Arc<str>]>,
    /// What the actions around this one bound for its templates: results of branches, `$item`.
    vars: Arc<Map>,
    progress: Option<Arc<dyn ProgressSink>>,
    effects: Option<Arc<Effects>>,
    store: Option<Arc<dyn Store>>,
    /// Of a durable run.
    journal: Option<Arc<dyn Journal>>,
}

pub(crate) struct Run {
    /// When it began, and of that its name and what `$now` is: made when somebody asks.
    began: jiff::Timestamp,
    start: OnceLock<RunStart>,
    systems: Arc<dyn Systems>,
    /// The parts under way; see [`MAX_PARTS`].
    parts: AtomicUsize,
    /// Whether a step that changes something has begun.
    changed: AtomicBool,
    /// Where somebody may be asked while the run waits.
    pauses: Option<Pauses>,
}

impl Run {
    fn start(&self) -> &RunStart {
        self.start.get_or_init(|| RunStart::at(self.began))
    }

    fn id(&self) -> &Arc<str> {
        &self.start().id
    }

    fn now(&self) -> &Arc<str> {
        &self.start().now
    }
}

/// A part of a run that is under way. Its place is free again when this is dropped.
pub struct Part(Arc<Run>);

impl Drop for Part {
    fn drop(&mut self) {
        self.0.parts.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Part")
    }
}

impl RunContext {
    pub fn new(
        call: CallContext,
        systems: Arc<dyn Systems>,
        progress: Option<Arc<dyn ProgressSink>>,
    ) -> Self {
        let start = call.start.clone().map_or_else(OnceLock::new, OnceLock::from);
        let pauses = matches!(call.asking, Asking::Live { .. }).then(Pauses::default);
        let run = Run {
            began: jiff::Timestamp::now(),
            start,
            systems,
            parts: AtomicUsize::new(0),
            changed: AtomicBool::new(false),
            pauses,
        };
        RunContext {
            call,
            run: Arc::new(run),
            path: Arc::default(),
            vars: Arc::default(),
            progress,
            effects: None,
            store: None,
            journal: None,
        }
    }

    /// The same with a place for what is durable.
    #[must_use]
    pub fn keeping(self, store: Option<Arc<dyn Store>>) -> Self {
        RunContext { store, ..self }
    }

    /// The same as a durable run: its steps are in `journal`.
    #[must_use]
    pub fn journaled(self, journal: Arc<dyn Journal>) -> Self {
        RunContext { journal: Some(journal), ..self }
    }

    /// Where what is durable is kept, if anywhere. Changes go through [`RunContext::commit`]; this is for reading, and for
    /// what has no effect on the outcome of the run.
    pub fn store(&self) -> Option<&Arc<dyn Store>> {
        self.store.as_ref()
    }

    pub fn id(&self) -> &Arc<str> {
        self.run.id()
    }

    /// One effect, named `name` within this action. A plain run calls the system. A durable one looks in its journal
    /// first, and writes the intent before and the result after: what was done in an earlier attempt is not done again.
    /// Connectors' errors name the system. The key of a step depends on the run and the path of names only, so a repeat
    /// carries the same.
    pub async fn step(&self, name: &str, request: Request) -> Result<Reply> {
        let changes = request.effect != Effect::Read;
        if changes {
            self.run.changed.store(true, Ordering::Relaxed);
        }
        let changing = self.effects.as_ref().filter(|_| changes);
        if let Some(effects) = changing {
            effects.begin();
        }
        let result = match &self.journal {
            None => self.call_system(name, &request).await,
            Some(journal) => self.journaled_step(&**journal, name, &request).await,
        };
        if let Some(effects) = changing {
            effects.end(result.as_ref().map(drop));
        }
        result
    }

    async fn journaled_step(&self, journal: &dyn Journal, name: &str, request: &Request) -> Result<Reply> {
        let path = self.path_of(name);
        let mut step = UnderWay { journal, path: &path, request, has_ended: false };
        let result = match journal.begin(&path, request).await {
            Ok(Begun::Known(result)) => result,
            Ok(Begun::New) => {
                let result = self.call_system(name, request).await;
                journal.end(&path, request, result).await
            }
            Err(error) => Err(error),
        };
        step.has_ended = true;
        result
    }

    async fn call_system(&self, name: &str, request: &Request) -> Result<Reply> {
        let system = self.run.systems.get(&request.op.system).await?;
        let span = tracing::debug_span!("step", name);
        let call = self.current();
        system.call(&call, request).instrument(span).await
    }

    /// Changes the store, as the effect named `name` within this action. In a durable run the change and the record of
    /// it, `given`, are one commit: a later attempt gets `given` and changes nothing.
    ///
    /// # Errors
    /// There is no store, it is in trouble, or a precondition of the batch does not hold.
    pub async fn commit(&self, name: &str, batch: Batch, given: Value) -> Result<Committed> {
        let Some(store) = &self.store else {
            return Err(Error::new(Kind::Internal, "keep this: there is no store here"));
        };
        self.run.changed.store(true, Ordering::Relaxed);
        if let Some(effects) = &self.effects {
            effects.begin();
        }
        let result = match &self.journal {
            Some(journal) => journal.commit(&self.path_of(name), batch, given).await,
            None => match store.commit(batch).await {
                Ok(verdict) => verdict.into_result().map(Committed::Now),
                Err(error) => Err(error),
            },
        };
        if let Some(effects) = &self.effects {
            effects.end(result.as_ref().map(drop));
        }
        result
    }

    /// Forgets cached replies that are no longer true. No effect: nothing outside changes.
    pub fn invalidate(&self, what: &Invalidation) {
        self.run.systems.invalidate(what);
    }

    /// Begins a part that runs beside others.
    ///
    /// # Errors
    /// Too many are under way.
    pub fn begin_part(&self) -> Result<Part> {
        let part = Part(self.run.clone());
        if part.0.parts.fetch_add(1, Ordering::Relaxed) < MAX_PARTS {
            return Ok(part);
        }
        Err(Error::internal(format!(
            "run more than {MAX_PARTS} branches and elements at once; lower `concurrency`"
        )))
    }

    /// Tells whoever waits how far the run is.
    pub fn progress(&self, progress: Progress) {
        if let Some(sink) = &self.progress {
            sink.report(progress);
        }
    }

    /// Writes a line for whoever called, if they asked for such.
    pub fn line(&self, line: Line) {
        if let Some(sink) = &self.progress {
            sink.line(line);
        }
    }

    /// Whether somebody wants to know how far the run is.
    pub fn wants_progress(&self) -> bool {
        self.progress.is_some()
    }

    /// The same context for a part of the action: its reports go to `sink`.
    pub fn with_progress(&self, sink: Arc<dyn ProgressSink>) -> RunContext {
        RunContext { progress: Some(sink), ..self.clone() }
    }

    /// The same context, and what becomes of the effects of its steps.
    pub fn watched(&self) -> (RunContext, Arc<Effects>) {
        let effects = Arc::new(Effects::within(self.effects.clone()));
        (RunContext { effects: Some(effects.clone()), ..self.clone() }, effects)
    }

    /// The context of the action `name` nested in this one: same run, same deadline, longer path.
    pub fn child(&self, name: &str) -> RunContext {
        let path = self.path.iter().cloned().chain([name.into()]).collect();
        RunContext { path, ..self.clone() }
    }

    /// The same context, in which templates also see `vars`, without their `$`.
    pub fn with_vars(&self, vars: impl IntoIterator<Item = (Arc<str>, Value)>) -> RunContext {
        let vars = self.vars.iter().map(|(name, value)| (name.clone(), value.clone())).chain(vars);
        RunContext { vars: Arc::new(vars.collect()), ..self.clone() }
    }

    /// The same context, in which templates do not see `names`: they mean something else from here on, which
    /// may be absent.
    pub fn hiding<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> RunContext {
        let mut vars = Map::clone(&self.vars);
        for name in names {
            vars.shift_remove(name);
        }
        RunContext { vars: Arc::new(vars), ..self.clone() }
    }

    /// The same context for an action that stands elsewhere: it sees nothing of what was bound here.
    pub fn without_vars(&self) -> RunContext {
        RunContext { vars: Arc::default(), ..self.clone() }
    }

    /// The same context with at most `time` left.
    pub fn within(&self, time: Duration) -> RunContext {
        let mut cx = self.clone();
        // Of the run's own clock.
        let now = Instant::now();
        let now = now.checked_sub(self.paused()).unwrap_or(now);
        cx.call.deadline = cx.call.deadline.min(now + time);
        cx
    }

    /// When the time of this context is over, unless somebody is asked before. [`CallContext::deadline`] does not
    /// count the time that answers took.
    pub fn deadline(&self) -> Instant {
        self.call.deadline + self.paused()
    }

    /// Runs `future` until the time of this context is over: nothing if it was not done by then.
    pub async fn in_time<F: Future>(&self, future: F) -> Option<F::Output> {
        match &self.run.pauses {
            Some(pauses) => pauses.before(self.call.deadline, future).await,
            None => timeout_at(self.call.deadline, future).await.ok(),
        }
    }

    fn paused(&self) -> Duration {
        self.run.pauses.as_ref().map(Pauses::total).unwrap_or_default()
    }

    /// The conditions of a call that begins now.
    fn current(&self) -> Cow<'_, CallContext> {
        match self.paused() {
            Duration::ZERO => Cow::Borrowed(&self.call),
            _ => Cow::Owned(CallContext { deadline: self.deadline(), ..self.call.clone() }),
        }
    }

    /// The idempotency key of the step `name` here: run id and path of names, never the attempt.
    pub fn key(&self, name: &str) -> Arc<str> {
        key(self.run.id(), &self.path, name)
    }

    /// Where `name` is in the run: the names of the actions around it, and its own.
    fn path_of(&self, name: &str) -> String {
        self.path.iter().map(|part| &**part).chain([name]).collect::<Vec<_>>().join("/")
    }

    /// What the templates of the step `name` see: the input as `.`, what is bound around it, and the
    /// reserved names.
    pub fn scope(&self, name: &'static str, input: Value) -> Scope {
        let given = Given::new(self.call.principal.clone(), self.run.clone(), self.path.clone(), name);
        Scope { input, vars: self.vars.clone(), given: Some(Arc::new(given)), until: Some(self.deadline()) }
    }
}

/// The key of the step `name` under the actions of `path`.
fn key(run: &str, path: &[Arc<str>], name: &str) -> Arc<str> {
    let mut key = run.to_owned();
    for part in path.iter().map(|part| &**part).chain([name]) {
        key.push('/');
        key.push_str(part);
    }
    key.into()
}

impl std::fmt::Debug for RunContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunContext")
            .field("run", self.run.id())
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

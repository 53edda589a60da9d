//! One execution of an action, and the one door through which it has effects.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::Instrument;

use crate::{Call, CallContext, Map, Reply, Request, Result, Scope, Value};

/// Gives the connected systems of a run; an unavailable one is an error that says so.
#[async_trait]
pub trait Systems: Send + Sync {
    async fn get(&self, name: &str) -> Result<Arc<dyn Call>>;
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Must grow from report to report.
    pub done: f64,
    pub total: Option<f64>,
    pub message: Option<String>,
}

/// Takes progress reports. A report is a courtesy: it never blocks or fails a run.
pub trait ProgressSink: Send + Sync {
    fn report(&self, progress: Progress);
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
}

struct Run {
    id: Arc<str>,
    /// RFC 3339; fixed for the whole run.
    now: Arc<str>,
    systems: Arc<dyn Systems>,
    progress: Option<Arc<dyn ProgressSink>>,
}

impl RunContext {
    pub fn new(
        call: CallContext,
        systems: Arc<dyn Systems>,
        progress: Option<Arc<dyn ProgressSink>>,
    ) -> Self {
        let id = uuid::Uuid::now_v7().to_string().into();
        let now = jiff::Timestamp::now().to_string().into();
        RunContext {
            call,
            run: Arc::new(Run { id, now, systems, progress }),
            path: Arc::default(),
            vars: Arc::default(),
        }
    }

    pub fn id(&self) -> &Arc<str> {
        &self.run.id
    }

    /// One effect, named `name` within this action. In a plain run it calls the system; the name is
    /// what a durable run's journal will find the result by. Connectors' errors name the system.
    /// The key of a step depends on the run and the path of names only, so a repeat carries the same.
    pub async fn step(&self, name: &str, request: Request) -> Result<Reply> {
        let system = self.run.systems.get(&request.op.system).await?;
        let span = tracing::debug_span!("step", name);
        system.call(&self.call, &request).instrument(span).await
    }

    /// Tells whoever waits how far the run is.
    pub fn progress(&self, progress: Progress) {
        if let Some(sink) = &self.run.progress {
            sink.report(progress);
        }
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

    /// The same context for an action that stands elsewhere: it sees nothing of what was bound here.
    pub fn without_vars(&self) -> RunContext {
        RunContext { vars: Arc::default(), ..self.clone() }
    }

    /// The same context with at most `time` left.
    pub fn within(&self, time: Duration) -> RunContext {
        let mut cx = self.clone();
        cx.call.deadline = cx.call.deadline.min(Instant::now() + time);
        cx
    }

    /// The idempotency key of the step `name` here: run id and path of names, never the attempt.
    pub fn key(&self, name: &str) -> Arc<str> {
        let mut key = self.run.id.to_string();
        for part in self.path.iter().map(|part| &**part).chain([name]) {
            key.push('/');
            key.push_str(part);
        }
        key.into()
    }

    /// What the templates of the step `name` see: the input as `.`, what is bound around it, and the
    /// reserved names.
    pub fn scope(&self, name: &str, input: Value) -> Scope {
        let mut scope = Scope { input, vars: Map::clone(&self.vars) };
        scope.set("caller", self.call.principal.to_value());
        scope.set("now", self.run.now.clone());
        scope.set("run", self.run.id.clone());
        scope.set("key", self.key(name));
        scope
    }
}

impl std::fmt::Debug for RunContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunContext")
            .field("run", &self.run.id)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

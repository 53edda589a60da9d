//! The tools of a config, callable.

use std::{panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt;
use indexmap::IndexMap;
use renkei_core::{
    Applied, CallContext, Effect, Error, Kind, Outcome, Payload, Result, Retry, RunContext, Value,
    connector::SystemPlan,
    run::ProgressSink,
    tool::{Content, ToolInfo, ToolPlan, ToolResult, Tools, UnknownTool},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tracing::{Instrument, debug, error, info_span, warn};

use super::{
    content,
    input::Input,
    output::{self, Promise},
    refusal,
    systems::{RunSystems, Supervisor},
};

/// The limits of an engine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Relative paths in the config start here.
    pub base_dir: PathBuf,
    /// How long a call may take as a whole, unless the tool says otherwise.
    pub tool_timeout: Duration,
    /// The largest result, as bytes of JSON; a larger one is cut or refused.
    pub result_bytes: usize,
    /// The largest sum of the parts of one result: images, audio, resources.
    pub content_bytes: usize,
    /// How many calls run at the same time; one more is refused at once.
    pub concurrent_calls: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            base_dir: PathBuf::from("."),
            tool_timeout: Duration::from_secs(60),
            result_bytes: 256_000,
            content_bytes: 10_000_000,
            concurrent_calls: 256,
        }
    }
}

/// Why a tool cannot be run.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the `{key}` of tool `{tool}` cannot be used: {what}")]
pub struct Problem {
    pub tool: Arc<str>,
    /// `input_schema` or `output_schema`.
    pub key: &'static str,
    pub what: String,
}

/// Runs the tools of a config on its systems.
pub struct Engine {
    tools: IndexMap<Arc<str>, Tool>,
    list: Vec<Arc<ToolInfo>>,
    supervisor: Arc<Supervisor>,
    options: Options,
    permits: Semaphore,
}

struct Tool {
    plan: ToolPlan,
    info: Arc<ToolInfo>,
    input: Input,
    promise: Option<Promise>,
}

impl Engine {
    /// Compiles the tools. No I/O and no tasks: [`Engine::start`] connects the systems.
    pub fn new(
        systems: IndexMap<Arc<str>, SystemPlan>,
        tools: Vec<ToolPlan>,
        options: Options,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let tools: IndexMap<Arc<str>, Tool> = tools
            .into_iter()
            .filter_map(|plan| Some((plan.name.clone(), Tool::new(plan, &mut problems)?)))
            .collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Engine {
            list: tools.values().map(|tool| tool.info.clone()).collect(),
            tools,
            supervisor: Arc::new(Supervisor::new(systems, &options.base_dir)),
            permits: Semaphore::new(options.concurrent_calls),
            options,
        })
    }

    /// Starts to connect the systems, in the background. One that is down stops nothing.
    /// Call it once, inside a runtime; [`Engine::shutdown`] ends what it starts.
    pub fn start(&self) {
        self.supervisor.start();
    }

    /// Ends the connections' upkeep and waits for it. Calls under way keep their connection.
    pub async fn shutdown(&self) {
        self.supervisor.shutdown().await;
    }

    /// Of each system, in the order of the config: its name, and why it is not connected.
    pub fn health(&self) -> Vec<(Arc<str>, Option<Error>)> {
        self.supervisor.health()
    }

    fn deadline(&self, tool: &Tool) -> Duration {
        tool.plan.timeout.unwrap_or(self.options.tool_timeout)
    }

    async fn run(
        &self,
        tool: &Tool,
        mut cx: CallContext,
        arguments: Value,
        progress: Option<Arc<dyn ProgressSink>>,
    ) -> Result<ToolResult> {
        let Ok(_permit) = self.permits.try_acquire() else {
            let limit = self.options.concurrent_calls;
            return Err(Error::new(
                Kind::RateLimited,
                format!("this server runs {limit} calls already, which is its limit"),
            )
            .retry(Retry::After(Duration::from_secs(1))));
        };
        let input = tool.input.check(&tool.plan.name, arguments)?;

        let limit = self.deadline(tool);
        cx.deadline = cx.deadline.min(Instant::now() + limit);
        let (deadline, cancel) = (cx.deadline, cx.cancel.clone());
        let systems = Arc::new(RunSystems { supervisor: self.supervisor.clone(), deadline });
        let cx = RunContext::new(cx, systems, progress);

        // The run goes first: what ends inside by itself knows better what happened.
        let unknown = if tool.effect() == Effect::Read { Applied::No } else { Applied::Unknown };
        let outcome = tokio::select! {
            biased;
            outcome = timeout_at(deadline, tool.plan.action.run(&cx, input.clone())) => {
                outcome.unwrap_or_else(|_| {
                    Err(Error::new(Kind::Timeout, "the time for the whole call was used up").applied(unknown))
                })?
            }
            () = cancel.cancelled() => {
                return Err(Error::new(Kind::Cancelled, "nobody waits for the result any more").applied(unknown));
            }
        };
        // From here on it has happened, whatever becomes of the result.
        self.publish(tool, &cx, input, outcome).map_err(|error| match tool.effect() {
            Effect::Read => error,
            _ => error.applied(Applied::Yes),
        })
    }

    fn publish(&self, tool: &Tool, cx: &RunContext, input: Value, outcome: Outcome) -> Result<ToolResult> {
        let plan = &tool.plan;
        let blob = match &outcome.value {
            Payload::Blob { bytes, mime_type } => Some((bytes.clone(), mime_type.clone())),
            Payload::Json(_) => None,
        };
        if let (Some((bytes, mime_type)), None, None) = (blob, &plan.output, &plan.content) {
            let part = content::of_blob(bytes, &mime_type, cx.id());
            let notices = outcome.notices.into_iter().map(Content::Text);
            return Ok(ToolResult {
                content: [part].into_iter().chain(notices).collect(),
                structured: None,
                error: None,
            });
        }

        let scope = cx.with_vars(outcome.vars()).scope("output", input);
        let value = outcome.value.into_value();
        let value = match &plan.output {
            Some(output) => output.render(&scope)?.unwrap_or_default(),
            None => value,
        };
        if let Some(promise) = &tool.promise {
            promise.check(&value)?;
        }

        let mut notices = outcome.notices;
        // With parts of its own and no promise, a result has no second form.
        let parts = match &plan.content {
            Some(plans) => Some(content::render(plans, &scope, self.options.content_bytes)?),
            None => None,
        };
        let (mut parts, structured) = match parts {
            Some(parts) if tool.promise.is_none() => (parts, None),
            parts => {
                let published = output::publish(value, tool.promise.as_ref(), self.options.result_bytes)?;
                notices.extend(published.notice);
                (parts.unwrap_or_else(|| vec![Content::Text(published.text)]), Some(published.structured))
            }
        };
        parts.extend(notices.into_iter().map(Content::Text));
        Ok(ToolResult { content: parts, structured, error: None })
    }
}

impl Tool {
    fn new(plan: ToolPlan, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut problem = |key, what| problems.push(Problem { tool: plan.name.clone(), key, what });
        let input = Input::new(&plan.input_schema).map_err(|what| problem("input_schema", what)).ok();
        let promise = match &plan.output_schema {
            Some(schema) => {
                Promise::new(schema).map_err(|what| problem("output_schema", what)).ok().map(Some)
            }
            None => Some(None),
        };
        let (input, promise) = (input?, promise?);
        let info = Arc::new(info(&plan, promise.as_ref()));
        Some(Tool { plan, info, input, promise })
    }

    /// Corrected hints change what clients are told, never what is done.
    fn effect(&self) -> Effect {
        self.plan.action.effect()
    }
}

fn info(plan: &ToolPlan, promise: Option<&Promise>) -> ToolInfo {
    let effect = plan.action.effect();
    let hints = &plan.annotations;
    let read_only = hints.read_only.unwrap_or(effect == Effect::Read);
    ToolInfo {
        name: plan.name.clone(),
        title: plan.title.clone(),
        description: plan.description.clone(),
        input_schema: plan.input_schema.clone(),
        output_schema: promise.map(|promise| promise.published.clone()),
        read_only,
        destructive: hints.destructive.unwrap_or(!read_only),
        idempotent: hints.idempotent.unwrap_or(read_only || effect != Effect::Write),
        open_world: hints.open_world.unwrap_or(plan.action.open_world()),
        icons: plan.icons.clone(),
    }
}

#[async_trait]
impl Tools for Engine {
    fn list(&self) -> &[Arc<ToolInfo>] {
        &self.list
    }

    fn find(&self, name: &str) -> Option<&Arc<ToolInfo>> {
        self.tools.get(name).map(|tool| &tool.info)
    }

    async fn call(
        &self,
        cx: CallContext,
        name: &str,
        arguments: Value,
        progress: Option<Arc<dyn ProgressSink>>,
    ) -> Result<ToolResult, UnknownTool> {
        let tool = self.tools.get(name).ok_or_else(|| UnknownTool(name.to_owned()))?;
        let (trace, principal) = (cx.trace.id().to_owned(), cx.principal.clone());
        let span = info_span!("tool", name, principal = &*principal.name, trace);
        let start = Instant::now();
        // A fault in one call ends this call only. What it left half-done is dropped with it.
        let run = AssertUnwindSafe(self.run(tool, cx, arguments, progress)).catch_unwind();
        let result =
            run.instrument(span.clone()).await.unwrap_or_else(|panic| Err(of_panic(&*panic, tool.effect())));

        let _entered = span.entered();
        let ms = start.elapsed().as_millis() as u64;
        Ok(match result {
            Ok(result) => {
                debug!(ms, "done");
                result
            }
            Err(error) => {
                log(&error, ms);
                let text = refusal::text(name, tool.effect(), &error, &trace);
                ToolResult { content: vec![Content::Text(text)], structured: None, error: Some(error) }
            }
        })
    }

    fn timeout(&self, name: &str) -> Duration {
        self.tools.get(name).map_or(self.options.tool_timeout, |tool| self.deadline(tool))
    }
}

fn log(error: &Error, ms: u64) {
    let (kind, detail) = (error.kind().as_str(), error.detail_text());
    let applied = format!("{:?}", error.was_applied());
    match error.kind() {
        Kind::Internal => error!(ms, kind, applied, detail, "{error}"),
        Kind::Unavailable | Kind::Timeout | Kind::Unauthenticated => {
            warn!(ms, kind, applied, detail, "{error}")
        }
        _ => debug!(ms, kind, applied, detail, "{error}"),
    }
}

fn of_panic(panic: &(dyn std::any::Any + Send), effect: Effect) -> Error {
    let message =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::internal("the call hit a fault in Renkei")
        .applied(if effect == Effect::Read { Applied::No } else { Applied::Unknown })
        .detail(message.unwrap_or("a panic without a message"))
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("tools", &self.tools.keys()).finish_non_exhaustive()
    }
}

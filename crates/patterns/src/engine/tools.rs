//! The tools of a config, callable.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use renkei_core::{
    Applied, CallContext, Effect, Error, Map, Outcome, Payload, Result, RunContext, Secret, Value, audit,
    connector::SystemPlan,
    prompt::{PromptInfo, PromptPlan},
    queue::QueuePlan,
    resource::ResourcePlan,
    run::{Journal, ProgressSink},
    schedule::SchedulePlan,
    store::Store,
    tool::{Content, ToolInfo, ToolPlan, ToolResult, Tools, UnknownTool},
};
use tokio::sync::Semaphore;

use super::{
    content,
    cursor::{self, Cursors, Owner},
    exposed::{self, Offers},
    input::Input,
    job::Job,
    kept::{Keep, Kept, Whole},
    output::{self, Promise},
    prompts::Prompt,
    refusal,
    resources::Shelf,
    rounds::{self, Limits as AskLimits},
    schema,
    systems::Supervisor,
    watch::Watches,
};
use crate::durable::TaskLimits;

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
    /// How much of results that are too large is kept, to be read in parts.
    pub keep: Keep,
    /// How many instances of one template are listed.
    pub listed_resources: usize,
    /// Seals the cursors of lists; one of this process without it.
    pub cursor_key: Option<Secret>,
    /// What the audit says of arguments.
    pub audited: audit::Arguments,
    /// How many resources are watched for subscribers at the same time.
    pub watched_resources: usize,
    /// For calls that ask and come again.
    pub ask: AskLimits,
    /// What tasks may take.
    pub tasks: TaskLimits,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            base_dir: PathBuf::from("."),
            tool_timeout: Duration::from_secs(60),
            result_bytes: 256_000,
            content_bytes: 10_000_000,
            concurrent_calls: 256,
            keep: Keep::default(),
            listed_resources: 10_000,
            cursor_key: None,
            audited: audit::Arguments::default(),
            watched_resources: 200,
            ask: AskLimits::default(),
            tasks: TaskLimits::default(),
        }
    }
}

/// Why a tool cannot be run.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the `{key}` of {holder} cannot be used: {what}")]
pub struct Problem {
    /// Such as ``tool `get_customer` ``.
    pub holder: String,
    /// `input_schema` or `output_schema`.
    pub key: &'static str,
    pub what: String,
}

/// Runs the tools of a config on its systems.
pub struct Engine {
    pub(super) tools: IndexMap<Arc<str>, Tool>,
    list: Vec<Arc<ToolInfo>>,
    pub(super) kept: Kept,
    cursors: Cursors,
    pub(super) rounds: rounds::Table,
    pub(super) shelf: Shelf,
    pub(super) watches: Watches,
    pub(super) prompts: IndexMap<Arc<str>, Prompt>,
    pub(super) prompt_list: Vec<PromptInfo>,
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) options: Options,
    pub(super) permits: Arc<Semaphore>,
    pub(super) store: Option<Arc<dyn Store>>,
    pub(super) queues: IndexMap<Arc<str>, Arc<QueuePlan>>,
    pub(super) schedules: Vec<Arc<SchedulePlan>>,
}

/// Who hears how far a run is, and who writes it down.
pub(super) type Witnesses = (Option<Arc<dyn ProgressSink>>, Option<Arc<dyn Journal>>);

pub(super) struct Tool {
    pub(super) plan: ToolPlan,
    info: Arc<ToolInfo>,
    pub(super) input: Input,
    promise: Option<Promise>,
    pub(super) measures: audit::Measures,
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
            cursors: Cursors::new(options.cursor_key.as_ref()),
            rounds: rounds::Table::new(options.ask.clone()),
            kept: Kept::new(options.keep.clone(), options.result_bytes, options.content_bytes),
            shelf: Shelf::default(),
            watches: Watches::new(options.watched_resources),
            prompts: IndexMap::new(),
            prompt_list: Vec::new(),
            supervisor: Arc::new(Supervisor::new(systems, &options.base_dir)),
            permits: Arc::new(Semaphore::new(options.concurrent_calls)),
            store: None,
            queues: IndexMap::new(),
            schedules: Vec::new(),
            options,
        })
    }

    /// The same with resources and prompts.
    pub fn offering(
        mut self,
        resources: Vec<ResourcePlan>,
        prompts: Vec<PromptPlan>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        self.shelf = Shelf::new(resources, &mut problems);
        let prompts = prompts.into_iter();
        self.prompts =
            prompts.filter_map(|plan| Some((plan.name.clone(), Prompt::new(plan, &mut problems)?))).collect();
        self.prompt_list = self.prompts.values().map(Prompt::info).collect();
        if problems.is_empty() { Ok(self) } else { Err(problems) }
    }

    /// The same with a place for what is durable.
    #[must_use]
    pub fn keeping(self, store: Arc<dyn Store>) -> Self {
        Engine { store: Some(store), ..self }
    }

    /// Where what is durable is kept, if anywhere.
    pub fn store(&self) -> Option<&Arc<dyn Store>> {
        self.store.as_ref()
    }

    /// The same as the successor of `old`, whose config changed: systems of which the config says the same keep
    /// their connection and the state of their layers, results that are kept stay, and so does the store. What `old`
    /// alone needs goes with it, once its last call has ended and it is dropped. [`Engine::start`] connects what is new.
    #[must_use]
    pub fn following(mut self, old: &Engine) -> Self {
        self.supervisor = Arc::new(Supervisor::following(&self.supervisor, &old.supervisor));
        self.kept = self.kept.following(&old.kept);
        self.rounds = self.rounds.following(&old.rounds);
        self.store = self.store.or_else(|| old.store.clone());
        if self.options.concurrent_calls == old.options.concurrent_calls {
            self.permits = old.permits.clone();
        }
        self
    }

    /// Whether there is anything to read: what the config declares, or results that are kept.
    pub fn has_resources(&self) -> bool {
        !self.shelf.is_empty() || self.kept.is_on() && !self.tools.is_empty()
    }

    pub fn has_prompts(&self) -> bool {
        !self.prompts.is_empty()
    }

    /// Starts to connect the systems, in the background. One that is down stops nothing.
    /// Call it once, inside a runtime; [`Engine::shutdown`] ends what it starts, and what the engines before it
    /// started.
    pub fn start(&self) {
        self.supervisor.start();
    }

    /// Calls wait for a connection that is being made as long as that may take: for who makes one call and ends.
    pub fn await_connections(&self) {
        self.supervisor.await_connections();
    }

    /// What systems offer to be served as this server's own.
    pub fn offers(&self) -> Offers {
        self.supervisor.offers()
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

    pub(super) async fn run(
        &self,
        tool: &Tool,
        job: &Job<'_>,
        cx: CallContext,
        arguments: Value,
        (progress, journal): Witnesses,
    ) -> Result<ToolResult> {
        // Durable runs have a limit of their own.
        let _place = if journal.is_none() { Some(self.place()?) } else { None };
        let input = tool.input.check(&tool.plan.name, arguments)?;
        let given = input.clone();
        self.in_rounds(job, cx, &given, |cx| self.carry_out(tool, job, cx, input, (progress, journal))).await
    }

    async fn carry_out(
        &self,
        tool: &Tool,
        job: &Job<'_>,
        cx: CallContext,
        input: Value,
        (progress, journal): Witnesses,
    ) -> Result<ToolResult> {
        let (cx, is_durable) = (self.context(job, cx, progress), journal.is_some());
        let cx = journal.into_iter().fold(cx, RunContext::journaled);
        let (input, outcome, next) = match tool.plan.action.resumes() {
            true => Box::pin(self.page(tool, job, &cx, input)).await?,
            false => {
                let action = self.act(job, &cx, &*tool.plan.action, input.clone());
                let outcome = match &tool.plan.idempotency {
                    Some(plan) => {
                        Box::pin(self.once(plan, &tool.plan.name, &cx, (&input, is_durable), action)).await?
                    }
                    None => action.await?,
                };
                (input, outcome, None)
            }
        };
        // From here on it has happened, whatever becomes of the result.
        self.publish(tool, &cx, input, outcome, next.as_deref()).map_err(|error| match tool.effect() {
            Effect::Read => error,
            _ => error.applied(Applied::Yes),
        })
    }

    /// Runs an action that gives a list, from where the cursor among the arguments says. Gives the arguments without it,
    /// and the next one.
    async fn page(
        &self,
        tool: &Tool,
        job: &Job<'_>,
        cx: &RunContext,
        arguments: Value,
    ) -> Result<(Value, Outcome, Option<String>)> {
        let plan = &tool.plan;
        let (arguments, cursor) = cursor::taken_from(arguments);
        let owner = Owner { tool: &plan.name, caller: &cx.call.principal, arguments: &arguments };
        let from = cursor.map(|cursor| self.cursors.open(owner, &cursor)).transpose()?.unwrap_or_default();
        let mut outcome = self.go_on(job, cx, &*plan.action, arguments.clone(), from).await?;
        let mut next = None;
        if let Some(position) = &outcome.next {
            next = self.cursors.seal(owner, position);
            outcome.notices.push(cursor::notice(next.as_deref()));
        }
        if let (Some(next), Value::Object(meta)) = (&next, &outcome.meta) {
            let mut meta = Map::clone(meta);
            meta.insert(cursor::MEMBER.into(), next.as_str().into());
            outcome.meta = meta.into();
        }
        Ok((arguments, outcome, next))
    }

    fn publish(
        &self,
        tool: &Tool,
        cx: &RunContext,
        input: Value,
        outcome: Outcome,
        next: Option<&str>,
    ) -> Result<ToolResult> {
        let plan = &tool.plan;
        if plan.is_passed_on {
            let value = outcome.value.into_value();
            return exposed::publish(&value, plan, &self.options, &self.kept, &cx.call.principal);
        }
        let blob = match &outcome.value {
            Payload::Blob { bytes, mime_type } => Some((bytes.clone(), mime_type.clone())),
            Payload::Json(_) => None,
        };
        if let (Some((bytes, mime_type)), None, None) = (blob, &plan.output, &plan.content) {
            let (part, notice) = self.blob(cx, &plan.name, bytes, mime_type)?;
            let notices = notice.into_iter().chain(outcome.notices).map(Content::Text);
            return Ok(ToolResult {
                content: [part].into_iter().chain(notices).collect(),
                structured: None,
                error: None,
            });
        }

        let is_shaped = plan.output.is_some() || plan.content.is_some();
        let scope = is_shaped.then(|| cx.with_vars(outcome.vars()).scope("output", input));
        let value = outcome.value.into_value();
        let value = match (&plan.output, &scope) {
            (Some(output), Some(scope)) => output.render(scope).map_err(of_output)?.unwrap_or_default(),
            _ => value,
        };
        if let Some(promise) = &tool.promise {
            promise.check(&value)?;
        }
        let value = match next {
            Some(next) => output::with_next(value, tool.promise.as_ref(), next),
            None => value,
        };

        let mut notices = outcome.notices;
        // With parts of its own and no promise, a result has no second form.
        let parts = match (&plan.content, &scope) {
            (Some(plans), Some(scope)) => Some(content::render(plans, scope, self.options.content_bytes)?),
            _ => None,
        };
        let (mut parts, structured) = match parts {
            Some(parts) if tool.promise.is_none() => (parts, None),
            parts => {
                let whole = value.clone();
                let limit = self.options.result_bytes;
                let published = output::publish(value, tool.promise.as_ref(), limit, next);
                let is_cut = published.as_ref().map_or(true, |published| published.notice.is_some());
                let kept = is_cut
                    .then(|| self.kept.keep(&cx.call.principal, &plan.name, Whole::of_value(&whole)))
                    .flatten();
                let (own, structured) = match published {
                    Ok(published) => {
                        notices.extend(published.notice);
                        (Some(published.text), Some(published.structured))
                    }
                    // What cannot be cut is read in parts. A promised structure cannot be left out.
                    Err(_) if kept.is_some() && tool.promise.is_none() => (None, None),
                    Err(error) => return Err(error),
                };
                let mut parts = parts.unwrap_or_else(|| own.map(Content::Text).into_iter().collect());
                if let Some(place) = kept {
                    notices.push(place.notice);
                    parts.push(place.link);
                }
                (parts, structured)
            }
        };
        parts.extend(notices.into_iter().map(Content::Text));
        Ok(ToolResult { content: parts, structured, error: None })
    }
}

impl Engine {
    /// What is given for bytes: themselves, or where they are kept if there are too many of them.
    fn blob(
        &self,
        cx: &RunContext,
        tool: &Arc<str>,
        bytes: Bytes,
        mime_type: Arc<str>,
    ) -> Result<(Content, Option<String>)> {
        let (length, limit) = (bytes.len(), self.options.content_bytes);
        if length <= limit {
            return Ok((content::of_blob(bytes, &mime_type, cx.id()), None));
        }
        match self.kept.keep(&cx.call.principal, tool, Whole::Blob { bytes, mime_type }) {
            Some(place) => Ok((place.link, Some(place.notice))),
            None => Err(content::too_large(length, limit)),
        }
    }
}

impl Tool {
    fn new(plan: ToolPlan, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut problem =
            |key, what| problems.push(Problem { holder: format!("tool `{}`", plan.name), key, what });
        if plan.is_passed_on {
            return Some(Self::passed_on(plan));
        }
        let resumes = plan.action.resumes();
        let schema = match resumes {
            true => cursor::with_argument(&plan.input_schema),
            false => plan.input_schema.clone(),
        };
        let input = Input::new(&schema).map_err(|what| problem("input_schema", what)).ok();
        let promise = match &plan.output_schema {
            Some(schema) => {
                Promise::new(schema, resumes).map_err(|what| problem("output_schema", what)).ok().map(Some)
            }
            None => Some(None),
        };
        let (input, promise) = (input?, promise?);
        let info = Arc::new(info(&plan, schema, promise.as_ref()));
        let measures = audit::Measures::new("tool", &plan.name);
        Some(Tool { plan, info, input, promise, measures })
    }

    /// Another server's: its schemas are published as they are, and a wrong one harms nobody else. What cannot be checked
    /// here is left to that server.
    fn passed_on(plan: ToolPlan) -> Self {
        let anything = || Input::new(&Value::from([("type", "object")]));
        let input = Input::new(&plan.input_schema).or_else(|_| anything());
        let input = input.expect("a schema that says only `type: object` is right");
        let mut info = info(&plan, plan.input_schema.clone(), None);
        info.output_schema = plan.output_schema.as_ref().map(schema::object);
        let measures = audit::Measures::new("tool", &plan.name);
        Tool { plan, info: Arc::new(info), input, promise: None, measures }
    }

    /// What a model reads of an error.
    pub(super) fn refused(&self, error: Error, trace: &str) -> ToolResult {
        let text = refusal::text(&self.plan.name, self.effect(), &error, trace);
        ToolResult { content: vec![Content::Text(text)], structured: None, error: Some(error) }
    }

    /// Corrected hints change what clients are told, never what is done.
    pub(super) fn effect(&self) -> Effect {
        self.plan.action.effect()
    }
}

fn info(plan: &ToolPlan, input_schema: Value, promise: Option<&Promise>) -> ToolInfo {
    let effect = plan.action.effect();
    let hints = &plan.annotations;
    let read_only = hints.read_only.unwrap_or(effect == Effect::Read);
    ToolInfo {
        name: plan.name.clone(),
        title: plan.title.clone(),
        description: plan.description.clone(),
        input_schema,
        output_schema: promise.map(|promise| promise.published.clone()),
        read_only,
        destructive: hints.destructive.unwrap_or(!read_only),
        idempotent: hints.idempotent.unwrap_or(read_only || effect != Effect::Write),
        open_world: hints.open_world.unwrap_or(plan.action.open_world()),
        asks: plan.action.asks(),
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
        let (effect, timeout, shown) = (tool.effect(), self.deadline(tool), self.options.audited);
        let job = Job { measures: &tool.measures, name, effect, timeout, shown };
        let run = self.run(tool, &job, cx.clone(), arguments.clone(), (progress, None));
        let failure = |result: &ToolResult| result.error.clone();
        let result = job.guarded_as(&cx, &arguments, run, failure).await;
        Ok(result.unwrap_or_else(|error| match error.asked() {
            Some(_) => ToolResult { content: Vec::new(), structured: None, error: Some(error) },
            None => tool.refused(error, cx.trace.id()),
        }))
    }

    fn timeout(&self, name: &str) -> Duration {
        self.tools.get(name).map_or(self.options.tool_timeout, |tool| self.deadline(tool))
    }
}

/// The call went well; what the config makes of its result did not work out. No other argument mends that.
fn of_output(error: Error) -> Error {
    Error::internal(format!("`output` does not work out: {error}; the config must be mended"))
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("tools", &self.tools.keys()).finish_non_exhaustive()
    }
}

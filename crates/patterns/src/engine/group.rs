//! A part of what an engine offers: whatever is not in it does not exist there.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use indexmap::IndexMap;
use renkei_core::{
    CallContext, Error, Kind, Principal, Result, Value,
    ask::Answer,
    audit,
    complete::{Completion, Partial},
    group::{GroupPlan, fits},
    prompt::{Message, PromptInfo, Prompts},
    resource::{Contents, Listing, ResourceInfo, Resources, Watch},
    run::ProgressSink,
    task::{Begun, Support, Task, Tasks},
    tool::{ToolInfo, ToolResult, Tools, UnknownTool},
};

use tokio::time::Instant;

use super::{Engine, prompts::unknown, resources::Shelf};

/// A group's tools, resources and prompts, run by the engine of all: under its limits, on its systems.
pub struct Group {
    engine: Arc<Engine>,
    tools: Vec<Arc<ToolInfo>>,
    tool_names: HashSet<Arc<str>>,
    shelf: Shelf,
    prompts: Vec<PromptInfo>,
}

impl Group {
    pub fn new(engine: Arc<Engine>, plan: &GroupPlan) -> Self {
        let is_offered = |name: &Arc<str>| engine.tools.get(name).is_some_and(|tool| tool.plan.is_passed_on);
        let has = |name: &Arc<str>| match is_offered(name) {
            true => plan.patterns.iter().any(|pattern| fits(pattern, name)),
            false => plan.tools.contains(name),
        };
        let tools: Vec<_> = Tools::list(&*engine).iter().filter(|tool| has(&tool.name)).cloned().collect();
        let prompts = engine.prompt_list.iter().filter(|prompt| plan.prompts.contains(&prompt.name));
        Group {
            tool_names: plan
                .tools
                .iter()
                .cloned()
                .chain(tools.iter().map(|tool| tool.name.clone()))
                .collect(),
            tools,
            shelf: engine.shelf.only(&plan.resources),
            prompts: prompts.cloned().collect(),
            engine,
        }
    }

    /// Whether there is anything to read: what the group has, or kept results of its tools.
    pub fn has_resources(&self) -> bool {
        !self.shelf.is_empty() || self.engine.kept.is_on() && !self.tools.is_empty()
    }

    pub fn has_prompts(&self) -> bool {
        !self.prompts.is_empty()
    }

    /// Whether calls of some tool become tasks.
    pub fn has_tasks(&self) -> bool {
        self.tool_names.iter().any(|tool| self.engine.support(tool) != Support::Never)
    }

    /// A task of another tool does not exist here.
    fn own(&self, task: Task) -> Result<Task> {
        if self.tool_names.contains(&task.tool) {
            return Ok(task);
        }
        Err(Error::new(Kind::NotFound, format!("there is no task `{}` here", task.id)))
    }

    fn check_prompt(&self, name: &str) -> Result<()> {
        match self.prompts.iter().any(|prompt| &*prompt.name == name) {
            true => Ok(()),
            false => Err(unknown(name)),
        }
    }
}

#[async_trait]
impl Tools for Group {
    fn list(&self) -> &[Arc<ToolInfo>] {
        &self.tools
    }

    fn find(&self, name: &str) -> Option<&Arc<ToolInfo>> {
        self.tools.iter().find(|tool| &*tool.name == name)
    }

    async fn call(
        &self,
        cx: CallContext,
        name: &str,
        arguments: Value,
        progress: Option<Arc<dyn ProgressSink>>,
    ) -> Result<ToolResult, UnknownTool> {
        if !self.tool_names.contains(name) {
            return Err(UnknownTool(name.to_owned()));
        }
        self.engine.call(cx, name, arguments, progress).await
    }

    fn timeout(&self, name: &str) -> Duration {
        Tools::timeout(&*self.engine, name)
    }
}

#[async_trait]
impl Tasks for Group {
    fn support(&self, tool: &str) -> Support {
        if self.tool_names.contains(tool) { self.engine.support(tool) } else { Support::Never }
    }

    async fn begin(&self, cx: CallContext, tool: &str, arguments: Value) -> Result<Begun, UnknownTool> {
        if !self.tool_names.contains(tool) {
            return Err(UnknownTool(tool.to_owned()));
        }
        self.engine.begin(cx, tool, arguments).await
    }

    async fn task(&self, principal: &Principal, id: &str) -> Result<Task> {
        let task = self.engine.task(principal, id).await?;
        self.own(task)
    }

    async fn answer(
        &self,
        principal: &Principal,
        id: &str,
        answers: IndexMap<Arc<str>, Answer>,
    ) -> Result<()> {
        self.task(principal, id).await?;
        self.engine.answer(principal, id, answers).await
    }

    async fn cancel(&self, principal: &Principal, id: &str) -> Result<()> {
        self.task(principal, id).await?;
        self.engine.cancel(principal, id).await
    }

    async fn changed(&self, principal: &Principal, seen: &Task, until: Instant) -> Result<Task> {
        let task = self.engine.changed(principal, seen, until).await?;
        self.own(task)
    }

    fn patience(&self) -> Duration {
        self.engine.patience()
    }
}

#[async_trait]
impl Resources for Group {
    async fn list(&self, cx: CallContext) -> Result<Listing> {
        self.engine.list_resources(&self.shelf, cx).await
    }

    fn fixed(&self) -> Vec<ResourceInfo> {
        self.shelf.fixed()
    }

    fn templates(&self) -> &[ResourceInfo] {
        self.shelf.templates()
    }

    async fn read(&self, cx: CallContext, uri: &str) -> Result<Contents> {
        match self.engine.kept.read(&cx.principal, |tool| self.tool_names.contains(tool), uri) {
            Some(kept) => self.engine.read_kept(cx, uri, kept).await,
            None => self.engine.read_resource(&self.shelf, cx, uri).await,
        }
    }

    async fn complete(&self, cx: CallContext, uri: &str, partial: Partial) -> Result<Completion> {
        self.engine.complete_variable(&self.shelf, cx, uri, partial).await
    }

    async fn watch(self: Arc<Self>, cx: CallContext, uri: &str) -> Result<Box<dyn Watch>> {
        self.engine.watch_on(&self.shelf, self.clone(), cx, uri).await
    }

    fn has_watched(&self) -> bool {
        self.shelf.has_watched()
    }

    fn timeout(&self) -> Duration {
        Resources::timeout(&*self.engine)
    }

    fn asks(&self) -> bool {
        self.shelf.asks()
    }
}

#[async_trait]
impl Prompts for Group {
    fn list(&self) -> &[PromptInfo] {
        &self.prompts
    }

    async fn get(&self, cx: CallContext, name: &str, arguments: Value) -> Result<Vec<Message>> {
        self.check_prompt(name).inspect_err(|error| audit::refused("prompt", name, false, &cx, error))?;
        self.engine.get(cx, name, arguments).await
    }

    async fn complete(&self, cx: CallContext, name: &str, partial: Partial) -> Result<Completion> {
        self.check_prompt(name)?;
        Prompts::complete(&*self.engine, cx, name, partial).await
    }

    fn timeout(&self) -> Duration {
        Prompts::timeout(&*self.engine)
    }

    fn asks(&self) -> bool {
        Prompts::asks(&*self.engine)
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("tools", &self.tool_names).finish_non_exhaustive()
    }
}

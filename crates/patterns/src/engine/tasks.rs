//! Calls of tools that go on without their caller.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use indexmap::IndexMap;
use renkei_core::{
    CallContext, Effect, Error, Kind, Principal, Result, Value,
    ask::{Answer, Asking},
    audit,
    run::{Journal, ProgressSink},
    task::{Begun, Support, Task, Tasks},
    tool::{Content, ToolResult, UnknownTool},
};
use tokio::time::Instant;

use super::{AskLimits, Engine, job::Job, refusal, tools::Tool};
use crate::durable::{Keeper, Origin};

impl Engine {
    /// One attempt at a durable run of a tool. A tool that does not exist is refused.
    pub(crate) async fn attempt(
        &self,
        cx: CallContext,
        (name, timeout): (&str, Duration),
        arguments: Value,
        progress: Arc<dyn ProgressSink>,
        journal: Arc<dyn Journal>,
    ) -> ToolResult {
        let Some(tool) = self.tools.get(name) else {
            let error = Error::new(Kind::NotFound, format!("there is no tool `{name}` any more"));
            return self.refused(name, error);
        };
        let trace = cx.trace.id().to_owned();
        let (measures, shown) = (&audit::Measures::new("task", name), self.options.audited);
        let job = Job { measures, name, effect: tool.effect(), timeout, shown };
        let run = self.run(tool, &job, cx.clone(), arguments.clone(), (Some(progress), Some(journal)));
        let result = job.guarded(&cx, &arguments, run).await;
        result.unwrap_or_else(|error| tool.refused(error, &trace))
    }

    /// What a model reads of a run that did not come so far as to be tried.
    pub(crate) fn refused(&self, name: &str, error: Error) -> ToolResult {
        match self.tools.get(name) {
            Some(tool) => tool.refused(error, "none"),
            None => ToolResult {
                content: vec![Content::Text(refusal::text(name, Effect::Write, &error, "none"))],
                structured: None,
                error: Some(error),
            },
        }
    }

    /// What tells whether a tool is the same as before; nothing if there is none.
    pub(crate) fn definition(&self, name: &str) -> Option<&str> {
        self.tools.get(name).map(|tool| &*tool.plan.definition)
    }

    /// What runs may ask.
    pub(crate) fn ask_limits(&self) -> &AskLimits {
        &self.options.ask
    }

    /// Of a call that is to become a task: what its caller can be asked, and what was answered before.
    ///
    /// # Errors
    /// With the questions, if some come before there is a task.
    async fn origin(&self, tool: &Tool, mut cx: CallContext, input: &Value) -> Result<(CallContext, Origin)> {
        let Asking::Rounds(rounds) = &cx.asking else { return Ok((cx, Origin::default())) };
        let abilities = rounds.abilities;
        if !tool.plan.asks_first || !tool.plan.action.asks() {
            return Ok((cx, Origin { abilities, answers: Vec::new() }));
        }
        let (timeout, shown) = (self.options.tool_timeout, self.options.audited);
        // Its answers begin a task, and only one.
        let (name, effect) = (&*tool.plan.name, Effect::Write);
        let job = Job { measures: &tool.measures, name, effect, timeout, shown };
        let answers = self.asked_first(&*tool.plan.action, &job, &mut cx, input).await?;
        Ok((cx, Origin { abilities, answers }))
    }

    fn keeper(&self) -> Result<Keeper> {
        let limits = self.options.tasks.clone();
        let store = self.store.clone().map(|store| Keeper { store, limits });
        store.ok_or_else(|| Error::internal("keep a task: there is no store here"))
    }

    /// Whether calls of some tool become tasks.
    pub fn has_tasks(&self) -> bool {
        self.store.is_some() && self.tools.values().any(|tool| tool.plan.task != Support::Never)
    }
}

#[async_trait]
impl Tasks for Engine {
    fn support(&self, tool: &str) -> Support {
        match (&self.store, self.tools.get(tool)) {
            (Some(_), Some(tool)) => tool.plan.task,
            _ => Support::Never,
        }
    }

    async fn begin(&self, cx: CallContext, name: &str, arguments: Value) -> Result<Begun, UnknownTool> {
        let tool = self.tools.get(name).ok_or_else(|| UnknownTool(name.to_owned()))?;
        let begin = async {
            // What is wrong with the arguments is said now, while somebody listens.
            let input = tool.input.check(&tool.plan.name, arguments.clone())?;
            let plan = &tool.plan;
            let named = (&plan.name, &*plan.definition);
            let (cx, origin) = self.origin(tool, cx.clone(), &input).await?;
            self.keeper()?.begin(&cx, named, plan.timeout, arguments.clone(), origin).await
        };
        Ok(match begin.await {
            Ok(task) => Begun::Task(task),
            Err(error) if error.asked().is_some() => {
                Begun::Refused(ToolResult { content: Vec::new(), structured: None, error: Some(error) })
            }
            Err(error) => {
                audit::refused("tool", name, true, &cx, &error);
                Begun::Refused(tool.refused(error, cx.trace.id()))
            }
        })
    }

    async fn task(&self, principal: &Principal, id: &str) -> Result<Task> {
        self.keeper()?.get(principal, id).await
    }

    async fn answer(
        &self,
        principal: &Principal,
        id: &str,
        answers: IndexMap<Arc<str>, Answer>,
    ) -> Result<()> {
        self.keeper()?.answer(principal, id, &answers).await
    }

    async fn cancel(&self, principal: &Principal, id: &str) -> Result<()> {
        self.keeper()?.cancel(principal, id).await
    }

    async fn changed(&self, principal: &Principal, seen: &Task, until: Instant) -> Result<Task> {
        self.keeper()?.changed(principal, seen, until).await
    }

    fn patience(&self) -> Duration {
        self.options.tasks.patience
    }
}

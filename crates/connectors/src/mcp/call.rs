//! One call of a tool.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{Call, CallContext, Reply, Request, Result, Value};
use tokio::sync::Semaphore;
use tokio_util::sync::DropGuard;

use super::{
    answer,
    config::Config,
    error,
    link::{Ask, Link, Terms},
    prepare::Plan,
    reply,
};

/// A connected server.
pub(super) struct McpCall {
    pub(super) system: Arc<str>,
    pub(super) config: Arc<Config>,
    pub(super) link: Arc<dyn Link>,
    pub(super) terms: Terms,
    /// Ends the upkeep of what is offered with the connection.
    pub(super) _keeper: Option<DropGuard>,
    /// As many calls as may be under way.
    pub(super) places: Semaphore,
}

#[async_trait]
impl Call for McpCall {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let plan = Plan::of(request, &self.system)?;
        let arguments = plan.arguments(request)?;
        let Ok(_place) = self.places.try_acquire() else {
            return Err(error::full(request, self.config.max_calls));
        };
        let ask = Ask::new("tools/call", &cx.attempt, request)
            .with([("name", Value::from(plan.tool.clone())), ("arguments", arguments.into())]);
        let ask = Ask { trace: Some(&cx.trace), listener: cx.listener.clone(), ..ask };
        let answered = self.link.ask(&self.terms, ask).await?;
        let secrets = self.config.masked();
        cx.show(|| answer::shown(&answered.answer, &secrets));
        reply::reply(request, plan, &answered.answer, &secrets)
    }
}

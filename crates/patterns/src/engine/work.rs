//! The workers of queues: what is done with one message.

use std::sync::Arc;

use indexmap::IndexMap;
use renkei_core::{
    CallContext, Effect, Error, Outcome, Result, Value, audit,
    call::RunStart,
    queue::{Message, QueuePlan},
    store::Job as Stored,
    tool::{Content, ToolResult},
};
use tokio::time::Instant;

use super::{Engine, job::Job, refusal};

impl Engine {
    /// The same with queues, each with its worker.
    #[must_use]
    pub fn working(mut self, queues: Vec<QueuePlan>) -> Self {
        self.queues = queues.into_iter().map(|queue| (queue.about.name.clone(), Arc::new(queue))).collect();
        self
    }

    /// The queues of the config.
    pub fn queues(&self) -> &IndexMap<Arc<str>, Arc<QueuePlan>> {
        &self.queues
    }

    /// Runs the worker of a queue on a message that is in no store, for a test of the config. The error says why there is
    /// nothing to run.
    pub async fn rehearse(&self, queue: &str, cx: CallContext, data: Value) -> Result<ToolResult, String> {
        let plan = self.queues.get(queue).filter(|plan| plan.worker.is_some());
        let plan = plan.ok_or_else(|| format!("there is no queue `{queue}` with a worker"))?;
        let now = cx.start.as_ref().map(|start| start.now.clone());
        let envelope = Value::from([
            ("specversion", Value::from("1.0")),
            ("id", cx.start.as_ref().map(|start| start.id.clone()).into()),
            ("source", format!("renkei://queues/{queue}").into()),
            ("type", format!("renkei.queue.{queue}").into()),
            ("time", now.into()),
            ("datacontenttype", "application/json".into()),
            ("queue", queue.into()),
            ("attempt", 1i64.into()),
            ("caller", cx.principal.name.clone().into()),
        ]);
        let trace = cx.trace.id().to_owned();
        Ok(match self.attempt_at(plan, cx, envelope, data).await {
            Ok(outcome) => {
                let value = outcome.value.into_value();
                let text = vec![Content::Text(value.to_json())];
                let structured = match value {
                    Value::Object(_) => value,
                    other => Value::from([("result", other)]),
                };
                ToolResult { content: text, structured: Some(structured), error: None }
            }
            Err(error) => {
                let text = refusal::text(queue, Effect::Write, &error, &trace);
                ToolResult { content: vec![Content::Text(text)], structured: None, error: Some(error) }
            }
        })
    }

    /// Runs the worker's action on a message, once. The run has the message's id, in every attempt. Dropping the future
    /// ends the run and frees what it held.
    pub(crate) async fn work(&self, queue: &QueuePlan, job: &Stored, message: Message) -> Result<()> {
        let about = &queue.about;
        let mut cx = CallContext::new(Instant::now() + about.timeout, message.caller.clone());
        cx.trace = message.trace();
        cx.start = Some(RunStart { id: job.id.to_string().into(), ..RunStart::new() });
        let envelope = message.envelope(job);
        self.attempt_at(queue, cx, envelope, message.data).await.map(drop)
    }

    async fn attempt_at(
        &self,
        queue: &QueuePlan,
        cx: CallContext,
        envelope: Value,
        data: Value,
    ) -> Result<Outcome> {
        let Some(action) = &queue.worker else {
            return Err(Error::internal(format!("the queue `{}` has no worker", queue.about)));
        };
        let about = &queue.about;
        let measures = audit::Measures::new("worker", &about.name);
        let run = Job {
            measures: &measures,
            name: &about.name,
            effect: action.effect(),
            timeout: about.timeout,
            shown: self.options.audited,
        };
        let attempt = async {
            let cx = self.context(&run, cx.clone(), None).with_vars([("message".into(), envelope)]);
            self.act(&run, &cx, &**action, data.clone()).await
        };
        run.guarded(&cx, &data, attempt).await
    }
}

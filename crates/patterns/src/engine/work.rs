//! Work that nobody waits for: what is done with messages of queues, and at the ticks of schedules.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use renkei_core::{
    CallContext, Effect, Error, Outcome, Principal, Result, Value, audit,
    call::RunStart,
    principal::How,
    queue::{Message, QueuePlan, message_id},
    run::Journal,
    schedule::{SchedulePlan, Tick, tick_id},
    store::Job as Stored,
    tool::{Content, ToolResult},
};
use tokio::time::Instant;

use super::{Engine, job::Job, refusal};

/// How long it may take to enqueue the message of a tick.
const TICK_TIME: Duration = Duration::from_secs(30);

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

    /// The same with schedules.
    #[must_use]
    pub fn ticking(mut self, schedules: Vec<SchedulePlan>) -> Self {
        self.schedules = schedules.into_iter().map(Arc::new).collect();
        self
    }

    /// The schedules of the config.
    pub fn schedules(&self) -> &[Arc<SchedulePlan>] {
        &self.schedules
    }

    /// Enqueues the message of one tick, as the only step of a run that `journal` writes down.
    pub(crate) async fn tick(
        &self,
        schedule: &SchedulePlan,
        tick: &Tick,
        journal: Arc<dyn Journal>,
    ) -> Result<()> {
        let name = format!("schedule:{}", schedule.name).into();
        let caller = Principal { name, how: How::None, claims: Value::object() };
        let mut cx = CallContext::new(Instant::now() + TICK_TIME, Arc::new(caller));
        let id = tick_id(&schedule.name, tick.at).to_string();
        cx.start = Some(RunStart { id: id.into(), ..RunStart::new() });
        let input = Value::from([
            ("schedule", Value::from(schedule.name.clone())),
            ("tick", tick.text.as_str().into()),
        ]);
        let measures = audit::Measures::new("schedule", &schedule.name);
        let run = Job {
            measures: &measures,
            name: &schedule.name,
            effect: schedule.action.effect(),
            timeout: TICK_TIME,
            shown: self.options.audited,
        };
        let enqueue = async {
            let cx = self.context(&run, cx.clone(), None).journaled(journal);
            self.act(&run, &cx, &*schedule.action, input.clone()).await
        };
        run.guarded(&cx, &input, enqueue).await.map(drop)
    }

    /// Runs the worker of a queue on a message that is in no store, for a test of the config. The error says why there is
    /// nothing to run.
    pub async fn rehearse(&self, queue: &str, cx: CallContext, data: Value) -> Result<ToolResult, String> {
        let plan = self.queues.get(queue).filter(|plan| plan.worker.is_some());
        let plan = plan.ok_or_else(|| format!("there is no queue `{queue}` with a worker"))?;
        let now = cx.start.as_ref().map(|start| start.now.clone());
        // Where several are handled together, a list is one of messages.
        let data = match data {
            Value::Array(items) if plan.about.batch.is_some() => items.to_vec(),
            one => vec![one],
        };
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
        let (trace, envelopes) = (cx.trace.id().to_owned(), vec![envelope; data.len()]);
        Ok(match self.attempt_at(plan, cx, envelopes, data).await {
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

    /// Runs the worker's action on a message, once, or on several where the queue's worker handles them together. The run
    /// of one message has its id, in every attempt. Dropping the future ends the run and frees what it held.
    pub(crate) async fn work(&self, queue: &QueuePlan, jobs: &[Stored]) -> Result<()> {
        let messages = jobs.iter().map(Message::of).collect::<Result<Vec<_>>>()?;
        let (Some(first), [job, others @ ..]) = (messages.first(), jobs) else { return Ok(()) };
        let is_same = |message: &Message| message.caller.is_same(&first.caller);
        let caller = match messages.iter().all(is_same) {
            true => first.caller.clone(),
            false => Arc::new(Principal::anonymous()),
        };
        let mut cx = CallContext::new(Instant::now() + queue.about.timeout, caller);
        let mut id = job.id;
        if others.is_empty() {
            cx.trace = first.trace();
        } else {
            let all: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
            id = message_id(&id.to_string(), &all.join("/"));
        }
        cx.start = Some(RunStart { id: id.to_string().into(), ..RunStart::new() });
        let (envelopes, data): (Vec<Value>, Vec<Value>) =
            jobs.iter().zip(messages).map(|(job, message)| (message.envelope(job), message.data)).unzip();
        self.attempt_at(queue, cx, envelopes, data).await.map(drop)
    }

    async fn attempt_at(
        &self,
        queue: &QueuePlan,
        cx: CallContext,
        mut envelopes: Vec<Value>,
        mut data: Vec<Value>,
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
        let (name, known, input) = match about.batch {
            Some(_) => ("messages", envelopes.into(), Value::from(data)),
            None => ("message", envelopes.pop().unwrap_or_default(), data.pop().unwrap_or_default()),
        };
        let attempt = async {
            let cx = self.context(&run, cx.clone(), None).with_vars([(name.into(), known)]);
            self.act(&run, &cx, &**action, input.clone()).await
        };
        run.guarded(&cx, &input, attempt).await
    }
}

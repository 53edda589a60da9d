//! Makes a message and commits it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{
    Effect, Error, Kind, Map, Outcome, Pattern, Result, RunContext, Scope, Tree, Value, duration, metric,
    queue::{Message, Queue, message_id, moment},
    run::Committed,
    store::{Batch, Enqueued, JobId, NewJob, OnTaken, Unique, When},
};

use crate::engine::Input;

/// The one step of this action.
const STEP: &str = "enqueue";

#[derive(Debug)]
pub(crate) struct EnqueueAction {
    pub(super) queue: Arc<Queue>,
    pub(super) input: Option<Input>,
    pub(super) data: Tree,
    pub(super) said: Said,
}

/// What the action says of its message.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) delay: Option<Tree>,
    pub(super) run_at: Option<Tree>,
    pub(super) order_by: Option<Tree>,
    pub(super) unique: Option<Tree>,
    pub(super) priority: Option<Tree>,
    pub(super) ttl: Option<Tree>,
}

#[async_trait]
impl Pattern for EnqueueAction {
    fn effect(&self) -> Effect {
        Effect::Write
    }

    /// The message has the same id.
    fn repeat(&self) -> Effect {
        Effect::Idempotent
    }

    fn feeds(&self) -> Option<&Arc<str>> {
        Some(&self.queue.name)
    }

    fn open_world(&self) -> bool {
        false
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let job = self.job(cx, input)?;
        let id = job.id;
        let given = self.result(id, false);
        let value = match cx.commit(STEP, Batch::new().enqueue(job), given.clone()).await {
            Ok(Committed::Before(value)) => value,
            Ok(Committed::Now(receipt)) => match receipt.enqueues.first() {
                Some(Enqueued::Joined(other)) => self.result(*other, true),
                _ => {
                    let queue = self.queue.name.to_string();
                    metrics::counter!(metric::QUEUE_ENQUEUED.name, "queue" => queue).increment(1);
                    given
                }
            },
            // An earlier attempt of this run has made it.
            Err(error) if error.kind() == Kind::Conflict && is_there(cx, id).await => given,
            Err(error) => return Err(error),
        };
        Ok(Outcome::json(value))
    }
}

async fn is_there(cx: &RunContext, id: JobId) -> bool {
    match cx.store() {
        Some(store) => matches!(store.job(id).await, Ok(Some(_))),
        None => false,
    }
}

impl EnqueueAction {
    fn result(&self, id: JobId, joined: bool) -> Value {
        let mut map = Map::new();
        map.insert("id".into(), id.to_string().into());
        map.insert("queue".into(), self.queue.name.clone().into());
        if joined {
            map.insert("joined".into(), true.into());
        }
        map.into()
    }

    fn job(&self, cx: &RunContext, input: Value) -> Result<NewJob> {
        let Queue { name, .. } = &*self.queue;
        let outer = cx.scope(STEP, input);
        let data = self.data.render(&outer)?.unwrap_or_default();
        let data = match &self.input {
            Some(input) => input.check(&format!("queue {name}"), data)?,
            None => data,
        };
        // The queue's own templates see the message, and nothing of who enqueues it.
        let inner = Scope::new(data.clone());
        let message = Message {
            data,
            caller: cx.call.principal.clone(),
            traceparent: Some(cx.call.trace.parent.clone()),
            run: Some(cx.id().clone()),
        };
        let (run_at, expires) = self.times(&outer)?;
        Ok(NewJob {
            key: text(name, "order_by", &self.said.order_by, &outer, self.queue.order_by.as_ref(), &inner)?,
            unique: self.unique(&outer, &inner)?,
            priority: self.priority(&outer, &inner)?,
            run_at,
            expires,
            headers: message.headers(),
            max_length: Some(self.queue.max_length),
            ..NewJob::new(message_id(cx.id(), &cx.key(STEP)), &**name, message.record())
        })
    }

    /// When it may begin, and until when it must have begun.
    fn times(&self, outer: &Scope) -> Result<(When, Option<When>)> {
        let ttl = self.time("ttl", &self.said.ttl, outer)?.or(self.queue.ttl);
        if let Some(tree) = &self.said.run_at {
            let at = match tree.render(outer)? {
                None | Some(Value::Null) => None,
                Some(value) => Some(value.as_str().and_then(moment).ok_or_else(|| {
                    self.bad("run_at", &value, "a moment in RFC 3339, such as `2026-12-24T18:00:00Z`")
                })?),
            };
            if let Some(at) = at {
                return Ok((When::At(at), ttl.map(|ttl| When::At(at.after(ttl)))));
            }
        }
        let delay = self.time("delay", &self.said.delay, outer)?.unwrap_or(self.queue.delay);
        let run_at = if delay.is_zero() { When::Now } else { When::After(delay) };
        Ok((run_at, ttl.map(|ttl| When::After(delay.saturating_add(ttl)))))
    }

    fn time(&self, word: &str, tree: &Option<Tree>, outer: &Scope) -> Result<Option<Duration>> {
        let Some(tree) = tree else { return Ok(None) };
        match tree.render(outer)? {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let time = value.as_str().and_then(|text| duration::parse(text).ok());
                time.map(Some).ok_or_else(|| self.bad(word, &value, "a duration such as `5m` or `1h30m`"))
            }
        }
    }

    fn unique(&self, outer: &Scope, inner: &Scope) -> Result<Option<Unique>> {
        let own = self.queue.unique.as_ref();
        let on_taken = own.map_or(OnTaken::Join, |own| own.on_taken);
        let key = text(&self.queue.name, "unique", &self.said.unique, outer, own.map(|own| &own.key), inner)?;
        Ok(key.map(|key| Unique { key, on_taken }))
    }

    fn priority(&self, outer: &Scope, inner: &Scope) -> Result<i16> {
        let value = match (&self.said.priority, &self.queue.priority) {
            (Some(tree), _) => tree.render(outer)?,
            (None, Some(tree)) => tree.render(inner)?,
            (None, None) => None,
        };
        match value {
            None | Some(Value::Null) => Ok(0),
            Some(value) => match value.as_i64().map(i16::try_from) {
                Some(Ok(priority)) => Ok(priority),
                _ => Err(self.bad("priority", &value, "a whole number from -32768 to 32767")),
            },
        }
    }

    fn bad(&self, word: &str, value: &Value, expected: &str) -> Error {
        let shown: String = value.to_json().chars().take(60).collect();
        Error::invalid(format!("enqueue in `{}`: `{word}` is {shown}, and must be {expected}", self.queue))
    }
}

/// What tells messages apart: the action's template, or the queue's. Absent and null are nothing.
fn text(
    queue: &str,
    word: &str,
    said: &Option<Tree>,
    outer: &Scope,
    own: Option<&Tree>,
    inner: &Scope,
) -> Result<Option<String>> {
    let value = match (said, own) {
        (Some(tree), _) => tree.render(outer)?,
        (None, Some(tree)) => tree.render(inner)?,
        (None, None) => None,
    };
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.to_string(),
        Some(other) => other.to_json(),
    };
    let bad = |what: &str| Err(Error::invalid(format!("enqueue in `{queue}`: `{word}` {what}")));
    match text.len() {
        0 => bad("is an empty text"),
        // The most that a store takes for a name.
        bytes if bytes > renkei_core::store::MAX_NAME_BYTES => {
            bad(&format!("has {bytes} bytes, at most {} are allowed", renkei_core::store::MAX_NAME_BYTES))
        }
        _ if text.contains('\0') => bad("has a NUL character"),
        _ => Ok(Some(text)),
    }
}

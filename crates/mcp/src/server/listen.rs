//! `subscriptions/listen` with `taskIds`: rmcp's filter does not know them, so they are taken out before it sees the
//! request, and what it sends is completed on the way out: its acknowledgement names them, and the tasks' notifications
//! (`notifications/tasks`, each with the whole task) go into its stream.

use std::{pin::Pin, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::{
    Stream, StreamExt as _,
    stream::{self, SelectAll},
};
use indexmap::IndexSet;
use renkei_core::{Map, Principal, Value, task::Task};
use tokio::time::Instant;

use super::{Server, message::Message, site::Endpoint};

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
/// After so long at the latest it is looked up which plan is served now: none is held for longer.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The tasks that a client wants to hear of.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Those that are the caller's.
    tasks: Vec<Task>,
    principal: Arc<Principal>,
    endpoint: Arc<Endpoint>,
}

/// Takes the tasks out of a request to listen; nothing if it names none, or if there are no tasks here.
pub(super) async fn taken_from(
    message: &Message,
    endpoint: &Arc<Endpoint>,
    principal: &Arc<Principal>,
) -> Option<(Message, Wanted)> {
    if message.method() != Some("subscriptions/listen") {
        return None;
    }
    let server = endpoint.current();
    let tasks = server.tasks.as_ref()?;
    let params = message.get("params")?;
    let notifications = params.get("notifications")?;
    let ids = notifications.get("taskIds")?.as_array()?;
    let ids: IndexSet<&str> =
        ids.iter().filter_map(Value::as_str).take(server.limits.subscriptions).collect();
    let mut found = Vec::new();
    for id in ids {
        // Somebody else's is as none: it is not in the acknowledgement.
        if let Ok(task) = tasks.task(principal, id).await {
            found.push(task);
        }
    }
    let mut rest = Map::clone(notifications.as_object()?);
    rest.shift_remove("taskIds");
    let rest = message.with_params(with(params, "notifications", rest.into()));
    Some((rest, Wanted { tasks: found, principal: principal.clone(), endpoint: endpoint.clone() }))
}

/// The response with the tasks' notifications in its stream.
pub(super) fn joined(response: Response, wanted: Wanted) -> Response {
    response.map(|body| {
        let joined =
            Joined { inner: body.into_data_stream().boxed(), wanted: Some(wanted), news: SelectAll::new() };
        Body::from_stream(stream::unfold(
            joined,
            |mut joined| async move { Some((joined.next().await?, joined)) },
        ))
    })
}

type News = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

struct Joined {
    inner: stream::BoxStream<'static, Result<Bytes, axum::Error>>,
    /// Until the acknowledgement has come.
    wanted: Option<Wanted>,
    news: SelectAll<News>,
}

impl Joined {
    async fn next(&mut self) -> Option<Result<Bytes, axum::Error>> {
        let frame = tokio::select! {
            biased;
            frame = self.inner.next() => frame?,
            Some(news) = self.news.next() => return Some(Ok(news)),
        };
        let Ok(bytes) = frame else { return Some(frame) };
        let (Some(wanted), Some(mut acknowledgement)) = (&self.wanted, acknowledgement(&bytes)) else {
            return Some(Ok(bytes));
        };
        let ids: Vec<Value> = wanted.tasks.iter().map(|task| task.id.as_str().into()).collect();
        let params = acknowledgement.get("params").cloned().unwrap_or_else(Value::object);
        let meta = params.get("_meta").cloned().unwrap_or_else(Value::object);
        let granted = params.get("notifications").cloned().unwrap_or_else(Value::object);
        let granted = with(&granted, "taskIds", ids.into());
        acknowledgement = with(&acknowledgement, "params", with(&params, "notifications", granted));
        if let Some(Wanted { tasks, principal, endpoint }) = self.wanted.take() {
            for task in tasks {
                self.news.push(followed(task, principal.clone(), endpoint.clone(), meta.clone()));
            }
        }
        Some(Ok(event(&acknowledgement)))
    }
}

/// The acknowledgement, if the event is that.
fn acknowledgement(event: &Bytes) -> Option<Value> {
    let text = std::str::from_utf8(event).ok()?;
    let data = text.lines().find_map(|line| line.strip_prefix("data:"))?;
    let message = Value::from_json(data.trim_start().as_bytes()).ok()?;
    (message.get("method").and_then(Value::as_str) == Some(ACKNOWLEDGED)).then_some(message)
}

/// A task as it is, and then whenever it is another one, until it has ended or is not there any more.
fn followed(task: Task, principal: Arc<Principal>, endpoint: Arc<Endpoint>, meta: Value) -> News {
    enum Next {
        Tell(Task),
        Wait(Task),
    }
    let first = Some(Next::Tell(task));
    stream::unfold(first, move |next| {
        let (principal, endpoint, meta) = (principal.clone(), endpoint.clone(), meta.clone());
        async move {
            let mut seen = match next? {
                Next::Tell(task) => {
                    let ended = task.status.is_final();
                    let told = endpoint.current().told(task.clone(), &meta);
                    return Some((told, (!ended).then_some(Next::Wait(task))));
                }
                Next::Wait(task) => task,
            };
            loop {
                let server = endpoint.current();
                let tasks = server.tasks.as_ref()?;
                let until = Instant::now() + LOOK_AGAIN;
                let task = tasks.changed(&principal, &seen, until).await.ok()?;
                if task.status != seen.status || task.message != seen.message {
                    let ended = task.status.is_final();
                    let told = server.told(task.clone(), &meta);
                    return Some((told, (!ended).then_some(Next::Wait(task))));
                }
                seen = task;
            }
        }
    })
    .boxed()
}

impl Server {
    /// The notification of a task, as an event of a stream.
    fn told(&self, task: Task, meta: &Value) -> Bytes {
        // A task is texts, numbers and JSON: nothing that cannot be written.
        let detailed = serde_json::to_value(self.detailed(task)).unwrap_or_default();
        let params = with(&Value::from(detailed), "_meta", meta.clone());
        let message = Value::from([
            ("jsonrpc", Value::from("2.0")),
            ("method", "notifications/tasks".into()),
            ("params", params),
        ]);
        self.exact.restore(event(&message))
    }
}

fn event(message: &Value) -> Bytes {
    format!("event: message\ndata: {}\n\n", message.to_json()).into()
}

/// The object with `key` set.
fn with(object: &Value, key: &str, value: Value) -> Value {
    let mut members = object.as_object().cloned().unwrap_or_default();
    members.insert(key.into(), value);
    members.into()
}

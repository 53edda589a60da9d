//! Shows tasks of all callers, and asks for their end.

use async_trait::async_trait;
use renkei_core::{
    Effect, Error, Map, Outcome, Pattern, Result, RunContext, Tree, Value,
    task::Status,
    tool::{Content, ToolResult},
};

use super::{store, text};
use crate::durable;

const STEP: &str = "operate";

#[derive(Debug)]
pub(super) struct TaskAction {
    pub(super) deed: Deed,
}

#[derive(Debug)]
pub(super) enum Deed {
    List { status: Option<Tree>, limit: usize },
    Show { id: Tree },
    Cancel { id: Tree },
}

#[async_trait]
impl Pattern for TaskAction {
    fn effect(&self) -> Effect {
        match self.deed {
            Deed::List { .. } | Deed::Show { .. } => Effect::Read,
            Deed::Cancel { .. } => Effect::Idempotent,
        }
    }

    fn open_world(&self) -> bool {
        false
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let (store, scope) = (&**store(cx)?, cx.scope(STEP, input));
        let value = match &self.deed {
            Deed::List { status, limit } => {
                let status = text(status.as_ref(), &scope)?.as_deref().map(status_of).transpose()?;
                let (mut rows, next) = durable::list_tasks(store, status, None, *limit + 1).await?;
                let more = next.is_some() || rows.len() > *limit;
                rows.truncate(*limit);
                let tasks: Vec<Value> = rows.iter().map(durable::TaskRow::to_value).collect();
                Value::from([("tasks", Value::from(tasks)), ("more", more.into())])
            }
            Deed::Show { id } => {
                let id = text(Some(id), &scope)?.unwrap_or_default();
                let row = durable::show_task(store, &id).await?;
                let mut members = row.to_value().as_object().cloned().unwrap_or_else(Map::new);
                members.insert("result".into(), row.task.result.as_ref().map(result).into());
                members.into()
            }
            Deed::Cancel { id } => {
                let id = text(Some(id), &scope)?.unwrap_or_default();
                let was = durable::cancel_task(store, &id).await?;
                Value::from([("id", id.as_str()), ("was", was.as_str())])
            }
        };
        Ok(Outcome::json(value))
    }
}

fn status_of(word: &str) -> Result<Status> {
    Status::parse(word).ok_or_else(|| {
        let known: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        let shown: String = word.chars().take(60).collect();
        Error::invalid(format!("`{shown}` is no status of a task: {}", known.join(", ")))
    })
}

/// What a model read of it, and what a program did.
fn result(result: &ToolResult) -> Value {
    let texts = result.content.iter().filter_map(|part| match part {
        Content::Text(text) => Some(Value::from(text.as_str())),
        _ => None,
    });
    Value::from([
        ("texts", Value::from(texts.collect::<Vec<_>>())),
        ("structured", result.structured.clone().into()),
        ("error", result.error.as_ref().map(|error| Value::from(error.to_string())).into()),
    ])
}

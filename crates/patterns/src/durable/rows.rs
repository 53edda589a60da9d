//! Tasks as operators see them: those of everybody.

use std::time::Duration;

use renkei_core::{
    Error, Kind, Result, Value,
    store::{Cell, CellQuery, MAX_PAGE, ScanBy, Store},
    task::{Status, Task},
};

use super::task::{Kept, TASK, whole, wish_end};

/// A task, for operators.
#[derive(Clone, Debug)]
pub struct TaskRow {
    pub task: Task,
    pub principal: String,
    pub run: String,
}

impl TaskRow {
    /// `{ id, tool, status, message, asks, principal, run, created, updated, kept_until }`.
    pub fn to_value(&self) -> Value {
        let task = &self.task;
        let asks: Vec<Value> = task.questions.keys().map(|key| Value::from(key.clone())).collect();
        Value::from([
            ("id", Value::from(task.id.as_str())),
            ("tool", task.tool.clone().into()),
            ("status", task.status.as_str().into()),
            ("message", task.message.clone().into()),
            ("asks", asks.into()),
            ("principal", self.principal.as_str().into()),
            ("run", self.run.as_str().into()),
            ("created", task.created.to_string().into()),
            ("updated", task.updated.to_string().into()),
            ("kept_until", task.created.after(task.ttl).to_string().into()),
        ])
    }
}

fn row(cell: &Cell) -> Result<TaskRow> {
    let kept = Kept::of_cell(cell)?;
    let (principal, run) = (kept.principal.to_string(), kept.run.clone());
    Ok(TaskRow { task: kept.task(&cell.key, Duration::ZERO), principal, run })
}

/// The tasks in the store, of all principals, in the order of their ids; and where the next page begins. Without results.
///
/// # Errors
/// The store is in trouble, or a record cannot be read.
pub async fn list(
    store: &dyn Store,
    status: Option<Status>,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<TaskRow>, Option<String>)> {
    let by = match status {
        Some(status) => ScanBy::State(status.as_str().to_owned()),
        None => ScanBy::Prefix(String::new()),
    };
    let query = CellQuery { space: TASK.to_owned(), by, after, limit: limit.min(MAX_PAGE) };
    let page = store.cells(query).await?;
    Ok((page.cells.iter().map(row).collect::<Result<_>>()?, page.next))
}

async fn any(store: &dyn Store, id: &str) -> Result<Cell> {
    let found = if id.is_empty() { None } else { store.cell(TASK, id).await? };
    found.ok_or_else(|| {
        Error::new(
            Kind::NotFound,
            format!("there is no task `{id}`; `renkei task list` names those there are"),
        )
    })
}

/// A task with its result.
///
/// # Errors
/// `not_found`; the store is in trouble, or a record cannot be read.
pub async fn show(store: &dyn Store, id: &str) -> Result<TaskRow> {
    let mut row = row(&any(store, id).await?)?;
    row.task = whole(store, row.task).await?;
    Ok(row)
}

/// Asks for the end of a task, whoever it belongs to. Gives its status before.
///
/// # Errors
/// `not_found`; the store is in trouble, or a record cannot be read.
pub async fn cancel(store: &dyn Store, id: &str) -> Result<Status> {
    let kept = Kept::of_cell(&any(store, id).await?)?;
    wish_end(store, &kept, id).await?;
    Ok(kept.status)
}

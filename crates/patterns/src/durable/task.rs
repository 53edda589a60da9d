//! Tasks: the cells through which clients see runs.
//!
//! `task` has the state, `task_result` what it ended with, `task_cancel` that somebody wants its end. Only whoever
//! works on the run writes the first two, so that nothing is lost between a report and a wish.

use std::{sync::Arc, time::Duration};

use renkei_core::{
    CallContext, Error, Kind, Principal, Result, Value,
    call::RunStart,
    clock::Timestamp,
    store::{
        Append, Batch, Cell, CellExpected, CellQuery, Change, Expected, JobChange, JobId, MAX_PAGE, NewCell,
        NewJob, ScanBy, Store, When,
    },
    task::{Status, Task},
    tool::ToolResult,
};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{
    QUEUE,
    record::{self, STARTED, Started},
    stream,
};

/// The spaces of the cells.
pub(super) const TASK: &str = "task";
pub(super) const RESULT: &str = "task_result";
pub(super) const CANCEL: &str = "task_cancel";

/// Another process's changes are seen after so long at the latest.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What tasks may take.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskLimits {
    /// How long one is kept, from its creation on.
    pub ttl: Duration,
    /// How long its run may take, unless the tool says otherwise.
    pub run_time: Duration,
    /// Of one principal, those that have ended included.
    pub each: usize,
    /// How often clients may ask.
    pub poll: Duration,
    /// How long a client that knows no tasks waits.
    pub patience: Duration,
}

impl Default for TaskLimits {
    fn default() -> Self {
        TaskLimits {
            ttl: Duration::from_secs(24 * 3600),
            run_time: Duration::from_secs(3600),
            each: 1000,
            poll: Duration::from_secs(1),
            patience: Duration::from_secs(30),
        }
    }
}

/// What the cell of a task says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) tool: Arc<str>,
    pub(super) run: String,
    pub(super) job: JobId,
    pub(super) principal: Arc<str>,
    pub(super) owner: String,
    pub(super) status: Status,
    pub(super) message: Option<String>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) ttl: Duration,
}

impl Kept {
    pub(super) fn cell(&self) -> NewCell {
        let value = Value::from([
            ("tool", Value::from(self.tool.clone())),
            ("run", self.run.as_str().into()),
            ("job", self.job.to_string().into()),
            ("principal", self.principal.clone().into()),
            ("message", self.message.clone().into()),
            ("created", self.created.0.into()),
            ("updated", self.updated.0.into()),
            ("ttl", milliseconds(self.ttl).into()),
        ]);
        let ends = When::At(self.ends());
        NewCell {
            value: record::record(&value),
            expires: Some(ends),
            owner: Some(self.owner.clone()),
            state: Some(self.status.as_str().to_owned()),
            due: Some(ends),
        }
    }

    pub(super) fn ends(&self) -> Timestamp {
        self.created.after(self.ttl)
    }

    pub(super) fn of_cell(cell: &Cell) -> Result<Self> {
        let value = record::read(&cell.value)?;
        let state = cell.state.as_deref().unwrap_or_default();
        let job = record::text(&value, "job")?.parse::<Uuid>();
        Ok(Kept {
            tool: record::text(&value, "tool")?.into(),
            run: record::text(&value, "run")?.to_owned(),
            job: JobId(job.map_err(|error| record::corrupt(&error.to_string()))?),
            principal: record::text(&value, "principal")?.into(),
            owner: cell.owner.clone().unwrap_or_default(),
            status: Status::parse(state).ok_or_else(|| record::corrupt(&format!("`{state}` is no state")))?,
            message: value.get("message").and_then(Value::as_str).map(str::to_owned),
            created: Timestamp(record::number(&value, "created")?),
            updated: Timestamp(record::number(&value, "updated")?),
            ttl: Duration::from_millis(record::number(&value, "ttl")?.unsigned_abs()),
        })
    }

    fn task(self, id: &str, poll: Duration, result: Option<ToolResult>) -> Task {
        let Kept { tool, status, message, created, updated, ttl, .. } = self;
        Task { id: id.to_owned(), tool, status, message, created, updated, ttl, poll, result }
    }
}

/// Whose tasks they are: the same for the same somebody on all nodes, and nothing that a claim could forge.
fn owner(principal: &Principal) -> String {
    let issuer = principal.claims.get("iss").cloned().unwrap_or_default();
    let who =
        Value::from(vec![principal.how.as_str().into(), issuer, principal.name.clone().into()]).to_json();
    let digest = ring::digest::digest(&ring::digest::SHA256, who.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// There is none, or none of theirs: which of the two is nobody's business.
fn not_found(id: &str) -> Error {
    let shown: String = id.chars().take(64).collect();
    Error::new(Kind::NotFound, format!("there is no task `{shown}`, or its time is over"))
}

/// Keeps the tasks of an engine.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) limits: TaskLimits,
}

impl Keeper {
    /// Makes a task and its run, in one commit.
    pub(crate) async fn begin(
        &self,
        cx: &CallContext,
        (tool, definition): (&Arc<str>, &str),
        timeout: Option<Duration>,
        arguments: Value,
    ) -> Result<Task> {
        let owner = owner(&cx.principal);
        self.check_room(&owner).await?;
        let now = self.store.now();
        let RunStart { id: run, now: started } = cx.start.clone().unwrap_or_default();
        let id = Uuid::new_v4().simple().to_string();
        let job = JobId::new();
        let time = timeout.unwrap_or(self.limits.run_time);
        let begins = Started {
            tool: tool.clone(),
            input: arguments,
            principal: Principal::clone(&cx.principal),
            definition: definition.to_owned(),
            now: started,
            deadline: now.after(time),
            task: Some(id.clone()),
            trace: cx.trace.id().to_owned(),
        };
        let kept = Kept {
            tool: tool.clone(),
            run: run.to_string(),
            job,
            principal: cx.principal.name.clone(),
            owner,
            status: Status::Working,
            message: None,
            created: now,
            updated: now,
            // The result of one that takes all its time is there for a while, too.
            ttl: self.limits.ttl.max(time.saturating_mul(2)),
        };
        let payload = Value::from([("run", Value::from(&*run)), ("task", id.as_str().into())]);
        let batch = Batch::new()
            .append(Append {
                stream: stream(&run),
                expected: Expected::None,
                events: vec![record::event("start".to_owned(), STARTED, &begins.to_value())],
            })
            .enqueue(NewJob::new(job, QUEUE, record::record(&payload)))
            .set(TASK, &id, CellExpected::Absent, kept.cell());
        self.store.commit(batch).await?.into_result()?;
        Ok(kept.task(&id, self.limits.poll, None))
    }

    async fn check_room(&self, owner: &str) -> Result<()> {
        let (mut count, mut after) = (0, None);
        loop {
            let by = ScanBy::Owner(owner.to_owned());
            let query = CellQuery { space: TASK.to_owned(), by, after, limit: MAX_PAGE };
            let page = self.store.cells(query).await?;
            count += page.cells.len();
            let limit = self.limits.each;
            if count >= limit {
                let message = format!(
                    "begin one more task: you have `{limit}` already (`server.limits.tasks`), counting those that have ended and are still kept"
                );
                return Err(Error::new(Kind::RateLimited, message));
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn kept(&self, principal: &Principal, id: &str) -> Result<Kept> {
        // A store refuses names that are empty or too long.
        let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let cell = if is_id { self.store.cell(TASK, id).await? } else { None };
        let kept = cell.as_ref().map(Kept::of_cell).transpose()?;
        kept.filter(|kept| kept.owner == owner(principal)).ok_or_else(|| not_found(id))
    }

    pub(crate) async fn get(&self, principal: &Principal, id: &str) -> Result<Task> {
        let kept = self.kept(principal, id).await?;
        self.whole(kept, id).await
    }

    async fn whole(&self, kept: Kept, id: &str) -> Result<Task> {
        let result = match kept.status.is_final() {
            true => result(&*self.store, id).await?,
            false => None,
        };
        Ok(kept.task(id, self.limits.poll, result))
    }

    pub(crate) async fn cancel(&self, principal: &Principal, id: &str) -> Result<()> {
        let kept = self.kept(principal, id).await?;
        wish_end(&*self.store, &kept, id).await
    }

    pub(crate) async fn changed(&self, principal: &Principal, seen: &Task, until: Instant) -> Result<Task> {
        let mut changes = self.store.changes();
        loop {
            let kept = self.kept(principal, &seen.id).await?;
            let differs = kept.status != seen.status || kept.message != seen.message;
            if differs || Instant::now() >= until {
                return self.whole(kept, &seen.id).await;
            }
            let look = until.min(Instant::now() + LOOK_AGAIN);
            loop {
                match timeout_at(look, changes.next()).await {
                    Ok(Some(Change::Cell { space, key })) if &*space == TASK && *key == *seen.id => break,
                    Ok(Some(Change::Unknown)) | Err(_) => break,
                    Ok(Some(_)) => {}
                    // The store is being closed: what there is now is the answer.
                    Ok(None) => return self.whole(kept, &seen.id).await,
                }
            }
        }
    }
}

/// Notes that a task is to end, and wakes its run where it waits.
async fn wish_end(store: &dyn Store, kept: &Kept, id: &str) -> Result<()> {
    if kept.status.is_final() {
        return Ok(());
    }
    let wish =
        NewCell { expires: Some(When::At(kept.ends())), ..NewCell::new(record::record(&Value::object())) };
    let batch = Batch::new().set(CANCEL, id, CellExpected::Any, wish);
    store.commit(batch).await?.into_result()?;
    // One that is under way hears of the wish; one that waits for another attempt is claimed now, to be ended.
    let wake = Batch::new().job(JobChange::Reschedule { job: kept.job, run_at: When::Now });
    store.commit(wake).await.map(drop)
}

pub(super) async fn result(store: &dyn Store, id: &str) -> Result<Option<ToolResult>> {
    let Some(cell) = store.cell(RESULT, id).await? else { return Ok(None) };
    record::to_tool_result(&record::read(&cell.value)?).map(Some)
}

/// A task, for operators.
#[derive(Clone, Debug)]
pub struct TaskRow {
    pub task: Task,
    pub principal: String,
    pub run: String,
}

fn row(cell: &Cell) -> Result<TaskRow> {
    let kept = Kept::of_cell(cell)?;
    let (principal, run) = (kept.principal.to_string(), kept.run.clone());
    Ok(TaskRow { task: kept.task(&cell.key, Duration::ZERO, None), principal, run })
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
    row.task.result = result(store, id).await?;
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

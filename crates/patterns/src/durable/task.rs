//! Tasks: the cells through which clients see runs.
//!
//! `task` has the state, `task_result` what it ended with, `task_asks` what it waits for, `task_cancel` that somebody
//! wants its end. Only whoever works on the run writes the first three, so that nothing is lost between a report and a
//! wish; while it waits for answers nobody does, and then the answer itself is what writes.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use renkei_core::{
    CallContext, Error, Kind, Principal, Result, Value,
    ask::{Abilities, Answer},
    call::RunStart,
    clock::Timestamp,
    store::{
        Append, Batch, Cell, CellExpected, CellQuery, Change, Expected, JobChange, JobId, MAX_PAGE, NewCell,
        NewJob, Refusal, ScanBy, Store, Verdict, When,
    },
    task::{Status, Task},
    tool::ToolResult,
};
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::{
    QUEUE,
    asking::Open,
    record::{self, ANSWERED, STARTED, Started},
    stream,
};

/// The spaces of the cells.
pub(super) const TASK: &str = "task";
pub(super) const RESULT: &str = "task_result";
pub(super) const CANCEL: &str = "task_cancel";
pub(super) const ASKS: &str = "task_asks";

/// Another process's changes are seen after so long at the latest.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// An answer that meets another one, or somebody who takes the run up, is given again so often.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_millis(50);

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

    pub(super) fn task(self, id: &str, poll: Duration) -> Task {
        let Kept { tool, status, message, created, updated, ttl, .. } = self;
        let (id, questions) = (id.to_owned(), IndexMap::new());
        Task { id, tool, status, message, created, updated, ttl, poll, questions, result: None }
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

/// From where a task comes.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// What its caller can be asked.
    pub(crate) abilities: Abilities,
    /// What was answered before there was a task: path, words of the question, answer.
    pub(crate) answers: Vec<Value>,
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
        origin: Origin,
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
            abilities: origin.abilities,
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
        let mut events = vec![record::event("start".to_owned(), STARTED, &begins.to_value())];
        if !origin.answers.is_empty() {
            let answers = Value::from([("answers", origin.answers)]);
            events.push(record::event("answer#0".to_owned(), ANSWERED, &answers));
        }
        let batch = Batch::new()
            .append(Append { stream: stream(&run), expected: Expected::None, events })
            .enqueue(NewJob::new(job, QUEUE, record::record(&payload)))
            .set(TASK, &id, CellExpected::Absent, kept.cell());
        self.store.commit(batch).await?.into_result()?;
        Ok(kept.task(&id, self.limits.poll))
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
        whole(&*self.store, kept.task(id, self.limits.poll)).await
    }

    /// Answers what is asked; what is not is left out.
    pub(crate) async fn answer(
        &self,
        principal: &Principal,
        id: &str,
        answers: &IndexMap<Arc<str>, Answer>,
    ) -> Result<()> {
        for _ in 0..TRIES {
            let kept = self.kept(principal, id).await?;
            if kept.status != Status::InputRequired || self.give(kept, id, answers).await? {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
        let message =
            "answer the task: the server is about to go on with it; ask how far it is, and try again";
        Err(Error::new(Kind::Unavailable, message))
    }

    /// Whether the answers are given; not if something came between.
    async fn give(&self, mut kept: Kept, id: &str, answers: &IndexMap<Arc<str>, Answer>) -> Result<bool> {
        let Some(cell) = self.store.cell(ASKS, id).await? else { return Ok(false) };
        let mut open = Open::of_value(&record::read(&cell.value)?)?;
        // Whoever takes the run up next finds that nobody answered in time.
        if self.store.now() >= open.expires {
            return Ok(true);
        }
        let Some(given) = open.take(answers) else { return Ok(true) };
        let stream = stream(&kept.run);
        let version = self.store.stream(&stream).await?.map_or(0, |info| info.last);
        kept.updated = self.store.now();
        let mut batch = Batch::new().append(Append {
            stream,
            expected: Expected::Version(version),
            events: vec![record::event(format!("answer#{version}"), ANSWERED, &given)],
        });
        let run_at = match open.questions.is_empty() {
            true => {
                kept.status = Status::Working;
                When::Now
            }
            // Says as well that nobody works on it.
            false => When::At(open.expires),
        };
        batch = batch.job(JobChange::Reschedule { job: kept.job, run_at });
        let value = record::record(&open.to_value());
        let asks = NewCell { expires: Some(When::At(kept.ends())), ..NewCell::new(value) };
        let batch = batch.set(TASK, id, CellExpected::Any, kept.cell()).set(
            ASKS,
            id,
            CellExpected::Version(cell.version),
            asks,
        );
        match self.store.commit(batch).await? {
            Verdict::Done(_) => Ok(true),
            Verdict::Refused(
                Refusal::Stream { .. }
                | Refusal::EventExists { .. }
                | Refusal::JobState { .. }
                | Refusal::Cell { .. },
            ) => Ok(false),
            Verdict::Refused(refusal) => Err(refusal.into()),
        }
    }

    pub(crate) async fn cancel(&self, principal: &Principal, id: &str) -> Result<()> {
        let kept = self.kept(principal, id).await?;
        wish_end(&*self.store, &kept, id).await
    }

    pub(crate) async fn changed(&self, principal: &Principal, seen: &Task, until: Instant) -> Result<Task> {
        let mut changes = self.store.changes();
        loop {
            let kept = self.kept(principal, &seen.id).await?;
            let task = self.whole(kept, &seen.id).await?;
            if task.is_news_after(seen) || Instant::now() >= until {
                return Ok(task);
            }
            let look = until.min(Instant::now() + LOOK_AGAIN);
            loop {
                match timeout_at(look, changes.next()).await {
                    Ok(Some(Change::Cell { space, key })) if &*space == TASK && *key == *seen.id => break,
                    Ok(Some(Change::Unknown)) | Err(_) => break,
                    Ok(Some(_)) => {}
                    // The store is being closed: what there is now is the answer.
                    Ok(None) => return Ok(task),
                }
            }
        }
    }
}

/// Notes that a task is to end, and wakes its run where it waits.
pub(super) async fn wish_end(store: &dyn Store, kept: &Kept, id: &str) -> Result<()> {
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

/// The task with what it waits for, or what it ended with.
pub(super) async fn whole(store: &dyn Store, mut task: Task) -> Result<Task> {
    if task.status.is_final() {
        task.result = result(store, &task.id).await?;
    } else if task.status == Status::InputRequired
        && let Some(cell) = store.cell(ASKS, &task.id).await?
    {
        let open = Open::of_value(&record::read(&cell.value)?)?;
        task.questions = open.questions.into_iter().map(|(key, open)| (key, open.question)).collect();
        // The last of them was answered between the two looks.
        if task.questions.is_empty() {
            task.status = Status::Working;
        }
    }
    Ok(task)
}

async fn result(store: &dyn Store, id: &str) -> Result<Option<ToolResult>> {
    let Some(cell) = store.cell(RESULT, id).await? else { return Ok(None) };
    record::to_tool_result(&record::read(&cell.value)?).map(Some)
}

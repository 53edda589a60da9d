//! What operators see of queues and dead letters, and do to them.

use std::sync::Arc;

use renkei_core::{
    Error, Kind, Map, Result, Value,
    clock::Timestamp,
    queue::Message,
    store::{
        Batch, DeadCause, Job, JobChange, JobId, JobQuery, JobState, MAX_PAGE, QueueCounts, Refusal, Store,
        Verdict, When,
    },
};

use super::Paused;

/// A queue as it stands in the store.
#[derive(Clone, Debug)]
pub struct View {
    pub counts: QueueCounts,
    pub paused: Option<Paused>,
    /// Whether the config has a queue of this name.
    pub configured: bool,
    /// How long the message waits that is ready since longest, in milliseconds.
    pub oldest_ms: Option<u64>,
}

/// The queues of the config, in its order, and then the others that the store has.
pub async fn views(store: &dyn Store, configured: &[Arc<str>]) -> Result<Vec<View>> {
    let counts = store.queues().await?;
    let mut names: Vec<String> = configured.iter().map(|name| name.to_string()).collect();
    let others = counts.iter().map(|counts| counts.queue.clone());
    names.extend(others.filter(|name| !configured.iter().any(|known| **known == **name)));
    let mut views = Vec::with_capacity(names.len());
    for (place, name) in names.into_iter().enumerate() {
        let found = counts.iter().find(|counts| counts.queue == name).cloned();
        let counts = found.unwrap_or(QueueCounts { queue: name, ..QueueCounts::default() });
        let paused = Paused::read(store, &counts.queue).await?;
        let now = store.now();
        let oldest = counts.oldest_ready.map(|oldest| now.since(oldest).as_millis());
        views.push(View {
            paused,
            configured: place < configured.len(),
            oldest_ms: oldest.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)),
            counts,
        });
    }
    Ok(views)
}

impl View {
    /// `{ queue, ready, scheduled, held, leased, dead, oldest_seconds, paused?, configured }`.
    pub fn to_value(&self) -> Value {
        let counts = &self.counts;
        let mut map = Map::new();
        map.insert("queue".into(), counts.queue.as_str().into());
        for state in [JobState::Ready, JobState::Scheduled, JobState::Held, JobState::Leased, JobState::Dead]
        {
            map.insert(state.as_str().into(), count(counts.of(state)));
        }
        map.insert("oldest_seconds".into(), self.oldest_ms.map(|ms| count(ms / 1000)).into());
        if let Some(paused) = &self.paused {
            let since = Value::from(paused.since.to_string());
            map.insert(
                "paused".into(),
                Value::from([("since", since), ("reason", paused.reason.clone().into())]),
            );
        }
        map.insert("configured".into(), self.configured.into());
        map.into()
    }
}

fn count(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

/// A message with its history: the event of [`Message::event`], and under `state` what became of it.
pub fn job_value(job: &Job) -> Value {
    let event = match Message::of(job) {
        Ok(message) => message.event(job),
        // Another part of Renkei may keep work in the store, too.
        Err(_) => Value::from([("id", job.id.to_string())]),
    };
    let mut map = event.as_object().cloned().unwrap_or_default();
    map.insert("state".into(), job.state.as_str().into());
    map.insert("priority".into(), i64::from(job.priority).into());
    map.insert("run_at".into(), job.run_at.to_string().into());
    map.insert("changed".into(), job.changed.to_string().into());
    if let Some(cause) = job.dead {
        let cause = match cause {
            DeadCause::Buried => "given_up",
            DeadCause::Expired => "expired",
        };
        map.insert("cause".into(), cause.into());
        map.insert("blocks".into(), job.blocks.into());
    }
    if let Some(worker) = &job.worker {
        map.insert("worker".into(), worker.as_str().into());
    }
    let errors = job.errors.iter().map(|error| {
        Value::from([
            ("at", Value::from(error.at.to_string())),
            ("attempt", i64::from(error.attempt).into()),
            ("kind", error.kind.as_str().into()),
            ("message", error.message.as_str().into()),
        ])
    });
    map.insert("errors".into(), errors.collect::<Vec<_>>().into());
    map.into()
}

/// Which dead letters.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The kind of the last error, or `expired`.
    pub kind: Option<String>,
    /// What `order_by` gave.
    pub key: Option<String>,
    /// A text in the last error's message.
    pub says: Option<String>,
    /// Dead since then, or since before.
    pub until: Option<Timestamp>,
}

impl Filter {
    pub fn fits(&self, job: &Job) -> bool {
        let last = job.errors.last();
        let kind = match job.dead {
            Some(DeadCause::Expired) => "expired",
            _ => last.map(|error| error.kind.as_str()).unwrap_or_default(),
        };
        self.kind.as_deref().is_none_or(|wanted| wanted == kind)
            && self.key.as_deref().is_none_or(|wanted| job.key.as_deref() == Some(wanted))
            && self.says.as_deref().is_none_or(|text| last.is_some_and(|error| error.message.contains(text)))
            && self.until.is_none_or(|until| job.changed <= until)
    }
}

/// One page of the messages of a queue in one state.
pub async fn page(
    store: &dyn Store,
    queue: &str,
    state: JobState,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<Job>, Option<String>)> {
    let limit = limit.clamp(1, MAX_PAGE);
    let page = store.jobs(JobQuery { queue: queue.to_owned(), state, after, limit }).await?;
    Ok((page.jobs, page.next))
}

/// Dead letters of a queue that fit, the newest first.
pub async fn dead(store: &dyn Store, queue: &str, filter: &Filter, limit: usize) -> Result<Vec<Job>> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (jobs, next) = page(store, queue, JobState::Dead, after, MAX_PAGE).await?;
        found.extend(jobs.into_iter().filter(|job| filter.fits(job)));
        after = next;
        if after.is_none() || found.len() >= limit {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// A message by its id.
///
/// # Errors
/// `not_found` when there is none, `invalid` for what is no id.
pub async fn find(store: &dyn Store, id: &str) -> Result<Job> {
    let id = match uuid::Uuid::parse_str(id) {
        Ok(id) => JobId(id),
        Err(_) => {
            let shown: String = id.chars().take(60).collect();
            return Err(Error::invalid(format!(
                "`{shown}` is no id of a message; `renkei dead list` shows them"
            )));
        }
    };
    store.job(id).await?.ok_or_else(|| Error::new(Kind::NotFound, format!("there is no message `{id}`")))
}

/// What is done to dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mend {
    /// Once more from the start, with the same id, data and key.
    Replay,
    Discard,
}

/// Does it to these. One that is no dead letter any more is passed over. Gives how many were.
///
/// # Errors
/// `conflict` for a replay of a message whose `unique` another one has taken meanwhile; those before it are done.
pub async fn mend(store: &dyn Store, mend: Mend, jobs: &[JobId]) -> Result<usize> {
    let mut done = 0;
    for job in jobs {
        let job = *job;
        let mut batch = Batch::new();
        batch = match mend {
            Mend::Replay => batch.job(JobChange::Replay { job, run_at: When::Now }),
            Mend::Discard => batch.job(JobChange::Discard { job }),
        };
        match store.commit(batch).await? {
            Verdict::Done(_) => done += 1,
            Verdict::Refused(Refusal::JobState { .. }) => {}
            Verdict::Refused(other) => return Err(other.into()),
        }
    }
    Ok(done)
}

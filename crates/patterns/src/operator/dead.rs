//! Shows, replays and discards dead letters of a queue.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{
    Effect, Error, Kind, Outcome, Pattern, Result, RunContext, Scope, Tree, Value,
    queue::Queue,
    run::Committed,
    store::{Batch, Job, JobChange, JobId, JobState, Store, When},
};

use super::{store, text};
use crate::queue::operate::{self, Filter};

const STEP: &str = "operate";
/// How often the letters are chosen anew when somebody else has changed one of them.
const TRIES: usize = 5;

#[derive(Debug)]
pub(super) struct DeadAction {
    pub(super) queue: Arc<Queue>,
    pub(super) which: Which,
    pub(super) limit: usize,
    pub(super) deed: Deed,
}

/// Which ones: templates.
#[derive(Debug)]
pub(super) struct Which {
    pub(super) id: Option<Tree>,
    pub(super) kind: Option<Tree>,
    pub(super) key: Option<Tree>,
    pub(super) says: Option<Tree>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    List,
    Show,
    Replay,
    Discard,
}

#[async_trait]
impl Pattern for DeadAction {
    fn effect(&self) -> Effect {
        match self.deed {
            Deed::List | Deed::Show => Effect::Read,
            Deed::Replay | Deed::Discard => Effect::Write,
        }
    }

    fn open_world(&self) -> bool {
        false
    }

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome> {
        let (store, scope) = (&**store(cx)?, cx.scope(STEP, input));
        let id = text(self.which.id.as_ref(), &scope)?;
        let value = match self.deed {
            Deed::Show => operate::job_value(&self.message(store, &id.unwrap_or_default()).await?),
            Deed::List => {
                let (jobs, more) = self.chosen(store, None, &scope).await?;
                let messages: Vec<Value> = jobs.iter().map(operate::job_value).collect();
                Value::from([("messages", Value::from(messages)), ("more", more.into())])
            }
            Deed::Replay => self.mend(cx, (id, &scope), "replayed", replay).await?,
            Deed::Discard => self.mend(cx, (id, &scope), "discarded", discard).await?,
        };
        Ok(Outcome::json(value))
    }
}

fn replay(job: JobId) -> JobChange {
    JobChange::Replay { job, run_at: When::Now }
}

fn discard(job: JobId) -> JobChange {
    JobChange::Discard { job }
}

impl DeadAction {
    /// A message of this queue.
    async fn message(&self, store: &dyn Store, id: &str) -> Result<Job> {
        let found = match uuid::Uuid::parse_str(id) {
            Ok(id) => store.job(JobId(id)).await?,
            Err(_) => None,
        };
        found.filter(|job| *job.queue == *self.queue.name).ok_or_else(|| {
            let shown: String = id.chars().take(60).collect();
            Error::new(Kind::NotFound, format!("there is no message `{shown}` in the queue `{}`", self.queue))
        })
    }

    /// Those that are meant, and whether there are more.
    async fn chosen(&self, store: &dyn Store, id: Option<&str>, scope: &Scope) -> Result<(Vec<Job>, bool)> {
        if let Some(id) = id {
            let job = self.message(store, id).await?;
            if job.state != JobState::Dead {
                let message = format!("the message `{id}` is no dead letter: it is {}", job.state);
                return Err(Error::new(Kind::Conflict, message));
            }
            return Ok((vec![job], false));
        }
        let filter = Filter {
            kind: text(self.which.kind.as_ref(), scope)?,
            key: text(self.which.key.as_ref(), scope)?,
            says: text(self.which.says.as_ref(), scope)?,
            until: None,
        };
        let mut jobs = operate::dead(store, &self.queue.name, &filter, self.limit + 1).await?;
        let more = jobs.len() > self.limit;
        jobs.truncate(self.limit);
        Ok((jobs, more))
    }

    /// All of them in one commit.
    async fn mend(
        &self,
        cx: &RunContext,
        (id, scope): (Option<String>, &Scope),
        word: &str,
        change: fn(JobId) -> JobChange,
    ) -> Result<Value> {
        let store = &**store(cx)?;
        // One whose template gave nothing would mean all of them.
        if self.which.id.is_some() && id.is_none() {
            return Err(Error::invalid(format!("mend a dead letter of `{}`: there is no `id`", self.queue)));
        }
        let mut tries = 1;
        loop {
            let (jobs, more) = self.chosen(store, id.as_deref(), scope).await?;
            let batch = jobs.iter().fold(Batch::new(), |batch, job| batch.job(change(job.id)));
            let given = Value::from([
                ("queue", Value::from(self.queue.name.clone())),
                (word, jobs.len().into()),
                ("more", more.into()),
            ]);
            match cx.commit(STEP, batch, given.clone()).await {
                Ok(Committed::Now(_)) => return Ok(given),
                Ok(Committed::Before(value)) => return Ok(value),
                Err(error) if error.kind() == Kind::Conflict && tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

//! The wrapper: seals on the way in, opens on the way out.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use renkei_core::{
    Result,
    clock::Timestamp,
    store::{
        Backup, Batch, Cell, CellPage, CellQuery, Changes, Claim, Claims, Compacted, Event, Job, JobChange,
        JobError, JobId, JobPage, JobQuery, JobState, Lease, LogPage, LogQuery, MAX_ERROR_BYTES, Maintain,
        NewEvent, Problem, Pruned, QueueCounts, Refusal, Retention, Stats, Store, StreamInfo, StreamPage,
        StreamsPage, Verdict, When,
    },
};

use super::Keys;

/// Texts of errors are sealed as text.
const PREFIX: &str = "sealed:";
/// What is left of an error's text, so that it still fits when it is sealed.
const ERROR_BYTES: usize = MAX_ERROR_BYTES / 4 * 3 - 128;

/// A store whose records are sealed.
#[derive(Debug)]
pub struct Sealed {
    inner: Arc<dyn Maintain>,
    keys: Keys,
}

impl Sealed {
    pub fn new(inner: Arc<dyn Maintain>, keys: Keys) -> Self {
        Sealed { inner, keys }
    }

    fn seal(&self, batch: &mut Batch) -> Result<()> {
        for append in &mut batch.appends {
            for event in &mut append.events {
                event.data.bytes =
                    self.keys.seal(&event_place(&append.stream, &event.id), &event.data.bytes)?;
            }
        }
        for job in &mut batch.enqueues {
            job.payload.bytes = self.keys.seal(&job_place(job.id), &job.payload.bytes)?;
        }
        for change in &mut batch.jobs {
            let job = change.job();
            if let JobChange::Retry { error, .. } | JobChange::Bury { error, .. } = change {
                error.message = self.seal_text(job, &error.message)?;
            }
        }
        for write in &mut batch.cells {
            let place = cell_place(&write.space, &write.key);
            if let Some(cell) = &mut write.value {
                cell.value.bytes = self.keys.seal(&place, &cell.value.bytes)?;
            }
        }
        Ok(())
    }

    fn seal_text(&self, job: JobId, text: &str) -> Result<String> {
        let text = &text[..text.floor_char_boundary(ERROR_BYTES)];
        Ok(format!("{PREFIX}{}", STANDARD.encode(self.keys.seal(&job_place(job), text.as_bytes())?)))
    }

    fn open_error(&self, job: JobId, mut error: JobError) -> Result<JobError> {
        let sealed = error.message.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
        if let Some(sealed) = sealed {
            let text = self.keys.open(&job_place(job), sealed.into())?;
            error.message = String::from_utf8_lossy(&text).into_owned();
        }
        Ok(error)
    }

    fn open_job(&self, mut job: Job) -> Result<Job> {
        job.payload.bytes = self.keys.open(&job_place(job.id), job.payload.bytes)?;
        job.errors =
            job.errors.into_iter().map(|error| self.open_error(job.id, error)).collect::<Result<_>>()?;
        Ok(job)
    }

    fn open_jobs(&self, jobs: Vec<Job>) -> Result<Vec<Job>> {
        jobs.into_iter().map(|job| self.open_job(job)).collect()
    }

    fn open_events(&self, events: Vec<Event>) -> Result<Vec<Event>> {
        let open = |mut event: Event| {
            event.data.bytes = self.keys.open(&event_place(&event.stream, &event.id), event.data.bytes)?;
            Ok(event)
        };
        events.into_iter().map(open).collect()
    }

    fn open_cell(&self, mut cell: Cell) -> Result<Cell> {
        cell.value.bytes = self.keys.open(&cell_place(&cell.space, &cell.key), cell.value.bytes)?;
        Ok(cell)
    }

    /// Two seals of one text differ, so the store cannot tell whether an event is the same.
    async fn is_same(&self, stream: &str, version: u64, new: &NewEvent) -> Result<bool> {
        let page = self.read_stream(stream, version, 1).await?;
        Ok(page.events.first().is_some_and(|event| {
            (&event.id, &event.kind, &event.data, &event.meta) == (&new.id, &new.kind, &new.data, &new.meta)
        }))
    }
}

fn place(parts: &[&[u8]]) -> Vec<u8> {
    // A name has no NUL.
    parts.join(&0)
}

fn event_place(stream: &str, id: &str) -> Vec<u8> {
    place(&[b"event", stream.as_bytes(), id.as_bytes()])
}

fn job_place(id: JobId) -> Vec<u8> {
    place(&[b"job", id.0.as_bytes()])
}

fn cell_place(space: &str, key: &str) -> Vec<u8> {
    place(&[b"cell", space.as_bytes(), key.as_bytes()])
}

#[async_trait]
impl Store for Sealed {
    async fn commit(&self, mut batch: Batch) -> Result<Verdict> {
        if self.keys.is_empty() {
            return self.inner.commit(batch).await;
        }
        batch.validate()?;
        // Bytes are shared, not copied.
        let plain = batch.appends.clone();
        self.seal(&mut batch)?;
        let mut verdict = self.inner.commit(batch).await?;
        if let Verdict::Refused(Refusal::EventExists { stream, id, version, same }) = &mut verdict {
            let events =
                plain.iter().filter(|append| append.stream == *stream).flat_map(|append| &append.events);
            if let Some(event) = events.into_iter().find(|event| event.id == *id) {
                *same = self.is_same(stream, *version, event).await?;
            }
        }
        Ok(verdict)
    }

    async fn claim(&self, claim: Claim) -> Result<Claims> {
        let claims = self.inner.claim(claim).await?;
        let leases: Vec<Lease> = claims.jobs.iter().map(Job::lease).collect();
        match self.open_jobs(claims.jobs) {
            Ok(jobs) => Ok(Claims { jobs, ..claims }),
            Err(error) => {
                // A key is missing, probably. Nobody has seen them: their attempts must not be spent on it.
                let back = leases.into_iter().map(|lease| JobChange::Release { lease, run_at: When::Now });
                self.inner.commit(Batch { jobs: back.collect(), ..Batch::default() }).await?;
                Err(error)
            }
        }
    }

    async fn read_stream(&self, stream: &str, from: u64, limit: usize) -> Result<StreamPage> {
        let page = self.inner.read_stream(stream, from, limit).await?;
        Ok(StreamPage { events: self.open_events(page.events)?, ..page })
    }

    async fn read_log(&self, query: LogQuery) -> Result<LogPage> {
        let page = self.inner.read_log(query).await?;
        Ok(LogPage { events: self.open_events(page.events)?, ..page })
    }

    async fn stream(&self, stream: &str) -> Result<Option<StreamInfo>> {
        self.inner.stream(stream).await
    }

    async fn streams(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<StreamsPage> {
        self.inner.streams(prefix, after, limit).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        self.inner.job(id).await?.map(|job| self.open_job(job)).transpose()
    }

    async fn jobs(&self, query: JobQuery) -> Result<JobPage> {
        let page = self.inner.jobs(query).await?;
        Ok(JobPage { jobs: self.open_jobs(page.jobs)?, ..page })
    }

    async fn queues(&self) -> Result<Vec<QueueCounts>> {
        self.inner.queues().await
    }

    async fn cell(&self, space: &str, key: &str) -> Result<Option<Cell>> {
        self.inner.cell(space, key).await?.map(|cell| self.open_cell(cell)).transpose()
    }

    async fn cells(&self, query: CellQuery) -> Result<CellPage> {
        let page = self.inner.cells(query).await?;
        let cells = page.cells.into_iter().map(|cell| self.open_cell(cell)).collect::<Result<_>>()?;
        Ok(CellPage { cells, ..page })
    }

    fn changes(&self) -> Changes {
        self.inner.changes()
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl Maintain for Sealed {
    async fn prune(&self, rules: &Retention) -> Result<Pruned> {
        self.inner.prune(rules).await
    }

    async fn purge(&self, queue: &str, states: &[JobState], limit: usize) -> Result<u64> {
        self.inner.purge(queue, states, limit).await
    }

    async fn check(&self) -> Result<Vec<Problem>> {
        self.inner.check().await
    }

    async fn backup(&self, to: &Path) -> Result<Backup> {
        self.inner.backup(to).await
    }

    async fn compact(&self) -> Result<Compacted> {
        self.inner.compact().await
    }

    async fn stats(&self) -> Result<Stats> {
        self.inner.stats().await
    }
}

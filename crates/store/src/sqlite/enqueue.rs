//! New jobs: their places, and what keeps them out.

use renkei_core::store::{Enqueued, JobState, NewJob, OnTaken, Refusal};
use rusqlite::params;

use super::{group::Group, jobs::Freed, rows};

/// Payloads up to here stand in the job's own row; larger ones beside it, so that a change of state does not write
/// them again.
const INLINE_BYTES: usize = 2_048;

impl Group<'_> {
    pub(super) fn check_enqueue(
        &mut self,
        job: &NewJob,
        freed: &mut Freed,
    ) -> rusqlite::Result<Option<Refusal>> {
        let mut exists = self.connection.prepare_cached("select 1 from jobs where id = ?1")?;
        if exists.exists([job.id.0.as_bytes()])? {
            return Ok(Some(Refusal::JobExists { job: job.id }));
        }
        drop(exists);
        let queue = self.queue(&job.queue)?;
        if let (Some(queue), Some(unique)) = (queue, &job.unique)
            && let Some(holder) = self.unique_holder(&(queue, unique.key.clone()), freed)?
        {
            if unique.on_taken == OnTaken::Join {
                return Ok(None);
            }
            let (queue, unique) = (job.queue.clone(), unique.key.clone());
            return Ok(Some(Refusal::UniqueTaken { queue, unique, holder }));
        }
        let unfinished = queue.map_or(Ok(0), |queue| self.unfinished(queue))?;
        let change = freed.length.entry(job.queue.clone()).or_default();
        *change += 1;
        let length = rows::unsigned(unfinished.saturating_add(*change));
        let full = job.max_length.filter(|max| length > *max);
        Ok(full.map(|max| Refusal::QueueFull { queue: job.queue.clone(), length, max }))
    }

    pub(super) fn enqueue(&mut self, job: &NewJob) -> rusqlite::Result<Enqueued> {
        let queue = self.queue_or_new(&job.queue)?;
        if let Some(unique) = &job.unique
            && let Some(holder) = self.unique_holder(&(queue, unique.key.clone()), &Freed::default())?
        {
            return Ok(Enqueued::Joined(holder));
        }
        let run_at = job.run_at.resolve(self.now);
        let waits = job.key.as_ref().map_or(Ok(false), |key| self.has_head(queue, key))?;
        let state = if waits { JobState::Held } else { self.due_state(run_at) };
        let seq = self.next_seq();
        let inline = job.payload.bytes.len() <= INLINE_BYTES;
        self.connection
            .prepare_cached(
                "insert into jobs (seq, id, queue, state, holds, key, priority, run_at, expires, uniq, created, changed, \
                 record, headers, payload) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                seq,
                job.id.0.as_bytes(),
                queue,
                rows::number(state),
                job.key.is_some() && !waits,
                job.key,
                job.priority,
                run_at.0,
                job.expires.map(|expires| expires.resolve(self.now).0),
                job.unique.as_ref().map(|unique| &unique.key),
                self.now.0,
                job.payload.version,
                &job.headers[..],
                inline.then_some(&job.payload.bytes[..]),
            ])?;
        if !inline {
            self.connection
                .prepare_cached("insert into payloads (seq, payload) values (?1, ?2)")?
                .execute(params![seq, &job.payload.bytes[..]])?;
        }
        self.count(queue, None, Some(state))?;
        Ok(Enqueued::New(job.id))
    }
}

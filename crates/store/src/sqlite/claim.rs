//! Claims: what is due becomes ready, and the first ones are leased.

use renkei_core::{
    clock::Timestamp,
    store::{Claim, Claims, DeadCause, Job, JobError, JobState, OnDead, When},
};
use rusqlite::{OptionalExtension, params};

use super::{group::Group, rows};

/// Leases that have ended, and jobs that waited too long, of which one claim takes care.
const TIDIED: i64 = 200;
/// Jobs whose time has come that one claim makes ready.
const PROMOTED: i64 = 1_000;

impl Group<'_> {
    pub(super) fn claim(&mut self, claim: &Claim) -> rusqlite::Result<Claims> {
        let Some(queue) = self.queue(&claim.queue)? else { return Ok(Claims::default()) };
        let mut claims =
            Claims { ended: self.end_leases(queue)?, expired: self.expire(queue)?, ..Claims::default() };
        self.promote_due(queue)?;
        let until = self.now.after(claim.lease_for);
        for seq in self.first_ready(queue, claim.max)? {
            claims.jobs.push(self.lease(queue, seq, until, claim)?);
        }
        if claims.jobs.len() < claim.max {
            claims.next = self.next_moment(queue)?;
        }
        Ok(claims)
    }

    fn end_leases(&mut self, queue: i64) -> rusqlite::Result<u64> {
        let ended = self.seqs(
            "select seq from jobs where queue = ?1 and state = 3 and leased_until <= ?2 order by leased_until limit ?3",
            [queue, self.now.0, TIDIED],
        )?;
        for seq in &ended {
            let row = self.job_row_at(*seq)?;
            let error = JobError::new(JobError::LEASE_ENDED, "the worker was not heard of any more");
            self.again(&row, When::Now, row.attempts, Some(&error))?;
        }
        Ok(ended.len() as u64)
    }

    fn expire(&mut self, queue: i64) -> rusqlite::Result<u64> {
        let expired = self.seqs(
            "select seq from jobs where queue = ?1 and expires <= ?2 and expires is not null and state <= 2 \
             order by expires limit ?3",
            [queue, self.now.0, TIDIED],
        )?;
        for seq in &expired {
            let row = self.job_row_at(*seq)?;
            self.bury(&row, DeadCause::Expired, OnDead::Skip, None)?;
        }
        Ok(expired.len() as u64)
    }

    fn promote_due(&mut self, queue: i64) -> rusqlite::Result<()> {
        let due = self.seqs(
            "select seq from jobs where queue = ?1 and state = 1 and run_at <= ?2 order by run_at limit ?3",
            [queue, self.now.0, PROMOTED],
        )?;
        for seq in due {
            self.connection
                .prepare_cached("update jobs set state = 0, changed = ?2 where seq = ?1")?
                .execute([seq, self.now.0])?;
            self.count(queue, Some(JobState::Scheduled), Some(JobState::Ready))?;
        }
        Ok(())
    }

    /// The first ones that have not waited too long. Those that have, and that [`Self::expire`] left for the next claim, are
    /// passed over up to a bound.
    fn first_ready(&mut self, queue: i64, max: usize) -> rusqlite::Result<Vec<i64>> {
        let limit = i64::try_from(max).unwrap_or(i64::MAX).saturating_add(TIDIED);
        let mut statement = self.connection.prepare_cached(
            "select seq, expires from jobs where queue = ?1 and state = 0 order by priority desc, seq limit ?2",
        )?;
        let mut rows = statement.query([queue, limit])?;
        let mut first = Vec::new();
        while first.len() < max
            && let Some(row) = rows.next()?
        {
            let expires: Option<i64> = row.get(1)?;
            if expires.is_none_or(|expires| expires > self.now.0) {
                first.push(row.get(0)?);
            }
        }
        Ok(first)
    }

    fn lease(&mut self, queue: i64, seq: i64, until: Timestamp, claim: &Claim) -> rusqlite::Result<Job> {
        let sql = format!(
            "update jobs set state = 3, token = token + 1, attempts = attempts + 1, leased_until = ?2, worker = ?3, changed = ?4 \
             where seq = ?1 returning ?5, {}",
            rows::JOB
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let job =
            statement.query_row(params![seq, until.0, claim.worker, self.now.0, claim.queue], rows::job)?;
        self.count(queue, Some(JobState::Ready), Some(JobState::Leased))?;
        Ok(job)
    }

    /// When it makes sense to look again though nothing was committed.
    fn next_moment(&self, queue: i64) -> rusqlite::Result<Option<Timestamp>> {
        let mut next = None;
        for sql in [
            "select run_at from jobs where queue = ?1 and state = 1 order by run_at limit 1",
            "select leased_until from jobs where queue = ?1 and state = 3 order by leased_until limit 1",
            "select ?2 from jobs where queue = ?1 and state = 0 limit 1",
        ] {
            let mut statement = self.connection.prepare_cached(sql)?;
            let moment = if statement.parameter_count() == 1 {
                statement.query_row([queue], |row| row.get::<_, i64>(0)).optional()?
            } else {
                statement.query_row([queue, self.now.0], |row| row.get(0)).optional()?
            };
            next = next.into_iter().chain(moment).min();
        }
        Ok(next.map(Timestamp))
    }

    fn seqs(&self, sql: &str, values: [i64; 3]) -> rusqlite::Result<Vec<i64>> {
        self.connection.prepare_cached(sql)?.query_map(values, |row| row.get(0))?.collect()
    }
}

//! Leasing jobs, inside a group.

use std::collections::BTreeMap;

use renkei_core::{
    clock::Timestamp,
    store::{Claim, Claims, JobError, JobState},
};
use tokio_postgres::Row;

use super::{
    decide::{Writes, note, waiting},
    error::Trouble,
    load::{JOB_ROW, job_row},
    rows,
    session::Link,
    write::{ask, write},
};

/// Jobs of one kind – lease ended, time come, waited too long – that one claim looks after.
const SETTLED: usize = 1000;

/// When the next job of a queue needs looking after, as far as this node knows. A queue that is not here is unknown.
#[derive(Debug, Default)]
pub(super) struct Due(BTreeMap<String, Timestamp>);

/// So many queues are remembered; then all are unknown again.
const KNOWN_QUEUES: usize = 10_000;

impl Due {
    fn is_now(&self, queue: &str, now: Timestamp) -> bool {
        self.0.get(queue).is_none_or(|due| now >= *due)
    }

    fn set(&mut self, queue: &str, due: Timestamp) {
        if self.0.len() >= KNOWN_QUEUES {
            self.0.clear();
        }
        self.0.insert(queue.to_owned(), due);
    }

    fn sooner(&mut self, queue: &str, due: Timestamp) {
        if let Some(known) = self.0.get_mut(queue) {
            *known = due.min(*known);
        }
    }

    /// Everything that a group wrote.
    pub(super) fn note(&mut self, writes: &Writes<'_>) {
        for new in &writes.new_jobs {
            let due = new.expires.map_or(new.run_at, |at| at.min(new.run_at));
            self.sooner(&new.job.queue, due);
        }
        for job in &writes.jobs {
            let moments = [Some(job.run_at), job.leased_until, job.expires];
            if job.state.is_unfinished() {
                self.sooner(&job.queue, moments.into_iter().flatten().min().unwrap_or(Timestamp::NEVER));
            }
        }
    }

    /// Another node may have done anything.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

const CLAIM: &str = "with picked as (select j.id from jobs j where j.queue = $1 and j.state = 0 \
         order by j.priority desc, j.place limit $2), \
     moved as (update jobs j set state = 3, token = j.token + 1, attempts = j.attempts + 1, leased_until = $3, \
         worker = $4, changed = $5 from picked p where j.id = p.id returning j.*), \
     counted as (insert into counts (queue, number, ready, scheduled, held, leased, dead, done) \
         select $1, nextval('counts_number'), l.ready - m.total, l.scheduled, l.held, l.leased + m.total, l.dead, l.done \
         from (select count(*) total from moved) m join lateral \
         (select * from counts c where c.queue = $1 order by c.number desc limit 1) l on true where m.total > 0) \
     select ";

const NEXT: &str = "select least((select min(leased_until) from jobs where queue = $1 and state = 3), \
     (select min(run_at) from jobs where queue = $1 and state = 1)), \
     (select min(expires) from jobs where queue = $1 and state <= 2 and expires is not null)";

/// Leases jobs for one claim. Whether anything was changed is in [`Claimed::wrote`].
pub(super) async fn claim(
    link: &mut Link,
    due: &mut Due,
    claim: &Claim,
    now: Timestamp,
) -> Result<Claimed, Trouble> {
    let mut claimed = Claimed::default();
    if due.is_now(&claim.queue, now) {
        settle(link, due, &claim.queue, now, &mut claimed).await?;
    }
    take(link, due, claim, now, &mut claimed).await?;
    if claimed.claims.jobs.len() < claim.max {
        // Perhaps another node has left something that is due.
        settle(link, due, &claim.queue, now, &mut claimed).await?;
        take(link, due, claim, now, &mut claimed).await?;
    }
    if claimed.claims.jobs.len() < claim.max {
        let (next, _) = next(link, &claim.queue).await?;
        claimed.claims.next = next;
    }
    Ok(claimed)
}

#[derive(Debug, Default)]
pub(super) struct Claimed {
    pub(super) claims: Claims,
    pub(super) wrote: bool,
}

async fn take(
    link: &mut Link,
    due: &mut Due,
    claim: &Claim,
    now: Timestamp,
    claimed: &mut Claimed,
) -> Result<(), Trouble> {
    let missing = (claim.max - claimed.claims.jobs.len()) as i64;
    if missing == 0 {
        return Ok(());
    }
    let until = now.after(claim.lease_for);
    let text = format!("{CLAIM}{} from moved j order by j.priority desc, j.place", rows::JOB);
    let found = ask(link, &text, &[&claim.queue, &missing, &until.0, &claim.worker, &now.0]).await?;
    for row in &found {
        claimed.claims.jobs.push(rows::job(row)?);
    }
    if !found.is_empty() {
        claimed.wrote = true;
        due.sooner(&claim.queue, until);
    }
    Ok(())
}

async fn next(link: &mut Link, queue: &str) -> Result<(Option<Timestamp>, Timestamp), Trouble> {
    let found = ask(link, NEXT, &[&queue]).await?;
    let moment = |at: usize| -> Result<Option<Timestamp>, Trouble> {
        let row: Option<&Row> = found.first();
        Ok(row.map(|row| row.try_get::<_, Option<i64>>(at)).transpose()?.flatten().map(Timestamp))
    };
    let (next, expires) = (moment(0)?, moment(1)?);
    Ok((next, [next, expires].into_iter().flatten().min().unwrap_or(Timestamp::NEVER)))
}

fn to_settle() -> String {
    format!(
        "(select {JOB_ROW} from jobs j where j.queue = $1 and j.state <= 2 and j.expires is not null and j.expires <= $2 \
         order by j.expires limit {SETTLED}) union all \
         (select {JOB_ROW} from jobs j where j.queue = $1 and j.state = 3 and j.leased_until <= $2 \
         order by j.leased_until, j.place limit {SETTLED}) union all \
         (select {JOB_ROW} from jobs j where j.queue = $1 and j.state = 1 and j.run_at <= $2 \
         order by j.run_at, j.place limit {SETTLED})"
    )
}

/// Leases that have ended, jobs whose time has come, and those that have waited too long.
async fn settle(
    link: &mut Link,
    due: &mut Due,
    queue: &str,
    now: Timestamp,
    claimed: &mut Claimed,
) -> Result<(), Trouble> {
    let found = ask(link, &to_settle(), &[&queue, &now.0]).await?;
    let mut writes = Writes::default();
    for row in &found {
        let mut job = job_row(row)?;
        if writes.jobs.iter().any(|other| other.id == job.id) {
            continue;
        }
        let before = job.state;
        if before == JobState::Leased {
            let error = JobError::new(JobError::LEASE_ENDED, "the worker was not heard of any more");
            note(&mut job, &error, now);
            job.leased_until = None;
            claimed.claims.ended += 1;
        }
        if job.expires.is_some_and(|at| at <= now) {
            job.state = JobState::Dead;
            job.dead = Some(rows::EXPIRED);
            claimed.claims.expired += 1;
        } else {
            job.state = if before == JobState::Leased { JobState::Ready } else { waiting(job.run_at, now) };
        }
        if let (JobState::Dead, Some(key)) = (job.state, &job.key) {
            writes.keys.insert((job.queue.clone(), key.clone()));
        }
        let counts = writes.counts.entry(job.queue.clone()).or_default();
        counts[rows::number(before) as usize] -= 1;
        counts[rows::number(job.state) as usize] += 1;
        writes.jobs.push(job);
    }
    if !writes.is_empty() {
        write(link, &writes, now, None).await?;
        claimed.wrote = true;
    }
    let (_, soonest) = next(link, queue).await?;
    due.set(queue, soonest);
    Ok(())
}

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
    front::NEWEST,
    load::{JOB_ROW, Params, job_row},
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

/// `$6` is the moment up to which everything was looked after in this transaction, if it was.
fn claim_text() -> String {
    let ready = |clause: &str, order: &str| {
        format!(
            "(select j.id from jobs j where {clause} and j.queue = $1 and j.state = 0 and j.place >= f.low \
             order by {order} limit $2)"
        )
    };
    // With one priority the look begins at the place itself.
    let one = ready("f.top = f.bottom and j.priority = f.top", "j.place");
    let several = ready("f.top <> f.bottom", "j.priority desc, j.place");
    format!(
        "with {NEWEST}, picked as (select x.id from f cross join lateral ({one} union all {several}) x), \
         moved as (update jobs j set state = 3, token = j.token + 1, attempts = j.attempts + 1, leased_until = $3, \
             worker = $4, changed = $5 from picked p where j.id = p.id returning j.*), \
         counted as (insert into counts (queue, number, ready, scheduled, held, leased, dead, done, low, top, bottom, due) \
             select $1, nextval('counts_number'), f.ready - m.total, f.scheduled, f.held, f.leased + m.total, f.dead, f.done, \
             case when f.top = f.bottom then m.last + 1 else f.low end, f.top, f.bottom, least(coalesce($6, f.due), $3) \
             from f cross join (select count(*) total, max(place) last from moved) m where m.total > 0) \
         select {} from moved j order by j.priority desc, j.place",
        rows::JOB
    )
}

/// When the next lease ends or the next job is due, and when the next one has waited too long.
fn next_text() -> String {
    format!(
        "with {NEWEST} select least((select min(j.leased_until) from jobs j where f.leased > 0 and j.queue = $1 and j.state = 3 \
             and j.leased_until >= f.due), \
         (select min(j.run_at) from jobs j where f.scheduled > 0 and j.queue = $1 and j.state = 1 and j.run_at >= f.due)), \
         (select min(j.expires) from jobs j where j.queue = $1 and j.state <= 2 and j.expires is not null \
             and j.expires >= f.due) from f"
    )
}

/// Leases jobs for one claim. Whether anything was changed is in [`Claimed::wrote`].
pub(super) async fn claim(
    link: &mut Link,
    due: &mut Due,
    claim: &Claim,
    now: Timestamp,
) -> Result<Claimed, Trouble> {
    let mut claimed = Claimed::default();
    let settled = match due.is_now(&claim.queue, now) {
        true => settle(link, due, &claim.queue, now, &mut claimed).await?,
        false => None,
    };
    take(link, due, claim, now, settled, &mut claimed).await?;
    if claimed.claims.jobs.len() < claim.max {
        // Perhaps another node has left something that is due.
        let settled = settle(link, due, &claim.queue, now, &mut claimed).await?;
        take(link, due, claim, now, settled, &mut claimed).await?;
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
    settled: Option<Timestamp>,
    claimed: &mut Claimed,
) -> Result<(), Trouble> {
    let missing = (claim.max - claimed.claims.jobs.len()) as i64;
    if missing == 0 {
        return Ok(());
    }
    let until = now.after(claim.lease_for);
    let settled = settled.map(|at| at.0);
    let params: Params<'_> = &[&claim.queue, &missing, &until.0, &claim.worker, &now.0, &settled];
    let found = ask(link, &claim_text(), params).await?;
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
    let found = ask(link, &next_text(), &[&queue]).await?;
    let moment = |at: usize| -> Result<Option<Timestamp>, Trouble> {
        let row: Option<&Row> = found.first();
        Ok(row.map(|row| row.try_get::<_, Option<i64>>(at)).transpose()?.flatten().map(Timestamp))
    };
    let (next, expires) = (moment(0)?, moment(1)?);
    Ok((next, [next, expires].into_iter().flatten().min().unwrap_or(Timestamp::NEVER)))
}

fn to_settle() -> String {
    let due = |clause: &str, at: &str, order: &str| {
        format!(
            "(select {JOB_ROW} from f cross join lateral (select * from jobs j where j.queue = $1 and {clause} \
             and {at} >= f.due and {at} <= $2 order by {order} limit {SETTLED}) j)"
        )
    };
    let expired = due("j.state <= 2 and j.expires is not null", "j.expires", "j.expires");
    let ended = due("f.leased > 0 and j.state = 3", "j.leased_until", "j.leased_until, j.place");
    let scheduled = due("f.scheduled > 0 and j.state = 1", "j.run_at", "j.run_at, j.place");
    format!("with {NEWEST} {expired} union all {ended} union all {scheduled}")
}

/// Leases that have ended, jobs whose time has come, and those that have waited too long. Gives the moment up to which nothing is
/// left of them.
async fn settle(
    link: &mut Link,
    due: &mut Due,
    queue: &str,
    now: Timestamp,
    claimed: &mut Claimed,
) -> Result<Option<Timestamp>, Trouble> {
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
    Ok((found.len() < SETTLED).then_some(now))
}

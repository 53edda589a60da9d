//! Upkeep: what has had its time, and whether everything is as it must be.

use renkei_core::{
    clock::Timestamp,
    store::{Compacted, JobState, Problem, Pruned, Retention, Stats},
};
use tokio_postgres::Row;

use super::{
    decide::Writes,
    error::Trouble,
    load::{JOB_ROW, job_row},
    rows::{number, unsigned},
    schema,
    session::{Link, Reader},
    target::Target,
    write::{ask, write},
};

/// Things of one kind that one step removes.
const STEP: usize = 1_000;
/// Marks of groups are kept for so long, in milliseconds: nobody asks for one after a minute.
const MARKS: i64 = 3_600_000;

/// Clears away what groups leave behind: counts that newer ones replace, and old marks.
pub(super) async fn sweep(link: &mut Link, now: Timestamp) -> Result<(), Trouble> {
    const COUNTS: &str =
        "delete from counts c where c.number < (select max(n.number) from counts n where n.queue = c.queue)";
    const OLD_MARKS: &str = "delete from groups where at < $1";
    ask(link, COUNTS, &[]).await?;
    ask(link, OLD_MARKS, &[&now.0.saturating_sub(MARKS)]).await?;
    Ok(())
}

/// Removes jobs of a queue in these states.
pub(super) async fn purge(
    link: &mut Link,
    queue: &str,
    states: &[JobState],
    limit: usize,
    now: Timestamp,
) -> Result<u64, Trouble> {
    let mut purged = 0;
    for state in states {
        let left = limit.saturating_sub(purged).min(STEP * 10) as i64;
        if left == 0 {
            break;
        }
        let text = format!(
            "select {JOB_ROW} from jobs j where j.queue = $1 and j.state = {} limit $2",
            number(*state)
        );
        let found = ask(link, &text, &[&queue, &left]).await?;
        purged += remove(link, &found, now).await?;
    }
    Ok(purged as u64)
}

/// Removes jobs; where one was the head of its key, the next one becomes it.
async fn remove(link: &mut Link, found: &[Row], now: Timestamp) -> Result<usize, Trouble> {
    let mut writes = Writes::default();
    for row in found {
        let job = job_row(row)?;
        writes.counts.entry(job.queue.clone()).or_default()[number(job.state) as usize] -= 1;
        if let Some(key) = job.key {
            writes.keys.insert((job.queue, key));
        }
        writes.gone.push(job.id);
    }
    if !writes.is_empty() {
        write(link, &writes, now, None).await?;
    }
    Ok(writes.gone.len())
}

/// One bounded step of [`renkei_core::store::Maintain::prune`].
pub(super) async fn prune(link: &mut Link, rules: &Retention, now: Timestamp) -> Result<Pruned, Trouble> {
    let limit = STEP as i64;
    let cells = "delete from cells c using (select space, key from cells where expires is not null and expires <= $1 \
         order by expires limit $2 for update) x where c.space = x.space and c.key = x.key returning 1";
    let cells = ask(link, cells, &[&now.0, &limit]).await?.len();
    let kept = format!(
        "select {JOB_ROW} from jobs j where j.state = 5 and j.keep_until <= $1 order by j.keep_until limit $2"
    );
    let found = ask(link, &kept, &[&now.0, &limit]).await?;
    let mut jobs = remove(link, &found, now).await?;
    let mut full = cells == STEP || jobs == STEP;
    if let Some(age) = rules.dead {
        let old = format!(
            "select {JOB_ROW} from jobs j where j.state = 4 and j.changed <= $1 order by j.changed limit $2"
        );
        let found = ask(link, &old, &[&now.before(age).0, &limit]).await?;
        let dead = remove(link, &found, now).await?;
        full |= dead == STEP;
        jobs += dead;
    }
    let mut events = 0;
    for (prefix, age) in &rules.log {
        let cut = cut(link, prefix, now.before(*age), limit).await?;
        full |= cut == STEP;
        events += cut;
    }
    Ok(Pruned { cells: cells as u64, jobs: jobs as u64, events: events as u64, more: full })
}

/// Drops the oldest events of the streams whose names begin so; of each stream only from its beginning.
async fn cut(link: &mut Link, prefix: &str, until: Timestamp, limit: i64) -> Result<usize, Trouble> {
    const CUT: &str = "with old as (select e.position from events e where e.at <= $2 and starts_with(e.stream, $1) \
             and not exists (select 1 from events k where k.stream = e.stream and k.version < e.version and k.at > $2) \
             order by e.position limit $3), \
         cut as (delete from events e using old o where e.position = o.position returning e.stream, e.version, e.position), \
         last as (select stream, max(version) version, max(position) position from cut group by stream), \
         noted as (update streams s set dropped = greatest(s.dropped, l.version), \
             dropped_at = greatest(s.dropped_at, l.position), first = greatest(s.first, l.version + 1) \
             from last l where s.stream = l.stream), \
         told as (update meta set dropped = greatest(dropped, (select max(position) from cut)) \
             where exists (select 1 from cut)) \
         select position from cut";
    Ok(ask(link, CUT, &[&prefix, &until.0, &limit]).await?.len())
}

/// What must hold between records.
const CHECKS: [(&str, &str); 6] = [
    (
        "a look for jobs of a queue would begin behind one of them",
        "select n.queue from (select distinct queue from counts) n \
         cross join lateral (select * from counts c where c.queue = n.queue order by c.number desc limit 1) f \
         where exists (select 1 from jobs j where j.queue = n.queue and ( \
             (j.state = 0 and (f.low is null or j.place < f.low or j.priority not between f.bottom and f.top)) \
             or (j.state = 1 and (f.due is null or j.run_at < f.due)) \
             or (j.state = 3 and (f.due is null or j.leased_until < f.due)) \
             or (j.state <= 2 and j.expires is not null and (f.due is null or j.expires < f.due)))) limit 10",
    ),
    (
        "the counts of a queue differ from its jobs",
        "select n.queue from (select distinct queue from counts union select distinct queue from jobs) n \
         left join lateral (select * from counts c where c.queue = n.queue order by c.number desc limit 1) l on true \
         cross join lateral (select count(*) filter (where state = 0) ready, count(*) filter (where state = 1) scheduled, \
             count(*) filter (where state = 2) held, count(*) filter (where state = 3) leased, \
             count(*) filter (where state = 4) dead, count(*) filter (where state = 5) done \
             from jobs j where j.queue = n.queue) j \
         where (coalesce(l.ready, 0), coalesce(l.scheduled, 0), coalesce(l.held, 0), coalesce(l.leased, 0), \
             coalesce(l.dead, 0), coalesce(l.done, 0)) \
             is distinct from (j.ready, j.scheduled, j.held, j.leased, j.dead, j.done) limit 10",
    ),
    (
        "jobs with one key wait, and none of them is the first",
        "select distinct j.queue || ' / ' || j.key from jobs j where j.key is not null and j.state = 2 and not exists \
         (select 1 from jobs o where o.queue = j.queue and o.key = j.key and o.key is not null \
             and (o.state in (0, 1, 3) or o.blocks)) limit 10",
    ),
    (
        "two jobs with one key are under way",
        "select j.queue || ' / ' || j.key from jobs j where j.key is not null and (j.state in (0, 1, 3) or j.blocks) \
         group by j.queue, j.key having count(*) > 1 limit 10",
    ),
    (
        "versions of a stream have a gap",
        "select e.stream from events e join streams s on s.stream = e.stream group by e.stream, s.first \
         having max(e.version) - min(e.version) + 1 <> count(*) or min(e.version) <> s.first limit 10",
    ),
    (
        "events belong to a stream that is not known",
        "select distinct e.stream from events e where not exists (select 1 from streams s where s.stream = e.stream) limit 10",
    ),
];

pub(super) async fn check(reader: &Reader) -> Result<Vec<Problem>, Trouble> {
    let mut problems = Vec::new();
    for (what, text) in CHECKS {
        for row in reader.rows(text, &[]).await? {
            let which: String = row.try_get(0)?;
            problems.push(Problem { message: format!("{what}: `{which}`") });
        }
    }
    Ok(problems)
}

const TABLES: [&str; 7] = ["meta", "streams", "events", "jobs", "counts", "cells", "groups"];

const SIZE: &str = "select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind = 'r'";

pub(super) async fn compact(target: &Target, reader: &Reader) -> Result<Compacted, Trouble> {
    let size = || async {
        let found = reader.rows(SIZE, &[&target.schema]).await?;
        found.first().map_or(Ok(0), |row| unsigned(row, 0))
    };
    let bytes_before = size().await?;
    let session = target.open(|_| ()).await?;
    session.client.batch_execute("set statement_timeout = 0").await?;
    for table in TABLES {
        session.client.batch_execute(&format!("vacuum (analyze, truncate) {table}")).await?;
    }
    Ok(Compacted { bytes_before, bytes_after: size().await? })
}

pub(super) async fn stats(target: &Target, reader: &Reader) -> Result<Stats, Trouble> {
    let counts = "select (select count(*) from events), (select count(*) from streams), (select count(*) from cells), \
         (select count(*) from jobs)";
    let found = reader.rows(counts, &[]).await?;
    let size = reader.rows(SIZE, &[&target.schema]).await?;
    let of = |rows: &[Row], at: usize| rows.first().map_or(Ok(0), |row| unsigned(row, at));
    Ok(Stats {
        place: target.place(),
        schema: schema::VERSION,
        bytes: of(&size, 0)?,
        events: of(&found, 0)?,
        streams: of(&found, 1)?,
        cells: of(&found, 2)?,
        jobs: of(&found, 3)?,
    })
}

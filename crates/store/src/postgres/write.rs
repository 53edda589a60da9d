//! Writes what a group decided: a statement for each kind of change, whatever their number, in one round trip.

use renkei_core::{clock::Timestamp, store::JobState};
use tokio_postgres::{Client, Row, Statement, types::ToSql};
use uuid::Uuid;

use super::{
    decide::Writes,
    error::Trouble,
    front::{self, Front},
    load::{JobRow, Params},
    rows::{errors_text, number},
    session::{Link, Work, in_order},
};

const NEW_STREAMS: &str = "insert into streams (stream, first, dropped, dropped_at) select n, 1, 0, 0 from unnest($1::text[]) n on conflict do nothing";
const EVENTS: &str = "insert into events (position, stream, version, id, kind, form, data, meta, at) \
     select n.*, $9 from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::integer[], \
     $7::bytea[], $8::bytea[]) n";
const NEW_JOBS: &str = "insert into jobs (id, place, queue, key, priority, state, run_at, expires, uniq, form, payload, \
     headers, attempts, token, errors, created, changed, blocks) \
     select n.*, 0, 0, '[]', $13, $13, false from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], \
     $5::smallint[], $6::smallint[], $7::bigint[], $8::bigint[], $9::text[], $10::integer[], $11::bytea[], \
     $12::bytea[]) n";
const JOBS: &str = "update jobs j set state = n.state, run_at = n.run_at, attempts = n.attempts, \
     leased_until = n.leased_until, errors = n.errors, dead = n.dead, blocks = n.blocks, keep_until = n.keep_until, \
     expires = n.expires, changed = $11 from unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::integer[], $5::bigint[], $6::text[], \
     $7::smallint[], $8::bool[], $9::bigint[], $10::bigint[]) \
     n(id, state, run_at, attempts, leased_until, errors, dead, blocks, keep_until, expires) where j.id = n.id";
const GONE: &str = "delete from jobs where id = any($1)";
const CELLS: &str = "insert into cells as c (space, key, version, form, value, expires, owner, state, due, changed) \
     select n.*, $10 from unnest($1::text[], $2::text[], $3::bigint[], $4::integer[], $5::bytea[], $6::bigint[], \
     $7::text[], $8::text[], $9::bigint[]) n on conflict (space, key) do update set version = excluded.version, \
     form = excluded.form, value = excluded.value, expires = excluded.expires, owner = excluded.owner, \
     state = excluded.state, due = excluded.due, changed = excluded.changed";
const GONE_CELLS: &str = "delete from cells c using unnest($1::text[], $2::text[]) n(space, key) where c.space = n.space and c.key = n.key";
/// Adds to the newest counts of each queue.
const COUNTS: &str = "insert into counts (queue, number, ready, scheduled, held, leased, dead, done, low, top, bottom, due) \
     select n.queue, nextval('counts_number'), coalesce(l.ready, 0) + n.ready, coalesce(l.scheduled, 0) + n.scheduled, \
     coalesce(l.held, 0) + n.held, coalesce(l.leased, 0) + n.leased, coalesce(l.dead, 0) + n.dead, \
     coalesce(l.done, 0) + n.done, least(case when l.ready > 0 then l.low end, n.low), \
     greatest(case when l.ready > 0 then l.top end, n.top), least(case when l.ready > 0 then l.bottom end, n.bottom), \
     least(l.due, n.due) from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], \
     $6::bigint[], $7::bigint[], $8::bigint[], $9::smallint[], $10::smallint[], $11::bigint[]) \
     n(queue, ready, scheduled, held, leased, dead, done, low, top, bottom, due) left join lateral \
     (select * from counts c where c.queue = n.queue order by c.number desc limit 1) l on true";
/// Where a key has no head any more, the first that waits becomes it.
pub(super) const HEADS: &str = "with next as ( \
         select n.id, n.queue, n.run_at from unnest($1::text[], $2::text[]) t(queue, key) cross join lateral ( \
             select j.id, j.queue, j.run_at from jobs j where j.queue = t.queue and j.key = t.key \
             and j.key is not null and j.state = 2 order by j.place limit 1) n \
         where not exists (select 1 from jobs o where o.queue = t.queue and o.key = t.key and o.key is not null \
             and (o.state in (0, 1, 3) or o.blocks))), \
     moved as (update jobs j set state = case when n.run_at > $3 then 1 else 0 end, changed = $3 \
         from next n where j.id = n.id returning j.queue, j.state, j.place, j.priority, j.run_at), \
     more as (select queue, count(*) filter (where state = 0) ready, count(*) filter (where state = 1) scheduled, \
         count(*) total, min(place) filter (where state = 0) low, max(priority) filter (where state = 0) top, \
         min(priority) filter (where state = 0) bottom, min(run_at) filter (where state = 1) due from moved group by queue), \
     counted as (insert into counts (queue, number, ready, scheduled, held, leased, dead, done, low, top, bottom, due) \
         select m.queue, nextval('counts_number'), l.ready + m.ready, l.scheduled + m.scheduled, l.held - m.total, \
         l.leased, l.dead, l.done, least(case when l.ready > 0 then l.low end, m.low), \
         greatest(case when l.ready > 0 then l.top end, m.top), least(case when l.ready > 0 then l.bottom end, m.bottom), \
         least(l.due, m.due) from more m join lateral \
         (select * from counts c where c.queue = m.queue order by c.number desc limit 1) l on true) \
     select queue from more where ready > 0";
const TRIM: &str = "with cut as (delete from events e using unnest($1::text[], $2::bigint[]) n(stream, first) \
         where e.stream = n.stream and e.version < coalesce(n.first, 9223372036854775807) \
         returning e.stream, e.version, e.position), \
     last as (select stream, max(version) version, max(position) position from cut group by stream), \
     noted as (update streams s set dropped = greatest(s.dropped, l.version), \
         dropped_at = greatest(s.dropped_at, l.position), first = greatest(s.first, l.version + 1) from last l \
         where s.stream = l.stream) \
     update meta set dropped = greatest(dropped, coalesce((select max(position) from cut), 0)) \
         where exists (select 1 from cut)";
const FORGET: &str = "delete from streams where stream = any($1)";

type Param<'p> = Box<dyn ToSql + Sync + Send + 'p>;

/// A statement, and a column for each of its parameters.
type Step<'s> = (&'static str, Vec<Param<'s>>);

/// How a group ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seal<'a> {
    pub(super) node: Uuid,
    pub(super) number: i64,
    /// What other nodes are told.
    pub(super) hint: Option<&'a str>,
}

const MARK: &str = "insert into groups (node, number, at) values ($1, $2, $3)";
const HINT: &str = "select pg_notify($1, $2)";
/// Where nodes of all schemas tell and listen.
pub(super) const CHANNEL: &str = "renkei_store";

/// Sends all that is to be written, and with a seal commits it. Gives the queues in which a job became a head.
pub(super) async fn write(
    link: &mut Link,
    writes: &Writes<'_>,
    now: Timestamp,
    seal: Option<Seal<'_>>,
) -> Result<Vec<String>, Trouble> {
    let mut steps = steps(writes, now);
    if let Some(seal) = seal {
        steps.push((MARK, vec![Box::new(seal.node), Box::new(seal.number), Box::new(now.0)]));
        if let Some(hint) = seal.hint {
            steps.push((HINT, vec![Box::new(CHANNEL), Box::new(hint)]));
        }
    }
    let texts: Vec<&str> = steps.iter().map(|(text, _)| *text).collect();
    let statements = link.prepared(&texts).await?;
    let client = &link.session.client;
    let mut works: Vec<Work<'_, _>> = Vec::with_capacity(steps.len() + 1);
    for (statement, (_, params)) in statements.iter().zip(&steps) {
        works.push(Box::pin(run(client, statement, params)));
    }
    if seal.is_some() {
        // After a failure before it, this rolls back; the failure is what is told.
        works.push(Box::pin(async { client.batch_execute("commit").await.map(|()| Vec::new()) }));
    }
    let results = in_order(works).await;
    let mut woken = Vec::new();
    for (at, result) in results.into_iter().enumerate() {
        let rows = result?;
        if steps.get(at).is_some_and(|(text, _)| *text == HEADS) {
            woken = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        }
    }
    Ok(woken)
}

async fn run(
    client: &Client,
    statement: &Statement,
    params: &[Param<'_>],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let params: Vec<&(dyn ToSql + Sync)> =
        params.iter().map(|param| &**param as &(dyn ToSql + Sync)).collect();
    client.query(statement, &params).await
}

/// Only what there is to do, in the order in which it must happen.
fn steps<'w>(writes: &'w Writes<'_>, now: Timestamp) -> Vec<Step<'w>> {
    let mut steps: Vec<Step<'w>> = Vec::new();
    if !writes.new_streams.is_empty() {
        steps.push((NEW_STREAMS, vec![Box::new(&writes.new_streams)]));
    }
    if !writes.events.is_empty() {
        steps.push((EVENTS, events(writes, now)));
    }
    if !writes.gone.is_empty() {
        let ids: Vec<Uuid> = writes.gone.iter().map(|job| job.0).collect();
        steps.push((GONE, vec![Box::new(ids)]));
    }
    if !writes.jobs.is_empty() {
        steps.push((JOBS, jobs(&writes.jobs, now)));
    }
    if !writes.new_jobs.is_empty() {
        steps.push((NEW_JOBS, new_jobs(writes, now)));
    }
    if !writes.counts.is_empty() {
        steps.push((COUNTS, counts(writes)));
    }
    if !writes.keys.is_empty() {
        let (queues, keys): (Vec<&str>, Vec<&str>) =
            writes.keys.iter().map(|(queue, key)| (&**queue, &**key)).unzip();
        steps.push((HEADS, vec![Box::new(queues), Box::new(keys), Box::new(now.0)]));
    }
    if !writes.cells.is_empty() {
        steps.push((CELLS, cells(writes, now)));
    }
    if !writes.gone_cells.is_empty() {
        let (spaces, keys): (Vec<&str>, Vec<&str>) = writes.gone_cells.iter().copied().unzip();
        steps.push((GONE_CELLS, vec![Box::new(spaces), Box::new(keys)]));
    }
    if !writes.trims.is_empty() {
        let streams: Vec<&str> = writes.trims.iter().map(|trim| trim.stream).collect();
        let first: Vec<Option<i64>> = writes
            .trims
            .iter()
            .map(|trim| trim.first.map(|first| first.min(i64::MAX as u64) as i64))
            .collect();
        steps.push((TRIM, vec![Box::new(streams), Box::new(first)]));
        let forgotten = writes.trims.iter().filter(|trim| trim.first.is_none()).map(|trim| trim.stream);
        steps.push((FORGET, vec![Box::new(forgotten.collect::<Vec<_>>())]));
    }
    steps
}

/// One column of many rows.
fn column<'w, R, V: ToSql + Sync + Send + 'w>(rows: &'w [R], value: impl Fn(&'w R) -> V) -> Param<'w> {
    Box::new(rows.iter().map(value).collect::<Vec<V>>())
}

fn events<'w>(writes: &'w Writes<'_>, now: Timestamp) -> Vec<Param<'w>> {
    let rows = &writes.events;
    vec![
        column(rows, |row| row.position as i64),
        column(rows, |row| row.stream),
        column(rows, |row| row.version as i64),
        column(rows, |row| &*row.event.id),
        column(rows, |row| &*row.event.kind),
        column(rows, |row| i32::from(row.event.data.version)),
        column(rows, |row| &*row.event.data.bytes),
        column(rows, |row| &*row.event.meta),
        Box::new(now.0),
    ]
}

fn new_jobs<'w>(writes: &'w Writes<'_>, now: Timestamp) -> Vec<Param<'w>> {
    let rows = &writes.new_jobs;
    vec![
        column(rows, |row| row.job.id.0),
        column(rows, |row| row.place),
        column(rows, |row| &*row.job.queue),
        column(rows, |row| row.job.key.as_deref()),
        column(rows, |row| row.job.priority),
        column(rows, |row| number(row.state)),
        column(rows, |row| row.run_at.0),
        column(rows, |row| row.expires.map(|at| at.0)),
        column(rows, |row| row.job.unique.as_ref().map(|unique| &*unique.key)),
        column(rows, |row| i32::from(row.job.payload.version)),
        column(rows, |row| &*row.job.payload.bytes),
        column(rows, |row| &*row.job.headers),
        Box::new(now.0),
    ]
}

/// The parameters of [`JOBS`].
fn jobs(rows: &[JobRow], now: Timestamp) -> Vec<Param<'_>> {
    vec![
        column(rows, |row| row.id.0),
        column(rows, |row| number(row.state)),
        column(rows, |row| row.run_at.0),
        column(rows, |row| i32::try_from(row.attempts).unwrap_or(i32::MAX)),
        column(rows, |row| row.leased_until.map(|at| at.0)),
        column(rows, |row| errors_text(&row.errors)),
        column(rows, |row| row.dead),
        column(rows, |row| row.blocks),
        column(rows, |row| row.keep_until.map(|at| at.0)),
        column(rows, |row| row.expires.map(|at| at.0)),
        Box::new(now.0),
    ]
}

fn cells<'w>(writes: &'w Writes<'_>, now: Timestamp) -> Vec<Param<'w>> {
    let rows = &writes.cells;
    let at = |when: Option<renkei_core::store::When>| when.map(|when| when.resolve(now).0);
    vec![
        column(rows, |row| row.space),
        column(rows, |row| row.key),
        column(rows, |row| row.version),
        column(rows, |row| i32::from(row.cell.value.version)),
        column(rows, |row| &*row.cell.value.bytes),
        column(rows, |row| at(row.cell.expires)),
        column(rows, |row| row.cell.owner.as_deref()),
        column(rows, |row| row.cell.state.as_deref()),
        column(rows, |row| at(row.cell.due)),
        Box::new(now.0),
    ]
}

fn counts<'w>(writes: &'w Writes<'_>) -> Vec<Param<'w>> {
    let rows: Vec<(&String, &[i64; 6])> = writes.counts.iter().collect();
    let of = |state: JobState| -> Param<'w> {
        Box::new(rows.iter().map(|(_, counts)| counts[number(state) as usize]).collect::<Vec<_>>())
    };
    let queues: Vec<&str> = rows.iter().map(|(queue, _)| queue.as_str()).collect();
    let fronts = front::of(writes);
    let fronts: Vec<Front> =
        queues.iter().map(|queue| fronts.get(queue).copied().unwrap_or_default()).collect();
    vec![
        Box::new(queues),
        of(JobState::Ready),
        of(JobState::Scheduled),
        of(JobState::Held),
        of(JobState::Leased),
        of(JobState::Dead),
        of(JobState::Done),
        Box::new(fronts.iter().map(|front| front.low).collect::<Vec<_>>()),
        Box::new(fronts.iter().map(|front| front.top).collect::<Vec<_>>()),
        Box::new(fronts.iter().map(|front| front.bottom).collect::<Vec<_>>()),
        Box::new(fronts.iter().map(|front| front.due).collect::<Vec<_>>()),
    ]
}

/// Runs one statement with rows; for the steps of claims and upkeep.
pub(super) async fn ask(link: &mut Link, text: &str, params: Params<'_>) -> Result<Vec<Row>, Trouble> {
    let statements = link.prepared(&[text]).await?;
    let [statement] = &statements[..] else { return Err(Trouble::Corrupt("a statement is missing".into())) };
    Ok(link.session.client.query(statement, params).await?)
}

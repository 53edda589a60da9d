//! What a group has to know before it is decided: one round trip, whatever the number of its batches.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::OptionFuture;
use renkei_core::{
    clock::Timestamp,
    store::{Batch, Check, JobChange, JobError, JobId, JobState, NewEvent},
};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{
    error::Trouble,
    rows::{self, unsigned},
    session::Link,
};

/// What batches name.
#[derive(Debug, Default)]
pub(super) struct Wants<'b> {
    streams: BTreeSet<&'b str>,
    trimmed: BTreeSet<&'b str>,
    events: BTreeSet<(&'b str, &'b str)>,
    jobs: BTreeSet<JobId>,
    uniques: BTreeSet<(&'b str, &'b str)>,
    bounded: BTreeSet<&'b str>,
    cells: BTreeSet<(&'b str, &'b str)>,
    new_jobs: usize,
    new_cells: usize,
}

impl<'b> Wants<'b> {
    /// Notes what a batch names. False, and nothing is noted, if the group has a batch already whose outcome this one has to
    /// know first: then it belongs to the next group.
    pub(super) fn add(&mut self, batch: &'b Batch) -> bool {
        let jobs = || batch.enqueues.iter().map(|job| job.id).chain(batch.jobs.iter().map(JobChange::job));
        let uniques =
            || batch.enqueues.iter().filter_map(|job| Some((&*job.queue, &*job.unique.as_ref()?.key)));
        let held = || {
            batch.checks.iter().filter_map(|check| match check {
                Check::Held(lease) => Some(lease.job),
                _ => None,
            })
        };
        let cells = || {
            let checked = batch.checks.iter().filter_map(|check| match check {
                Check::Cell { space, key, .. } => Some((&**space, &**key)),
                _ => None,
            });
            checked.chain(batch.cells.iter().map(|cell| (&*cell.space, &*cell.key)))
        };
        let streams = || {
            let checked = batch.checks.iter().filter_map(|check| match check {
                Check::Stream { stream, .. } => Some(&**stream),
                _ => None,
            });
            checked.chain(batch.appends.iter().map(|append| &*append.stream))
        };
        let clash = batch.trims.iter().any(|trim| self.streams.contains(&*trim.stream))
            || streams().any(|stream| self.trimmed.contains(stream))
            || jobs().chain(held()).any(|job| self.jobs.contains(&job))
            || uniques().any(|unique| self.uniques.contains(&unique))
            || cells().any(|cell| self.cells.contains(&cell));
        if clash {
            return false;
        }
        self.jobs.extend(jobs().chain(held()));
        self.uniques.extend(uniques());
        self.cells.extend(cells());
        self.streams.extend(streams());
        for append in &batch.appends {
            self.events.extend(append.events.iter().map(|event| (&*append.stream, &*event.id)));
        }
        self.streams.extend(batch.trims.iter().map(|trim| &*trim.stream));
        self.trimmed.extend(batch.trims.iter().map(|trim| &*trim.stream));
        self.bounded
            .extend(batch.enqueues.iter().filter(|job| job.max_length.is_some()).map(|job| &*job.queue));
        self.new_jobs += batch.enqueues.len();
        self.new_cells += batch.cells.iter().filter(|cell| cell.value.is_some()).count();
        true
    }
}

/// A stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) last: u64,
}

/// An event that is there already.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) version: u64,
    kind: String,
    form: i32,
    data: Vec<u8>,
    meta: Vec<u8>,
}

impl Known {
    pub(super) fn is(&self, event: &NewEvent) -> bool {
        self.kind == event.kind
            && self.form == i32::from(event.data.version)
            && self.data == event.data.bytes
            && self.meta == event.meta
    }

    pub(super) fn of(event: &NewEvent, version: u64) -> Self {
        Known {
            version,
            kind: event.kind.clone(),
            form: i32::from(event.data.version),
            data: event.data.bytes.to_vec(),
            meta: event.meta.to_vec(),
        }
    }
}

/// What changes of a job are decided by, and what they change.
#[derive(Clone, Debug)]
pub(super) struct JobRow {
    pub(super) id: JobId,
    pub(super) queue: String,
    pub(super) key: Option<String>,
    pub(super) state: JobState,
    pub(super) token: u64,
    pub(super) attempts: u32,
    pub(super) run_at: Timestamp,
    pub(super) leased_until: Option<Timestamp>,
    pub(super) worker: Option<String>,
    pub(super) errors: Vec<JobError>,
    pub(super) dead: Option<i16>,
    pub(super) blocks: bool,
    pub(super) unique: Option<String>,
    pub(super) expires: Option<Timestamp>,
    /// Another unfinished job that has its unique key.
    pub(super) holder: Option<JobId>,
    pub(super) keep_until: Option<Timestamp>,
    pub(super) place: i64,
    pub(super) priority: i16,
}

/// The columns of a [`JobRow`] but the holder.
pub(super) const JOB_ROW: &str = "j.id, j.queue, j.key, j.state, j.token, j.attempts, j.run_at, j.leased_until, j.worker, \
     j.errors, j.dead, j.blocks, j.uniq, j.expires, j.keep_until, j.place, j.priority";

pub(super) fn job_row(row: &Row) -> Result<JobRow, Trouble> {
    let attempts: i32 = row.try_get(5)?;
    Ok(JobRow {
        id: JobId(row.try_get(0)?),
        queue: row.try_get(1)?,
        key: row.try_get(2)?,
        state: rows::state(row.try_get(3)?)?,
        token: unsigned(row, 4)?,
        attempts: u32::try_from(attempts)
            .map_err(|_| Trouble::Corrupt(format!("the attempts of a job are `{attempts}`")))?,
        run_at: Timestamp(row.try_get(6)?),
        leased_until: row.try_get::<_, Option<i64>>(7)?.map(Timestamp),
        worker: row.try_get(8)?,
        errors: rows::errors(row.try_get(9)?)?,
        dead: row.try_get(10)?,
        blocks: row.try_get(11)?,
        unique: row.try_get(12)?,
        expires: row.try_get::<_, Option<i64>>(13)?.map(Timestamp),
        holder: None,
        keep_until: row.try_get::<_, Option<i64>>(14)?.map(Timestamp),
        place: row.try_get(15)?,
        priority: row.try_get(16)?,
    })
}

/// What is there, and the numbers that were drawn for what is new.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// Those that have, or had, events.
    pub(super) streams: BTreeMap<String, Stream>,
    pub(super) events: BTreeMap<(String, String), Known>,
    pub(super) jobs: BTreeMap<JobId, JobRow>,
    pub(super) uniques: BTreeMap<(String, String), JobId>,
    /// Of queues with a limit.
    pub(super) unfinished: BTreeMap<String, u64>,
    /// Versions of cells that are there and not expired.
    pub(super) cells: BTreeMap<(String, String), u64>,
    pub(super) position: u64,
    pub(super) places: std::vec::IntoIter<i64>,
    pub(super) versions: std::vec::IntoIter<i64>,
}

const STREAMS: &str = "select s.stream, greatest(s.dropped, coalesce((select e.version from events e \
     where e.stream = s.stream order by e.version desc limit 1), 0)) from streams s where s.stream = any($1)";
const EVENTS: &str = "select e.stream, e.id, e.version, e.kind, e.form, e.data, e.meta \
     from unnest($1::text[], $2::text[]) n(stream, id) join events e on e.stream = n.stream and e.id = n.id";
const UNIQUES: &str = "select j.queue, j.uniq, j.id from unnest($1::text[], $2::text[]) n(queue, uniq) \
     join jobs j on j.queue = n.queue and j.uniq = n.uniq and j.uniq is not null and j.state <= 3";
const UNFINISHED: &str = "select n.queue, l.ready + l.scheduled + l.held + l.leased from unnest($1::text[]) n(queue) \
     join lateral (select * from counts c where c.queue = n.queue order by c.number desc limit 1) l on true";
const CELLS: &str = "select c.space, c.key, c.version from unnest($1::text[], $2::text[]) n(space, key) \
     join cells c on c.space = n.space and c.key = n.key where c.expires is null or c.expires > $3";
const POSITION: &str =
    "select greatest((select coalesce(max(position), 0) from events), (select dropped from meta))";
const PLACES: &str = "select nextval('places') from generate_series(1, $1::bigint)";
const VERSIONS: &str = "select nextval('cell_versions') from generate_series(1, $1::bigint)";

fn jobs() -> String {
    format!(
        "select {JOB_ROW}, h.id from jobs j left join jobs h on j.uniq is not null and j.state > 3 \
         and h.queue = j.queue and h.uniq = j.uniq and h.uniq is not null and h.state <= 3 where j.id = any($1)"
    )
}

/// Splits pairs into two arrays.
fn columns<'b>(pairs: &BTreeSet<(&'b str, &'b str)>) -> (Vec<&'b str>, Vec<&'b str>) {
    pairs.iter().copied().unzip()
}

/// Begins the group's transaction behind the lock, and reads.
pub(super) async fn begin(
    link: &mut Link,
    lock: i64,
    wants: &Wants<'_>,
    now: Timestamp,
) -> Result<Loaded, Trouble> {
    let jobs = jobs();
    let ask = link
        .prepared(&[STREAMS, EVENTS, &jobs, UNIQUES, UNFINISHED, CELLS, POSITION, PLACES, VERSIONS, LOCK])
        .await?;
    let [
        streams_q,
        events_q,
        jobs_q,
        uniques_q,
        unfinished_q,
        cells_q,
        position_q,
        places_q,
        versions_q,
        lock_q,
    ] = &ask[..]
    else {
        return Err(Trouble::Corrupt("statements are missing".into()));
    };
    let streams: Vec<&str> = wants.streams.iter().copied().collect();
    let (event_streams, event_ids) = columns(&wants.events);
    let job_ids: Vec<Uuid> = wants.jobs.iter().map(|job| job.0).collect();
    let (unique_queues, unique_keys) = columns(&wants.uniques);
    let bounded: Vec<&str> = wants.bounded.iter().copied().collect();
    let (spaces, keys) = columns(&wants.cells);
    let (new_jobs, new_cells) = (wants.new_jobs as i64, wants.new_cells as i64);
    let client = &link.session.client;
    // Each is sent when it is first looked at, in this order: one round trip for all.
    let when =
        |wanted: bool, query, params| OptionFuture::from(wanted.then(|| rows_of(client, query, params)));
    let lock_params: Params<'_> = &[&lock];
    let p_streams: Params<'_> = &[&streams];
    let p_events: Params<'_> = &[&event_streams, &event_ids];
    let p_jobs: Params<'_> = &[&job_ids];
    let p_uniques: Params<'_> = &[&unique_queues, &unique_keys];
    let p_bounded: Params<'_> = &[&bounded];
    let p_cells: Params<'_> = &[&spaces, &keys, &now.0];
    let p_places: Params<'_> = &[&new_jobs];
    let p_versions: Params<'_> = &[&new_cells];
    let (begun, locked, streams, events, jobs, uniques, unfinished, cells, position, places, versions) = tokio::join!(
        biased;
        client.batch_execute("begin"),
        rows_of(client, lock_q, lock_params),
        when(!streams.is_empty(), streams_q, p_streams),
        when(!event_ids.is_empty(), events_q, p_events),
        when(!job_ids.is_empty(), jobs_q, p_jobs),
        when(!unique_keys.is_empty(), uniques_q, p_uniques),
        when(!bounded.is_empty(), unfinished_q, p_bounded),
        when(!keys.is_empty(), cells_q, p_cells),
        when(!event_ids.is_empty(), position_q, &[]),
        when(new_jobs > 0, places_q, p_places),
        when(new_cells > 0, versions_q, p_versions),
    );
    begun?;
    locked?;
    let position = optional(position)?;
    let mut unfinished = gather(optional(unfinished)?, |row| Ok((row.try_get(0)?, unsigned(row, 1)?)))?;
    for queue in bounded {
        unfinished.entry(queue.to_owned()).or_insert(0);
    }
    Ok(Loaded {
        streams: gather(optional(streams)?, |row| Ok((row.try_get(0)?, Stream { last: unsigned(row, 1)? })))?,
        events: gather(optional(events)?, |row| {
            let known = Known {
                version: unsigned(row, 2)?,
                kind: row.try_get(3)?,
                form: row.try_get(4)?,
                data: row.try_get(5)?,
                meta: row.try_get(6)?,
            };
            Ok(((row.try_get(0)?, row.try_get(1)?), known))
        })?,
        jobs: gather(optional(jobs)?, |row| {
            let holder = row.try_get::<_, Option<Uuid>>(17)?.map(JobId);
            let job = JobRow { holder, ..job_row(row)? };
            Ok((job.id, job))
        })?,
        uniques: gather(optional(uniques)?, |row| {
            Ok(((row.try_get(0)?, row.try_get(1)?), JobId(row.try_get(2)?)))
        })?,
        unfinished,
        cells: gather(optional(cells)?, |row| Ok(((row.try_get(0)?, row.try_get(1)?), unsigned(row, 2)?)))?,
        position: position.first().map_or(Ok(0), |row| unsigned(row, 0))?,
        places: numbers(optional(places)?)?,
        versions: numbers(optional(versions)?)?,
    })
}

const LOCK: &str = "select pg_advisory_xact_lock($1)";

pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

async fn rows_of(
    client: &tokio_postgres::Client,
    statement: &tokio_postgres::Statement,
    params: Params<'_>,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    client.query(statement, params).await
}

fn optional(rows: Option<Result<Vec<Row>, tokio_postgres::Error>>) -> Result<Vec<Row>, Trouble> {
    Ok(rows.transpose()?.unwrap_or_default())
}

fn gather<K: Ord, V>(
    rows: Vec<Row>,
    read: impl Fn(&Row) -> Result<(K, V), Trouble>,
) -> Result<BTreeMap<K, V>, Trouble> {
    rows.iter().map(read).collect()
}

fn numbers(rows: Vec<Row>) -> Result<std::vec::IntoIter<i64>, Trouble> {
    let numbers: Result<Vec<i64>, _> = rows.iter().map(|row| row.try_get(0)).collect();
    Ok(numbers?.into_iter())
}

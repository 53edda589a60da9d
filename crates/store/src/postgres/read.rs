//! Reads: one connection, on which they follow each other without waiting for answers.

use renkei_core::{
    clock::Timestamp,
    store::{
        Cell, CellPage, CellQuery, Claims, Event, Job, JobId, JobPage, JobQuery, JobState, LogPage, LogQuery,
        MAX_PAGE, Position, QueueCounts, ScanBy, StreamInfo, StreamPage, StreamsPage,
    },
};

use super::{
    error::Trouble,
    front::NEWEST,
    rows::{self, CELL, EVENT, JOB, unsigned},
    session::Reader,
};

/// So many rows, and one more that says whether there are more.
fn page(limit: usize) -> (usize, i64) {
    let limit = limit.clamp(1, MAX_PAGE);
    (limit, limit as i64 + 1)
}

const STREAM: &str = "select s.first, greatest(s.dropped, coalesce((select e.version from events e \
     where e.stream = s.stream order by e.version desc limit 1), 0)) from streams s where s.stream = $1";

pub(super) async fn stream(reader: &Reader, stream: &str) -> Result<Option<StreamInfo>, Trouble> {
    let found = reader.rows(STREAM, &[&stream]).await?;
    found
        .first()
        .map(|row| {
            let (first, last) = (unsigned(row, 0)?, unsigned(row, 1)?);
            Ok(StreamInfo { first: first.min(last + 1), last })
        })
        .transpose()
}

pub(super) async fn read_stream(
    reader: &Reader,
    name: &str,
    from: u64,
    limit: usize,
) -> Result<StreamPage, Trouble> {
    let text = format!(
        "select {EVENT} from events e where e.stream = $1 and e.version >= $2 order by e.version limit $3"
    );
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    let limit = limit.clamp(1, MAX_PAGE) as i64;
    let found = reader.rows(&text, &[&name, &from, &limit]).await?;
    let events = found.iter().map(rows::event).collect::<Result<Vec<Event>, _>>()?;
    // After the events: a version that is known has its events read, or has more to read.
    Ok(StreamPage { events, stream: stream(reader, name).await? })
}

pub(super) async fn read_log(reader: &Reader, query: &LogQuery) -> Result<LogPage, Trouble> {
    let (limit, fetched) = page(query.limit);
    let after = i64::try_from(query.after.number()).unwrap_or(i64::MAX);
    let head = "select greatest((select coalesce(max(position), 0) from events), dropped), case when $1 = '' then dropped \
         else (select coalesce(max(s.dropped_at), 0) from streams s where s.stream >= $1 and starts_with(s.stream, $1)) end \
         from meta";
    let head = reader.rows(head, &[&query.prefix]).await?;
    let (last, dropped) = match head.first() {
        Some(row) => (unsigned(row, 0)?, unsigned(row, 1)?),
        None => return Err(Trouble::Gone),
    };
    // Bounded by what was there a moment ago, so that what is passed over is known.
    let until = last as i64;
    let text = format!(
        "select {EVENT} from events e where e.position > $1 and e.position <= $2 and starts_with(e.stream, $3) \
         order by e.position limit $4"
    );
    let found = reader.rows(&text, &[&after, &until, &query.prefix, &fetched]).await?;
    let mut events = found.iter().map(rows::event).collect::<Result<Vec<Event>, _>>()?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next = match events.last() {
        Some(event) if more => event.position,
        _ => Position::from_number(last).max(query.after),
    };
    let gap = (query.after.number() < dropped).then(|| Position::from_number(dropped));
    Ok(LogPage { events, next, more, gap })
}

pub(super) async fn streams(
    reader: &Reader,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<StreamsPage, Trouble> {
    let (limit, fetched) = page(limit);
    let text = "select s.stream, s.first, greatest(s.dropped, coalesce((select e.version from events e \
         where e.stream = s.stream order by e.version desc limit 1), 0)) from streams s \
         where s.stream >= $1 and starts_with(s.stream, $1) and ($2::text is null or s.stream > $2) \
         order by s.stream limit $3";
    let found = reader.rows(text, &[&prefix, &after, &fetched]).await?;
    let mut streams = Vec::with_capacity(found.len());
    for row in &found {
        let (first, last) = (unsigned(row, 1)?, unsigned(row, 2)?);
        streams.push((row.try_get::<_, String>(0)?, StreamInfo { first: first.min(last + 1), last }));
    }
    let more = streams.len() > limit;
    streams.truncate(limit);
    let next = streams.last().filter(|_| more).map(|(name, _)| name.clone());
    Ok(StreamsPage { streams, next })
}

pub(super) async fn job(reader: &Reader, id: JobId) -> Result<Option<Job>, Trouble> {
    let found = reader.rows(&format!("select {JOB} from jobs j where j.id = $1"), &[&id.0]).await?;
    found.first().map(rows::job).transpose()
}

/// Where a page of jobs ends: the values of its order, of which the last is the place.
fn cursor(after: Option<&str>) -> Result<Option<(i64, i64)>, Trouble> {
    let Some(text) = after else { return Ok(None) };
    let parts = text.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    parts.map(Some).ok_or_else(|| Trouble::Corrupt("the page was not given by this store".into()))
}

pub(super) async fn jobs(reader: &Reader, query: &JobQuery) -> Result<JobPage, Trouble> {
    let (limit, fetched) = page(query.limit);
    let state = rows::number(query.state);
    // The order, and what lies behind a pair of its values.
    let (value, order, behind) = match query.state {
        JobState::Ready => (
            "j.priority::bigint",
            "j.priority desc, j.place",
            "(j.priority < $2 or (j.priority = $2 and j.place > $3))",
        ),
        JobState::Scheduled => ("j.run_at", "j.run_at, j.place", "(j.run_at, j.place) > ($2, $3)"),
        JobState::Held => ("j.place", "j.place", "j.place > $3 and $2 is not null"),
        JobState::Leased => {
            ("j.leased_until", "j.leased_until, j.place", "(j.leased_until, j.place) > ($2, $3)")
        }
        JobState::Dead | JobState::Done => {
            ("j.changed", "j.changed desc, j.place desc", "(j.changed, j.place) < ($2, $3)")
        }
    };
    // The state stands in the text, so that the server can use the index of that state alone.
    let text = format!(
        "select {JOB}, {value} from jobs j where j.queue = $1 and j.state = {state} and ($2::bigint is null or {behind}) \
         order by {order} limit $4"
    );
    let (value, place) = cursor(query.after.as_deref())?.unzip();
    let found = reader.rows(&text, &[&query.queue, &value, &place, &fetched]).await?;
    let more = found.len() > limit;
    let kept = &found[..found.len().min(limit)];
    let jobs = kept.iter().map(rows::job).collect::<Result<Vec<Job>, _>>()?;
    let next = match kept.last().filter(|_| more) {
        Some(row) => Some(format!("{}.{}", row.try_get::<_, i64>(21)?, row.try_get::<_, i64>(20)?)),
        None => None,
    };
    Ok(JobPage { jobs, next })
}

/// Walks from queue to queue along the index; of each the newest counts, and of each priority the oldest ready job.
const QUEUES: &str = "with recursive names as ( \
         (select c.queue from counts c order by c.queue limit 1) union all \
         select (select c.queue from counts c where c.queue > n.queue order by c.queue limit 1) from names n \
         where n.queue is not null) \
     select n.queue, l.ready, l.scheduled, l.held, l.leased, l.dead, l.done, ( \
         with recursive levels as ( \
             (select j.priority, j.created from jobs j where j.queue = n.queue and j.state = 0 and j.place >= l.low \
                 order by j.priority desc, j.place limit 1) union all \
             (select f.priority, f.created from levels p cross join lateral ( \
                 select j.priority, j.created from jobs j where j.queue = n.queue and j.state = 0 and j.place >= l.low \
                 and j.priority < p.priority order by j.priority desc, j.place limit 1) f)) \
         select min(created) from levels) \
     from names n join lateral (select * from counts c where c.queue = n.queue order by c.number desc limit 1) l on true \
     where n.queue is not null";

pub(super) async fn queues(reader: &Reader) -> Result<Vec<QueueCounts>, Trouble> {
    let found = reader.rows(QUEUES, &[]).await?;
    let mut queues = Vec::with_capacity(found.len());
    for row in &found {
        let counts = QueueCounts {
            queue: row.try_get(0)?,
            ready: unsigned(row, 1)?,
            scheduled: unsigned(row, 2)?,
            held: unsigned(row, 3)?,
            leased: unsigned(row, 4)?,
            dead: unsigned(row, 5)?,
            done: unsigned(row, 6)?,
            oldest_ready: row.try_get::<_, Option<i64>>(7)?.map(Timestamp),
        };
        if JobState::ALL.into_iter().any(|state| counts.of(state) > 0) {
            queues.push(counts);
        }
    }
    Ok(queues)
}

/// Whether a claim would find anything to do, and when it would if it does not.
fn probe() -> String {
    format!(
        "with {NEWEST} select f.ready > 0 \
             or exists (select 1 from jobs j where f.scheduled > 0 and j.queue = $1 and j.state = 1 and j.run_at >= f.due \
                 and j.run_at <= $2) \
             or exists (select 1 from jobs j where f.leased > 0 and j.queue = $1 and j.state = 3 and j.leased_until >= f.due \
                 and j.leased_until <= $2) \
             or exists (select 1 from jobs j where j.queue = $1 and j.state <= 2 and j.expires is not null \
                 and j.expires >= f.due and j.expires <= $2), \
         case when f.ready > 0 then null else least( \
             (select min(j.leased_until) from jobs j where f.leased > 0 and j.queue = $1 and j.state = 3 \
                 and j.leased_until >= f.due), \
             (select min(j.run_at) from jobs j where f.scheduled > 0 and j.queue = $1 and j.state = 1 and j.run_at >= f.due)) \
         end from f"
    )
}

/// Nothing if there is something to claim or to look after.
pub(super) async fn idle(reader: &Reader, queue: &str, now: Timestamp) -> Result<Option<Claims>, Trouble> {
    let found = reader.rows(&probe(), &[&queue, &now.0]).await?;
    // One that never had a job has no counts.
    let Some(row) = found.first() else { return Ok(Some(Claims::default())) };
    if row.try_get(0)? {
        return Ok(None);
    }
    let next = row.try_get::<_, Option<i64>>(1)?.map(Timestamp);
    Ok(Some(Claims { next, ..Claims::default() }))
}

pub(super) async fn cell(
    reader: &Reader,
    space: &str,
    key: &str,
    now: Timestamp,
) -> Result<Option<Cell>, Trouble> {
    let text = format!(
        "select {CELL} from cells c where c.space = $1 and c.key = $2 and (c.expires is null or c.expires > $3)"
    );
    reader.rows(&text, &[&space, &key, &now.0]).await?.first().map(rows::cell).transpose()
}

pub(super) async fn cells(reader: &Reader, query: &CellQuery, now: Timestamp) -> Result<CellPage, Trouble> {
    let (limit, fetched) = page(query.limit);
    let live = "(c.expires is null or c.expires > $4)";
    let head = format!("select {CELL} from cells c where c.space = $1 and {live} and");
    let by_key = |clause: &str| {
        format!("{head} {clause} and ($3::text is null or c.key > $3) order by c.key limit $5")
    };
    let found = match &query.by {
        ScanBy::Due(at) => {
            let (moment, key) = due_cursor(query.after.as_deref())?.unzip();
            let text = format!(
                "{head} c.due is not null and c.due <= $2 and ($3::bigint is null or (c.due, c.key) > ($3, $6)) \
                 order by c.due, c.key limit $5"
            );
            reader.rows(&text, &[&query.space, &at.0, &moment, &now.0, &fetched, &key]).await?
        }
        ScanBy::Owner(value) | ScanBy::State(value) | ScanBy::Prefix(value) => {
            let text = by_key(match &query.by {
                ScanBy::Owner(_) => "c.owner is not null and c.owner = $2",
                ScanBy::State(_) => "c.state is not null and c.state = $2",
                _ => "c.key >= $2 and starts_with(c.key, $2)",
            });
            reader.rows(&text, &[&query.space, value, &query.after, &now.0, &fetched]).await?
        }
    };
    let mut cells = found.iter().map(rows::cell).collect::<Result<Vec<Cell>, _>>()?;
    let more = cells.len() > limit;
    cells.truncate(limit);
    let next = cells.last().filter(|_| more).map(|cell| match &query.by {
        ScanBy::Due(_) => format!("{}.{}", cell.due.map_or(0, |due| due.0), cell.key),
        _ => cell.key.clone(),
    });
    Ok(CellPage { cells, next })
}

/// Where a page of due cells ends: `MOMENT.KEY`.
fn due_cursor(after: Option<&str>) -> Result<Option<(i64, &str)>, Trouble> {
    let Some(text) = after else { return Ok(None) };
    let parts = text.split_once('.').and_then(|(moment, key)| Some((moment.parse().ok()?, key)));
    parts.map(Some).ok_or_else(|| Trouble::Corrupt("the page was not given by this store".into()))
}

//! Questions, each answered from one snapshot.

use renkei_core::{
    clock::Timestamp,
    store::{
        Cell, CellPage, CellQuery, Event, Job, JobId, JobPage, JobQuery, JobState, LogPage, LogQuery,
        MAX_PAGE, Position, QueueCounts, ScanBy, StreamInfo, StreamPage, StreamsPage,
    },
};
use rusqlite::{Connection, OptionalExtension, Result, ToSql, params};

use super::rows::{self, CELL, EVENT, JOB, unsigned};

/// Positions that one read of the log with a prefix passes over at most.
const LOG_WINDOW: u64 = 10_000;
/// Bytes of records in one page, about; at least one record is in it.
const PAGE_BYTES: usize = 32 * 1024 * 1024;

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn clipped(limit: usize) -> usize {
    limit.clamp(1, MAX_PAGE)
}

/// The number after `limit`: one more row tells whether there is another page.
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1
}

pub(super) fn stream_info(connection: &Connection, name: &str) -> Result<Option<(i64, StreamInfo)>> {
    let mut statement =
        connection.prepare_cached("select stream, last, first from streams where name = ?1")?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get(0)?, StreamInfo { last: unsigned(row.get(1)?), first: unsigned(row.get(2)?) }))
    };
    statement.query_row([name], read).optional()
}

pub(super) fn stream(connection: &Connection, name: &str, from: u64, limit: usize) -> Result<StreamPage> {
    let Some((stream, info)) = stream_info(connection, name)? else {
        return Ok(StreamPage { events: Vec::new(), stream: None });
    };
    let sql =
        format!("select {EVENT} from events where stream = ?1 and version >= ?2 order by version limit ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query([stream, signed(from), signed(clipped(limit) as u64)])?;
    let (mut events, mut bytes): (Vec<Event>, usize) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        let event = rows::event(row, name)?;
        bytes += event.data.bytes.len() + event.meta.len();
        events.push(event);
        if bytes > PAGE_BYTES {
            break;
        }
    }
    Ok(StreamPage { events, stream: Some(info) })
}

pub(super) fn streams(
    connection: &Connection,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<StreamsPage> {
    let limit = clipped(limit);
    let mut statement = connection.prepare_cached(
        "select name, last, first from streams where name >= ?1 and name > ?2 order by name limit ?3",
    )?;
    let mut rows = statement.query(params![prefix, after.unwrap_or_default(), one_more(limit)])?;
    let mut streams = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if !name.starts_with(prefix) {
            break;
        }
        streams.push((name, StreamInfo { last: unsigned(row.get(1)?), first: unsigned(row.get(2)?) }));
    }
    let more = streams.len() > limit;
    streams.truncate(limit);
    let next = streams.last().filter(|_| more).map(|(name, _)| name.clone());
    Ok(StreamsPage { streams, next })
}

pub(super) fn log(connection: &Connection, query: &LogQuery) -> Result<LogPage> {
    let after = query.after.number();
    let head: i64 = connection.query_row("select position from counters", [], |row| row.get(0))?;
    let head = unsigned(head);
    let window = if query.prefix.is_empty() { u64::MAX } else { after.saturating_add(LOG_WINDOW) };
    let to = head.min(window);
    let limit = clipped(query.limit);
    let sql = format!(
        "select {EVENT}, name from events join streams using (stream) where position > ?1 and position <= ?2 \
         and substr(name, 1, length(?3)) = ?3 order by position limit ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(params![signed(after), signed(to), query.prefix, one_more(limit)])?;
    let (mut events, mut bytes, mut full): (Vec<Event>, usize, bool) = (Vec::new(), 0, false);
    while let Some(row) = found.next()? {
        full = events.len() == limit || bytes > PAGE_BYTES;
        if full {
            break;
        }
        let name: String = row.get(8)?;
        let event = rows::event(row, &name)?;
        bytes += event.data.bytes.len() + event.meta.len();
        events.push(event);
    }
    let last = events.last().map(|event| event.position.number());
    let next = if full { last.unwrap_or(after) } else { to.max(after) };
    let gap = dropped(connection, &query.prefix)?.filter(|dropped| *dropped > after);
    Ok(LogPage {
        events,
        next: Position::from_number(next),
        more: next < head,
        gap: gap.map(Position::from_number),
    })
}

/// The last position that retention has dropped from streams whose names may begin so.
fn dropped(connection: &Connection, prefix: &str) -> Result<Option<u64>> {
    let mut statement = connection.prepare_cached(
        "select max(position) from dropped where substr(prefix, 1, length(?1)) = ?1 or substr(?1, 1, length(prefix)) = prefix",
    )?;
    let last: Option<i64> = statement.query_row([prefix], |row| row.get(0))?;
    Ok(last.map(unsigned))
}

pub(super) fn job(connection: &Connection, id: JobId) -> Result<Option<Job>> {
    let sql = format!("select name, {JOB} from jobs join queues using (queue) where id = ?1");
    connection.prepare_cached(&sql)?.query_row([id.0.as_bytes()], rows::job).optional()
}

pub(super) fn jobs(connection: &Connection, query: &JobQuery) -> Result<JobPage> {
    // Each order is that of the index of the state, with the row's number where it leaves a choice.
    let (order, place, beyond) = match query.state {
        JobState::Ready => ("priority desc, seq", "-priority", "(-priority, seq) > (?3, ?4)"),
        JobState::Scheduled => ("run_at, seq", "run_at", "(run_at, seq) > (?3, ?4)"),
        JobState::Held => ("seq", "0", "(0, seq) > (?3, ?4)"),
        JobState::Leased => ("seq", "0", "(0, seq) > (?3, ?4)"),
        JobState::Dead | JobState::Done => {
            ("changed desc, seq desc", "-changed", "(-changed, -seq) > (?3, -?4)")
        }
    };
    let after = query.after.as_deref().map(cursor).transpose()?;
    let mut statement = connection.prepare_cached("select queue from queues where name = ?1")?;
    let queue: Option<i64> = statement.query_row([&query.queue], |row| row.get(0)).optional()?;
    let Some(queue) = queue else { return Ok(JobPage { jobs: Vec::new(), next: None }) };
    let state = rows::number(query.state);
    let beyond = if after.is_some() { beyond } else { "?3 = ?4" };
    let sql = format!(
        "select ?2, {JOB}, {place}, seq from jobs where queue = ?1 and state = {state} and {beyond} order by {order} limit ?5"
    );
    let (first, second) = after.unwrap_or((0, 0));
    let limit = clipped(query.limit);
    let values: [&dyn ToSql; 5] = [&queue, &query.queue, &first, &second, &one_more(limit)];
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(values)?;
    let (mut jobs, mut next, mut last, mut bytes) = (Vec::new(), None, String::new(), 0);
    while let Some(row) = found.next()? {
        if jobs.len() == limit || bytes > PAGE_BYTES {
            next = Some(last);
            break;
        }
        let job = rows::job(row)?;
        bytes += job.payload.bytes.len() + job.headers.len();
        jobs.push(job);
        last = format!("{}.{}", row.get::<_, i64>(20)?, row.get::<_, i64>(21)?);
    }
    Ok(JobPage { jobs, next })
}

/// Two numbers of a page's end.
fn cursor(text: &str) -> Result<(i64, i64)> {
    let parts =
        text.split_once('.').and_then(|(first, second)| Some((first.parse().ok()?, second.parse().ok()?)));
    parts.ok_or_else(|| {
        rusqlite::Error::InvalidParameterName("the cursor is not one that this store gave".to_owned())
    })
}

pub(super) fn queues(connection: &Connection) -> Result<Vec<QueueCounts>> {
    let mut statement = connection.prepare_cached(
        "select name, ready, scheduled, held, leased, dead, done, queue from queues \
         where ready + scheduled + held + leased + dead + done > 0 order by name",
    )?;
    let mut rows = statement.query([])?;
    let mut queues = Vec::new();
    while let Some(row) = rows.next()? {
        let count = |column| row.get(column).map(unsigned);
        queues.push(QueueCounts {
            queue: row.get(0)?,
            ready: count(1)?,
            scheduled: count(2)?,
            held: count(3)?,
            leased: count(4)?,
            dead: count(5)?,
            done: count(6)?,
            oldest_ready: oldest(connection, row.get(7)?)?,
        });
    }
    Ok(queues)
}

/// The index has the oldest of each priority first: one step for each priority in use.
fn oldest(connection: &Connection, queue: i64) -> Result<Option<Timestamp>> {
    let mut statement = connection.prepare_cached(
        "select priority, created from jobs where queue = ?1 and state = 0 and priority < ?2 \
         order by priority desc, seq limit 1",
    )?;
    let (mut below, mut oldest) = (i64::MAX, None);
    while let Some((priority, created)) = statement
        .query_row([queue, below], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .optional()?
    {
        below = priority;
        oldest = oldest.into_iter().chain([created]).min();
    }
    Ok(oldest.map(Timestamp))
}

pub(super) fn cell(connection: &Connection, space: &str, key: &str, now: Timestamp) -> Result<Option<Cell>> {
    let sql = format!(
        "select {CELL} from cells where space = ?1 and key = ?2 and (expires is null or expires > ?3)"
    );
    connection.prepare_cached(&sql)?.query_row(params![space, key, now.0], rows::cell).optional()
}

pub(super) fn cells(connection: &Connection, query: &CellQuery, now: Timestamp) -> Result<CellPage> {
    let after = query.after.clone().unwrap_or_default();
    let (due, key) = match (&query.by, after.split_once('.')) {
        (ScanBy::Due(_), Some((due, key))) => (due.parse().unwrap_or(i64::MIN), key.to_owned()),
        (ScanBy::Due(_), None) => (i64::MIN, String::new()),
        _ => (0, after),
    };
    let (place, order) = match &query.by {
        ScanBy::Prefix(_) => ("key >= ?4 and key > ?5 and ?6 = ?6", "key"),
        ScanBy::Owner(_) => ("owner = ?4 and key > ?5 and ?6 = ?6", "key"),
        ScanBy::State(_) => ("state = ?4 and key > ?5 and ?6 = ?6", "key"),
        ScanBy::Due(_) => ("due <= ?4 and (due, key) > (?6, ?5)", "due, key"),
    };
    let by: &dyn ToSql = match &query.by {
        ScanBy::Prefix(text) | ScanBy::Owner(text) | ScanBy::State(text) => text,
        ScanBy::Due(moment) => &moment.0,
    };
    let sql = format!(
        "select {CELL} from cells where space = ?1 and (expires is null or expires > ?2) and {place} order by {order} limit ?3"
    );
    let limit = clipped(query.limit);
    let values: [&dyn ToSql; 6] = [&query.space, &now.0, &one_more(limit), by, &key, &due];
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(values)?;
    let (mut cells, mut more, mut bytes): (Vec<Cell>, bool, usize) = (Vec::new(), false, 0);
    while let Some(row) = found.next()? {
        let cell = rows::cell(row)?;
        if matches!(&query.by, ScanBy::Prefix(prefix) if !cell.key.starts_with(prefix.as_str())) {
            break;
        }
        more = cells.len() == limit || bytes > PAGE_BYTES;
        if more {
            break;
        }
        bytes += cell.value.bytes.len();
        cells.push(cell);
    }
    let next = cells.last().filter(|_| more).map(|cell| match (&query.by, cell.due) {
        (ScanBy::Due(_), Some(due)) => format!("{}.{}", due.0, cell.key),
        _ => cell.key.clone(),
    });
    Ok(CellPage { cells, next })
}

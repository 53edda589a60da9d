//! Housekeeping: what is of no more use goes, copies are made, room is given back.

use std::{
    fs::{self, File},
    path::Path,
};

use renkei_core::{
    Applied, Error, Result,
    clock::Timestamp,
    store::{Backup, JobState, MAX_BATCH_ITEMS, Pruned, Retention, Stats},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    error::{Doing, Trouble},
    group::Group,
    migrations::VERSION,
    open::{self, Options},
    rows::{self, unsigned},
};

/// Cells, jobs and streams, each, of which one step takes care.
const STEP: u32 = 500;
/// Events of one stream that one step drops.
const STEP_EVENTS: i64 = 1_000;
/// Pages that one step gives back.
const STEP_PAGES: u32 = 1_000;

/// The events of a stream that are too old: up to this version and position.
#[derive(Clone, Debug)]
pub(super) struct Old {
    prefix: String,
    stream: i64,
    version: i64,
    position: i64,
}

/// Looks for old events beside the writer: there may be many streams, and few of them have any.
pub(super) fn old_events(
    connection: &Connection,
    rules: &Retention,
    now: Timestamp,
) -> rusqlite::Result<Vec<Old>> {
    let mut old = Vec::new();
    for (prefix, age) in &rules.log {
        let before = now.before(*age);
        let mut statement = connection.prepare_cached(
            "select stream from streams where name >= ?1 and substr(name, 1, length(?1)) = ?1 and first <= last",
        )?;
        let mut rows = statement.query([prefix])?;
        while let Some(row) = rows.next()? {
            old.extend(old_of(connection, prefix, row.get(0)?, before)?);
            if old.len() >= STEP as usize {
                return Ok(old);
            }
        }
    }
    Ok(old)
}

/// Only events before the first younger one go: what is kept has no holes, even where a clock was set back.
fn old_of(
    connection: &Connection,
    prefix: &str,
    stream: i64,
    before: Timestamp,
) -> rusqlite::Result<Option<Old>> {
    let mut statement = connection.prepare_cached(
        "select version, position, at from events where stream = ?1 order by version limit ?2",
    )?;
    let mut rows = statement.query([stream, STEP_EVENTS])?;
    let mut old = None;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(2)? > before.0 {
            break;
        }
        old = Some(Old { prefix: prefix.to_owned(), stream, version: row.get(0)?, position: row.get(1)? });
    }
    Ok(old)
}

pub(super) fn prune(
    connection: &mut Connection,
    rules: &Retention,
    old: &[Old],
    now: Timestamp,
    options: &Options,
) -> Result<Pruned> {
    transaction(connection, now, options, |group| {
        let cells = group
            .connection
            .prepare_cached(
                "delete from cells where rowid in (select rowid from cells where expires <= ?1 limit ?2)",
            )?
            .execute(params![now.0, STEP])?;
        let done = seqs(group.connection, "state = 5 and keep_until <= ?1", now.0)?;
        let mut jobs = done.len();
        let step = STEP as usize;
        let mut more = cells == step || done.len() == step || old.len() >= step;
        remove(group, &done)?;
        if let Some(age) = rules.dead {
            let dead = seqs(group.connection, "state = 4 and changed <= ?1", now.before(age).0)?;
            remove(group, &dead)?;
            jobs += dead.len();
            more |= dead.len() == step;
        }
        let events =
            old.iter().map(|old| drop_old(group.connection, old)).sum::<rusqlite::Result<usize>>()?;
        group.drop_empty_queues()?;
        let more = more || events as i64 >= STEP_EVENTS;
        Ok(Pruned { cells: cells as u64, jobs: jobs as u64, events: events as u64, more })
    })
}

fn drop_old(connection: &Connection, old: &Old) -> rusqlite::Result<usize> {
    let dropped = connection
        .prepare_cached("delete from events where stream = ?1 and version <= ?2")?
        .execute([old.stream, old.version])?;
    connection
        .prepare_cached("update streams set first = max(first, ?2) where stream = ?1")?
        .execute([old.stream, old.version + 1])?;
    connection
        .prepare_cached(
            "insert into dropped (prefix, position) values (?1, ?2) \
             on conflict (prefix) do update set position = max(position, ?2)",
        )?
        .execute(params![old.prefix, old.position])?;
    Ok(dropped)
}

pub(super) fn purge(
    connection: &mut Connection,
    queue: &str,
    states: &[JobState],
    limit: usize,
    now: Timestamp,
    options: &Options,
) -> Result<u64> {
    transaction(connection, now, options, |group| {
        let Some(queue) = group.queue(queue)? else { return Ok(0) };
        let limit = limit.min(MAX_BATCH_ITEMS);
        let mut gone = 0;
        for state in states {
            let mut statement = group.connection.prepare_cached(&format!(
                "select seq from jobs where queue = ?1 and state = {} limit ?2",
                rows::number(*state)
            ))?;
            // A head that goes makes the next of its key the head, perhaps in a state that is purged, too.
            loop {
                let found = statement.query_map([queue, left(limit, gone)], |row| row.get(0))?;
                let found: Vec<i64> = found.collect::<rusqlite::Result<_>>()?;
                if found.is_empty() {
                    break;
                }
                remove(group, &found)?;
                gone += found.len();
            }
        }
        Ok(gone as u64)
    })
}

fn left(limit: usize, gone: usize) -> i64 {
    i64::try_from(limit.saturating_sub(gone)).unwrap_or(i64::MAX)
}

fn seqs(connection: &Connection, place: &str, moment: i64) -> rusqlite::Result<Vec<i64>> {
    let mut statement =
        connection.prepare_cached(&format!("select seq from jobs where {place} limit {STEP}"))?;
    statement.query_map([moment], |row| row.get(0))?.collect()
}

fn remove(group: &mut Group<'_>, seqs: &[i64]) -> rusqlite::Result<()> {
    for seq in seqs {
        let row = group.job_row_at(*seq)?;
        group.remove(&row)?;
    }
    Ok(())
}

fn transaction<T>(
    connection: &mut Connection,
    now: Timestamp,
    options: &Options,
    work: impl FnOnce(&mut Group<'_>) -> rusqlite::Result<T>,
) -> Result<T> {
    let mut doing = Doing::Write;
    let done = (|| {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut group = Group::begin(&transaction, now)?;
        let value = work(&mut group)?;
        group.end()?;
        doing = Doing::Commit;
        transaction.commit()?;
        Ok(value)
    })();
    done.map_err(|why| Trouble { path: &options.path, doing }.error(&why))
}

/// Copies by `VACUUM INTO`, which reads one moment while others write. It has its place only when it is whole and synced.
pub(super) fn backup(to: &Path, options: &Options) -> Result<Backup> {
    let refuse = |why: &str| Error::invalid(format!("back up to `{}`: {why}", to.display()));
    if to.symlink_metadata().is_ok() {
        return Err(refuse("it exists; name a new file"));
    }
    let mut name = to.file_name().ok_or_else(|| refuse("it is no file name"))?.to_owned();
    name.push(".partial");
    let partial = to.with_file_name(name);
    let at = options.clock.now();
    let written = copy(&partial, options).and_then(|bytes| {
        // A link fails where a file has appeared meanwhile; a rename would replace it.
        fs::hard_link(&partial, to).map_err(|why| refuse("the copy cannot be put there").detail(why))?;
        sync_folder(to).map_err(|why| refuse("the folder cannot be synced").detail(why))?;
        Ok(Backup { bytes, at })
    });
    // Made above, or not there; in both cases of no more use.
    let _ = fs::remove_file(&partial);
    written
}

fn copy(partial: &Path, options: &Options) -> Result<u64> {
    let trouble = |why: &dyn std::fmt::Display| {
        let text = format!(
            "back up to `{}`: the copy cannot be written; check the folder and its room",
            partial.display()
        );
        Error::unavailable(text).detail(why).applied(Applied::No)
    };
    let _ = fs::remove_file(partial);
    let path = partial.to_str().ok_or_else(|| Error::invalid("back up: the path is not Unicode"))?;
    let connection = open::reader(options)
        .map_err(|why| Trouble { path: &options.path, doing: Doing::Read }.error(&why))?;
    connection.execute("vacuum into ?1", [path]).map_err(|why| trouble(&why))?;
    let file = File::open(partial).map_err(|why| trouble(&why))?;
    file.sync_all().map_err(|why| trouble(&why))?;
    Ok(file.metadata().map_err(|why| trouble(&why))?.len())
}

fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Gives some free pages back; whether there are more.
pub(super) fn compact(connection: &mut Connection, options: &Options) -> Result<bool> {
    let done = (|| {
        let mut statement = connection.prepare(&format!("pragma incremental_vacuum({STEP_PAGES})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        drop(rows);
        drop(statement);
        let free: i64 = connection.query_row("pragma freelist_count", [], |row| row.get(0))?;
        if free == 0 {
            connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))?;
        }
        Ok(free > 0)
    })();
    done.map_err(|why: rusqlite::Error| Trouble { path: &options.path, doing: Doing::Write }.error(&why))
}

/// The file and the log beside it.
pub(super) fn bytes(path: &Path) -> u64 {
    let mut beside = path.as_os_str().to_owned();
    beside.push("-wal");
    let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
    size(path) + size(Path::new(&beside))
}

pub(super) fn stats(connection: &Connection, path: &Path) -> rusqlite::Result<Stats> {
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(unsigned);
    let jobs = "select coalesce(sum(ready + scheduled + held + leased + dead + done), 0) from queues";
    Ok(Stats {
        place: format!("sqlite:{}", path.display()),
        schema: connection
            .query_row("pragma user_version", [], |row| row.get(0))
            .optional()?
            .unwrap_or(VERSION),
        bytes: bytes(path),
        events: count("select count(*) from events")?,
        streams: count("select count(*) from streams")?,
        cells: count("select count(*) from cells")?,
        jobs: count(jobs)?,
    })
}

//! Is everything as it must be? First the file, as SQLite sees it, then what must hold between our rows.

use renkei_core::store::Problem;
use rusqlite::{Connection, Result};

/// Problems that are told at most.
const TOLD: usize = 100;

/// What must give no row: the sentence, with the row's text in the place of `{}`.
const RULES: &[(&str, &str)] = &[
    (
        "the queue `{}` counts other numbers of jobs than there are",
        "select name from queues where (ready, scheduled, held, leased, dead, done) <> (
            select coalesce(sum(state = 0), 0), coalesce(sum(state = 1), 0), coalesce(sum(state = 2), 0),
                coalesce(sum(state = 3), 0), coalesce(sum(state = 4), 0), coalesce(sum(state = 5), 0)
            from jobs where jobs.queue = queues.queue)",
    ),
    (
        "the job `{}` waits for another one with its key, and there is none",
        "select hex(id) from jobs as held where state = 2 and not exists (
            select 1 from jobs as head where head.queue = held.queue and head.key = held.key and head.holds = 1)",
    ),
    (
        "the job `{}` has a key and should hold it",
        "select hex(id) from jobs where key is not null and state in (0, 1, 3) and holds = 0",
    ),
    (
        "the job `{}` holds a key though it has none, waits or is done",
        "select hex(id) from jobs where holds = 1 and (key is null or state in (2, 5))",
    ),
    (
        "the job `{}` has lost its payload",
        "select hex(id) from jobs where payload is null and not exists (select 1 from payloads where payloads.seq = jobs.seq)",
    ),
    (
        "the payload {} belongs to no job",
        "select seq from payloads where not exists (select 1 from jobs where jobs.seq = payloads.seq)",
    ),
    ("the job `{}` is in a queue that is not there", "select hex(id) from jobs where queue not in (select queue from queues)"),
    (
        "the stream `{}` does not have the events that it counts",
        "select name from streams where last - first + 1 <> (select count(*) from events where events.stream = streams.stream)
            or last <> coalesce((select max(version) from events where events.stream = streams.stream), last)",
    ),
    ("the event at {} belongs to no stream", "select position from events where stream not in (select stream from streams)"),
    (
        "the event at {} is further than the counter of positions",
        "select position from events where position > (select position from counters)",
    ),
];

pub(super) fn problems(connection: &Connection) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let mut told = |sql: &str, say: &dyn Fn(&str) -> Option<String>| -> Result<()> {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while problems.len() < TOLD
            && let Some(row) = rows.next()?
        {
            let text = match row.get_ref(0)? {
                rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                other => String::from_utf8_lossy(other.as_bytes().unwrap_or_default()).into_owned(),
            };
            problems.extend(say(&text).map(|message| Problem { message }));
        }
        Ok(())
    };
    told("pragma integrity_check", &|text| (text != "ok").then(|| format!("the file is damaged: {text}")))?;
    for (sentence, sql) in RULES {
        told(sql, &|text| Some(sentence.replace("{}", text)))?;
    }
    Ok(problems)
}

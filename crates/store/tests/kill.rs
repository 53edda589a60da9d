//! A process that commits is killed with SIGKILL, again and again, at moments drawn from a seed: what it was told is done is there,
//! and nothing is there by half.
//!
//! This program is both: the test, and with `child` as its first argument the process that is killed. So it has no
//! harness of the standard library, and speaks the little that test runners need: `--list`, and a name.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "whatever fails here fails the test")]

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use renkei_core::store::{
    Append, Batch, CellExpected, Claim, Expected, Job, JobChange, JobId, JobState, Maintain, NewCell,
    NewEvent, NewJob, Record, Store,
};
use renkei_store::sqlite::{Options, SqliteStore};
use uuid::Uuid;

const NAME: &str = "what_was_acknowledged_survives_sigkill";
const ROUNDS: u64 = 20;
const PRODUCERS: u64 = 6;
/// Acknowledgements of one round, at most.
const MOST: u64 = 120;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let [child, path, round] = &arguments[..]
        && child == "child"
    {
        runtime().block_on(child_process(path, round.parse().unwrap()));
    } else if arguments.iter().any(|argument| argument == "--list") {
        if !arguments.iter().any(|argument| argument == "--ignored") {
            println!("{NAME}: test");
        }
    } else {
        let rounds = arguments.iter().find_map(|argument| argument.strip_prefix("rounds=")?.parse().ok());
        runtime().block_on(parent(rounds.unwrap_or(ROUNDS)));
        println!("test {NAME} ... ok");
    }
}

/// The number of a job, from which all names of its batch are made.
fn id(round: u64, producer: u64, number: u64) -> JobId {
    JobId(Uuid::from_u128(u128::from(round) << 64 | u128::from(producer) << 32 | u128::from(number)))
}

fn event(stream: &str, name: String) -> Append {
    let event =
        NewEvent { id: name, kind: "thing_done".into(), data: Record::new(1, "{}"), meta: Vec::new().into() };
    Append { stream: stream.into(), expected: Expected::Any, events: vec![event] }
}

/// Commits until it is killed, and says what was acknowledged, line by line, after it was.
async fn child_process(path: &str, round: u64) {
    let store = Arc::new(SqliteStore::open(Options::new(path)).await.unwrap());
    let tasks: Vec<_> = (0..PRODUCERS)
        .map(|producer| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in 0..1_000_000 {
                    produce(&store, id(round, producer, number)).await;
                    if number % 3 == 2 {
                        consume(&store).await;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn acknowledged(what: &str, id: JobId) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what} {id}").unwrap();
    out.flush().unwrap();
}

async fn produce(store: &SqliteStore, id: JobId) {
    let job = NewJob {
        key: Some(format!("k{}", id.0.as_u128() % 5)),
        ..NewJob::new(id, "work", Record::new(1, vec![b'x'; 3_000]))
    };
    let batch = Batch::new().append(event("made", id.to_string())).enqueue(job).set(
        "made",
        id.to_string(),
        CellExpected::Absent,
        NewCell::default(),
    );
    store.commit(batch).await.unwrap().into_result().unwrap();
    acknowledged("made", id);
}

async fn consume(store: &SqliteStore) {
    let lease_for = Duration::from_millis(5);
    let claims =
        store.claim(Claim { queue: "work".into(), max: 2, lease_for, worker: "child".into() }).await.unwrap();
    for job in claims.jobs {
        let batch = Batch::new()
            .job(JobChange::Finish { lease: job.lease(), keep_until: None })
            .append(event("finished", job.id.to_string()))
            .delete("made", job.id.to_string(), CellExpected::Any);
        // Another one may have taken the job: the lease is short.
        if store.commit(batch).await.unwrap().into_result().is_ok() {
            acknowledged("finished", job.id);
        }
    }
}

async fn parent(rounds: u64) {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("renkei.db");
    let (mut made, mut finished) = (BTreeSet::new(), BTreeSet::new());
    let mut seed = 0x5eed_0001_u64;
    for round in 0..rounds {
        // Xorshift: the same moments every time, as far as acknowledgements tell moments.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        for line in killed_after(&path, round, seed % MOST) {
            let (what, id) = line.split_once(' ').unwrap();
            let id = JobId(id.parse().unwrap());
            assert!(
                if what == "made" { made.insert(id) } else { finished.insert(id) },
                "{line} was acknowledged twice"
            );
        }
        let store = SqliteStore::open(Options::new(&path)).await.unwrap();
        verify(&store, &made, &finished).await;
        store.close().await;
    }
    println!("{rounds} kills, {} made, {} finished", made.len(), finished.len());
    assert!(made.len() as u64 > rounds && !finished.is_empty());
}

/// The whole lines that the child wrote; it is killed after so many.
fn killed_after(path: &Path, round: u64, lines: u64) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("child").arg(path).arg(round.to_string()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut all = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            break;
        }
        // The last line may be torn: then it is no acknowledgement.
        all.extend(line.strip_suffix('\n').map(str::to_owned));
        if all.len() as u64 == lines + 1 {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "it was killed, it did not end");
    all
}

async fn verify(store: &SqliteStore, made: &BTreeSet<JobId>, finished: &BTreeSet<JobId>) {
    assert_eq!(store.check().await.unwrap(), []);
    let (events_made, events_finished) = (stream(store, "made").await, stream(store, "finished").await);
    assert!(made.is_subset(&events_made), "acknowledged and lost");
    assert!(finished.is_subset(&events_finished), "acknowledged and lost");
    // What was not acknowledged may have happened, but whole.
    let mut cells = BTreeSet::new();
    let mut after = None;
    loop {
        let by = renkei_core::store::ScanBy::Prefix(String::new());
        let page = store
            .cells(renkei_core::store::CellQuery { space: "made".into(), by, after, limit: 1_000 })
            .await
            .unwrap();
        cells.extend(page.cells.into_iter().map(|cell| JobId(cell.key.parse().unwrap())));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let open: BTreeSet<JobId> = events_made.difference(&events_finished).copied().collect();
    assert_eq!(cells, open, "cells are those of what is made and not finished");
    assert_eq!(jobs(store).await, open, "jobs are those of what is made and not finished");
}

async fn stream(store: &SqliteStore, name: &str) -> BTreeSet<JobId> {
    let (mut ids, mut from) = (BTreeSet::new(), 1);
    loop {
        let page = store.read_stream(name, from, 1_000).await.unwrap();
        if page.events.is_empty() {
            return ids;
        }
        for event in page.events {
            assert_eq!(event.version, from, "versions have no gap");
            from += 1;
            assert!(ids.insert(JobId(event.id.parse().unwrap())));
        }
    }
}

async fn jobs(store: &SqliteStore) -> BTreeSet<JobId> {
    let mut ids = BTreeSet::new();
    for state in JobState::ALL {
        let mut after = None;
        loop {
            let query = renkei_core::store::JobQuery { queue: "work".into(), state, after, limit: 1_000 };
            let page = store.jobs(query).await.unwrap();
            let whole = |job: &Job| job.payload.bytes.len() == 3_000;
            assert!(page.jobs.iter().all(|job| whole(job) && ids.insert(job.id)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    ids
}

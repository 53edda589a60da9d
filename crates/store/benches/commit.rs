//! How many messages a second go through the store, durable at each step, beside one `fsync` a message.
//!
//! `cargo bench -p renkei-store`; each line takes some seconds, with `-- --short` less than one. What is compared has the same
//! durability and the same disk, and runs in the same minute. The medians of several turns are told.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that fails stops, and tells what it measured"
)]

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use renkei_core::store::{Batch, Claim, JobChange, JobId, NewJob, Record, Store};
use renkei_store::sqlite::{Options, SqliteStore};

const PAYLOAD: usize = 200;

/// How long to measure.
#[derive(Clone, Copy)]
struct Plan {
    turns: usize,
    turn: Duration,
    /// So many messages wait when claims are measured.
    waiting: [u64; 2],
}

const FULL: Plan = Plan { turns: 5, turn: Duration::from_secs(1), waiting: [1_000, 1_000_000] };
/// Enough to see that it works, and the order of magnitude.
const SHORT: Plan = Plan { turns: 3, turn: Duration::from_millis(100), waiting: [1_000, 10_000] };

fn main() {
    let plan = if std::env::args().any(|word| word == "--short") { SHORT } else { FULL };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(bench(plan));
}

async fn bench(plan: Plan) {
    let folder = tempfile::TempDir::new_in(".").unwrap();
    let alone = median((0..plan.turns).map(|_| one_fsync_each(folder.path(), plan.turn)));
    println!("one fsync a message                     {alone:>9.0}/s      1.0");
    for producers in [1, 16, 64] {
        let mut rates = Vec::new();
        let mut waits = Vec::new();
        for turn in 0..plan.turns {
            let (rate, wait) =
                enqueues(&folder.path().join(format!("e{producers}-{turn}.db")), producers, plan.turn).await;
            rates.push(rate);
            waits.extend(wait);
        }
        tell(&format!("enqueue, {producers} producers"), median(rates), alone, &mut waits);
    }
    for producers in [1, 16, 64] {
        let mut rates = Vec::new();
        for turn in 0..plan.turns {
            rates.push(
                through(&folder.path().join(format!("t{producers}-{turn}.db")), producers, plan.turn).await,
            );
        }
        tell(&format!("enqueue to done, {producers} producers"), median(rates), alone, &mut Vec::new());
    }
    for waiting in plan.waiting {
        claims(&folder.path().join(format!("c{waiting}.db")), waiting).await;
    }
}

fn tell(what: &str, rate: f64, alone: f64, waits: &mut [Duration]) {
    waits.sort_unstable();
    let at = |share: usize| {
        waits.get(waits.len() * share / 100).map_or(String::new(), |wait| format!("{wait:>10.1?}"))
    };
    println!("{what:<38}  {rate:>9.0}/s  {:>7.1}  {} {}", rate / alone, at(50), at(99));
}

fn median(rates: impl IntoIterator<Item = f64>) -> f64 {
    let mut rates: Vec<f64> = rates.into_iter().collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn one_fsync_each(folder: &Path, turn: Duration) -> f64 {
    let mut file = File::create(folder.join("plain")).unwrap();
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < turn {
        file.write_all(&[b'x'; PAYLOAD]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

fn message() -> Batch {
    Batch::new().enqueue(NewJob::new(JobId::new(), "work", Record::new(1, vec![b'x'; PAYLOAD])))
}

/// Each producer waits for one acknowledgement before it sends the next message.
async fn enqueues(path: &Path, producers: usize, turn: Duration) -> (f64, Vec<Duration>) {
    let store = Arc::new(SqliteStore::open(Options::new(path)).await.unwrap());
    let start = Instant::now();
    let tasks: Vec<_> = (0..producers)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut waits = Vec::new();
                while start.elapsed() < turn {
                    let sent = Instant::now();
                    store.commit(message()).await.unwrap();
                    waits.push(sent.elapsed());
                }
                waits
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.unwrap());
    }
    let rate = waits.len() as f64 / start.elapsed().as_secs_f64();
    store.close().await;
    (rate, waits)
}

/// As above, while a worker claims up to 100 at once and finishes them in one batch. What counts is what is finished.
async fn through(path: &Path, producers: usize, turn: Duration) -> f64 {
    let store = Arc::new(SqliteStore::open(Options::new(path)).await.unwrap());
    let start = Instant::now();
    let tasks: Vec<_> = (0..producers)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                while start.elapsed() < turn {
                    store.commit(message()).await.unwrap();
                }
            })
        })
        .collect();
    let mut done = 0;
    while start.elapsed() < turn {
        done += work(&store, 100).await;
    }
    let rate = done as f64 / start.elapsed().as_secs_f64();
    for task in tasks {
        task.await.unwrap();
    }
    store.close().await;
    rate
}

async fn work(store: &SqliteStore, max: usize) -> usize {
    let lease_for = Duration::from_secs(60);
    let claims =
        store.claim(Claim { queue: "work".into(), max, lease_for, worker: "bench".into() }).await.unwrap();
    let done = claims.jobs.len();
    let jobs =
        claims.jobs.iter().map(|job| JobChange::Finish { lease: job.lease(), keep_until: None }).collect();
    store.commit(Batch { jobs, ..Batch::default() }).await.unwrap();
    done
}

/// How long a claim takes with so many messages waiting, half of them behind one blocked key.
async fn claims(path: &Path, waiting: u64) {
    let store = SqliteStore::open(Options::new(path)).await.unwrap();
    for _ in 0..waiting / 1_000 {
        let enqueues = (0..1_000).map(|number| NewJob {
            key: (number % 2 == 0).then(|| "blocked".to_owned()),
            ..NewJob::new(JobId::new(), "work", Record::new(1, vec![b'x'; PAYLOAD]))
        });
        store.commit(Batch { enqueues: enqueues.collect(), ..Batch::default() }).await.unwrap();
    }
    let mut waits = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        store
            .claim(Claim {
                queue: "work".into(),
                max: 1,
                lease_for: Duration::from_secs(600),
                worker: "bench".into(),
            })
            .await
            .unwrap();
        waits.push(start.elapsed());
    }
    waits.sort_unstable();
    println!("claim, {waiting} waiting: {:.1?} (p99 {:.1?})", waits[100], waits[198]);
    store.close().await;
}

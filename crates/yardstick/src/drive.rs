//! A driver used directly, by as many clients as asked for: each sends its next query when the last is answered.

use std::{
    io::BufRead as _,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use mysql_async::{Conn, prelude::Queryable as _};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls, Statement};

use crate::{
    database::ITEMS,
    pool::Pool,
    rows::{Item, Rows},
};

/// A driver with its connections open and its query prepared.
#[derive(Debug)]
enum Driver {
    Sqlite(Rows),
    Postgres(Pool<Prepared>),
    MariaDb(Pool<Conn>),
}

struct Prepared {
    client: Client,
    query: Statement,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

/// Answers each line `CLIENTS MILLISECONDS` of standard input with `CALLS MEDIAN P99`, times in nanoseconds.
pub(crate) async fn run(kind: &str, place: &str, connections: usize) -> Result<()> {
    let driver = Arc::new(open(kind, place, connections).await?);
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (clients, time) = line.split_once(' ').context("expected `CLIENTS MILLISECONDS`")?;
        let time = Duration::from_millis(time.parse()?);
        let mut latencies = measure(&driver, clients.parse()?, time).await?;
        latencies.sort_unstable();
        let at = |part: usize| latencies.get(latencies.len() * part / 100).map_or(0, Duration::as_nanos);
        println!("{} {} {}", latencies.len(), at(50), at(99));
    }
    Ok(())
}

async fn open(kind: &str, place: &str, connections: usize) -> Result<Driver> {
    Ok(match kind {
        "sqlite" => Driver::Sqlite(Rows::open(Path::new(place), connections)?),
        "postgres" => {
            let mut open = Vec::new();
            for _ in 0..connections {
                let (client, connection) = tokio_postgres::connect(place, NoTls).await?;
                // Ends with the client.
                tokio::spawn(connection);
                let query = client.prepare("select id, name, price from items where id = $1").await?;
                open.push(Prepared { client, query });
            }
            Driver::Postgres(Pool::new(open))
        }
        "mariadb" => {
            let mut open = Vec::new();
            for _ in 0..connections {
                open.push(Conn::from_url(place).await?);
            }
            Driver::MariaDb(Pool::new(open))
        }
        other => bail!("there is no driver `{other}`"),
    })
}

async fn measure(driver: &Arc<Driver>, clients: usize, time: Duration) -> Result<Vec<Duration>> {
    let end = Instant::now() + time;
    let mut latencies = Vec::new();
    if let Driver::Sqlite(rows) = &**driver {
        // It blocks, so each client is a thread.
        let client = |first| move || repeat(first, end, |id| rows.item(id));
        thread::scope(|scope| {
            let threads: Vec<_> = (0..clients).map(|number| scope.spawn(client(first(number)))).collect();
            for thread in threads {
                latencies.extend(thread.join().map_err(|_| anyhow!("a client panicked"))??);
            }
            Ok::<_, anyhow::Error>(())
        })?;
        return Ok(latencies);
    }
    let mut tasks = JoinSet::new();
    for number in 0..clients {
        let driver = driver.clone();
        tasks.spawn(async move { repeat_async(&driver, first(number), end).await });
    }
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    Ok(latencies)
}

/// The id that a client begins with: not all ask for the same row.
fn first(client: usize) -> i64 {
    i64::try_from(client).unwrap_or_default() * 37
}

fn repeat(mut id: i64, end: Instant, query: impl Fn(i64) -> Result<Item>) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut now = Instant::now();
    while now < end {
        id = id % ITEMS + 1;
        verify(&query(id)?, id)?;
        let answered = Instant::now();
        latencies.push(answered - now);
        now = answered;
    }
    Ok(latencies)
}

async fn repeat_async(driver: &Driver, mut id: i64, end: Instant) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut now = Instant::now();
    while now < end {
        id = id % ITEMS + 1;
        verify(&query(driver, id).await?, id)?;
        let answered = Instant::now();
        latencies.push(answered - now);
        now = answered;
    }
    Ok(latencies)
}

async fn query(driver: &Driver, id: i64) -> Result<Item> {
    match driver {
        Driver::Sqlite(rows) => rows.item(id),
        Driver::Postgres(pool) => {
            let held = pool.take().await?;
            let number = i32::try_from(id)?;
            let row = held.0.client.query_one(&held.0.query, &[&number]).await?;
            pool.give(held);
            let id: i32 = row.try_get(0)?;
            Ok(Item { id: id.into(), name: row.try_get(1)?, price: row.try_get(2)? })
        }
        Driver::MariaDb(pool) => {
            let mut held = pool.take().await?;
            // The driver keeps the statement prepared.
            let row: Option<(i64, String, f64)> =
                held.0.exec_first("select id, name, price from items where id = ?", (id,)).await?;
            pool.give(held);
            let (id, name, price) = row.context("no such row")?;
            Ok(Item { id, name, price })
        }
    }
}

fn verify(item: &Item, id: i64) -> Result<()> {
    let price = id as f64 + 0.5;
    let right = item.id == id && item.name == format!("lamp-{id:04}") && item.price == price;
    ensure!(right, "asked for {id}, got {item:?}");
    Ok(())
}

//! Messages that are handed over, durable, and done: through Renkei, beside one `fsync` a message and beside other queues.

use std::{
    env,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::{
    Bench, CLIENTS,
    compare::{Side, compare},
    config::Config,
    load::{self, Connection},
    peers, processor,
    sample::Sample,
    target::Target,
};
use crate::{command, install, service::Service};

const ALONE: &str = "one fsync a message, nothing else";
const GRAPHILE: &str = "graphile-worker";
const PG_BOSS: &str = "pg-boss";
/// What the others write for a message is about as long.
const LINE: &[u8; 200] = &[b'x'; 200];
/// How long the last messages of a round may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at what is left.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    let folder = Folder::new()?;
    println!("On SQLite:\n");
    let file = folder.0.join("renkei.db");
    let lite = Queue::start(bench, "queue-sqlite.yaml", &format!("sqlite:{}", file.display()))?;
    let beside = compare(bench.plan, &CLIENTS, &mut [lite.side()?, alone(&folder)?])?;
    bench.aims.ratio_from(CLIENTS[2], "queue on SQLite beside one fsync a message", 20.0, ALONE, &beside);

    println!("On PostgreSQL:\n");
    install::databases()?;
    let (_server, url) = bench.yardstick()?.database("durable-postgres")?;
    let postgres = Queue::start(bench, "queue-postgres.yaml", &url)?;
    let mut drivers = Vec::new();
    if bench.peers {
        for name in [GRAPHILE, PG_BOSS] {
            drivers.push((name, peers::node_queue(name, &url)?));
        }
        drivers.push(("procrastinate", peers::procrastinate(&url)?));
    }
    let mut sides = vec![postgres.side()?, alone(&folder)?];
    for (name, driver) in &mut drivers {
        sides.push(Side::new(name, move |producers, time| driver.run(producers, time)).dispensable());
    }
    let beside = compare(bench.plan, &CLIENTS, &mut sides)?;
    bench.aims.ratio("queue on PostgreSQL beside graphile-worker", 10.0, GRAPHILE, &beside);
    drop(sides);
    // They poll.
    drop(drivers);

    println!("With nothing to do:\n\n| store | CPU of one core |\n|---|---|");
    for (name, queue) in [("SQLite", &lite), ("PostgreSQL", &postgres)] {
        match queue.idle_percent(bench.plan.idle) {
            Some(percent) => {
                println!("| {name} | {percent:.2} % |");
                bench.aims.below(&format!("an idle queue on {name}"), 1.0, percent, "%");
            }
            None => println!("| {name} | this system does not tell |"),
        }
    }
    println!();
    Ok(())
}

/// Renkei with a queue.
#[derive(Debug)]
struct Queue(Service);

impl Queue {
    fn start(bench: &Bench, name: &str, store: &str) -> Result<Queue> {
        Ok(Queue(bench.serve(name, &Config::queue(store))?))
    }

    fn side(&self) -> Result<Side<'_>> {
        let enqueue = Target::changing_tool(&self.0.url, "hand_over", r#"{"id":7}"#, r#""queue":"work""#)?;
        let left = Left::of(&self.0)?;
        let round = move |producers, time| {
            let began = Instant::now();
            let latencies = load::latencies(&enqueue, producers, time)?;
            left.until_none(began + time + LIMIT)?;
            Ok(Sample::of(latencies, began.elapsed()))
        };
        Ok(Side::new("Renkei", round).of_process(self.0.id()))
    }

    fn idle_percent(&self, time: Duration) -> Option<f64> {
        let before = processor::time(self.0.id())?;
        let began = Instant::now();
        pause(time);
        let used = processor::time(self.0.id())?.saturating_sub(before);
        Some(used.as_secs_f64() / began.elapsed().as_secs_f64() * 100.0)
    }
}

/// Asks a server what is left in its queue.
struct Left {
    count: Target,
}

impl Left {
    fn of(service: &Service) -> Result<Left> {
        let count = Target::changing_tool(&service.url, "count", "{}", r#""ready":"#)?;
        Ok(Left { count })
    }

    fn until_none(&self, deadline: Instant) -> Result<()> {
        // A connection of its own each time: others may take so long that the server ends an idle one.
        let mut connection = Connection::open(self.count.address)?;
        let exchange = self.count.exchanges.first().context("there is nothing to ask")?;
        loop {
            let answer = String::from_utf8_lossy(connection.exchange(exchange)?).into_owned();
            ensure!(answer.contains(r#""dead":0"#), "messages have died: {answer}");
            if [r#""ready":0"#, r#""leased":0"#, r#""scheduled":0"#].iter().all(|none| answer.contains(none))
            {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the messages are not done: {answer}");
            pause(LOOK_AGAIN);
        }
    }
}

/// A loop that writes a line and syncs it: what one durable message costs at least, if nobody shares. Its rate does not depend on how many
/// wait for it.
fn alone(folder: &Folder) -> Result<Side<'static>> {
    let mut file = File::create(folder.0.join("lines"))?;
    Ok(Side::new(ALONE, move |_, time| {
        let (mut latencies, began) = (Vec::new(), Instant::now());
        let mut now = began;
        while now < began + time {
            file.write_all(LINE)?;
            file.sync_data()?;
            let durable = Instant::now();
            latencies.push(durable - now);
            now = durable;
        }
        Ok(Sample::of(latencies, began.elapsed()))
    }))
}

/// Where the files are: beside those of the database server, on a disk, since nothing is durable in memory. It goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        let folder = env::temp_dir().join(format!("renkei-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let folder = Folder(folder);
        ensure!(
            !in_memory(&folder.0),
            "{} is in memory; set TMPDIR to a folder on a disk",
            env::temp_dir().display()
        );
        Ok(folder)
    }
}

fn in_memory(folder: &Path) -> bool {
    let kind = command::output(Command::new("stat").args(["--file-system", "--format", "%T"]).arg(folder));
    kind.is_ok_and(|kind| ["tmpfs", "ramfs"].contains(&kind.trim()))
}

impl Drop for Folder {
    fn drop(&mut self) {
        // One that stays is only untidy.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread of a command-line tool, with nothing else to do")]
fn pause(time: Duration) {
    thread::sleep(time);
}

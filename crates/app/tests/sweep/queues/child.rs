//! The process that is aborted, and the one that works on what it left.
//!
//! One thing happens after the other: the next one begins when the last point of the one before was passed. The clock of
//! the store stands still unless the script moves it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use renkei_core::{
    CallContext, Error, Kind, Principal, Result, Value,
    clock::{Clock, Timestamp},
    queue::moment,
    store::JobState,
    tool::Tools as _,
};
use renkei_patterns::{
    queue::{
        Options, Workers,
        operate::{self, Mend},
    },
    schedule::Progress,
};
use tokio::time::Instant;

use super::names::Writes;
use crate::{
    points::Points,
    stage::{self, PATIENCE, Stage},
    watched::{Names, Outside},
};

/// The queues with a worker; each has a tool, but for `report`, which the schedule feeds.
const WORKERS: [&str; 6] = ["good", "flaky", "bad", "slow", "stuck", "report"];
const BEGINNING: &str = "2026-07-01T01:00:00Z";
/// When the schedule's tick is due.
const TICK: &str = "2026-07-01T03:00:00Z";
/// The clock of the process that comes later: the leases of the one before are over, and the tick was.
const LATER: &str = "2026-07-01T06:00:00Z";
/// Longer than any backoff here.
const WAIT: Duration = Duration::from_secs(60);

/// Whether the system that refuses `bad` was mended. It is outside, so its state outlives the processes.
const MENDED: &str = "mended";

fn config() -> String {
    let mut config = "
systems:
  disk: { files: { root: effects }, retry: off }
schedules:
  nightly: { cron: '0 3 * * *', enqueue: { report: { n: 1 } } }
tools:
  put_tickets: { description: Puts one., enqueue: { tickets: { n: 1 } } }
  receive: { description: Receives., receive: { queue: tickets } }
  extend: { description: Extends., input: { receipt: string }, extend: { queue: tickets, receipt: '${.receipt}' } }
  ack: { description: Acknowledges., input: { receipt: string }, ack: { queue: tickets, receipt: '${.receipt}' } }
  nack:
    description: Gives back.
    input: { receipt: string }
    nack: { queue: tickets, receipt: '${.receipt}', delay: 30s }
"
    .to_owned();
    for word in WORKERS.iter().filter(|word| **word != "report") {
        config += &format!("  put_{word}: {{ description: Puts one., enqueue: {{ {word}: {{ n: 1 }} }} }}\n");
    }
    config += "queues:\n  tickets: { description: For whoever receives., lease: 2m }\n";
    for word in WORKERS {
        // That of `slow` is extended after a third of its lease.
        let lease = if word == "slow" { "3s" } else { "2m" };
        config += &format!(
            "  {word}:
    lease: {lease}
    retry: {{ attempts: 5, backoff: {{ first: 30s, max: 30s }} }}
    worker: {{ call: {{ disk: {{ append: log.txt, content: \"{word} ${{$message.attempt}} ${{$key}}\\n\" }} }} }}
"
        );
    }
    config
}

pub(crate) fn prepare(folder: &Path) {
    stage::prepare(folder, &config());
}

/// `begin` goes through all there is, `end` works on what is left; `at` is the point at which to end.
pub(crate) fn run(folder: &Path, words: &[&str], at: Option<&str>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let points = Points::new(at);
    runtime.block_on(async {
        let is_first = words.contains(&"begin");
        let script = Script::open(folder, points, is_first).await;
        if is_first { script.begin().await } else { script.end().await }
    });
    ExitCode::SUCCESS
}

#[derive(Debug)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// The system: refuses `bad` until it is mended and the first attempt of `flaky`; in the first process it keeps `slow` until
/// its lease was extended, and `stuck` for ever.
#[derive(Debug)]
struct World {
    folder: PathBuf,
    points: Arc<Points>,
    is_first: bool,
}

#[async_trait]
impl Outside for World {
    async fn meet(&self, text: &str) -> Result<()> {
        let mut words = text.split(' ');
        match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
            ("flaky", "1") => Err(Error::unavailable("reach the disk")),
            ("bad", _) if !self.folder.join(MENDED).exists() => {
                Err(Error::new(Kind::Rejected, "write it: the disk says no"))
            }
            ("slow", _) if self.is_first => {
                while !self.points.has_passed("after extend slow", 1) {
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
            ("stuck", _) if self.is_first => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

struct Script {
    stage: Stage,
    hand: Arc<Hand>,
    workers: Workers,
    folder: PathBuf,
}

impl Script {
    async fn open(folder: &Path, points: Arc<Points>, is_first: bool) -> Self {
        let now = moment(if is_first { BEGINNING } else { LATER }).unwrap();
        let hand = Arc::new(Hand(AtomicI64::new(now.0)));
        let world = World { folder: folder.to_owned(), points: points.clone(), is_first };
        let names: (Arc<dyn Names>, Arc<dyn Outside>) = (Arc::<Writes>::default(), Arc::new(world));
        let stage = Stage::open(folder, points, hand.clone(), names).await;
        let workers = Workers::new(stage.store.clone(), Options { only: None, name: "sweep".to_owned() });
        workers.follow(&stage.engine);
        Script { stage, hand, workers, folder: folder.to_owned() }
    }

    async fn passed(&self, name: &str, times: usize) {
        let points = &self.stage.points;
        stage::until(name, || points.has_passed(name, times)).await;
    }

    /// Moves the clock, and lets everybody look at it.
    async fn set(&self, now: Timestamp) {
        let _rest = self.stage.store.rest().await;
        self.hand.0.store(now.0, Ordering::SeqCst);
        self.workers.follow(&self.stage.engine);
    }

    async fn call(&self, tool: &str, arguments: Value) -> Value {
        let cx = CallContext::new(Instant::now() + PATIENCE, Arc::new(Principal::anonymous()));
        let result = self.stage.engine.call(cx, tool, arguments, None).await.unwrap();
        assert!(result.error.is_none(), "{tool}: {result:?}");
        result.structured.unwrap()
    }

    /// The receipt of a message that waits, and which attempt it is; nothing where none waits.
    async fn receive(&self) -> Option<(Value, i64)> {
        let received = self.call("receive", Value::object()).await;
        let message = received.get("messages").and_then(|messages| messages.at(0).cloned())?;
        let receipt = Value::from([("receipt", message.get("receipt").cloned().unwrap())]);
        let attempt = message.get("message").and_then(|message| message.get("attempt")?.as_i64());
        Some((receipt, attempt.unwrap()))
    }

    /// Everything that there is to do, one thing after the other.
    async fn begin(self) {
        self.passed("after schedule nightly", 1).await;
        self.call("put_good", Value::object()).await;
        self.passed("after ack good", 1).await;

        self.call("put_flaky", Value::object()).await;
        self.passed("after retry flaky", 1).await;
        self.set(self.hand.now().after(WAIT)).await;
        self.passed("after ack flaky", 1).await;

        self.call("put_bad", Value::object()).await;
        self.passed("after bury bad", 1).await;
        fs::write(self.folder.join(MENDED), "").unwrap();
        let (dead, _) = operate::page(&*self.stage.opened, "bad", JobState::Dead, None, 10).await.unwrap();
        operate::mend(&*self.stage.store, Mend::Replay, &[dead[0].id]).await.unwrap();
        self.passed("after ack bad", 1).await;

        self.call("put_tickets", Value::object()).await;
        let (receipt, _) = self.receive().await.unwrap();
        self.call("extend", receipt.clone()).await;
        self.call("nack", receipt).await;
        self.set(self.hand.now().after(WAIT)).await;
        let (receipt, _) = self.receive().await.unwrap();
        self.call("ack", receipt).await;

        self.set(moment(TICK).unwrap()).await;
        self.passed("after ack report", 1).await;

        self.call("put_slow", Value::object()).await;
        self.passed("after ack slow", 1).await;

        self.call("put_stuck", Value::object()).await;
        self.passed("before call stuck", 1).await;
        self.close().await;
    }

    /// Until nothing is left to do; then says what there is.
    async fn end(self) {
        let mut tickets = Vec::new();
        let limit = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < limit, "it does not come to an end");
            while let Some((receipt, attempt)) = self.receive().await {
                tickets.push(attempt);
                self.call("ack", receipt).await;
            }
            let progress = Progress::read(&*self.stage.opened, "nightly").await.unwrap();
            let has_ticked = progress.is_some_and(|progress| progress.after >= moment(TICK).unwrap());
            let counts = self.stage.opened.queues().await.unwrap();
            let sum = |state| counts.iter().map(|counts| counts.of(state)).sum::<u64>();
            match [JobState::Ready, JobState::Held, JobState::Leased].map(sum) {
                [0, 0, 0] if has_ticked && sum(JobState::Scheduled) == 0 => break,
                [0, 0, 0] if has_ticked => self.set(self.hand.now().after(WAIT)).await,
                _ => tokio::task::yield_now().await,
            }
        }
        let counts = self.stage.opened.queues().await.unwrap();
        println!("outcome dead {}", counts.iter().map(|counts| counts.dead).sum::<u64>());
        tickets.iter().for_each(|attempt| println!("outcome ticket {attempt}"));
        self.close().await;
    }

    async fn close(self) {
        self.workers.stop(Duration::ZERO).await;
        self.stage.engine.shutdown().await;
        self.stage.opened.close().await;
    }
}

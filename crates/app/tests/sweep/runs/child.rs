//! The process that is aborted, and the one that works on what it left.

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use async_trait::async_trait;
use renkei_core::{
    CallContext, Principal, Value,
    clock::{Clock, SystemClock, Timestamp},
    store::{Batch, Claim, JobState, Store},
    task::{Begun, Tasks as _},
};
use renkei_patterns::durable::{self, Host, HostOptions};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    points::Points,
    stage::{self, PATIENCE, Stage},
    watched::{Names, Outside, Willing},
};

/// Two steps with a key, one without, and one that reads; each waits for the one before.
const CONFIG: &str = "
systems:
  disk: { files: { root: effects } }
tools:
  chain:
    description: Four steps.
    task: required
    aggregate:
      one: { call: { disk: { append: log.txt, content: \"one ${$key}\\n\" } } }
      two: { needs: [one], call: { disk: { append: log.txt, content: \"two ${$key}\\n\" } } }
      three: { needs: [two], call: { disk: { append: log.txt, content: \"three once\\n\" } } }
      four: { needs: [three], call: { disk: { read: log.txt } } }
";
/// Longer than any process here takes: none loses its lease by being slow.
const LEASE: Duration = Duration::from_secs(120);

/// The clock of a process that comes later: the leases of the one before are over, without anybody waiting for that.
#[derive(Debug)]
struct Later;

impl Clock for Later {
    fn now(&self) -> Timestamp {
        SystemClock.now().after(2 * LEASE)
    }
}

/// Writes that move a run on are called by their events. What depends on the time only – leases that are extended,
/// progress – has no name, so that the points are the same in every process.
#[derive(Debug)]
struct Events;

#[async_trait]
impl Names for Events {
    async fn of_batch(&self, _: &dyn Store, batch: &Batch) -> Option<String> {
        let events = batch.appends.iter().flat_map(|append| &append.events);
        let name = |event: &renkei_core::store::NewEvent| {
            let path = Value::from_json(&event.data.bytes)
                .ok()
                .and_then(|data| Some(data.get("path")?.as_str()?.to_owned()));
            format!("{} {}", event.kind, path.unwrap_or_default()).trim().to_owned()
        };
        let names: Vec<String> = events.map(name).collect();
        (!names.is_empty()).then(|| names.join(" + "))
    }

    async fn of_claim(&self, _: &dyn Store, _: &Claim) -> Option<String> {
        None
    }
}

pub(crate) fn prepare(folder: &Path) {
    stage::prepare(folder, CONFIG);
}

/// `begin` begins the task, `end` works until all is done; `at` is the point at which to end.
pub(crate) fn run(folder: &Path, words: &[&str], at: Option<&str>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(work(folder, words.contains(&"begin"), Points::new(at)));
    ExitCode::SUCCESS
}

async fn work(folder: &Path, begins: bool, points: Arc<Points>) {
    let clock: Arc<dyn Clock> = if begins { Arc::new(SystemClock) } else { Arc::new(Later) };
    let names: (Arc<dyn Names>, Arc<dyn Outside>) = (Arc::new(Events), Arc::new(Willing));
    let Stage { opened, store, engine, .. } = Stage::open(folder, points, clock, names).await;
    if begins {
        let cx = CallContext::new(Instant::now() + PATIENCE, Arc::new(Principal::anonymous()));
        let begun = engine.begin(cx, "chain", Value::object()).await.unwrap();
        assert!(matches!(begun, Begun::Task(_)), "{begun:?}");
    }
    let (stop, current) = (CancellationToken::new(), engine.clone());
    let lease = HostOptions { lease: LEASE, ..HostOptions::default() };
    let host = tokio::spawn(Host::new(store, move || current.clone(), lease).run(stop.clone()));
    let until = Instant::now() + PATIENCE;
    while unfinished(&*opened).await {
        assert!(Instant::now() < until, "the run does not end");
        tokio::task::yield_now().await;
    }
    stop.cancel();
    host.await.unwrap();
    engine.shutdown().await;
    for row in durable::list_tasks(&*opened, None, None, 10).await.unwrap().0 {
        let row = durable::show_task(&*opened, &row.task.id).await.unwrap();
        let error = row.task.result.and_then(|result| result.error);
        let outcome = error.map_or_else(
            || "ok".to_owned(),
            |error| format!("{} {}", error.kind(), error.was_applied().as_str()),
        );
        println!("outcome {} {outcome}", row.task.status.as_str());
    }
}

async fn unfinished(store: &dyn Store) -> bool {
    let queues = store.queues().await.unwrap();
    queues.iter().any(|counts| counts.unfinished() > 0 || counts.of(JobState::Dead) > 0)
}

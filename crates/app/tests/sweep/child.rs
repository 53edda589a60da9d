//! The process that is aborted, and the one that works on what it left.

use std::{fs, path::Path, process::ExitCode, sync::Arc, time::Duration};

use renkei_config::{Kinds, Loaded};
use renkei_core::{
    CallContext, Principal, Value,
    store::{JobState, Store},
    task::{Begun, Tasks as _},
};
use renkei_patterns::{
    durable::{self, Host, HostOptions},
    engine::{Engine, Options},
};
use renkei_store::sqlite::{self, SqliteStore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::points::{Points, Watched, WatchedSystem};

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
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn prepare(folder: &Path) {
    fs::create_dir(folder.join("effects")).unwrap();
    fs::write(folder.join("renkei.yaml"), CONFIG).unwrap();
}

pub(crate) fn run(folder: &Path, words: &[&str]) -> ExitCode {
    let end = words.iter().find_map(|word| word.parse().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(work(folder, words.contains(&"begin"), Points::new(end)));
    ExitCode::SUCCESS
}

async fn work(folder: &Path, begins: bool, points: Arc<Points>) {
    let kinds = Kinds {
        connectors: renkei_connectors::CONNECTORS,
        patterns: renkei_patterns::PATTERNS,
        layers: renkei_layers::LAYERS,
    };
    let loaded =
        renkei_config::load(&[folder.join("renkei.yaml")], &kinds, &renkei_config::Options::default());
    let Loaded { plan, .. } =
        loaded.unwrap_or_else(|report| panic!("{}", report.render(renkei_config::Style::PLAIN)));
    let mut systems = plan.systems;
    for system in systems.values_mut() {
        system.system = Arc::new(WatchedSystem { system: system.system.clone(), points: points.clone() });
    }
    let options = Options { base_dir: plan.base_dir, ..Options::default() };
    let opened = SqliteStore::open(sqlite::Options::new(folder.join("renkei.db"))).await.unwrap();
    let opened: Arc<dyn Store> = Arc::new(opened);
    let store: Arc<dyn Store> = Arc::new(Watched { store: opened.clone(), points });
    let engine = Arc::new(Engine::new(systems, plan.tools, options).unwrap().keeping(store.clone()));
    engine.start();
    if begins {
        let cx = CallContext::new(Instant::now() + PATIENCE, Arc::new(Principal::anonymous()));
        let begun = engine.begin(cx, "chain", Value::object()).await.unwrap();
        assert!(matches!(begun, Begun::Task(_)), "{begun:?}");
    }
    let (stop, current) = (CancellationToken::new(), engine.clone());
    let lease = HostOptions { lease: Duration::from_millis(500), ..HostOptions::default() };
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

//! A config's engine on a store, both with points.

use std::{fs, path::Path, sync::Arc, time::Duration};

use renkei_config::{Kinds, Loaded};
use renkei_core::{clock::Clock, store::Store};
use renkei_patterns::engine::{Engine, Options};
use renkei_store::sqlite::{self, SqliteStore};
use tokio::time::Instant;

use crate::{
    points::Points,
    watched::{Names, Outside, Watched, WatchedSystem},
};

/// Nothing here takes so long, unless something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Stage {
    /// Without points.
    pub(crate) opened: Arc<dyn Store>,
    pub(crate) store: Arc<Watched>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) points: Arc<Points>,
}

/// The folder of a child: its config, and where its effects are. They outlive the process, as any system outside would.
pub(crate) fn prepare(folder: &Path, config: &str) {
    fs::create_dir(folder.join("effects")).unwrap();
    fs::write(folder.join("renkei.yaml"), config).unwrap();
}

impl Stage {
    pub(crate) async fn open(
        folder: &Path,
        points: Arc<Points>,
        clock: Arc<dyn Clock>,
        (names, outside): (Arc<dyn Names>, Arc<dyn Outside>),
    ) -> Self {
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
        for plan in systems.values_mut() {
            let (system, points, outside) = (plan.system.clone(), points.clone(), outside.clone());
            plan.system = Arc::new(WatchedSystem { system, points, outside });
        }
        let file = sqlite::Options { clock, ..sqlite::Options::new(folder.join("renkei.db")) };
        let opened: Arc<dyn Store> = Arc::new(SqliteStore::open(file).await.unwrap());
        let store = Arc::new(Watched::new(opened.clone(), points.clone(), names));
        let options = Options { base_dir: plan.base_dir, ..Options::default() };
        let engine = Engine::new(systems, plan.tools, options).unwrap().keeping(store.clone());
        let engine = Arc::new(engine.working(plan.queues).ticking(plan.schedules));
        engine.start();
        Stage { opened, store, engine, points }
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, so: impl Fn() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < limit, "{what}: not in time");
        tokio::task::yield_now().await;
    }
}

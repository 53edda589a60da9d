//! How large the store is, for metrics.

use std::{sync::Arc, time::Duration};

use renkei_config::ServerConfig;
use renkei_core::{
    metric,
    store::{Maintain, Stats},
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often it is looked at: records are counted one by one.
const EVERY: Duration = Duration::from_secs(300);

/// Whether anybody wants to know.
pub(crate) fn is_measured(server: &ServerConfig) -> bool {
    server.metrics.is_some() || server.telemetry.otlp.as_ref().is_some_and(|otlp| otlp.metrics)
}

/// Looks until `stop`, and at once.
pub(crate) async fn watch(store: Arc<dyn Maintain>, stop: CancellationToken) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let looks = async {
        loop {
            ticks.tick().await;
            match store.stats().await {
                Ok(stats) => tell(&stats),
                Err(error) => tracing::debug!(%error, "the store could not be measured"),
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = looks => {}
    }
}

fn tell(stats: &Stats) {
    metrics::gauge!(metric::STORE_BYTES.name).set(stats.bytes as f64);
    let parts =
        [("events", stats.events), ("streams", stats.streams), ("jobs", stats.jobs), ("cells", stats.cells)];
    for (part, records) in parts {
        metrics::gauge!(metric::STORE_RECORDS.name, "part" => part).set(records as f64);
    }
}

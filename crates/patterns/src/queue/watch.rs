//! The numbers of the queues in the store, for metrics.

use std::{sync::Arc, time::Duration};

use renkei_core::{
    metric,
    store::{JobState, QueueCounts, Store},
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often they are looked at.
const EVERY: Duration = Duration::from_secs(5);
/// What is told of a queue.
const STATES: [JobState; 5] =
    [JobState::Ready, JobState::Scheduled, JobState::Held, JobState::Leased, JobState::Dead];

/// Keeps the numbers of these queues up to date until `stop`. Queues that others use the store for are not told of:
/// labels come from the config.
pub(super) async fn run(
    store: Arc<dyn Store>,
    names: impl Fn() -> Vec<Arc<str>> + Send + 'static,
    stop: CancellationToken,
) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let names = names();
        if names.is_empty() {
            continue;
        }
        match store.queues().await {
            Ok(counts) => names.iter().for_each(|name| tell(&*store, name, &counts)),
            Err(error) => tracing::debug!(%error, "the queues could not be counted"),
        }
    }
}

fn tell(store: &dyn Store, name: &Arc<str>, counts: &[QueueCounts]) {
    let none = QueueCounts::default();
    let counts = counts.iter().find(|counts| *counts.queue == **name).unwrap_or(&none);
    for state in STATES {
        metrics::gauge!(
            metric::QUEUE_MESSAGES.name, "queue" => name.to_string(), "state" => state.as_str()
        )
        .set(counts.of(state) as f64);
    }
    let age = counts.oldest_ready.map_or(0.0, |oldest| store.now().since(oldest).as_secs_f64());
    metrics::gauge!(metric::QUEUE_OLDEST.name, "queue" => name.to_string()).set(age);
}

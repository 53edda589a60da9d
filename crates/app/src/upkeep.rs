//! Removes from the store what is of no more use: expired cells, finished jobs, and the streams of runs that are long over.

use std::{sync::Arc, time::Duration};

use renkei_core::store::{Maintain, Retention};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(60);
/// Between two steps, so that commits come first.
const PAUSE: Duration = Duration::from_millis(200);

/// Looks until `stop`. `history` is how long the events of runs are kept.
pub(crate) async fn run(store: Arc<dyn Maintain>, history: Duration, stop: CancellationToken) {
    let rules = Retention { dead: None, log: vec![("run/".to_owned(), history)] };
    loop {
        let pause = match store.prune(&rules).await {
            Ok(pruned) if pruned.more => PAUSE,
            Ok(_) => EVERY,
            Err(error) => {
                tracing::warn!(
                    detail = error.detail_text(),
                    "the store is not tidied up, and is tried again in a minute: {error}"
                );
                EVERY
            }
        };
        // A step that is under way ends: it is short, and the store is closed after it.
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => {}
        }
    }
}

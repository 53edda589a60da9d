//! Claims the runs that wait, and works on several at once.

use std::{fmt, sync::Arc, time::Duration};

use renkei_core::{
    Result,
    store::{Change, Claim, Claims, Store},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{QUEUE, attempt::Attempt};
use crate::engine::Engine;

/// What waits is looked for so often, where nothing hints at it.
const LOOK: Duration = Duration::from_secs(2);
/// The pause after the store could not be asked.
const PAUSE: Duration = Duration::from_secs(1);

/// How runs are worked on.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// For people: which process on which machine.
    pub worker: String,
    /// Runs at the same time.
    pub at_once: usize,
    /// How long a process that is not heard of any more keeps its runs.
    pub lease: Duration,
    /// The journal of one run, in bytes.
    pub journal_bytes: usize,
    /// So often one run is taken up before it is given up.
    pub attempts: u32,
    /// How long steps under way may take once the process is told to stop.
    pub drain: Duration,
    /// The result of one task, as it is stored.
    pub result_bytes: usize,
}

impl Default for HostOptions {
    fn default() -> Self {
        HostOptions {
            worker: format!("{}", std::process::id()),
            at_once: 64,
            lease: Duration::from_secs(30),
            journal_bytes: 64_000_000,
            attempts: 10,
            drain: Duration::from_secs(20),
            result_bytes: 10_000_000,
        }
    }
}

/// Works on the runs of a store.
pub struct Host {
    store: Arc<dyn Store>,
    /// The one of the moment: a run that is taken up runs as the config says now.
    engine: Box<dyn Fn() -> Arc<Engine> + Send + Sync>,
    options: Arc<HostOptions>,
}

impl Host {
    pub fn new(
        store: Arc<dyn Store>,
        engine: impl Fn() -> Arc<Engine> + Send + Sync + 'static,
        options: HostOptions,
    ) -> Self {
        Host { store, engine: Box::new(engine), options: Arc::new(options) }
    }

    /// Works until `stop`; then runs under way end their steps and are left to others, without an attempt spent.
    pub async fn run(self, stop: CancellationToken) {
        let mut changes = self.store.changes();
        let mut under_way = JoinSet::new();
        while !stop.is_cancelled() {
            let room = self.options.at_once.saturating_sub(under_way.len());
            let next = match self.claim(room).await {
                Ok(claims) => {
                    for job in claims.jobs {
                        let attempt = Attempt::new(&self.store, (self.engine)(), &self.options, job);
                        under_way.spawn(attempt.run(stop.clone()));
                    }
                    self.wait_until(claims.next)
                }
                Err(error) => {
                    tracing::error!(detail = error.detail_text(), "runs cannot be claimed: {error}");
                    Instant::now() + PAUSE
                }
            };
            loop {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = sleep_until(next) => break,
                    Some(ended) = under_way.join_next() => {
                        log(ended);
                        break;
                    }
                    change = changes.next() => match change {
                        Some(Change::Queue(queue)) if &*queue != QUEUE => {}
                        Some(Change::Queue(_) | Change::Unknown) => break,
                        Some(_) => {}
                        None => sleep_until(next).await,
                    },
                }
            }
        }
        while let Some(ended) = under_way.join_next().await {
            log(ended);
        }
    }

    async fn claim(&self, room: usize) -> Result<Claims> {
        if room == 0 {
            return Ok(Claims::default());
        }
        let claim = Claim {
            queue: QUEUE.to_owned(),
            max: room,
            lease_for: self.options.lease,
            worker: self.options.worker.clone(),
        };
        self.store.claim(claim).await
    }

    fn wait_until(&self, next: Option<renkei_core::clock::Timestamp>) -> Instant {
        let wait = next.map_or(LOOK, |next| next.since(self.store.now()).min(LOOK));
        // Not at once again, whatever clocks say.
        Instant::now() + wait.max(Duration::from_millis(10))
    }
}

fn log(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        // Its lease ends, and somebody takes it up.
        tracing::error!(%error, "an attempt at a run hit a fault in Renkei");
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("options", &self.options).finish_non_exhaustive()
    }
}

//! The workers of a process: one loop a queue, with what the config says of it now.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use indexmap::IndexMap;
use renkei_core::{queue::QueuePlan, store::Store};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{claims::Claimer, watch as numbers};
use crate::engine::Engine;

/// Which work is done here.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these queues; all without it.
    pub only: Option<Vec<Arc<str>>>,
    /// For people: which process on which machine this is.
    pub name: String,
}

/// A queue as the config has it now, and the engine that its worker runs on.
#[derive(Clone)]
pub(super) struct Definition {
    pub(super) queue: Arc<QueuePlan>,
    pub(super) engine: Arc<Engine>,
}

/// What each queue's loop is told.
type Queues = IndexMap<Arc<str>, watch::Sender<Option<Definition>>>;

/// Works on the queues of a store. [`Workers::stop`] ends it and waits for it.
pub struct Workers {
    store: Arc<dyn Store>,
    options: Options,
    /// Nothing is claimed any more.
    stop: CancellationToken,
    /// What is under way is given back.
    end: CancellationToken,
    queues: Arc<Mutex<Queues>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Workers {
    /// To be called inside a runtime. Nothing is done before [`Workers::follow`].
    pub fn new(store: Arc<dyn Store>, options: Options) -> Self {
        let workers = Workers {
            store,
            options,
            stop: CancellationToken::new(),
            end: CancellationToken::new(),
            queues: Arc::default(),
            tasks: Mutex::default(),
        };
        let queues = workers.queues.clone();
        let names = move || lock(&queues).keys().cloned().collect();
        let watch = numbers::run(workers.store.clone(), names, workers.stop.clone());
        lock(&workers.tasks).push(tokio::spawn(watch));
        workers
    }

    /// From now on messages are handled as this engine's config says. Attempts under way end as they began; a queue that
    /// the config has no more is left alone.
    pub fn follow(&self, engine: &Arc<Engine>) {
        let wanted = |name: &Arc<str>| self.options.only.as_ref().is_none_or(|only| only.contains(name));
        let mut queues = lock(&self.queues);
        for (name, sender) in queues.iter() {
            if !engine.queues().contains_key(name) {
                sender.send_replace(None);
            }
        }
        for (name, queue) in engine.queues() {
            let definition = (queue.worker.is_some() && wanted(name))
                .then(|| Definition { queue: queue.clone(), engine: engine.clone() });
            match (queues.get(name), definition) {
                (Some(sender), definition) => {
                    sender.send_replace(definition);
                }
                (None, Some(definition)) => {
                    let sender = self.begin(name, definition);
                    queues.insert(name.clone(), sender);
                }
                (None, None) => {}
            }
        }
    }

    fn begin(&self, name: &Arc<str>, definition: Definition) -> watch::Sender<Option<Definition>> {
        let (sender, receiver) = watch::channel(Some(definition));
        let claimer = Claimer {
            name: name.clone(),
            store: self.store.clone(),
            worker: self.options.name.clone(),
            definition: receiver,
            stop: self.stop.clone(),
            end: self.end.clone(),
        };
        lock(&self.tasks).push(tokio::spawn(claimer.run()));
        sender
    }

    /// Claims nothing more, and waits up to `drain` for what is under way. What is not done by then is given back to its
    /// queue, and the attempt does not count.
    pub async fn stop(&self, drain: Duration) {
        self.stop.cancel();
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        let mut all = join_all(tasks);
        let ended = match timeout(drain, &mut all).await {
            Ok(ended) => ended,
            Err(_) => {
                self.end.cancel();
                all.await
            }
        };
        for error in ended.into_iter().filter_map(Result::err) {
            tracing::error!(%error, "a worker ended early: a fault in Renkei");
        }
        lock(&self.queues).clear();
    }
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let queues = lock(&self.queues);
        f.debug_struct("Workers").field("queues", &queues.keys()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

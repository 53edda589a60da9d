//! A request that several callers wait for.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use futures_util::future::{BoxFuture, Shared, WeakShared};
use renkei_core::{Reply, Result, call::Listener};
use tokio::time::Instant;

use super::{
    State,
    store::{Key, Tags},
};

type Fetch = BoxFuture<'static, Result<Reply>>;

/// A request; whoever holds `fetch` and awaits it drives it, and it ends when nobody holds it.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) number: u64,
    pub(super) tags: Tags,
    pub(super) relay: Arc<Relay>,
    pub(super) fetch: Shared<Fetch>,
}

/// A flight as the store knows it: without holding it.
pub(super) struct Departed {
    pub(super) number: u64,
    pub(super) tags: Tags,
    relay: Arc<Relay>,
    fetch: WeakShared<Fetch>,
}

impl Flight {
    /// Nothing if it has ended, which the store is about to hear.
    pub(super) fn departed(&self) -> Option<Departed> {
        let Flight { number, tags, relay, fetch } = self.clone();
        let fetch = fetch.downgrade()?;
        Some(Departed { number, tags, relay, fetch })
    }
}

impl Departed {
    /// Nothing if everybody has left it.
    pub(super) fn join(&self) -> Option<Flight> {
        let Departed { number, tags, relay, fetch } = self;
        let fetch = fetch.upgrade()?;
        Some(Flight { number: *number, tags: tags.clone(), relay: relay.clone(), fetch })
    }
}

/// Tells the store how a flight ended: also where everybody left it, or where it panicked.
pub(super) struct Landing {
    state: Arc<State>,
    number: u64,
    key: Key,
}

impl Landing {
    pub(super) fn new(state: Arc<State>, number: u64, key: Key) -> Self {
        Landing { state, number, key }
    }

    pub(super) fn land(&self, result: &Result<Reply>) {
        let mut store = self.state.store();
        store.land(&self.key, self.number, result.as_ref().ok(), Instant::now());
        self.state.measure(&store);
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        // After `land` the flight is not known any more, and this does nothing.
        self.state.store().land(&self.key, self.number, None, Instant::now());
    }
}

/// Passes what happens in a flight on to all who wait for it, and to nobody who has left.
#[derive(Default)]
pub(super) struct Relay {
    listeners: Mutex<Vec<(u64, Arc<dyn Listener>)>>,
    next: AtomicU64,
}

impl Relay {
    /// Listens until what it gives is dropped.
    pub(super) fn join(self: &Arc<Self>, listener: Arc<dyn Listener>) -> Listening {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.with(|all| all.push((number, listener)));
        Listening { relay: self.clone(), number }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Vec<(u64, Arc<dyn Listener>)>) -> T) -> T {
        // Nothing inside panics while it is held.
        change(&mut self.listeners.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Listener for Relay {
    fn note(&self, note: &str) {
        for (_, listener) in self.with(|all| all.clone()) {
            listener.note(note);
        }
    }

    fn share(&self, share: f64, note: &str) {
        for (_, listener) in self.with(|all| all.clone()) {
            listener.share(share, note);
        }
    }
}

pub(super) struct Listening {
    relay: Arc<Relay>,
    number: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let number = self.number;
        self.relay.with(|all| all.retain(|(other, _)| *other != number));
    }
}

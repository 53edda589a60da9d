//! Keeps replies to reads: for a while as good as new ones, for a while longer while a new one is fetched, and one
//! request for all who ask the same at the same time.
//!
//! **What is the same.** Two requests are, when their operations are written alike, their templates gave the same
//! values, and – where the system's own headers or credentials use `$caller` – the same caller asks, with the same
//! claims. Nothing else of a caller reaches a system.
//!
//! **Who fetches.** Everybody who waits for a reply drives the request, so one who leaves – cancelled, or at their
//! own deadline – stops nobody else's; when the last one has left, the request ends. A refresh behind the scenes is
//! driven by the owner that the engine gave. The request itself has the time that the call would have.
//!
//! **Asking again.** A reply that says by what it can be asked for again (`Again::By`) is kept for that beyond its time,
//! as long as there is room. Whoever then needs a new one asks whether it is still so; if it is, it begins its time anew.
//!
//! **What is not kept.** Errors; and replies to requests that were under way when what they may have read was
//! invalidated: who asks later than that gets a request of their own.

mod flight;
mod store;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::FutureExt;
use renkei_core::{
    Background, Call, CallContext, Effect, Error, Invalidation, Map, Principal, Reply, Request, Result,
    System, Value,
    call::{Again, Validator},
    connector::SystemPlan,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{
    flight::{Flight, Landing, Relay},
    store::{Departure, Found, Key, Store, Tags},
};
use crate::{
    config::{self, Kept, Own},
    metrics::Metrics,
};

/// The kept replies of a system, for all its connections.
pub(crate) struct State {
    name: Arc<str>,
    system: Arc<dyn System>,
    per_caller: bool,
    store: Mutex<Store>,
    background: Arc<dyn Background>,
    metrics: Arc<Metrics>,
}

impl State {
    pub(crate) fn new(
        plan: &SystemPlan,
        config: &config::Cache,
        background: Arc<dyn Background>,
        metrics: Arc<Metrics>,
    ) -> Self {
        State {
            name: plan.name.clone(),
            system: plan.system.clone(),
            per_caller: plan.system.depends_on_caller(),
            store: Mutex::new(Store::new(config.max_entries, config.max_bytes)),
            background,
            metrics,
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // Nothing inside panics while it is held.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn invalidate(&self, what: &Invalidation) {
        let fits = |tags: &Tags| match what {
            Invalidation::Name(name) => *name == self.name || tags.name.as_ref() == Some(name),
            Invalidation::Address { system, pattern } => {
                *system == self.name && tags.address.as_ref().is_some_and(|address| pattern.fits(address))
            }
        };
        let mut store = self.store();
        store.forget(fits);
        self.measure(&store);
    }

    fn measure(&self, store: &Store) {
        self.metrics.show_cache(store.len(), store.bytes());
    }

    fn key(&self, kept: &Kept, request: &Request, principal: &Principal) -> Key {
        Key::new(kept, request, self.per_caller.then_some(principal))
    }
}

pub(crate) struct Cache<C> {
    state: Arc<State>,
    /// How long a request may take unless its call says something else.
    total: Duration,
    inner: Arc<C>,
}

impl<C: Call + 'static> Cache<C> {
    pub(crate) fn new(state: Arc<State>, total: Duration, inner: C) -> Self {
        Cache { state, total, inner: Arc::new(inner) }
    }

    /// A request that nobody drives yet. What comes of it is kept under `key`; `known` is what is there already.
    fn depart(
        &self,
        departure: Departure,
        key: &Key,
        tags: Tags,
        cx: &CallContext,
        request: &Request,
    ) -> Flight {
        let Departure { number, known } = departure;
        let total = Own::of(cx.settings.as_ref()).map_or(self.total, |own| own.timeout.total);
        let relay = Arc::new(Relay::default());
        let cx = CallContext {
            deadline: Instant::now() + total,
            cancel: CancellationToken::new(),
            attempt: Arc::default(),
            listener: Some(relay.clone()),
            known: known.as_ref().and_then(validator).cloned(),
            ..cx.clone()
        };
        let (inner, request) = (self.inner.clone(), request.clone());
        let landing = Landing::new(self.state.clone(), number, key.clone());
        let fetch = async move {
            let result = inner.call(&cx, &request).await.and_then(|reply| whole(reply, known));
            landing.land(&result);
            result
        };
        Flight { number, tags, relay, fetch: fetch.boxed().shared() }
    }
}

#[async_trait]
impl<C: Call + 'static> Call for Cache<C> {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let kept = Own::of(cx.settings.as_ref()).and_then(|own| own.cache.as_ref());
        let Some(kept) = kept.filter(|_| request.effect == Effect::Read) else {
            return self.inner.call(cx, request).await;
        };
        let (state, metrics) = (&self.state, &self.state.metrics);
        let key = state.key(kept, request, &cx.principal);
        let depart = |departure| {
            let tags = Tags { name: kept.keep.name.clone(), address: state.system.address(request) };
            self.depart(departure, &key, tags, cx, request)
        };
        let found = state.store().find(&key, &kept.keep, Instant::now(), depart);
        match found {
            Found::Fresh { reply, age } => {
                metrics.cache_hits.increment(1);
                Ok(with_meta(reply, Some(age), false))
            }
            Found::Stale { reply, age, refresh } => {
                metrics.cache_stale.increment(1);
                if let Some(flight) = refresh {
                    state.background.run(flight.fetch.map(drop).boxed());
                }
                Ok(with_meta(reply, Some(age), true))
            }
            Found::Nothing { flight, joined } => {
                if joined {
                    metrics.cache_joined.increment(1)
                } else {
                    metrics.cache_misses.increment(1)
                }
                let _listening = cx.listener.clone().map(|listener| flight.relay.join(listener));
                flight.fetch.await.map(|reply| with_meta(reply, None, false))
            }
        }
    }
}

/// By what a reply can be asked for again.
fn validator(reply: &Reply) -> Option<&Validator> {
    match &reply.again {
        Again::By(validator) => Some(validator),
        Again::Whole | Again::Unchanged => None,
    }
}

/// The reply, or what is known if it is still so.
fn whole(reply: Reply, known: Option<Reply>) -> Result<Reply> {
    match (&reply.again, known) {
        (Again::Unchanged, Some(known)) => Ok(known),
        (Again::Unchanged, None) => {
            Err(Error::internal("the system says that nothing has changed, and nobody asked it that"))
        }
        _ => Ok(reply),
    }
}

/// Says in `$name_meta.cache` where a reply comes from.
fn with_meta(mut reply: Reply, age: Option<Duration>, stale: bool) -> Reply {
    let cache = Value::from([
        ("hit", Value::from(age.is_some())),
        ("stale", stale.into()),
        ("age", age.unwrap_or_default().as_secs().into()),
    ]);
    let mut meta = reply.meta.as_object().cloned().unwrap_or_else(Map::new);
    meta.insert("cache".into(), cache);
    reply.meta = meta.into();
    reply
}

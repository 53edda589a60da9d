//! The layers' part of a system's config, and what a call may say instead. One file a word.

mod breaker;
mod cache;
mod limit;
mod retry;
mod timeout;
mod words;

use std::{sync::Arc, time::Duration};

use renkei_core::{
    Background, CallNode, Definitions, Diagnostic, Diagnostics, Effect, FromNode, LayerStack, Layers,
    LayersKind, Node, Schema, Value,
    call::CallSettings,
    connector::{CALL_WORDS, SystemPlan},
};
use sha2::{Digest, Sha256};

#[cfg(test)]
pub(crate) use self::words::Share;
pub(crate) use self::{
    breaker::{Breaker, BreakerChoice},
    cache::{Cache, Keep, OwnCache},
    limit::{Limit, Per},
    retry::{Attempts, Budget, OwnRetry, Retry},
    timeout::{OwnTimeout, Timeout},
};
use crate::stack::Stack;

/// The layers of one system, configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) timeout: Timeout,
    pub(crate) retry: Retry,
    pub(crate) cache: Cache,
    pub(crate) breaker: BreakerChoice,
    pub(crate) limit: Limit,
}

/// What holds for one call: what it says itself, and what its system says for the rest.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) timeout: Timeout,
    pub(crate) retry: Attempts,
    pub(crate) cache: Option<Kept>,
}

/// How the replies of one call are kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) keep: Keep,
    /// The same for all calls whose operation is written alike.
    pub(crate) op: [u8; 32],
}

impl Own {
    /// What a call says, if it says something.
    pub(crate) fn of(settings: Option<&CallSettings>) -> Option<&Own> {
        settings?.downcast_ref()
    }
}

/// What is different in every run, so that a request with it is never made twice.
const OF_THE_RUN: [&str; 3] = ["key", "run", "now"];

impl Settings {
    fn keep(
        &self,
        call: &CallNode<'_>,
        given: Option<OwnCache>,
        d: &mut Diagnostics,
    ) -> Option<Option<Keep>> {
        let entry = call.settings.iter().find(|entry| &*entry.key == "cache");
        let span = entry.map_or(call.op.span, |entry| entry.key_span);
        let never = OF_THE_RUN.into_iter().find(|name| {
            call.prepared.slots.iter().any(|slot| slot.vars().iter().any(|var| **var == **name))
        });
        let keep = match given {
            // The system's word is for the calls that it fits.
            None if call.prepared.effect != Effect::Read || never.is_some() => return Some(None),
            None => return Some(self.cache.keep.clone()),
            Some(given) => given.over(&self.cache),
        };
        let problem = match (keep, never) {
            (Ok(None), _) => return Some(None),
            (Err(why), _) => Diagnostic::error(span, why).hint("add `ttl`: `cache: { ttl: 5m }`"),
            (Ok(Some(_)), _) if call.prepared.effect != Effect::Read => {
                Diagnostic::error(span, "only replies to reads are kept, and this call may change something")
                    .hint("remove `cache`; or write `effect: read` in the operation, if it changes nothing")
            }
            (Ok(Some(_)), Some(name)) => Diagnostic::error(
                span,
                format!("no reply would be found again: `${name}` is another one in every run"),
            )
            .hint("remove `cache`, or the template"),
            (Ok(Some(keep)), None) => return Some(Some(keep)),
        };
        d.push(problem);
        None
    }
}

impl Layers for Settings {
    fn start(&self, plan: &SystemPlan, background: Arc<dyn Background>) -> Arc<dyn LayerStack> {
        Arc::new(Stack::new(self, plan, background))
    }

    fn read_call(&self, call: &CallNode<'_>, d: &mut Diagnostics) -> Option<CallSettings> {
        let get = |key: &str| call.settings.iter().find(|entry| &*entry.key == key).map(|entry| &entry.value);
        // All are read before the first failure is returned: every problem is to be seen at once.
        let timeout = get("timeout").map(|node| OwnTimeout::from_node(node, d));
        let retry = get("retry").map(|node| OwnRetry::from_node(node, d));
        let cache = match get("cache").map(|node| OwnCache::from_node(node, d)) {
            Some(None) => None,
            given => self.keep(call, given.flatten(), d),
        };
        let timeout = timeout.map_or(Some(OwnTimeout::default()), |read| read)?;
        let retry = retry.map_or(Some(OwnRetry::default()), |read| read)?;
        let op = || Sha256::digest(call.op.to_value().to_json()).into();
        Some(Arc::new(Own {
            timeout: timeout.over(&self.timeout),
            retry: retry.over(&self.retry.plan),
            cache: cache?.map(|keep| Kept { keep, op: op() }),
        }))
    }

    fn connect_timeout(&self) -> Duration {
        self.timeout.connect
    }

    fn read_timeout(&self) -> Option<Duration> {
        self.timeout.read
    }

    fn own_cache_name(&self) -> Option<Arc<str>> {
        self.cache.keep.as_ref()?.name.clone()
    }

    fn cache_name(&self, settings: &CallSettings) -> Option<Arc<str>> {
        Own::of(Some(settings))?.cache.as_ref()?.keep.name.clone()
    }
}

pub(crate) struct Kind;

impl LayersKind for Kind {
    fn properties(&self, defs: &mut Definitions) -> Vec<(&'static str, Schema)> {
        vec![
            ("timeout", Timeout::schema(defs)),
            ("cache", Cache::schema(defs)),
            ("retry", Retry::schema(defs)),
            ("breaker", BreakerChoice::schema(defs)),
            ("limit", Limit::schema(defs)),
        ]
    }

    fn call_properties(&self, defs: &mut Definitions) -> Vec<(&'static str, Schema)> {
        let schemas = [OwnTimeout::schema(defs), OwnRetry::schema(defs), OwnCache::schema(defs)];
        CALL_WORDS.into_iter().zip(schemas).collect()
    }

    fn read(&self, node: &Node, d: &mut Diagnostics) -> Arc<dyn Layers> {
        // Something else at this place is the business of whoever reads the system.
        Arc::new(Settings {
            timeout: part(node, "timeout", d),
            retry: part(node, "retry", d),
            cache: part(node, "cache", d),
            breaker: part(node, "breaker", d),
            limit: part(node, "limit", d),
        })
    }
}

fn part<T: FromNode + Default>(node: &Node, key: &str, d: &mut Diagnostics) -> T {
    node.get(key).and_then(|node| T::from_node(node, d)).unwrap_or_default()
}

/// A value in one of several forms.
fn one_of(description: &str, forms: Vec<Schema>, default: Option<Value>) -> Schema {
    let mut map = renkei_core::Map::new();
    map.insert("description".into(), description.into());
    map.insert("oneOf".into(), forms.into());
    if let Some(default) = default {
        map.insert("default".into(), default);
    }
    map.into()
}

//! `cache`: of a system, and of one call.

use std::{sync::Arc, time::Duration};

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, FromNode, Node, NodeKind, Schema, Value,
    read::{Bytes, Spanned, wrong},
    template::is_word,
};
use renkei_derive::FromNode;

use super::one_of;

/// Which replies of the system are kept, and how much.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cache {
    /// Of all reads of the system; of none without it, unless a call says so.
    pub(crate) keep: Option<Keep>,
    pub(crate) max_entries: usize,
    pub(crate) max_bytes: usize,
}

/// How long replies are good.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Keep {
    pub(crate) ttl: Duration,
    pub(crate) stale: Duration,
    pub(crate) name: Option<Arc<str>>,
}

/// `cache` of one call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OwnCache {
    Off,
    /// What is not said is as the system says.
    On {
        ttl: Option<Duration>,
        stale: Option<Duration>,
        name: Option<Arc<str>>,
    },
}

/// Keeps replies to reads for a while. Errors are not kept.
#[derive(Debug, FromNode)]
#[config(check = CacheFields::check)]
struct CacheFields {
    /// So long a reply is as good as a new one. Without it, replies are kept only for calls that say so themselves.
    ttl: Option<Duration>,
    /// So much longer it is still given while a new one is fetched behind the scenes.
    #[config(default = "0s")]
    stale: Duration,
    /// A name for `invalidates`, beside that of the system.
    name: Option<Spanned<String>>,
    /// The most replies that are kept; the ones that were not asked for longest go first.
    #[config(default = 10000)]
    max_entries: u32,
    /// The most memory that they take.
    #[config(default = "64MB")]
    max_bytes: Bytes,
}

/// Keeps the replies of this call for a while, instead of what its system says.
#[derive(Debug, FromNode)]
#[config(check = CallCache::check)]
struct CallCache {
    /// So long a reply is as good as a new one.
    ttl: Option<Duration>,
    /// So much longer it is still given while a new one is fetched behind the scenes.
    stale: Option<Duration>,
    /// A name for `invalidates`, beside that of the system.
    name: Option<Spanned<String>>,
}

impl Default for Cache {
    fn default() -> Self {
        Cache { keep: None, max_entries: 10_000, max_bytes: 64_000_000 }
    }
}

impl OwnCache {
    /// How long the replies of the call are kept; nothing where they are not. The error says that nobody says.
    pub(crate) fn over(self, system: &Cache) -> Result<Option<Keep>, &'static str> {
        let (ttl, stale, name) = match self {
            OwnCache::Off => return Ok(None),
            OwnCache::On { ttl, stale, name } => (ttl, stale, name),
        };
        let own = system.keep.clone();
        match (ttl, own) {
            (None, None) => Err("`cache` does not say how long a reply is good"),
            (ttl, Some(own)) => Ok(Some(Keep {
                ttl: ttl.unwrap_or(own.ttl),
                stale: stale.unwrap_or(own.stale),
                name: name.or(own.name),
            })),
            (Some(ttl), None) => Ok(Some(Keep { ttl, stale: stale.unwrap_or_default(), name })),
        }
    }
}

impl CacheFields {
    fn check(&self, node: &Node, d: &mut Diagnostics) {
        check_ttl(self.ttl, node, d);
        check_name(self.name.as_ref(), d);
        if self.ttl.is_none() {
            for key in ["stale", "name"] {
                if let Some(entry) = node.entry(key) {
                    d.push(
                        Diagnostic::error(entry.key_span, format!("`{key}` without a `ttl`"))
                            .hint("add `ttl: 5m`, or write it beside the calls whose replies are kept"),
                    );
                }
            }
        }
        let sizes = [("max_entries", self.max_entries == 0), ("max_bytes", self.max_bytes.0 == 0)];
        for (key, is_zero) in sizes {
            if is_zero {
                let span = node.get(key).map_or(node.span, |node| node.span);
                d.push(
                    Diagnostic::error(span, format!("`{key}` is 0, so that nothing could be kept"))
                        .hint("raise it; `cache: off` keeps nothing"),
                );
            }
        }
    }
}

impl CallCache {
    fn check(&self, node: &Node, d: &mut Diagnostics) {
        check_ttl(self.ttl, node, d);
        check_name(self.name.as_ref(), d);
    }
}

fn check_ttl(ttl: Option<Duration>, node: &Node, d: &mut Diagnostics) {
    if ttl.is_some_and(|ttl| ttl.is_zero()) {
        let span = node.get("ttl").map_or(node.span, |node| node.span);
        d.push(
            Diagnostic::error(span, "a reply that is good for no time is not kept")
                .hint("give it a time, such as `5m`, or write `cache: off`"),
        );
    }
}

fn check_name(name: Option<&Spanned<String>>, d: &mut Diagnostics) {
    if let Some(name) = name.filter(|name| !is_word(&name.value)) {
        d.push(
            Diagnostic::error(name.span, format!("`{}` cannot be the name of a cache", name.value)).hint(
                "a name has 1 to 64 lower-case letters, digits and `_`, and does not begin with a digit",
            ),
        );
    }
}

/// A time to live alone.
fn ttl(node: &Node, d: &mut Diagnostics) -> Option<Duration> {
    let ttl = Duration::from_node(node, d)?;
    check_ttl(Some(ttl), node, d);
    Some(ttl)
}

fn is_off(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Bool(false)) || node.as_str() == Some("off")
}

fn text(name: Option<Spanned<String>>) -> Option<Arc<str>> {
    name.map(|name| name.value.into())
}

impl FromNode for Cache {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            _ if is_off(node) => Some(Cache::default()),
            NodeKind::Map(_) => {
                let fields = CacheFields::from_node(node, d)?;
                let (stale, name) = (fields.stale, text(fields.name));
                Some(Cache {
                    keep: fields.ttl.map(|ttl| Keep { ttl, stale, name }),
                    max_entries: fields.max_entries as usize,
                    max_bytes: fields.max_bytes.as_usize(),
                })
            }
            NodeKind::String(_) | NodeKind::Number(_) => {
                let keep = Keep { ttl: ttl(node, d)?, stale: Duration::ZERO, name: None };
                Some(Cache { keep: Some(keep), ..Cache::default() })
            }
            NodeKind::Unknown => Some(Cache::default()),
            _ => wrong(node, "a duration such as `5m`, `off`, or a mapping with `ttl`", d),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        one_of(
            "How long replies to reads of this system are kept, as a duration or in detail. Nothing is kept unless asked for, here or beside a call.",
            vec![Duration::schema(defs), off(), CacheFields::schema(defs)],
            None,
        )
    }
}

impl FromNode for OwnCache {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            _ if is_off(node) => Some(OwnCache::Off),
            NodeKind::Map(_) => {
                let CallCache { ttl, stale, name } = CallCache::from_node(node, d)?;
                Some(OwnCache::On { ttl, stale, name: text(name) })
            }
            NodeKind::String(_) | NodeKind::Number(_) => {
                Some(OwnCache::On { ttl: Some(ttl(node, d)?), stale: None, name: None })
            }
            NodeKind::Unknown => Some(OwnCache::Off),
            _ => wrong(node, "a duration such as `30s`, `off`, or a mapping with `ttl`", d),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        one_of(
            "How long the replies of this call are kept, as a duration or in detail; instead of what its system says.",
            vec![Duration::schema(defs), off(), CallCache::schema(defs)],
            None,
        )
    }
}

fn off() -> Schema {
    Value::from([("enum", vec![Value::from("off"), Value::from(false)])])
}

//! One system of the config: which kind it is, what belongs to its layers, and whether a tool uses it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use indexmap::IndexMap;
use renkei_core::{
    ConnectContext, Connection, ConnectorKind, Definitions, Diagnostic, Diagnostics, Entry, Error, Node,
    NodeKind, PreparedOp, Request, Result, Secret, System, Value,
    connector::SystemPlan,
    diagnostic::suggest,
    template::{Names, is_word, word_like},
};

use crate::{
    plan::{Kinds, fingerprint},
    schema::resolve,
};

/// Systems of later versions.
const LATER_CONNECTORS: [&str; 8] = ["amqp", "graphql", "grpc", "kafka", "mqtt", "nats", "rabbitmq", "redis"];

/// A name that every template can use.
pub(crate) fn check_name(entry: &Entry, d: &mut Diagnostics) {
    if is_word(&entry.key) {
        return;
    }
    let better = word_like(&entry.key).unwrap_or_else(|| "orders".into());
    d.push(
        Diagnostic::error(entry.key_span, format!("`{}` cannot be the name of a system", entry.key)).hint(format!(
            "a name has 1 to 64 lower-case letters, digits and `_`, and does not begin with a digit: `{better}`"
        )),
    );
}

/// Reads one system. What is wrong makes a system that takes every operation, so that its tools are
/// checked as far as possible and nothing is reported twice.
pub(crate) fn read(entry: &Entry, kinds: &Kinds<'_>, d: &mut Diagnostics) -> SystemPlan {
    let broken = |layers| SystemPlan {
        name: entry.key.clone(),
        kind: "broken",
        system: Arc::new(Broken),
        layers,
        fingerprint: 0,
    };
    let layers = kinds.layers.read(&entry.value, d);
    let NodeKind::Map(members) = &entry.value.kind else {
        if !matches!(entry.value.kind, NodeKind::Unknown) {
            let kind = kinds.connectors.first().map_or("http", |kind| kind.name());
            let message = format!("the system `{}` is {}, not a mapping", entry.key, entry.value.what());
            d.push(Diagnostic::error(entry.key_span, message).hint(format!(
                "write `{}: {{ {kind}: {{ … }} }}`; the kinds of systems: {}",
                entry.key,
                listed(kinds.connectors.iter().map(|kind| kind.name()))
            )));
        }
        return broken(layers);
    };
    let Some((kind, member)) = connector(entry, members, kinds, d) else { return broken(layers) };
    let node = without_layers(member, kind, kinds, d);
    match kind.read(&entry.key, &node, d) {
        Some(system) => SystemPlan {
            name: entry.key.clone(),
            kind: kind.name(),
            system,
            layers,
            fingerprint: fingerprint(&entry.value),
        },
        None => broken(layers),
    }
}

fn listed<'s>(names: impl Iterator<Item = &'s str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The only key that names a connector. Other keys belong to the layers.
fn connector<'k, 'n>(
    entry: &Entry,
    members: &'n [Entry],
    kinds: &Kinds<'k>,
    d: &mut Diagnostics,
) -> Option<(&'k dyn ConnectorKind, &'n Entry)> {
    let of_layers = layer_keys(kinds);
    let named = |key: &str| kinds.connectors.iter().copied().find(|kind| kind.name() == key);
    let mut chosen: Option<(&Entry, &dyn ConnectorKind)> = None;
    let (mut good, mut explained) = (true, false);
    for member in members {
        let key = &*member.key;
        if of_layers.contains(&key) {
            continue;
        }
        let Some(kind) = named(key) else {
            explained = true;
            let (diagnostic, meant) = unknown_in_system(member, members, kinds, &of_layers);
            d.push(diagnostic);
            // Read as what was meant, so that what stands under it is checked, too.
            if let (None, Some(kind)) = (&chosen, meant.and_then(named)) {
                chosen = Some((member, kind));
            }
            continue;
        };
        match chosen {
            Some((first, _)) if named(&first.key).is_some() => {
                good = false;
                let message = format!("the system `{}` is two things at once", entry.key);
                d.push(
                    Diagnostic::error(member.key_span, message)
                        .related(first.key_span, "the first one")
                        .hint(format!("keep one of `{}` and `{key}`, or make two systems", first.key)),
                );
            }
            _ => chosen = Some((member, kind)),
        }
    }
    match chosen {
        Some((member, kind)) if good => return Some((kind, member)),
        None if !explained => {
            let message = format!("the system `{}` does not say what it is", entry.key);
            let names = listed(kinds.connectors.iter().map(|kind| kind.name()));
            d.push(Diagnostic::error(entry.key_span, message).hint(format!("add one of {names}")));
        }
        _ => {}
    }
    None
}

fn layer_keys(kinds: &Kinds<'_>) -> Vec<&'static str> {
    kinds.layers.properties(&mut Definitions::default()).into_iter().map(|(name, _)| name).collect()
}

/// The keys of what stands under a connector's key.
fn connector_keys(kind: &dyn ConnectorKind) -> Vec<Arc<str>> {
    let mut defs = Definitions::default();
    let schema = kind.schema(&mut defs);
    let properties = resolve(&schema, &defs.map).get("properties").and_then(Value::as_object);
    properties.map(|all| all.keys().cloned().collect()).unwrap_or_default()
}

/// The diagnostic, and the key that was probably meant.
fn unknown_in_system<'k>(
    member: &Entry,
    members: &[Entry],
    kinds: &Kinds<'k>,
    of_layers: &[&'k str],
) -> (Diagnostic, Option<&'k str>) {
    let key = &*member.key;
    if LATER_CONNECTORS.contains(&key) {
        let diagnostic =
            Diagnostic::error(member.key_span, format!("`{key}` is not available in this version"))
                .hint("it arrives with a later release; remove it until then");
        return (diagnostic, None);
    }
    let diagnostic = Diagnostic::error(member.key_span, format!("unknown key `{key}` in a system"));
    let owner = kinds.connectors.iter().find(|kind| {
        members.iter().any(|other| *other.key == *kind.name())
            && connector_keys(**kind).iter().any(|own| **own == *key)
    });
    if let Some(owner) = owner {
        let hint = format!("it belongs to `{0}`: move it one level in, under `{0}:`", owner.name());
        return (diagnostic.hint(hint), None);
    }
    let all: Vec<&str> =
        kinds.connectors.iter().map(|kind| kind.name()).chain(of_layers.iter().copied()).collect();
    match suggest(key, all.iter().copied()) {
        Some(close) => (diagnostic.hint(format!("did you mean `{close}`?")), Some(close)),
        None => {
            let hint = format!(
                "allowed here: {}; what belongs to a kind stands under its key",
                listed(all.into_iter())
            );
            (diagnostic.hint(hint), None)
        }
    }
}

/// What stands under a connector's key. A layer's key there is reported here, where it is known what
/// to do about it.
fn without_layers(member: &Entry, kind: &dyn ConnectorKind, kinds: &Kinds<'_>, d: &mut Diagnostics) -> Node {
    let NodeKind::Map(entries) = &member.value.kind else { return member.value.clone() };
    let of_layers = layer_keys(kinds);
    let own = connector_keys(kind);
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = &*entry.key;
        if of_layers.contains(&key) && !own.iter().any(|own| **own == *key) {
            let message = format!("`{key}` belongs to the system, not to `{}`", kind.name());
            d.push(
                Diagnostic::error(entry.key_span, message)
                    .hint(format!("move it one level out, beside `{}:`", member.key)),
            );
        } else {
            kept.push(entry.clone());
        }
    }
    Node { kind: NodeKind::Map(kept), span: member.value.span }
}

/// Which systems a tool uses, so far.
pub(crate) type Used = IndexMap<Arc<str>, Arc<AtomicBool>>;

/// The systems as tools see them while they are read, and which of them are used.
pub(crate) fn track(systems: &IndexMap<Arc<str>, SystemPlan>) -> (IndexMap<Arc<str>, SystemPlan>, Used) {
    let mut used = IndexMap::new();
    let tracked = systems
        .iter()
        .map(|(name, plan)| {
            // What it offers is used by clients.
            let flag = Arc::new(AtomicBool::new(plan.system.exposes().is_some()));
            used.insert(name.clone(), flag.clone());
            let system = Arc::new(Tracked { inner: plan.system.clone(), used: flag });
            (name.clone(), SystemPlan { system, ..plan.clone() })
        })
        .collect();
    (tracked, used)
}

/// What the names begin with that systems offer beside the config's own, each with its system. Where two are the same, or
/// one begins with nothing and so may be any, names could meet.
pub(crate) fn exposed(
    systems: &IndexMap<Arc<str>, SystemPlan>,
    entries: &[Entry],
    d: &mut Diagnostics,
) -> Vec<Arc<str>> {
    let mut prefixes: Vec<(Arc<str>, &Arc<str>)> = Vec::new();
    for (name, plan) in systems {
        let Some(prefix) = plan.system.exposes() else { continue };
        let span = |name: &Arc<str>| {
            entries.iter().find(|entry| entry.key == *name).map(|entry| entry.key_span).unwrap_or_default()
        };
        if let Some((_, first)) = prefixes.iter().find(|(other, _)| **other == *prefix) {
            let message = format!("the tools of `{name}` and of `{first}` have the same prefix, `{prefix}`");
            d.push(
                Diagnostic::error(span(name), message)
                    .related(span(first), "the first one")
                    .hint("give one of them another `prefix` in its `expose`"),
            );
        }
        prefixes.push((prefix.into(), name));
    }
    prefixes.into_iter().map(|(prefix, _)| prefix).collect()
}

/// Says which systems no tool uses.
pub(crate) fn warn_of_unused(entries: &[Entry], used: &Used, d: &mut Diagnostics) {
    for entry in entries {
        if used.get(&entry.key).is_some_and(|flag| !flag.load(Ordering::Relaxed)) {
            d.push(
                Diagnostic::warning(entry.key_span, format!("no tool uses the system `{}`", entry.key))
                    .hint("remove it, or call it: `call: { … }`"),
            );
        }
    }
}

/// Notes that a tool uses a system.
#[derive(Debug)]
struct Tracked {
    inner: Arc<dyn System>,
    used: Arc<AtomicBool>,
}

#[async_trait]
impl System for Tracked {
    fn prepare(&self, op: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<PreparedOp> {
        self.used.store(true, Ordering::Relaxed);
        self.inner.prepare(op, names, d)
    }

    fn show(&self, request: &Request) -> Result<Value> {
        self.inner.show(request)
    }

    fn is_local(&self) -> bool {
        self.inner.is_local()
    }

    fn depends_on_caller(&self) -> bool {
        self.inner.depends_on_caller()
    }

    fn secrets(&self) -> Vec<Secret> {
        self.inner.secrets()
    }

    fn address(&self, request: &Request) -> Option<Vec<String>> {
        self.inner.address(request)
    }

    fn exposes(&self) -> Option<&str> {
        self.inner.exposes()
    }

    async fn connect(&self, cx: &ConnectContext) -> Result<Connection> {
        self.inner.connect(cx).await
    }
}

/// Stands for a system whose config is wrong, which was reported. It never gets into a plan.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl System for Broken {
    fn prepare(&self, _: &Node, _: &Names<'_>, _: &mut Diagnostics) -> Option<PreparedOp> {
        None
    }

    fn show(&self, _: &Request) -> Result<Value> {
        Err(Error::internal("show a request to a system whose config is wrong"))
    }

    async fn connect(&self, _: &ConnectContext) -> Result<Connection> {
        Err(Error::internal("connect to a system whose config is wrong"))
    }
}

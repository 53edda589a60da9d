//! The whole config, checked: what `serve` starts from.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use indexmap::IndexMap;
use renkei_core::{
    ConnectContext, Connection, ConnectorKind, Definitions, Diagnostic, Diagnostics, Entry, Error, FromNode,
    LayersKind, Node, NodeKind, PatternKind, PreparedOp, Request, Result, Secret, System, Value,
    connector::SystemPlan,
    diagnostic::{Sources, suggest},
    group::GroupPlan,
    prompt::PromptPlan,
    resource::ResourcePlan,
    template::{Names, is_word, word_like},
    tool::ToolPlan,
    trial::TestPlan,
};

use crate::{
    action::World,
    environment::{self, Environment, Part, Variables},
    files, group, prompt,
    report::Report,
    resource,
    schema::resolve,
    server::ServerConfig,
    test, tool,
};

/// Everything that a config may name.
#[derive(Clone, Copy)]
pub struct Kinds<'a> {
    pub connectors: &'a [&'a dyn ConnectorKind],
    pub patterns: &'a [&'a dyn PatternKind],
    pub layers: &'a dyn LayersKind,
}

impl std::fmt::Debug for Kinds<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kinds")
            .field("connectors", &self.connectors.iter().map(|kind| kind.name()).collect::<Vec<_>>())
            .field("patterns", &self.patterns.iter().map(|kind| kind.name()).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// How a config is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether values of the environment may be missing: for machines without the secrets. They count as
    /// some fitting value then, and the plan is good for checking only.
    pub no_env: bool,
    /// Whether the files of tests beside the config are read, too.
    pub tests: bool,
    /// Whether tests may leave out what they expect, since it is to be recorded.
    pub recording: bool,
}

/// Texts that are read instead of what stands in files, by the paths as reports name them.
pub type Replaced = BTreeMap<String, String>;

/// A config in which everything is checked and nothing is connected.
#[derive(Debug)]
pub struct Plan {
    pub server: ServerConfig,
    pub systems: IndexMap<Arc<str>, SystemPlan>,
    pub tools: Vec<ToolPlan>,
    pub resources: Vec<ResourcePlan>,
    pub prompts: Vec<PromptPlan>,
    pub groups: Vec<GroupPlan>,
    /// Of the config, and of the files beside it if they were asked for.
    pub tests: Vec<TestPlan>,
    /// What no recording may hold: the values of the environment that stand in it, and what its systems prove
    /// themselves with, wherever that was written. The longest first.
    pub secrets: Vec<Secret>,
    /// Relative paths in the config start here: the folder of the (first) config file.
    pub base_dir: PathBuf,
    /// Of each key of `server` that is there, and of each of its limits (`limits.drain`): what changed from one
    /// plan to the next shows in it.
    pub server_fingerprints: IndexMap<String, u64>,
}

/// A plan, and what is worth a warning.
#[derive(Debug)]
pub struct Loaded {
    pub plan: Plan,
    pub report: Report,
}

/// Systems of later versions.
const LATER_CONNECTORS: [&str; 9] =
    ["amqp", "graphql", "grpc", "kafka", "mcp", "mqtt", "nats", "rabbitmq", "redis"];

/// Reads the config at `paths`: files, folders, or the current folder if there are none. The report holds
/// everything that is wrong, not only the first problem.
///
/// # Errors
/// The report, if it has an error.
pub fn load(paths: &[PathBuf], kinds: &Kinds<'_>, options: &Options) -> Result<Loaded, Report> {
    load_with_environment(paths, kinds, options, &environment::of_process)
}

/// [`load`] with other environment variables than the process's.
///
/// # Errors
/// The report, if it has an error.
pub fn load_with_environment(
    paths: &[PathBuf],
    kinds: &Kinds<'_>,
    options: &Options,
    variables: Variables<'_>,
) -> Result<Loaded, Report> {
    load_replaced(paths, kinds, options, variables, &Replaced::new())
}

/// [`load_with_environment`], with other texts than those of some files.
///
/// # Errors
/// The report, if it has an error.
pub fn load_replaced(
    paths: &[PathBuf],
    kinds: &Kinds<'_>,
    options: &Options,
    variables: Variables<'_>,
    replaced: &Replaced,
) -> Result<Loaded, Report> {
    let (mut sources, mut diagnostics) = (Sources::default(), Diagnostics::default());
    let d = &mut diagnostics;
    let merged = files::read(paths, options.tests, replaced, &mut sources, d);
    let mut environment = Environment::new(variables, &merged.base_dir, options.no_env);
    let server = environment.render(&merged.server, Part::Server, d);
    let server_fingerprints = server_fingerprints(&server);
    let server = ServerConfig::from_node(&server, d).unwrap_or_default();

    let mut systems = IndexMap::new();
    for entry in merged.section("systems") {
        check_system_name(entry, d);
        let value = environment.render_system(&entry.value, d);
        let system = system(&Entry { value, ..entry.clone() }, kinds, d);
        systems.insert(entry.key.clone(), system);
    }
    let (tracked, used) = track(&systems);
    let world = World::new(&tracked, kinds.patterns, merged.section("actions"));
    let tools = tool::read_all(merged.section("tools"), &world, d);
    let resources = resource::read_all(merged.section("resources"), &world, &merged.base_dir, d);
    let prompts: Vec<PromptPlan> =
        merged.section("prompts").iter().filter_map(|entry| prompt::read(entry, &world, d)).collect();
    world.read_rest(d);
    world.check_invalidated(d);
    let groups = group::read_all(&merged, d);
    let tests = {
        let kind_of = systems.iter().map(|(name, plan)| (name.clone(), plan.kind)).collect();
        let (tools, recording) = (merged.section("tools"), options.recording);
        let known = test::Known { kinds, tools, systems: &kind_of, sources: &sources, recording };
        test::read_all(merged.section("tests"), &known, d)
    };
    drop(tracked);
    if !d.has_errors() {
        // With an error, a tool that uses the system may be missing.
        warn_of_unused(merged.section("systems"), &used, d);
        warn_of_slow_tools(&server, &tools, merged.section("tools"), d);
    }
    let offered = ["tools", "resources", "prompts"].map(|word| merged.section(word));
    if offered.iter().all(|entries| entries.is_empty()) && !d.has_errors() {
        let span = merged.section("systems").first().map_or(merged.server.span, |entry| entry.key_span);
        d.push(
            Diagnostic::warning(span, "the config has no tools, so clients would see an empty list")
                .hint("add `tools:`; `renkei demo` shows an example"),
        );
    }
    environment.redact(&mut diagnostics);
    let mut secrets = environment.secrets();
    secrets.extend(systems.values().flat_map(|plan: &SystemPlan| plan.system.secrets()));
    secrets.retain(|secret| !secret.expose().is_empty());
    secrets.sort_by(|one, other| {
        let order = |secret: &Secret| (std::cmp::Reverse(secret.expose().len()), secret.expose().to_owned());
        order(one).cmp(&order(other))
    });
    secrets.dedup();
    let mut inputs = if paths.is_empty() { vec![PathBuf::from(".")] } else { paths.to_vec() };
    inputs.extend(sources.files.iter().map(|source| PathBuf::from(&source.name)));
    inputs.extend(environment.files());
    let report = Report::new(diagnostics, sources).of(inputs);
    if report.has_errors() {
        return Err(report);
    }
    let plan = Plan {
        server,
        systems,
        tools,
        resources,
        prompts,
        groups,
        tests,
        secrets,
        server_fingerprints,
        base_dir: merged.base_dir,
    };
    Ok(Loaded { plan, report })
}

/// Of what stands there, whatever its place: equal for equal config. It never leaves the process.
fn fingerprint(node: &Node) -> u64 {
    let mut hasher = DefaultHasher::new();
    node.to_value().to_json().hash(&mut hasher);
    hasher.finish()
}

/// By key of `server`, and by key of its `limits`.
fn server_fingerprints(server: &Node) -> IndexMap<String, u64> {
    let entries = |node: Option<&Node>, prefix: &'static str| {
        let entries = node.and_then(Node::as_map).unwrap_or_default().to_vec();
        entries.into_iter().map(move |entry| (format!("{prefix}{}", entry.key), fingerprint(&entry.value)))
    };
    let parts = [("limits", "limits."), ("audit", "audit."), ("telemetry", "telemetry.")];
    let inner = parts.into_iter().flat_map(|(key, prefix)| entries(server.get(key), prefix));
    entries(Some(server), "").chain(inner).collect()
}

fn check_system_name(entry: &Entry, d: &mut Diagnostics) {
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
fn system(entry: &Entry, kinds: &Kinds<'_>, d: &mut Diagnostics) -> SystemPlan {
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
                .hint("it arrives with a later release; remove it for now");
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
type Used = IndexMap<Arc<str>, Arc<AtomicBool>>;

/// The systems as tools see them while they are read, and which of them are used.
fn track(systems: &IndexMap<Arc<str>, SystemPlan>) -> (IndexMap<Arc<str>, SystemPlan>, Used) {
    let mut used = IndexMap::new();
    let tracked = systems
        .iter()
        .map(|(name, plan)| {
            let flag = Arc::new(AtomicBool::new(false));
            used.insert(name.clone(), flag.clone());
            let system = Arc::new(Tracked { inner: plan.system.clone(), used: flag });
            (name.clone(), SystemPlan { system, ..plan.clone() })
        })
        .collect();
    (tracked, used)
}

fn warn_of_unused(entries: &[Entry], used: &Used, d: &mut Diagnostics) {
    for entry in entries {
        if used.get(&entry.key).is_some_and(|flag| !flag.load(Ordering::Relaxed)) {
            d.push(
                Diagnostic::warning(entry.key_span, format!("no tool uses the system `{}`", entry.key))
                    .hint("remove it, or call it: `call: { … }`"),
            );
        }
    }
}

fn warn_of_slow_tools(server: &ServerConfig, tools: &[ToolPlan], entries: &[Entry], d: &mut Diagnostics) {
    let idle = server.limits.session_idle;
    for tool in tools.iter().filter(|tool| tool.timeout.is_some_and(|timeout| timeout > idle)) {
        let span =
            entries.iter().find(|entry| entry.key == tool.name).and_then(|entry| entry.value.get("timeout"));
        let message =
            format!("a call of `{}` may take longer than an older client's session lives", tool.name);
        d.push(
            Diagnostic::warning(span.map(|node| node.span).unwrap_or_default(), message)
                .hint("raise `server.limits.session_idle`"),
        );
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

    fn address(&self, request: &Request) -> Option<Vec<String>> {
        self.inner.address(request)
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

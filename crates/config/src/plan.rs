//! The whole config, checked: what `serve` starts from.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::PathBuf,
    sync::Arc,
};

use indexmap::IndexMap;
use renkei_core::{
    ConnectorKind, Diagnostic, Diagnostics, Entry, FromNode, LayersKind, Node, PatternKind, Result, Secret,
    connector::SystemPlan, diagnostic::Sources, group::GroupPlan, prompt::PromptPlan, queue::QueuePlan,
    resource::ResourcePlan, schedule::SchedulePlan, tool::ToolPlan, trial::TestPlan,
};

use crate::{
    action::World,
    environment::{self, Environment, Part, Variables},
    files, group, prompt, queue,
    report::Report,
    resource, schedule,
    server::ServerConfig,
    system, test, tool,
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
    pub queues: Vec<QueuePlan>,
    pub schedules: Vec<SchedulePlan>,
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
    let mut merged = files::read(paths, options.tests, replaced, &mut sources, d);
    merged.add("resources", queue::resources(merged.section("queues")), d);
    let mut environment = Environment::new(variables, &merged.base_dir, options.no_env);
    let server = environment.render(&merged.server, Part::Server, d);
    let server_fingerprints = server_fingerprints(&server);
    let server = ServerConfig::from_node(&server, d).unwrap_or_default();

    let mut systems = IndexMap::new();
    for entry in merged.section("systems") {
        system::check_name(entry, d);
        let value = environment.render_system(&entry.value, d);
        let system = system::read(&Entry { value, ..entry.clone() }, kinds, d);
        systems.insert(entry.key.clone(), system);
    }
    let exposed = system::exposed(&systems, merged.section("systems"), d);
    let (tracked, used) = system::track(&systems);
    let queues = queue::read_all(merged.section("queues"), d);
    let world = World::new(&tracked, kinds.patterns, merged.section("actions"), &queues);
    let tools = tool::read_all(merged.section("tools"), &world, d);
    let resources = resource::read_all(merged.section("resources"), &world, &merged.base_dir, d);
    let prompts: Vec<PromptPlan> =
        merged.section("prompts").iter().filter_map(|entry| prompt::read(entry, &world, d)).collect();
    let schedules: Vec<SchedulePlan> =
        merged.section("schedules").iter().filter_map(|entry| schedule::read(entry, &world, d)).collect();
    let queues = queue::with_workers(merged.section("queues"), &world, d);
    world.read_rest(d);
    world.check_invalidated(d);
    let groups = group::read_all(&merged, &exposed, d);
    let tests = {
        let kind_of = systems.iter().map(|(name, plan)| (name.clone(), plan.kind)).collect();
        let (tools, queues) = (merged.section("tools"), merged.section("queues"));
        let recording = options.recording;
        let known = test::Known { kinds, tools, queues, systems: &kind_of, sources: &sources, recording };
        test::read_all(merged.section("tests"), &known, d)
    };
    drop(tracked);
    if !d.has_errors() {
        // With an error, a tool that uses the system may be missing.
        system::warn_of_unused(merged.section("systems"), &used, d);
        warn_of_slow_tools(&server, &tools, merged.section("tools"), d);
    }
    let offered = ["tools", "resources", "prompts"].map(|word| merged.section(word));
    // With schedules there is something to do without clients; what systems offer is not known yet.
    let is_idle =
        offered.iter().all(|entries| entries.is_empty()) && schedules.is_empty() && exposed.is_empty();
    if is_idle && !d.has_errors() {
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
        queues,
        schedules,
        groups,
        tests,
        secrets,
        server_fingerprints,
        base_dir: merged.base_dir,
    };
    Ok(Loaded { plan, report })
}

/// Of what stands there, whatever its place: equal for equal config. It never leaves the process.
pub(crate) fn fingerprint(node: &Node) -> u64 {
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

//! From paths to a plan and its engine: the one place that knows all kinds.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use indexmap::IndexMap;
use renkei_config::{Kinds, Loaded, Options, Plan, Replaced, Report, ServerConfig};
use renkei_core::{
    Effect, diagnostic::suggest, group::GroupPlan, store::Store, task::Support, tool::ToolPlan,
};
use renkei_patterns::{
    durable::TaskLimits,
    engine::{self, Engine, Problem},
};

use crate::{
    certificate, exit,
    exposed::{Exposed, Parts},
};

/// Everything that a config may name.
pub(crate) fn kinds() -> Kinds<'static> {
    Kinds {
        connectors: renkei_connectors::CONNECTORS,
        patterns: renkei_patterns::PATTERNS,
        layers: renkei_layers::LAYERS,
    }
}

/// Reads and checks the config.
pub(crate) fn load(paths: &[PathBuf], no_env: bool) -> Result<Loaded, Report> {
    renkei_config::load(paths, &kinds(), &Options { no_env, ..Options::default() })
}

/// How tests are read that run offline.
const OFFLINE: Options = Options { no_env: true, tests: true, recording: false };

/// Reads and checks the config and its tests. The environment is not asked: a test says the same on every machine.
pub(crate) fn load_tests(paths: &[PathBuf]) -> Result<Loaded, Report> {
    renkei_config::load_with_environment(paths, &kinds(), &OFFLINE, &|_| None)
}

/// Reads and checks the config and its tests, of which some may still be recorded from the systems.
pub(crate) fn load_to_record(paths: &[PathBuf]) -> Result<Loaded, Report> {
    renkei_config::load(paths, &kinds(), &Options { no_env: false, tests: true, recording: true })
}

/// As [`load_tests`], with other texts than those of some files.
pub(crate) fn load_recorded(paths: &[PathBuf], texts: &Replaced) -> Result<Loaded, Report> {
    let options = Options { recording: true, ..OFFLINE };
    renkei_config::load_replaced(paths, &kinds(), &options, &|_| None, texts)
}

/// Reads and checks the config; `extra` goes before the process's own variables.
pub(crate) fn load_with(paths: &[PathBuf], extra: &[(String, String)]) -> Result<Loaded, Report> {
    renkei_config::load_with_environment(paths, &kinds(), &Options::default(), &|name| {
        let own = extra.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        own.or_else(|| renkei_config::of_process(name))
    })
}

/// The same for commands that go on with it: problems are printed, warnings too.
pub(crate) fn load_or_report(paths: &[PathBuf]) -> Result<Loaded, ExitCode> {
    match load(paths, false) {
        Ok(loaded) => {
            if !loaded.report.is_empty() {
                print(&loaded.report);
            }
            Ok(loaded)
        }
        Err(report) => {
            print(&report);
            Err(ExitCode::from(exit::CONFIG))
        }
    }
}

#[expect(clippy::print_stderr, reason = "diagnostics are for the person at the terminal")]
pub(crate) fn print(report: &Report) {
    eprintln!("{}", report.render(renkei_config::Style::detect()));
}

/// The engine's limits, as the config sets them.
pub(crate) fn options(plan: &Plan) -> engine::Options {
    let limits = &plan.server.limits;
    engine::Options {
        base_dir: plan.base_dir.clone(),
        tool_timeout: limits.tool_timeout,
        result_bytes: limits.result_bytes.as_usize(),
        content_bytes: limits.content_bytes.as_usize(),
        concurrent_calls: limits.concurrent_calls,
        listed_resources: limits.listed_resources,
        cursor_key: plan.server.cursor_key.clone(),
        audited: plan.server.audit.arguments.into(),
        watched_resources: limits.watched_resources,
        ask: engine::AskLimits {
            key: plan.server.ask_key.clone(),
            time: limits.ask,
            rounds: limits.ask_rounds,
            state_bytes: limits.ask_state.as_usize(),
        },
        tasks: TaskLimits {
            ttl: limits.task_ttl,
            run_time: limits.run_time,
            each: limits.tasks,
            poll: limits.task_poll,
            patience: limits.task_patience,
        },
        keep: engine::Keep {
            result_bytes: limits.kept_result.as_usize(),
            total_bytes: limits.kept_results.as_usize(),
            time: limits.kept_for,
        },
    }
}

/// A plan, ready to run.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) server: ServerConfig,
    pub(crate) engine: Arc<Engine>,
    pub(crate) groups: Vec<GroupPlan>,
    /// For when systems offer other tools.
    pub(crate) exposed: Option<Exposed>,
    /// See [`Plan::server_fingerprints`].
    pub(crate) server_fingerprints: IndexMap<String, u64>,
    /// What is worth a warning, and what the config was read from.
    pub(crate) report: Report,
    /// See [`Plan::base_dir`].
    pub(crate) base_dir: PathBuf,
}

impl Compiled {
    /// The files and folders that a change of makes another config, certificates included.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        let tls = self.server.tls.iter().flat_map(|tls| certificate::files(tls, &self.base_dir));
        self.report.inputs().iter().cloned().chain(tls).collect()
    }

    /// A group by its name.
    ///
    /// # Errors
    /// A sentence that says which groups there are.
    pub(crate) fn group(&self, name: &str) -> Result<&GroupPlan, String> {
        let found = self.groups.iter().find(|group| &*group.name == name);
        found.ok_or_else(|| match suggest(name, self.groups.iter().map(|group| &*group.name)) {
            Some(close) => format!("there is no group `{name}`: did you mean `{close}`?"),
            None => format!("there is no group `{name}`: `renkei check` lists them"),
        })
    }
}

/// Compiles a plan's tools, as the successor of `old`.
pub(crate) fn compile_after(
    loaded: Loaded,
    old: Option<&Engine>,
) -> Result<Compiled, (Report, Vec<Problem>)> {
    compiled(loaded, |engine| match old {
        Some(old) => engine.following(old),
        None => engine,
    })
}

fn compile_first(loaded: Loaded, store: Option<Arc<dyn Store>>) -> Result<Compiled, (Report, Vec<Problem>)> {
    compiled(loaded, |engine| match store {
        Some(store) => engine.keeping(store),
        None => engine,
    })
}

fn compiled(
    loaded: Loaded,
    complete: impl FnOnce(Engine) -> Engine,
) -> Result<Compiled, (Report, Vec<Problem>)> {
    let Loaded { plan, report } = loaded;
    let parts = Parts::of(&plan);
    let exposed = Exposed::new(parts.clone(), &plan.server, &plan.groups);
    let engine = match parts.compile(Vec::new()) {
        Ok(engine) => complete(engine),
        Err(problems) => return Err((report, problems)),
    };
    Ok(Compiled {
        exposed,
        server: plan.server,
        engine: Arc::new(engine),
        groups: plan.groups,
        server_fingerprints: plan.server_fingerprints,
        report,
        base_dir: plan.base_dir,
    })
}

/// Whether something in the plan keeps what is durable.
pub(crate) fn needs_store(plan: &Plan) -> bool {
    // Where answers outlive the process that asked, or go to another one, the store knows which were used.
    let is_asked_everywhere = plan.server.ask_key.is_some();
    let is_durable = |tool: &ToolPlan| {
        tool.idempotency.is_some()
            || tool.task != Support::Never
            || is_asked_everywhere && tool.action.asks() && tool.action.effect() != Effect::Read
    };
    !plan.queues.is_empty() || plan.tools.iter().any(is_durable)
}

/// Compiles a plan's tools; problems are printed.
pub(crate) fn compile(loaded: Loaded) -> Result<Compiled, ExitCode> {
    compile_with(loaded, None)
}

/// The same with a place for what is durable.
pub(crate) fn compile_with(loaded: Loaded, store: Option<Arc<dyn Store>>) -> Result<Compiled, ExitCode> {
    let compiled = compile_first(loaded, store);
    compiled.map_err(|(_, problems)| {
        for problem in problems {
            exit::fail(&problem.to_string());
        }
        ExitCode::from(exit::CONFIG)
    })
}

/// Compiles a plan's tools and starts to connect its systems, in the background.
pub(crate) fn start(loaded: Loaded) -> Result<Compiled, ExitCode> {
    let compiled = compile(loaded)?;
    compiled.engine.start();
    Ok(compiled)
}

//! `renkei test`: the config's own tests, offline.

use std::{io::Write as _, path::Path, process::ExitCode, sync::Arc, time::Instant};

use async_trait::async_trait;
use indexmap::IndexMap;
use renkei_config::{Loaded, Plan, Report};
use renkei_core::{
    CallContext, Secret, Value,
    connector::SystemPlan,
    queue::QueuePlan,
    tool::{ToolPlan, ToolResult, Tools as _},
    trial::TestPlan,
};
use renkei_patterns::engine::{self, Engine};
use renkei_trial::{Pad, Rehearse, Verdict};

use crate::{cli::TestArgs, exit, load};

pub(crate) async fn run(args: TestArgs) -> ExitCode {
    if args.record {
        return crate::record::run(args).await;
    }
    let Loaded { mut plan, report } = match load::load_tests(&args.config.paths) {
        Ok(loaded) => loaded,
        Err(report) => return refused(&args, &report),
    };
    if !report.is_empty() && !args.json {
        load::print(&report);
    }
    let tests = match chosen(std::mem::take(&mut plan.tests), args.filter.as_deref()) {
        Ok(tests) => tests,
        Err(why) => return exit::usage(&why),
    };
    let began = Instant::now();
    // The tests have a runtime of their own, whose clock stands still.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one thing that this command does, and every test ends"
    )]
    let ran =
        tokio::task::spawn_blocking(move || renkei_trial::run_all(&tests, &plan.systems, &House::new(&plan)));
    match ran.await {
        Ok(Ok(verdicts)) => tell(&args, &verdicts, &report, began),
        Ok(Err(error)) => exit::fail(&format!("failed to start the runtime of the tests: {error}")),
        Err(error) => exit::fail(&format!("failed to run the tests: {error}")),
    }
}

/// Tells what is wrong with the config or a test.
pub(crate) fn refused(args: &TestArgs, report: &Report) -> ExitCode {
    if args.json {
        let findings = Value::from([("ok", Value::from(false)), ("findings", report.to_value())]);
        say(&findings.to_json_pretty());
    } else {
        load::print(report);
    }
    ExitCode::from(exit::CONFIG)
}

pub(crate) fn chosen(tests: Vec<TestPlan>, filter: Option<&str>) -> Result<Vec<TestPlan>, String> {
    if tests.is_empty() {
        return Err(
            "the config has no tests: write `tests:` into it, or into a file `NAME.test.yaml` beside it"
                .into(),
        );
    }
    let Some(filter) = filter else { return Ok(tests) };
    let count = tests.len();
    let chosen: Vec<TestPlan> = tests.into_iter().filter(|test| test.name.contains(filter)).collect();
    if chosen.is_empty() {
        return Err(format!("none of the {count} tests has `{filter}` in its name"));
    }
    Ok(chosen)
}

fn tell(args: &TestArgs, verdicts: &[Verdict], report: &Report, began: Instant) -> ExitCode {
    let place = |span| report.place(span);
    if args.json {
        say(&renkei_trial::to_value(verdicts, &place).to_json_pretty());
    } else {
        say(&renkei_trial::text(verdicts, &place, began.elapsed()));
    }
    if let Some(path) = &args.junit
        && let Err(error) = write(path, &renkei_trial::junit(verdicts, &place))
    {
        return exit::fail(&format!("failed to write `{}`: {error}", path.display()));
    }
    ExitCode::from(if verdicts.iter().all(Verdict::passed) { 0 } else { exit::FAILED })
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)
}

pub(crate) fn say(text: &str) {
    // A closed pipe is nobody's error.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The engine as tests call it: a new one for each, so that nothing is left of the one before.
pub(crate) struct House {
    tools: IndexMap<Arc<str>, ToolPlan>,
    queues: Vec<QueuePlan>,
    options: engine::Options,
}

impl House {
    pub(crate) fn new(plan: &Plan) -> Self {
        let tools = plan.tools.iter().map(|tool| (tool.name.clone(), tool.clone())).collect();
        // Always the same, so that a test may go on with a cursor that another one showed.
        let cursor_key = Some(Secret::new("the tests of a config"));
        House {
            tools,
            queues: plan.queues.clone(),
            options: engine::Options { cursor_key, ..load::options(plan) },
        }
    }
}

#[async_trait]
impl Rehearse for House {
    async fn call(
        &self,
        systems: IndexMap<Arc<str>, SystemPlan>,
        store: Arc<Pad>,
        test: &TestPlan,
        cx: CallContext,
        arguments: Value,
    ) -> Result<ToolResult, String> {
        let name = &test.tool;
        let tools =
            if test.is_worker { Vec::new() } else { self.tools.get(name).cloned().into_iter().collect() };
        let engine = Engine::new(systems, tools, self.options.clone())
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?
            .keeping(store)
            .working(self.queues.clone());
        engine.start();
        let result = match test.is_worker {
            true => engine.rehearse(name, cx, arguments).await,
            false => engine.call(cx, name, arguments, None).await.map_err(|unknown| unknown.to_string()),
        };
        engine.shutdown().await;
        result
    }
}

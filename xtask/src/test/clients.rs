//! Other people's MCP clients against the built binary: each script speaks TAP, we count.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{command, install, report::Tally, service::Service, standin::StandIn, workspace};

const FOLDER: &str = "tests/clients";
const SCRIPT_LIMIT: Duration = Duration::from_secs(180);

/// Scripts in `tests/clients`; the ending names who runs it.
const SCRIPTS: &[&str] = &[
    "python_mcp.py",
    "python_fastmcp.py",
    "node_client.mjs",
    "node_sdk.mjs",
    "node_inspector.mjs",
    TASKS,
    // Servers that Renkei is a client of.
    "python_upstreams.py",
];
/// The one for tools whose calls become tasks, which have a config of their own.
const TASKS: &str = "node_tasks.mjs";

pub(super) fn run(binary: &Path, tally: &mut Tally) -> Result<()> {
    let python = install::python()?;
    let node = install::node()?;
    let config = workspace::root().join(FOLDER).join("renkei.yaml");
    let upstream = StandIn::start()?;
    let upstream_url = upstream.url();
    let service = Service::start(binary, &config, &[("UPSTREAM", &upstream_url)])?;
    let logs = workspace::target_directory()?.join("xtask-clients");
    fs::create_dir_all(&logs)?;
    let tasks = workspace::root().join(FOLDER).join("tasks.yaml");
    let store = workspace::fresh_store("xtask-clients")?;
    let tasks = Service::start(binary, &tasks, &[("UPSTREAM", &upstream_url), ("STORE", &store)])?;
    for script in SCRIPTS {
        let service = if *script == TASKS { &tasks } else { &service };
        let mut command = if script.ends_with(".py") {
            let mut command = Command::new(&python);
            command.arg(workspace::root().join(FOLDER).join(script));
            command
        } else {
            let mut command = Command::new(&node.program);
            command.arg(beside_modules(&node, script)?);
            command
        };
        command.env("RENKEI_BINARY", binary).env("RENKEI_CONFIG", &config);
        command.env("RENKEI_URL", &service.url).env("UPSTREAM", &upstream_url);
        command.env("NODE", &node.program).env("MODULES", node.folder.join("node_modules"));
        let before = tally.failures.len();
        let name = script.split('.').next().unwrap_or(script);
        // The servers that it starts on stdio log there, too: of interest only when something failed.
        let noise = logs.join(format!("{name}.log"));
        command.stderr(fs::File::create(&noise)?);
        if let Err(error) = follow(&mut command, name, tally) {
            tally.fail(&format!("{name} runs to its end"), &format!("{error:#}"));
        }
        if tally.failures.len() > before {
            println!("  # the server's log ends with\n{}", service.log());
            println!("  # standard error of the client and of its servers is in {}", noise.display());
        }
    }
    Ok(())
}

/// Node looks for modules beside the script, so scripts run from a copy in the cache.
fn beside_modules(node: &install::Node, script: &str) -> Result<PathBuf> {
    for name in [script, "node_common.mjs"] {
        fs::copy(workspace::root().join(FOLDER).join(name), node.folder.join(name))
            .with_context(|| format!("cannot copy {name}"))?;
    }
    Ok(node.folder.join(script))
}

/// Reads `ok - NAME` and `not ok - NAME` with `# ` lines after it, and the plan `1..N` at the end.
fn follow(command: &mut Command, script: &str, tally: &mut Tally) -> Result<()> {
    let mut pending: Option<(String, String)> = None;
    let mut planned = None;
    let mut seen = 0;
    let status = command::follow_stdout(command, SCRIPT_LIMIT, |line| {
        if let (Some((_, why)), Some(more)) = (&mut pending, line.strip_prefix("# ")) {
            why.push_str(more);
            why.push('\n');
            return;
        }
        if let Some((name, why)) = pending.take() {
            tally.fail(&name, &why);
        }
        if let Some(name) = line.strip_prefix("ok - ") {
            seen += 1;
            tally.pass(&format!("{script}: {name}"));
        } else if let Some(name) = line.strip_prefix("not ok - ") {
            seen += 1;
            pending = Some((format!("{script}: {name}"), String::new()));
        } else if let Some(count) = line.strip_prefix("1..") {
            planned = count.parse::<usize>().ok();
        }
    })?;
    if let Some((name, why)) = pending.take() {
        tally.fail(&name, &why);
    }
    anyhow::ensure!(planned == Some(seen) && seen > 0, "it planned {planned:?} tests and ran {seen}");
    anyhow::ensure!(status.success(), "it ended with {status}");
    Ok(())
}

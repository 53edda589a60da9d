//! Other people's servers over the same backends, each set up as well as its manual allows.

use std::{fs, path::Path, process::Command};

use anyhow::Result;

use super::yardstick::Driver;
use crate::{
    install,
    service::{self, Service},
    workspace,
};

/// MCP Toolbox with the REST backend and a SQLite file. It logs nothing of a call.
pub(super) fn toolbox(folder: &Path, upstream: &str, database: &Path) -> Result<Service> {
    let config = folder.join("toolbox.yaml");
    fs::write(&config, toolbox_config(upstream, database))?;
    let port = service::free_port()?;
    let mut command = Command::new(install::toolbox()?);
    command.arg("--config").arg(&config).args(["--port", &port.to_string(), "--log-level", "WARN"]);
    command.args(["--disable-version-check", "--disable-reload"]);
    Service::silent(command, port, "/mcp")
}

fn toolbox_config(upstream: &str, database: &Path) -> String {
    let parameter = "\n      - { name: id, type: integer, description: The item's number }\n";
    format!(
        "sources:\n  rest: {{ kind: http, baseUrl: '{upstream}', allowPrivateNetworks: true }}\n  \
         lite: {{ kind: sqlite, database: '{}' }}\n\
         tools:\n  get_item_0:\n    kind: http\n    source: rest\n    method: GET\n    \
         path: '/stock/{{{{.id}}}}'\n    description: One item.\n    pathParams:{parameter}  \
         get_row:\n    kind: sqlite-sql\n    source: lite\n    description: One item.\n    \
         statement: 'select id, name, price from items where id = ?'\n    parameters:{parameter}",
        database.display()
    )
}

/// FastMCP over the REST backend, without sessions, on the quickest loop and parser that uvicorn has, as many
/// processes as cores.
pub(super) fn fastmcp(upstream: &str) -> Result<Service> {
    let port = service::free_port()?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut command = Command::new(install::python_peers()?);
    command.args(["-m", "uvicorn", "fastmcp_server:app", "--log-level", "warning", "--no-access-log"]);
    command.args(["--loop", "uvloop", "--http", "httptools", "--port", &port.to_string()]);
    command.args(["--workers", &workers.to_string(), "--app-dir"]);
    command.arg(workspace::root().join("tests/peers")).env("UPSTREAM", upstream);
    Service::silent(command, port, "/mcp")
}

/// A queue of npm on PostgreSQL, by its name, and its worker.
pub(super) fn node_queue(name: &str, url: &str) -> Result<Driver> {
    let node = install::node_peers()?;
    // It must lie beside the packages to find them.
    let script = node.folder.join("queue.mjs");
    fs::write(&script, workspace::read("tests/peers/queue.mjs")?)?;
    let mut command = Command::new(node.program);
    command.arg(script).args([name, url]);
    Driver::start(command)
}

/// procrastinate on PostgreSQL, and its worker.
pub(super) fn procrastinate(url: &str) -> Result<Driver> {
    let mut command = Command::new(install::python_queue()?);
    command.arg(workspace::root().join("tests/peers/queue_procrastinate.py")).arg(url);
    Driver::start(command)
}

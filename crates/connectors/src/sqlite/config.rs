//! What stands under `sqlite:`.

use std::{path::PathBuf, time::Duration};

use renkei_core::{Diagnostic, Diagnostics, Node, read::Bytes};
use renkei_derive::FromNode;

/// A SQLite database in a file.
#[derive(Clone, Debug, FromNode)]
#[config(check = check)]
pub struct Config {
    /// The file, relative to the folder of the config. `:memory:` is an empty database that lives as
    /// long as the connection and has no file.
    pub path: PathBuf,
    /// Opens the file for reading only, and refuses every statement that would change anything.
    #[config(default)]
    pub read_only: bool,
    /// Creates the file when it is not there. Without it, a missing file is an error.
    #[config(default)]
    pub create: bool,
    /// How many statements run at the same time, each on a thread and a connection of its own.
    #[config(default = 4)]
    pub connections: usize,
    /// How many calls may wait for a connection; more are refused as `rate_limited`.
    #[config(default = 100)]
    pub queue: usize,
    /// How long the statements of one call may run.
    #[config(default = "5s")]
    pub statement_timeout: Duration,
    /// How long to wait for a lock that another program holds on the file.
    #[config(default = "2s")]
    pub busy_timeout: Duration,
    /// The most rows that a statement gives; more are cut, with a notice.
    #[config(default = 1000)]
    pub max_rows: usize,
    /// The most bytes of JSON that a statement gives; more are cut at a whole row, with a notice.
    #[config(default = "1MB")]
    pub max_bytes: Bytes,
}

/// More threads than this never help with one file.
const MAX_CONNECTIONS: usize = 64;

impl Config {
    /// Whether the database has no file.
    pub fn in_memory(&self) -> bool {
        self.path.as_os_str() == ":memory:"
    }

    /// How many threads the pool has. A database without a file exists once only.
    pub fn threads(&self) -> usize {
        if self.in_memory() { 1 } else { self.connections }
    }
}

fn check(config: &Config, node: &Node, d: &mut Diagnostics) {
    let span = |key: &str| node.get(key).map_or(node.span, |value| value.span);
    let mut error = |key: &str, message: &str, hint: &str| {
        d.push(Diagnostic::error(span(key), message).hint(hint));
    };
    if config.read_only && config.in_memory() {
        error(
            "read_only",
            "a database in memory begins empty; there is nothing to read",
            "leave `read_only` out",
        );
    }
    if config.read_only && config.create {
        error(
            "create",
            "a file that is opened for reading only cannot be created",
            "leave one of the two out",
        );
    }
    if !(1..=MAX_CONNECTIONS).contains(&config.connections) {
        error("connections", "`connections` is between 1 and 64", "leave it out for 4");
    }
    for (key, zero) in [
        ("max_rows", config.max_rows == 0),
        ("queue", config.queue == 0),
        ("max_bytes", config.max_bytes.0 == 0),
        ("statement_timeout", config.statement_timeout.is_zero()),
    ] {
        if zero {
            error(key, &format!("`{key}` cannot be 0"), "leave it out for its default");
        }
    }
}

//! Logs on stderr: stdout belongs to results, and to the protocol with `--stdio`.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// What is logged unless asked: our own lines. The MCP library's at `info` say the same at more length.
pub(crate) const DEFAULT_FILTER: &str = "info,rmcp=warn";

/// Starts logging. The error is a sentence about the filter.
pub(crate) fn start(filter: &str, json: bool) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|e| {
        format!("`{filter}` is not a log filter: {e}; write a level such as `info`, or `renkei_mcp=debug`")
    })?;
    let ansi = std::io::stderr().is_terminal();
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi);
    let started = if json { registry.with(layer.json()).try_init() } else { registry.with(layer).try_init() };
    started.map_err(|e| e.to_string())
}

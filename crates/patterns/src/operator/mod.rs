//! What operators do with `renkei queue`, `renkei dead` and `renkei task`, for tools of agents that may.
//!
//! Opt-in: a tool does one thing to one queue, as the config says. What is changed is one commit, so that a durable run
//! does it once. Reading order: the config, then queues, dead letters and tasks.

mod config;
mod dead;
mod queue;
mod tasks;

pub(crate) use config::{
    DEAD_DISCARD, DEAD_LIST, DEAD_REPLAY, DEAD_SHOW, QUEUE_PAUSE, QUEUE_PURGE, QUEUE_RESUME, TASK_CANCEL,
    TASK_LIST, TASK_SHOW,
};

use std::sync::Arc;

use renkei_core::{Error, Result, RunContext, Scope, Tree, Value, store::Store};

fn store(cx: &RunContext) -> Result<&Arc<dyn Store>> {
    let message = "look into the store: nothing in this config is durable, so there is none";
    cx.store().ok_or_else(|| Error::new(renkei_core::Kind::Rejected, message))
}

/// What a template gives, as a text. Absent and null are nothing.
fn text(tree: Option<&Tree>, scope: &Scope) -> Result<Option<String>> {
    let Some(tree) = tree else { return Ok(None) };
    Ok(match tree.render(scope)? {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.to_string()),
        Some(other) => Some(other.to_json()),
    })
}

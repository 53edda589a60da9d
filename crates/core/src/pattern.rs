//! What a pattern is: an action's shape, read from the config and run.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use indexmap::IndexMap;

use crate::{
    Definitions, Diagnostics, Effect, Node, Payload, Result, RunContext, Schema, Value,
    connector::SystemPlan, template::Names,
};

/// A kind of action, such as `call`: one folder in `patterns`, one line in its slice.
pub trait PatternKind: Send + Sync {
    /// The key in the config: `tools: { x: { call: … } }`.
    fn name(&self) -> &'static str;

    /// Of what stands under that key. `ops` holds, per connector kind, the schema of its operations.
    fn schema(&self, ops: &[(&'static str, Schema)], defs: &mut Definitions) -> Schema;

    /// Reads an action. No I/O.
    fn read(&self, node: &Node, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>>;
}

/// What reading an action needs to know.
pub struct ActionContext<'a> {
    pub systems: &'a IndexMap<Arc<str>, SystemPlan>,
    pub patterns: &'a [&'a dyn PatternKind],
    /// What templates may refer to here.
    pub names: Names<'a>,
    pub diagnostics: &'a mut Diagnostics,
}

impl fmt::Debug for ActionContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActionContext")
    }
}

/// An action: JSON in, JSON out.
#[async_trait]
pub trait Pattern: Send + Sync + fmt::Debug {
    /// The strongest effect that a repeat of the whole action can have; the tool's hints follow from
    /// it. A key does not weaken it: it belongs to a run, and a repeated action is another run.
    fn effect(&self) -> Effect;

    /// Whether it reaches systems outside the machine; the tool's open-world hint follows from it.
    fn open_world(&self) -> bool;

    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome>;
}

/// What an action gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub value: Payload,
    /// About the value, such as a reply's status; an empty object where there is nothing to say.
    pub meta: Value,
    /// Sentences for the model about what is missing, such as rows that were cut.
    pub notices: Vec<String>,
}

//! What a pattern is: an action's shape, read from the config and run.

mod action;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use indexmap::IndexMap;

pub use action::{Holder, LATER};

/// So deep actions nest at most, those that `run` names included.
pub const MAX_NESTING: usize = 16;

use crate::{
    Definitions, Diagnostics, Effect, Entry, Error, Node, Payload, Position, Result, RunContext, Schema,
    Span, Tree, Value, connector::SystemPlan, queue::Queue, template::Names,
};

/// The definition that stands for any action in JSON Schemas: `{ "$ref": "#/$defs/action" }`. Other keys may
/// stand beside those of the action: a schema that refers to it says `unevaluatedProperties: false`.
pub const ACTION_DEFINITION: &str = "action";

/// The mapping that `own` is the schema of, with an action in it.
pub fn with_action(own: &Schema, defs: &Definitions) -> Schema {
    let definition = own.get("$ref").and_then(|r| r.as_str()?.strip_prefix("#/$defs/"));
    let own = definition.and_then(|name| defs.map.get(name)).unwrap_or(own);
    let mut map = own.as_object().cloned().unwrap_or_default();
    map.insert("$ref".into(), format!("#/$defs/{ACTION_DEFINITION}").into());
    // `additionalProperties` would refuse the keys of the action.
    map.shift_remove("additionalProperties");
    map.insert("unevaluatedProperties".into(), false.into());
    map.into()
}

/// A kind of action, such as `call`: one folder in `patterns`, one line in its slice.
pub trait PatternKind: Send + Sync {
    /// The key in the config: `tools: { x: { call: … } }`.
    fn name(&self) -> &'static str;

    /// Of what stands under that key. `ops` holds, per connector kind, the schema of its operations.
    fn schema(&self, ops: &[(&'static str, Schema)], defs: &mut Definitions) -> Schema;

    /// Keys that may stand beside its own, such as `with` beside `run`, each with its schema.
    fn companions(&self, _: &mut Definitions) -> Vec<(&'static str, Schema)> {
        Vec::new()
    }

    /// Reads an action. No I/O.
    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>>;
}

/// An action as it stands in the config.
#[derive(Clone, Copy, Debug)]
pub struct ActionNode<'a> {
    /// The pattern's key, for problems with the action as a whole.
    pub key: Span,
    /// What stands under it.
    pub value: &'a Node,
    /// The pattern's companions, as far as they are there.
    pub companions: &'a [Entry],
}

impl<'a> ActionNode<'a> {
    /// An action without companions.
    pub fn alone(value: &'a Node) -> Self {
        ActionNode { key: value.span, value, companions: &[] }
    }

    pub fn companion(&self, key: &str) -> Option<&'a Entry> {
        self.companions.iter().find(|entry| *entry.key == *key)
    }
}

/// What reading an action needs to know.
pub struct ActionContext<'a> {
    pub systems: &'a IndexMap<Arc<str>, SystemPlan>,
    pub patterns: &'a [&'a dyn PatternKind],
    pub actions: &'a dyn Actions,
    /// What templates may refer to here.
    pub names: Names<'a>,
    /// Whether every run of it has a journal: then it goes on after a question, instead of beginning anew.
    pub journaled: bool,
    pub diagnostics: &'a mut Diagnostics,
}

impl ActionContext<'_> {
    /// The same for an action inside this one, whose templates may refer to `names`.
    pub fn nested<'b>(&'b mut self, names: Names<'b>) -> ActionContext<'b> {
        let ActionContext { systems, patterns, actions, journaled, .. } = *self;
        ActionContext { systems, patterns, actions, names, journaled, diagnostics: self.diagnostics }
    }
}

impl fmt::Debug for ActionContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActionContext")
    }
}

/// The actions under the config's `actions:`.
pub trait Actions {
    /// The action `name`, read now if it was not yet. Nothing, with diagnostics at `at`, if there is none,
    /// if it is broken, or if it is being read: then it would run itself.
    fn get(&self, name: &str, at: Span, d: &mut Diagnostics) -> Option<Arc<ActionPlan>>;

    /// Notes that a call keeps its replies in a cache with this name.
    fn keeps(&self, _: &Arc<str>) {}

    /// What the config says of the queue `name`. Nothing, with diagnostics at `at`, if there is none or it is broken.
    fn queue(&self, name: &str, at: Span, d: &mut Diagnostics) -> Option<Arc<Queue>> {
        let diagnostic = crate::Diagnostic::error(at, format!("there is no queue `{name}`"));
        d.push(diagnostic.hint("declare it under `queues`"));
        None
    }

    /// Notes that something enqueues in a queue.
    fn feeds(&self, _: &Arc<str>) {}

    /// Notes that somebody receives the messages of a queue.
    fn receives(&self, _: &Arc<str>) {}

    /// Notes that a call invalidates the cache `name`; whether there is one is known when all calls are read.
    fn invalidates(&self, _: &Arc<str>, _: Span) {}
}

/// No actions at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoActions;

impl Actions for NoActions {
    fn get(&self, name: &str, at: Span, d: &mut Diagnostics) -> Option<Arc<ActionPlan>> {
        d.push(
            crate::Diagnostic::error(at, format!("there is no action `{name}`"))
                .hint("declare it under `actions`"),
        );
        None
    }
}

/// An action with a name, for `run`.
#[derive(Debug)]
pub struct ActionPlan {
    pub name: Arc<str>,
    /// JSON Schema 2020-12 of its input: always of type `object`.
    pub input_schema: Value,
    pub action: Arc<dyn Pattern>,
    /// Shapes the result; the action's own value without it.
    pub output: Option<Tree>,
    /// The whole action; only what is around it limits it without this.
    pub timeout: Option<Duration>,
}

/// An action: JSON in, JSON out.
#[async_trait]
pub trait Pattern: Send + Sync + fmt::Debug {
    /// The strongest effect that a repeat of the whole action can have; the tool's hints follow from
    /// it. A key does not weaken it: it belongs to a run, and a repeated action is another run.
    fn effect(&self) -> Effect;

    /// What a repeat within the same run can do, such as another attempt of a queue's worker. The run has the same key then,
    /// so that what carries `$key` is idempotent. Of this action itself, without the actions in it.
    fn repeat(&self) -> Effect {
        self.effect()
    }

    /// The actions directly in it.
    fn inner(&self) -> Vec<&dyn Pattern> {
        Vec::new()
    }

    /// The queue that it puts messages into.
    fn feeds(&self) -> Option<&Arc<str>> {
        None
    }

    /// Whether it reaches systems outside the machine; the tool's open-world hint follows from it.
    fn open_world(&self) -> bool;

    /// The `$names` that its outcome binds for the templates of `output` and `content`, beside `$result` and
    /// `$result_meta`: the branches of an aggregate.
    fn results(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Whether it may [ask](RunContext::ask). Nothing that changes something may come before a question, unless the run has
    /// a [journal](ActionContext::journaled): the answer may come with a call that begins anew. Whoever puts actions together
    /// checks that.
    fn asks(&self) -> bool {
        false
    }

    /// How many actions deep it is, itself included; see [`MAX_NESTING`].
    fn height(&self) -> usize {
        1
    }

    /// Whether it can go on with a list where an earlier run stopped: see [`Pattern::resume`].
    fn resumes(&self) -> bool {
        false
    }

    /// Runs it. Dropping the future ends the run and frees what it held.
    async fn run(&self, cx: &RunContext, input: Value) -> Result<Outcome>;

    /// Runs it from where an earlier run with the same input stopped, as its [`Outcome::next`] said. It stops, too,
    /// before the list has more than `room` bytes of JSON, but never without an item: the rest is for a later run.
    async fn resume(&self, _: &RunContext, _: Value, _from: Position, _room: usize) -> Result<Outcome> {
        Err(Error::internal("go on with a list: this action has none"))
    }
}

/// What a repeat of the whole action within the same run can do: see [`Pattern::repeat`].
pub fn repeat_of(action: &dyn Pattern) -> Effect {
    let inner = action.inner();
    // What an action with others in it does, they do.
    if inner.is_empty() {
        return action.repeat();
    }
    inner.into_iter().map(repeat_of).max().unwrap_or(Effect::Read)
}

/// The queues that an action puts messages into, itself or by one in it.
pub fn queues_fed_by(action: &dyn Pattern) -> Vec<Arc<str>> {
    let own = action.feeds().cloned();
    own.into_iter().chain(action.inner().into_iter().flat_map(queues_fed_by)).collect()
}

/// What an action gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub value: Payload,
    /// About the value, such as a reply's status; an empty object where there is nothing to say.
    pub meta: Value,
    /// Sentences for the model about what is missing, such as rows that were cut.
    pub notices: Vec<String>,
    /// What [`Pattern::results`] names. One that is not here is absent.
    pub results: Vec<(Arc<str>, Value)>,
    /// Where the list of the value goes on; only of an action that [`resumes`](Pattern::resumes).
    pub next: Option<Position>,
}

impl Outcome {
    /// A value about which there is nothing more to say.
    pub fn json(value: Value) -> Self {
        Outcome {
            value: Payload::Json(value),
            meta: Value::object(),
            notices: Vec::new(),
            results: Vec::new(),
            next: None,
        }
    }

    /// What templates of `output` and `content` see of it, by name: `result`, `result_meta`, and the
    /// [`results`](Outcome::results).
    pub fn vars(&self) -> Vec<(Arc<str>, Value)> {
        let own =
            [("result".into(), self.value.clone().into_value()), ("result_meta".into(), self.meta.clone())];
        self.results.iter().cloned().chain(own).collect()
    }
}

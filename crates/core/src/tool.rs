//! Tools: what the config declares, and the port through which faces reach them.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{CallContext, Error, Pattern, Tree, Value, run::ProgressSink, task::Support};

/// A tool as the config declares it: everything is checked, nothing is connected.
#[derive(Clone, Debug)]
pub struct ToolPlan {
    pub name: Arc<str>,
    pub title: Option<String>,
    pub description: String,
    /// JSON Schema 2020-12 of the arguments, as it is published: always of type `object`.
    pub input_schema: Value,
    /// Of the result as the config says it, before it is wrapped.
    pub output_schema: Option<Value>,
    pub annotations: Annotations,
    pub icons: Vec<Icon>,
    pub action: Arc<dyn Pattern>,
    /// Shapes the result; the action's own value without it.
    pub output: Option<Tree>,
    /// Parts of the result; its JSON as text without them.
    pub content: Option<Vec<ContentPlan>>,
    /// The whole call; the server's default without it.
    pub timeout: Option<Duration>,
    /// Which calls are the same.
    pub idempotency: Option<IdempotencyPlan>,
    /// Whether a call becomes a task.
    pub task: Support,
    /// Tells whether another config says the same of it and of the actions that it may run. A run under way does not go on
    /// when it is another one.
    pub definition: Arc<str>,
}

/// Which calls of a tool are the same: the second one has the outcome of the first.
#[derive(Clone, Debug)]
pub struct IdempotencyPlan {
    /// Of the input: the key. A call without one is like no other.
    pub key: Tree,
    /// How long a key is remembered.
    pub ttl: Duration,
}

/// One part of `content:`, with its templates.
#[derive(Clone, Debug)]
pub enum ContentPlan {
    Text {
        text: Tree,
    },
    /// `data` is base64.
    Image {
        data: Tree,
        mime_type: Tree,
    },
    Audio {
        data: Tree,
        mime_type: Tree,
    },
    /// Exactly one of `text` and `blob` (base64).
    Resource {
        uri: Tree,
        mime_type: Option<Tree>,
        text: Option<Tree>,
        blob: Option<Tree>,
    },
    Link {
        uri: Tree,
        name: Tree,
        description: Option<Tree>,
        mime_type: Option<Tree>,
    },
}

/// Hints for clients; policy never follows from them. `None` follows from the pattern.
#[derive(Clone, Debug, Default)]
pub struct Annotations {
    pub read_only: Option<bool>,
    pub destructive: Option<bool>,
    pub idempotent: Option<bool>,
    pub open_world: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icon {
    /// `https:` or `data:`.
    pub src: String,
    pub mime_type: Option<String>,
    /// Such as `48x48` or `any`.
    pub sizes: Vec<String>,
}

/// A tool as faces publish it.
#[derive(Debug)]
pub struct ToolInfo {
    pub name: Arc<str>,
    pub title: Option<String>,
    pub description: String,
    pub input_schema: Value,
    /// Of type `object` always: a result of another type is published as `{ "result": … }`.
    pub output_schema: Option<Value>,
    pub read_only: bool,
    pub destructive: bool,
    pub idempotent: bool,
    pub open_world: bool,
    /// Whether a call may end with questions, for a later one.
    pub asks: bool,
    pub icons: Vec<Icon>,
}

/// How faces reach the tools.
#[async_trait]
pub trait Tools: Send + Sync {
    /// In a stable order.
    fn list(&self) -> &[Arc<ToolInfo>];

    fn find(&self, name: &str) -> Option<&Arc<ToolInfo>>;

    /// Runs a tool. Whatever goes wrong in it is in the result, as text that the model can act on.
    /// Dropping the future, or cancelling `cx.cancel`, ends the run and frees what it held.
    async fn call(
        &self,
        cx: CallContext,
        name: &str,
        arguments: Value,
        progress: Option<Arc<dyn ProgressSink>>,
    ) -> Result<ToolResult, UnknownTool>;

    /// How long a call of `name` may take as a whole.
    fn timeout(&self, name: &str) -> Duration;
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("there is no tool `{0}`")]
pub struct UnknownTool(pub String);

/// The result of a tool.
#[derive(Clone, Debug)]
pub struct ToolResult {
    pub content: Vec<Content>,
    /// An object always, and only where it went well.
    pub structured: Option<Value>,
    pub error: Option<Error>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Text(String),
    Image { data: Bytes, mime_type: String },
    Audio { data: Bytes, mime_type: String },
    Resource { uri: String, mime_type: Option<String>, body: ResourceBody },
    Link { uri: String, name: String, description: Option<String>, mime_type: Option<String> },
}

#[derive(Clone, Debug, PartialEq)]
pub enum ResourceBody {
    Text(String),
    Blob(Bytes),
}

impl fmt::Debug for dyn Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list().iter().map(|tool| &tool.name)).finish()
    }
}

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
    /// Whether what the action gives is a whole result of another server, `{ content, structuredContent?, isError? }`:
    /// it is published as it is, and so are both schemas.
    pub is_passed_on: bool,
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
    /// Whether what it asks before its first step is asked before there is a task.
    pub asks_first: bool,
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
    /// Empty only where another server gives none.
    pub description: String,
    pub input_schema: Value,
    /// Of type `object` always, unless it is another server's: a result of another type is published as `{ "result": … }`.
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
    /// An object always; where it did not go well, only what another server gave.
    pub structured: Option<Value>,
    pub error: Option<Error>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Text(String),
    Image {
        data: Bytes,
        mime_type: String,
    },
    Audio {
        data: Bytes,
        mime_type: String,
    },
    Resource {
        uri: String,
        mime_type: Option<String>,
        body: ResourceBody,
    },
    Link {
        uri: String,
        name: String,
        description: Option<String>,
        mime_type: Option<String>,
    },
    /// As another server gave it: an object with a `type`.
    Part(Value),
}

#[derive(Clone, Debug, PartialEq)]
pub enum ResourceBody {
    Text(String),
    Blob(Bytes),
}

/// Most clients take names up to this.
pub const CLIENT_NAME: usize = 64;

/// A name that every client takes: 1 to 64 letters, digits, `_`, `-` and `.`. Any other text is changed to one, and a hash
/// of the whole keeps it apart from others; the name depends on nothing but the text.
pub fn client_name(text: &str) -> Arc<str> {
    if !text.is_empty() && text.len() <= CLIENT_NAME && text.bytes().all(is_name_byte) {
        return text.into();
    }
    // FNV-1a: the same in every version and on every machine.
    let hash =
        text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let letter = |letter: char| match u8::try_from(letter) {
        Ok(byte) if is_name_byte(byte) => letter,
        _ => '_',
    };
    let head: String = text.chars().map(letter).take(CLIENT_NAME - 9).collect();
    format!("{head}_{hash:08x}").into()
}

/// Whether the protocol allows it in the name of a tool.
pub fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

impl fmt::Debug for dyn Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list().iter().map(|tool| &tool.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_has_a_name_of_its_own_that_clients_take() {
        for good in ["a", "crm_get-all.v2", &"x".repeat(64)] {
            assert_eq!(&*client_name(good), good);
        }
        let long = "y".repeat(65);
        let texts = ["", "a b", "a_b c", "a/b", "ü", "ö", "名前", &long, &"y".repeat(66)];
        let names: Vec<_> = texts.iter().map(|text| client_name(text)).collect();
        for (at, name) in names.iter().enumerate() {
            assert!((1..=64).contains(&name.len()) && name.bytes().all(is_name_byte), "{name}");
            assert!(!names[..at].contains(name), "{name}");
        }
        // What was once told to clients stays.
        assert_eq!(&*client_name("a b"), "a_b_10a3f9f2");
    }
}

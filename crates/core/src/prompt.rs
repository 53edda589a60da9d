//! Prompts: what the config declares, and the port through which faces reach them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use indexmap::IndexMap;

use crate::{
    CallContext, Pattern, Result, Value,
    complete::{CompletePlan, Completion, Partial},
    resource::Role,
    tool::{Content, ContentPlan, Icon},
};

/// A prompt as the config declares it.
#[derive(Clone, Debug)]
pub struct PromptPlan {
    pub name: Arc<str>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub icons: Vec<Icon>,
    /// JSON Schema 2020-12 of the arguments: always of type `object`.
    pub input_schema: Value,
    /// Its result is in reach of the messages.
    pub action: Option<Arc<dyn Pattern>>,
    pub messages: Vec<(Role, ContentPlan)>,
    /// By argument.
    pub complete: IndexMap<Arc<str>, CompletePlan>,
    /// The whole; the server's default without it.
    pub timeout: Option<Duration>,
}

/// A prompt as faces list it.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptInfo {
    pub name: Arc<str>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub icons: Vec<Icon>,
    pub arguments: Vec<ArgumentInfo>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ArgumentInfo {
    pub name: Arc<str>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub required: bool,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub role: Role,
    pub content: Content,
}

/// How faces reach the prompts.
#[async_trait]
pub trait Prompts: Send + Sync {
    /// In a stable order.
    fn list(&self) -> &[PromptInfo];

    /// The messages. An error of kind `not_found` if there is no such prompt.
    async fn get(&self, cx: CallContext, name: &str, arguments: Value) -> Result<Vec<Message>>;

    /// Completes an argument of a prompt. An error of kind `not_found` if there is no such prompt or argument.
    async fn complete(&self, cx: CallContext, name: &str, partial: Partial) -> Result<Completion>;

    /// No request takes longer, but for the answers that it waits for.
    fn timeout(&self) -> Duration;

    /// Whether one may ask.
    fn asks(&self) -> bool {
        false
    }
}

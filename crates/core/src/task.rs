//! Tasks: calls of tools that go on without their caller, and how faces begin them and ask after them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{
    CallContext, Principal, Result, Value,
    clock::Timestamp,
    tool::{ToolResult, UnknownTool},
};

/// Whether a call of a tool becomes a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Support {
    #[default]
    Never,
    /// For clients that know tasks. Others wait for the result.
    Optional,
    /// In any case. Clients that know no tasks are refused.
    Required,
}

impl Support {
    pub const ALL: [Support; 3] = [Support::Never, Support::Optional, Support::Required];

    /// The word in configs.
    pub fn as_str(self) -> &'static str {
        match self {
            Support::Never => "never",
            Support::Optional => "optional",
            Support::Required => "required",
        }
    }
}

/// How far a task is, in the words of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Working,
    InputRequired,
    /// The tool gave a result, or an error of its own.
    Completed,
    /// The call ended with an error of the protocol.
    Failed,
    Cancelled,
}

impl Status {
    pub const ALL: [Status; 5] =
        [Status::Working, Status::InputRequired, Status::Completed, Status::Failed, Status::Cancelled];

    pub fn as_str(self) -> &'static str {
        match self {
            Status::Working => "working",
            Status::InputRequired => "input_required",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether it stays so.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Completed | Status::Failed | Status::Cancelled)
    }
}

/// A task, as its owner sees it.
#[derive(Clone, Debug)]
pub struct Task {
    /// Nobody guesses it.
    pub id: String,
    pub tool: Arc<str>,
    pub status: Status,
    /// How far it is, in words.
    pub message: Option<String>,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// How long it is kept, from its creation on.
    pub ttl: Duration,
    /// How often it is worth asking.
    pub poll: Duration,
    /// Of one that is completed or failed. An error with a [`protocol_code`](crate::Error::protocol_code) is what
    /// one has failed with.
    pub result: Option<ToolResult>,
}

/// What a call became.
#[derive(Clone, Debug)]
pub enum Begun {
    /// It is durable.
    Task(Task),
    /// Nothing: why, as the tool's result.
    Refused(ToolResult),
}

/// How faces reach tasks. All of them belong to whoever began them: for others there are none.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// Whether calls of the tool become tasks.
    fn support(&self, tool: &str) -> Support;

    /// Begins a call that goes on without its caller. The task is durable when this answers.
    async fn begin(&self, cx: CallContext, tool: &str, arguments: Value) -> Result<Begun, UnknownTool>;

    /// # Errors
    /// `not_found` if there is none, if it is somebody else's, or if its time is over.
    async fn task(&self, principal: &Principal, id: &str) -> Result<Task>;

    /// Asks for its end. Nothing happens to one that has ended.
    ///
    /// # Errors
    /// As above.
    async fn cancel(&self, principal: &Principal, id: &str) -> Result<()>;

    /// The task, as soon as its status or its message is another one than of `seen`, or at `until`.
    ///
    /// # Errors
    /// As above.
    async fn changed(&self, principal: &Principal, seen: &Task, until: Instant) -> Result<Task>;

    /// How long a client that knows no tasks waits for a result before it is told where to find it.
    fn patience(&self) -> Duration;
}

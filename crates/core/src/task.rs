//! Tasks: calls of tools that go on without their caller, and how faces begin them and ask after them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use indexmap::IndexMap;
use tokio::time::Instant;

use crate::{
    CallContext, Principal, Result, Value,
    ask::{Answer, Question},
    clock::Timestamp,
    tool::{ToolResult, UnknownTool},
};

/// The tool through which clients that know no tasks ask after one.
pub const STATUS_TOOL: &str = "task_status";

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
    /// It waits for answers of whoever began it, and nobody works on it.
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
    /// What it waits for, by keys of which none comes twice in one task.
    pub questions: IndexMap<Arc<str>, Question>,
    /// Of one that is completed or failed. An error with a [`protocol_code`](crate::Error::protocol_code) is what
    /// one has failed with.
    pub result: Option<ToolResult>,
}

impl Task {
    /// Whether whoever has seen `seen` has missed something.
    pub fn is_news_after(&self, seen: &Task) -> bool {
        self.status != seen.status
            || self.message != seen.message
            || !self.questions.keys().eq(seen.questions.keys())
    }
}

/// What a call became.
#[derive(Clone, Debug)]
pub enum Begun {
    /// It is durable.
    Task(Task),
    /// Nothing: why, as the tool's result. An error that [asks](crate::Error::asked) is what has to be answered first, in a
    /// call that comes again.
    Refused(ToolResult),
}

/// How faces reach tasks. All of them belong to whoever began them: for others there are none.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// Whether calls of the tool become tasks.
    fn support(&self, tool: &str) -> Support;

    /// Begins a call that goes on without its caller. The task is durable when this answers. What the caller can be asked
    /// is what its [`Rounds`](crate::ask::Rounds) say.
    async fn begin(&self, cx: CallContext, tool: &str, arguments: Value) -> Result<Begun, UnknownTool>;

    /// # Errors
    /// `not_found` if there is none, if it is somebody else's, or if its time is over.
    async fn task(&self, principal: &Principal, id: &str) -> Result<Task>;

    /// Answers questions of it, by their keys. It goes on as soon as none is left. Answers to what is not asked, or not any
    /// more, are left out. What is answered is durable when this answers.
    ///
    /// # Errors
    /// As above.
    async fn answer(
        &self,
        principal: &Principal,
        id: &str,
        answers: IndexMap<Arc<str>, Answer>,
    ) -> Result<()>;

    /// Asks for its end. Nothing happens to one that has ended.
    ///
    /// # Errors
    /// As above.
    async fn cancel(&self, principal: &Principal, id: &str) -> Result<()>;

    /// The task, as soon as there is [news](Task::is_news_after) after `seen`, or at `until`.
    ///
    /// # Errors
    /// As above.
    async fn changed(&self, principal: &Principal, seen: &Task, until: Instant) -> Result<Task>;

    /// How long a client that knows no tasks waits for a result before it is told where to find it.
    fn patience(&self) -> Duration;
}

//! Reads the words of operators.

use std::sync::Arc;

use renkei_core::{
    ActionContext, ActionNode, Definitions, FromNode, Node, Pattern, PatternKind, Schema, Tree,
    queue::Queue,
    read::{Spanned, wrong},
};
use renkei_derive::FromNode;

use super::{
    dead::{self, DeadAction, Which},
    queue::{self, QueueAction},
    tasks::{self, TaskAction},
};

/// What one call shows or changes at most, and what it does unless the config says so.
const MOST: usize = 500;
const USUAL: usize = 50;

/// Pauses a queue in all processes: nothing is claimed while it is, and what is under way goes on. The result is
/// `{ queue, outcome }`.
#[derive(Debug, FromNode)]
struct PauseConfig {
    /// The queue's name.
    queue: Spanned<Arc<str>>,
    /// Why: a text for whoever looks at the queue. May be a template.
    reason: Option<Node>,
}

/// Goes on with a queue, whether it was paused or not. The result is `{ queue, outcome }`.
#[derive(Debug, FromNode)]
struct ResumeConfig {
    /// The queue's name.
    queue: Spanned<Arc<str>>,
}

/// Removes the messages of a queue that wait, for good. The result is `{ queue, removed, more }`; `more` says whether some are
/// left.
#[derive(Debug, FromNode)]
struct PurgeConfig {
    /// The queue's name.
    queue: Spanned<Arc<str>>,
    /// Removes its dead letters instead.
    #[config(default = false)]
    dead: bool,
    /// So many at most: 1 to 500; 500 unless set.
    limit: Option<usize>,
}

/// Shows dead letters of a queue, the newest first, each with its data and its history. The result is `{ messages, more }`.
#[derive(Debug, FromNode)]
struct DeadListConfig {
    /// The queue's name.
    queue: Spanned<Arc<str>>,
    /// Only those whose last error is of this kind, such as `timeout`; or `expired`. May be a template.
    kind: Option<Node>,
    /// Only those of which `order_by` gave this. May be a template.
    key: Option<Node>,
    /// Only those whose last error says this somewhere. May be a template.
    says: Option<Node>,
    /// So many at most: 1 to 500; 50 unless set.
    limit: Option<usize>,
}

/// Shows one message of a queue, dead or not, with its data and its history.
#[derive(Debug, FromNode)]
struct DeadShowConfig {
    /// The queue's name.
    queue: Spanned<Arc<str>>,
    /// The message's id: a template such as `${.id}`.
    id: Node,
}

/// Tries dead letters of a queue once more from the start, with the same id, data and `$key`. The result is
/// `{ queue, replayed, more }`.
#[derive(Debug, FromNode)]
struct ReplayConfig {
    /// The queue's name.
    queue: Spanned<Arc<str>>,
    /// Only this one: a template such as `${.id}`.
    id: Option<Node>,
    /// Only those whose last error is of this kind, such as `timeout`; or `expired`. May be a template.
    kind: Option<Node>,
    /// Only those of which `order_by` gave this. May be a template.
    key: Option<Node>,
    /// Only those whose last error says this somewhere. May be a template.
    says: Option<Node>,
    /// So many at most: 1 to 500; 50 unless set.
    limit: Option<usize>,
}

/// Removes dead letters of a queue for good. The result is `{ queue, discarded, more }`.
#[derive(Debug, FromNode)]
struct DiscardConfig {
    /// The queue's name.
    queue: Spanned<Arc<str>>,
    /// Only this one: a template such as `${.id}`.
    id: Option<Node>,
    /// Only those whose last error is of this kind, such as `timeout`; or `expired`. May be a template.
    kind: Option<Node>,
    /// Only those of which `order_by` gave this. May be a template.
    key: Option<Node>,
    /// Only those whose last error says this somewhere. May be a template.
    says: Option<Node>,
    /// So many at most: 1 to 500; 50 unless set.
    limit: Option<usize>,
}

/// Shows the tasks of all callers, without their results. The result is `{ tasks, more }`.
#[derive(Debug, FromNode)]
struct TaskListConfig {
    /// Only those with this status: `working`, `input_required`, `completed`, `failed` or `cancelled`. May be a template.
    status: Option<Node>,
    /// So many at most: 1 to 500; 50 unless set.
    limit: Option<usize>,
}

/// Shows a task of any caller, with its result as soon as there is one.
#[derive(Debug, FromNode)]
struct TaskShowConfig {
    /// The task's id: a template such as `${.id}`.
    id: Node,
}

/// Asks for the end of a task, whoever it belongs to. The result is `{ id, was }`: its status before.
#[derive(Debug, FromNode)]
struct TaskCancelConfig {
    /// The task's id: a template such as `${.id}`.
    id: Node,
}

/// One of the words.
pub(crate) struct Word {
    name: &'static str,
    schema: fn(&mut Definitions) -> Schema,
    read: fn(&ActionNode<'_>, &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>>,
}

pub(crate) static QUEUE_PAUSE: Word =
    Word { name: "queue_pause", schema: PauseConfig::schema, read: queue_pause };
pub(crate) static QUEUE_RESUME: Word =
    Word { name: "queue_resume", schema: ResumeConfig::schema, read: queue_resume };
pub(crate) static QUEUE_PURGE: Word =
    Word { name: "queue_purge", schema: PurgeConfig::schema, read: queue_purge };
pub(crate) static DEAD_LIST: Word =
    Word { name: "dead_list", schema: DeadListConfig::schema, read: dead_list };
pub(crate) static DEAD_SHOW: Word =
    Word { name: "dead_show", schema: DeadShowConfig::schema, read: dead_show };
pub(crate) static DEAD_REPLAY: Word =
    Word { name: "dead_replay", schema: ReplayConfig::schema, read: dead_replay };
pub(crate) static DEAD_DISCARD: Word =
    Word { name: "dead_discard", schema: DiscardConfig::schema, read: dead_discard };
pub(crate) static TASK_LIST: Word =
    Word { name: "task_list", schema: TaskListConfig::schema, read: task_list };
pub(crate) static TASK_SHOW: Word =
    Word { name: "task_show", schema: TaskShowConfig::schema, read: task_show };
pub(crate) static TASK_CANCEL: Word =
    Word { name: "task_cancel", schema: TaskCancelConfig::schema, read: task_cancel };

impl PatternKind for Word {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self, _: &[(&'static str, Schema)], defs: &mut Definitions) -> Schema {
        (self.schema)(defs)
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        (self.read)(action, cx)
    }
}

fn queue_pause(action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
    let config = PauseConfig::from_node(action.value, cx.diagnostics)?;
    let (queue, reason) = (named(&config.queue, cx), tree(config.reason.as_ref(), cx));
    Some(Arc::new(QueueAction { queue: queue?, deed: queue::Deed::Pause { reason: reason? } }))
}

fn queue_resume(action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
    let config = ResumeConfig::from_node(action.value, cx.diagnostics)?;
    Some(Arc::new(QueueAction { queue: named(&config.queue, cx)?, deed: queue::Deed::Resume }))
}

fn queue_purge(action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
    let config = PurgeConfig::from_node(action.value, cx.diagnostics)?;
    let (queue, limit) = (named(&config.queue, cx), limit(config.limit, MOST, action.value, cx));
    let deed = queue::Deed::Purge { dead: config.dead, limit: limit? };
    Some(Arc::new(QueueAction { queue: queue?, deed }))
}

fn dead_list(action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
    let config = DeadListConfig::from_node(action.value, cx.diagnostics)?;
    let which = [None, config.kind.as_ref(), config.key.as_ref(), config.says.as_ref()];
    dead(dead::Deed::List, &config.queue, (which, config.limit), action.value, cx)
}

fn dead_show(action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
    let config = DeadShowConfig::from_node(action.value, cx.diagnostics)?;
    dead(dead::Deed::Show, &config.queue, ([Some(&config.id), None, None, None], None), action.value, cx)
}

fn dead_replay(action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
    let config = ReplayConfig::from_node(action.value, cx.diagnostics)?;
    let which = [config.id.as_ref(), config.kind.as_ref(), config.key.as_ref(), config.says.as_ref()];
    dead(dead::Deed::Replay, &config.queue, (which, config.limit), action.value, cx)
}

fn dead_discard(action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
    let config = DiscardConfig::from_node(action.value, cx.diagnostics)?;
    let which = [config.id.as_ref(), config.kind.as_ref(), config.key.as_ref(), config.says.as_ref()];
    dead(dead::Deed::Discard, &config.queue, (which, config.limit), action.value, cx)
}

fn task_list(action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
    let config = TaskListConfig::from_node(action.value, cx.diagnostics)?;
    let (status, limit) = (tree(config.status.as_ref(), cx), limit(config.limit, USUAL, action.value, cx));
    Some(Arc::new(TaskAction { deed: tasks::Deed::List { status: status?, limit: limit? } }))
}

fn task_show(action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
    let config = TaskShowConfig::from_node(action.value, cx.diagnostics)?;
    let id = Tree::read(&config.id, &cx.names, cx.diagnostics)?;
    Some(Arc::new(TaskAction { deed: tasks::Deed::Show { id } }))
}

fn task_cancel(action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
    let config = TaskCancelConfig::from_node(action.value, cx.diagnostics)?;
    let id = Tree::read(&config.id, &cx.names, cx.diagnostics)?;
    Some(Arc::new(TaskAction { deed: tasks::Deed::Cancel { id } }))
}

/// `which`: by id, by kind, by key, by what the last error says.
fn dead(
    deed: dead::Deed,
    name: &Spanned<Arc<str>>,
    (which, most): ([Option<&Node>; 4], Option<usize>),
    node: &Node,
    cx: &mut ActionContext<'_>,
) -> Option<Arc<dyn Pattern>> {
    let (queue, limit) = (named(name, cx), limit(most, USUAL, node, cx));
    let [id, kind, key, says] = which.map(|node| tree(node, cx));
    let which = Which { id: id?, kind: kind?, key: key?, says: says? };
    Some(Arc::new(DeadAction { queue: queue?, which, limit: limit?, deed }))
}

fn named(name: &Spanned<Arc<str>>, cx: &mut ActionContext<'_>) -> Option<Arc<Queue>> {
    cx.actions.queue(name, name.span, cx.diagnostics)
}

fn tree(node: Option<&Node>, cx: &mut ActionContext<'_>) -> Option<Option<Tree>> {
    match node {
        None => Some(None),
        Some(node) => Tree::read(node, &cx.names, cx.diagnostics).map(Some),
    }
}

fn limit(limit: Option<usize>, usual: usize, node: &Node, cx: &mut ActionContext<'_>) -> Option<usize> {
    match limit {
        None => Some(usual),
        Some(limit) if (1..=MOST).contains(&limit) => Some(limit),
        Some(_) => {
            let at = node.get("limit").unwrap_or(node);
            wrong(at, &format!("a number from 1 to {MOST}"), cx.diagnostics)
        }
    }
}

//! Reads `receive`, `ack`, `nack` and `extend`.

use std::{sync::Arc, time::Duration};

use renkei_core::{
    ActionContext, ActionNode, Definitions, Diagnostic, FromNode, Node, Pattern, PatternKind, Schema, Tree,
    duration,
    queue::Queue,
    read::{Spanned, wrong},
};
use renkei_derive::FromNode;

use super::{
    receive::{MAX, ReceiveAction},
    settle::{SettleAction, Word},
};

/// Takes messages of a queue for whoever calls. Each comes with a `receipt`, by which it is acknowledged, given back or kept
/// longer. The result is `{ messages: [{ receipt, message }] }`; the list is empty when nothing waits. A message that is
/// not acknowledged before its lease ends comes again.
#[derive(Debug, FromNode)]
struct ReceiveConfig {
    /// The queue's name.
    queue: Spanned<Arc<str>>,
    /// So many at most: 1 to 100, or a template that gives such a number. One unless set.
    max: Option<Node>,
    /// How long the caller has them, such as `5m`; the queue's `lease` unless set.
    lease: Option<Duration>,
}

/// Acknowledges a message: it is done.
#[derive(Debug, FromNode)]
struct AckConfig {
    /// The queue's name.
    queue: Spanned<Arc<str>>,
    /// The receipt: a template such as `${.receipt}`.
    receipt: Node,
}

/// Gives a message back: it is tried again after the queue's backoff, or is a dead letter when its attempts are used up.
#[derive(Debug, FromNode)]
struct NackConfig {
    /// The queue's name.
    queue: Spanned<Arc<str>>,
    /// The receipt: a template such as `${.receipt}`.
    receipt: Node,
    /// Why: a text, which the message's history keeps. May be a template.
    reason: Option<Node>,
    /// How long until it may be received again, such as `5m`, instead of the backoff. May be a template.
    delay: Option<Node>,
    /// Whether it becomes a dead letter at once: `true`, or a template.
    dead: Option<Node>,
}

/// Keeps a message longer: its lease ends so long after now.
#[derive(Debug, FromNode)]
struct ExtendConfig {
    /// The queue's name.
    queue: Spanned<Arc<str>>,
    /// The receipt: a template such as `${.receipt}`.
    receipt: Node,
    /// Such as `5m`; the queue's `lease` unless set. May be a template.
    lease: Option<Node>,
}

pub(crate) struct Receive;
pub(crate) struct Ack;
pub(crate) struct Nack;
pub(crate) struct Extend;

impl PatternKind for Receive {
    fn name(&self) -> &'static str {
        "receive"
    }

    fn schema(&self, _: &[(&'static str, Schema)], defs: &mut Definitions) -> Schema {
        ReceiveConfig::schema(defs)
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let config = ReceiveConfig::from_node(action.value, cx.diagnostics)?;
        let queue = queue(&config.queue, cx);
        let max = tree(config.max.as_ref(), cx)?;
        if let (Some(tree), Some(node)) = (&max, &config.max)
            && let Some(literal) = tree.literal()
            && !literal.as_i64().is_some_and(|max| (1..=MAX).contains(&max))
        {
            return wrong(
                node,
                &format!("a number from 1 to {MAX}, or a template that gives one"),
                cx.diagnostics,
            );
        }
        let queue = queue?;
        cx.actions.receives(&queue.name);
        let lease = config.lease.unwrap_or(queue.lease);
        if lease.is_zero() {
            let span = action.value.get("lease").map_or(action.key, |node| node.span);
            cx.diagnostics.push(
                Diagnostic::error(span, "a lease that ends at once is none")
                    .hint("give the caller a few minutes"),
            );
            return None;
        }
        Some(Arc::new(ReceiveAction { queue, max, lease }))
    }
}

impl PatternKind for Ack {
    fn name(&self) -> &'static str {
        "ack"
    }

    fn schema(&self, _: &[(&'static str, Schema)], defs: &mut Definitions) -> Schema {
        AckConfig::schema(defs)
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let config = AckConfig::from_node(action.value, cx.diagnostics)?;
        settle(&config.queue, &config.receipt, Word::Ack, cx)
    }
}

impl PatternKind for Nack {
    fn name(&self) -> &'static str {
        "nack"
    }

    fn schema(&self, _: &[(&'static str, Schema)], defs: &mut Definitions) -> Schema {
        NackConfig::schema(defs)
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let config = NackConfig::from_node(action.value, cx.diagnostics)?;
        let (reason, dead) = (tree(config.reason.as_ref(), cx), tree(config.dead.as_ref(), cx));
        let delay = time(config.delay.as_ref(), cx);
        let word = Word::Nack { reason: reason?, delay: delay?, dead: dead? };
        settle(&config.queue, &config.receipt, word, cx)
    }
}

impl PatternKind for Extend {
    fn name(&self) -> &'static str {
        "extend"
    }

    fn schema(&self, _: &[(&'static str, Schema)], defs: &mut Definitions) -> Schema {
        ExtendConfig::schema(defs)
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let config = ExtendConfig::from_node(action.value, cx.diagnostics)?;
        let lease = time(config.lease.as_ref(), cx)?;
        settle(&config.queue, &config.receipt, Word::Extend { lease }, cx)
    }
}

fn settle(
    name: &Spanned<Arc<str>>,
    receipt: &Node,
    word: Word,
    cx: &mut ActionContext<'_>,
) -> Option<Arc<dyn Pattern>> {
    let queue = queue(name, cx);
    let tree = Tree::read(receipt, &cx.names, cx.diagnostics)?;
    if tree.literal().is_some() {
        return wrong(receipt, "a template that gives the receipt, such as `${.receipt}`", cx.diagnostics);
    }
    Some(Arc::new(SettleAction { queue: queue?, receipt: tree, word }))
}

fn queue(name: &Spanned<Arc<str>>, cx: &mut ActionContext<'_>) -> Option<Arc<Queue>> {
    cx.actions.queue(name, name.span, cx.diagnostics)
}

fn tree(node: Option<&Node>, cx: &mut ActionContext<'_>) -> Option<Option<Tree>> {
    match node {
        None => Some(None),
        Some(node) => Tree::read(node, &cx.names, cx.diagnostics).map(Some),
    }
}

/// A duration, or a template that gives one.
fn time(node: Option<&Node>, cx: &mut ActionContext<'_>) -> Option<Option<Tree>> {
    let tree = tree(node, cx)?;
    if let (Some(tree), Some(node)) = (&tree, node)
        && let Some(literal) = tree.literal()
        && duration::parse(literal.as_str().unwrap_or_default()).is_err()
    {
        return wrong(node, "a duration such as `5m`, or a template that gives one", cx.diagnostics);
    }
    Some(tree)
}

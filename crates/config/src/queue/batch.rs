//! `batch:` – messages that a worker handles together.

use std::time::Duration;

use renkei_core::{Diagnostic, Diagnostics, Node, Value, duration, queue::Batching};
use renkei_derive::FromNode;

use super::{MAX_CONCURRENCY, QueueConfig};

/// Messages that the worker gets together. It sees the list of their data as `.`, and what is known of them as `$messages`,
/// in the same order; `$message` is not there. When a batch fails, each of its messages is tried again by itself: a batch of one.
#[derive(Clone, Debug, FromNode)]
#[config(check = check_batch)]
pub(crate) struct BatchConfig {
    /// Messages at most.
    max: usize,

    /// How long the first one waits for others. At most half of the queue's `lease`.
    #[config(default = "100ms")]
    wait: Duration,
}

impl BatchConfig {
    pub(super) fn plan(&self) -> Batching {
        Batching { max: self.max, wait: self.wait }
    }
}

fn check_batch(batch: &BatchConfig, node: &Node, d: &mut Diagnostics) {
    if !(2..=MAX_CONCURRENCY).contains(&batch.max) {
        let span = node.get("max").map_or(node.span, |node| node.span);
        let message = format!("a batch of {} messages is not possible", batch.max);
        d.push(Diagnostic::error(span, message).hint(format!(
            "`max` is 2 to {MAX_CONCURRENCY}; without `batch`, each message is handled by itself"
        )));
    }
}

/// What does not fit the rest of the queue.
pub(super) fn check(queue: &QueueConfig, node: &Node, d: &mut Diagnostics) {
    let (Some(batch), Some(own)) = (&queue.batch, node.get("batch")) else { return };
    if batch.wait > queue.lease / 2 {
        let (wait, lease) = (duration::format(batch.wait), duration::format(queue.lease));
        let span = own.get("wait").map_or(own.span, |node| node.span);
        d.push(
            Diagnostic::error(span, format!("a wait of {wait} is too long for a lease of {lease}"))
                .hint("make it at most half of the `lease`, or the `lease` longer"),
        );
    }
    if queue.retry.attempts < 2 {
        d.push(Diagnostic::error(own.span, "a queue with `batch` needs two attempts at least").hint(
            "when a batch fails, each of its messages is tried again by itself: raise `retry.attempts`",
        ));
    }
    if queue.concurrency.is_some_and(|concurrency| concurrency < batch.max) {
        let span = node.get("concurrency").map_or(own.span, |node| node.span);
        let message = format!("a batch of {} messages never fits the `concurrency`", batch.max);
        d.push(
            Diagnostic::error(span, message)
                .hint(format!("it counts messages: make it {} at least, or leave it out", batch.max)),
        );
    }
    if node.get("worker").is_none() {
        d.push(
            Diagnostic::error(own.span, "a batch is for a worker, and this queue has none")
                .hint("give it a `worker`; a tool that receives says `max` itself"),
        );
    }
}

/// The schema of what a worker sees as `.`, where messages have the given one.
pub(super) fn list_of(schema: Option<&Value>) -> Value {
    let list = [("type", Value::from("array"))];
    let items = schema.map(|schema| ("items", schema.clone()));
    list.into_iter().chain(items).map(|(key, value)| (key.into(), value)).collect::<renkei_core::Map>().into()
}

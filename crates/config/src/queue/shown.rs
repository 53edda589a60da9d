//! Queues as resources: `resource: true` stands for an entry under `resources`.

use std::sync::Arc;

use renkei_core::{Entry, Node, NodeKind, node::Text};

/// How often a queue that somebody is subscribed to is looked at.
const WATCH: &str = "2s";

/// The resource of each queue that has one.
pub(crate) fn resources(entries: &[Entry]) -> Vec<Entry> {
    entries.iter().filter_map(resource).collect()
}

fn resource(queue: &Entry) -> Option<Entry> {
    let wanted = queue.value.entry("resource")?;
    if !matches!(wanted.value.kind, NodeKind::Bool(true)) {
        return None;
    }
    let at = wanted.key_span;
    let text = |text: String| Node { kind: NodeKind::String(Text::new(text)), span: at };
    let purpose = queue.value.get("description").and_then(Node::as_str).map(|text| format!(" {text}"));
    let description = format!("How the queue `{}` stands.{}", queue.key, purpose.unwrap_or_default());
    let members = [
        ("uri", format!("renkei://queues/{}", queue.key)),
        ("description", description),
        ("watch", WATCH.to_owned()),
        ("queue_status", queue.key.to_string()),
    ];
    let members =
        members.into_iter().map(|(key, value)| Entry { key: key.into(), key_span: at, value: text(value) });
    let key: Arc<str> = format!("queues/{}", queue.key).into();
    Some(Entry { key, key_span: at, value: Node { kind: NodeKind::Map(members.collect()), span: at } })
}

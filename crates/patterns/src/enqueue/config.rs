//! Reads `enqueue` and `message`.

use std::sync::Arc;

use renkei_core::{
    ActionContext, ActionNode, Definitions, Diagnostic, Diagnostics, Entry, FromNode, Node, NodeKind,
    Pattern, PatternKind, Schema, Tree, Value, duration,
    queue::{Queue, moment},
    read::wrong,
    template::Names,
};
use renkei_derive::FromNode;

use super::run::{EnqueueAction, Said};
use crate::engine::Input;

const MESSAGE: &str = "message";

/// What is said of the message that `enqueue` makes; for what is not said here, the queue's own settings hold. All may be
/// templates, which see the action's input.
#[derive(Debug, FromNode)]
struct MessageConfig {
    /// How long until it may be handled, such as `5m`; instead of the queue's `delay`.
    delay: Option<Node>,
    /// When it may be handled, in RFC 3339; instead of `delay`.
    run_at: Option<Node>,
    /// Messages with the same one are handled in order, one at a time; instead of the queue's `order_by`.
    order_by: Option<Node>,
    /// While a message with the same one is not finished, no other one is made; instead of the queue's `unique`.
    unique: Option<Node>,
    /// A whole number from -32768 to 32767; greater comes first. Instead of the queue's `priority`.
    priority: Option<Node>,
    /// How long it may wait from when it may be handled; then it is dead. Instead of the queue's `ttl`.
    ttl: Option<Node>,
}

pub(crate) struct Kind;

impl PatternKind for Kind {
    fn name(&self) -> &'static str {
        "enqueue"
    }

    fn schema(&self, _: &[(&'static str, Schema)], _: &mut Definitions) -> Schema {
        Value::from([
            ("type", Value::from("object")),
            (
                "description",
                "A message for one of the `queues`: its name, and the data, whose texts may be templates. It is durable \
                 before the action ends. The result is `{ id, queue }`, and `joined: true` where `unique` found one that is \
                 there already. A queue that is full refuses (`rate_limited`)."
                    .into(),
            ),
            ("minProperties", 1i64.into()),
            ("maxProperties", 1i64.into()),
            ("additionalProperties", true.into()),
        ])
    }

    fn companions(&self, defs: &mut Definitions) -> Vec<(&'static str, Schema)> {
        vec![(MESSAGE, MessageConfig::schema(defs))]
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let said = match action.companion(MESSAGE) {
            None => Some(Said::default()),
            Some(entry) => said(&entry.value, &cx.names, cx.diagnostics),
        };
        let entry = match action.value.as_map() {
            Some([entry]) => entry,
            _ => {
                let expected = "one queue and its message, such as `{ reports: { year: '${.year}' } }`";
                return wrong(action.value, expected, cx.diagnostics);
            }
        };
        let data = Tree::read(&entry.value, &cx.names, cx.diagnostics);
        let queue = cx.actions.queue(&entry.key, entry.key_span, cx.diagnostics)?;
        let input = match queue.input_schema.as_ref().map(Input::new).transpose() {
            Ok(input) => input,
            Err(why) => {
                let message = format!("the data of the queue `{queue}` cannot be checked: {why}");
                cx.diagnostics
                    .push(Diagnostic::error(entry.key_span, message).hint("mend its `input_schema`"));
                return None;
            }
        };
        cx.actions.feeds(&queue.name);
        check_data(entry, &queue, cx.diagnostics)?;
        Some(Arc::new(EnqueueAction { queue, input, data: data?, said: said? }))
    }
}

fn said(node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<Said> {
    let config = MessageConfig::from_node(node, d)?;
    if let (Some(_), Some(run_at)) = (&config.delay, node.entry("run_at")) {
        d.push(
            Diagnostic::error(run_at.key_span, "`delay` and `run_at` exclude each other")
                .hint("keep `delay` for a time from now, `run_at` for a moment"),
        );
        return None;
    }
    let mut tree = |node: &Option<Node>, check: &dyn Fn(&Value) -> Result<(), String>| match node {
        None => Some(None),
        Some(node) => {
            let tree = Tree::read(node, names, d)?;
            if let Some(Err(why)) = tree.literal().map(|literal| check(&literal)) {
                d.push(Diagnostic::error(node.span, why));
                return None;
            }
            Some(Some(tree))
        }
    };
    let any = |_: &Value| Ok(());
    let time = |value: &Value| duration::parse(value.as_str().unwrap_or_default()).map(drop);
    let at = |value: &Value| match value.as_str().and_then(moment) {
        Some(_) => Ok(()),
        None => Err("this is no moment in RFC 3339, such as `2026-12-24T18:00:00Z`".to_owned()),
    };
    let number = |value: &Value| match value.as_i64().map(i16::try_from) {
        Some(Ok(_)) => Ok(()),
        _ => Err("a priority is a whole number from -32768 to 32767".to_owned()),
    };
    // All are read before the first failure is returned: every problem is to be seen at once.
    let (delay, run_at) = (tree(&config.delay, &time), tree(&config.run_at, &at));
    let (order_by, unique) = (tree(&config.order_by, &any), tree(&config.unique, &any));
    let (priority, ttl) = (tree(&config.priority, &number), tree(&config.ttl, &time));
    Some(Said {
        delay: delay?,
        run_at: run_at?,
        order_by: order_by?,
        unique: unique?,
        priority: priority?,
        ttl: ttl?,
    })
}

/// What the queue needs of every message and this one certainly does not have.
fn check_data(entry: &Entry, queue: &Queue, d: &mut Diagnostics) -> Option<()> {
    let NodeKind::Map(members) = &entry.value.kind else { return Some(()) };
    let has = |name: &str| members.iter().any(|member| &*member.key == name);
    let required = queue.input_schema.as_ref().and_then(|schema| schema.get("required"));
    let required = required.and_then(Value::as_array).unwrap_or_default().iter().filter_map(Value::as_str);
    let missing: Vec<String> = required.filter(|name| !has(name)).map(|name| format!("`{name}`")).collect();
    if !missing.is_empty() {
        let message = format!("a message of the queue `{queue}` also needs {}", missing.join(", "));
        d.push(Diagnostic::error(entry.key_span, message).hint("its `input` says what is in one"));
        return None;
    }
    let unique = queue.unique.as_ref().map(|unique| &unique.key);
    for (word, tree) in [("order_by", &queue.order_by.as_ref()), ("unique", &unique)] {
        if let Some(name) = tree.and_then(Tree::argument).filter(|name| !has(name)) {
            let message =
                format!("`{word}` of the queue `{queue}` takes `.{name}`, which this message does not have");
            d.push(
                Diagnostic::error(entry.key_span, message).hint(format!("add `{name}`, or mend `{word}`")),
            );
            return None;
        }
    }
    Some(())
}

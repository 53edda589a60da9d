//! `queues:` – work that is handed over, and who does it.

mod doubtful;

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Entry, FromNode, Node, NodeKind, Pattern, Schema, Tree, Value,
    duration,
    pattern::{Holder, with_action},
    queue::{Backoff, Queue, QueuePlan, UniquePlan},
    read::{Rate, Spanned, wrong},
    store::{OnDead, OnTaken},
    template::{Names, is_word, word_like},
};
use renkei_derive::FromNode;

use crate::{
    action::World,
    tool::{Input, absent_or, input_schema, names},
};

/// A queue: messages that `enqueue` puts into it are durable, and each is handled at least once by the worker. A worker
/// sees the data of the message as `.` and what is known of it as `$message`; `$key` is the same in every attempt.
#[derive(Clone, Debug, FromNode)]
#[expect(
    dead_code,
    reason = "schemas, templates and actions are read from the tree; their fields are the manual"
)]
#[config(check = check_queue)]
pub(crate) struct QueueConfig {
    /// What it is for, for people.
    description: Option<String>,

    /// What is in a message, as a tool's `input`. What is enqueued is checked against it. Anything without it.
    input: Option<Input>,

    /// The same as a whole JSON Schema 2020-12 of type `object`, instead of `input`.
    input_schema: Option<Node>,

    /// The action that is run for each message. Without it, messages wait for whoever receives them.
    worker: Option<WorkerNode>,

    /// Messages for which this gives the same value are handled one at a time, in the order in which they were committed;
    /// others beside each other. Its template sees the message: `${.customer}`.
    order_by: Option<Node>,

    /// What a dead message does to those behind it that `order_by` gives the same value.
    #[config(default = "block")]
    on_dead: OnDeadWord,

    /// How often a message is tried, and how long it waits in between.
    #[config(default)]
    retry: RetryConfig,

    /// For how long a worker has a message before somebody else may have it. It is extended while the work goes on, so it
    /// says how long a message waits after its process died.
    #[config(default = "30s")]
    lease: Duration,

    /// How long one attempt may take.
    #[config(default = "10m")]
    timeout: Duration,

    /// Messages that one process works on at the same time.
    #[config(default = 8)]
    concurrency: usize,

    /// Attempts that one process begins at most, such as `50/s`.
    rate: Option<Rate>,

    /// The priority of a message: a whole number from -32768 to 32767, or a template of the message that gives one. Greater
    /// comes first; 0 unless set. It counts between messages that `order_by` does not bind.
    priority: Option<Node>,

    /// How long a message waits before it is handled.
    #[config(default = "0s")]
    delay: Duration,

    /// How long a message may wait from when it may be handled. Then it is dead.
    ttl: Option<Duration>,

    /// Messages that wait or are under way at most; one more is refused (`rate_limited`).
    #[config(default = 100000)]
    max_length: u64,

    /// While a message for which this gives the same value is not finished, no other one is made.
    unique: Option<UniqueNode>,

    /// Where the queue is kept: the server's `store`. Other engines arrive with later releases.
    engine: Option<Spanned<String>>,
}

/// How often a message is tried, and how long it waits in between.
#[derive(Clone, Debug, FromNode)]
#[config(check = check_retry)]
pub(crate) struct RetryConfig {
    /// Attempts at most, the first one included. One that was cut off because its process died counts, too.
    #[config(default = 5)]
    attempts: u32,

    /// A random time between nothing and `first`, which doubles with every attempt up to `max`. Where the error says how
    /// long to wait, no less.
    #[config(default)]
    backoff: BackoffConfig,
}

/// How long a message waits for its next attempt.
#[derive(Clone, Debug, FromNode)]
#[config(check = check_backoff)]
pub(crate) struct BackoffConfig {
    /// The longest wait after the first attempt.
    #[config(default = "1s")]
    first: Duration,
    /// The longest wait at all.
    #[config(default = "10m")]
    max: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig { attempts: 5, backoff: BackoffConfig::default() }
    }
}

impl Default for BackoffConfig {
    fn default() -> Self {
        BackoffConfig { first: Duration::from_secs(1), max: Duration::from_secs(600) }
    }
}

/// What a dead message does to those behind it.
#[derive(Clone, Copy, Debug, FromNode)]
enum OnDeadWord {
    /// They wait until somebody replays or discards it.
    Block,
    /// The next one goes on.
    Skip,
}

/// `unique` with what becomes of a second message.
#[derive(Clone, Debug, FromNode)]
#[expect(dead_code, reason = "the template is read from the tree; its field is the manual")]
struct UniqueConfig {
    /// What is the same for the same work: a template of the message.
    key: Node,
    /// What happens to a second one.
    #[config(default = "join")]
    on_taken: OnTakenWord,
}

/// What happens to a second message.
#[derive(Clone, Copy, Debug, FromNode)]
enum OnTakenWord {
    /// Whoever enqueues gets the id of the one that is there.
    Join,
    /// Whoever enqueues gets a `conflict`.
    Refuse,
}

/// A template, or the mapping of [`UniqueConfig`].
#[derive(Clone, Debug)]
struct UniqueNode;

impl FromNode for UniqueNode {
    fn from_node(_: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(UniqueNode)
    }

    fn schema(defs: &mut Definitions) -> Schema {
        let template = Value::from([("type", "string"), ("pattern", "\\$\\{")]);
        Value::from([("oneOf", Value::from(vec![template, UniqueConfig::schema(defs)]))])
    }
}

/// An action; read by [`worker`].
#[derive(Clone, Debug)]
struct WorkerNode;

impl FromNode for WorkerNode {
    fn from_node(_: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(WorkerNode)
    }

    fn schema(defs: &mut Definitions) -> Schema {
        with_action(&Value::from([("type", "object")]), defs)
    }
}

/// Attempts that a message may have at most.
const MAX_ATTEMPTS: u32 = 1000;
/// Messages that one process may work on at most.
const MAX_CONCURRENCY: usize = 1000;
/// A shorter lease would be extended all the time.
const MIN_LEASE: Duration = Duration::from_secs(1);

fn check_queue(queue: &QueueConfig, node: &Node, d: &mut Diagnostics) {
    let span = |key: &str| node.get(key).map_or(node.span, |node| node.span);
    if queue.lease < MIN_LEASE {
        let message = format!("a lease of {} is too short", duration::format(queue.lease));
        d.push(
            Diagnostic::error(span("lease"), message)
                .hint("give it a second at least; it is extended while work goes on"),
        );
    }
    if queue.timeout.is_zero() {
        d.push(
            Diagnostic::error(span("timeout"), "with no time at all, every attempt would fail")
                .hint("leave it out for the default"),
        );
    }
    if !(1..=MAX_CONCURRENCY).contains(&queue.concurrency) {
        let message = format!("`concurrency` is {}; it can be 1 to {MAX_CONCURRENCY}", queue.concurrency);
        d.push(
            Diagnostic::error(span("concurrency"), message)
                .hint("`renkei queue pause` stops a queue; leave the key out for the default"),
        );
    }
    if queue.max_length == 0 {
        d.push(
            Diagnostic::error(span("max_length"), "a queue without room refuses every message")
                .hint("leave it out for the default"),
        );
    }
    if let Some(engine) = &queue.engine {
        let message = format!("the engine `{}` is not available in this version", engine.value);
        d.push(
            Diagnostic::error(engine.span, message)
                .hint("leave `engine` out: the queue is then kept in the server's `store`"),
        );
    }
}

fn check_retry(retry: &RetryConfig, node: &Node, d: &mut Diagnostics) {
    if !(1..=MAX_ATTEMPTS).contains(&retry.attempts) {
        let span = node.get("attempts").map_or(node.span, |node| node.span);
        let message = format!("{} attempts are not possible", retry.attempts);
        d.push(
            Diagnostic::error(span, message)
                .hint(format!("`attempts` counts the first one: 1 to {MAX_ATTEMPTS}")),
        );
    }
}

fn check_backoff(backoff: &BackoffConfig, node: &Node, d: &mut Diagnostics) {
    if backoff.first > backoff.max {
        let (first, max) = (duration::format(backoff.first), duration::format(backoff.max));
        d.push(
            Diagnostic::error(node.span, format!("`first` ({first}) is longer than `max` ({max})"))
                .hint(format!("make `first` at most {max}, or `max` at least {first}")),
        );
    }
}

/// What holds for the messages of each queue; nothing where something is wrong. Workers are read later: they may enqueue in
/// any queue.
pub(crate) fn read_all(entries: &[Entry], d: &mut Diagnostics) -> IndexMap<Arc<str>, Option<Arc<Queue>>> {
    entries.iter().map(|entry| (entry.key.clone(), read(entry, d).map(Arc::new))).collect()
}

fn read(entry: &Entry, d: &mut Diagnostics) -> Option<Queue> {
    check_name(entry, d);
    if entry.value.as_map().is_none() {
        let message = format!("the queue `{}` is {}, not a mapping", entry.key, entry.value.what());
        d.push(Diagnostic::error(entry.key_span, message).hint("give it a `worker`: `worker: { call: … }`"));
        return None;
    }
    let node = Node { kind: entry.value.kind.clone(), span: entry.key_span };
    let config = QueueConfig::from_node(&node, d);
    let schema = match node.get("input").or_else(|| node.get("input_schema")) {
        Some(_) => input_schema(&node, d).map(Some),
        None => Some(None),
    };
    let names = Names { input: schema.as_ref().and_then(Option::as_ref), ..Names::default() };
    let order_by = template(&node, "order_by", &names, d);
    let priority = priority(&node, &names, d);
    let unique = unique(&node, &names, d);
    let (config, order_by, priority, unique) = (config?, order_by?, priority?, unique?);
    Some(Queue {
        name: entry.key.clone(),
        description: config.description,
        input_schema: schema?,
        order_by,
        on_dead: match config.on_dead {
            OnDeadWord::Block => OnDead::Block,
            OnDeadWord::Skip => OnDead::Skip,
        },
        unique,
        priority,
        delay: config.delay,
        ttl: config.ttl,
        max_length: config.max_length,
        attempts: config.retry.attempts,
        backoff: Backoff { first: config.retry.backoff.first, max: config.retry.backoff.max },
        lease: config.lease,
        timeout: config.timeout,
        concurrency: config.concurrency,
        rate: config.rate,
    })
}

fn check_name(entry: &Entry, d: &mut Diagnostics) {
    if !is_word(&entry.key) {
        let better = word_like(&entry.key).unwrap_or_else(|| "reports".into());
        d.push(
            Diagnostic::error(entry.key_span, format!("`{}` cannot be the name of a queue", entry.key)).hint(format!(
                "a name has 1 to 64 lower-case letters, digits and `_`, and does not begin with a digit: `{better}`"
            )),
        );
    }
}

/// A template of the message: something that is the same for all messages is a mistake.
fn template(node: &Node, key: &str, names: &Names<'_>, d: &mut Diagnostics) -> Option<Option<Tree>> {
    let Some(node) = node.get(key) else { return Some(None) };
    let tree = Tree::read(node, names, d)?;
    match tree.literal() {
        Some(_) => wrong(node, "a template of the message, such as `${.customer}`", d),
        None => Some(Some(tree)),
    }
}

fn priority(node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<Option<Tree>> {
    let Some(node) = node.get("priority") else { return Some(None) };
    let tree = Tree::read(node, names, d)?;
    match tree.literal().map(|literal| literal.as_i64().map(i16::try_from)) {
        None | Some(Some(Ok(_))) => Some(Some(tree)),
        Some(_) => wrong(node, "a whole number from -32768 to 32767, or a template that gives one", d),
    }
}

fn unique(node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<Option<UniquePlan>> {
    let Some(own) = node.get("unique") else { return Some(None) };
    let NodeKind::Map(_) = own.kind else {
        let key = template(node, "unique", names, d)?;
        return Some(key.map(|key| UniquePlan { key, on_taken: OnTaken::Join }));
    };
    let config = UniqueConfig::from_node(own, d)?;
    let key = template(own, "key", names, d)?;
    let on_taken = match config.on_taken {
        OnTakenWord::Join => OnTaken::Join,
        OnTakenWord::Refuse => OnTaken::Refuse,
    };
    Some(key.map(|key| UniquePlan { key, on_taken }))
}

/// Reads the workers, and says what is doubtful about the queues as a whole.
pub(crate) fn with_workers(entries: &[Entry], world: &World<'_>, d: &mut Diagnostics) -> Vec<QueuePlan> {
    let mut plans = Vec::new();
    for entry in entries {
        let Some(about) = world.queue_named(&entry.key) else { continue };
        let worker = entry.value.entry("worker").map(|worker| self::worker(worker, &about, world, d));
        if let Some(worker) = absent_or(worker) {
            plans.push((entry, QueuePlan { about, worker }));
        }
    }
    doubtful::warn(&plans, world, d);
    plans.into_iter().map(|(_, plan)| plan).collect()
}

fn worker(entry: &Entry, queue: &Queue, world: &World<'_>, d: &mut Diagnostics) -> Option<Arc<dyn Pattern>> {
    let name = format!("the worker of the queue `{queue}`");
    let NodeKind::Map(members) = &entry.value.kind else {
        return wrong(&entry.value, "an action, such as `{ call: … }`", d);
    };
    let holder = Holder { kind: "a worker", name: &name, at: entry.key_span, keys: &[] };
    let members = holder.known(members, world.patterns, d);
    let names = names(queue.input_schema.as_ref()).with(["message"]);
    let action = holder.action(&members, &mut world.context(names, d))?;
    if action.asks() {
        let message = format!("{name} asks, and nobody is there who could answer");
        d.push(Diagnostic::error(entry.key_span, message).hint("ask in the tool, before it enqueues"));
        return None;
    }
    Some(action)
}

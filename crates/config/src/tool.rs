//! `tools:` – what the agent sees, and the one action behind each.

pub(crate) mod content;
mod idempotency;
pub(crate) mod input;
mod json_schema;

use std::{borrow::Cow, sync::Arc, time::Duration};

use indexmap::IndexMap;
use renkei_core::{
    ActionContext, Diagnostic, Diagnostics, Entry, FromNode, Map, Node, NodeKind, Pattern, Span, Tree, Value,
    pattern::Holder,
    task::{STATUS_TOOL, Support},
    template::Names,
    tool::{Annotations, CLIENT_NAME as PUBLISHED_NAME, ToolPlan, client_name, is_name_byte},
};
use renkei_derive::FromNode;

pub(crate) use self::content::ContentConfig;
pub(crate) use self::input::Input;
use crate::{action::World, icon::IconConfig};

/// A tool as MCP clients see it, and the one action behind it.
#[derive(Clone, Debug, FromNode)]
#[expect(dead_code, reason = "schemas and templates are read from the tree; their fields are the manual")]
pub(crate) struct ToolConfig {
    /// For the model: what the tool does, when to use it, what comes back.
    description: String,

    /// A name for people to read.
    title: Option<String>,

    /// The arguments, each a name and its type: `string`, `integer`, `number`, `boolean`, `object`, `array`,
    /// `date`, `date-time`, `uuid`, an array of them such as `string[]`, or a JSON Schema. An argument is
    /// required unless its schema says `optional: true` or has a `default`; other arguments are refused.
    input: Option<Input>,

    /// The arguments as a whole JSON Schema 2020-12 of type `object`, instead of `input`.
    input_schema: Option<Node>,

    /// Shapes the result. Its templates see the input as `.`, and what the action gave as `$result` and
    /// `$result_meta`. Without it, the result is what the action gave.
    output: Option<Node>,

    /// The JSON Schema 2020-12 of the result. A result that does not fit is an error.
    output_schema: Option<Node>,

    /// The parts of the result for the model, instead of the result as text.
    content: Option<Vec<ContentConfig>>,

    /// Hints for clients. What is not said here follows from the action.
    #[config(default)]
    annotations: AnnotationsConfig,

    /// Pictures for clients to show.
    #[config(default)]
    icons: Vec<IconConfig>,

    /// Which calls are the same: a template such as `${.request_id}`, or `{ key, ttl }`. A second call with the same key, of
    /// the same caller, has the outcome of the first and no effect of its own; it waits for the first while that is under way. The
    /// same key with other arguments is a `conflict`. Where the first call was cut off, it is said that nobody knows whether it
    /// was done. A call for which the template gives nothing is like no other.
    idempotency: Option<idempotency::IdempotencyNode>,

    /// How long a whole call may take; `server.limits.tool_timeout` if left out. Of a task, how long its run may take:
    /// then `server.limits.run_time` if left out.
    timeout: Option<Duration>,

    /// Whether a call becomes a task, which goes on without its caller and survives a restart.
    #[config(default = "never")]
    task: TaskSupport,

    /// Of a task that asks (`ask`): whether the questions that come before its first call are asked before there is a task.
    /// Then the call ends with them, and becomes a task when it comes again with the answers. Left out, they are the
    /// task's: it waits for input.
    #[config(default)]
    ask_first: bool,
}

/// Whether a call becomes a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromNode)]
pub(crate) enum TaskSupport {
    #[default]
    /// Whoever calls waits for the result, and the call ends with them.
    Never,
    /// For clients that know tasks (`io.modelcontextprotocol/tasks`). Others wait for the result; after
    /// `server.limits.task_patience` they are told where to find it, and the tool `task_status` gives it.
    Optional,
    /// In any case: clients that know no tasks are refused.
    Required,
}

impl From<TaskSupport> for Support {
    fn from(support: TaskSupport) -> Self {
        match support {
            TaskSupport::Never => Support::Never,
            TaskSupport::Optional => Support::Optional,
            TaskSupport::Required => Support::Required,
        }
    }
}

/// Hints for clients; nothing is allowed or refused because of them.
#[derive(Clone, Debug, Default, FromNode)]
struct AnnotationsConfig {
    /// Whether it changes nothing.
    read_only: Option<bool>,
    /// Whether it may remove or overwrite something.
    destructive: Option<bool>,
    /// Whether a second call with the same arguments changes nothing more.
    idempotent: Option<bool>,
    /// Whether it reaches systems outside of this machine.
    open_world: Option<bool>,
}

/// The keys of [`ToolConfig`].
const KEYS: [&str; 13] = [
    "description",
    "title",
    "input",
    "input_schema",
    "output",
    "output_schema",
    "content",
    "annotations",
    "icons",
    "timeout",
    "idempotency",
    "task",
    "ask_first",
];
/// Keys that change what clients see or how long they wait, and not what a call does.
const ABOUT: [&str; 7] = ["description", "title", "annotations", "icons", "timeout", "task", "ask_first"];
/// Reads all of them: no two may have one name for clients.
pub(crate) fn read_all(entries: &[Entry], world: &World<'_>, d: &mut Diagnostics) -> Vec<ToolPlan> {
    let mut seen: IndexMap<Arc<str>, Span> = IndexMap::new();
    for entry in entries {
        let name = published_name(&entry.key);
        if *name != *entry.key {
            let message =
                format!("the name has {} letters, and many clients take {PUBLISHED_NAME}", entry.key.len());
            d.push(
                Diagnostic::warning(entry.key_span, message)
                    .hint(format!("clients see `{name}`; choose a shorter one")),
            );
        }
        if &*name == STATUS_TOOL {
            let message = format!("`{STATUS_TOOL}` is the name of a tool that tasks bring along");
            d.push(Diagnostic::error(entry.key_span, message).hint("give yours another name"));
        }
        if let Some(first) = seen.insert(name.clone(), entry.key_span) {
            let message = format!("two tools are called `{name}` for clients");
            d.push(
                Diagnostic::error(entry.key_span, message)
                    .related(first, "the first one")
                    .hint("shorten one of the names by hand"),
            );
        }
    }
    entries.iter().filter_map(|entry| read(entry, world, d)).collect()
}

/// The name for clients: a long one is cut, and a hash of the whole keeps it apart from others. It depends on
/// nothing but the name itself.
pub(crate) fn published_name(name: &Arc<str>) -> Arc<str> {
    if name.len() <= PUBLISHED_NAME || !name.is_ascii() { name.clone() } else { client_name(name) }
}

/// Reads one tool. Nothing, with diagnostics, if something is wrong.
fn read(entry: &Entry, world: &World<'_>, d: &mut Diagnostics) -> Option<ToolPlan> {
    check_name(entry, "tool", d);
    let NodeKind::Map(members) = &entry.value.kind else {
        d.push(
            Diagnostic::error(
                entry.key_span,
                format!("the tool `{}` is {}, not a mapping", entry.key, entry.value.what()),
            )
            .hint("give it a `description` and a `call`"),
        );
        return None;
    };
    let name = format!("the tool `{}`", entry.key);
    let holder = Holder { kind: "a tool", name: &name, at: entry.key_span, keys: &KEYS };
    let members = holder.known(members, world.patterns, d);
    let tool = holder.own(&members);
    let config = ToolConfig::from_node(&tool, d);
    // From here on everything is read from the tree: what is wrong elsewhere in the tool hides nothing.
    let input_schema = input_schema(&tool, d);
    let names = names(input_schema.as_ref());
    // Whoever knows no tasks is refused: what it did before a question is in its journal.
    let journaled = config.as_ref().is_some_and(|config| config.task == TaskSupport::Required);
    let mut cx = ActionContext { journaled, ..world.context(names.clone(), d) };
    let action = holder.action(&members, &mut cx);
    let idempotency = idempotency::read(&tool, &names, action.as_deref(), d);
    let free = check_cursor(action.as_deref(), input_schema.as_ref(), &tool, d);
    let names = with_results(&names, action.as_deref(), true);
    let output = tool.get("output").map(|node| Tree::read(node, &names, d));
    let output_schema = tool.get("output_schema").map(|node| schema_of(node, d));
    let config = config?;
    let content = config.content.as_ref().map(|parts| content::read(parts, &names, d));
    check_texts(&config, &tool, d);
    check_timeout(config.timeout, &tool, d);
    let annotations = config.annotations;
    check_annotations(&annotations, &tool, d);
    check_ask_first((config.task, config.ask_first), action.as_deref(), &tool, d);
    if !free {
        return None;
    }
    Some(ToolPlan {
        name: published_name(&entry.key),
        title: config.title,
        description: config.description,
        output_schema: absent_or(output_schema)?,
        annotations: Annotations {
            read_only: annotations.read_only,
            destructive: annotations.destructive,
            idempotent: annotations.idempotent,
            open_world: annotations.open_world,
        },
        icons: config.icons.into_iter().map(Into::into).collect(),
        action: action?,
        is_passed_on: false,
        output: absent_or(output)?,
        content: absent_or(content)?,
        timeout: config.timeout,
        idempotency: idempotency?,
        task: config.task.into(),
        asks_first: config.ask_first,
        definition: definition(&members, world),
        input_schema: input_schema?,
    })
}

/// Of all that decides what a call does: the same text means the same, in every process and version.
fn definition(members: &[Entry], world: &World<'_>) -> Arc<str> {
    let own = members.iter().filter(|member| !ABOUT.contains(&&*member.key));
    let own: Value = own.map(|member| (member.key.clone(), member.value.to_value())).collect::<Map>().into();
    let others = if names_action(&own) { world.actions_as_value() } else { Value::Null };
    let text = Value::from(vec![own, others]).to_json();
    // FNV-1a.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}").into()
}

/// Whether one of the `actions` is run somewhere in it, by what can be seen.
fn names_action(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.contains_key("run") || map.values().any(names_action),
        Value::Array(items) => items.iter().any(names_action),
        _ => false,
    }
}

fn check_ask_first(
    (task, asks_first): (TaskSupport, bool),
    action: Option<&dyn Pattern>,
    tool: &Node,
    d: &mut Diagnostics,
) {
    let Some(action) = action.filter(|_| asks_first) else { return };
    let span = tool.entry("ask_first").map_or(tool.span, |entry| entry.key_span);
    if task == TaskSupport::Never {
        d.push(
            Diagnostic::error(span, "there is no task before which it could ask")
                .hint("add `task: optional` or `task: required`, or remove it"),
        );
    } else if !action.asks() {
        d.push(Diagnostic::error(span, "the tool asks nothing").hint("remove it, or ask with `ask`"));
    }
}

/// `None` where something is there and wrong.
pub(crate) fn absent_or<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        Some(None) => None,
        Some(some) => Some(some),
        None => Some(None),
    }
}

/// What MCP allows: 1 to 128 letters, digits, `_`, `-` and `.`.
pub(crate) fn check_name(entry: &Entry, kind: &str, d: &mut Diagnostics) {
    let name = &entry.key;
    if name.is_empty() || name.len() > 128 || !name.bytes().all(is_name_byte) {
        d.push(
            Diagnostic::error(entry.key_span, format!("`{name}` cannot be the name of a {kind}"))
                .hint("a name has 1 to 128 letters, digits, `_`, `-` and `.`; what people read is `title`"),
        );
    }
}

/// What templates may refer to beside their input, in any action that is not inside another one.
pub(crate) fn names(input: Option<&Value>) -> Names<'_> {
    let vars = ["caller", "now", "run", "key"].map(Cow::Borrowed);
    Names { input, vars: vars.into(), ..Names::default() }
}

/// `names`, and what the action, if there is one, binds for `output` and `content`.
pub(crate) fn with_results<'n>(names: &Names<'n>, action: Option<&dyn Pattern>, is_there: bool) -> Names<'n> {
    if !is_there {
        return names.clone();
    }
    let own = action.map(Pattern::results).unwrap_or_default();
    names.with(own.iter().map(|name| name.to_string())).with(["result", "result_meta"])
}

pub(crate) fn input_schema(tool: &Node, d: &mut Diagnostics) -> Option<Value> {
    match (tool.get("input"), tool.get("input_schema")) {
        (None, None) => Some(input::none()),
        (Some(node), None) => input::read(node, d),
        (None, Some(node)) => {
            let schema = schema_of(node, d)?;
            if schema.get("type").and_then(Value::as_str) != Some("object") {
                d.push(
                    Diagnostic::error(node.span, "the arguments of a tool are an object")
                        .hint("add `type: object` to the schema"),
                );
                return None;
            }
            Some(schema)
        }
        (Some(input), Some(node)) => {
            d.push(
                Diagnostic::error(node.span, "`input` and `input_schema` exclude each other")
                    .related(input.span, "`input`")
                    .hint("`input` is the short form; keep one of them"),
            );
            None
        }
    }
}

/// A whole JSON Schema.
fn schema_of(node: &Node, d: &mut Diagnostics) -> Option<Value> {
    if node.as_map().is_none() {
        d.push(
            Diagnostic::error(
                node.span,
                format!("a JSON Schema is a mapping here, and this is {}", node.what()),
            )
            .hint("write `{ type: object, properties: { … } }`"),
        );
        return None;
    }
    let schema = node.to_value();
    let good = json_schema::check_keywords(node, &[], d);
    (json_schema::check(node, &schema, d) && good).then_some(schema)
}

/// Texts for people and models are no templates.
fn check_texts(config: &ToolConfig, node: &Node, d: &mut Diagnostics) {
    let texts = [("description", Some(&config.description)), ("title", config.title.as_ref())];
    for (key, text) in texts {
        let Some(text) = text else { continue };
        let Some(value) = node.get(key) else { continue };
        if text.trim().is_empty() {
            d.push(
                Diagnostic::error(value.span, format!("the {key} is empty"))
                    .hint("say in a sentence what the tool does: a model decides by it"),
            );
        } else if let Some(at) = text.find("${") {
            d.push(
                Diagnostic::warning(
                    value.text_span(at, at + 2),
                    format!("a {key} is no template: `${{` is shown as it is"),
                )
                .hint("clients read it before any call; write it out"),
            );
        }
    }
}

/// Whether the argument that `pages` adds to a tool is free.
fn check_cursor(
    action: Option<&dyn Pattern>,
    schema: Option<&Value>,
    tool: &Node,
    d: &mut Diagnostics,
) -> bool {
    let taken = schema.and_then(|schema| schema.get("properties")?.get("cursor")).is_some();
    if !taken || !action.is_some_and(Pattern::resumes) {
        return true;
    }
    let input =
        tool.get("input").or_else(|| tool.get("input_schema").and_then(|schema| schema.get("properties")));
    let span = input.and_then(|input| input.entry("cursor")).map_or(tool.span, |entry| entry.key_span);
    d.push(
        Diagnostic::error(
            span,
            "the argument `cursor` is there twice: `pages` of the call adds one to go on with",
        )
        .hint(
            "give yours another name, or leave it to `pages`; `cursor_argument: false` in `pages` adds none",
        ),
    );
    false
}

pub(crate) fn check_timeout(timeout: Option<Duration>, node: &Node, d: &mut Diagnostics) {
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        let span = node.get("timeout").map_or(Span::default(), |timeout| timeout.span);
        d.push(
            Diagnostic::error(span, "with no time at all, every call would fail")
                .hint("give it a few seconds, or leave it out for the server's default"),
        );
    }
}

fn check_annotations(annotations: &AnnotationsConfig, node: &Node, d: &mut Diagnostics) {
    if annotations.read_only == Some(true) && annotations.destructive == Some(true) {
        let span = node.get("annotations").and_then(|node| node.entry("destructive"));
        d.push(
            Diagnostic::error(
                span.map_or(node.span, |entry| entry.key_span),
                "what changes nothing cannot be destructive",
            )
            .hint("keep one of `read_only` and `destructive`"),
        );
    }
}

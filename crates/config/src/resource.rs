//! `resources:` – what clients may read, by URI.

mod list;

use std::{path::Path, sync::Arc, time::Duration};

use indexmap::IndexMap;
use renkei_core::{
    Diagnostic, Diagnostics, Entry, FromNode, Node, NodeKind, Pattern, Span, Tree, Value,
    pattern::Holder,
    read::Spanned,
    resource::{Annotations, BodyPlan, ResourcePlan, Role},
    template::Names,
    uri::UriTemplate,
};
use renkei_derive::FromNode;

pub(crate) use self::list::ListConfig;
use crate::{
    action::World,
    complete::{self, CompleteConfig},
    icon::IconConfig,
    schema::ActionBeside,
    tool::{Input, absent_or, check_timeout, input, names, with_results},
};

/// Something to read, with a URI: a text, a file, or what an action gives. With variables in its URI it stands
/// for many.
#[derive(Clone, Debug, FromNode)]
#[expect(dead_code, reason = "schemas and templates are read from the tree; their fields are the manual")]
pub(crate) struct ResourceConfig {
    /// Under which clients ask for it, with a scheme of your own: `shop://hours`. It may have variables:
    /// `{id}` stands for one piece of the path, `{+path}` for several, `{?status,page}` at the end for a query
    /// whose values may be left out. Their values are decoded, and are the input.
    uri: Spanned<String>,

    /// A name for people to read.
    title: Option<String>,

    /// What it is, for people and models.
    description: Option<String>,

    /// Its type, such as `text/markdown`. Without it: that of the file or of the system's answer,
    /// `application/json` for data, `text/plain` for a text.
    mime_type: Option<String>,

    /// Its length in bytes, where it is known.
    size: Option<u64>,

    /// Hints for clients about whom it is for.
    #[config(default)]
    annotations: ResourceAnnotationsConfig,

    /// Pictures for clients to show.
    #[config(default)]
    icons: Vec<IconConfig>,

    /// The types of the URI's variables, as a tool's `input`; `string` for one that is not here. A URI whose
    /// values do not fit is refused.
    input: Option<Input>,

    /// Shapes what the action gave: a text is given as it is, anything else as JSON. Its templates see the
    /// variables as `.`, and what the action gave as `$result` and `$result_meta`.
    output: Option<Node>,

    /// The content, as text with templates: alone, or made from the action's `$result`.
    text: Option<Node>,

    /// The content, as base64 with templates: alone, or made from the action's `$result`.
    blob: Option<Node>,

    /// The content is that of a file; the path starts at the config's folder. It is read anew each time.
    file: Option<Spanned<String>>,

    /// Which instances there are, of a resource with variables, so that clients can list them.
    list: Option<ActionBeside<ListConfig>>,

    /// What a variable that is being typed may become: by its name.
    complete: Option<IndexMap<Arc<str>, CompleteConfig>>,

    /// How long a client may keep what it read. Without it, it should ask each time.
    #[config(default = "0s")]
    ttl: Duration,

    /// Lets clients subscribe to changes, and says how often it is read meanwhile to find them: `10s`, at least
    /// `1s`. It is read once for all who see the same, and not at all while nobody is subscribed.
    watch: Option<Duration>,

    /// How long one read may take; `server.limits.tool_timeout` if left out.
    timeout: Option<Duration>,
}

/// Hints for clients.
#[derive(Clone, Debug, Default, FromNode)]
#[config(check = check_annotations)]
pub(crate) struct ResourceAnnotationsConfig {
    /// Whom it is for: `user`, `assistant` or both.
    #[config(default)]
    audience: Vec<AudienceConfig>,
    /// How much it matters, from 0 (may be left out) to 1 (needed).
    priority: Option<f64>,
}

/// Whom something is for.
#[derive(Clone, Copy, Debug, FromNode)]
pub(crate) enum AudienceConfig {
    User,
    Assistant,
}

const SHORTEST_WATCH: Duration = Duration::from_secs(1);

/// The keys of [`ResourceConfig`].
const KEYS: [&str; 17] = [
    "uri",
    "title",
    "description",
    "mime_type",
    "size",
    "annotations",
    "icons",
    "input",
    "output",
    "text",
    "blob",
    "file",
    "list",
    "complete",
    "ttl",
    "watch",
    "timeout",
];

fn check_annotations(annotations: &ResourceAnnotationsConfig, node: &Node, d: &mut Diagnostics) {
    if annotations.priority.is_some_and(|priority| !(0.0..=1.0).contains(&priority)) {
        let span = node.get("priority").map_or(node.span, |priority| priority.span);
        d.push(Diagnostic::error(span, "a priority is from 0 to 1").hint("0 may be left out, 1 is needed"));
    }
}

/// Reads all of them: no two may have one URI.
pub(crate) fn read_all(
    entries: &[Entry],
    world: &World<'_>,
    base_dir: &Path,
    d: &mut Diagnostics,
) -> Vec<ResourcePlan> {
    let mut seen: IndexMap<Arc<str>, Span> = IndexMap::new();
    let mut plans = Vec::new();
    for entry in entries {
        let Some(plan) = read(entry, world, base_dir, d) else { continue };
        let span = entry.value.get("uri").map_or(entry.key_span, |uri| uri.span);
        match seen.get(plan.uri.source()) {
            Some(first) => d.push(
                Diagnostic::error(span, format!("the URI `{}` is there twice", plan.uri.source()))
                    .related(*first, "first here")
                    .hint("a URI names one resource: change one of them"),
            ),
            None => {
                seen.insert(plan.uri.source().clone(), span);
            }
        }
        plans.push(plan);
    }
    plans
}

/// Reads one resource. Nothing, with diagnostics, if something is wrong.
fn read(entry: &Entry, world: &World<'_>, base_dir: &Path, d: &mut Diagnostics) -> Option<ResourcePlan> {
    let name = format!("the resource `{}`", entry.key);
    let NodeKind::Map(members) = &entry.value.kind else {
        let message = format!("{name} is {}, not a mapping", entry.value.what());
        d.push(
            Diagnostic::error(entry.key_span, message)
                .hint("give it a `uri`, and a `text`, a `file` or an action"),
        );
        return None;
    };
    let holder = Holder { kind: "a resource", name: &name, at: entry.key_span, keys: &KEYS };
    let members = holder.known(members, world.patterns, d);
    let generic = holder.own(&members);
    let config = ResourceConfig::from_node(&generic, d);
    let uri = generic.get("uri").and_then(|node| uri_of(node, d));
    let input_schema = uri.as_ref().and_then(|uri| input::of_texts(&generic, "the URI", &variables(uri), d));

    let scope = names(input_schema.as_ref());
    let has_action = members.iter().any(|member| world.is_pattern(&member.key));
    let content =
        ["text", "blob", "file"].into_iter().filter_map(|key| generic.entry(key)).collect::<Vec<_>>();
    if !has_action && content.is_empty() && members.iter().all(|member| KEYS.contains(&&*member.key)) {
        d.push(
            Diagnostic::error(entry.key_span, format!("{name} holds nothing"))
                .hint("give it a `text`, a `blob`, a `file`, or an action: `call: { … }`"),
        );
        return None;
    }
    let action = holder.optional_action(&members, &mut world.context(scope.clone(), d));
    check_reads(action.as_ref().and_then(Option::as_deref), &name, entry, d);
    if config.as_ref().is_some_and(|config| config.watch.is_some()) {
        let what = format!("{name}, which is watched,");
        check_silent(action.as_ref().and_then(Option::as_deref), &what, entry.key_span, d);
    }
    let scope = with_results(&scope, action.as_ref().and_then(Option::as_deref), has_action);
    let body = body(&generic, &content, has_action, &scope, base_dir, d);
    let list = generic.entry("list").map(|list| list::read(list, uri.as_ref(), world, d));
    let complete = complete::read_all(&generic, &name, input_schema.as_ref(), world, d);
    let config = config?;
    check_timeout(config.timeout, &generic, d);
    check_watch(config.watch, &generic, d);
    let role = |audience: AudienceConfig| match audience {
        AudienceConfig::User => Role::User,
        AudienceConfig::Assistant => Role::Assistant,
    };
    Some(ResourcePlan {
        name: entry.key.clone(),
        uri: uri?,
        title: config.title,
        description: config.description,
        mime_type: config.mime_type,
        size: config.size,
        annotations: Annotations {
            audience: config.annotations.audience.into_iter().map(role).collect(),
            priority: config.annotations.priority,
        },
        icons: config.icons.into_iter().map(Into::into).collect(),
        input_schema: input_schema?,
        action: absent_or(action)?,
        body: body?,
        list: absent_or(list)?,
        complete: complete?,
        ttl: config.ttl,
        watch: config.watch,
        timeout: config.timeout,
    })
}

fn check_watch(watch: Option<Duration>, generic: &Node, d: &mut Diagnostics) {
    if watch.is_some_and(|every| every < SHORTEST_WATCH) {
        let span = generic.get("watch").map_or(generic.span, |node| node.span);
        let message = "a resource is read once a second at most to find changes";
        d.push(Diagnostic::error(span, message).hint("the system bears each of these reads: `watch: 10s`"));
    }
}

fn uri_of(node: &Node, d: &mut Diagnostics) -> Option<UriTemplate> {
    let text = node.as_str()?;
    if let Some(at) = text.find("${") {
        let message = "a URI is no template: its variables are written `{name}`";
        d.push(Diagnostic::error(node.text_span(at, at + 2), message).hint("remove the `$`"));
        return None;
    }
    match UriTemplate::parse(text) {
        Ok(uri) => Some(uri),
        Err(problem) => {
            let span = node.text_span(problem.from, problem.to);
            d.push(Diagnostic::error(span, problem.message).hint(problem.hint));
            None
        }
    }
}

/// Each with whether it is needed.
fn variables(uri: &UriTemplate) -> Vec<(Arc<str>, bool)> {
    uri.variables().map(|name| (name.clone(), uri.needs(name))).collect()
}

/// Refuses an action that asks where nobody can be asked.
pub(crate) fn check_silent(action: Option<&dyn Pattern>, what: &str, at: Span, d: &mut Diagnostics) {
    if action.is_some_and(Pattern::asks) {
        d.push(
            Diagnostic::error(at, format!("{what} may ask, and nobody can be asked there"))
                .hint("ask in a tool, in a prompt, or in a resource that is read"),
        );
    }
}

/// Clients read without asking anybody, and complete while one types.
pub(crate) fn check_reads(action: Option<&dyn Pattern>, what: &str, entry: &Entry, d: &mut Diagnostics) {
    if action.is_some_and(|action| action.effect() != renkei_core::Effect::Read) {
        d.push(
            Diagnostic::error(entry.key_span, format!("{what} may change something in its system"))
                .label("only reads belong here")
                .hint("clients do this without asking anybody: make it a tool; a call that only reads may say `effect: read`"),
        );
    }
}

/// What it holds: at most one of `text`, `blob` and `file`; the action's result without them.
fn body(
    generic: &Node,
    content: &[&Entry],
    has_action: bool,
    names: &Names<'_>,
    base_dir: &Path,
    d: &mut Diagnostics,
) -> Option<BodyPlan> {
    let output = generic.entry("output");
    let all: Vec<&Entry> = content.iter().copied().chain(output).collect();
    if let [first, second, ..] = &all[..] {
        d.push(
            Diagnostic::error(
                second.key_span,
                format!("`{}` and `{}` exclude each other", first.key, second.key),
            )
            .related(first.key_span, "the first one")
            .hint("keep the one that gives the content"),
        );
        return None;
    }
    let Some(only) = all.first() else { return Some(BodyPlan::Result(None)) };
    match &*only.key {
        "text" => Tree::read(&only.value, names, d).map(BodyPlan::Text),
        "blob" => Tree::read(&only.value, names, d).map(BodyPlan::Blob),
        "output" => Tree::read(&only.value, names, d).map(|tree| BodyPlan::Result(Some(tree))),
        _ if has_action => {
            let message = "a resource with a `file` needs no action";
            d.push(Diagnostic::error(only.key_span, message).hint("remove the action, or the file"));
            None
        }
        _ => file(&only.value, base_dir, d),
    }
}

fn file(node: &Node, base_dir: &Path, d: &mut Diagnostics) -> Option<BodyPlan> {
    let text = node.as_str()?;
    if text.contains("${") {
        let hint = "name one file; a system of kind `files` reads those that a caller chooses";
        d.push(Diagnostic::error(node.span, "the path of a file is no template").hint(hint));
        return None;
    }
    if !base_dir.join(text).is_file() {
        let hint = format!("the path starts at the config's folder, `{}`", base_dir.display());
        d.push(Diagnostic::error(node.span, format!("there is no file `{text}`")).hint(hint));
        return None;
    }
    Some(BodyPlan::File(text.into()))
}

/// The members of a mapping, by name; nothing, with a diagnostic, if it is something else.
pub(crate) fn mapping<'n>(
    node: &'n Node,
    what: &str,
    hint: &str,
    d: &mut Diagnostics,
) -> Option<&'n [Entry]> {
    let members = node.as_map();
    if members.is_none() {
        d.push(
            Diagnostic::error(node.span, format!("{what} is a mapping, and this is {}", node.what()))
                .hint(hint),
        );
    }
    members
}

/// The properties of an input, by name.
pub(crate) fn properties(schema: &Value) -> impl Iterator<Item = &str> {
    let all = schema.get("properties").and_then(Value::as_object);
    all.into_iter().flat_map(|all| all.keys()).map(|name| &**name)
}

//! `prompts:` – messages that people start a conversation with.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Entry, FromNode, Node, NodeKind, Schema, Value, pattern::Holder,
    prompt::PromptPlan, resource::Role, template::Names, tool::ContentPlan,
};
use renkei_derive::FromNode;

use crate::{
    action::World,
    complete::{self, CompleteConfig},
    icon::IconConfig,
    resource::check_reads,
    tool::{ContentConfig, Input, absent_or, check_name, check_timeout, content, input, names, with_results},
};

/// Messages that a person starts a conversation with, filled in from arguments and from what an action gives.
#[derive(Clone, Debug, FromNode)]
#[expect(dead_code, reason = "schemas and templates are read from the tree; their fields are the manual")]
pub(crate) struct PromptConfig {
    /// A name for people to read.
    title: Option<String>,

    /// What it is good for.
    description: Option<String>,

    /// Pictures for clients to show.
    #[config(default)]
    icons: Vec<IconConfig>,

    /// The arguments, as a tool's `input`. People type them, so each is a text, a number or a flag; its
    /// `title` and `description` are shown to them.
    input: Option<Input>,

    /// What an argument that is being typed may become: by its name. One with an `enum` is completed from that.
    complete: Option<IndexMap<Arc<str>, CompleteConfig>>,

    /// The messages, in their order. Their templates see the arguments as `.`, and what the action gave, if
    /// there is one, as `$result` and `$result_meta`.
    messages: Messages,

    /// How long the whole may take; `server.limits.tool_timeout` if left out.
    timeout: Option<Duration>,
}

/// Read only to have a schema: a message that is wrong hides nothing of the others.
#[derive(Clone, Debug)]
struct Messages;

impl FromNode for Messages {
    fn from_node(_: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(Messages)
    }

    fn schema(defs: &mut Definitions) -> Schema {
        Vec::<MessageConfig>::schema(defs)
    }
}

/// One message, by whom it comes from. One whose text or data is absent is left out.
#[derive(Clone, Debug, FromNode)]
pub(crate) enum MessageConfig {
    /// From the person.
    User(PartConfig),
    /// From the model, as an example of how to answer.
    Assistant(PartConfig),
}

/// A text, or a part of another kind.
#[derive(Clone, Debug)]
pub(crate) struct PartConfig(ContentConfig);

impl FromNode for PartConfig {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::Map(_) => ContentConfig::from_node(node, d).map(PartConfig),
            NodeKind::Seq(_) | NodeKind::Null => {
                let message = format!("a message is a text or one part, and this is {}", node.what());
                d.push(
                    Diagnostic::error(node.span, message)
                        .hint("write `- user: …`; several parts are several messages"),
                );
                None
            }
            _ => Some(PartConfig(ContentConfig::Text(node.clone()))),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        Value::from([("anyOf", vec![Value::from([("type", "string")]), ContentConfig::schema(defs)])])
    }
}

/// The keys of [`PromptConfig`].
const KEYS: [&str; 7] = ["title", "description", "icons", "input", "complete", "messages", "timeout"];

/// Reads one prompt. Nothing, with diagnostics, if something is wrong.
pub(crate) fn read(entry: &Entry, world: &World<'_>, d: &mut Diagnostics) -> Option<PromptPlan> {
    check_name(entry, "prompt", d);
    let name = format!("the prompt `{}`", entry.key);
    let NodeKind::Map(members) = &entry.value.kind else {
        let message = format!("{name} is {}, not a mapping", entry.value.what());
        d.push(Diagnostic::error(entry.key_span, message).hint("give it `messages: [user: …]`"));
        return None;
    };
    let holder = Holder { kind: "a prompt", name: &name, at: entry.key_span, keys: &KEYS };
    let members = holder.known(members, world.patterns, d);
    let generic = holder.own(&members);
    let config = PromptConfig::from_node(&generic, d);
    let input_schema = input::of_texts(&generic, "a prompt", &[], d);
    let scope = names(input_schema.as_ref());
    let has_action = members.iter().any(|member| world.is_pattern(&member.key));
    let action = holder.optional_action(&members, &mut world.context(scope.clone(), d));
    check_reads(action.as_ref().and_then(Option::as_deref), &name, entry, d);
    let scope = with_results(&scope, action.as_ref().and_then(Option::as_deref), has_action);
    let complete = complete::read_all(&generic, &name, input_schema.as_ref(), world, d);
    let messages = generic.get("messages").and_then(|node| messages(node, &name, &scope, d));
    let config = config?;
    check_timeout(config.timeout, &generic, d);
    Some(PromptPlan {
        name: entry.key.clone(),
        title: config.title,
        description: config.description,
        icons: config.icons.into_iter().map(Into::into).collect(),
        input_schema: input_schema?,
        action: absent_or(action)?,
        messages: messages?,
        complete: complete?,
        timeout: config.timeout,
    })
}

fn messages(
    node: &Node,
    holder: &str,
    names: &Names<'_>,
    d: &mut Diagnostics,
) -> Option<Vec<(Role, ContentPlan)>> {
    let nodes = Vec::<Node>::from_node(node, d)?;
    if nodes.is_empty() {
        let diagnostic = Diagnostic::error(node.span, format!("{holder} has no messages"));
        d.push(diagnostic.hint("write `messages: [user: …]`"));
        return None;
    }
    let mut one = |node: &Node| {
        let (role, PartConfig(part)) = match MessageConfig::from_node(node, d)? {
            MessageConfig::User(part) => (Role::User, part),
            MessageConfig::Assistant(part) => (Role::Assistant, part),
        };
        content::part(&part, names, d).map(|part| (role, part))
    };
    // All are read before the first failure is returned: every problem is to be seen.
    let read: Vec<Option<_>> = nodes.iter().map(&mut one).collect();
    read.into_iter().collect()
}

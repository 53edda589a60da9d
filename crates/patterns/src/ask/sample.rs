//! A message that the model behind the client is asked for.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use indexmap::IndexMap;
use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Error, FromNode, Map, Node, NodeKind, Result, Schema, Scope, Tree,
    Value,
    ask::{ModelPreferences, Part, Sample, SampleTool},
    read::wrong,
    resource::Role,
    template::Names,
    tool::Content,
};
use renkei_derive::FromNode;

use super::{config::text, run};
use crate::engine::check_schema;

const MAX_MESSAGES: usize = 100;

/// What the model is to answer. Its answer is an object: `text`, `role`, `content` (the parts as MCP writes them), `model`,
/// `stop_reason`, and `tool_calls` where it wants to use a tool.
#[derive(Debug, FromNode)]
#[config(check = SampleConfig::check)]
#[expect(dead_code, reason = "templates are read from the tree; their fields are the manual")]
struct SampleConfig {
    /// The conversation so far: a text from the user, a list of `- user: …` and `- assistant: …`, or a template that
    /// gives either. A message is a text; `{ image: { data, mime_type } }` or `{ audio: … }` with base64; or parts as
    /// MCP writes them, such as `${$answer.content}`.
    messages: Node,
    /// The system prompt. May have templates.
    system: Option<Node>,
    /// The longest answer.
    #[config(default = 1000)]
    max_tokens: u32,
    /// From 0 up: how much chance there is in it.
    temperature: Option<f64>,
    /// Texts at which the model stops.
    #[config(default)]
    stop: Vec<Arc<str>>,
    /// Which model the client might take. It decides.
    model: Option<ModelConfig>,
    /// Tools that the model may use, by name. Renkei does not carry them out: the answer says which one is wanted.
    tools: Option<IndexMap<Arc<str>, SampleToolConfig>>,
    /// Whether it has to use one.
    tool_choice: Option<Choice>,
}

/// Which model the client might take: hints first, then how much each matters, from 0 to 1.
#[derive(Debug, Default, FromNode)]
struct ModelConfig {
    /// Parts of names of models, the best first: `[claude-sonnet, claude]`.
    #[config(default)]
    hints: Vec<Arc<str>>,
    cost: Option<f64>,
    speed: Option<f64>,
    intelligence: Option<f64>,
}

/// A tool that the model may use.
#[derive(Debug, FromNode)]
struct SampleToolConfig {
    description: Option<Arc<str>>,
    /// Its input as a JSON Schema of type `object`.
    input_schema: Node,
}

#[derive(Clone, Copy, Debug, FromNode)]
enum Choice {
    /// As the model likes.
    Auto,
    /// One at least.
    Required,
    None,
}

impl SampleConfig {
    fn check(&self, node: &Node, d: &mut Diagnostics) {
        let at = |key: &str| node.entry(key).map_or(node.span, |entry| entry.key_span);
        if self.max_tokens == 0 {
            d.push(
                Diagnostic::error(at("max_tokens"), "the model could answer nothing")
                    .hint("give it some hundred"),
            );
        }
        if self.tool_choice.is_some() && self.tools.as_ref().is_none_or(IndexMap::is_empty) {
            d.push(
                Diagnostic::error(at("tool_choice"), "there are no tools to choose from")
                    .hint("add `tools`, or remove it"),
            );
        }
        let model = self.model.as_ref();
        let priorities = model.map(|model| [model.cost, model.speed, model.intelligence]).unwrap_or_default();
        if priorities.into_iter().flatten().any(|priority| !(0.0..=1.0).contains(&priority)) {
            d.push(
                Diagnostic::error(at("model"), "how much something matters is a number from 0 to 1")
                    .hint("1 is the most important"),
            );
        }
        for (name, tool) in self.tools.iter().flatten() {
            let schema = tool.input_schema.to_value();
            let wrong = match schema.get("type").and_then(Value::as_str) {
                Some("object") => check_schema(&schema).err(),
                _ => Some("it is not of type `object`".to_owned()),
            };
            if let Some(why) = wrong {
                let message = format!("the `input_schema` of `{name}` cannot be used: {why}");
                d.push(
                    Diagnostic::error(tool.input_schema.span, message)
                        .hint("write a JSON Schema of type `object`"),
                );
            }
        }
    }
}

/// Stands in a config type for what [`SamplePlan`] reads.
#[derive(Debug)]
pub(super) struct Sampled;

impl FromNode for Sampled {
    fn from_node(_: &Node, _: &mut Diagnostics) -> Option<Self> {
        Some(Sampled)
    }

    fn schema(defs: &mut Definitions) -> Schema {
        let text = Value::from([
            ("type", "string"),
            ("description", "What the user would say. May have templates."),
        ]);
        Value::from([("anyOf", Value::from(vec![text, SampleConfig::schema(defs)]))])
    }
}

#[derive(Debug)]
pub(crate) struct SamplePlan {
    messages: Tree,
    system: Option<Tree>,
    /// All without templates.
    fixed: Sample,
}

impl SamplePlan {
    pub(super) fn read(node: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<Self> {
        if let NodeKind::String(_) = node.kind {
            let fixed = Sample { max_tokens: 1000, ..Sample::default() };
            return Some(SamplePlan { messages: Tree::read(node, names, d)?, system: None, fixed });
        }
        if node.as_map().is_none() {
            return wrong(node, "what the model is to answer: a text, or `{ messages: … }`", d);
        }
        let config = SampleConfig::from_node(node, d);
        let messages = node.get("messages").map(|node| Tree::read(node, names, d));
        let system = node.get("system").map(|node| text(node, names, d));
        let config = config?;
        let number = |node: Option<&Node>, key: &str| match node?.get(key)?.to_value() {
            Value::Number(number) => Some(number),
            _ => None,
        };
        let model = node.get("model");
        let tools = config.tools.into_iter().flatten().map(|(name, tool)| SampleTool {
            name,
            description: tool.description,
            input_schema: tool.input_schema.to_value(),
        });
        let fixed = Sample {
            max_tokens: config.max_tokens.into(),
            temperature: number(Some(node), "temperature"),
            stop: config.stop,
            model: ModelPreferences {
                hints: config.model.map(|model| model.hints).unwrap_or_default(),
                cost: number(model, "cost"),
                speed: number(model, "speed"),
                intelligence: number(model, "intelligence"),
            },
            tools: tools.collect(),
            tool_choice: config.tool_choice.map(|choice| match choice {
                Choice::Auto => "auto".into(),
                Choice::Required => "required".into(),
                Choice::None => "none".into(),
            }),
            ..Sample::default()
        };
        let system = match system {
            Some(system) => Some(system?),
            None => None,
        };
        Some(SamplePlan { messages: messages??, system, fixed })
    }

    pub(super) fn render(&self, scope: &Scope, timeout: Option<Duration>) -> Result<Sample> {
        let system = self.system.as_ref().map(|system| run::text(system, scope, "system")).transpose()?;
        let messages = match self.messages.render(scope)? {
            Some(Value::Array(items)) if (1..=MAX_MESSAGES).contains(&items.len()) => {
                items.iter().map(one).collect::<Result<Vec<_>>>()?
            }
            Some(Value::String(text)) if !text.is_empty() => {
                vec![(Role::User, Part::Content(Content::Text(text.to_string())))]
            }
            Some(Value::Array(items)) => {
                let message =
                    format!("ask the model with {} messages; it can be 1 to {MAX_MESSAGES}", items.len());
                return Err(Error::internal(message));
            }
            other => {
                let found = run::found(other.as_ref());
                return Err(Error::internal(format!(
                    "ask the model: `messages` is {found}, not a text and no list"
                )));
            }
        };
        Ok(Sample { messages, system, timeout, ..self.fixed.clone() })
    }
}

/// `{ user: … }`, `{ assistant: … }`, or a message as MCP writes it.
fn one(message: &Value) -> Result<(Role, Part)> {
    let wrong = || Error::internal("ask the model: a message is `user: …` or `assistant: …`");
    let map = message.as_object().ok_or_else(wrong)?;
    if let (Some(role), Some(content)) = (map.get("role").and_then(Value::as_str), map.get("content")) {
        return Ok((role_of(role).ok_or_else(wrong)?, Part::Raw(content.clone())));
    }
    let (role, part) = map.first().filter(|_| map.len() == 1).ok_or_else(wrong)?;
    Ok((role_of(role).ok_or_else(wrong)?, part_of(part)?))
}

fn role_of(word: &str) -> Option<Role> {
    match word {
        "user" => Some(Role::User),
        "assistant" => Some(Role::Assistant),
        _ => None,
    }
}

fn part_of(part: &Value) -> Result<Part> {
    let map = match part {
        Value::String(text) => return Ok(Part::Content(Content::Text(text.to_string()))),
        Value::Object(map) => map,
        Value::Array(_) => return Ok(Part::Raw(part.clone())),
        other => {
            return Err(Error::internal(format!(
                "ask the model: a message is {}, not a text",
                other.type_name()
            )));
        }
    };
    let bytes = |key: &str| {
        let part = map.get(key).filter(|_| map.len() == 1)?;
        let (data, mime_type) = (part.get("data")?.as_str()?, part.get("mime_type")?.as_str()?);
        Some((STANDARD.decode(data).ok()?.into(), mime_type.to_owned()))
    };
    if let Some((data, mime_type)) = bytes("image") {
        return Ok(Part::Content(Content::Image { data, mime_type }));
    }
    if let Some((data, mime_type)) = bytes("audio") {
        return Ok(Part::Content(Content::Audio { data, mime_type }));
    }
    match map.contains_key("type") {
        true => Ok(Part::Raw(part.clone())),
        false => Err(Error::internal(
            "ask the model: a message is a text, `{ image: { data, mime_type } }`, `{ audio: … }`, or a part as MCP writes it",
        )),
    }
}

/// What the model wrote, in the words of templates.
pub(super) fn message(answered: &Value) -> Value {
    let content = match answered.get("content") {
        Some(Value::Array(parts)) => parts.to_vec(),
        Some(part) => vec![part.clone()],
        None => Vec::new(),
    };
    let is = |part: &Value, kind: &str| part.get("type").and_then(Value::as_str) == Some(kind);
    let texts: Vec<&str> = content.iter().filter_map(|part| part.get("text")?.as_str()).collect();
    let calls: Vec<Value> = content
        .iter()
        .filter(|part| is(part, "tool_use"))
        .map(|part| {
            let members = ["id", "name", "input"].into_iter();
            members.filter_map(|key| Some((key.into(), part.get(key)?.clone()))).collect::<Map>().into()
        })
        .collect();
    let mut map = Map::new();
    map.insert("text".into(), texts.join("\n").into());
    for (key, source) in [("role", "role"), ("model", "model"), ("stop_reason", "stopReason")] {
        if let Some(value) = answered.get(source) {
            map.insert(key.into(), value.clone());
        }
    }
    map.insert("content".into(), content.into());
    if !calls.is_empty() {
        map.insert("tool_calls".into(), calls.into());
    }
    map.into()
}

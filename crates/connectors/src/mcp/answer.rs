//! What a tool answers in a config test: its structure, its text, its parts, or that it failed. It is read as if it came
//! from a server.

use std::sync::Arc;

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, FromNode, Map, Node, Reply, Request, Result, Schema, Secret, Value,
    connector::{Answer, Came},
    secret,
};
use renkei_derive::FromNode;

use super::{message, prepare::Plan, reply};

/// What a tool of an MCP server answers.
#[derive(Debug, FromNode)]
#[config(check = check)]
struct AnswerConfig {
    /// What a tool of an MCP server gives as structure. Without `content`, its parts are this as a text.
    structured: Option<Value>,
    /// What a tool of an MCP server gives as its only part, as text.
    text: Option<Arc<str>>,
    /// The parts that a tool of an MCP server gives, as the protocol has them, such as `{ type: text, text: … }`; a text is
    /// short for that.
    content: Option<Vec<Value>>,
    /// The tool of an MCP server failed, and says this.
    tool_error: Option<Arc<str>>,
}

const WORDS: [&str; 4] = ["structured", "text", "content", "tool_error"];

fn check(_: &AnswerConfig, node: &Node, d: &mut Diagnostics) {
    let given: Vec<&str> = WORDS.into_iter().filter(|word| node.entry(word).is_some()).collect();
    if given.len() > 1 && given[..] != ["structured", "text"] && given[..] != ["structured", "content"] {
        let message = format!("a tool does not answer `{}` at once", given.join("` and `"));
        d.push(
            Diagnostic::error(node.span, message)
                .hint("keep one; `structured` goes with `text` or `content`"),
        );
    }
}

/// The words and their schemas.
pub(super) fn words(defs: &mut Definitions) -> Vec<(&'static str, Schema)> {
    let mut own = Definitions::default();
    let schema = AnswerConfig::schema(&mut own);
    let words = WORDS.into_iter().filter_map(|name| Some((name, own.property(&schema, name)?))).collect();
    // What the properties refer to stays; the struct itself is nobody's.
    defs.map.extend(own.map.into_iter().filter(|(name, _)| !name.ends_with("AnswerConfig")));
    words
}

/// A result as a server would send it.
#[derive(Debug)]
struct ToolAnswer(Value);

pub(super) fn read(node: &Node, d: &mut Diagnostics) -> Option<Arc<dyn Answer>> {
    let before = d.iter().count();
    let config = AnswerConfig::from_node(node, d)?;
    if d.iter().count() > before {
        return None;
    }
    let text = |text: &str| Value::from([("type", "text"), ("text", text)]);
    let mut result = Map::new();
    let parts = match (&config.content, &config.text, &config.tool_error, &config.structured) {
        (Some(parts), ..) => {
            parts.iter().map(|part| part.as_str().map_or_else(|| part.clone(), text)).collect()
        }
        (_, Some(only), ..) => vec![text(only)],
        (.., Some(why), _) => vec![text(why)],
        (.., Some(structured)) => vec![text(&structured.to_json())],
        _ => Vec::new(),
    };
    result.insert("content".into(), parts.into());
    if let Some(structured) = config.structured {
        result.insert("structuredContent".into(), structured);
    }
    if config.tool_error.is_some() {
        result.insert("isError".into(), true.into());
    }
    Some(Arc::new(ToolAnswer(result.into())))
}

impl Answer for ToolAnswer {
    fn answer(&self, request: &Request) -> Result<Reply> {
        let plan = Plan::of(request, &request.op.system)?;
        reply::reply(request, plan, &Ok(self.0.clone()), &[])
    }
}

/// An answer in those words as it came, without the system's own secrets. An error of the protocol has none.
pub(super) fn shown(answer: &message::Answer, secrets: &[Secret]) -> Value {
    let Ok(result) = answer else { return Value::Null };
    let content = result.get("content").and_then(Value::as_array).unwrap_or_default();
    let text = |part: &Value| {
        let is_text = part.get("type").and_then(Value::as_str) == Some("text")
            && part.as_object().is_some_and(|members| members.len() == 2);
        part.get("text").filter(|_| is_text).cloned()
    };
    let mut map = Map::new();
    let only = match content {
        [part] => text(part),
        _ => None,
    };
    let is_error = result.get("isError").and_then(Value::as_bool) == Some(true);
    let structured = result.get("structuredContent").filter(|value| !value.is_null());
    if is_error {
        let texts: Vec<String> =
            content.iter().filter_map(text).filter_map(|text| text.as_str().map(ToOwned::to_owned)).collect();
        map.insert("tool_error".into(), texts.join("\n").into());
    } else {
        if let Some(structured) = structured {
            map.insert("structured".into(), structured.clone());
        }
        match only {
            // What only repeats the structure is left out.
            Some(Value::String(text))
                if structured.is_some_and(|structured| {
                    Value::from_json(text.as_bytes()).ok().as_ref() == Some(structured)
                }) => {}
            Some(text) => drop(map.insert("text".into(), text)),
            None => {
                let parts: Vec<Value> =
                    content.iter().map(|part| text(part).unwrap_or_else(|| part.clone())).collect();
                map.insert("content".into(), parts.into());
            }
        }
    }
    let words = Value::from(map);
    secret::mask(&words, secrets).unwrap_or(words)
}

/// Writes an answer as somebody would who writes a test.
pub(super) fn write(came: &Came<'_>) -> Vec<Value> {
    let Some(all) = came.answered.filter(|answered| answered.as_object().is_some()) else {
        return Vec::new();
    };
    let structure =
        all.get("structured").filter(|_| all.get("content").or_else(|| all.get("text")).is_some());
    let short = structure.map(|structured| Value::from([("structured", structured.clone())]));
    short.into_iter().chain([all.clone()]).collect()
}

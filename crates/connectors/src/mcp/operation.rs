//! What stands under `call: { SYSTEM: … }`: the tool, its arguments, and what its answers mean.

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Effect, FromNode, Kind, Node, NodeKind, Schema, Value,
    diagnostic::suggest,
    read::{Spanned, wrong},
};
use renkei_derive::FromNode;

use crate::text::Glob;

/// One call of a tool of another MCP server. In short its name: `get_time`.
#[derive(Debug, FromNode)]
pub(super) struct Op {
    /// The tool's name, as the server lists it.
    pub(super) tool: Spanned<String>,
    /// Its arguments: a mapping, or a template that gives an object such as `${.}`. Absent members disappear, null stays.
    #[expect(dead_code, reason = "templates are read from the node, which has their places")]
    pub(super) arguments: Option<Node>,
    /// What a repeat would do. `write` unless set: what a server says of its own tools is no promise.
    pub(super) effect: Option<EffectWord>,
    /// Sends the key of the step, `$key`, as this argument, so that the server recognises a repeat.
    pub(super) idempotency_key: Option<String>,
    /// How its result is read; see the guide. Without it: what it has as structure, else its only part, else the list of
    /// its parts.
    #[config(rename = "as")]
    pub(super) read_as: Option<ReadAs>,
    /// What an error of the tool means, by patterns of its text: `{ '*not found*': not_found }`. The first that fits
    /// counts, and says that the tool has changed nothing.
    #[config(default)]
    pub(super) errors: Errors,
}

/// How a result is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromNode)]
pub(super) enum ReadAs {
    /// The text of all its text parts.
    Text,
    /// The value that this text holds.
    Json,
    /// The list of its parts, as the protocol has them: `{ type: text, text }`, `{ type: image, data, mimeType }`.
    Parts,
}

#[derive(Clone, Copy, Debug, FromNode)]
pub(super) enum EffectWord {
    /// Changes nothing.
    Read,
    /// A repeat changes nothing more.
    Idempotent,
    /// A repeat may do it twice.
    Write,
}

impl From<EffectWord> for Effect {
    fn from(word: EffectWord) -> Self {
        match word {
            EffectWord::Read => Effect::Read,
            EffectWord::Idempotent => Effect::Idempotent,
            EffectWord::Write => Effect::Write,
        }
    }
}

/// From patterns of texts to kinds of errors.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<(Glob, Kind)>);

/// More patterns than this are no list that somebody reads.
const MAX_PATTERNS: usize = 64;

impl Errors {
    pub(super) fn get(&self, text: &str) -> Option<Kind> {
        self.0.iter().find(|(pattern, _)| pattern.matches(text)).map(|(_, kind)| *kind)
    }
}

impl FromNode for Errors {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        if matches!(node.kind, NodeKind::Unknown) {
            return Some(Self::default());
        }
        let Some(entries) = node.as_map() else {
            return wrong(node, "a mapping such as `'*not found*': not_found`", d);
        };
        if entries.len() > MAX_PATTERNS {
            d.error(
                node.span,
                format!("`errors` has {} patterns, at most {MAX_PATTERNS} fit", entries.len()),
            );
            return None;
        }
        let mut errors = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(word) = entry.value.as_str() else {
                wrong::<()>(&entry.value, "a kind of error, such as `not_found`", d);
                continue;
            };
            let Some(kind) = Kind::parse(word) else {
                let words = Kind::ALL.map(Kind::as_str);
                let diagnostic =
                    Diagnostic::error(entry.value.span, format!("`{word}` is not a kind of error"));
                d.push(match suggest(word, words) {
                    Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
                    None => diagnostic.hint(format!("one of `{}`", words.join("`, `"))),
                });
                continue;
            };
            match Glob::read(&entry.key) {
                Ok(pattern) => errors.push((pattern, kind)),
                Err(why) => d.push(
                    Diagnostic::error(entry.key_span, format!("the pattern {why}"))
                        .hint("`*` stands for any text, as in `'*not found*'`"),
                ),
            }
        }
        (errors.len() == entries.len()).then_some(Errors(errors))
    }

    fn schema(_: &mut Definitions) -> Schema {
        let words: Vec<Value> = Kind::ALL.iter().map(|kind| kind.as_str().into()).collect();
        Value::from([
            ("type", Value::from("object")),
            ("additionalProperties", Value::from([("enum", words)])),
        ])
    }
}

/// Of one operation: a text or a mapping.
pub(super) fn schema(defs: &mut Definitions) -> Schema {
    let short = Value::from([
        ("type", "string"),
        ("pattern", "^[A-Za-z0-9_./-]{1,128}$"),
        ("description", "The name of a tool that is called without arguments."),
    ]);
    Value::from([("oneOf", Value::from(vec![short, Op::schema(defs)]))])
}

//! The config as a tree that remembers where each piece stands.

use std::sync::Arc;

use crate::{Number, Value};

/// A range of bytes in one source file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Index into [`crate::diagnostic::Sources`].
    pub file: u16,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// The part `from..to` (bytes) of this span.
    pub fn part(self, from: usize, to: usize) -> Span {
        let at = |offset: usize| (self.start + u32::try_from(offset).unwrap_or(u32::MAX)).min(self.end);
        Span { file: self.file, start: at(from), end: at(to) }
    }
}

/// One node of the tree.
#[derive(Clone, Debug)]
pub struct Node {
    pub kind: NodeKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum NodeKind {
    Null,
    Bool(bool),
    Number(Number),
    String(Text),
    Seq(Vec<Node>),
    /// In source order; keys are unique.
    Map(Vec<Entry>),
    /// A value from the environment that is not known here (`check --no-env`): fits every type.
    Unknown,
}

/// A text and, where the source shows it letter by letter, where it starts there.
#[derive(Clone, Debug)]
pub struct Text {
    pub value: Arc<str>,
    /// Offset in bytes of the first letter, if every letter of `value` stands in the source unchanged.
    pub verbatim: Option<u32>,
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub key: Arc<str>,
    pub key_span: Span,
    pub value: Node,
}

impl Node {
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::String(text) => Some(&text.value),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.kind {
            NodeKind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.kind {
            NodeKind::Seq(items) => Some(items),
            _ => None,
        }
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_map()?.iter().find(|entry| &*entry.key == key)
    }

    /// Whether it, or anything in it, is a value that is not known here.
    pub fn has_unknown(&self) -> bool {
        match &self.kind {
            NodeKind::Unknown => true,
            NodeKind::Seq(items) => items.iter().any(Node::has_unknown),
            NodeKind::Map(entries) => entries.iter().any(|entry| entry.value.has_unknown()),
            _ => false,
        }
    }

    /// What it is, for messages: `a string`, `a mapping`.
    pub fn what(&self) -> &'static str {
        match self.kind {
            NodeKind::Null => "nothing",
            NodeKind::Bool(_) => "true or false",
            NodeKind::Number(_) => "a number",
            NodeKind::String(_) => "a string",
            NodeKind::Seq(_) => "a list",
            NodeKind::Map(_) => "a mapping",
            NodeKind::Unknown => "a value from the environment",
        }
    }

    /// The tree as a plain value; an unknown value is null.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            NodeKind::Null | NodeKind::Unknown => Value::Null,
            NodeKind::Bool(flag) => Value::Bool(*flag),
            NodeKind::Number(number) => Value::Number(number.clone()),
            NodeKind::String(text) => Value::String(text.value.clone()),
            NodeKind::Seq(items) => items.iter().map(Node::to_value).collect::<Vec<_>>().into(),
            NodeKind::Map(entries) => Value::Object(Arc::new(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_value())).collect(),
            )),
        }
    }

    /// Where the bytes `from..to` of this string's text stand in the source; the whole node where
    /// quoting or folding hides that.
    pub fn text_span(&self, from: usize, to: usize) -> Span {
        match &self.kind {
            NodeKind::String(Text { verbatim: Some(start), .. }) => {
                Span { file: self.span.file, start: start + from as u32, end: start + to as u32 }
            }
            _ => self.span,
        }
    }
}

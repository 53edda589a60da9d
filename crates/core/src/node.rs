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

/// A text, and where its letters stand in the source. Outside the YAML reader, `Text::new`.
#[derive(Clone, Debug, Default)]
pub struct Text {
    pub value: Arc<str>,
    /// Offset in bytes of the first letter, if every letter of `value` stands in the source unchanged.
    pub verbatim: Option<u32>,
    /// For a text of several lines: each line's offset in `value` and in the source, in order, if
    /// every line stands in the source unchanged.
    pub lines: Option<Arc<[(u32, u32)]>>,
    /// It was rendered already and holds values of the environment: a `${` in it is no template.
    pub literal: bool,
}

impl Text {
    /// A text that does not stand in the source.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Text { value: value.into(), ..Text::default() }
    }
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
        let NodeKind::String(text) = &self.kind else { return self.span };
        let (from, to) = (from as u32, to as u32);
        let place = |at: u32| match (&text.verbatim, &text.lines) {
            (Some(start), _) => Some(start + at),
            (None, Some(lines)) => {
                let line = lines.partition_point(|(in_text, _)| *in_text <= at).checked_sub(1)?;
                let (in_text, in_source) = lines[line];
                Some(in_source + (at - in_text))
            }
            (None, None) => None,
        };
        // The end belongs to the line of the last letter, not to the one that may begin there.
        match (place(from), place(to.saturating_sub(1).max(from))) {
            (Some(start), Some(last)) => {
                let end = if to > from { last + 1 } else { start };
                Span { file: self.span.file, start: start.min(self.span.end), end: end.min(self.span.end) }
            }
            _ => self.span,
        }
    }
}

/// A tree that stands in no file: each text is where it would be if a file held nothing else.
impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        let mut span = Span::default();
        let kind = match value {
            Value::Null => NodeKind::Null,
            Value::Bool(flag) => NodeKind::Bool(*flag),
            Value::Number(number) => NodeKind::Number(number.clone()),
            Value::String(text) => {
                span.end = u32::try_from(text.len()).unwrap_or(u32::MAX);
                NodeKind::String(Text { verbatim: Some(0), ..Text::new(text.clone()) })
            }
            Value::Array(items) => NodeKind::Seq(items.iter().map(Node::from).collect()),
            Value::Object(map) => NodeKind::Map(
                map.iter()
                    .map(|(key, value)| Entry { key: key.clone(), key_span: span, value: value.into() })
                    .collect(),
            ),
        };
        Node { kind, span }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_letters_of_a_text() {
        let span = Span { file: 1, start: 10, end: 40 };
        let node = |text: Text| Node { kind: NodeKind::String(text), span };
        let places = |node: &Node| {
            [(0, 3), (2, 6), (4, 4), (5, 99)].map(|(from, to)| {
                let span = node.text_span(from, to);
                (span.start, span.end)
            })
        };
        let hidden = node(Text::new("abc\ndef"));
        assert_eq!(places(&hidden), [(10, 40); 4]);
        let plain = node(Text { verbatim: Some(12), ..Text::new("abc\ndef") });
        assert_eq!(places(&plain), [(12, 15), (14, 18), (16, 16), (17, 40)]);
        let lines = Some(Arc::from([(0, 12), (4, 20)]));
        let block = node(Text { lines, ..Text::new("abc\ndef") });
        assert_eq!(places(&block), [(12, 15), (14, 22), (20, 20), (21, 40)]);
    }
}

//! YAML text to a [`Node`] tree with places in bytes.
//!
//! YAML 1.2 manners, stricter where the core schema surprises: a plain scalar is `null`, `true`,
//! `false`, a number as JSON writes it, or a text. So `no`, `on`, `y`, `007`, `1_000` and `0x10` are
//! texts. Mappings keep their order; a duplicate key is an error; merge keys (`<<`) and aliases are
//! unfolded within a limit; tags other than the core ones, directives and further documents are refused.

mod scalar;
mod syntax;
pub(crate) mod write;

use std::{collections::BTreeMap, sync::Arc};

use granit_parser::{Event, Options, Parser, ScalarStyle, StrInput, Tag};
use renkei_core::{Diagnostic, Diagnostics, Entry, Node, NodeKind, Span};

/// A file may be this long.
pub const MAX_FILE_BYTES: usize = 4 << 20;
/// Mappings and lists may be nested this deep, aliases unfolded.
pub const MAX_DEPTH: usize = 64;
/// A file may have this many nodes, aliases unfolded.
pub const MAX_NODES: usize = 200_000;

/// Reads the only document of `text`, which is file number `file` of the sources. An empty one is
/// null. Nothing, with a diagnostic, where it is not YAML; smaller faults are reported and passed over.
pub fn read(file: u16, text: &str, d: &mut Diagnostics) -> Option<Node> {
    if text.len() > MAX_FILE_BYTES {
        let message = format!("the file has {} bytes; the limit is {MAX_FILE_BYTES}", text.len());
        d.push(
            Diagnostic::error(Span { file, start: 0, end: 0 }, message)
                .hint("split it into several files in one folder"),
        );
        return None;
    }
    let mut options = Options::default();
    options.emit_comments = false;
    options.disallow_directives = true;
    let parser = Parser::new_from_str_with_options(text, options);
    Builder { parser, text, file, d, anchors: BTreeMap::new(), nodes: 0 }.document()
}

struct Builder<'t, 'd> {
    parser: Parser<'t, StrInput<'t>>,
    text: &'t str,
    file: u16,
    d: &'d mut Diagnostics,
    /// Finished anchored nodes.
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl<'t> Builder<'t, '_> {
    fn document(mut self) -> Option<Node> {
        let start = Span { file: self.file, start: 0, end: 0 };
        let mut root = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => {
                    return Some(root.unwrap_or(Node { kind: NodeKind::Null, span: start }));
                }
                (Event::DocumentStart(..), span) if root.is_some() => {
                    self.d.push(
                        Diagnostic::error(span, "a second document begins here")
                            .hint("remove the `---`, or put the documents into files of their own"),
                    );
                    return root;
                }
                (event, span) if event.is_node() => root = Some(self.node(event, span, start, 0)?),
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        match self.parser.next()? {
            Ok((event, span)) => {
                if let (Some(tag), Some(written)) = (custom_tag(&event), span.tag_span()) {
                    self.d.push(
                        Diagnostic::error(self.span(written), format!("the tag `{tag}` has no meaning here"))
                            .hint("remove it; a value of the environment is written '${env.NAME}'"),
                    );
                }
                Some((event, self.span(span)))
            }
            Err(error) => {
                self.d.push(syntax::diagnostic(self.file, self.text, &error));
                None
            }
        }
    }

    fn span(&self, span: granit_parser::Span) -> Span {
        let at = |marker: granit_parser::Marker| {
            u32::try_from(marker.byte_offset().unwrap_or_default()).unwrap_or(u32::MAX)
        };
        let start = at(span.start);
        Span { file: self.file, start, end: at(span.end).max(start) }
    }

    /// The node that begins with `event`. An empty one is shown at `owner`, its key.
    fn node(&mut self, event: Event<'t>, span: Span, owner: Span, depth: usize) -> Option<Node> {
        self.count(1, span)?;
        // What was meant by the tag is not known, so nothing more is said of the value.
        let tagged = custom_tag(&event).is_some();
        let (mut node, anchor) = match event {
            Event::Alias(id) => return self.alias(id, span, depth),
            Event::Scalar(value, style, anchor, tag) => {
                let node = self.scalar(&value, style, tag.as_deref(), span, owner);
                (node, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence(span, depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(span, depth)?, anchor),
            _ => (Node { kind: NodeKind::Null, span }, 0),
        };
        if tagged {
            node.kind = NodeKind::Unknown;
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Some(node)
    }

    fn scalar(
        &mut self,
        value: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
        owner: Span,
    ) -> Node {
        if matches!(style, ScalarStyle::Plain) && span.start == span.end {
            // Nothing was written; the parser calls that `~`.
            let text = tag.is_some_and(|tag| tag.core_suffix() == Some("str"));
            let kind = if text { scalar::text("", "", span) } else { NodeKind::Null };
            return Node { kind, span: owner };
        }
        let source = self.text.get(span.start as usize..span.end as usize).unwrap_or_default();
        let span = scalar::trimmed(source, style, span);
        match scalar::resolve(value, source, style, tag, span) {
            Ok(kind) => Node { kind, span },
            Err(diagnostic) => {
                self.d.push(diagnostic);
                Node { kind: scalar::text(value, source, span), span }
            }
        }
    }

    fn sequence(&mut self, start: Span, depth: usize) -> Option<Node> {
        self.deeper(depth, start)?;
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, end) => {
                    let span = covering(start, items.last().map(|item: &Node| item.span), end);
                    return Some(Node { kind: NodeKind::Seq(items), span });
                }
                (event, span) => {
                    let owner = self.dash_before(span);
                    items.push(self.node(event, span, owner, depth + 1)?);
                }
            }
        }
    }

    fn mapping(&mut self, start: Span, depth: usize) -> Option<Node> {
        self.deeper(depth, start)?;
        let mut entries = Vec::new();
        let mut merged = Vec::new();
        let mut last = None;
        loop {
            let (event, key_span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                let kind = NodeKind::Map(with_merged(entries, merged));
                return Some(Node { kind, span: covering(start, last, key_span) });
            }
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.key(event, key_span, depth)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, key_span, depth + 1)?;
            // What an alias brings stands elsewhere.
            last = Some(if value.span.start >= key_span.start { value.span } else { key_span });
            let Some(key) = key else { continue };
            if is_merge {
                self.check_merged(&value, key_span);
                merged.push((entries.len(), value));
            } else {
                self.insert(&mut entries, Entry { key, key_span, value });
            }
        }
    }

    fn check_merged(&mut self, value: &Node, key_span: Span) {
        let all_mappings = match &value.kind {
            NodeKind::Seq(items) => items.iter().all(|item| item.as_map().is_some()),
            _ => value.as_map().is_some(),
        };
        if !all_mappings {
            let message = format!("`<<` merges mappings, and this is {}", value.what());
            self.d.push(
                Diagnostic::error(key_span, message)
                    .hint("write `<<: *name`, where `&name` stands before a mapping"),
            );
        }
    }

    /// The text of a key; nothing, with a diagnostic, for keys that have none.
    fn key(&mut self, event: Event<'t>, span: Span, depth: usize) -> Option<Option<Arc<str>>> {
        let diagnostic = match &event {
            Event::Scalar(value, style, ..)
                if !matches!(style, ScalarStyle::Plain) || span.start != span.end =>
            {
                self.count(1, span)?;
                return Some(Some(value.as_ref().into()));
            }
            Event::Scalar(..) => {
                let span = self.colon_after(span);
                Diagnostic::error(span, "a key is missing before this `:`").hint("write `key: value`")
            }
            Event::MappingStart(..) => {
                let span = self.node(event, span, span, depth + 1)?.span;
                Diagnostic::error(span, "a key must be a text, and this is a mapping")
                    .hint("a text that begins with `{` wants quotes: '…'")
            }
            _ => {
                let node = self.node(event, span, span, depth + 1)?;
                Diagnostic::error(span, format!("a key must be a plain text, and this is {}", node.what()))
                    .hint("write `key: value`")
            }
        };
        self.d.push(diagnostic);
        Some(None)
    }

    fn insert(&mut self, entries: &mut Vec<Entry>, entry: Entry) {
        match entries.iter().find(|other| other.key == entry.key) {
            None => entries.push(entry),
            Some(first) => self.d.push(
                Diagnostic::error(entry.key_span, format!("the key `{}` is there twice", entry.key))
                    .label("again here")
                    .related(first.key_span, "first here")
                    .hint("remove or rename one of them"),
            ),
        }
    }

    fn alias(&mut self, id: usize, span: Span, depth: usize) -> Option<Node> {
        let Some(node) = self.anchors.get(&id) else {
            self.d.push(
                Diagnostic::error(span, "this alias stands inside of what it refers to")
                    .hint("a config cannot contain itself; write the value out"),
            );
            return None;
        };
        let (size, levels) = measure(node);
        let node = node.clone();
        self.count(size, span)?;
        self.deeper(depth + levels, span)?;
        Some(node)
    }

    /// Nothing, with a diagnostic, once there are too many nodes.
    fn count(&mut self, more: usize, span: Span) -> Option<()> {
        self.nodes += more;
        if self.nodes <= MAX_NODES {
            return Some(());
        }
        self.d.push(
            Diagnostic::error(
                span,
                format!("the file grows beyond {MAX_NODES} values here, its aliases unfolded"),
            )
            .hint("use fewer aliases, or split the file"),
        );
        None
    }

    fn deeper(&mut self, depth: usize, span: Span) -> Option<()> {
        if depth < MAX_DEPTH {
            return Some(());
        }
        let message = format!("this is nested more than {MAX_DEPTH} levels deep");
        self.d.push(Diagnostic::error(span, message).hint("make it flatter"));
        None
    }

    /// The colon of an empty key; its own place otherwise.
    fn colon_after(&self, span: Span) -> Span {
        let after = self.text.get(span.end as usize..).unwrap_or_default();
        match after.trim_start().strip_prefix(':') {
            Some(rest) => {
                let end = (self.text.len() - rest.len()) as u32;
                Span { start: end - 1, end, ..span }
            }
            None => span,
        }
    }

    /// The dash of an empty item; its own place otherwise.
    fn dash_before(&self, span: Span) -> Span {
        let before = self.text.get(..span.start as usize).unwrap_or_default().trim_end();
        match before.strip_suffix('-') {
            Some(rest) => Span { start: rest.len() as u32, end: before.len() as u32, ..span },
            None => span,
        }
    }
}

/// The tag as written, if it is none of YAML's core schema.
fn custom_tag(event: &Event<'_>) -> Option<String> {
    let (Event::Scalar(_, _, _, Some(tag))
    | Event::SequenceStart(_, _, Some(tag))
    | Event::MappingStart(_, _, Some(tag))) = event
    else {
        return None;
    };
    // `! x` asks for a text and names no type.
    let name = tag.to_string();
    (tag.core_suffix().is_none() && name != "!").then_some(name)
}

/// From the start of a collection to its end, which for block style is the end of its last value.
fn covering(start: Span, last: Option<Span>, end: Span) -> Span {
    let end = if end.end > end.start { end.end } else { last.map_or(start.end, |last| last.end) };
    Span { end: end.max(start.end), ..start }
}

/// How many nodes, and how many levels of mappings and lists.
fn measure(node: &Node) -> (usize, usize) {
    let inner = |nodes: &mut dyn Iterator<Item = &Node>| {
        nodes.map(measure).fold((1, 1), |(size, levels), (more, deep)| (size + more, levels.max(deep + 1)))
    };
    match &node.kind {
        NodeKind::Seq(items) => inner(&mut items.iter()),
        NodeKind::Map(entries) => inner(&mut entries.iter().map(|entry| &entry.value)),
        _ => (1, 0),
    }
}

/// Puts the entries of each merged mapping where its `<<` stands. A mapping's own keys win, and so
/// does the mapping that comes first.
fn with_merged(own: Vec<Entry>, merged: Vec<(usize, Node)>) -> Vec<Entry> {
    let mut out = own;
    for (at, node) in merged.into_iter().rev() {
        let sources = match node.kind {
            NodeKind::Seq(items) => items,
            _ => vec![node],
        };
        let mut new: Vec<Entry> = Vec::new();
        for entry in sources.into_iter().filter_map(entries_of).flatten() {
            if !out.iter().chain(&new).any(|other| other.key == entry.key) {
                new.push(entry);
            }
        }
        out.splice(at..at, new);
    }
    out
}

fn entries_of(node: Node) -> Option<Vec<Entry>> {
    match node.kind {
        NodeKind::Map(entries) => Some(entries),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

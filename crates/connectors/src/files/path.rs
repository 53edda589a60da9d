//! Paths of files: taken apart at start, put together per call, and never out of their root.
//!
//! A value fills one segment or a part of one, and can neither end it nor be `.` or `..`. Every segment is
//! checked again when the path is whole, so that no two parts make together what each may not be.

use std::fmt;

use renkei_core::{
    Diagnostic, Diagnostics, Error, Kind, Node, Result, Template, Tree, Value,
    template::{Names, Piece},
};

use crate::slots::{Slot, Slots};

/// The longest path, in bytes: what object stores take.
const MAX_PATH: usize = 1024;
/// The longest name of a file or folder, in bytes: what file systems take.
const MAX_NAME: usize = 255;
/// How many folders deep a path may go, and a recursive operation goes.
pub(super) const MAX_DEPTH: usize = 64;
/// Begins the name of a file that is not written to its end. Such a file is never shown.
pub(super) const UNFINISHED: &str = ".renkei-";

/// What paths of a system may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Names that begin with a dot are in reach.
    pub(super) hidden: bool,
    /// The path may name the root itself.
    pub(super) root: bool,
}

/// A path below the root: segments with `/` between them, nothing for the root itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FilePath(String);

impl FilePath {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The folder, and the name in it.
    pub(super) fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }
}

/// For messages: `` `notes/a.txt` ``.
impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_str() {
            "" => f.write_str("the top folder"),
            path => write!(f, "`{path}`"),
        }
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a name is kept out of lists and reach.
pub(super) fn is_hidden(name: &str, hidden: bool) -> bool {
    name.starts_with('.') && !hidden || is_unfinished(name)
}

/// Some disks do not tell capital letters from small ones.
fn is_unfinished(name: &str) -> bool {
    name.get(..UNFINISHED.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(UNFINISHED))
}

/// A path with its templates.
#[derive(Debug)]
pub(super) struct PathTemplate {
    parts: Vec<Part>,
    rules: Rules,
}

#[derive(Debug)]
enum Part {
    Literal(String),
    Value(Slot),
    /// `${+ …}`: several whole segments.
    Segments(Slot),
}

impl PathTemplate {
    /// Reads the pieces of `node` that are the path.
    pub(super) fn read(
        node: &Node,
        pieces: Vec<Piece>,
        rules: Rules,
        names: &Names<'_>,
        slots: &mut Slots,
        d: &mut Diagnostics,
    ) -> Option<PathTemplate> {
        let mut reader = Reader { node, rules, names, slots, d, ok: true };
        reader.check_shape(&pieces);
        let parts = pieces.into_iter().filter_map(|piece| reader.part(piece)).collect();
        let mut template = PathTemplate { parts, rules };
        // `.` alone is the root.
        if let [Part::Literal(text)] = &template.parts[..]
            && text == "."
        {
            template.parts.clear();
        }
        reader.ok.then_some(template)
    }

    /// For logs and errors: `notes/{}.md`. Holds no values.
    pub(super) fn label(&self) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Literal(text) => text,
            Part::Value(_) | Part::Segments(_) => "{}",
        });
        let label: String = parts.collect();
        if label.is_empty() { ".".to_owned() } else { label }
    }

    /// The path for these values, with every segment checked.
    pub(super) fn render(&self, slots: &Slots, params: &[Option<Value>]) -> Result<FilePath> {
        let mut segments = Vec::new();
        let mut segment = String::new();
        let last = self.parts.len().saturating_sub(1);
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Literal(text) => {
                    let mut pieces = text.split('/');
                    segment += pieces.next().unwrap_or_default();
                    for piece in pieces {
                        segments.push(std::mem::replace(&mut segment, piece.to_owned()));
                    }
                }
                Part::Value(slot) => segment += &self.value(slots, *slot, slots.value(*slot, params)?)?,
                Part::Segments(slot) => {
                    let value = slots.value(*slot, params)?;
                    let names = self.spread(slots, *slot, value, index == last && segment.is_empty())?;
                    for (at, name) in names.into_iter().enumerate() {
                        if at > 0 {
                            segments.push(std::mem::take(&mut segment));
                        }
                        segment += &name;
                    }
                }
            }
        }
        // Only a spread that gave nothing, or the root, leaves nothing here.
        if !segment.is_empty() || !self.rules.root {
            segments.push(segment);
        }
        self.whole(&segments)
    }

    fn whole(&self, segments: &[String]) -> Result<FilePath> {
        for segment in segments {
            if let Some(why) = fault(segment) {
                return Err(Error::invalid(format!(
                    "the path has the segment `{}`, which {why}; nothing was touched",
                    shown(segment)
                )));
            }
            self.check_hidden(segment)?;
        }
        let path = segments.join("/");
        if path.len() > MAX_PATH || segments.len() > MAX_DEPTH {
            return Err(Error::invalid(format!(
                "the path has {} bytes and {} segments; at most {MAX_PATH} and {MAX_DEPTH} fit, nothing was touched",
                path.len(),
                segments.len()
            )));
        }
        Ok(FilePath(path))
    }

    fn check_hidden(&self, segment: &str) -> Result<()> {
        if !is_hidden(segment, self.rules.hidden) {
            return Ok(());
        }
        let why = if is_unfinished(segment) {
            "is the name of an unfinished file"
        } else {
            "begins with a dot; such names are out of reach unless the system has `hidden: true`"
        };
        Err(Error::new(
            Kind::Forbidden,
            format!("the path has the segment `{}`, which {why}", shown(segment)),
        ))
    }

    /// One value in a segment.
    fn value(&self, slots: &Slots, slot: Slot, value: Option<&Value>) -> Result<String> {
        let text = match value {
            None => return Err(refused(slots, slot, "is absent")),
            Some(Value::String(text)) => text.to_string(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(flag)) => flag.to_string(),
            Some(Value::Null) => return Err(refused(slots, slot, "is null")),
            Some(value) => return Err(refused(slots, slot, &format!("is an {}", value.type_name()))),
        };
        match fault(&text) {
            Some(why) => Err(refused(slots, slot, why)),
            None => Ok(text),
        }
    }

    /// The segments of a spread: a list, or a text with `/` in it.
    fn spread(
        &self,
        slots: &Slots,
        slot: Slot,
        value: Option<&Value>,
        may_be_nothing: bool,
    ) -> Result<Vec<String>> {
        let none = self.rules.root && may_be_nothing;
        let names = match value {
            None | Some(Value::Null) if none => return Ok(Vec::new()),
            Some(Value::Array(items)) if items.is_empty() && none => return Ok(Vec::new()),
            Some(Value::Array(items)) if items.is_empty() => {
                return Err(refused(slots, slot, "is an empty list"));
            }
            Some(Value::Array(items)) => {
                items.iter().map(|item| self.value(slots, slot, Some(item))).collect::<Result<_>>()?
            }
            Some(Value::String(text)) => text
                .split('/')
                .map(|name| match fault(name) {
                    Some(why) => Err(refused(slots, slot, &format!("has a segment that {why}"))),
                    None => Ok(name.to_owned()),
                })
                .collect::<Result<_>>()?,
            value => vec![self.value(slots, slot, value)?],
        };
        Ok(names)
    }
}

/// Why a text cannot be the name of a file.
fn fault(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    match name {
        "" => return Some("is empty"),
        "." | ".." => return Some("is `.` or `..`, which would lead elsewhere"),
        _ => {}
    }
    if name.contains('/') {
        Some("contains `/`; `${+ … }` gives several segments")
    } else if name.contains('\\') {
        Some("contains `\\`, which some systems take for `/`")
    } else if name.chars().any(char::is_control) {
        Some("contains a NUL, a line break or another control character")
    } else if bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' {
        Some("begins like a drive letter")
    } else if bytes.len() > MAX_NAME {
        Some("is longer than 255 bytes")
    } else {
        None
    }
}

/// A segment in a message: short, on one line.
fn shown(segment: &str) -> String {
    let mut text: String = segment.chars().take(60).flat_map(char::escape_debug).collect();
    if segment.chars().count() > 60 {
        text.push('…');
    }
    text
}

fn refused(slots: &Slots, slot: Slot, why: &str) -> Error {
    Error::invalid(format!("{} {why}; nothing was touched, give it a name", slots.place(slot)))
}

struct Reader<'a, 'n> {
    node: &'a Node,
    rules: Rules,
    names: &'a Names<'n>,
    slots: &'a mut Slots,
    d: &'a mut Diagnostics,
    ok: bool,
}

impl Reader<'_, '_> {
    fn error(&mut self, at: usize, len: usize, message: impl Into<String>, hint: &str) {
        let span = self.node.text_span(at, at + len);
        self.d.push(Diagnostic::error(span, message).hint(hint));
        self.ok = false;
    }

    /// Checks whole segments. A template stands for some text that is neither empty nor dots.
    fn check_shape(&mut self, pieces: &[Piece]) {
        // Two letters, so that `${.a}:` is no drive letter.
        const TEMPLATE: &str = "xx";
        let mut shape = String::new();
        for piece in pieces {
            match piece {
                Piece::Literal { text, .. } => shape += text,
                Piece::Expr { .. } => shape += TEMPLATE,
            }
        }
        let at = match pieces.first() {
            Some(Piece::Literal { at, .. } | Piece::Expr { at, .. }) => *at,
            None => 0,
        };
        let len = shape.len();
        if shape == "." {
            if !self.rules.root {
                self.error(at, len, "the path names the top folder itself", "name a file in it");
            }
        } else if shape.is_empty() {
            let hint =
                if self.rules.root { "write `.` for the top folder" } else { "write `notes/${.name}.md`" };
            self.error(at, len, "the path is empty", hint);
        } else if shape.starts_with('/') {
            self.error(
                at,
                1,
                "the path begins with `/`",
                "paths start at the system's root: write `notes/${.name}.md`",
            );
        } else if let Some(why) = shape.split('/').find_map(fault) {
            let message = format!("the path has a segment that {why}");
            self.error(at, len, message, "write the names of folders and file, with `/` between them");
        } else if shape.split('/').any(|name| is_hidden(name, self.rules.hidden)) {
            self.error(
                at,
                len,
                "the path has a segment that begins with a dot",
                "such names are out of reach; add `hidden: true` to the system if that is meant",
            );
        }
        self.check_spreads(pieces);
    }

    /// A spread is whole segments.
    fn check_spreads(&mut self, pieces: &[Piece]) {
        for (index, piece) in pieces.iter().enumerate() {
            let Piece::Expr { source, at } = piece else { continue };
            if !source.trim_start().starts_with('+') {
                continue;
            }
            let before = index.checked_sub(1).and_then(|before| pieces.get(before));
            let begins = before
                .is_none_or(|piece| matches!(piece, Piece::Literal { text, .. } if text.ends_with('/')));
            let ends = pieces
                .get(index + 1)
                .is_none_or(|piece| matches!(piece, Piece::Literal { text, .. } if text.starts_with('/')));
            if !(begins && ends) {
                self.error(
                    *at,
                    source.len(),
                    "`${+ … }` stands beside other letters of a segment",
                    "it gives whole segments: put `/` around it, or leave out the `+`",
                );
            }
        }
    }

    fn part(&mut self, piece: Piece) -> Option<Part> {
        match piece {
            Piece::Literal { text, .. } => Some(Part::Literal(text)),
            Piece::Expr { source, at } => {
                let trimmed = source.trim_start();
                let many = trimmed.starts_with('+');
                let code = if many { &trimmed[1..] } else { &source[..] };
                let at = at + (source.len() - code.len());
                match Template::expression(self.node, code, at, self.names, self.d) {
                    Some(template) => {
                        let place = format!("`${{{source}}}` in the path");
                        let slot = self.slots.add(Tree::from(template), place);
                        Some(if many { Part::Segments(slot) } else { Part::Value(slot) })
                    }
                    None => {
                        self.ok = false;
                        None
                    }
                }
            }
        }
    }
}

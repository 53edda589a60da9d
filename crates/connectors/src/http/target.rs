//! The path and query of an operation: taken apart at start, put together per call.
//!
//! Scheme, host and method are literal. What a template gives fills one place – a segment, a value –
//! and can never end it.

use renkei_core::{
    Diagnostic, Diagnostics, Error, Node, Result, Template, Tree, Value,
    template::{Names, Piece},
};

use super::wire;
use crate::slots::{Slot, Slots};

/// A path in parts, with its query.
#[derive(Debug, Default)]
pub(super) struct Target {
    path: Vec<Part>,
    query: Vec<Pair>,
}

#[derive(Debug)]
enum Part {
    /// Percent-encoded already.
    Literal(String),
    Value(Slot),
    /// `${+ …}`: several segments.
    Segments(Slot),
}

/// One parameter of the query.
#[derive(Debug)]
struct Pair {
    /// Percent-encoded already.
    name: String,
    value: PairValue,
}

#[derive(Debug)]
enum PairValue {
    /// `?flag`, without `=`.
    None,
    /// A value of its own: may be a list, absent or null.
    Whole(Slot),
    /// Text and values mixed.
    Text(Vec<Part>),
}

/// How a list becomes a query or form value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, renkei_derive::FromNode)]
pub(super) enum Style {
    /// `id=1&id=2`
    #[default]
    Repeat,
    /// `id=1,2`
    Comma,
}

impl Target {
    /// Reads the pieces of `node` that come after the method.
    pub(super) fn read(
        node: &Node,
        pieces: Vec<Piece>,
        names: &Names<'_>,
        slots: &mut Slots,
        d: &mut Diagnostics,
    ) -> Option<Target> {
        let mut reader = Reader { node, names, slots, d, ok: true };
        let target = reader.target(pieces);
        reader.ok.then_some(target)
    }

    /// Adds a parameter that the operation's `query` names.
    pub(super) fn add_query(&mut self, name: &str, slot: Slot) {
        self.query.push(Pair { name: wire::encode(name), value: PairValue::Whole(slot) });
    }

    /// Whether it has a parameter with this name, percent-encoded.
    pub(super) fn has_query(&self, name: &str) -> bool {
        self.query.iter().any(|pair| pair.name == name)
    }

    /// For logs and errors: `/customers/{}`. Holds no values.
    pub(super) fn label(&self) -> String {
        let parts = self.path.iter().map(|part| match part {
            Part::Literal(text) => text,
            Part::Value(_) | Part::Segments(_) => "{}",
        });
        parts.collect()
    }

    /// The encoded path. No value is empty or dots, so no segment can come together to `.` or `..`.
    pub(super) fn path(&self, slots: &Slots, params: &[Option<Value>]) -> Result<String> {
        let mut path = String::new();
        for part in &self.path {
            match part {
                Part::Literal(text) => path += text,
                Part::Value(slot) => path += &segment(slots, *slot, slots.value(*slot, params)?)?,
                Part::Segments(slot) => path += &segments(slots, *slot, slots.value(*slot, params)?)?,
            }
        }
        Ok(path)
    }

    /// The encoded query without its `?`; nothing if no parameter has a value.
    pub(super) fn query(
        &self,
        slots: &Slots,
        params: &[Option<Value>],
        style: Style,
    ) -> Result<Option<String>> {
        let mut query = Vec::new();
        for pair in &self.query {
            match &pair.value {
                PairValue::None => query.push(pair.name.clone()),
                PairValue::Whole(slot) => {
                    let value = slots.value(*slot, params)?;
                    query.extend(
                        pairs(&pair.name, value, style).map_err(|why| slots.refuse(*slot, &why, ""))?,
                    );
                }
                PairValue::Text(parts) => {
                    let mut text = format!("{}=", pair.name);
                    for part in parts {
                        match part {
                            Part::Literal(literal) => text += literal,
                            Part::Value(slot) | Part::Segments(slot) => {
                                text += &wire::encode(&in_text(slots, *slot, slots.value(*slot, params)?)?);
                            }
                        }
                    }
                    query.push(text);
                }
            }
        }
        Ok((!query.is_empty()).then(|| query.join("&")))
    }
}

/// The encoded `name=value` of a query or form. `name` is encoded already. Absent and null give none.
pub(super) fn pairs(name: &str, value: Option<&Value>, style: Style) -> Result<Vec<String>, String> {
    let one = |value: &Value| match wire::scalar(value) {
        Some(text) => Ok(wire::encode(&text)),
        None => Err(format!("is an {} in a place for a single value; give it a text", value.type_name())),
    };
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(Vec::new()) };
    let Value::Array(items) = value else { return Ok(vec![format!("{name}={}", one(value)?)]) };
    let values: Vec<String> =
        items.iter().filter(|item| !item.is_null()).map(one).collect::<Result<_, _>>()?;
    Ok(match style {
        Style::Repeat => values.into_iter().map(|value| format!("{name}={value}")).collect(),
        Style::Comma if values.is_empty() => Vec::new(),
        Style::Comma => vec![format!("{name}={}", values.join(","))],
    })
}

fn segment(slots: &Slots, slot: Slot, value: Option<&Value>) -> Result<String> {
    let text = in_text(slots, slot, value)?;
    wire::path_value(&text).map_err(|why| refused(slots, slot, why))
}

fn segments(slots: &Slots, slot: Slot, value: Option<&Value>) -> Result<String> {
    let texts: Vec<String> = match value {
        Some(Value::Array(items)) => {
            items.iter().map(|item| in_text(slots, slot, Some(item))).collect::<Result<_>>()?
        }
        value => in_text(slots, slot, value)?.split('/').map(str::to_owned).collect(),
    };
    if texts.is_empty() {
        return Err(refused(slots, slot, "is an empty list, which would address the whole collection"));
    }
    let encoded: Result<Vec<_>, _> = texts.iter().map(|text| wire::path_value(text)).collect();
    encoded.map(|segments| segments.join("/")).map_err(|why| {
        let why = why.replacen("is ", "has a segment that is ", 1);
        refused(slots, slot, &why)
    })
}

fn in_text(slots: &Slots, slot: Slot, value: Option<&Value>) -> Result<String> {
    match value {
        None => Err(refused(slots, slot, "is absent")),
        Some(value) => wire::scalar(value).ok_or_else(|| match value {
            Value::Null => refused(slots, slot, "is null"),
            _ => refused(slots, slot, &format!("is an {}", value.type_name())),
        }),
    }
}

fn refused(slots: &Slots, slot: Slot, why: &str) -> Error {
    slots.refuse(slot, why, "give it a text, a number or a boolean")
}

struct Reader<'a, 'n> {
    node: &'a Node,
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

    fn target(&mut self, pieces: Vec<Piece>) -> Target {
        let mut path = Vec::new();
        let mut query = None;
        for piece in pieces {
            match (&mut query, piece) {
                (None, Piece::Literal { text, at }) => match text.split_once('?') {
                    Some((before, after)) => {
                        path.push(Piece::Literal { text: before.to_owned(), at });
                        let at = at + before.len() + 1;
                        query = Some(vec![Piece::Literal { text: after.to_owned(), at }]);
                    }
                    None => path.push(Piece::Literal { text, at }),
                },
                (None, piece) => path.push(piece),
                (Some(query), piece) => query.push(piece),
            }
        }
        self.check_shape(&path);
        let path = path.into_iter().filter_map(|piece| self.path_part(piece)).collect();
        Target { path, query: self.query(query.unwrap_or_default()) }
    }

    /// Checks what concerns more than one piece: the beginning, and whole segments.
    fn check_shape(&mut self, path: &[Piece]) {
        // A template stands for some text that is neither empty nor dots.
        let mut shape = String::new();
        for piece in path {
            match piece {
                Piece::Literal { text, .. } => shape += text,
                Piece::Expr { .. } => shape.push('x'),
            }
        }
        let at = match path.first() {
            Some(Piece::Literal { at, .. } | Piece::Expr { at, .. }) => *at,
            None => 0,
        };
        if shape.contains("://") {
            self.error(
                at,
                shape.len(),
                "an operation names a path, not a whole URL",
                "scheme and host are the system's `base_url`; another host is another system",
            );
        } else if !shape.starts_with('/') || matches!(path.first(), Some(Piece::Expr { .. })) {
            self.error(
                at,
                shape.len(),
                "the path does not start with `/`",
                "write it as `/customers/${.id}`; it is appended to the system's `base_url`",
            );
        } else if shape.split('/').any(|segment| matches!(segment, "." | "..")) {
            self.error(
                at,
                shape.len(),
                "the path has a segment `.` or `..`",
                "write the path that it leads to",
            );
        } else if shape.contains("//") {
            self.error(at, shape.len(), "the path has an empty segment", "remove one of the slashes");
        }
    }

    fn path_part(&mut self, piece: Piece) -> Option<Part> {
        match piece {
            Piece::Literal { text, at } => {
                self.check_literal(&text, at, "path");
                for (index, _) in text.match_indices(['{', '}']) {
                    self.error(
                        at + index,
                        1,
                        "the path has a brace that belongs to no template",
                        "a template is `${.id}`; a literal brace is `%7B` or `%7D`",
                    );
                }
                for (index, found) in text.to_ascii_lowercase().match_indices("%2e") {
                    self.error(
                        at + index,
                        found.len(),
                        "the path has an encoded dot",
                        "write `.`: URL parsers take `%2e` for it and collapse `%2e%2e`",
                    );
                }
                Some(Part::Literal(encode_literal(&text)))
            }
            Piece::Expr { source, at } => {
                let trimmed = source.trim_start();
                let many = trimmed.starts_with('+');
                let code = if many { &trimmed[1..] } else { &source[..] };
                let at = at + (source.len() - code.len());
                let slot = self.slot(code, at, &format!("`${{{source}}}` in the path"))?;
                Some(if many { Part::Segments(slot) } else { Part::Value(slot) })
            }
        }
    }

    fn query(&mut self, pieces: Vec<Piece>) -> Vec<Pair> {
        // Names and values are told apart in the literal text only, so a value cannot start a pair.
        let mut pairs: Vec<(String, Option<Vec<Piece>>)> = vec![(String::new(), None)];
        for piece in pieces {
            let last = pairs.last_mut().expect("starts with one and only grows");
            match (piece, &mut last.1) {
                (Piece::Literal { text, at }, _) => {
                    self.check_literal(&text, at, "query");
                    let mut at = at;
                    for (index, chunk) in text.split('&').enumerate() {
                        if index > 0 {
                            pairs.push((String::new(), None));
                        }
                        let (name, value) = pairs.last_mut().expect("starts with one and only grows");
                        match (value, chunk.split_once('=')) {
                            (Some(value), _) => value.push(Piece::Literal { text: chunk.to_owned(), at }),
                            (value @ None, Some((before, after))) => {
                                *name += before;
                                let at = at + before.len() + 1;
                                *value = Some(vec![Piece::Literal { text: after.to_owned(), at }]);
                            }
                            (None, None) => *name += chunk,
                        }
                        at += chunk.len() + 1;
                    }
                }
                (piece, Some(value)) => value.push(piece),
                (Piece::Expr { source, at }, None) => {
                    self.error(
                        at,
                        source.len(),
                        "a template cannot be the name of a query parameter",
                        "write `?name=${…}`, or use the operation's `query:`",
                    );
                    return Vec::new();
                }
            }
        }
        let mut out = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            if name.is_empty() && value.is_none() {
                continue; // `?` alone, or `&&`
            }
            let value = match value {
                None => Some(PairValue::None),
                Some(pieces) => self.pair_value(&name, pieces),
            };
            if let Some(value) = value {
                out.push(Pair { name: encode_literal(&name), value });
            }
        }
        out
    }

    fn pair_value(&mut self, name: &str, mut pieces: Vec<Piece>) -> Option<PairValue> {
        pieces.retain(|piece| !matches!(piece, Piece::Literal { text, .. } if text.is_empty()));
        let place = format!("query parameter `{name}`");
        if let [Piece::Expr { source, at }] = &pieces[..] {
            let (source, at) = (source.clone(), *at);
            return Some(PairValue::Whole(self.slot(&source, at, &place)?));
        }
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            parts.push(match piece {
                Piece::Literal { text, .. } => Part::Literal(encode_literal(&text)),
                Piece::Expr { source, at } => {
                    Part::Value(self.slot(&source, at, &format!("`${{{source}}}` in the {place}"))?)
                }
            });
        }
        Some(PairValue::Text(parts))
    }

    fn slot(&mut self, source: &str, at: usize, place: &str) -> Option<Slot> {
        match Template::expression(self.node, source, at, self.names, self.d) {
            Some(template) => Some(self.slots.add(Tree::from(template), place)),
            None => {
                self.ok = false;
                None
            }
        }
    }

    /// What a URL parser would drop, collapse or take for something else.
    fn check_literal(&mut self, text: &str, at: usize, what: &str) {
        for (index, found) in text.char_indices() {
            let rest = &text.as_bytes()[index + found.len_utf8()..];
            match found {
                '#' => self.error(
                    at + index,
                    1,
                    format!("the {what} has a `#`"),
                    "a fragment is never sent; a literal `#` is `%23`",
                ),
                '\\' => self.error(
                    at + index,
                    1,
                    format!("the {what} has a `\\`"),
                    "URL parsers take it for `/`; a literal one is `%5C`",
                ),
                _ if found.is_whitespace() || found.is_control() => {
                    self.error(
                        at + index,
                        found.len_utf8(),
                        format!("the {what} has a space or a control character"),
                        "a literal space is `%20`",
                    );
                }
                '%' if !(rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit)) => {
                    self.error(
                        at + index,
                        1,
                        format!("the {what} has a `%` without two hexadecimal digits"),
                        "a literal `%` is `%25`; values are encoded without your help",
                    );
                }
                _ => {}
            }
        }
    }
}

/// Keeps what is valid in a URL as it is, encodings included, and encodes the rest.
fn encode_literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut buffer = [0; 4];
    for letter in text.chars() {
        let kept = letter.is_ascii_alphanumeric() || "-._~!$&()*+,;=:@/?%".contains(letter);
        if kept {
            out.push(letter);
        } else {
            out += &wire::encode(letter.encode_utf8(&mut buffer));
        }
    }
    out
}

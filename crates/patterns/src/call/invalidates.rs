//! `invalidates`: which cached replies a call makes untrue.

use std::sync::Arc;

use renkei_core::{
    ActionContext, AddressPattern, Applied, Diagnostic, Error, Invalidation, Node, NodeKind, Reply, Result,
    RunContext, Schema, Scope, Segment, Template, Value,
    read::wrong,
    template::{Piece, is_word, split},
};

const EXPECTED: &str = "a list with names of caches and paths, such as `[customers, '/customers/${.id}/**']`";

/// One entry of the list.
#[derive(Debug)]
pub(super) enum Untrue {
    Name(Arc<str>),
    Address { system: Arc<str>, segments: Vec<Vec<Part>> },
}

/// A part of a segment.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Text(String),
    /// Any letters; two of them alone in a segment, any segments.
    Star,
    Value(Template),
}

pub(super) fn schema() -> Schema {
    Value::from([
        ("type", Value::from("array")),
        ("items", Value::from([("type", "string")])),
        ("description", "What is no longer true when this call may have had its effect: names of caches, names of systems for all their replies, and paths of this system, such as `/customers/${.id}`; `*` stands for any letters of a segment, `**` for any segments.".into()),
    ])
}

/// Reads the list of a call on `system`. Nothing, with diagnostics, if something is wrong.
pub(super) fn read(node: &Node, system: &Arc<str>, cx: &mut ActionContext<'_>) -> Option<Vec<Untrue>> {
    let items = match &node.kind {
        NodeKind::Seq(items) if !items.is_empty() => &items[..],
        NodeKind::String(_) => std::slice::from_ref(node),
        _ => return wrong(node, EXPECTED, cx.diagnostics),
    };
    // All are read before the first failure is returned: every problem is to be seen at once.
    let read: Vec<_> = items.iter().map(|item| one(item, system, cx)).collect();
    read.into_iter().collect()
}

fn one(node: &Node, system: &Arc<str>, cx: &mut ActionContext<'_>) -> Option<Untrue> {
    let Some(text) = node.as_str() else { return wrong(node, EXPECTED, cx.diagnostics) };
    if is_word(text) {
        let name: Arc<str> = text.into();
        cx.actions.invalidates(&name, node.span);
        return Some(Untrue::Name(name));
    }
    if !text.starts_with('/') {
        cx.diagnostics.push(
            Diagnostic::error(node.span, format!("`{text}` is neither the name of a cache nor a path"))
                .hint("a path begins with `/`: `/customers/${.id}`, `/customers/**`"),
        );
        return None;
    }
    let mut segments: Vec<Vec<Part>> = Vec::new();
    for piece in split(node, cx.diagnostics)? {
        match piece {
            Piece::Literal { text, .. } => literal(&text, &mut segments),
            Piece::Expr { source, at } => {
                let value = Template::expression(node, &source, at, &cx.names, cx.diagnostics)?;
                // The text begins with `/`, so there is one.
                segments.last_mut()?.push(Part::Value(value));
            }
        }
    }
    Some(Untrue::Address { system: system.clone(), segments })
}

fn literal(text: &str, segments: &mut Vec<Vec<Part>>) {
    for letter in text.chars() {
        if letter == '/' {
            segments.push(Vec::new());
            continue;
        }
        let Some(parts) = segments.last_mut() else { continue };
        if letter == '*' {
            parts.push(Part::Star);
        } else if let Some(Part::Text(text)) = parts.last_mut() {
            text.push(letter);
        } else {
            parts.push(Part::Text(letter.into()));
        }
    }
}

impl Untrue {
    fn render(&self, scope: &Scope) -> Result<Invalidation> {
        match self {
            Untrue::Name(name) => Ok(Invalidation::Name(name.clone())),
            Untrue::Address { system, segments } => {
                let segments: Result<Vec<_>> = segments.iter().map(|parts| segment(parts, scope)).collect();
                Ok(Invalidation::Address { system: system.clone(), pattern: AddressPattern::new(segments?) })
            }
        }
    }
}

fn segment(parts: &[Part], scope: &Scope) -> Result<Segment> {
    if let [Part::Star, Part::Star] = parts {
        return Ok(Segment::Many);
    }
    let mut letters = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => letters.extend(text.chars().map(Some)),
            Part::Star => letters.push(None),
            Part::Value(template) => match template.render(scope)? {
                Some(Value::String(text)) => letters.extend(text.chars().map(Some)),
                Some(value @ (Value::Number(_) | Value::Bool(_))) => {
                    letters.extend(value.to_json().chars().map(Some));
                }
                // Too much rather than too little.
                None | Some(Value::Null) => letters.push(None),
                Some(other) => {
                    let what = other.type_name();
                    return Err(Error::internal(format!(
                        "a path of `invalidates` has a value of type {what} in it; the config must be mended"
                    )));
                }
            },
        }
    }
    Ok(Segment::One(letters))
}

/// A call that makes something untrue, while it is under way.
pub(super) struct Invalidating<'a> {
    what: Vec<Invalidation>,
    cx: &'a RunContext,
}

/// Renders what the call will make untrue. It becomes so when this is dropped, for a call that nobody waits for may
/// have had its effect; [`Invalidating::end`] knows better.
pub(super) fn begin<'a>(list: &[Untrue], scope: &Scope, cx: &'a RunContext) -> Result<Invalidating<'a>> {
    let what: Result<Vec<_>> = list.iter().map(|untrue| untrue.render(scope)).collect();
    Ok(Invalidating { what: what?, cx })
}

impl Invalidating<'_> {
    /// The call has ended: nothing is untrue if it certainly had no effect.
    pub(super) fn end(mut self, result: &Result<Reply>) {
        if result.as_ref().is_err_and(|error| error.was_applied() == Applied::No) {
            self.what.clear();
        }
    }
}

impl Drop for Invalidating<'_> {
    fn drop(&mut self) {
        for what in &self.what {
            self.cx.invalidate(what);
        }
    }
}

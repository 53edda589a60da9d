//! The headers of an operation: what they may be called, beside those that Renkei sets itself.

use http::{HeaderName, HeaderValue, header};
use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Entry, FromNode, Node, NodeKind, Result, Schema, Value,
    read::wrong, template::Names,
};

use super::{config::Config, prepare::flat, wire};
use crate::slots::{Slot, Slots};

/// Which header carries the key of a step, so that the system recognises a repeat.
#[derive(Clone, Debug)]
pub(super) struct KeyHeader(Option<HeaderName>);

impl KeyHeader {
    /// Nothing for `false`.
    pub(super) fn name(&self) -> Option<&HeaderName> {
        self.0.as_ref()
    }
}

impl FromNode for KeyHeader {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::Unknown | NodeKind::Bool(false) => Some(KeyHeader(None)),
            NodeKind::Bool(true) => Some(KeyHeader(Some(HeaderName::from_static("idempotency-key")))),
            NodeKind::String(text) => {
                wire::header_name(&text.value, node.span, d).map(|name| KeyHeader(Some(name)))
            }
            _ => wrong(node, "`true`, or the name of a header such as `X-Request-Id`", d),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        Value::from([("oneOf", Value::from(vec![bool::schema(defs), String::schema(defs)]))])
    }
}

#[derive(Debug)]
pub(super) struct Header {
    pub(super) name: HeaderName,
    pub(super) slot: Slot,
    /// A constant may go to another origin in a redirect; a rendered value may not.
    pub(super) constant: bool,
    form: Form,
}

/// What a header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    /// An entity tag or several, or `*` (RFC 9110, section 13.1).
    Tags {
        required: bool,
    },
}

impl Header {
    /// The header's value; nothing when it has none.
    pub(super) fn value(&self, slots: &Slots, params: &[Option<Value>]) -> Result<Option<HeaderValue>> {
        let value = slots.value(self.slot, params)?.filter(|value| !value.is_null());
        let refused = |why: &str| slots.refuse(self.slot, why, "");
        let text = match (value, self.form) {
            (None, Form::Text | Form::Tags { required: false }) => return Ok(None),
            (None, Form::Tags { required: true }) => {
                let why = "has no value, and without one the request would overwrite what others wrote";
                return Err(slots.refuse(self.slot, why, "read it first, and give the `etag` of that reply"));
            }
            (Some(Value::Array(tags)), Form::Tags { .. }) if !tags.is_empty() => {
                let tags: Option<Vec<String>> = tags.iter().map(|tag| Some(tagged(tag.as_str()?))).collect();
                tags.ok_or_else(|| refused("holds something that is no text"))?.join(", ")
            }
            (Some(Value::String(text)), Form::Tags { .. }) if !text.is_empty() => tagged(text),
            (Some(_), Form::Tags { .. }) => return Err(refused("is no entity tag")),
            (Some(value), Form::Text) => {
                wire::scalar(value).ok_or_else(|| refused(&format!("is an {}", value.type_name())))?
            }
        };
        wire::header_value(&text).map(Some).map_err(refused)
    }

    /// Whether it makes the request depend on what is there.
    pub(super) fn is_condition(&self) -> bool {
        matches!(self.form, Form::Tags { .. })
    }
}

/// An entity tag is quoted; one that lost its quotes on the way gets them back.
fn tagged(text: &str) -> String {
    let is_whole = text == "*" || text.ends_with('"') && (text.starts_with('"') || text.starts_with("W/\""));
    if is_whole { text.to_owned() } else { format!("\"{text}\"") }
}

/// Reads `headers` of the operation `op`.
pub(super) fn read(
    op: &Node,
    config: &Config,
    names: &Names<'_>,
    slots: &mut Slots,
    d: &mut Diagnostics,
) -> Option<Vec<Header>> {
    let entries = op.get("headers").and_then(Node::as_map).unwrap_or_default();
    // All are read before the first failure is returned: every problem is to be seen at once.
    let mut headers: Vec<_> = entries.iter().map(|entry| one(entry, op, config, names, slots, d)).collect();
    for (key, name, required) in
        [("if_match", header::IF_MATCH, true), ("if_none_match", header::IF_NONE_MATCH, false)]
    {
        let Some(entry) = op.entry(key) else { continue };
        headers.push(condition(entry, name, required, op, config, names, slots, d));
    }
    headers.into_iter().collect()
}

#[expect(clippy::too_many_arguments, reason = "as its neighbour, and what the key means")]
fn condition(
    entry: &Entry,
    name: HeaderName,
    required: bool,
    op: &Node,
    config: &Config,
    names: &Names<'_>,
    slots: &mut Slots,
    d: &mut Diagnostics,
) -> Option<Header> {
    let tree = flat(&entry.value, names, "key", &entry.key, d)?;
    let twice = op.get("headers").and_then(Node::as_map).unwrap_or_default();
    if let Some(other) = twice.iter().find(|other| other.key.eq_ignore_ascii_case(name.as_str())) {
        d.push(
            Diagnostic::error(entry.key_span, format!("`{}` is among the `headers`, too", entry.key))
                .related(other.key_span, "here")
                .hint("leave one of the two out"),
        );
        return None;
    }
    if !is_free(&name, entry, op, config, d) {
        return None;
    }
    let constant = tree.literal().is_some();
    let slot = slots.add(tree, format!("`{}`", entry.key));
    Some(Header { name, slot, constant, form: Form::Tags { required } })
}

/// The header that carries the key of this operation: its own, or the system's if it is a write.
pub(super) fn key(
    own: Option<&KeyHeader>,
    is_write: bool,
    config: &Config,
    headers: &[Header],
    op: &Node,
    d: &mut Diagnostics,
) -> Option<HeaderName> {
    let key = match own {
        Some(own) => own.name(),
        None => config.idempotency_key.as_ref().filter(|_| is_write).and_then(KeyHeader::name),
    };
    let name = key?;
    let at = op.entry("idempotency_key").map_or(op.span, |entry| entry.key_span);
    if headers.iter().any(|header| header.name == *name) {
        d.push(
            Diagnostic::error(
                at,
                format!("the header `{name}` is set by `headers` and by `idempotency_key`"),
            )
            .hint("leave it out of `headers`, or set `idempotency_key: false` for this operation"),
        );
    } else if let Some(part) = config.sets_header(name).filter(|_| own.is_some()) {
        d.push(
            Diagnostic::error(at, format!("the header `{name}` is set by `{part}` of the system"))
                .hint("name another header, or leave `idempotency_key` out"),
        );
    }
    Some(name.clone())
}

fn one(
    entry: &Entry,
    op: &Node,
    config: &Config,
    names: &Names<'_>,
    slots: &mut Slots,
    d: &mut Diagnostics,
) -> Option<Header> {
    let name = wire::header_name(&entry.key, entry.key_span, d);
    let tree = flat(&entry.value, names, "header", &entry.key, d);
    let (name, tree) = (name?, tree?);
    let literal = tree.literal();
    wire::check_host_header(&name, literal.is_some(), entry.key_span, d);
    if let Some(text) = literal.as_ref().and_then(wire::scalar)
        && let Err(why) = wire::header_value(&text)
    {
        d.error(entry.value.span, format!("the value of the header `{}` {why}", entry.key));
        return None;
    }
    if !is_free(&name, entry, op, config, d) {
        return None;
    }
    let constant = literal.is_some();
    let slot = slots.add(tree, format!("header `{}`", entry.key));
    Some(Header { name, slot, constant, form: Form::Text })
}

/// Refuses a header that the system sets in every request, and a type that contradicts the body.
fn is_free(name: &HeaderName, entry: &Entry, op: &Node, config: &Config, d: &mut Diagnostics) -> bool {
    if let Some(part) = config.sets_header(name) {
        d.push(
            Diagnostic::error(
                entry.key_span,
                format!("the header `{}` is set by `{part}` of the system", entry.key),
            )
            .hint("an operation cannot replace it; leave it out, or declare another system"),
        );
        return false;
    }
    if *name == header::CONTENT_TYPE
        && let Some(body) = ["form", "multipart", "raw"].into_iter().find(|key| op.entry(key).is_some())
    {
        let hint = match body {
            "raw" => "leave the header out, and write it as `content_type` of `raw`",
            _ => "leave the header out",
        };
        let message = format!("`{}` beside `{body}`: the body says its type by itself", entry.key);
        d.push(Diagnostic::error(entry.key_span, message).hint(hint));
        return false;
    }
    true
}

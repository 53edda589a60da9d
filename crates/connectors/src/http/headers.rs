//! The headers of an operation: what they may be called, beside those that Renkei sets itself.

use http::{HeaderName, header};
use renkei_core::{Diagnostic, Diagnostics, Entry, Node, template::Names};

use super::{config::Config, prepare::flat, wire};
use crate::slots::{Slot, Slots};

#[derive(Debug)]
pub(super) struct Header {
    pub(super) name: HeaderName,
    pub(super) slot: Slot,
    /// A constant may go to another origin in a redirect; a rendered value may not.
    pub(super) constant: bool,
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
    let headers: Vec<_> = entries.iter().map(|entry| one(entry, op, config, names, slots, d)).collect();
    headers.into_iter().collect()
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
    Some(Header { name, slot, constant })
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

//! `timeout`: of a system, and of one call.

use std::time::Duration;

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, FromNode, Node, NodeKind, Schema, Span,
    connector::DEFAULT_CONNECT_TIMEOUT, duration, read::wrong,
};
use renkei_derive::FromNode;

use super::one_of;

pub(crate) const DEFAULT_ATTEMPT: Duration = Duration::from_secs(30);
pub(crate) const DEFAULT_TOTAL: Duration = Duration::from_secs(60);
/// A caller waits for a call; what takes longer than this is no call.
const MAX_TOTAL: Duration = Duration::from_secs(3600);

/// How long a call may take; `connect` and `read` at most `attempt`, that at most `total`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Timeout {
    pub(crate) connect: Duration,
    /// Nothing where it is as long as `attempt`.
    pub(crate) read: Option<Duration>,
    pub(crate) attempt: Duration,
    pub(crate) total: Duration,
}

/// How long a call of this system may take: `connect` for opening a connection, `read` for a silence,
/// `attempt` for one try, `total` for the whole call with its repeats and the waits between them.
#[derive(Debug, Default, FromNode)]
#[config(check = TimeoutFields::check)]
struct TimeoutFields {
    /// Opening one connection; 5s unless set, and never more than `attempt`.
    connect: Option<Duration>,
    /// The longest silence of a system that is reached by HTTP, before its answer and in the middle of it; as long as
    /// `attempt` unless set, and never more.
    read: Option<Duration>,
    /// One try, from the request to the last byte of the answer; 30s unless set, and never more than `total`.
    attempt: Option<Duration>,
    /// The whole call, with its repeats and the waits between them; 60s unless set.
    /// A caller's own deadline can only shorten it.
    total: Option<Duration>,
}

/// How long one call may take, instead of what its system says. `connect` and `read` belong to the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromNode)]
#[config(check = CallTimeout::check)]
struct CallTimeout {
    /// One try, from the request to the last byte of the answer; never more than `total`.
    attempt: Option<Duration>,
    /// The whole call, with its repeats and the waits between them. A caller's own deadline can only shorten it.
    total: Option<Duration>,
}

/// `timeout` of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct OwnTimeout(CallTimeout);

type Field = (&'static str, Option<Duration>);

impl TimeoutFields {
    fn check(&self, node: &Node, d: &mut Diagnostics) {
        check_order(&[("connect", self.connect), ("attempt", self.attempt), ("total", self.total)], node, d);
        if self.read.is_some() {
            let longer =
                if self.attempt.is_some() { ("attempt", self.attempt) } else { ("total", self.total) };
            let mut own = Diagnostics::default();
            check_order(&[("read", self.read), longer], node, &mut own);
            // What is wrong with the other one alone was said already.
            let read = node.get("read").map(|node| node.span);
            own.iter().filter(|found| Some(found.span) == read).for_each(|found| d.push(found.clone()));
        }
    }

    fn resolve(self) -> Timeout {
        let total = self.total.unwrap_or_else(|| DEFAULT_TOTAL.max(self.attempt.unwrap_or_default()));
        let attempt = self.attempt.unwrap_or(DEFAULT_ATTEMPT).min(total);
        let connect = self.connect.unwrap_or(DEFAULT_CONNECT_TIMEOUT).min(attempt);
        Timeout { connect, read: self.read.filter(|read| *read < attempt), attempt, total }
    }
}

impl CallTimeout {
    fn check(&self, node: &Node, d: &mut Diagnostics) {
        check_order(&[("attempt", self.attempt), ("total", self.total)], node, d);
    }
}

impl OwnTimeout {
    /// What holds for the call: where it says nothing, what the system says, as far as it fits.
    pub(crate) fn over(&self, system: &Timeout) -> Timeout {
        let CallTimeout { attempt, total } = self.0;
        let total = total.unwrap_or_else(|| system.total.max(attempt.unwrap_or_default()));
        Timeout { attempt: attempt.unwrap_or(system.attempt).min(total), total, ..*system }
    }
}

/// Each is at most the next one that is set.
fn check_order(fields: &[Field], node: &Node, d: &mut Diagnostics) {
    let set: Vec<_> = fields.iter().filter_map(|(key, value)| Some((*key, (*value)?))).collect();
    let span = |key: &str| node.get(key).map_or(node.span, |node| node.span);
    for (key, value) in &set {
        check_timeout(key, *value, span(key), d);
    }
    for pair in set.windows(2) {
        let [(inner, shorter), (outer, longer)] = pair else { continue };
        if shorter > longer {
            let (inner_text, outer_text) = (duration::format(*shorter), duration::format(*longer));
            d.push(
                Diagnostic::error(
                    span(inner),
                    format!("`{inner}` ({inner_text}) is longer than `{outer}` ({outer_text})"),
                )
                .related(span(outer), format!("`{outer}` ends the call before `{inner}` can"))
                .hint(format!("make `{inner}` at most {outer_text}, or `{outer}` at least {inner_text}")),
            );
        }
    }
}

fn check_timeout(key: &str, value: Duration, span: Span, d: &mut Diagnostics) {
    if value.is_zero() {
        d.push(
            Diagnostic::error(span, format!("`{key}` is zero, so that no call could succeed"))
                .hint("give it a time, such as `10s`"),
        );
    } else if value > MAX_TOTAL {
        let (value, max) = (duration::format(value), duration::format(MAX_TOTAL));
        d.push(
            Diagnostic::error(span, format!("`{key}` is {value}; the longest possible is {max}"))
                .hint("a caller waits for the whole call; start longer work with one call and ask for its state with another"),
        );
    }
}

/// The whole as a duration.
fn whole(node: &Node, d: &mut Diagnostics) -> Option<Duration> {
    let total = Duration::from_node(node, d)?;
    check_timeout("timeout", total, node.span, d);
    Some(total)
}

impl Default for Timeout {
    fn default() -> Self {
        TimeoutFields::default().resolve()
    }
}

impl FromNode for Timeout {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::Map(_) => TimeoutFields::from_node(node, d).map(TimeoutFields::resolve),
            NodeKind::String(_) | NodeKind::Number(_) => {
                Some(TimeoutFields { total: Some(whole(node, d)?), ..TimeoutFields::default() }.resolve())
            }
            NodeKind::Unknown => Some(Timeout::default()),
            _ => {
                wrong(node, "a duration such as `10s`, or a mapping with `connect`, `attempt` and `total`", d)
            }
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        one_of(
            "How long a call of this system may take: the whole call as a duration, or each level by itself.",
            vec![Duration::schema(defs), TimeoutFields::schema(defs)],
            None,
        )
    }
}

impl FromNode for OwnTimeout {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::Map(_) => CallTimeout::from_node(node, d).map(OwnTimeout),
            NodeKind::String(_) | NodeKind::Number(_) => {
                Some(OwnTimeout(CallTimeout { total: Some(whole(node, d)?), attempt: None }))
            }
            NodeKind::Unknown => Some(OwnTimeout::default()),
            _ => wrong(node, "a duration such as `10s`, or a mapping with `attempt` and `total`", d),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        one_of(
            "How long this call may take, instead of what its system says: the whole call as a duration, or each level by itself.",
            vec![Duration::schema(defs), CallTimeout::schema(defs)],
            None,
        )
    }
}

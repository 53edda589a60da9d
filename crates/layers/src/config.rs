//! `timeout` and `retry` of a system.

use std::{sync::Arc, time::Duration};

use renkei_core::{
    Call, Definitions, Diagnostic, Diagnostics, FromNode, Layers, LayersKind, Node, NodeKind, Schema, Span,
    Value, connector::DEFAULT_CONNECT_TIMEOUT, duration, read::wrong,
};
use renkei_derive::FromNode;

use crate::stack;

pub(crate) const DEFAULT_ATTEMPT: Duration = Duration::from_secs(30);
pub(crate) const DEFAULT_TOTAL: Duration = Duration::from_secs(60);
/// A caller waits for a call; what takes longer than this is no call.
const MAX_TOTAL: Duration = Duration::from_secs(3600);
const MAX_ATTEMPTS: u32 = 20;

/// The layers of one system, configured.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) timeout: Timeout,
    pub(crate) retry: Retry,
}

/// How long a call may take; each at most the next one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Timeout {
    pub(crate) connect: Duration,
    pub(crate) attempt: Duration,
    pub(crate) total: Duration,
}

/// How often a call is made, and how long to wait in between.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Retry {
    /// With the first one; 1 means that nothing is repeated.
    pub(crate) attempts: u32,
    pub(crate) first: Duration,
    pub(crate) max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { timeout: TimeoutFields::default().resolve(), retry: RetryFields::default().resolve() }
    }
}

impl Layers for Settings {
    fn wrap(&self, system: &str, inner: Arc<dyn Call>) -> Arc<dyn Call> {
        stack::wrap(self, system, inner)
    }

    fn connect_timeout(&self) -> Duration {
        self.timeout.connect
    }
}

pub(crate) struct Kind;

impl LayersKind for Kind {
    fn properties(&self, defs: &mut Definitions) -> Vec<(&'static str, Schema)> {
        vec![("timeout", Timeout::schema(defs)), ("retry", Retry::schema(defs))]
    }

    fn read(&self, node: &Node, d: &mut Diagnostics) -> Arc<dyn Layers> {
        let mut settings = Settings::default();
        // Something else at this place is the business of whoever reads the system.
        if let Some(timeout) = node.get("timeout").and_then(|node| Timeout::from_node(node, d)) {
            settings.timeout = timeout;
        }
        if let Some(retry) = node.get("retry").and_then(|node| Retry::from_node(node, d)) {
            settings.retry = retry;
        }
        Arc::new(settings)
    }
}

/// How long a call of this system may take: `connect` for opening a connection, `attempt` for one
/// try, `total` for the whole call with its repeats and the waits between them.
#[derive(Debug, Default, FromNode)]
#[config(check = TimeoutFields::check)]
struct TimeoutFields {
    /// Opening one connection; 5s unless set, and never more than `attempt`.
    connect: Option<Duration>,
    /// One try, from the request to the last byte of the answer; 30s unless set, and never more than `total`.
    attempt: Option<Duration>,
    /// The whole call, with its repeats and the waits between them; 60s unless set.
    /// A caller's own deadline can only shorten it.
    total: Option<Duration>,
}

impl TimeoutFields {
    fn check(&self, node: &Node, d: &mut Diagnostics) {
        let fields = [("connect", self.connect), ("attempt", self.attempt), ("total", self.total)];
        let set: Vec<_> = fields.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
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

    fn resolve(self) -> Timeout {
        let total = self.total.unwrap_or_else(|| DEFAULT_TOTAL.max(self.attempt.unwrap_or_default()));
        let attempt = self.attempt.unwrap_or(DEFAULT_ATTEMPT).min(total);
        let connect = self.connect.unwrap_or(DEFAULT_CONNECT_TIMEOUT).min(attempt);
        Timeout { connect, attempt, total }
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

impl FromNode for Timeout {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::Map(_) => TimeoutFields::from_node(node, d).map(TimeoutFields::resolve),
            NodeKind::String(_) | NodeKind::Number(_) => {
                let total = Duration::from_node(node, d)?;
                check_timeout("timeout", total, node.span, d);
                Some(TimeoutFields { total: Some(total), ..TimeoutFields::default() }.resolve())
            }
            NodeKind::Unknown => Some(TimeoutFields::default().resolve()),
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

/// How often a call is repeated. Only what may succeed the next time is repeated, and only where a
/// repeat is safe: reads, idempotent operations, operations that carry `$key`, and any request
/// that certainly was not sent.
#[derive(Debug, FromNode)]
#[config(check = RetryFields::check)]
struct RetryFields {
    /// How often the call is made at most, the first time included.
    #[config(default = 3)]
    attempts: u32,
    /// How long to wait before a repeat. A system's `Retry-After` is honoured.
    backoff: Option<Backoff>,
}

/// The wait before a repeat: a random time up to `first`, then up to twice that, and so on.
#[derive(Debug, FromNode)]
#[config(check = Backoff::check)]
struct Backoff {
    /// The longest wait before the first repeat; it doubles from repeat to repeat.
    #[config(default = "200ms")]
    first: Duration,
    /// No wait is longer, unless the system asks for it.
    #[config(default = "5s")]
    max: Duration,
}

impl Default for RetryFields {
    fn default() -> Self {
        RetryFields { attempts: 3, backoff: None }
    }
}

impl RetryFields {
    fn check(&self, node: &Node, d: &mut Diagnostics) {
        let span = node.get("attempts").map_or(node.span, |node| node.span);
        check_attempts(self.attempts.into(), span, d);
    }

    fn resolve(self) -> Retry {
        let (first, max) = match self.backoff {
            Some(backoff) => (backoff.first, backoff.max),
            None => (Duration::from_millis(200), Duration::from_secs(5)),
        };
        Retry { attempts: self.attempts, first, max }
    }
}

impl Backoff {
    fn check(&self, node: &Node, d: &mut Diagnostics) {
        if self.first > self.max {
            let (first, max) = (duration::format(self.first), duration::format(self.max));
            d.push(
                Diagnostic::error(node.span, format!("`first` ({first}) is longer than `max` ({max})"))
                    .hint(format!("make `first` at most {max}, or `max` at least {first}")),
            );
        }
    }
}

fn check_attempts(attempts: i64, span: Span, d: &mut Diagnostics) -> Option<u32> {
    match u32::try_from(attempts) {
        Ok(attempts) if (1..=MAX_ATTEMPTS).contains(&attempts) => Some(attempts),
        _ => {
            d.push(Diagnostic::error(span, format!("{attempts} attempts are not possible")).hint(format!(
                "`attempts` counts the first try: 1 to {MAX_ATTEMPTS}; `retry: off` never repeats"
            )));
            None
        }
    }
}

impl FromNode for Retry {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        let once = RetryFields { attempts: 1, backoff: None };
        match &node.kind {
            NodeKind::Map(_) => RetryFields::from_node(node, d).map(RetryFields::resolve),
            NodeKind::Number(number) if number.as_i64().is_some() => {
                let attempts = check_attempts(number.as_i64()?, node.span, d)?;
                Some(RetryFields { attempts, backoff: None }.resolve())
            }
            NodeKind::String(text) if &*text.value == "off" => Some(once.resolve()),
            NodeKind::Bool(false) => Some(once.resolve()),
            NodeKind::Unknown => Some(RetryFields::default().resolve()),
            _ => wrong(node, "the number of attempts, `off`, or a mapping with `attempts` and `backoff`", d),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        let attempts = Value::from([
            ("type", Value::from("integer")),
            ("minimum", 1i64.into()),
            ("maximum", i64::from(MAX_ATTEMPTS).into()),
        ]);
        let off = Value::from([("enum", vec![Value::from("off"), Value::from(false)])]);
        one_of(
            "How often a call is made at most, the first time included (3 unless set), or `off`. Only what may succeed the next time is repeated, and only where a repeat is safe: reads, idempotent operations, operations that carry `$key`, and any request that certainly was not sent.",
            vec![attempts, off, RetryFields::schema(defs)],
            Some(3i64.into()),
        )
    }
}

fn one_of(description: &str, forms: Vec<Schema>, default: Option<Value>) -> Schema {
    let mut map = renkei_core::Map::new();
    map.insert("description".into(), description.into());
    map.insert("oneOf".into(), forms.into());
    if let Some(default) = default {
        map.insert("default".into(), default);
    }
    map.into()
}

//! `retry`: of a system, and of one call.

use std::time::Duration;

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, FromNode, Node, NodeKind, Schema, Span, Value, duration,
    read::{Rate, wrong},
};
use renkei_derive::FromNode;

use super::{one_of, words::Share};

const MAX_ATTEMPTS: u32 = 20;

/// How often a call is made, how long to wait in between, and how much repeating the system bears.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Retry {
    pub(crate) plan: Attempts,
    /// Nothing where repeats are not rationed.
    pub(crate) budget: Option<Budget>,
}

/// How often a call is made, and how long to wait in between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Attempts {
    /// With the first one; 1 means that nothing is repeated.
    pub(crate) attempts: u32,
    pub(crate) first: Duration,
    pub(crate) max: Duration,
}

/// `retry` of one call; what it does not say is as the system says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct OwnRetry {
    attempts: Option<u32>,
    backoff: Option<(Duration, Duration)>,
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
    /// How many of all requests to the system may be repeats, so that a system in trouble gets no storm of
    /// them; `off` rations nothing.
    budget: Option<BudgetChoice>,
}

/// How often this call is repeated, instead of what its system says.
#[derive(Debug, FromNode)]
#[config(check = CallRetry::check)]
struct CallRetry {
    /// How often the call is made at most, the first time included.
    attempts: Option<u32>,
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

/// How much is repeated at most, over all calls of the system: each call earns a share of a repeat, and some
/// are free, so that a system with few calls has repeats, too.
#[derive(Clone, Debug, PartialEq, FromNode)]
pub(crate) struct Budget {
    /// What each call earns. What is not used is kept, up to 100 repeats.
    #[config(default = "20%")]
    pub(crate) share: Share,
    /// Free repeats; so many may come at once.
    #[config(default = "10/s")]
    pub(crate) minimum: Rate,
}

/// A budget, or none.
#[derive(Debug)]
struct BudgetChoice(Option<Budget>);

impl Default for Budget {
    fn default() -> Self {
        Budget { share: Share(20), minimum: Rate { count: 10, per: Duration::from_secs(1) } }
    }
}

impl Default for Attempts {
    fn default() -> Self {
        Attempts { attempts: 3, first: Duration::from_millis(200), max: Duration::from_secs(5) }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Retry { plan: Attempts::default(), budget: Some(Budget::default()) }
    }
}

impl OwnRetry {
    pub(crate) fn over(&self, system: &Attempts) -> Attempts {
        let (first, max) = self.backoff.unwrap_or((system.first, system.max));
        Attempts { attempts: self.attempts.unwrap_or(system.attempts), first, max }
    }
}

impl RetryFields {
    fn check(&self, node: &Node, d: &mut Diagnostics) {
        check_attempts(self.attempts.into(), span_of(node, "attempts"), d);
    }

    fn resolve(self) -> Retry {
        let mut plan = Attempts { attempts: self.attempts, ..Attempts::default() };
        if let Some(Backoff { first, max }) = self.backoff {
            (plan.first, plan.max) = (first, max);
        }
        Retry { plan, budget: self.budget.map_or_else(|| Some(Budget::default()), |choice| choice.0) }
    }
}

impl CallRetry {
    fn check(&self, node: &Node, d: &mut Diagnostics) {
        if let Some(attempts) = self.attempts {
            check_attempts(attempts.into(), span_of(node, "attempts"), d);
        }
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

fn span_of(node: &Node, key: &str) -> Span {
    node.get(key).map_or(node.span, |node| node.span)
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

/// The number of attempts, where a node is one or `off`; nothing where it is something else.
fn short(node: &Node, d: &mut Diagnostics) -> Option<Option<u32>> {
    match &node.kind {
        NodeKind::Number(number) => Some(check_attempts(number.as_i64()?, node.span, d)),
        NodeKind::String(text) if &*text.value == "off" => Some(Some(1)),
        NodeKind::Bool(false) => Some(Some(1)),
        _ => None,
    }
}

impl FromNode for Retry {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        if let Some(attempts) = short(node, d) {
            let plan = Attempts { attempts: attempts?, ..Attempts::default() };
            return Some(Retry { plan, ..Retry::default() });
        }
        match &node.kind {
            NodeKind::Map(_) => RetryFields::from_node(node, d).map(RetryFields::resolve),
            NodeKind::Unknown => Some(Retry::default()),
            _ => wrong(
                node,
                "the number of attempts, `off`, or a mapping with `attempts`, `backoff` and `budget`",
                d,
            ),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        one_of(
            "How often a call is made at most, the first time included (3 unless set), or `off`. Only what may succeed the next time is repeated, and only where a repeat is safe: reads, idempotent operations, operations that carry `$key`, and any request that certainly was not sent.",
            vec![attempts_schema(), off_schema(), RetryFields::schema(defs)],
            Some(3i64.into()),
        )
    }
}

impl FromNode for OwnRetry {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        if let Some(attempts) = short(node, d) {
            return Some(OwnRetry { attempts: Some(attempts?), backoff: None });
        }
        match &node.kind {
            NodeKind::Map(_) => {
                let fields = CallRetry::from_node(node, d)?;
                let backoff = fields.backoff.map(|backoff| (backoff.first, backoff.max));
                Some(OwnRetry { attempts: fields.attempts, backoff })
            }
            NodeKind::Unknown => Some(OwnRetry::default()),
            _ => wrong(node, "the number of attempts, `off`, or a mapping with `attempts` and `backoff`", d),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        one_of(
            "How often this call is made at most, the first time included, or `off`; instead of what its system says. The budget is the system's.",
            vec![attempts_schema(), off_schema(), CallRetry::schema(defs)],
            None,
        )
    }
}

impl FromNode for BudgetChoice {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::String(text) if &*text.value == "off" => Some(BudgetChoice(None)),
            NodeKind::Bool(false) => Some(BudgetChoice(None)),
            NodeKind::Map(_) => Budget::from_node(node, d).map(Some).map(BudgetChoice),
            NodeKind::Unknown => Some(BudgetChoice(None)),
            _ => wrong(node, "`off`, or a mapping with `share` and `minimum`", d),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        Value::from([("oneOf", Value::from(vec![off_schema(), Budget::schema(defs)]))])
    }
}

fn attempts_schema() -> Schema {
    Value::from([
        ("type", Value::from("integer")),
        ("minimum", 1i64.into()),
        ("maximum", i64::from(MAX_ATTEMPTS).into()),
    ])
}

fn off_schema() -> Schema {
    Value::from([("enum", vec![Value::from("off"), Value::from(false)])])
}

//! `breaker` of a system.

use std::time::Duration;

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, FromNode, Node, NodeKind, Schema, Value, read::wrong,
};
use renkei_derive::FromNode;

use super::{one_of, words::Share};

/// When calls are not sent any more for a while, because too many fail. An attempt fails when the system is
/// unavailable or does not answer in time; a caller's own mistake and a system's "not so fast" do not count.
#[derive(Clone, Debug, PartialEq, FromNode)]
#[config(check = Breaker::check)]
pub(crate) struct Breaker {
    /// It opens when so many attempts failed within `window`, …
    #[config(default = 5)]
    pub(crate) failures: u32,
    /// … if they are at least this share of all attempts in it, …
    #[config(default = "50%")]
    pub(crate) rate: Share,
    /// … and these were at least so many.
    #[config(default = 1)]
    pub(crate) minimum: u32,
    /// How far back attempts are counted.
    #[config(default = "30s")]
    pub(crate) window: Duration,
    /// How long it stays open before some attempts are let through to see how the system is.
    #[config(default = "30s")]
    pub(crate) reset: Duration,
    /// So many are let through at the same time then.
    #[config(default = 1)]
    pub(crate) probes: u32,
    /// It closes when so many of them went well; one that fails opens it again.
    #[config(default = 2)]
    pub(crate) successes: u32,
}

/// A breaker, or none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BreakerChoice(pub(crate) Option<Breaker>);

impl Default for Breaker {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Breaker {
            failures: 5,
            rate: Share(50),
            minimum: 1,
            window: seconds(30),
            reset: seconds(30),
            probes: 1,
            successes: 2,
        }
    }
}

impl Breaker {
    fn check(&self, node: &Node, d: &mut Diagnostics) {
        let counts = [
            ("failures", self.failures),
            ("minimum", self.minimum),
            ("probes", self.probes),
            ("successes", self.successes),
        ];
        let span = |key: &str| node.get(key).map_or(node.span, |node| node.span);
        for (key, count) in counts {
            if !(1..=100_000).contains(&count) {
                d.push(
                    Diagnostic::error(span(key), format!("`{key}` is {count}"))
                        .hint("give it a number from 1 to 100000; `breaker: off` for none"),
                );
            }
        }
        for (key, time) in [("window", self.window), ("reset", self.reset)] {
            if !(Duration::from_millis(100)..=Duration::from_secs(86_400)).contains(&time) {
                d.push(
                    Diagnostic::error(span(key), format!("`{key}` is out of range"))
                        .hint("give it a time from 100ms to 1d; `breaker: off` for none"),
                );
            }
        }
    }
}

impl FromNode for BreakerChoice {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::Map(_) => Breaker::from_node(node, d).map(Some).map(BreakerChoice),
            NodeKind::String(text) if &*text.value == "on" => Some(BreakerChoice(Some(Breaker::default()))),
            NodeKind::Bool(true) => Some(BreakerChoice(Some(Breaker::default()))),
            NodeKind::String(text) if &*text.value == "off" => Some(BreakerChoice(None)),
            NodeKind::Bool(false) | NodeKind::Unknown => Some(BreakerChoice(None)),
            _ => wrong(node, "`on`, `off`, or a mapping such as `{ failures: 5, window: 30s }`", d),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        let words = ["on", "off"].map(Value::from).into_iter().chain([true.into(), false.into()]);
        let words = Value::from([("enum", words.collect::<Vec<Value>>())]);
        one_of(
            "When calls are not sent any more for a while, because too many fail; `on` for the defaults. There is none unless asked for.",
            vec![words, Breaker::schema(defs)],
            None,
        )
    }
}

//! `limit` of a system.

use std::time::Duration;

use renkei_core::{Diagnostic, Diagnostics, Node, read::Rate};
use renkei_derive::FromNode;

/// How many requests are sent to the system. What is too much is refused (`rate_limited`), with the time after
/// which it is worth trying again.
#[derive(Clone, Debug, Default, PartialEq, FromNode)]
#[config(check = Limit::check)]
pub(crate) struct Limit {
    /// So many in so much time, repeats included.
    pub(crate) rate: Option<Rate>,
    /// So many may come at once; as many as `rate` counts unless set.
    pub(crate) burst: Option<u32>,
    /// Whose requests `rate` counts together.
    #[config(default)]
    pub(crate) per: Per,
    /// How long a request waits for its turn before it is refused. Not at all unless set.
    #[config(default = "0s")]
    pub(crate) wait: Duration,
    /// So many at the same time. One more is refused at once.
    pub(crate) concurrency: Option<u32>,
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromNode)]
pub(crate) enum Per {
    /// Everybody's.
    #[default]
    System,
    /// Each caller's by itself; those of the 10000 that called last are remembered.
    Principal,
}

impl Limit {
    fn check(&self, node: &Node, d: &mut Diagnostics) {
        let span = |key: &str| node.get(key).map_or(node.span, |node| node.span);
        if self.rate.is_none() {
            if self.concurrency.is_none() {
                d.push(
                    Diagnostic::error(node.span, "the limit limits nothing")
                        .hint("add `rate: 50/s`, or `concurrency: 20`"),
                );
            }
            for key in ["burst", "per", "wait"] {
                if let Some(entry) = node.entry(key) {
                    d.push(
                        Diagnostic::error(entry.key_span, format!("`{key}` without a `rate`"))
                            .hint("add `rate: 50/s`, or remove it"),
                    );
                }
            }
        }
        for (key, count) in [("burst", self.burst), ("concurrency", self.concurrency)] {
            if count.is_some_and(|count| !(1..=1_000_000).contains(&count)) {
                d.push(
                    Diagnostic::error(span(key), format!("`{key}` is out of range"))
                        .hint("give it a number from 1 to 1000000"),
                );
            }
        }
        if self.wait > Duration::from_secs(60) {
            d.push(
                Diagnostic::error(span("wait"), "`wait` is longer than a caller would wait")
                    .hint("give it 60s at most; a queue holds work that can wait"),
            );
        }
    }
}

//! `retry:` of a queue – how often a message is tried.

use std::time::Duration;

use renkei_core::{Diagnostic, Diagnostics, Node, duration, queue::Backoff};
use renkei_derive::FromNode;

/// Attempts that a message may have at most.
const MAX_ATTEMPTS: u32 = 1000;

/// How often a message is tried, and how long it waits in between.
#[derive(Clone, Debug, FromNode)]
#[config(check = check_retry)]
pub(crate) struct RetryConfig {
    /// Attempts at most, the first one included. One that was cut off because its process died counts, too.
    #[config(default = 5)]
    pub(super) attempts: u32,

    /// A random time between nothing and `first`, which doubles with every attempt up to `max`. Where the error says how
    /// long to wait, no less.
    #[config(default)]
    backoff: BackoffConfig,
}

/// How long a message waits for its next attempt.
#[derive(Clone, Debug, FromNode)]
#[config(check = check_backoff)]
pub(crate) struct BackoffConfig {
    /// The longest wait after the first attempt.
    #[config(default = "1s")]
    first: Duration,
    /// The longest wait at all.
    #[config(default = "10m")]
    max: Duration,
}

impl RetryConfig {
    pub(super) fn backoff(&self) -> Backoff {
        Backoff { first: self.backoff.first, max: self.backoff.max }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig { attempts: 5, backoff: BackoffConfig::default() }
    }
}

impl Default for BackoffConfig {
    fn default() -> Self {
        BackoffConfig { first: Duration::from_secs(1), max: Duration::from_secs(600) }
    }
}

fn check_retry(retry: &RetryConfig, node: &Node, d: &mut Diagnostics) {
    if !(1..=MAX_ATTEMPTS).contains(&retry.attempts) {
        let span = node.get("attempts").map_or(node.span, |node| node.span);
        let message = format!("{} attempts are not possible", retry.attempts);
        d.push(
            Diagnostic::error(span, message)
                .hint(format!("`attempts` counts the first one: 1 to {MAX_ATTEMPTS}")),
        );
    }
}

fn check_backoff(backoff: &BackoffConfig, node: &Node, d: &mut Diagnostics) {
    if backoff.first > backoff.max {
        let (first, max) = (duration::format(backoff.first), duration::format(backoff.max));
        d.push(
            Diagnostic::error(node.span, format!("`first` ({first}) is longer than `max` ({max})"))
                .hint(format!("make `first` at most {max}, or `max` at least {first}")),
        );
    }
}

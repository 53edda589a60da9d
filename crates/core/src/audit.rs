//! The audit: one line for each call from outside, and the same in numbers.
//!
//! Lines have the target [`TARGET`] and the level `info`. Each call has exactly one, whatever becomes of it: a call
//! that nobody waited for to the end has one, too.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tracing::Level;

use crate::{Applied, CallContext, Effect, Error, Kind, Value, metric};

/// The target of the lines.
pub const TARGET: &str = "audit";

/// More of the arguments' JSON is not written.
const MAX_ARGUMENTS_BYTES: usize = 4096;

/// What a line says of the arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arguments {
    /// Their SHA-256: whether two calls had the same, and nothing of what they were.
    #[default]
    Digest,
    /// They themselves, up to 4 KiB.
    Values,
    Nothing,
}

impl Arguments {
    fn show(self, arguments: &Value) -> Option<String> {
        match self {
            Arguments::Nothing => None,
            Arguments::Values => {
                let mut text = arguments.to_json();
                if text.len() > MAX_ARGUMENTS_BYTES {
                    text.truncate(text.floor_char_boundary(MAX_ARGUMENTS_BYTES));
                    text.push('…');
                }
                Some(text)
            }
            Arguments::Digest => {
                let digest = Sha256::digest(arguments.to_json());
                let hex = digest.iter().fold(String::from("sha256:"), |mut hex, byte| {
                    // Writing to a string does not fail.
                    let _ = write!(hex, "{byte:02x}");
                    hex
                });
                Some(hex)
            }
        }
    }
}

/// A call that is under way. Dropped before [`Record::end`], it was cancelled.
#[derive(Debug)]
pub struct Record<'a> {
    kind: &'static str,
    name: &'a str,
    /// Of the metrics: the config's names only.
    label: String,
    effect: Effect,
    cx: &'a CallContext,
    arguments: Option<String>,
    started: Instant,
    ended: bool,
}

impl<'a> Record<'a> {
    /// `name` is the config's; `effect` the strongest that the call may have.
    pub fn begin(
        kind: &'static str,
        name: &'a str,
        effect: Effect,
        cx: &'a CallContext,
        (shown, arguments): (Arguments, &Value),
    ) -> Self {
        let is_on = tracing::enabled!(target: TARGET, Level::INFO);
        let arguments = if is_on { shown.show(arguments) } else { None };
        metrics::gauge!(metric::CALLS_NOW.name, "kind" => kind).increment(1.0);
        let (label, started) = (name.to_owned(), Instant::now());
        Record { kind, name, label, effect, cx, arguments, started, ended: false }
    }

    /// It is over, with this error or well.
    pub fn end(mut self, error: Option<&Error>) {
        self.ended = true;
        let applied = match (error, self.effect) {
            (None, Effect::Read) => Applied::No,
            (None, _) => Applied::Yes,
            (Some(error), _) => error.was_applied(),
        };
        let outcome = match error {
            None => "ok",
            // It goes on with a later call.
            Some(error) if error.is_suspended() => return self.write("asked", Applied::No, None),
            Some(error) => error.kind().as_str(),
        };
        self.write(outcome, applied, error);
    }

    fn write(&self, outcome: &'static str, applied: Applied, error: Option<&Error>) {
        let (kind, took) = (self.kind, self.started.elapsed());
        metrics::counter!(
            metric::CALLS.name, "kind" => kind, "name" => self.label.clone(), "outcome" => outcome
        )
        .increment(1);
        metrics::histogram!(metric::CALL_SECONDS.name, "kind" => kind, "name" => self.label.clone())
            .record(took.as_secs_f64());
        tracing::info!(
            target: TARGET,
            kind,
            name = self.name,
            principal = &*self.cx.principal.name,
            auth = self.cx.principal.how.as_str(),
            arguments = self.arguments,
            outcome,
            applied = applied.as_str(),
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            trace = self.cx.trace.id(),
            error = error.map(one_line),
            "call"
        );
    }
}

/// Texts for models have several lines; whoever reads a log counts on one.
fn one_line(error: &Error) -> String {
    let text = error.to_string();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" | ")
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        metrics::gauge!(metric::CALLS_NOW.name, "kind" => self.kind).decrement(1.0);
        if !self.ended {
            let applied = if self.effect == Effect::Read { Applied::No } else { Applied::Unknown };
            self.write(Kind::Cancelled.as_str(), applied, None);
        }
    }
}

/// A call that was refused before it could begin. What the config has no such name for is counted without one:
/// a client can make up any number of names.
pub fn refused(kind: &'static str, name: &str, is_known: bool, cx: &CallContext, error: &Error) {
    let shown: String = name.chars().take(100).collect();
    let nothing = (Arguments::Nothing, &Value::Null);
    let mut record = Record::begin(kind, &shown, Effect::Read, cx, nothing);
    if !is_known {
        record.label.clear();
    }
    record.end(Some(error));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_nothing_and_values_are_cut() {
        let arguments = Value::from([("card", "4111 1111")]);
        let digest = Arguments::Digest.show(&arguments).unwrap();
        assert_eq!(digest.len(), "sha256:".len() + 64);
        assert_eq!(Arguments::Digest.show(&arguments.clone()).unwrap(), digest);
        assert_eq!(Arguments::Values.show(&arguments).unwrap(), r#"{"card":"4111 1111"}"#);
        assert_eq!(Arguments::Nothing.show(&arguments), None);
        let long = Arguments::Values.show(&Value::from("ü".repeat(4096))).unwrap();
        assert!(long.len() <= MAX_ARGUMENTS_BYTES + '…'.len_utf8(), "{}", long.len());
    }
}

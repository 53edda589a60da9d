//! The audit: one line for each call from outside, and the same in numbers.
//!
//! Lines have the target [`TARGET`] and the level `info`. Each call has exactly one, whatever becomes of it: a call
//! that nobody waited for to the end has one, too. What the server does unasked, such as looking again at a resource that
//! somebody subscribed to, is no call from outside: it has none, and counts for nothing here.

use std::{fmt, sync::OnceLock, time::Duration};

use metrics::{Counter, Gauge, Histogram};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tracing::Level;

use crate::{Applied, CallContext, Effect, Error, Kind, Value, metric};

/// The target of the lines.
pub const TARGET: &str = "audit";

/// More of the arguments' JSON is not written.
const MAX_ARGUMENTS_BYTES: usize = 4096;

/// What a digest begins with.
const DIGEST: &str = "sha256:";

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
                let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
                let mut hex = String::with_capacity(DIGEST.len() + 2 * digest.len());
                hex.push_str(DIGEST);
                hex.extend(digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
                Some(hex)
            }
        }
    }
}

/// The numbers of one thing that can be called, each looked up when the first call needs it.
pub struct Measures {
    kind: &'static str,
    /// The config's name; empty for what it does not have.
    name: String,
    now: OnceLock<Gauge>,
    seconds: OnceLock<Histogram>,
    ok: OnceLock<Counter>,
    asked: OnceLock<Counter>,
    failed: [OnceLock<Counter>; Kind::ALL.len()],
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Ok,
    /// Not yet: somebody is asked first.
    Asked,
    Failed(Kind),
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Asked => "asked",
            Outcome::Failed(kind) => kind.as_str(),
        }
    }
}

impl Measures {
    /// `kind` is `tool`, `task`, `worker`, `resource`, `prompt` or `completion`; `name` the config's.
    pub fn new(kind: &'static str, name: &str) -> Self {
        let (now, seconds, ok, asked, failed) = Default::default();
        Measures { kind, name: name.to_owned(), now, seconds, ok, asked, failed }
    }

    pub fn kind(&self) -> &'static str {
        self.kind
    }

    fn now(&self) -> &Gauge {
        self.now.get_or_init(|| metrics::gauge!(metric::CALLS_NOW.name, "kind" => self.kind))
    }

    fn ended(&self, outcome: Outcome, took: Duration) {
        let slot = match outcome {
            Outcome::Ok => &self.ok,
            Outcome::Asked => &self.asked,
            Outcome::Failed(kind) => &self.failed[kind as usize],
        };
        let outcome = outcome.as_str();
        let name = || self.name.clone();
        let counter = || metrics::counter!(metric::CALLS.name, "kind" => self.kind, "name" => name(), "outcome" => outcome);
        let histogram =
            || metrics::histogram!(metric::CALL_SECONDS.name, "kind" => self.kind, "name" => name());
        slot.get_or_init(counter).increment(1);
        self.seconds.get_or_init(histogram).record(took.as_secs_f64());
    }
}

impl fmt::Debug for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measures").field("kind", &self.kind).field("name", &self.name).finish_non_exhaustive()
    }
}

/// A call that is under way. Dropped before [`Record::end`], it was cancelled.
#[derive(Debug)]
pub struct Record<'a> {
    measures: &'a Measures,
    name: &'a str,
    effect: Effect,
    cx: &'a CallContext,
    arguments: Option<String>,
    started: Instant,
    ended: bool,
}

impl<'a> Record<'a> {
    /// `name` is the config's; `effect` the strongest that the call may have.
    pub fn begin(
        measures: &'a Measures,
        name: &'a str,
        effect: Effect,
        cx: &'a CallContext,
        (shown, arguments): (Arguments, &Value),
    ) -> Self {
        let is_on = !cx.unasked && tracing::enabled!(target: TARGET, Level::INFO);
        let arguments = if is_on { shown.show(arguments) } else { None };
        if !cx.unasked {
            measures.now().increment(1.0);
        }
        Record { measures, name, effect, cx, arguments, started: Instant::now(), ended: false }
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
            None => Outcome::Ok,
            // It goes on with a later call.
            Some(error) if error.is_suspended() => return self.write(Outcome::Asked, Applied::No, None),
            Some(error) => Outcome::Failed(error.kind()),
        };
        self.write(outcome, applied, error);
    }

    fn write(&self, outcome: Outcome, applied: Applied, error: Option<&Error>) {
        if self.cx.unasked {
            return;
        }
        let took = self.started.elapsed();
        self.measures.ended(outcome, took);
        tracing::info!(
            target: TARGET,
            kind = self.measures.kind,
            name = self.name,
            principal = &*self.cx.principal.name,
            auth = self.cx.principal.how.as_str(),
            client = self.cx.client.map(tracing::field::display),
            arguments = self.arguments,
            outcome = outcome.as_str(),
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
        if !self.cx.unasked {
            self.measures.now().decrement(1.0);
        }
        if !self.ended {
            let applied = if self.effect == Effect::Read { Applied::No } else { Applied::Unknown };
            self.write(Outcome::Failed(Kind::Cancelled), applied, None);
        }
    }
}

/// A call that was refused before it could begin. What the config has no such name for is counted without one:
/// a client can make up any number of names.
pub fn refused(kind: &'static str, name: &str, is_known: bool, cx: &CallContext, error: &Error) {
    let shown: String = name.chars().take(100).collect();
    let measures = Measures::new(kind, if is_known { name } else { "" });
    let nothing = (Arguments::Nothing, &Value::Null);
    Record::begin(&measures, &shown, Effect::Read, cx, nothing).end(Some(error));
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

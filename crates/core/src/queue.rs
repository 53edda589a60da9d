//! Queues as the config declares them, and the form of a message.
//!
//! A message is a job of the store: its data is the payload, and what CloudEvents 1.0 calls its attributes are the
//! headers. Both are JSON.

mod message;

use std::{fmt, sync::Arc, time::Duration};

pub use message::{Message, message_id};

use crate::{
    Pattern, Tree, Value,
    clock::Timestamp,
    read::Rate,
    store::{OnDead, OnTaken},
};

/// A queue, checked.
#[derive(Clone, Debug)]
pub struct QueuePlan {
    pub about: Arc<Queue>,
    /// What is done with each message. Without it, messages wait for a tool that receives them.
    pub worker: Option<Arc<dyn Pattern>>,
}

/// What holds for the messages of a queue, whoever enqueues or works.
#[derive(Clone, Debug)]
pub struct Queue {
    pub name: Arc<str>,
    pub description: Option<String>,
    /// JSON Schema of the data, where the config says what it is.
    pub input_schema: Option<Value>,
    /// Of the data: messages for which it gives the same are handled one at a time, in the order in which they came.
    pub order_by: Option<Tree>,
    pub on_dead: OnDead,
    pub unique: Option<UniquePlan>,
    /// Of the data: an integer; greater comes first.
    pub priority: Option<Tree>,
    /// Between the commit and the first attempt.
    pub delay: Duration,
    /// A message that nobody began until then is dead.
    pub ttl: Option<Duration>,
    /// Unfinished messages at most; one more is refused.
    pub max_length: u64,
    /// Attempts at most, the first one included.
    pub attempts: u32,
    pub backoff: Backoff,
    /// After this time without an extension, somebody else may have the message.
    pub lease: Duration,
    /// One attempt.
    pub timeout: Duration,
    /// Messages at the same time, in one process.
    pub concurrency: usize,
    /// Attempts begun, in one process.
    pub rate: Option<Rate>,
}

/// Which messages are the same.
#[derive(Clone, Debug)]
pub struct UniquePlan {
    /// Of the data: what is the same for the same work. Absent or null: such a message is like no other.
    pub key: Tree,
    pub on_taken: OnTaken,
}

/// How long to wait before another attempt: a random part of `first`, doubled with every attempt up to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub max: Duration,
}

impl Backoff {
    /// `share` (0 to 1) of the longest wait after so many attempts.
    pub fn wait(self, attempts: u32, share: f64) -> Duration {
        let doubled = 2u32
            .checked_pow(attempts.saturating_sub(1))
            .and_then(|times| self.first.checked_mul(times))
            .map_or(self.max, |wait| wait.min(self.max));
        doubled.mul_f64(share.clamp(0.0, 1.0))
    }
}

/// A moment in RFC 3339.
pub fn moment(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|moment| Timestamp(moment.as_millisecond()))
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end_at_the_longest() {
        let seconds = Duration::from_secs;
        let backoff = Backoff { first: seconds(1), max: seconds(10) };
        let waits = [1, 2, 3, 4, 5, 100].map(|attempts| backoff.wait(attempts, 1.0).as_secs());
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        assert_eq!(backoff.wait(3, 0.5), seconds(2));
        assert_eq!(backoff.wait(3, 0.0), Duration::ZERO);
    }
}

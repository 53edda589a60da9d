//! The log: streams of events, and the one order of all.

use std::{fmt, str::FromStr};

use bytes::Bytes;

use super::Record;
use crate::clock::Timestamp;

/// Events for one stream, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    pub stream: String,
    pub expected: Expected,
    /// At least one.
    pub events: Vec<NewEvent>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Unique in its stream.
    pub id: String,
    /// What has happened: an entity and a verb in the past tense, `order_placed`.
    pub kind: String,
    pub data: Record,
    /// About the event: correlation, actor. JSON text, or empty.
    pub meta: Bytes,
}

/// What a stream's last version must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Any,
    /// The stream has no events and never had any.
    None,
    /// The stream has had events.
    Exists,
    /// This was the version of the last event.
    Version(u64),
}

impl Expected {
    /// `actual` is 0 for a stream that never had any events.
    pub fn holds(self, actual: u64) -> bool {
        match self {
            Expected::Any => true,
            Expected::None => actual == 0,
            Expected::Exists => actual > 0,
            Expected::Version(version) => actual == version,
        }
    }
}

/// Drops events of a stream. Their versions and positions are never given again, unless the stream is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trim {
    pub stream: String,
    pub to: TrimTo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrimTo {
    /// Keeps the events from this version on.
    Version(u64),
    /// All events, and that the stream ever was: its versions begin at 1 again.
    Forgotten,
}

/// A place in the order of all events. Opaque; later commits have greater ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// Before all events.
    pub const START: Position = Position(0);

    /// For stores only: everybody else keeps what a store gave.
    pub fn from_number(number: u64) -> Self {
        Position(number)
    }

    /// For stores only.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Sixteen hexadecimal digits: as texts they are in the same order.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Position {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = plain.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.map(Position).ok_or_else(|| {
            crate::Error::invalid("read a position of the log: it is not one that this server gave")
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub stream: String,
    /// From 1, without a gap.
    pub version: u64,
    pub position: Position,
    pub id: String,
    pub kind: String,
    pub data: Record,
    pub meta: Bytes,
    /// When it was committed, by the store's clock. Not an order.
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// The version of the last event, kept or not.
    pub last: u64,
    /// The version of the first event that is kept; `last + 1` when none is.
    pub first: u64,
}

/// Events of one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamPage {
    pub events: Vec<Event>,
    /// Nothing when the stream never had events. If `first` is greater than what was asked from, events are missing
    /// because they were dropped.
    pub stream: Option<StreamInfo>,
}

/// Names of streams.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamsPage {
    pub streams: Vec<(String, StreamInfo)>,
    /// Where the next page begins; nothing at the end.
    pub next: Option<String>,
}

/// Which events of the whole log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogQuery {
    pub after: Position,
    /// Only of streams whose names begin so; empty for all.
    pub prefix: String,
    pub limit: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LogPage {
    pub events: Vec<Event>,
    /// Where to read on. Further than the last event where others were passed over; never back.
    pub next: Position,
    /// Whether there is more to look at now. Without it the reader has caught up.
    pub more: bool,
    /// Retention has dropped events after the position that was asked for: the last one that may be missing.
    pub gap: Option<Position>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_a_text_in_the_same_order() {
        let texts: Vec<_> = [0, 9, 10, 255, u64::MAX].map(|number| Position(number).to_string()).into();
        assert!(texts.is_sorted());
        assert!(
            texts.iter().all(|text| text.parse::<Position>().is_ok_and(|back| back.to_string() == *text))
        );
        for wrong in ["", "1", "+00000000000000f", "00000000000000FF", "00000000000000000"] {
            assert!(wrong.parse::<Position>().is_err(), "{wrong}");
        }
    }
}

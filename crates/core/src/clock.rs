//! What time it is, from one place, so that a test can set it.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A moment of wall-clock time: milliseconds since 1970-01-01T00:00:00Z. Clocks of machines differ and jump; nothing
/// that must be exact may rest on the order of two of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// So far away that it never comes.
    pub const NEVER: Timestamp = Timestamp(i64::MAX);

    /// The moment so much later, in whole milliseconds rounded up; [`Timestamp::NEVER`] when there is none.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(millis))
    }

    /// The moment so much earlier.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_sub(millis))
    }

    /// How long it is since `earlier`; nothing when that is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// RFC 3339 in UTC; the number itself for what is outside of the calendar.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_move_and_never_wrap() {
        let moment = Timestamp(1_000);
        assert_eq!(moment.after(Duration::from_micros(1)), Timestamp(1_001));
        assert_eq!(moment.before(Duration::from_millis(1)), Timestamp(999));
        assert_eq!(moment.after(Duration::MAX), Timestamp::NEVER);
        assert_eq!(moment.since(Timestamp(400)), Duration::from_millis(600));
        assert_eq!(moment.since(Timestamp(4_000)), Duration::ZERO);
    }

    #[test]
    fn a_moment_reads_as_a_date() {
        assert_eq!(Timestamp(1_796_083_200_123).to_string(), "2026-12-01T00:00:00.123Z");
        assert_eq!(Timestamp::NEVER.to_string(), "9223372036854775807");
    }
}

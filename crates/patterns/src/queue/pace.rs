//! How many attempts may begin in a time.

use std::time::Duration;

use renkei_core::read::Rate;
use tokio::time::Instant;

/// Lets attempts begin evenly. What was not used is lost, but for one second's worth: a queue that was empty begins with
/// no more than that.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Rate,
    /// When the next one may begin, if all begin evenly.
    next: Instant,
}

impl Pace {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Pace { rate, next: now }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// How many may begin now, up to `wanted`.
    pub(super) fn room(&self, now: Instant, wanted: usize) -> usize {
        let interval = self.interval();
        let begin = self.next.max(now.checked_sub(self.burst()).unwrap_or(now));
        let Some(free) = now.checked_duration_since(begin) else { return 0 };
        let room = free.as_nanos() / interval.as_nanos() + 1;
        usize::try_from(room).unwrap_or(usize::MAX).min(wanted)
    }

    /// So many have begun.
    pub(super) fn spend(&mut self, now: Instant, count: usize) {
        let begin = self.next.max(now.checked_sub(self.burst()).unwrap_or(now));
        self.next = begin + self.interval() * u32::try_from(count).unwrap_or(u32::MAX);
    }

    /// How long until there is room.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    fn interval(&self) -> Duration {
        self.rate.interval().max(Duration::from_nanos(1))
    }

    /// As much as one second allows, less the one that may begin in any case.
    fn burst(&self) -> Duration {
        Duration::from_secs(1).saturating_sub(self.interval())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_begin_and_no_more() {
        let rate = Rate::parse("10/s").unwrap();
        let start = Instant::now() + Duration::from_secs(100);
        let mut pace = Pace::new(rate, start);
        let mut begun = 0;
        // Ten seconds, looked at every 20 ms, with all the work in the world.
        for tick in 0..500 {
            let now = start + Duration::from_millis(tick * 20);
            let room = pace.room(now, 1000);
            pace.spend(now, room);
            begun += room;
        }
        assert_eq!(begun, 100);
        // After an hour without work there is a second's worth.
        let now = start + Duration::from_secs(3600);
        assert_eq!(pace.room(now, 1000), 10);
        assert_eq!(pace.room(now, 3), 3);
        pace.spend(now, 10);
        assert_eq!(pace.room(now, 1000), 0);
        assert_eq!(pace.wait(now), Duration::from_millis(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_rate_lets_one_begin_at_a_time() {
        let start = Instant::now() + Duration::from_secs(100);
        let mut pace = Pace::new(Rate::parse("1/m").unwrap(), start);
        assert_eq!(pace.room(start, 1000), 1);
        pace.spend(start, 1);
        assert_eq!(pace.room(start + Duration::from_secs(59), 1000), 0);
        assert_eq!(pace.room(start + Duration::from_secs(60), 1000), 1);
        assert_eq!(pace.room(start + Duration::from_secs(6000), 1000), 1);
    }
}

//! The clock of a run, which stands still while somebody is asked.
//!
//! Deadlines inside a run are times of this clock: what a person takes to answer is added when they are looked at.

use std::{pin::pin, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

#[derive(Debug, Default)]
pub(super) struct Pauses(watch::Sender<State>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Questions that wait.
    open: usize,
    /// Since when one does.
    since: Option<Instant>,
    /// All pauses that are over.
    total: Duration,
}

impl State {
    fn total(&self, now: Instant) -> Duration {
        self.total + self.since.map(|since| now.saturating_duration_since(since)).unwrap_or_default()
    }
}

/// One question that waits. The clock goes on when the last is dropped.
pub(super) struct Pause<'p>(&'p Pauses);

impl Pauses {
    pub(super) fn begin(&self) -> Pause<'_> {
        self.0.send_modify(|state| {
            state.open += 1;
            state.since = state.since.or_else(|| Some(Instant::now()));
        });
        Pause(self)
    }

    /// How long the clock stood still so far.
    pub(super) fn total(&self) -> Duration {
        self.0.borrow().total(Instant::now())
    }

    /// Waits for `future` until the clock of the run says `deadline`.
    pub(super) async fn before<F: Future>(&self, deadline: Instant, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut changes = self.0.subscribe();
        loop {
            let state = *changes.borrow_and_update();
            tokio::select! {
                biased;
                output = &mut future => return Some(output),
                // The sender is this one: it lives as long as the wait.
                _ = changes.changed() => {}
                () = sleep_until(deadline + state.total), if state.open == 0 => return None,
            }
        }
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| {
            state.open -= 1;
            if state.open == 0 {
                state.total = state.total(Instant::now());
                state.since = None;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_clock_stands_still_while_a_question_waits() {
        let pauses = Pauses::default();
        let start = Instant::now();
        let asking = async {
            sleep(SECOND).await;
            let first = pauses.begin();
            sleep(10 * SECOND).await;
            let second = pauses.begin();
            drop(first);
            sleep(10 * SECOND).await;
            drop(second);
            std::future::pending::<()>().await;
        };
        assert_eq!(pauses.before(start + 3 * SECOND, asking).await, None);
        assert_eq!(start.elapsed(), 23 * SECOND);
        assert_eq!(pauses.total(), 20 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_in_time_counts() {
        let pauses = Pauses::default();
        let done = pauses.before(Instant::now() + SECOND, sleep(SECOND / 2)).await;
        assert_eq!(done, Some(()));
        assert_eq!(pauses.before(Instant::now(), std::future::pending::<()>()).await, None);
    }
}

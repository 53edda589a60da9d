//! Progress and log messages from a run to its client: they never block the run, progress only grows, and nothing
//! is kept for long.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use renkei_core::run::{Level, Line, Progress, ProgressSink};
use tokio::sync::Notify;

/// Reports that wait for a slow client. When full the oldest goes: the newest says more.
const WAITING_REPORTS: usize = 32;

/// What goes to the client.
#[derive(Debug)]
pub(super) enum Report {
    Progress(Progress),
    Line(Line),
}

/// A bounded queue of reports with one reader.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Lines that matter less are left out; all of them without a level.
    level: Option<Level>,
    /// Whether the client asked for progress.
    progress: bool,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Report>,
    /// The last one taken in; the protocol wants each to be greater than the one before.
    last: Option<f64>,
    closed: bool,
}

impl Queue {
    /// Nothing if the client wants to hear of neither.
    pub(super) fn new(progress: bool, level: Option<Level>) -> Option<Self> {
        (progress || level.is_some()).then(|| Queue { level, progress, ..Queue::default() })
    }

    /// No report is taken in from now on; the reader gets the rest and then the end.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// The next report; nothing after the queue is closed and empty. One reader only.
    pub(super) async fn next(&self) -> Option<Report> {
        loop {
            {
                let mut state = self.lock();
                if let Some(report) = state.waiting.pop_front() {
                    return Some(report);
                }
                if state.closed {
                    return None;
                }
            }
            // A notice given between the check and here is kept for this wait.
            self.changed.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProgressSink for Queue {
    fn report(&self, progress: Progress) {
        let mut state = self.lock();
        let grows = progress.done.is_finite() && state.last.is_none_or(|last| progress.done > last);
        if state.closed || !grows || !self.progress {
            return;
        }
        state.last = Some(progress.done);
        self.push(state, Report::Progress(progress));
    }

    fn line(&self, line: Line) {
        let state = self.lock();
        if !state.closed && self.level.is_some_and(|level| line.level >= level) {
            self.push(state, Report::Line(line));
        }
    }
}

impl Queue {
    fn push(&self, mut state: MutexGuard<'_, State>, report: Report) {
        if state.waiting.len() == WAITING_REPORTS {
            state.waiting.pop_front();
        }
        state.waiting.push_back(report);
        drop(state);
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(queue: &Queue, done: f64) {
        queue.report(Progress { done, total: None, message: None });
    }

    async fn rest(queue: &Queue) -> Vec<f64> {
        queue.close();
        let mut out = Vec::new();
        while let Some(Report::Progress(progress)) = queue.next().await {
            out.push(progress.done);
        }
        out
    }

    #[tokio::test]
    async fn only_what_grows_and_is_a_number_gets_through() {
        let queue = Queue::new(true, None).unwrap();
        for done in [1.0, 1.0, 0.5, f64::NAN, f64::INFINITY, 2.0] {
            report(&queue, done);
        }
        assert_eq!(rest(&queue).await, [1.0, 2.0]);
        report(&queue, 3.0);
        assert_eq!(rest(&queue).await, [0.0; 0]);
    }

    #[tokio::test]
    async fn what_was_not_asked_for_stays() {
        assert!(Queue::new(false, None).is_none());
        let line = |level| Line { level, message: "m".into(), fields: None };
        let queue = Queue::new(false, Some(Level::Warning)).unwrap();
        report(&queue, 1.0);
        queue.line(line(Level::Info));
        queue.line(line(Level::Error));
        queue.close();
        assert!(matches!(queue.next().await, Some(Report::Line(Line { level: Level::Error, .. }))));
        assert!(queue.next().await.is_none());
        let queue = Queue::new(true, None).unwrap();
        queue.line(line(Level::Error));
        assert_eq!(rest(&queue).await, [0.0; 0]);
    }

    #[tokio::test]
    async fn a_full_queue_drops_the_oldest() {
        let queue = Queue::new(true, None).unwrap();
        let all = WAITING_REPORTS + 5;
        (0..all).for_each(|done| report(&queue, done as f64));
        let rest = rest(&queue).await;
        assert_eq!(rest.len(), WAITING_REPORTS);
        assert_eq!(rest.last(), Some(&(all as f64 - 1.0)));
    }
}

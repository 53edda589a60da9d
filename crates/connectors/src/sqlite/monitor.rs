//! Ends a statement that nobody waits for, or that takes too long.
//!
//! SQLite asks from inside a running statement, every thousand or so of its instructions, and while it waits for
//! a lock. The answer belongs to the call under way, so a call can never end another one's statement.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// The longest sleep between two looks at a lock.
const MAX_BUSY_STEP: Duration = Duration::from_millis(25);

/// One call, seen from the side that waits for it.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    cancelled: AtomicBool,
    sleep: Mutex<()>,
    wake: Condvar,
}

impl Ticket {
    /// Nobody waits for the call any more.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        // Under the lock, so that a sleeper sees either the flag or the call to wake.
        let _sleep = lock(&self.sleep);
        self.wake.notify_all();
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Sleeps until the time has passed or the call is cancelled.
    fn sleep(&self, time: Duration) {
        let guard = lock(&self.sleep);
        if !self.is_cancelled() {
            drop(self.wake.wait_timeout(guard, time));
        }
    }
}

/// Why a statement was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Cancelled,
    /// The call's own deadline has passed.
    Deadline,
    /// It ran longer than `statement_timeout`.
    StatementTimeout,
}

#[derive(Clone, Debug)]
struct Current {
    ticket: Arc<Ticket>,
    deadline: Instant,
    statement: Instant,
}

impl Current {
    fn stop(&self) -> Option<Stop> {
        if self.ticket.is_cancelled() {
            return Some(Stop::Cancelled);
        }
        let now = Instant::now();
        if now >= self.deadline {
            Some(Stop::Deadline)
        } else if now >= self.statement {
            Some(Stop::StatementTimeout)
        } else {
            None
        }
    }
}

/// The call that a connection works on.
#[derive(Debug, Default)]
pub(super) struct Monitor {
    current: Mutex<Option<Current>>,
    busy_since: Mutex<Option<Instant>>,
}

impl Monitor {
    /// From now on the connection works for this call.
    pub(super) fn begin(&self, ticket: Arc<Ticket>, deadline: Instant, statement_timeout: Duration) {
        let now = Instant::now();
        // A timeout beyond the end of time is none; the deadline holds.
        let statement = now.checked_add(statement_timeout).unwrap_or(deadline);
        *lock(&self.current) = Some(Current { ticket, deadline, statement });
    }

    /// The call is over; what runs now (a rollback) is not stopped.
    pub(super) fn end(&self) {
        *lock(&self.current) = None;
    }

    /// Whether the work under way must end, and why.
    pub(super) fn stop(&self) -> Option<Stop> {
        lock(&self.current).as_ref().and_then(Current::stop)
    }

    /// Cancels the call under way.
    pub(super) fn cancel(&self) {
        if let Some(current) = &*lock(&self.current) {
            current.ticket.cancel();
        }
    }

    /// Waits a little for a lock on the file. False when it is time to give up. `round` counts the
    /// waits for the same lock, from 0.
    pub(super) fn wait_for_lock(&self, round: i32, busy_timeout: Duration) -> bool {
        let Some(current) = lock(&self.current).clone() else { return false };
        let now = Instant::now();
        let since = {
            let mut busy_since = lock(&self.busy_since);
            match *busy_since {
                Some(since) if round > 0 => since,
                _ => *busy_since.insert(now),
            }
        };
        let left =
            busy_timeout.saturating_sub(now - since).min(current.deadline.saturating_duration_since(now));
        if left.is_zero() || current.stop().is_some() {
            return false;
        }
        let step = Duration::from_millis(1 << round.clamp(0, 10)).min(MAX_BUSY_STEP);
        current.ticket.sleep(step.min(left));
        current.stop().is_none()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

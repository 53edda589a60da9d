//! The threads of one folder, and the queue before them. A disk that hangs holds no more than these.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;

/// How long the end of a system waits for work under way, which ends at its next step. A disk that hangs
/// does not end it, so the wait has an end of its own.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undone {
    /// As many wait already as may.
    Full,
    Panicked,
}

/// Threads that end with their system.
#[derive(Debug)]
pub(super) struct Threads {
    shared: Arc<Shared>,
    queue: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    ready: Condvar,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    running: usize,
    closed: bool,
}

struct Waiting {
    stop: Arc<Stop>,
    work: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting")
    }
}

/// What the waiting side and the thread tell each other: one word, so that of "dropped" and "committed" one
/// is certainly first.
#[derive(Debug, Default)]
pub(super) struct Stop(AtomicU8);

impl Stop {
    const DROPPED: u8 = 1;
    const COMMITTED: u8 = 2;

    /// Nobody waits any more.
    pub(super) fn is_dropped(&self) -> bool {
        self.0.load(Ordering::Acquire) & Self::DROPPED != 0
    }

    /// From here on the change is made; false if nobody waits any more.
    pub(super) fn commit(&self) -> bool {
        self.0.fetch_or(Self::COMMITTED, Ordering::AcqRel) & Self::DROPPED == 0
    }

    fn dropped(&self) {
        self.0.fetch_or(Self::DROPPED, Ordering::AcqRel);
    }
}

struct OnDrop<'a> {
    stop: Arc<Stop>,
    shared: &'a Shared,
}

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.stop.dropped();
        self.shared.state().waiting.retain(|waiting| !Arc::ptr_eq(&waiting.stop, &self.stop));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next work; waits for it. Nothing when the system has ended.
    fn next(&self) -> Option<Waiting> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(waiting) = state.waiting.pop_front() {
                state.running += 1;
                return Some(waiting);
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work(&self) {
        while let Some(Waiting { work, .. }) = self.next() {
            // The other side hears of a panic, for its answer is dropped.
            let _ = catch_unwind(AssertUnwindSafe(work));
            self.state().running -= 1;
            self.done.notify_all();
        }
    }
}

impl Threads {
    pub(super) fn start(count: usize, queue: usize) -> std::io::Result<Threads> {
        // Made first, so that the threads that started end when one does not.
        let threads = Threads { shared: Arc::default(), queue };
        for index in 0..count {
            let shared = threads.shared.clone();
            std::thread::Builder::new().name(format!("files-{index}")).spawn(move || shared.work())?;
        }
        Ok(threads)
    }

    /// Has a thread do the work. Dropping the future tells it to end.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Stop>) -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let stop = Arc::<Stop>::default();
        let (answer, result) = oneshot::channel();
        let own = stop.clone();
        let work = Box::new(move || {
            // Nobody waits: the caller went away meanwhile.
            let _ = answer.send(work(&own));
        });
        {
            let mut state = self.shared.state();
            if state.waiting.len() >= self.queue {
                return Err(Undone::Full);
            }
            state.waiting.push_back(Waiting { stop: stop.clone(), work });
        }
        self.shared.ready.notify_one();
        let _on_drop = OnDrop { stop, shared: &self.shared };
        result.await.map_err(|_| Undone::Panicked)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closed = true;
        state.waiting.clear();
        self.shared.ready.notify_all();
        // Whoever waited is gone, since waiting borrows the threads; so the work ends at its next step.
        let running = |state: &mut State| state.running > 0;
        let _ = self.shared.done.wait_timeout_while(state, FAREWELL, running);
    }
}

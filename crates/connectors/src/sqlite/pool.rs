//! The threads of one system, and the queue before them.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Instant,
};

use renkei_core::{
    Error, Kind, Reply, Result,
    call::{Attempt, Listener},
};
use tokio::sync::oneshot;

use super::{
    error,
    monitor::{Monitor, Ticket},
    open::{Opened, Place},
    run::{self, Work},
};

/// One call for a thread to do.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) deadline: Instant,
    pub(super) attempt: Arc<Attempt>,
    /// Hears how far a transaction is.
    pub(super) listener: Option<Arc<dyn Listener>>,
}

/// Threads with a connection each. They end with the pool.
#[derive(Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    queue: Mutex<Queue>,
    ready: Condvar,
    /// One a thread.
    monitors: Vec<Arc<Monitor>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Threads that wait for a call. To wake nobody costs a system call, too.
    idle: usize,
    closed: bool,
}

#[derive(Debug)]
struct Waiting {
    job: Job,
    ticket: Arc<Ticket>,
    answer: oneshot::Sender<Result<Reply>>,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, waiting: Waiting) -> Result<()> {
        let limit = self.place.config.queue;
        let mut queue = self.queue();
        if queue.waiting.len() >= limit {
            let system = &self.place.system;
            return Err(Error::new(
                Kind::RateLimited,
                format!("reach `{system}`: {limit} calls wait for it already (`queue`); try again later"),
            ));
        }
        queue.waiting.push_back(waiting);
        let is_one_idle = queue.idle > 0;
        // Before it is woken, or it would wait for this lock next.
        drop(queue);
        if is_one_idle {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// The next call; waits for it. Nothing when the pool is closed.
    fn next(&self) -> Option<Waiting> {
        let mut queue = self.queue();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(waiting) = queue.waiting.pop_front() {
                return Some(waiting);
            }
            queue.idle += 1;
            queue = self.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }
}

/// Cancels the call when nobody waits for it any more.
struct CancelOnDrop<'a> {
    ticket: Arc<Ticket>,
    shared: &'a Shared,
    is_answered: bool,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        self.ticket.cancel();
        self.shared.queue().waiting.retain(|waiting| !Arc::ptr_eq(&waiting.ticket, &self.ticket));
    }
}

impl Pool {
    /// Starts the threads. They open the file when the first call comes.
    pub(super) fn start(place: Place) -> Result<Pool> {
        let count = place.config.threads();
        let monitors = (0..count).map(|_| Arc::default()).collect();
        let shared = Arc::new(Shared { place, queue: Mutex::default(), ready: Condvar::new(), monitors });
        let mut pool = Pool { shared: shared.clone(), threads: Vec::new() };
        for index in 0..count {
            let (shared, monitor) = (shared.clone(), shared.monitors[index].clone());
            let thread = std::thread::Builder::new()
                .name(format!("sqlite-{index}"))
                .spawn(move || work(&shared, &monitor))
                .map_err(|why| {
                    let system = &pool.shared.place.system;
                    Error::unavailable(format!("open `{system}`: no thread could be started")).detail(why)
                })?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    pub(super) fn place(&self) -> &Place {
        &self.shared.place
    }

    /// Has a thread do the job. Dropping the future ends it and frees the thread.
    pub(super) async fn run(&self, job: Job) -> Result<Reply> {
        let ticket = Arc::new(Ticket::default());
        let (answer, result) = oneshot::channel();
        self.shared.push(Waiting { job, ticket: ticket.clone(), answer })?;
        let mut cancel = CancelOnDrop { ticket, shared: &self.shared, is_answered: false };
        let answer = result.await;
        cancel.is_answered = true;
        // The sender is dropped only when the pool ends while the call waits.
        answer.unwrap_or_else(|_| {
            let system = &self.shared.place.system;
            Err(Error::new(Kind::Cancelled, format!("reach `{system}`: its connection was closed")))
        })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            let mut queue = self.shared.queue();
            queue.closed = true;
            queue.waiting.clear();
        }
        self.shared.ready.notify_all();
        // Whoever waited is gone, since waiting borrows the pool; so the threads end at once.
        for monitor in &self.shared.monitors {
            monitor.cancel();
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing more to tell.
            let _ = thread.join();
        }
    }
}

/// What a thread does all its life.
fn work(shared: &Shared, monitor: &Arc<Monitor>) {
    let place = &shared.place;
    let mut opened = None;
    while let Some(Waiting { job, ticket, answer }) = shared.next() {
        if ticket.is_cancelled() {
            continue;
        }
        monitor.begin(ticket, job.deadline, place.config.statement_timeout);
        // Closing while this call was on its way to the monitor cancelled nothing yet.
        if shared.queue().closed {
            return;
        }
        let done = catch_unwind(AssertUnwindSafe(|| serve(place, monitor, &mut opened, &job)));
        monitor.end();
        let result = done.unwrap_or_else(|_| {
            opened = None;
            Err(error::panicked(place))
        });
        // Nobody waits: the caller went away meanwhile.
        let _ = answer.send(result);
    }
}

/// Runs a job on this thread's connection, which is opened, or opened again, when it has to be.
fn serve(place: &Place, monitor: &Arc<Monitor>, opened: &mut Option<Opened>, job: &Job) -> Result<Reply> {
    if opened.as_ref().is_some_and(|opened| !opened.is_current(place)) {
        *opened = None;
    }
    let connection = match opened {
        Some(connection) => connection,
        None => opened.insert(place.open(monitor)?),
    };
    let done = run::run(place, monitor, connection, job);
    if done.as_ref().is_err_and(|failure| failure.broken) && !place.config.in_memory() {
        *opened = None;
    }
    done.map_err(|failure| failure.error)
}

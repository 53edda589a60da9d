//! The streams of one HTTP/2 connection: each a task that ends with the connection, or when its client stops taking
//! what is ready for it. The window of a stream says nothing to the socket, so the socket's own watch does not see it.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use hyper::rt::Executor;
use tokio::{
    task::JoinSet,
    time::{Sleep, sleep},
};

use crate::metrics::cut;

tokio::task_local! {
    static TAKING: Taking;
}

/// Whether a piece of an answer waits for its client: odd while one does, and another number for each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taking(Arc<AtomicU64>);

impl Taking {
    /// Of the stream whose task this is; nothing elsewhere.
    pub(crate) fn of_stream() -> Option<Self> {
        TAKING.try_with(Taking::clone).ok()
    }

    /// A piece is ready.
    pub(crate) fn offered(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Whoever sends asks for more: what was ready is on its way.
    pub(crate) fn taken(&self) {
        let now = self.0.load(Ordering::Relaxed);
        if now % 2 == 1 {
            self.0.store(now + 1, Ordering::Relaxed);
        }
    }

    fn waiting(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|now| now % 2 == 1)
    }
}

/// Runs the streams of one connection. Dropped, it ends them.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    tasks: Arc<Mutex<JoinSet<()>>>,
    pause: Duration,
}

impl Streams {
    /// A client may take nothing of what is ready for `pause`.
    pub(crate) fn new(pause: Duration) -> Self {
        Streams { tasks: Arc::default(), pause }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let pause = self.pause;
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(watched(stream, pause));
    }
}

/// Runs `stream` to its end. Dropped before it, the stream is reset.
async fn watched(stream: impl Future<Output = ()>, pause: Duration) {
    let taking = Taking::default();
    let mut stream = pin!(TAKING.scope(taking.clone(), stream));
    let mut waits: Option<(u64, Pin<Box<Sleep>>)> = None;
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(piece) = taking.waiting() else {
            waits = None;
            return Poll::Pending;
        };
        let begin = || (piece, Box::pin(sleep(pause)));
        let (of, timer) = waits.get_or_insert_with(begin);
        if *of != piece {
            (*of, *timer) = begin();
        }
        match timer.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                cut("write_pause");
                tracing::debug!("ended a stream of HTTP/2 whose client takes nothing");
                Poll::Ready(())
            }
        }
    })
    .await;
}

//! What is under way on one connection: requests that run or whose answers are still sent.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, service::Service};
use hyper_util::service::TowerToHyperService;
use tokio::{sync::watch, time::timeout};

use crate::{client::Peer, front::Front, streams::Taking};

/// More of a body's bytes are not handed over at once to HTTP/2, which would take them all before the client does.
const PIECE_BYTES: usize = 16 * 1024;

/// Requests under way on one connection.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    here: watch::Sender<usize>,
    /// On all connections of the listener.
    everywhere: Arc<AtomicUsize>,
    /// Whether bytes wait for the client to take earlier ones.
    stuck: Arc<AtomicBool>,
}

impl Work {
    pub(crate) fn new(everywhere: Arc<AtomicUsize>, stuck: Arc<AtomicBool>) -> Self {
        Work { here: watch::Sender::new(0), everywhere, stuck }
    }

    fn begin(&self) -> Doing {
        self.here.send_modify(|count| *count += 1);
        self.everywhere.fetch_add(1, Ordering::Relaxed);
        Doing(self.clone())
    }

    /// Waits until nothing has been under way for `time` at a stretch.
    pub(crate) async fn idle(&self, time: Duration) {
        let mut here = self.here.subscribe();
        loop {
            // The sender is `self`'s own, so neither wait fails.
            let _ = here.wait_for(|count| *count == 0).await;
            // Any change, since a request can come and be answered in between.
            let is_idle = timeout(time, here.changed()).await.is_err();
            if is_idle && !self.stuck.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

/// One request, from its head to the end of its answer.
#[derive(Debug)]
struct Doing(Work);

impl Drop for Doing {
    fn drop(&mut self) {
        self.0.here.send_modify(|count| *count -= 1);
        self.0.everywhere.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is served, for one connection.
pub(crate) struct Served {
    pub(crate) app: TowerToHyperService<Front>,
    pub(crate) peer: Peer,
    pub(crate) work: Work,
}

impl Service<Request<Incoming>> for Served {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let doing = self.work.begin();
        request.extensions_mut().insert(self.peer);
        let answer = self.app.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            let taking = Taking::of_stream();
            Ok(answer.map(|inner| Answer { inner, rest: Bytes::new(), taking, _doing: doing }))
        })
    }
}

/// The body of an answer. With HTTP/2 it goes in pieces, and says whether the client takes them.
pub(crate) struct Answer {
    inner: Body,
    /// Of the frame that was given in part.
    rest: Bytes,
    taking: Option<Taking>,
    _doing: Doing,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(taking) = &this.taking else { return Pin::new(&mut this.inner).poll_frame(cx) };
        taking.taken();
        if this.rest.is_empty() {
            let polled = Pin::new(&mut this.inner).poll_frame(cx);
            match polled {
                Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                    this.rest = frame.into_data().unwrap_or_default();
                }
                other => return other,
            }
        }
        taking.offered();
        let piece = this.rest.split_to(this.rest.len().min(PIECE_BYTES));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A_WHILE: Duration = Duration::from_secs(5);

    /// Whether `work` is idle within ten times the time that it must be.
    async fn becomes_idle(work: &Work) -> bool {
        timeout(10 * A_WHILE, work.idle(A_WHILE)).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_once_its_last_answer_is_sent_and_a_while_passed() {
        let everywhere = Arc::new(AtomicUsize::new(0));
        let work = Work::new(everywhere.clone(), Arc::default());
        let (first, second) = (work.begin(), work.begin());
        assert!(!becomes_idle(&work).await);
        drop(first);
        assert!(!becomes_idle(&work).await);
        assert_eq!(everywhere.load(Ordering::Relaxed), 1);

        let (idle, ended) = tokio::join!(
            async {
                work.idle(A_WHILE).await;
                tokio::time::Instant::now()
            },
            async {
                tokio::time::sleep(A_WHILE / 2).await;
                drop(second);
                // One before the while is over begins it anew, however short.
                tokio::time::sleep(A_WHILE / 2).await;
                drop(work.begin());
                tokio::time::Instant::now()
            }
        );
        assert!(idle >= ended + A_WHILE, "{:?}", idle - ended);
        assert_eq!(everywhere.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_whose_bytes_wait_for_the_client_is_not_idle() {
        let stuck = Arc::new(AtomicBool::new(true));
        let work = Work::new(Arc::default(), stuck.clone());
        assert!(!becomes_idle(&work).await);
        stuck.store(false, Ordering::Relaxed);
        assert!(becomes_idle(&work).await);
    }
}

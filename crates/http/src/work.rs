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
            let is_idle = timeout(time, here.wait_for(|count| *count > 0)).await.is_err();
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

//! The size of a request's head, and the size and the pace of its body.

use std::{
    ops::ControlFlow,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{StatusCode, header};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::reply::Refusal;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) uri_bytes: usize,
    pub(crate) header_lines: usize,
    pub(crate) bytes: u64,
    pub(crate) pause: Duration,
    /// Of the whole body.
    pub(crate) time: Duration,
}

/// Why a body was cut, as the body tells the layer that waits for the answer.
const WHOLE: u8 = 0;
const TOO_LARGE: u8 = 1;
const PAUSED: u8 = 2;
const TOO_LONG: u8 = 3;

impl Limit {
    /// The request with a body that ends in an error where a limit is passed, and what then knows of it. Otherwise its
    /// answer.
    pub(crate) fn limited(self, request: Request) -> ControlFlow<Response, (Request, Fate)> {
        if let Some(refused) = head(self, &request) {
            return ControlFlow::Break(refused.into_response());
        }
        let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if announced.and_then(|text| text.parse::<u64>().ok()).is_some_and(|bytes| bytes > self.bytes) {
            return ControlFlow::Break(too_large(self));
        }
        let told = Arc::new(AtomicU8::new(WHOLE));
        let fate = Fate { limit: self, told: told.clone() };
        let request = request.map(|inner| Body::new(Limited::new(inner, self, told)));
        ControlFlow::Continue((request, fate))
    }
}

/// What becomes of a request's body.
pub(crate) struct Fate {
    limit: Limit,
    told: Arc<AtomicU8>,
}

impl Fate {
    /// The answer: `response`, unless it answers a body that was cut.
    pub(crate) fn judge(self, response: Response) -> Response {
        let limit = self.limit;
        match self.told.load(Ordering::Acquire) {
            TOO_LARGE => too_large(limit),
            PAUSED => {
                let pause = renkei_core::duration::format(limit.pause);
                too_slow(format!("the body paused for more than {pause}; send it in one go"))
            }
            TOO_LONG => {
                let time = renkei_core::duration::format(limit.time);
                too_slow(format!("the body took more than {time}; send it faster, or send less"))
            }
            _ => response,
        }
    }
}

/// Whether the request's line or its headers are too much. The connection has bounded their bytes already.
fn head(limit: Limit, request: &Request) -> Option<Refusal> {
    let uri = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
    if uri > limit.uri_bytes {
        let message = format!("the path and the query have more than `{}` bytes together", limit.uri_bytes);
        return Some(Refusal::new(StatusCode::URI_TOO_LONG, "uri_too_long", message));
    }
    if request.headers().len() > limit.header_lines {
        let message = format!("the request has more than `{}` headers", limit.header_lines);
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Some(Refusal::new(status, "too_many_headers", message));
    }
    None
}

fn too_slow(message: String) -> Response {
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message).into_response()
}

fn too_large(limit: Limit) -> Response {
    let bytes = limit.bytes;
    let message = format!("the body has more than `{bytes}` bytes; send less");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message).into_response()
}

/// A body that ends in an error where a limit is passed.
struct Limited {
    inner: Body,
    left: u64,
    limit: Limit,
    /// When the body must be whole.
    end: Instant,
    /// Runs while the body is waited for.
    pause: Option<Pin<Box<Sleep>>>,
    told: Arc<AtomicU8>,
}

impl Limited {
    fn new(inner: Body, limit: Limit, told: Arc<AtomicU8>) -> Self {
        Limited { inner, left: limit.bytes, limit, end: Instant::now() + limit.time, pause: None, told }
    }
}

impl http_body::Body for Limited {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
            let until = (Instant::now() + this.limit.pause).min(this.end);
            let pause = this.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            ready!(pause.as_mut().poll(cx));
            let why = if pause.deadline() >= this.end { TOO_LONG } else { PAUSED };
            this.told.store(why, Ordering::Release);
            return Poll::Ready(Some(Err(axum::Error::new("the body is too slow"))));
        };
        this.pause = None;
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            match this.left.checked_sub(data.len() as u64) {
                Some(left) => this.left = left,
                None => {
                    this.told.store(TOO_LARGE, Ordering::Release);
                    return Poll::Ready(Some(Err(axum::Error::new("the body is too large"))));
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

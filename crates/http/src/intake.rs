//! The size and the pace of request bodies.

use std::{
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
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{StatusCode, header};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::reply::Refusal;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) bytes: u64,
    pub(crate) pause: Duration,
}

/// Why a body was cut, as the body tells the layer that waits for the answer.
const WHOLE: u8 = 0;
const TOO_LARGE: u8 = 1;
const TOO_SLOW: u8 = 2;

pub(crate) async fn check(State(limit): State<Limit>, request: Request, next: Next) -> Response {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|text| text.parse::<u64>().ok()).is_some_and(|bytes| bytes > limit.bytes) {
        return too_large(limit);
    }
    let fate = Arc::new(AtomicU8::new(WHOLE));
    let told = fate.clone();
    let request =
        request.map(|inner| Body::new(Limited { inner, left: limit.bytes, limit, pause: None, told }));
    let response = next.run(request).await;
    match fate.load(Ordering::Acquire) {
        TOO_LARGE => too_large(limit),
        TOO_SLOW => {
            let pause = renkei_core::duration::format(limit.pause);
            let message = format!("the body paused for more than {pause}; send it in one go");
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message).into_response()
        }
        _ => response,
    }
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
    /// Runs while the body is waited for.
    pause: Option<Pin<Box<Sleep>>>,
    told: Arc<AtomicU8>,
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
            let until = Instant::now() + this.limit.pause;
            let pause = this.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            ready!(pause.as_mut().poll(cx));
            this.told.store(TOO_SLOW, Ordering::Release);
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

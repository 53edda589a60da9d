//! Failing on purpose: a stand-in answers 503 as often as it was told to, then recovers.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use axum::{
    extract::{Query, Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;

use super::problem::Problem;

/// How often a service still has to fail, and how many requests it has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    left: AtomicU32,
    seen: AtomicU32,
}

impl Faults {
    /// The next `times` requests are answered with 503.
    pub(crate) fn arm(&self, times: u32) {
        self.0.left.store(times, Ordering::SeqCst);
    }

    /// How many requests came so far, refused ones included.
    pub(crate) fn seen(&self) -> u32 {
        self.0.seen.load(Ordering::SeqCst)
    }

    fn take(&self) -> bool {
        self.0.seen.fetch_add(1, Ordering::SeqCst);
        self.0.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

/// The middleware in front of every route.
pub(super) async fn answer(State(faults): State<Faults>, request: Request, next: Next) -> Response {
    if faults.take() {
        let text = "the service is restarting; try again in a moment";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "restarting", text).into_response();
    }
    next.run(request).await
}

#[derive(Deserialize)]
pub(super) struct Arm {
    next: u32,
}

/// `POST /faults?next=2`, to try failures by hand.
pub(super) async fn arm(State(faults): State<Faults>, Query(arm): Query<Arm>) -> StatusCode {
    faults.arm(arm.next);
    StatusCode::NO_CONTENT
}

//! `/health/live` and `/health/ready`, for whoever restarts the process or sends it traffic.

use std::sync::Arc;

use axum::{Router, routing::get};
use http::StatusCode;
use tokio_util::sync::CancellationToken;

/// Live as long as it answers; ready while `ready` says so and no shutdown began.
pub(crate) fn router(
    ready: Arc<dyn Fn() -> bool + Send + Sync>,
    note: Arc<dyn Fn() -> Option<&'static str> + Send + Sync>,
    shutdown: CancellationToken,
) -> Router {
    let readiness = move || {
        let (status, word) = match (shutdown.is_cancelled(), ready()) {
            (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned()),
            (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "starting\n".to_owned()),
            (false, true) => match note() {
                None => (StatusCode::OK, "ready\n".to_owned()),
                Some(note) => (StatusCode::OK, format!("ready; {note}\n")),
            },
        };
        std::future::ready((status, word))
    };
    Router::new().route("/health/live", get(|| async { "live\n" })).route("/health/ready", get(readiness))
}

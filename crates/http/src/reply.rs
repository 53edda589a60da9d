//! Refusals: JSON that a person can read and a program can tell apart.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use renkei_core::metric;
use serde_json::json;

/// Why a request goes no further.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// A word for programs.
    pub(crate) error: &'static str,
    /// A sentence for people.
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Refusal { status, error, message: message.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        metrics::counter!(metric::REFUSALS.name, "reason" => self.error).increment(1);
        (self.status, axum::Json(json!({ "error": self.error, "message": self.message }))).into_response()
    }
}

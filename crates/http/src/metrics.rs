//! What is measured, for scrapers, in the text format of Prometheus.

use std::{fmt, sync::Arc};

use axum::{Router, routing::get};
use http::header;
use renkei_core::metric;

/// Version 0.0.4 of the text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where scrapers find what.
#[derive(Clone)]
pub struct Metrics {
    /// Such as `/metrics`.
    pub path: String,
    /// Gives the text. Must not block.
    pub render: Arc<dyn Fn() -> String + Send + Sync>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Metrics {
    /// The page alone.
    pub fn router(&self) -> Router {
        let render = self.render.clone();
        let page = move || std::future::ready(([(header::CONTENT_TYPE, TEXT_FORMAT)], render()));
        Router::new().route(&self.path, get(page))
    }
}

/// Counts what was ended because it reached the limit of that name.
pub(crate) fn cut(limit: &'static str) {
    metrics::counter!(metric::CUT.name, "limit" => limit).increment(1);
}

/// Counts a connection for as long as it lives.
pub(crate) struct Open(metrics::Gauge);

impl Open {
    pub(crate) fn new() -> Self {
        metrics::counter!(metric::CONNECTIONS_TOTAL.name).increment(1);
        let open = metrics::gauge!(metric::CONNECTIONS.name);
        open.increment(1.0);
        Open(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

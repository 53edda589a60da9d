//! `/health/live` and `/health/ready`, for whoever restarts the process or sends it traffic.

use std::{fmt, sync::Arc};

use axum::{
    Json, Router,
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

/// What the probes hear of.
#[derive(Clone)]
pub struct Health {
    /// Of each system: its name, and whether it is connected. A system that is down makes nobody unready: the other
    /// tools work, and taking this server out of service would mend nothing.
    pub systems: Arc<dyn Fn() -> Vec<(Arc<str>, bool)> + Send + Sync>,
    /// What it adds for people: something to look at, which stops nothing.
    pub note: Arc<dyn Fn() -> Option<&'static str> + Send + Sync>,
    /// Whether probes hear the systems' names; their numbers only, otherwise. A probe needs no key.
    pub names: bool,
    /// Cancelled when the server stops; without it the listener's own end counts. A listener aside, which outlives the
    /// drain, says by it that there is one.
    pub stopping: Option<CancellationToken>,
}

impl Default for Health {
    fn default() -> Self {
        Health { systems: Arc::new(Vec::new), note: Arc::new(|| None), names: false, stopping: None }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("names", &self.names).finish_non_exhaustive()
    }
}

const LIVE: &str = "/health/live";
const READY: &str = "/health/ready";

/// Whether a request for this path is for [`router`].
pub(crate) fn is_probe(path: &str) -> bool {
    matches!(path, LIVE | READY)
}

/// Live as long as it answers; ready until a shutdown begins.
pub(crate) fn router(health: Health, shutdown: CancellationToken) -> Router {
    let stopping = health.stopping.clone().unwrap_or(shutdown);
    let readiness = move || std::future::ready(ready(&health, stopping.is_cancelled()));
    Router::new().route(LIVE, get(|| async { "live\n" })).route(READY, get(readiness))
}

/// `{ "status": "ready" | "stopping", "systems": { "up": 2, "down": 1 } | { NAME: "up" | "down" }, "note": TEXT }`, without
/// `note` as a rule.
fn ready(health: &Health, stopping: bool) -> Response {
    let systems = (health.systems)();
    let word = |up: bool| if up { "up" } else { "down" };
    let systems: Value = if health.names {
        systems.iter().map(|(name, up)| (name.to_string(), word(*up).into())).collect::<Map<_, _>>().into()
    } else {
        let up = systems.iter().filter(|(_, up)| *up).count();
        json!({ "up": up, "down": systems.len() - up })
    };
    let (code, status) =
        if stopping { (StatusCode::SERVICE_UNAVAILABLE, "stopping") } else { (StatusCode::OK, "ready") };
    let mut body = json!({ "status": status, "systems": systems });
    if let Some(note) = (health.note)() {
        body["note"] = note.into();
    }
    (code, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_server_that_stops_is_live_and_not_ready() {
        let (server, listener) = (CancellationToken::new(), CancellationToken::new());
        let health = Health { stopping: Some(server.clone()), ..Health::default() };
        let router = router(health, listener);
        let ask = |path| router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap());
        assert_eq!(ask("/health/ready").await.unwrap().status(), 200);
        server.cancel();
        assert_eq!(ask("/health/ready").await.unwrap().status(), 503);
        assert_eq!(ask("/health/live").await.unwrap().status(), 200);
    }
}

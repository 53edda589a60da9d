//! MCP over HTTP: one endpoint for both eras.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
    routing::any,
};
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use renkei_core::Principal;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;

use super::{Limits, Server, handler::Handler, sessions::Sessions};

const SESSION_ID: &str = "mcp-session-id";
const PROTOCOL_VERSION: &str = "mcp-protocol-version";
const FIRST_MODERN_VERSION: &str = "2026-07-28";
/// A session outlives the longest call by this, so that the call's answer still finds its stream.
const BEYOND_THE_LONGEST_CALL: Duration = Duration::from_secs(60);

/// The server at `/mcp`. Streams without an end of their own end when `shutdown` is cancelled; calls under
/// way go on, so that whoever serves the router can drain them.
pub fn router(server: Arc<Server>, shutdown: CancellationToken) -> Router {
    let longest = server.tools.list().iter().map(|tool| server.tools.timeout(&tool.name)).max();
    let idle = longest.unwrap_or_default() + BEYOND_THE_LONGEST_CALL;
    let limits = Limits { session_idle: server.limits.session_idle.max(idle), ..server.limits.clone() };
    let sessions = Arc::new(Sessions::new(&limits));
    // Host and Origin are the `http` crate's. A modern answer is plain JSON unless progress comes first.
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_json_response(true)
        .with_max_request_body_bytes(limits.message_bytes);
    let handler = Handler(server);
    let service = StreamableHttpService::new(move || Ok(handler.clone()), sessions.clone(), config);
    let front = Front { service, sessions, shutdown };
    Router::new().route("/mcp", any(endpoint)).with_state(Arc::new(front))
}

struct Front {
    service: StreamableHttpService<Handler, Sessions>,
    sessions: Arc<Sessions>,
    shutdown: CancellationToken,
}

async fn endpoint(State(front): State<Arc<Front>>, request: Request) -> Response {
    let principal = request.extensions().get::<Arc<Principal>>().cloned();
    let principal = principal.unwrap_or_else(|| Arc::new(Principal::anonymous()));
    let method = request.method().clone();
    let opens_session = match request.headers().get(SESSION_ID) {
        Some(id) => {
            if !id.to_str().is_ok_and(|id| front.sessions.is_owner(id, &principal)) {
                // Not "forbidden": whose it is, and whether it is, is nobody else's business.
                return (StatusCode::NOT_FOUND, "this session does not exist: initialize a new one\n")
                    .into_response();
            }
            false
        }
        None => method == Method::POST && !is_modern(request.headers()),
    };
    if opens_session && front.sessions.is_full() {
        return full();
    }
    let is_json = has_type(request.headers(), "application/json");

    let response = front.service.handle(request).await;
    if is_json && response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        return not_a_message();
    }
    if opens_session && let Some(id) = response.headers().get(SESSION_ID).and_then(|id| id.to_str().ok()) {
        front.sessions.own(id, &principal);
    }
    let response = response.map(Body::new);
    if method == Method::GET { until(response, front.shutdown.clone()) } else { response }
}

fn is_modern(headers: &HeaderMap) -> bool {
    // Versions are dates and compare as text.
    headers.get(PROTOCOL_VERSION).is_some_and(|version| version.as_bytes() >= FIRST_MODERN_VERSION.as_bytes())
}

fn has_type(headers: &HeaderMap, essence: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|found| found.trim().eq_ignore_ascii_case(essence))
}

/// Ends a stream that would stay open for ever.
fn until(response: Response, shutdown: CancellationToken) -> Response {
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(shutdown.cancelled_owned())))
}

fn full() -> Response {
    let text = "every session there may be is in use; try again in a moment, or speak 2026-07-28, \
                which needs none";
    let mut response = json_rpc_error(StatusCode::SERVICE_UNAVAILABLE, -32603, text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    response
}

/// rmcp answers 415 to a body that it cannot read, as if its type were wrong.
fn not_a_message() -> Response {
    json_rpc_error(StatusCode::BAD_REQUEST, -32700, "the body is not a JSON-RPC message")
}

/// An error that belongs to no request.
fn json_rpc_error(status: StatusCode, code: i32, text: &str) -> Response {
    let body =
        serde_json::json!({ "jsonrpc": "2.0", "id": null, "error": { "code": code, "message": text } });
    (status, axum::Json(body)).into_response()
}

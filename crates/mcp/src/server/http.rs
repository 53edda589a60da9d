//! MCP over HTTP: one endpoint for both eras.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
    routing::any,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use http_body_util::BodyExt as _;
use renkei_core::{Principal, Value};
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;

use super::{
    Limits, Server, batch,
    handler::Handler,
    message::{self, Incoming, Message, Unreadable},
    mirror,
    sessions::Sessions,
};

pub(super) const SESSION_ID: &str = "mcp-session-id";
pub(super) const PROTOCOL_VERSION: &str = "mcp-protocol-version";
const FIRST_MODERN_VERSION: &str = "2026-07-28";
/// A session outlives the longest call by this, so that the call's answer still finds its stream.
const BEYOND_THE_LONGEST_CALL: Duration = Duration::from_secs(60);

/// The server at `/mcp`. Streams without an end of their own end when `shutdown` is cancelled; calls under
/// way go on, so that whoever serves the router can drain them.
pub fn router(server: Arc<Server>, shutdown: CancellationToken) -> Router {
    let tools = server.tools.list().iter().map(|tool| server.tools.timeout(&tool.name));
    let resources = server.resources.iter().map(|resources| resources.timeout());
    let prompts = server.prompts.iter().map(|prompts| prompts.timeout());
    let longest = tools.chain(resources).chain(prompts).max();
    let idle = longest.unwrap_or_default() + BEYOND_THE_LONGEST_CALL;
    let limits = Limits { session_idle: server.limits.session_idle.max(idle), ..server.limits.clone() };
    let sessions = Arc::new(Sessions::new(&limits));
    // Host and Origin are the `http` crate's. A modern answer is plain JSON unless progress comes first.
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_json_response(true)
        .with_max_request_body_bytes(limits.message_bytes);
    let handled = server.clone();
    let service =
        StreamableHttpService::new(move || Ok(Handler::new(handled.clone())), sessions.clone(), config);
    let front = Front { service, sessions, server, shutdown };
    Router::new().route("/mcp", any(endpoint)).with_state(Arc::new(front))
}

/// What stands in front of rmcp's service.
pub(super) struct Front {
    service: StreamableHttpService<Handler, Sessions>,
    pub(super) sessions: Arc<Sessions>,
    server: Arc<Server>,
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
    let is_readable = method == Method::POST && has_type(request.headers(), "application/json");
    let response = if is_readable { front.post(request).await } else { front.pass(request).await };
    if opens_session && let Some(id) = response.headers().get(SESSION_ID).and_then(|id| id.to_str().ok()) {
        front.sessions.own(id, &principal);
    }
    if method == Method::GET { until(response, front.shutdown.clone()) } else { response }
}

impl Front {
    async fn post(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let text = match whole(body, self.server.limits.message_bytes).await {
            Ok(text) => text,
            Err(refused) => return refused,
        };
        match message::read(&text) {
            Ok(Incoming::One(message)) => self.message(parts, message).await,
            Ok(Incoming::Batch(messages)) => batch::answer(self, parts, messages).await,
            Err(unreadable) => refusal(StatusCode::BAD_REQUEST, &unreadable),
        }
    }

    /// One message, which rmcp gets without the arguments; those travel in the request's extensions.
    pub(super) async fn message(&self, mut parts: Parts, message: Message) -> Response {
        let mut copied = None;
        if let Some((tool, arguments)) = message.call() {
            copied = Some(mirror::copy(self.server.mirrors(tool), &arguments.0, &parts.headers));
            parts.extensions.insert(arguments);
        }
        let request = Request::from_parts(parts, Body::from(message.to_json(copied)));
        let response = self.pass(request).await;
        // rmcp's answer to a body that it cannot read, as if its type were wrong.
        match response.status() {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => refusal(StatusCode::BAD_REQUEST, &message.misfit()),
            _ => response,
        }
    }

    /// Through rmcp; its stand-ins are replaced on the way out.
    async fn pass(&self, request: Request) -> Response {
        let (mut parts, body) = self.service.handle(request).await.into_parts();
        if has_type(&parts.headers, "text/event-stream") {
            let server = self.server.clone();
            let body = body.map_frame(move |frame| frame.map_data(|data| server.exact.restore(data)));
            return Response::from_parts(parts, Body::new(body));
        }
        let Ok(body) = body.collect().await;
        parts.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(parts, Body::from(self.server.exact.restore(body.to_bytes())))
    }
}

/// The whole body, up to `limit` bytes.
async fn whole(body: Body, limit: usize) -> Result<Bytes, Response> {
    let mut data = body.into_data_stream();
    let mut whole = Vec::new();
    while let Some(chunk) = data.next().await {
        let chunk = chunk.map_err(|error| {
            let text = format!("the body ended early: {error}");
            refusal(StatusCode::BAD_REQUEST, &Unreadable::request(Value::Null, text))
        })?;
        if whole.len() + chunk.len() > limit {
            return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, &Unreadable::too_long(limit)));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.into())
}

fn is_modern(headers: &HeaderMap) -> bool {
    // Versions are dates and compare as text.
    headers.get(PROTOCOL_VERSION).is_some_and(|version| version.as_bytes() >= FIRST_MODERN_VERSION.as_bytes())
}

pub(super) fn has_type(headers: &HeaderMap, essence: &str) -> bool {
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
    let busy = Unreadable { code: -32603, id: Value::Null, text: text.into() };
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, &busy);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    response
}

/// The answer to what no message could be made of.
pub(super) fn refusal(status: StatusCode, unreadable: &Unreadable) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], unreadable.to_json()).into_response()
}

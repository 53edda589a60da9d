//! MCP over HTTP: an endpoint for everything and one for each group, each for both eras.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
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
    Limits, Server, Site, batch, direct,
    handler::Handler,
    listen,
    message::{self, Incoming, Message, Unreadable},
    mirror,
    sessions::{Owner, Sessions},
    site::Endpoint,
};

pub(super) const SESSION_ID: &str = "mcp-session-id";
pub(super) const PROTOCOL_VERSION: &str = "mcp-protocol-version";
const FIRST_MODERN_VERSION: &str = "2026-07-28";
/// A session outlives the longest call by this, so that the call's answer still finds its stream.
const BEYOND_THE_LONGEST_CALL: Duration = Duration::from_secs(60);

tokio::task_local! {
    /// Where the request under way goes to. rmcp makes a handler a request, or a session, and says nothing of
    /// which one.
    static ADDRESSED: Addressed;
}

/// Where a request goes to, and what is served there for it.
#[derive(Clone, Debug)]
pub(super) struct Addressed {
    endpoint: Arc<Endpoint>,
    /// A request that ends is answered by what was served when it came; nothing for what may stay open for long.
    pinned: Option<Arc<Server>>,
}

impl Addressed {
    fn server(&self) -> Arc<Server> {
        self.pinned.clone().unwrap_or_else(|| self.endpoint.current())
    }
}

/// Everything at `/mcp`, each group at `/mcp/NAME`. When the site is shut down, calls under way go on, so that
/// whoever serves the router can drain them.
pub fn router(site: Arc<Site>) -> Router {
    let limits = &site.limits;
    let idle = site.longest_call + BEYOND_THE_LONGEST_CALL;
    let limits = Limits { session_idle: limits.session_idle.max(idle), ..limits.clone() };
    let sessions = Arc::new(Sessions::new(&limits));
    // Host and Origin are the `http` crate's. A modern answer is plain JSON unless progress comes first.
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_json_response(true)
        .with_max_request_body_bytes(limits.message_bytes);
    let everything = site.all.clone();
    let handler = move || {
        let addressed = ADDRESSED.try_with(Addressed::clone);
        Ok(match addressed {
            Ok(Addressed { endpoint, pinned }) => Handler::new(endpoint, pinned),
            Err(_) => Handler::new(everything.clone(), None),
        })
    };
    let service = StreamableHttpService::new(handler, sessions.clone(), config);
    let front = Front { service, sessions, site };
    Router::new()
        .route("/mcp", any(everything_at))
        .route("/mcp/{group}", any(group_at))
        .with_state(Arc::new(front))
}

/// What stands in front of rmcp's service.
pub(super) struct Front {
    service: StreamableHttpService<Handler, Sessions>,
    pub(super) sessions: Arc<Sessions>,
    site: Arc<Site>,
}

async fn everything_at(State(front): State<Arc<Front>>, request: Request) -> Response {
    front.answer(&front.site.all, request).await
}

async fn group_at(State(front): State<Arc<Front>>, Path(group): Path<String>, request: Request) -> Response {
    match front.site.endpoint(Some(&group)) {
        Ok(endpoint) => front.answer(&endpoint, request).await,
        Err(unknown) => (StatusCode::NOT_FOUND, unknown + "\n").into_response(),
    }
}

impl Front {
    async fn answer(&self, endpoint: &Arc<Endpoint>, request: Request) -> Response {
        let principal = request.extensions().get::<Arc<Principal>>().cloned();
        let principal = principal.unwrap_or_else(|| Arc::new(Principal::anonymous()));
        let owner = Owner::new(&principal, &endpoint.current());
        let method = request.method().clone();
        let opens_session = match request.headers().get(SESSION_ID) {
            Some(id) => {
                if !id.to_str().is_ok_and(|id| self.sessions.is_owner(id, &owner)) {
                    // Not "forbidden": whose it is, and whether it is, is nobody else's business.
                    return (StatusCode::NOT_FOUND, "this session does not exist: initialize a new one\n")
                        .into_response();
                }
                false
            }
            None => method == Method::POST && !is_modern(request.headers()),
        };
        if opens_session && self.sessions.is_full() {
            return full();
        }
        let is_readable = method == Method::POST && has_type(request.headers(), "application/json");
        let response = if is_readable {
            self.post(endpoint, request).await
        } else {
            Box::pin(self.pass(Addressed { endpoint: endpoint.clone(), pinned: None }, request)).await
        };
        if opens_session && let Some(id) = response.headers().get(SESSION_ID).and_then(|id| id.to_str().ok())
        {
            self.sessions.own(id, owner);
        }
        if method == Method::DELETE && response.status() == StatusCode::ACCEPTED {
            // It is done, and there is nothing to say: what clients expect, while rmcp says "accepted".
            return StatusCode::NO_CONTENT.into_response();
        }
        if method == Method::GET { until(response, self.site.shutdown.clone()) } else { response }
    }

    async fn post(&self, endpoint: &Arc<Endpoint>, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let text = match whole(body, self.site.limits.message_bytes).await {
            Ok(text) => text,
            Err(refused) => return refused,
        };
        match message::read(&text) {
            Ok(Incoming::One(message)) => self.message(endpoint, parts, message).await,
            Ok(Incoming::Batch(messages)) => Box::pin(batch::answer(self, endpoint, parts, messages)).await,
            Err(unreadable) => refusal(StatusCode::BAD_REQUEST, &unreadable),
        }
    }

    /// One message.
    pub(super) async fn message(&self, endpoint: &Arc<Endpoint>, parts: Parts, message: Message) -> Response {
        let stays = matches!(message.method(), Some("initialize" | "subscriptions/listen"));
        let pinned = (!stays).then(|| endpoint.current());
        if let Some(server) = &pinned
            && let Some(response) = direct::answer(server, &parts, &message).await
        {
            return response;
        }
        // What is not plain waits in a box, so that a plain request does not carry room for it.
        Box::pin(self.not_plain(endpoint, pinned, parts, message)).await
    }

    /// Through rmcp, without the arguments; those travel in the request's extensions.
    async fn not_plain(
        &self,
        endpoint: &Arc<Endpoint>,
        pinned: Option<Arc<Server>>,
        mut parts: Parts,
        message: Message,
    ) -> Response {
        if let Some((message, wanted)) = listen::taken_from(&message, endpoint, &caller(&parts)).await {
            let request = Request::from_parts(parts, Body::from(message.to_json(None)));
            let response = self.pass(Addressed { endpoint: endpoint.clone(), pinned: None }, request).await;
            let is_stream = has_type(response.headers(), "text/event-stream");
            return if is_stream { listen::joined(response, wanted) } else { response };
        }
        let addressed = Addressed { endpoint: endpoint.clone(), pinned };
        let mut copied = None;
        if let Some((tool, arguments)) = message.call() {
            copied = Some(mirror::copy(addressed.server().mirrors(tool), &arguments.0, &parts.headers));
            parts.extensions.insert(arguments);
        }
        if let Some(responses) = message.responses() {
            parts.extensions.insert(responses);
        }
        let request = Request::from_parts(parts, Body::from(message.to_json(copied)));
        let response = self.pass(addressed, request).await;
        // rmcp's answer to a body that it cannot read, as if its type were wrong.
        match response.status() {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => refusal(StatusCode::BAD_REQUEST, &message.misfit()),
            _ => response,
        }
    }

    /// Through rmcp; its stand-ins are replaced on the way out.
    async fn pass(&self, addressed: Addressed, request: Request) -> Response {
        let answer = ADDRESSED.scope(addressed.clone(), self.service.handle(request));
        let (mut parts, body) = answer.await.into_parts();
        if has_type(&parts.headers, "text/event-stream") {
            let body =
                body.map_frame(move |frame| frame.map_data(|data| addressed.server().exact.restore(data)));
            return Response::from_parts(parts, Body::new(body));
        }
        let Ok(body) = body.collect().await;
        parts.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(parts, Body::from(addressed.server().exact.restore(body.to_bytes())))
    }
}

fn caller(parts: &Parts) -> Arc<Principal> {
    let known = parts.extensions.get::<Arc<Principal>>().cloned();
    known.unwrap_or_else(|| Arc::new(Principal::anonymous()))
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

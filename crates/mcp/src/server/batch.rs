//! Batches over HTTP: arrays of messages, which protocol version 2025-03-26 has and no other.
//!
//! Each message goes its own way, as if it had come alone; the streams of the answers become one. That version
//! lets the answers leave one by one.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse as _, Response},
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use http::{StatusCode, header, request::Parts};
use rmcp::model::ProtocolVersion;

use super::{
    http::{Front, PROTOCOL_VERSION, SESSION_ID, has_type, refusal},
    message::{Message, Unreadable},
    site::Endpoint,
};

type Events = BoxStream<'static, Result<Bytes, axum::Error>>;

/// Answers a batch, if its session has them.
pub(super) async fn answer(
    front: &Front,
    endpoint: &Arc<Endpoint>,
    parts: Parts,
    messages: Vec<Result<Message, Unreadable>>,
) -> Response {
    if !is_allowed(front, &parts) {
        return refusal(StatusCode::BAD_REQUEST, &Unreadable::batch());
    }
    let mut answers: Vec<Events> = Vec::new();
    for message in messages {
        match message {
            Err(unreadable) => answers.push(event(unreadable.to_json())),
            Ok(message) => {
                let is_request = message.is_request();
                let response = front.message(endpoint, parts.clone(), message).await;
                if has_type(response.headers(), "text/event-stream") {
                    answers.push(response.into_body().into_data_stream().boxed());
                } else if is_request && has_type(response.headers(), "application/json") {
                    answers.extend(whole(response).await.map(event));
                } else if is_request {
                    // About the HTTP request itself: the next message would get the same.
                    return response;
                }
            }
        }
    }
    if answers.is_empty() {
        return StatusCode::ACCEPTED.into_response();
    }
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    // Each stream gives whole events, so that they may take turns.
    (headers, Body::from_stream(stream::select_all(answers))).into_response()
}

fn is_allowed(front: &Front, parts: &Parts) -> bool {
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let named = header(PROTOCOL_VERSION);
    let settled = header(SESSION_ID).and_then(|id| front.sessions.version(id));
    settled == Some(ProtocolVersion::V_2025_03_26)
        && named.is_none_or(|named| named == ProtocolVersion::V_2025_03_26.as_str())
}

async fn whole(response: Response) -> Option<String> {
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.ok()?;
    String::from_utf8(body.to_vec()).ok()
}

/// A stream of one event. JSON has no line breaks of its own.
fn event(json: String) -> Events {
    stream::iter([Ok(format!("data: {json}\n\n").into())]).boxed()
}

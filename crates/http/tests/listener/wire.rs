//! A guarded router without a socket.

use std::{net::SocketAddr, sync::Arc};

use axum::{Extension, Router, body::Body, routing::any};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use renkei_core::Principal;
use renkei_http::{Options, guard};
use serde_json::Value;
use tower::ServiceExt as _;

/// Says who it was asked by.
pub(crate) fn who() -> Router {
    let answer = |Extension(principal): Extension<Arc<Principal>>| async move {
        axum::Json(serde_json::Value::from(&principal.to_value()))
    };
    Router::new().route("/", any(answer))
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// Sends one request with these headers to a server that listens on `local`.
pub(crate) async fn ask(
    options: &Options,
    local: &str,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let local: SocketAddr = local.parse().unwrap();
    let router = guard(who(), local, options);
    answer(router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await
}

pub(crate) async fn answer(response: Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer { status: parts.status, headers: parts.headers, body }
}

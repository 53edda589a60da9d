//! A reverse proxy that does nothing but pass on: what HTTP itself costs.

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, Uri, uri::PathAndQuery},
    response::{IntoResponse as _, Response},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::serve;

pub(crate) type HttpClient = Client<HttpConnector, Body>;

#[derive(Clone)]
struct Upstream {
    client: HttpClient,
    base: Uri,
}

/// Keeps its connections.
pub(crate) fn client() -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

pub(crate) async fn serve(upstream: &str) -> Result<()> {
    let base = upstream.parse().context("the upstream is no URL")?;
    let router = Router::new().fallback(pass).with_state(Upstream { client: client(), base });
    serve::serve(router, "").await
}

async fn pass(State(upstream): State<Upstream>, mut request: Request) -> Result<Response, StatusCode> {
    let mut parts = upstream.base.into_parts();
    parts.path_and_query =
        Some(request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| StatusCode::BAD_REQUEST)?;
    let answer = upstream.client.request(request).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(answer.into_response())
}

//! What every request passes before the router: plain calls, one after the other.
//!
//! No middlewares: each would box a future and clone what is inside of it, for every request.

use std::{
    convert::Infallible,
    ops::ControlFlow,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use axum::{BoxError, Router, body::Body, extract::Request, response::Response};
use bytes::Bytes;
use http::StatusCode;
use metrics::Counter;
use renkei_core::metric;
use tower::Service;

use crate::{
    access::{self, cors},
    auth::Authentication,
    client::Proxies,
    health, intake,
};

type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// A router behind all checks that do not need a connection.
#[derive(Clone, Debug)]
pub struct Guarded {
    router: Router,
    checks: Arc<Checks>,
}

/// In the order in which a request passes them.
#[derive(Debug)]
pub(crate) struct Checks {
    pub(crate) proxies: Proxies,
    pub(crate) access: access::Guard,
    pub(crate) authentication: Authentication,
    pub(crate) intake: intake::Limit,
}

impl Guarded {
    pub(crate) fn new(router: Router, checks: Checks) -> Self {
        Guarded { router, checks: Arc::new(checks) }
    }

    async fn answer(self, mut request: Request) -> Response {
        if let ControlFlow::Break(answer) = self.checks.proxies.admit(&mut request) {
            return answer;
        }
        let origin = match self.checks.access.admit(&request) {
            ControlFlow::Continue(origin) => origin,
            ControlFlow::Break(answer) => return answer,
        };
        let mut response = self.admitted(request).await;
        if let Some(origin) = origin {
            cors::allow(response.headers_mut(), &origin);
        }
        response
    }

    /// The answer to a request that may come from where it comes from.
    async fn admitted(mut self, mut request: Request) -> Response {
        if let ControlFlow::Break(answer) = self.checks.authentication.admit(&mut request) {
            return answer;
        }
        let (request, fate) = match self.checks.intake.limited(request) {
            ControlFlow::Continue(limited) => limited,
            ControlFlow::Break(answer) => return answer,
        };
        let Ok(response) = self.router.call(request).await;
        fate.judge(response)
    }
}

/// Everything that a listener answers: probes, and what is guarded. Counts the answers.
#[derive(Clone)]
pub(crate) struct Front {
    probes: Router,
    guarded: Guarded,
    /// Of the usual status, looked up once.
    ok: Arc<OnceLock<Counter>>,
}

impl Front {
    pub(crate) fn new(probes: Router, guarded: Guarded) -> Self {
        Front { probes, guarded, ok: Arc::default() }
    }

    async fn answer(mut self, request: Request) -> Response {
        let response = match health::is_probe(request.uri().path()) {
            true => {
                let Ok(response) = self.probes.call(request).await;
                response
            }
            false => self.guarded.answer(request).await,
        };
        let of = |status: StatusCode| metrics::counter!(metric::REQUESTS.name, "status" => status.as_str().to_owned());
        match response.status() {
            StatusCode::OK => self.ok.get_or_init(|| of(StatusCode::OK)).increment(1),
            status => of(status).increment(1),
        }
        response
    }
}

impl<B> Service<http::Request<B>> for Guarded
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Answer {
        let this = self.clone();
        Box::pin(async move { Ok(this.answer(request.map(Body::new)).await) })
    }
}

impl<B> Service<http::Request<B>> for Front
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Answer {
        let this = self.clone();
        Box::pin(async move { Ok(this.answer(request.map(Body::new)).await) })
    }
}

//! Requests to a collector.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

/// A collector's answer is a few bytes; no more of it is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Sends with the process's HTTP client, in its runtime: the exporters run on threads of their own.
#[derive(Debug)]
pub(super) struct Sender {
    /// `traces` or `metrics`.
    what: &'static str,
    client: reqwest::Client,
    runtime: Handle,
    failing: AtomicBool,
}

impl Sender {
    /// Needs a runtime. `is_secure` says whether the collector is reached by TLS.
    pub(super) fn new(what: &'static str, is_secure: bool, timeout: Duration) -> Result<Self, String> {
        // Fails when it was done before, which is just as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .user_agent(concat!("renkei/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(timeout);
        let builder = if is_secure {
            builder
        } else {
            // Works on machines without certificates, too.
            let roots = rustls::RootCertStore::empty();
            let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
            builder.tls_backend_preconfigured(tls)
        };
        let client = builder.build().map_err(|error| {
            format!("no client for `server.telemetry.otlp`: {error}; install `ca-certificates`")
        })?;
        Ok(Sender { what, client, runtime: Handle::current(), failing: AtomicBool::new(false) })
    }

    /// One line when the collector begins to fail, and one when it is back.
    fn log(&self, failure: Option<&str>) {
        let what = self.what;
        match (failure, self.failing.swap(failure.is_some(), Ordering::Relaxed)) {
            (Some(failure), false) => {
                tracing::warn!(
                    what,
                    "the collector cannot be told: {failure}; calls go on, what is not sent is lost"
                );
            }
            (None, true) => tracing::info!(what, "the collector is told again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let client = self.client.clone();
        let answer = self.runtime.spawn(async move { send(&client, request).await }).await?;
        match &answer {
            Ok(answer) if answer.status().is_success() => self.log(None),
            Ok(answer) => self.log(Some(&format!("it answered {}", answer.status()))),
            // The URL may hold a password.
            Err(error) => self.log(Some(&innermost(error))),
        }
        Ok(answer?)
    }
}

async fn send(
    client: &reqwest::Client,
    request: reqwest::Request,
) -> Result<Response<Bytes>, reqwest::Error> {
    let mut answer = client.execute(request).await.map_err(reqwest::Error::without_url)?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    *response.body_mut() = body.into();
    Ok(response)
}

/// The reason at the bottom says more than "error sending request".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

//! `Host` and `Origin`: the defence of a server against pages in its user's browser.
//!
//! A page may send requests anywhere. With DNS rebinding it even reads the answers: its own name suddenly
//! means 127.0.0.1. The `Host` header still carries that name, so only names that the server knows as its own
//! pass. `Origin` names the page; only origins that were allowed pass, and they get the CORS headers.

mod cors;
mod names;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header};
use url::Url;

pub use self::names::{Authority, Origin, Pages};
use crate::reply::Refusal;

/// By which names the server may be called, and which pages may call it.
///
/// A server that listens on loopback is also called by the loopback names with its port. A server that listens
/// on one address is also called by that address and its port. Pages from these names are its own; pages from
/// another port of loopback are not: any program of any user, and any page that got hold of such a port, could be
/// behind them.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub hosts: Vec<Authority>,
    pub origins: Vec<Pages>,
    /// How clients reach the server; its host and its origin are allowed.
    pub public_url: Option<Url>,
    /// Whether any `Host` will do: for an address of this machine that no browser is meant to reach.
    pub any_host: bool,
}

/// [`Access`] for the address that was bound.
#[derive(Debug)]
pub(crate) struct Guard {
    hosts: Vec<Authority>,
    origins: Vec<Pages>,
    any_host: bool,
}

impl Guard {
    pub(crate) fn new(access: &Access, local: SocketAddr) -> Self {
        let mut hosts = access.hosts.clone();
        let mut origins = access.origins.clone();
        if let Some(url) = &access.public_url {
            hosts.extend(url.host_str().map(|host| Authority::new(host, url.port())));
            origins.extend(Origin::of(url).map(Pages::One));
        }
        let own = own_names(local);
        origins.extend(own.iter().filter_map(Pages::of_authority));
        hosts.extend(own);
        Guard { hosts, origins, any_host: access.any_host }
    }

    /// The host that the request is for.
    fn check_host(&self, request: &Request) -> Result<(), Refusal> {
        let bad = |message: &str| Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_host", message));
        let mut values = request.headers().get_all(header::HOST).iter();
        let host = match (values.next(), values.next()) {
            (Some(host), None) => host.to_str().ok().and_then(Authority::parse),
            (None, _) => return bad("the request has no `Host` header"),
            (Some(_), Some(_)) => return bad("the request has more than one `Host` header"),
        };
        let Some(host) = host else { return bad("the `Host` header is not a name with an optional port") };
        // A request line with a whole URL names the host a second time.
        if let Some(named) = request.uri().authority()
            && Authority::parse(named.as_str()).as_ref() != Some(&host)
        {
            return bad("the request line and the `Host` header name different hosts");
        }
        if self.any_host || self.hosts.iter().any(|allowed| allowed.covers(&host)) {
            return Ok(());
        }
        // What strangers send is nobody's task; the numbers say when it is much.
        tracing::info!(%host, "refused a request for a host that is not ours");
        let message = format!("this server is not `{host}`; its operator can add the name to `server.hosts`");
        Err(Refusal::new(StatusCode::FORBIDDEN, "host_not_allowed", message))
    }

    /// The page that the request comes from, if it comes from one.
    fn check_origin(&self, headers: &HeaderMap) -> Result<Option<Origin>, Refusal> {
        let mut values = headers.get_all(header::ORIGIN).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let shown = value.to_str().unwrap_or("?");
        if let (Ok(text), None) = (value.to_str(), values.next())
            && let Some(origin) = Origin::parse(text)
            && self.origins.iter().any(|allowed| allowed.cover(&origin))
        {
            return Ok(Some(origin));
        }
        tracing::info!(origin = shown, "refused a request from a page that is not allowed");
        let message = format!(
            "pages from `{shown}` may not use this server; its operator can add it to `server.origins`"
        );
        Err(Refusal::new(StatusCode::FORBIDDEN, "origin_not_allowed", message))
    }
}

/// What the address that was bound is called.
fn own_names(local: SocketAddr) -> Vec<Authority> {
    let port = Some(local.port());
    let mut names = Vec::new();
    if local.ip().is_loopback() {
        names.extend(["localhost", "127.0.0.1", "[::1]"].map(|name| Authority::new(name, port)));
    }
    if !local.ip().is_unspecified() {
        let name = match local {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        names.push(Authority::new(&name, port));
    }
    names
}

pub(crate) async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    if let Err(refused) = guard.check_host(&request) {
        return refused.into_response();
    }
    let origin = match guard.check_origin(request.headers()) {
        Ok(origin) => origin,
        Err(refused) => return refused.into_response(),
    };
    let Some(origin) = origin else { return next.run(request).await };
    if let Some(answer) = cors::preflight(&request, &origin) {
        return answer;
    }
    let mut response = next.run(request).await;
    cors::allow(response.headers_mut(), &origin);
    response
}

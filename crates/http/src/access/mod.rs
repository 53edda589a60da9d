//! `Host` and `Origin`: the defence of a server against pages in its user's browser.
//!
//! A page may send requests anywhere. With DNS rebinding it even reads the answers: its own name suddenly
//! means 127.0.0.1. The `Host` header still carries that name, so only names that the server knows as its own
//! pass. `Origin` names the page; only origins that were allowed pass, and they get the CORS headers.

pub(crate) mod cors;
mod names;

use std::{net::SocketAddr, ops::ControlFlow};

use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, Version, header};
use url::Url;

pub use self::names::{Authority, Origin, Pages};
use crate::{client::Forwarded, reply::Refusal};

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
    /// `scheme` is the listener's own.
    pub(crate) fn new(access: &Access, local: SocketAddr, scheme: &str) -> Self {
        let mut hosts = access.hosts.clone();
        let mut origins = access.origins.clone();
        if let Some(url) = &access.public_url {
            hosts.extend(url.host_str().map(|host| Authority::new(host, url.port())));
            origins.extend(Origin::of(url).map(Pages::One));
        }
        let own = own_names(local);
        origins.extend(own.iter().filter_map(|name| Pages::of_authority(scheme, name)));
        hosts.extend(own);
        Guard { hosts, origins, any_host: access.any_host }
    }

    /// Whether a request may come in, and from which page it does. Otherwise its answer; a browser that asks whether
    /// it may send one has its answer here, too.
    pub(crate) fn admit(&self, request: &Request) -> ControlFlow<Response, Option<Origin>> {
        let page = self.check_host(request).and_then(|()| self.check_origin(request));
        match page {
            Ok(origin) => match origin.as_ref().and_then(|origin| cors::preflight(request, origin)) {
                Some(answer) => ControlFlow::Break(answer),
                None => ControlFlow::Continue(origin),
            },
            Err(refused) => ControlFlow::Break(refused.into_response()),
        }
    }

    /// The host that the request is for.
    fn check_host(&self, request: &Request) -> Result<(), Refusal> {
        let own = named_host(request)?;
        let host = forwarded(request).and_then(|said| said.host.clone()).unwrap_or(own);
        if self.any_host || self.hosts.iter().any(|allowed| allowed.covers(&host)) {
            return Ok(());
        }
        // What strangers send is nobody's task; the numbers say when it is much.
        tracing::info!(%host, "refused a request for a host that is not ours");
        let message = format!("this server is not `{host}`; its operator can add the name to `server.hosts`");
        Err(Refusal::new(StatusCode::FORBIDDEN, "host_not_allowed", message))
    }

    /// The page that the request comes from, if it comes from one.
    fn check_origin(&self, request: &Request) -> Result<Option<Origin>, Refusal> {
        let mut values = request.headers().get_all(header::ORIGIN).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let shown = value.to_str().unwrap_or("?");
        if let (Ok(text), None) = (value.to_str(), values.next())
            && let Some(origin) = Origin::parse(text)
            && (self.origins.iter().any(|allowed| allowed.cover(&origin)) || is_own(request, &origin))
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

/// As the request itself says it: `Host`, or `:authority` with HTTP/2.
fn named_host(request: &Request) -> Result<Authority, Refusal> {
    let bad = |message: &str| Refusal::new(StatusCode::BAD_REQUEST, "bad_host", message);
    let mut values = request.headers().get_all(header::HOST).iter();
    let host = match (values.next(), values.next()) {
        (Some(host), None) => Some(
            host.to_str()
                .ok()
                .and_then(Authority::parse)
                .ok_or_else(|| bad("the `Host` header is not a name with an optional port"))?,
        ),
        (None, _) => None,
        (Some(_), Some(_)) => return Err(bad("the request has more than one `Host` header")),
    };
    // A request line with a whole URL names the host a second time.
    let line = request.uri().authority().map(|named| Authority::parse(named.as_str()));
    match (host, line) {
        (Some(host), Some(line)) if line.as_ref() != Some(&host) => {
            Err(bad("the request line and the `Host` header name different hosts"))
        }
        (Some(host), _) => Ok(host),
        (None, Some(Some(line))) if request.version() == Version::HTTP_2 => Ok(line),
        (None, _) => Err(bad("the request has no `Host` header")),
    }
}

fn forwarded(request: &Request) -> Option<&Forwarded> {
    request.extensions().get()
}

/// Whether it is the origin under which the client called, as a trusted proxy says. The host was checked before.
fn is_own(request: &Request, origin: &Origin) -> bool {
    let called = forwarded(request).and_then(|said| Some((said.scheme?, said.host.as_ref()?)));
    called.and_then(|(scheme, host)| Pages::of_authority(scheme, host)).is_some_and(|own| own.cover(origin))
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

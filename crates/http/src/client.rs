//! Who is at the other end: whoever opened the connection, or whom a trusted proxy speaks for.
//!
//! Proxies tell in headers whom they speak for, and anybody can write such headers. So they count only on
//! connections from addresses that the config trusts, are read from the right – each proxy appends what it saw – until an
//! address that is no trusted proxy's, and go no further than here.

use std::{
    net::{IpAddr, SocketAddr},
    ops::ControlFlow,
    sync::Arc,
};

use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, StatusCode, header};
use ipnet::IpNet;
use renkei_core::call::ClientAddress;

use crate::{access::Authority, reply::Refusal};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The other end of a connection. In the extensions of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What a trusted proxy says of a request. In its extensions, if one says something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded {
    client: Option<IpAddr>,
    /// By which name the client called.
    pub(crate) host: Option<Authority>,
    /// `http` or `https`, as the client spoke it.
    pub(crate) scheme: Option<&'static str>,
}

/// Addresses whose `Forwarded` and `X-Forwarded-*` are believed.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<[IpNet]>);

impl Proxies {
    pub fn new(networks: &[IpNet]) -> Self {
        Proxies(networks.into())
    }

    /// Says in the request's extensions who sent it, and what a trusted proxy says of it; removes what nobody else shall
    /// believe. Otherwise its answer.
    pub(crate) fn admit(&self, request: &mut Request) -> ControlFlow<Response> {
        let peer = request.extensions().get::<Peer>().copied();
        let address = peer.map(|peer| peer.0.ip().to_canonical());
        if address.is_some_and(|address| self.trust(address)) {
            match self.read(request.headers()) {
                Ok(said) => {
                    if let Some(client) = said.client.or(address) {
                        request.extensions_mut().insert(ClientAddress(client));
                    }
                    request.extensions_mut().insert(said);
                }
                Err(refused) => return ControlFlow::Break(refused.into_response()),
            }
        } else if let Some(address) = address {
            request.extensions_mut().insert(ClientAddress(address));
        }
        for name in [&header::FORWARDED, &FORWARDED_FOR, &FORWARDED_HOST, &FORWARDED_PROTO] {
            request.headers_mut().remove(name);
        }
        ControlFlow::Continue(())
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// # Errors
    /// What cannot be read; and two headers that differ: which one a client made up, nobody can tell.
    fn read(&self, headers: &HeaderMap) -> Result<Forwarded, Refusal> {
        match (self.read_forwarded(headers)?, self.read_x(headers)?) {
            // What one leaves out, a client may have written into the other.
            (Some(new), Some(old)) if new != old => Err(bad(
                "`Forwarded` and `X-Forwarded-*` say different things; let the proxy write one and remove the other",
            )),
            (new, old) => Ok(new.or(old).unwrap_or_default()),
        }
    }

    /// RFC 7239. What the outermost trusted proxy says counts.
    fn read_forwarded(&self, headers: &HeaderMap) -> Result<Option<Forwarded>, Refusal> {
        let mut said: Option<Forwarded> = None;
        let lines = texts(headers, &header::FORWARDED)?;
        let elements = lines.iter().rev().flat_map(|line| split(line, ',').into_iter().rev());
        for element in elements.filter(|element| !element.trim().is_empty()) {
            let mut this = Forwarded::default();
            for pair in split(element, ';').into_iter().filter(|pair| !pair.trim().is_empty()) {
                let Some((name, value)) = pair.split_once('=') else {
                    return Err(bad("the header `Forwarded` is not as RFC 7239 wants it"));
                };
                let value = unquote(value.trim());
                match name.trim().to_ascii_lowercase().as_str() {
                    "for" => this.client = address(&value),
                    "host" => this.host = Some(host(&value)?),
                    "proto" => this.scheme = Some(scheme(&value)?),
                    _ => {}
                }
            }
            let further = this.client.is_some_and(|client| self.trust(client));
            // Where the last one hides, the one before is as far as anybody knows.
            this.client = this.client.or(said.and_then(|said| said.client));
            said = Some(this);
            if !further {
                break;
            }
        }
        Ok(said)
    }

    /// Of `X-Forwarded-Host` and `-Proto` the last value counts: the proxy before us wrote it, or let it pass.
    fn read_x(&self, headers: &HeaderMap) -> Result<Option<Forwarded>, Refusal> {
        let last = |name: &HeaderName| -> Result<Option<&str>, Refusal> {
            let last = texts(headers, name)?.last().and_then(|line| line.rsplit(',').next());
            Ok(last.map(str::trim).filter(|value| !value.is_empty()))
        };
        let mut said = Forwarded {
            client: None,
            host: last(&FORWARDED_HOST)?.map(host).transpose()?,
            scheme: last(&FORWARDED_PROTO)?.map(scheme).transpose()?,
        };
        let lines = texts(headers, &FORWARDED_FOR)?;
        for entry in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            // From what is no address on, nobody knows.
            let Some(address) = address(entry.trim()) else { break };
            said.client = Some(address);
            if !self.trust(address) {
                break;
            }
        }
        Ok(Some(said).filter(|said| *said != Forwarded::default()))
    }
}

fn bad(message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "bad_forwarded", message)
}

fn texts<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Vec<&'h str>, Refusal> {
    let texts = headers.get_all(name).iter().map(|value| value.to_str());
    texts.collect::<Result<_, _>>().map_err(|_| bad(&format!("the header `{name}` is not plain text")))
}

/// At `separator`, but not within quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if letter == separator && !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn unquote(value: &str) -> String {
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\\", ""),
        None => value.to_owned(),
    }
}

/// An address, with a port or without; nothing for `unknown` and made-up names (RFC 7239, 6).
fn address(text: &str) -> Option<IpAddr> {
    let plain = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let found = text.parse::<IpAddr>().ok().or_else(plain).or_else(with_port);
    found.map(|address| address.to_canonical())
}

fn host(text: &str) -> Result<Authority, Refusal> {
    Authority::parse(text)
        .ok_or_else(|| bad("the host that a proxy forwarded is not a name with an optional port"))
}

fn scheme(text: &str) -> Result<&'static str, Refusal> {
    if text.eq_ignore_ascii_case("https") {
        Ok("https")
    } else if text.eq_ignore_ascii_case("http") {
        Ok("http")
    } else {
        Err(bad("the protocol that a proxy forwarded is neither `http` nor `https`"))
    }
}

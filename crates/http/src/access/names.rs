//! Names of hosts and origins, in one spelling, so that they can be compared.

use std::fmt;

use url::Url;

/// A host, with a port or any: `shop.example.com`, `shop.example.com:8443`, `[::1]:8383`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Lower case; IPv6 in brackets; no dot at the end.
    host: String,
    port: Option<u16>,
}

impl Authority {
    pub(crate) fn new(host: &str, port: Option<u16>) -> Self {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        // IPv6 has many spellings.
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => match inner.parse::<std::net::Ipv6Addr>() {
                Ok(address) => format!("[{address}]"),
                Err(_) => host,
            },
            None => host,
        };
        Authority { host, port }
    }

    /// Reads a `Host` header or a config's entry. Nothing for what is not a host with an optional port.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains(['@', '/', '?', '#', ' ']) {
            return None;
        }
        if !text.is_ascii() {
            // Only configs write such names; headers carry their ASCII form.
            let url = Url::parse(&format!("http://{text}/")).ok()?;
            return Some(Self::new(url.host_str()?, url.port()));
        }
        let authority: http::uri::Authority = text.parse().ok()?;
        let after_host = text.get(authority.host().len()..)?;
        let port = match after_host.strip_prefix(':') {
            None if after_host.is_empty() => None,
            None => return None,
            Some(digits) => Some(digits.parse().ok()?),
        };
        (!authority.host().is_empty()).then(|| Self::new(authority.host(), port))
    }

    /// Whether this entry of the allow-list covers `host` of a request.
    pub(crate) fn covers(&self, host: &Authority) -> bool {
        self.host == host.host && (self.port.is_none() || self.port == host.port)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Where a page comes from: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// Reads an `Origin` header: `https://shop.example.com`, `http://localhost:6274`.
    /// Nothing for the rest, `null` included: it stands for pages that nobody can tell apart.
    pub fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("://")?;
        if rest.contains(['/', '?', '#', '@', '*', '\\']) || rest.is_empty() {
            return None;
        }
        Self::of(&Url::parse(text).ok()?)
    }

    /// The origin of the pages under `url`.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let port = url.port_or_known_default()?;
        let host = url.host_str()?.trim_end_matches('.').to_owned();
        matches!(url.scheme(), "http" | "https").then(|| Origin {
            scheme: url.scheme().to_owned(),
            host,
            port,
        })
    }
}

/// Origins that are allowed: one, or those of a host with any port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pages {
    One(Origin),
    /// The port in here says nothing.
    AnyPort(Origin),
}

impl Pages {
    /// Reads a config's entry: an origin, or one with `*` for its port, such as `http://localhost:*`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix(":*") {
            // A port before the star is a slip, and so is a host that ends in a colon.
            Some(host) if host.rsplit(['/', ']']).next().is_some_and(|end| end.contains(':')) => None,
            Some(host) => Origin::parse(host).map(Pages::AnyPort),
            None => Origin::parse(text).map(Pages::One),
        }
    }

    /// The pages that a server at `authority` serves itself.
    pub(crate) fn of_authority(scheme: &str, authority: &Authority) -> Option<Self> {
        Origin::parse(&format!("{scheme}://{authority}")).map(Pages::One)
    }

    pub(crate) fn cover(&self, origin: &Origin) -> bool {
        match self {
            Pages::One(one) => one == origin,
            Pages::AnyPort(any) => any.scheme == origin.scheme && any.host == origin.host,
        }
    }
}

/// As browsers write it: without the scheme's own port.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match (&*self.scheme, self.port) {
            ("http", 80) | ("https", 443) => Ok(()),
            (_, port) => write!(f, ":{port}"),
        }
    }
}

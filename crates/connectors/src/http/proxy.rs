//! The proxy of a system: given in its config, never taken from the environment.
//!
//! Through a proxy the guard cannot see what a name resolves to, because the proxy resolves it. So only
//! the host of `base_url`, which the config names, and addresses that are public go through it: a
//! redirect to another name is not followed, unless the system is `private` anyway.

use std::fmt;

use renkei_core::{
    Definitions, Diagnostic, Diagnostics, Error, FromNode, Node, NodeKind, Result, Schema, Secret,
    read::wrong,
};
use url::{Host, Url};

/// The address of a proxy, with the name and the password for it.
#[derive(Clone)]
pub(crate) struct ProxyUrl(Url);

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host())
    }
}

impl FromNode for ProxyUrl {
    /// What stands there is not repeated: it may hold a password.
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        let text = match &node.kind {
            NodeKind::Unknown => "http://unknown.invalid",
            NodeKind::String(text) => &text.value,
            _ => return wrong(node, "a URL such as `http://proxy.example.com:3128`", d),
        };
        let hint = "write it like `http://proxy.example.com:3128`; with a password like `http://NAME:${env.PASSWORD | @uri}@proxy.example.com:3128`";
        let problem = match Url::parse(text) {
            Err(why) => format!("`proxy` is not a URL: {why}"),
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                format!("a proxy is reached by `http` or `https`, not by `{}`", url.scheme())
            }
            Ok(url)
                if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() =>
            {
                "the URL of a proxy has no path and no query".to_owned()
            }
            Ok(url) => return Some(ProxyUrl(url)),
        };
        d.push(Diagnostic::error(node.span, problem).hint(hint));
        None
    }

    fn schema(defs: &mut Definitions) -> Schema {
        Secret::schema(defs)
    }
}

impl ProxyUrl {
    /// Its host, for messages.
    pub(super) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// To be masked wherever they turn up.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let written = self.0.password().unwrap_or_default();
        let meant = percent_encoding::percent_decode_str(written).decode_utf8_lossy();
        [written, &*meant].into_iter().filter(|text| !text.is_empty()).map(Secret::new).collect()
    }

    /// For a client. Hosts in `except` are reached without it.
    pub(super) fn build(&self, system: &str, except: &[String]) -> Result<reqwest::Proxy> {
        let proxy = reqwest::Proxy::all(self.0.clone()).map_err(|why| {
            Error::internal(format!("the proxy of system `{system}` cannot be used; check `proxy`"))
                .detail(why)
        })?;
        Ok(proxy.no_proxy(reqwest::NoProxy::from_string(&except.join(","))))
    }
}

/// Whether a redirect names another host, which only the proxy would resolve.
pub(super) fn hides(base: &Url, next: &Url) -> bool {
    matches!(next.host(), Some(Host::Domain(_))) && next.host() != base.host()
}

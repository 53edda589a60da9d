//! The config of OAuth 2: where a token comes from, and for what it is asked.

use std::{sync::Arc, time::Duration};

use base64::Engine as _;
use indexmap::IndexMap;
use renkei_core::{
    Definitions, Diagnostic, Diagnostics, FromNode, Node, NodeKind, Schema, Secret, Value, read::wrong,
};
use renkei_derive::FromNode;
use url::Url;

use super::{guard, tls::TlsConfig};

/// A token by the client credentials grant (RFC 6749, section 4.4), sent as a bearer token (RFC 6750). It is fetched
/// for the first call that needs it, kept in memory, and renewed before it expires, or when the system answers 401.
/// All calls share it, and only one fetches at a time.
#[derive(Debug, FromNode)]
pub(crate) struct OAuth {
    /// The token endpoint of the authorization server, such as `https://login.example.com/oauth2/token`.
    pub(super) token_url: Url,
    /// The name under which the authorization server knows Renkei.
    pub(super) client_id: String,
    /// The password that goes with it. Not needed with `client_auth: none`.
    pub(super) client_secret: Option<Secret>,
    /// How Renkei proves to the token endpoint who it is.
    #[config(default)]
    pub(super) client_auth: ClientAuth,
    /// What the token is to allow: a text, or a list.
    pub(super) scope: Option<Words>,
    /// For whom the token is meant, where the authorization server wants it (`audience`).
    pub(super) audience: Option<String>,
    /// The URL of the resource that the token is meant for (RFC 8707).
    pub(super) resource: Option<String>,
    /// More parameters of the token request.
    #[config(default)]
    pub(super) params: IndexMap<Arc<str>, String>,
    /// How long fetching a token may take. It counts towards the call that waits for it.
    #[config(default = "5s")]
    pub(super) timeout: Duration,
    /// Allows a token endpoint whose address is not public, or that is reached without TLS. As `private` of the
    /// system, unless set.
    pub(super) private: Option<bool>,
    /// Certificates for the token endpoint. Those of the system are not used for it.
    pub(super) tls: Option<TlsConfig>,
}

/// How a client proves to a token endpoint who it is (RFC 6749, section 2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromNode)]
pub(super) enum ClientAuth {
    /// `client_id` and `client_secret` in the header `Authorization` (`client_secret_basic`).
    #[default]
    Basic,
    /// Both in the body (`client_secret_post`).
    Post,
    /// `client_id` alone: a client certificate in `tls` proves the rest (RFC 8705).
    None,
}

/// Words separated by spaces, as a text or as a list.
#[derive(Clone, Debug)]
pub(super) struct Words(String);

impl FromNode for Words {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::Unknown => Some(Words("unknown".into())),
            NodeKind::String(text) => Some(Words(text.value.to_string())),
            NodeKind::Seq(_) => Vec::<String>::from_node(node, d).map(|words| Words(words.join(" "))),
            _ => wrong(node, "a text such as `orders:read`, or a list of such texts", d),
        }
    }

    fn schema(defs: &mut Definitions) -> Schema {
        Value::from([("oneOf", Value::from(vec![String::schema(defs), Vec::<String>::schema(defs)]))])
    }
}

/// What Renkei sets itself in a token request.
const OWN: [&str; 6] = ["grant_type", "client_id", "client_secret", "scope", "audience", "resource"];

impl OAuth {
    /// Whether the token endpoint may have any address.
    pub(super) fn is_private(&self, system: bool) -> bool {
        self.private.unwrap_or(system)
    }

    /// `http` is the mapping of the system in which `auth: { oauth2: … }` stands; `private` is its own.
    pub(super) fn check(&self, private: bool, http: &Node, d: &mut Diagnostics) {
        let own = http.get("auth").and_then(|auth| auth.get("oauth2")).unwrap_or(http);
        let span = |key: &str| own.get(key).map_or(own.span, |node| node.span);
        let url = &self.token_url;
        let mut problem = |key: &str, message: String, hint: &str| {
            d.push(Diagnostic::error(span(key), message).hint(hint));
        };
        if !matches!(url.scheme(), "http" | "https") {
            problem(
                "token_url",
                format!("`token_url` has the scheme `{}`", url.scheme()),
                "write `https://…`",
            );
        } else if url.scheme() == "http" && !self.is_private(private) {
            problem(
                "token_url",
                "`token_url` would send the client's credentials unencrypted".into(),
                "write `https://…`; if it is on your own network, add `private: true` beside `token_url`",
            );
        } else if let Err(refused) = guard::check_host(url, self.is_private(private)) {
            problem(
                "token_url",
                format!("the host of `token_url`, {refused}, is refused"),
                "if that is meant, add `private: true` beside `token_url`",
            );
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            problem(
                "token_url",
                "`token_url` holds a user name, a password or a fragment".into(),
                "use `client_id` and `client_secret`: then they are kept secret",
            );
        }
        match (&self.client_secret, self.client_auth) {
            (None, ClientAuth::Basic | ClientAuth::Post) => problem(
                "client_id",
                "`oauth2` has no `client_secret`".into(),
                "add it, from the environment: `client_secret: '${env.CLIENT_SECRET}'`; with a client certificate alone, set `client_auth: none`",
            ),
            (Some(_), ClientAuth::None) => problem(
                "client_secret",
                "`client_secret` is of no use with `client_auth: none`".into(),
                "leave one of the two out",
            ),
            _ => {}
        }
        if let Some(name) = OWN.into_iter().find(|name| self.params.contains_key(*name)) {
            problem(
                "params",
                format!("`params` holds `{name}`, which has a place of its own"),
                "`grant_type` is always `client_credentials`; the others are keys beside `token_url`",
            );
        }
        if self.timeout.is_zero() {
            problem("timeout", "`timeout` cannot be 0".into(), "leave it out for 5s");
        }
        if self.tls.is_some() && url.scheme() == "http" {
            problem(
                "tls",
                "`tls` is of no use: `token_url` begins with `http://`".into(),
                "write `https://…`, or leave `tls` out",
            );
        }
    }

    /// To be masked wherever they turn up.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let pair = (self.client_auth == ClientAuth::Basic).then(|| Secret::new(self.pair()));
        self.client_secret.iter().cloned().chain(pair).collect()
    }

    /// For `Authorization: Basic`: unlike elsewhere, both are form-encoded first.
    pub(super) fn pair(&self) -> String {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let secret = self.client_secret.as_ref().map_or("", Secret::expose);
        base64::engine::general_purpose::STANDARD.encode(format!(
            "{}:{}",
            encode(&self.client_id),
            encode(secret)
        ))
    }

    /// The body of a token request.
    pub(super) fn form(&self) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if self.client_auth != ClientAuth::Basic {
            form.append_pair("client_id", &self.client_id);
        }
        if let (ClientAuth::Post, Some(secret)) = (self.client_auth, &self.client_secret) {
            form.append_pair("client_secret", secret.expose());
        }
        let own = [
            ("scope", self.scope.as_ref().map(|words| &words.0)),
            ("audience", self.audience.as_ref()),
            ("resource", self.resource.as_ref()),
        ];
        for (name, value) in own {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        form.extend_pairs(&self.params);
        form.finish()
    }
}

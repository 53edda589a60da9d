//! The way to one address for connectors whose protocol travels on HTTP: the client, guard, certificates, proxy and
//! credentials of `http`, without its operations.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use renkei_core::{
    ConnectContext, Diagnostic, Diagnostics, Error, Node, Request, Result, Scope, Secret, call::Attempt,
    read::Bytes as Size,
};
use url::Url;

use super::{
    HttpSystem,
    client::{Http2, Pool, SentBody},
    config::{Auth, Config, Headers},
    error::Place,
    guard::{self, SystemLookup},
    proxy::ProxyUrl,
    reply,
    tls::TlsConfig,
    token::Tokens,
};

/// What a config says of the address. Each member is a key of its own.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) url: Url,
    pub(crate) private: bool,
    pub(crate) auth: Option<Auth>,
    pub(crate) headers: Headers,
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) proxy: Option<ProxyUrl>,
    pub(crate) no_proxy: Vec<String>,
}

impl Address {
    /// What `http` would say of it. `node` is the mapping in which its keys stand.
    pub(crate) fn check(&self, node: &Node, d: &mut Diagnostics) {
        let url = &self.url;
        let mut problem = |key: &str, message: String, hint: &str| {
            let span = node.get(key).map_or(node.span, |node| node.span);
            d.push(Diagnostic::error(span, message).hint(hint));
        };
        if !matches!(url.scheme(), "http" | "https") {
            let message = format!("`url` has the scheme `{}`", url.scheme());
            return problem("url", message, "write `https://…`; a program is started with `command`");
        }
        if !url.username().is_empty() || url.password().is_some() {
            let hint = "use `auth: { basic: { user: …, password: … } }`: then they are kept secret";
            problem("url", "`url` holds a user name or a password".into(), hint);
        }
        if url.fragment().is_some() {
            problem("url", "`url` has a fragment, which is never sent".into(), "remove it");
        }
        if let Err(refused) = guard::check_host(url, self.private) {
            let message = format!("the host of `url`, {refused}, is refused");
            problem("url", message, "if that is meant, add `private: true` beside `url`");
        }
        if self.tls.is_some() && url.scheme() == "http" {
            let message = "`tls` is of no use: `url` begins with `http://`".to_owned();
            problem("tls", message, "write `https://…`, or leave `tls` out");
        }
        if self.proxy.is_none() && !self.no_proxy.is_empty() {
            problem("no_proxy", "`no_proxy` without `proxy`".into(), "add `proxy`, or leave it out");
        }
        if let Some(Auth::OAuth2(oauth)) = &self.auth {
            oauth.check(self.private, node, d);
        }
    }

    /// Whether `headers` or `auth` use `$name`.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.auth.as_ref().is_some_and(|auth| auth.uses(name)) || self.headers.uses(name)
    }
}

impl From<Address> for Config {
    fn from(address: Address) -> Self {
        Config {
            base_url: address.url,
            private: address.private,
            auth: address.auth,
            headers: address.headers,
            idempotency_key: None,
            redirects: 0,
            max_body: Size(0),
            max_request: Size(0),
            tls: address.tls,
            // Streams of events are read as they come.
            compression: false,
            http2: Some(Http2::Auto),
            pool: Pool::default(),
            proxy: address.proxy,
            no_proxy: address.no_proxy,
        }
    }
}

/// A client for one address.
#[derive(Debug)]
pub(crate) struct Door {
    kind: &'static str,
    config: Arc<Config>,
    client: reqwest::Client,
    tokens: Option<Tokens>,
    /// The token of the last request, to be masked in what comes back.
    token: Mutex<Option<Secret>>,
    connect_timeout: Duration,
    read_timeout: Option<Duration>,
}

impl Door {
    /// Opens nothing yet. `kind` is the key under which the address stands, for messages.
    pub(crate) fn open(
        system: &Arc<str>,
        kind: &'static str,
        config: Arc<Config>,
        cx: &ConnectContext,
    ) -> Result<Self> {
        let system = HttpSystem { name: system.clone(), config };
        let (client, tokens) = system.client(Arc::new(SystemLookup::new()), cx)?;
        let (connect_timeout, read_timeout) = (cx.timeout, cx.read_timeout);
        let (config, token) = (system.config, Mutex::default());
        Ok(Door { kind, config, client, tokens, token, connect_timeout, read_timeout })
    }

    /// What must not be shown of what comes back.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        token.into_iter().chain(self.config.constant_secrets()).collect()
    }

    /// Sends a request, and waits for the head of its answer, whatever the status. `request` says for what it is,
    /// for messages. The headers of the config go before `headers`.
    ///
    /// # Errors
    /// It could not be sent, or nothing came back.
    pub(crate) async fn send(
        &self,
        method: Method,
        headers: &HeaderMap,
        body: Bytes,
        attempt: &Arc<Attempt>,
        request: &Request,
    ) -> Result<reqwest::Response> {
        let system = &request.op.system;
        let mut credentials = self.config.credentials(system, &Scope::default())?;
        let mut url = self.config.base_url.clone();
        if let Some((name, value)) = &credentials.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        let mut all = headers.clone();
        for (name, value) in &credentials.headers {
            all.insert(name.clone(), value.clone());
        }
        let mut is_renewed = false;
        loop {
            let token = match &self.tokens {
                Some(tokens) => Some(tokens.get().await?),
                None => None,
            };
            if let Some(token) = &token {
                all.insert(header::AUTHORIZATION, token.header.clone());
                credentials.hide(token.secret.clone());
                *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.secret.clone());
            }
            let place = self.place(request, &credentials.secrets);
            guard::check_host(&url, self.config.private).map_err(|refused| place.refused(&refused))?;
            let body = SentBody { bytes: body.clone(), attempt: attempt.clone() };
            let mut sent = reqwest::Request::new(method.clone(), url.clone());
            *sent.headers_mut() = all.clone();
            *sent.body_mut() = Some(reqwest::Body::wrap(body));
            let response = self.client.execute(sent).await;
            let response = response.map_err(|error| place.sending(&error, attempt.was_sent()))?;
            if response.status() == StatusCode::UNAUTHORIZED
                && let (Some(tokens), Some(used)) = (&self.tokens, &token)
                && !is_renewed
                && tokens.refuse(used)
            {
                is_renewed = true;
                continue;
            }
            return Ok(response);
        }
    }

    /// What the status of a failure means.
    pub(crate) async fn failure(&self, mut response: reqwest::Response, request: &Request) -> Error {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = reply::error_body(&mut response).await;
        self.status(status, &headers, &body, request)
    }

    /// The same for a body that was read already.
    pub(crate) fn status(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &str,
        request: &Request,
    ) -> Error {
        let secrets = self.secrets();
        self.place(request, &secrets).status(status, headers, body, None)
    }

    /// The next piece of a body; nothing at its end.
    pub(crate) async fn chunk(
        &self,
        response: &mut reqwest::Response,
        request: &Request,
    ) -> Result<Option<Bytes>> {
        match response.chunk().await {
            Ok(chunk) => Ok(chunk),
            Err(error) => {
                let secrets = self.secrets();
                Err(self.place(request, &secrets).broken(&error, response.status()))
            }
        }
    }

    /// A whole body of at most `limit` bytes; nothing if it is larger.
    pub(crate) async fn body(
        &self,
        response: &mut reqwest::Response,
        limit: usize,
        request: &Request,
    ) -> Result<Option<Bytes>> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk(response, request).await? {
            if body.len() + chunk.len() > limit {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body.freeze()))
    }

    fn place<'a>(&'a self, request: &'a Request, secrets: &'a [Secret]) -> Place<'a> {
        Place {
            request,
            host: self.config.base_url.host_str().unwrap_or_default(),
            secrets,
            connect_timeout: self.connect_timeout,
            read_timeout: self.read_timeout,
            proxy: self.config.proxy.as_ref().map(ProxyUrl::host),
            setting: "url",
            kind: self.kind,
        }
    }
}

//! One request and its answer.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use renkei_core::{Call, CallContext, Effect, Error, Reply, Request, Result, Value, call::Again};
use url::Url;

use super::{
    answer,
    client::SentBody,
    config::Config,
    credentials::Credentials,
    error::Place,
    guard, mask,
    pages::{Seen, Turn},
    prepare::Plan,
    proxy::{self, ProxyUrl},
    redirect, reply, revalidate,
    token::{Token, Tokens},
    wire,
};

/// The longest URL that is sent; HTTP libraries hold no longer one.
const MAX_URL: usize = 65_000;

/// A client for one system.
#[derive(Debug)]
pub(super) struct HttpCall {
    pub(super) config: Arc<Config>,
    pub(super) client: reqwest::Client,
    /// With `auth: { oauth2: … }`.
    pub(super) tokens: Option<Tokens>,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Option<Duration>,
}

/// A request that is ready to go.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Every hop so far stayed at the origin of `base_url`.
    pub(super) at_home: bool,
}

#[async_trait]
impl Call for HttpCall {
    async fn call(&self, cx: &CallContext, request: &Request) -> Result<Reply> {
        let plan = Plan::of(request)?;
        let mut credentials = self.config.credentials(&request.op.system, &request.vars)?;
        credentials.headers.extend(key_header(plan, request)?);
        let mut hop = self.outgoing(cx, request, plan, &credentials)?;
        let mut token = self.authorize(&mut hop, &mut credentials).await?;
        let mut renewed = false;
        let secret_parameter = credentials.query.as_ref().map(|(name, _)| name.clone());
        let mut asked = revalidate::ask(cx, plan, &mut hop);
        let home = hop.url.clone();
        let mut left = self.config.redirects;
        loop {
            let url = hop.url.clone();
            let place = Place {
                request,
                host: url.host_str().unwrap_or_default(),
                secrets: &credentials.secrets,
                connect_timeout: self.connect_timeout,
                read_timeout: self.read_timeout,
                proxy: self.config.proxy.as_ref().map(ProxyUrl::host),
                setting: "base_url",
                kind: "http",
            };
            guard::check_host(&hop.url, self.config.private).map_err(|refused| place.refused(&refused))?;
            let mut response = self.send(cx, &hop, &place).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            if let Some(location) = redirect::location(status, &headers) {
                if left == 0 {
                    let why = match self.config.redirects {
                        0 => "which is not followed; set `redirects` of the system, or correct the path"
                            .to_owned(),
                        max => format!("but {max} were followed already (`redirects`)"),
                    };
                    return Err(place.redirect(status, &location, &why));
                }
                left -= 1;
                // The operation's own conditions go on; ours were for the first server.
                if asked {
                    revalidate::forget(&mut hop);
                    asked = false;
                }
                hop = redirect::next(&home, hop, status, &location, plan, &credentials)
                    .and_then(|next| self.checked(next))
                    .map_err(|why| place.redirect(status, &location, &why))?;
                if !hop.at_home {
                    cx.attempt.mark_elsewhere();
                }
                continue;
            }
            if status == StatusCode::UNAUTHORIZED
                && let Some(used) = token.as_ref().filter(|_| hop.at_home && !renewed)
                && self.may_renew(used, request, &headers)
            {
                renewed = true;
                token = self.authorize(&mut hop, &mut credentials).await?;
                continue;
            }
            if !(status.is_success() || status == StatusCode::NOT_MODIFIED) {
                let body = reply::error_body(&mut response).await;
                cx.show(|| answer::shown(status, &headers, body.as_bytes(), place.secrets));
                let error = place.status(status, &headers, &body, plan.errors.get(status.as_u16()));
                return Err(plan.explained(error));
            }
            if asked && status == StatusCode::NOT_MODIFIED {
                return Ok(Reply { again: Again::Unchanged, ..Reply::json(Value::Null) });
            }
            let limit = plan.max_body.unwrap_or(self.config.max_body);
            let body = reply::body(response, limit, &place).await?;
            let raw = body.clone();
            cx.show(|| answer::shown(status, &headers, &raw, place.secrets));
            let (value, notices) = reply::decode(body, status, &headers, plan.read_as, &place)?;
            let meta = reply::meta(status, &headers, &url, secret_parameter.as_deref());
            let again = match left == self.config.redirects {
                true => revalidate::again(plan, status, &headers),
                false => Again::Whole,
            };
            let reply = Reply { value: value.clone(), meta: meta.clone(), notices, page: None, again };
            let mut reply = mask::reply(reply, &raw, &place);
            if let Some(pages) = &plan.pages {
                let (place, url, headers, bytes) = (&place, &url, &headers, raw.len() as u64);
                let (value, meta, secret_parameter) = (&value, &meta, secret_parameter.as_deref());
                let seen =
                    Seen { request, place, status, url, headers, value, meta, bytes, secret_parameter };
                pages.read_page(&seen, &mut reply);
            }
            return Ok(reply);
        }
    }
}

impl HttpCall {
    /// Puts a token into a request, where the system wants one.
    async fn authorize(&self, out: &mut Outgoing, credentials: &mut Credentials) -> Result<Option<Token>> {
        let Some(tokens) = &self.tokens else { return Ok(None) };
        let token = tokens.get().await?;
        out.headers.insert(header::AUTHORIZATION, token.header.clone());
        credentials.hide(token.secret.clone());
        Ok(Some(token))
    }

    /// Whether a request that was answered 401 goes out once more with another token. That is the second half of
    /// one exchange, not a retry: 401 says that the request was not applied (RFC 9110, section 15.5.2). A write that
    /// would happen twice if a server got that wrong goes only if the server names the token as the
    /// reason (RFC 6750, section 3.1): then it cannot have looked at the rest.
    fn may_renew(&self, used: &Token, request: &Request, headers: &HeaderMap) -> bool {
        let by_token = || {
            let mut challenges = headers.get_all(header::WWW_AUTHENTICATE).iter();
            challenges.any(|value| value.to_str().is_ok_and(|text| text.contains("invalid_token")))
        };
        let tokens = self.tokens.as_ref();
        (request.effect != Effect::Write || by_token()) && tokens.is_some_and(|tokens| tokens.refuse(used))
    }

    /// Refuses a redirect whose host the guard could not see.
    fn checked(&self, next: Outgoing) -> Result<Outgoing, String> {
        let config = &self.config;
        if config.proxy.is_some() && !config.private && proxy::hides(&config.base_url, &next.url) {
            return Err(
                "another host: behind the proxy nobody could tell whether it is a public one, so it is not followed; set `private: true` if that is meant".into(),
            );
        }
        Ok(next)
    }

    /// Puts the request together. Whatever is wrong with a value is found here, before anything is sent.
    fn outgoing(
        &self,
        cx: &CallContext,
        request: &Request,
        plan: &Plan,
        credentials: &Credentials,
    ) -> Result<Outgoing> {
        let turn = Turn::of(plan, request)?;
        let url = self.url(request, plan, &turn, credentials)?;
        let mut headers = default_headers(cx, plan);
        for (name, value) in &credentials.headers {
            headers.insert(name, value.clone());
        }
        let body = match body(&self.config, plan, request, &turn)? {
            Some((bytes, kind)) => {
                headers.insert(header::CONTENT_TYPE, kind);
                bytes
            }
            None => Bytes::new(),
        };
        for (name, value) in op_headers(plan, request, &turn)? {
            headers.insert(name, value);
        }
        // Without it, some servers answer 411 to a method that usually has a body.
        if body.is_empty() && matches!(plan.method, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(Outgoing { method: plan.method.clone(), url, headers, body, at_home: true })
    }

    /// `base_url`, the path and the query. The parser must not have found anything to repair.
    fn url(&self, request: &Request, plan: &Plan, turn: &Turn<'_>, credentials: &Credentials) -> Result<Url> {
        let base = &self.config.base_url;
        let (path, mut query) = target(base, plan, request, turn)?;
        if let Some((name, value)) = &credentials.query {
            let pair = format!("{}={}", wire::encode(name), wire::encode(value));
            query = Some(query.map_or_else(|| pair.clone(), |query| format!("{query}&{pair}")));
        }
        // The host need not be read again. What the parser had to mend in the rest shows below.
        let mut url = base.clone();
        url.set_path(&path);
        url.set_query(query.as_deref());
        let length = url.as_str().len();
        if length > MAX_URL {
            return Err(Error::invalid(format!(
                "the URL of the request has {length} bytes, more than {MAX_URL}; send what is long in the body"
            )));
        }
        if url.path() != path || url.query() != query.as_deref() {
            return Err(Error::internal(format!(
                "`{}` gives a URL that would be read differently; nothing was sent",
                request.op.label
            )));
        }
        Ok(url)
    }

    async fn send(&self, cx: &CallContext, out: &Outgoing, place: &Place<'_>) -> Result<reqwest::Response> {
        let body = SentBody { bytes: out.body.clone(), attempt: cx.attempt.clone() };
        let mut request = reqwest::Request::new(out.method.clone(), out.url.clone());
        *request.headers_mut() = out.headers.clone();
        *request.body_mut() = Some(reqwest::Body::wrap(body));
        let sent = self.client.execute(request).await;
        sent.map_err(|error| place.sending(&error, cx.attempt.was_sent()))
    }
}

/// The path, with that of `base_url`, and the query of the page that is asked for.
pub(super) fn target(
    base: &Url,
    plan: &Plan,
    request: &Request,
    turn: &Turn<'_>,
) -> Result<(String, Option<String>)> {
    if let Some(target) = &turn.target {
        return Ok(target.clone());
    }
    let path = plan.target.path(&plan.slots, &request.params)?;
    let query = plan.target.query(&plan.slots, &request.params, plan.style)?;
    let pairs: Vec<String> = query.into_iter().chain(turn.query.iter().cloned()).collect();
    let query = (!pairs.is_empty()).then(|| pairs.join("&"));
    Ok((format!("{}{path}", base.path().trim_end_matches('/')), query))
}

/// The operation's own headers, as far as they have a value.
pub(super) fn op_headers(
    plan: &Plan,
    request: &Request,
    turn: &Turn<'_>,
) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let mut headers = Vec::with_capacity(plan.headers.len());
    for head in &plan.headers {
        let value = head.value(&plan.slots, &request.params)?;
        headers.extend(value.map(|value| (head.name.clone(), value)));
    }
    headers.extend(turn.header.clone());
    Ok(headers)
}

/// The header that carries the key of the step.
fn key_header(plan: &Plan, request: &Request) -> Result<Option<(HeaderName, HeaderValue)>> {
    let Some(name) = &plan.key else { return Ok(None) };
    let key = request.vars.get("key").and_then(Value::as_str);
    let value = key.map(wire::header_value).and_then(Result::ok);
    match value {
        Some(value) => Ok(Some((name.clone(), value))),
        None => Err(Error::internal(format!("there is no key for the header `{name}`; nothing was sent"))),
    }
}

/// The body and its type, within the system's limit.
pub(super) fn body(
    config: &Config,
    plan: &Plan,
    request: &Request,
    turn: &Turn<'_>,
) -> Result<Option<(Bytes, HeaderValue)>> {
    let Some(body) = &plan.body else { return Ok(None) };
    let encoded = body.encode(&plan.slots, &request.params, plan.style, turn.body.as_ref())?;
    let limit = config.max_request;
    match &encoded {
        Some((bytes, _)) if bytes.len() as u64 > limit.0 => Err(Error::invalid(format!(
            "the request body has {} bytes, more than {limit} (`max_request` of system `{}`); send less",
            bytes.len(),
            request.op.system
        ))),
        _ => Ok(encoded),
    }
}

fn default_headers(cx: &CallContext, plan: &Plan) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let any = HeaderValue::from_static("application/json, text/*;q=0.9, */*;q=0.8");
    headers.insert(header::ACCEPT, plan.accept.clone().unwrap_or(any));
    if let Ok(parent) = HeaderValue::from_str(&cx.trace.parent) {
        headers.insert("traceparent", parent);
        if let Some(Ok(baggage)) = cx.trace.baggage.as_deref().map(HeaderValue::from_str) {
            headers.insert("baggage", baggage);
        }
        if let Some(Ok(state)) = cx.trace.state.as_deref().map(HeaderValue::from_str) {
            headers.insert("tracestate", state);
        }
    }
    headers
}

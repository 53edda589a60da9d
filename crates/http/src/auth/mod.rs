//! Who asks: an API key, a JSON Web Token, or nobody.

mod api_key;
mod jwt;

use std::{ops::ControlFlow, sync::Arc};

use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use renkei_core::Principal;

pub use self::{
    api_key::ApiKey,
    jwt::{Algorithm, JwtKey, JwtOptions},
};
use crate::reply::Refusal;

/// Public by its nature (RFC 8615): clients look here for how to authenticate, and must get an honest 404.
const PUBLIC: &str = "/.well-known/";

/// Which credentials let whom in.
#[derive(Clone, Debug)]
pub struct Authentication {
    /// Whether a request without credentials may pass, as `anonymous`. One with wrong ones never does.
    pub anonymous_allowed: bool,
    pub api_keys: Vec<ApiKey>,
    pub jwt: Vec<JwtKey>,
}

/// Everybody is anonymous.
impl Default for Authentication {
    fn default() -> Self {
        Authentication { anonymous_allowed: true, api_keys: Vec::new(), jwt: Vec::new() }
    }
}

/// Why a request may not pass: a sentence for its sender.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It came without credentials.
    Missing,
    Wrong(String),
}

impl Authentication {
    /// Says in the request's extensions who sent it. Otherwise its answer.
    pub(crate) fn admit(&self, request: &mut Request) -> ControlFlow<Response> {
        let principal = match request.uri().path().starts_with(PUBLIC) {
            true => Ok(Principal::anonymous()),
            false => self.principal(request.headers()),
        };
        match principal {
            Ok(principal) => {
                request.extensions_mut().insert(Arc::new(principal));
                ControlFlow::Continue(())
            }
            Err(refused) => ControlFlow::Break(unauthenticated(&refused)),
        }
    }

    /// The sender of a request with these headers.
    pub(crate) fn principal(&self, headers: &HeaderMap) -> Result<Principal, Refused> {
        if self.anonymous_allowed && self.api_keys.is_empty() && self.jwt.is_empty() {
            // Nothing is configured that could be right or wrong.
            return Ok(Principal::anonymous());
        }
        let Some(credential) = credential(headers)? else {
            return if self.anonymous_allowed { Ok(Principal::anonymous()) } else { Err(Refused::Missing) };
        };
        if let Some(principal) = api_key::find(&self.api_keys, credential) {
            return Ok(principal);
        }
        jwt::check(&self.jwt, credential).unwrap_or_else(|| wrong("the credentials are not known here"))
    }
}

fn wrong<T>(reason: &str) -> Result<T, Refused> {
    Err(Refused::Wrong(reason.to_owned()))
}

/// The one credential of a request: a bearer token, or an API key in its own header.
fn credential(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let authorization = headers.get_all(header::AUTHORIZATION).iter().map(|value| (value, true));
    let key = headers.get_all("x-api-key").iter().map(|value| (value, false));
    let mut all = authorization.chain(key);
    let (value, is_authorization) = match (all.next(), all.next()) {
        (None, _) => return Ok(None),
        (Some(one), None) => one,
        // Which one counts would depend on who reads them.
        (Some(_), Some(_)) => return wrong("the request carries more than one credential"),
    };
    let Ok(text) = value.to_str() else { return wrong("the credentials are not plain text") };
    let credential = match (is_authorization, text.split_once(' ')) {
        (false, _) => text,
        (true, Some((scheme, token))) if scheme.eq_ignore_ascii_case("bearer") => {
            token.trim_start_matches(' ')
        }
        (true, _) => return wrong("`Authorization` must be `Bearer` and a token"),
    };
    if credential.is_empty() || credential.contains([' ', ',']) {
        return wrong("the credential is empty, or has a space or a comma in it");
    }
    Ok(Some(credential))
}

/// 401, as RFC 6750 wants it.
fn unauthenticated(refused: &Refused) -> Response {
    let (challenge, message) = match refused {
        Refused::Missing => (
            r#"Bearer realm="renkei""#,
            "credentials are needed: send `Authorization: Bearer …` or `X-API-Key: …`",
        ),
        Refused::Wrong(reason) => (r#"Bearer realm="renkei", error="invalid_token""#, &**reason),
    };
    tracing::debug!(reason = message, "refused a request");
    let mut response = Refusal::new(StatusCode::UNAUTHORIZED, "unauthenticated", message).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

//! What a system adds to each request: its headers and what proves who asks.

use base64::Engine as _;
use http::{HeaderName, HeaderValue};
use renkei_core::{Error, Kind, Result, Scope, Secret, Value};

use super::{
    config::{Auth, Config, PerCall},
    proxy::ProxyUrl,
    wire,
};

/// What `auth` and `headers` add to one request.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// A key in the query: name and value.
    pub(super) query: Option<(String, String)>,
    /// What must not be shown, to be masked in whatever the system says: also as it is written in a
    /// URL, and longer ones first, because one may contain another.
    pub(super) secrets: Vec<Secret>,
}

impl Config {
    /// Renders what depends on the call. Nothing is sent when a part of `auth` has no value.
    pub(super) fn credentials(&self, system: &str, vars: &Scope) -> Result<Credentials> {
        let mut out = Credentials::default();
        for (name, value) in &self.headers.0 {
            let place = || format!("header `{name}` of system `{system}`");
            let Some(text) = text(value, vars, place)? else { continue };
            let value =
                wire::header_value(&text).map_err(|why| Error::internal(format!("{} {why}", place())))?;
            if looks_secret(name.as_str()) {
                out.secrets.push(Secret::new(text));
            }
            out.headers.push((name.clone(), value));
        }
        match &self.auth {
            None => {}
            Some(Auth::Bearer(token)) => {
                let token = required(token, vars, system, "bearer")?;
                out.authorization("Bearer", &token, system)?;
                out.secrets.push(Secret::new(token));
            }
            Some(Auth::Basic(basic)) => {
                let user = required(&basic.user, vars, system, "basic.user")?;
                let password = required(&basic.password, vars, system, "basic.password")?;
                if user.contains(':') {
                    return Err(Error::internal(format!(
                        "`auth.basic.user` of system `{system}` contains `:`, which HTTP does not allow"
                    )));
                }
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                out.authorization("Basic", &pair, system)?;
                out.secrets.extend([Secret::new(pair), Secret::new(password)]);
            }
            Some(Auth::ApiKey(key)) => {
                let value = required(&key.value, vars, system, "api_key.value")?;
                if let Some(header) = &key.header {
                    let name = HeaderName::try_from(&header.value[..]).map_err(|error| {
                        Error::internal(format!("`auth.api_key.header` of system `{system}`: {error}"))
                    })?;
                    out.headers.push((name, sensitive(&value, system)?));
                } else if let Some(name) = &key.query {
                    out.query = Some((name.clone(), value.clone()));
                }
                out.secrets.push(Secret::new(value));
            }
            // Its token is fetched when the rest of the request is known to be right.
            Some(Auth::OAuth2(oauth)) => out.secrets.extend(oauth.secrets()),
        }
        out.secrets.extend(self.proxy.iter().flat_map(ProxyUrl::secrets));
        out.seal();
        Ok(out)
    }
}

impl Config {
    /// What must not be shown and is the same in every call.
    pub(crate) fn constant_secrets(&self) -> Vec<Secret> {
        let mut out = Credentials::default();
        let telling = self.headers.0.iter().filter(|(name, _)| looks_secret(name.as_str()));
        let mut found: Vec<Option<String>> = telling.map(|(_, value)| value.constant()).collect();
        match &self.auth {
            Some(Auth::Bearer(token)) => found.push(token.constant()),
            Some(Auth::Basic(basic)) => {
                let (user, password) = (basic.user.constant(), basic.password.constant());
                let pair = user.zip(password.clone()).map(|(user, password)| format!("{user}:{password}"));
                let pair = pair.map(|pair| base64::engine::general_purpose::STANDARD.encode(pair));
                found.extend([password, pair]);
            }
            Some(Auth::ApiKey(key)) => found.push(key.value.constant()),
            Some(Auth::OAuth2(oauth)) => out.secrets.extend(oauth.secrets()),
            None => {}
        }
        out.secrets.extend(found.into_iter().flatten().map(Secret::new));
        out.secrets.extend(self.proxy.iter().flat_map(ProxyUrl::secrets));
        out.seal();
        out.secrets
    }
}

impl Credentials {
    /// Adds what must not be shown as it is written in a URL, and puts longer secrets first, because one
    /// may contain another.
    fn seal(&mut self) {
        let encoded = self.secrets.iter().map(|secret| Secret::new(wire::encode(secret.expose())));
        let encoded: Vec<Secret> = encoded.filter(|encoded| !self.secrets.contains(encoded)).collect();
        self.secrets.extend(encoded);
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
    }

    /// Notes a token, so that it is masked like all that is secret.
    pub(super) fn hide(&mut self, token: Secret) {
        self.secrets.push(token);
        self.seal();
    }

    fn authorization(&mut self, scheme: &str, credentials: &str, system: &str) -> Result<()> {
        let value = sensitive(&format!("{scheme} {credentials}"), system)?;
        self.headers.push((http::header::AUTHORIZATION, value));
        Ok(())
    }
}

fn sensitive(text: &str, system: &str) -> Result<HeaderValue> {
    let mut value = wire::header_value(text)
        .map_err(|why| Error::new(Kind::Unauthenticated, format!("`auth` of system `{system}` {why}")))?;
    value.set_sensitive(true);
    Ok(value)
}

fn text(value: &PerCall, vars: &Scope, place: impl Fn() -> String) -> Result<Option<String>> {
    match value.render(vars).map_err(|error| error.context(place()))? {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match wire::scalar(&value) {
            Some(text) => Ok(Some(text)),
            None => Err(Error::invalid(format!("{} is an {}: give it a text", place(), value.type_name()))),
        },
    }
}

fn required(value: &PerCall, vars: &Scope, system: &str, key: &str) -> Result<String> {
    let place = || format!("`auth.{key}` of system `{system}`");
    match text(value, vars, place)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(Error::new(
            Kind::Unauthenticated,
            format!("{} has no value for this caller; nothing was sent", place()),
        )),
    }
}

/// Headers whose values are kept out of messages although the config does not say that they are secret.
fn looks_secret(name: &str) -> bool {
    ["auth", "cookie", "key", "secret", "token", "password"].iter().any(|word| name.contains(word))
        && !name.contains("idempotency")
}

//! Tokens: fetched once for all calls, renewed in good time.
//!
//! A token belongs to the connection, as a session belongs to a connection to a database: getting one is a part of
//! connecting. It is fetched inside the call that needs it, before the request is marked as sent, and nothing
//! runs in the background.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{HeaderValue, Method, StatusCode, header};
use renkei_core::{Error, Kind, Retry, Secret, Value, duration};
use tokio::time::{Instant, timeout};
use url::Url;

use super::{
    error::{MAX_WORDS, NoConnection, cause, chain, cut, retry_after},
    guard,
    oauth::{ClientAuth, OAuth},
    reply, wire,
};

/// The largest answer of a token endpoint that is read.
const MAX_ANSWER: usize = 64 << 10;
/// A token is renewed so long before it expires; earlier than after three quarters of its life it never is.
const AHEAD: Duration = Duration::from_secs(60);
/// While a token is still good, a call waits no longer than this for the next one.
const PATIENCE: Duration = Duration::from_secs(1);
/// After a renewal that failed, a token that is still good is used for so long before the next one.
const PAUSE: Duration = Duration::from_secs(10);
/// A system that refuses a token younger than this would refuse the next one, too.
const YOUNG: Duration = Duration::from_secs(10);
/// A refusal that no repeat mends, such as a wrong secret, is remembered for so long: servers lock clients out
/// that go on asking.
const REFUSED: Duration = Duration::from_secs(5);
/// No token is taken to live longer.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// A token, and until when it is good. Without `expires` until the system refuses it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// `Bearer …`
    pub(super) header: HeaderValue,
    pub(super) secret: Secret,
    fetched: Instant,
    renew: Option<Instant>,
    expires: Option<Instant>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    /// How many requests for a token have ended, and how the last one failed.
    flights: u64,
    failure: Option<(Error, Instant)>,
}

/// The token of one system.
pub(super) struct Tokens {
    system: String,
    url: Url,
    private: bool,
    client: reqwest::Client,
    connect_timeout: Duration,
    /// The host of the proxy, for messages.
    proxy: Option<String>,
    limit: Duration,
    authorization: Option<HeaderValue>,
    form: String,
    secrets: Vec<Secret>,
    state: Mutex<State>,
    /// Held by the call that fetches.
    flight: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.url)
    }
}

impl Tokens {
    /// `private` is that of the token endpoint.
    pub(super) fn new(
        system: &str,
        oauth: &OAuth,
        private: bool,
        client: reqwest::Client,
        connect_timeout: Duration,
        proxy: Option<&str>,
    ) -> Result<Self, Error> {
        let authorization = match oauth.client_auth {
            ClientAuth::Basic => {
                let value = HeaderValue::try_from(format!("Basic {}", oauth.pair()));
                let mut value = value.map_err(|why| {
                    Error::internal(format!("the client of system `{system}` cannot be named")).detail(why)
                })?;
                value.set_sensitive(true);
                Some(value)
            }
            ClientAuth::Post | ClientAuth::None => None,
        };
        Ok(Tokens {
            system: system.into(),
            url: oauth.token_url.clone(),
            private,
            client,
            connect_timeout,
            proxy: proxy.map(Into::into),
            limit: oauth.timeout,
            authorization,
            form: oauth.form(),
            secrets: oauth.secrets(),
            state: Mutex::default(),
            flight: tokio::sync::Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token that is good now.
    ///
    /// # Errors
    /// What the token endpoint says, or that it cannot be reached. Nothing was applied.
    pub(super) async fn get(&self) -> Result<Token, Error> {
        let now = Instant::now();
        let (token, seen) = {
            let state = self.state();
            (state.token.clone(), state.flights)
        };
        match token {
            Some(token) if token.is_fresh(now) => Ok(token),
            Some(token) if token.is_good(now) => Ok(self.renewed(token).await),
            _ => self.next(seen).await,
        }
    }

    /// The next token if this call is the one to fetch it and gets it soon; else the one there is.
    async fn renewed(&self, token: Token) -> Token {
        let Ok(_flight) = self.flight.try_lock() else { return token };
        let current = self.state().token.clone();
        if let Some(current) = current.filter(|current| current.is_fresh(Instant::now())) {
            return current; // somebody was faster
        }
        let limit = self.limit.min(PATIENCE);
        self.fetch(limit).await.unwrap_or_else(|_| {
            if let Some(token) = &mut self.state().token {
                token.renew = Some(Instant::now() + PAUSE);
            }
            token
        })
    }

    /// Fetches a token, or waits for the call that does. `seen` is the number of flights before.
    async fn next(&self, seen: u64) -> Result<Token, Error> {
        let _flight = self.flight.lock().await;
        {
            let (state, now) = (self.state(), Instant::now());
            // What somebody else came to while this call waited goes for this one, too.
            match (&state.token, &state.failure) {
                (_, Some((failure, _))) if state.flights != seen => return Err(failure.clone()),
                (_, Some((failure, at))) if failure.retry_advice() == Retry::Never && now < *at + REFUSED => {
                    return Err(failure.clone());
                }
                (Some(token), _) if token.is_good(now) => return Ok(token.clone()),
                _ => {}
            }
        }
        self.fetch(self.limit).await
    }

    /// Forgets a token that the system refused with 401. False when another one would not help.
    pub(super) fn refuse(&self, token: &Token) -> bool {
        let mut state = self.state();
        match &state.token {
            // Somebody else was faster.
            Some(current) if current.secret != token.secret => return true,
            _ => {}
        }
        if token.fetched.elapsed() < YOUNG {
            return false;
        }
        state.token = None;
        true
    }

    async fn fetch(&self, limit: Duration) -> Result<Token, Error> {
        let result = match timeout(limit, self.ask()).await {
            Ok(result) => result,
            Err(_) => {
                let text = format!(
                    "`{}` did not answer within {} (`auth.oauth2.timeout`)",
                    self.host(),
                    duration::format(limit)
                );
                Err(self.error(Kind::Unavailable, text))
            }
        };
        let mut state = self.state();
        state.flights += 1;
        match &result {
            Ok(token) => (state.token, state.failure) = (Some(token.clone()), None),
            Err(error) => state.failure = Some((error.clone(), Instant::now())),
        }
        result
    }

    async fn ask(&self) -> Result<Token, Error> {
        guard::check_host(&self.url, self.private).map_err(|refused| self.refused(&refused))?;
        let asked = Instant::now();
        let mut request = reqwest::Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        *request.body_mut() = Some(self.form.clone().into());
        let mut response = self.client.execute(request).await.map_err(|error| self.unsent(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = match reply::at_most(&mut response, MAX_ANSWER).await {
            Ok(Some(body)) => body,
            Ok(None) => {
                let text = format!("`{}` answered {} with more than 64KB", self.host(), status.as_u16());
                return Err(self.error(Kind::Unavailable, text).retry(Retry::Never));
            }
            Err(error) => return Err(self.unsent(&error)),
        };
        if !status.is_success() {
            return Err(self.status(status, &headers, &body));
        }
        self.read(&body, asked).map_err(|why| {
            let text =
                format!("`{}` answered {}, but {why}; check `token_url`", self.host(), status.as_u16());
            self.error(Kind::Unavailable, text).retry(Retry::Never)
        })
    }

    /// RFC 6749, section 5.1.
    fn read(&self, body: &[u8], asked: Instant) -> Result<Token, String> {
        let answer = Value::from_json(body).map_err(|_| "its body is not valid JSON".to_owned())?;
        let text = |key: &str| answer.get(key).and_then(Value::as_str);
        let token =
            text("access_token").filter(|token| !token.is_empty()).ok_or("it holds no `access_token`")?;
        if let Some(other) = text("token_type")
            // Apigee has the second.
            && !["bearer", "bearertoken"].iter().any(|known| other.eq_ignore_ascii_case(known))
        {
            return Err(format!(
                "its token is of the type `{}`, which is not spoken",
                self.redact(cut(other, 100))
            ));
        }
        let mut header =
            wire::header_value(&format!("Bearer {token}")).map_err(|why| format!("its token {why}"))?;
        header.set_sensitive(true);
        // Some write the number as a text.
        let seconds =
            answer.get("expires_in").and_then(wire::scalar).and_then(|text| text.parse::<f64>().ok());
        let life = seconds
            .filter(|seconds| seconds.is_finite())
            .map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, LONGEST.as_secs_f64())));
        Ok(Token {
            header,
            secret: Secret::new(token),
            fetched: asked,
            renew: life.map(|life| asked + life.saturating_sub(AHEAD).max(life * 3 / 4)),
            expires: life.map(|life| asked + life),
        })
    }

    /// RFC 6749, section 5.2.
    fn status(&self, status: StatusCode, headers: &http::HeaderMap, body: &[u8]) -> Error {
        let answer = Value::from_json(body).ok();
        let word = |key: &str| {
            let text = answer.as_ref()?.get(key)?.as_str()?;
            let text: String = text.chars().filter(|c| !c.is_control()).collect();
            Some(self.redact(cut(&text, MAX_WORDS))).filter(|text| !text.is_empty())
        };
        let (code, words) = (word("error"), word("error_description"));
        let mut text = format!("`{}` answered {}", self.host(), status.as_u16());
        if let Some(code) = &code {
            text += &format!(" `{code}`");
        }
        if let Some(words) = &words {
            text += &format!(": {}", words.trim_end_matches('.'));
        }
        let number = status.as_u16();
        let hint = match code.as_deref() {
            Some("invalid_client") => {
                "check `client_id` and `client_secret`, and whether the server wants `client_auth: post`"
            }
            Some("invalid_scope") => "check `scope`",
            Some("invalid_target") => "check `resource` and `audience`",
            Some("unauthorized_client" | "unsupported_grant_type") => {
                "allow this client the grant `client_credentials` there"
            }
            _ if status.is_redirection() => "redirects are not followed there: check `token_url`",
            _ if matches!(number, 404 | 405) => "check `token_url`",
            _ if matches!(number, 401 | 403) => "check `client_id` and `client_secret`",
            _ => "",
        };
        if !hint.is_empty() {
            text += &format!("; {hint}");
        }
        let (kind, retry) = match number {
            429 => (Kind::RateLimited, Retry::Safe),
            408 | 500..=599 => (Kind::Unavailable, Retry::Safe),
            400 | 401 | 403 => (Kind::Unauthenticated, Retry::Never),
            _ => (Kind::Internal, Retry::Never),
        };
        let retry = match (retry, retry_after(headers, jiff::Timestamp::now())) {
            (Retry::Safe, Some(wait)) => Retry::After(wait),
            (retry, _) => retry,
        };
        self.error(kind, text).retry(retry)
    }

    fn unsent(&self, error: &reqwest::Error) -> Error {
        if let Some(refused) = cause::<guard::Refused>(error) {
            return self.refused(refused);
        }
        let why = NoConnection {
            host: self.host(),
            system: &self.system,
            setting: "token_url",
            connect_timeout: self.connect_timeout,
            proxy: self.proxy.as_deref(),
        };
        match why.read(error) {
            Some(found) => found.context(self.place()),
            None => self.error(Kind::Unavailable, format!("`{}` broke off", self.host())),
        }
        .detail(self.redact(&chain(error)))
    }

    fn refused(&self, refused: &guard::Refused) -> Error {
        let text = format!(
            "the host `{}` is {}, which `token_url` may not be; set `private: true` beside it if that is meant",
            refused.host, refused.why
        );
        self.error(Kind::Forbidden, text).detail(refused)
    }

    fn error(&self, kind: Kind, text: String) -> Error {
        Error::new(kind, text).context(self.place())
    }

    fn place(&self) -> String {
        format!("token for system `{}`", self.system)
    }

    fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    fn redact(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| secret.redact(&text))
    }
}

impl Token {
    fn is_good(&self, now: Instant) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.is_good(now) && self.renew.is_none_or(|renew| now < renew)
    }
}

//! What a failure means: the kind, whether a repeat can help, and whether it happened anyway.

use std::{error::Error as _, time::Duration};

use http::{HeaderMap, StatusCode, header};
use jiff::fmt::rfc2822::DateTimeParser;
use renkei_core::{Applied, Effect, Error, Kind, Request, Retry, Secret, duration};

use super::guard::Refused;

/// How much of a system's own words goes into an error.
pub(super) const MAX_WORDS: usize = 2_000;
/// How much of an error's body is read for that: an HTML page has its text far down.
pub(super) const MAX_ERROR_BODY: usize = 64 << 10;

/// What is known where a request failed.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) request: &'a Request,
    pub(super) host: &'a str,
    pub(super) secrets: &'a [Secret],
    pub(super) connect_timeout: Duration,
    /// How long it may be silent.
    pub(super) read_timeout: Option<Duration>,
    /// The host of the proxy, if there is one.
    pub(super) proxy: Option<&'a str>,
    /// The key of the config that names the host, and the connector's.
    pub(super) setting: &'static str,
    pub(super) kind: &'static str,
}

impl Place<'_> {
    fn system(&self) -> &str {
        &self.request.op.system
    }

    /// Masks the secrets of the system in its own words.
    pub(super) fn redact(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| secret.redact(&text))
    }

    /// Nobody knows whether it happened, unless there was nothing to happen.
    fn unknown(&self) -> Applied {
        match self.request.effect {
            Effect::Read => Applied::No,
            Effect::Idempotent | Effect::Write => Applied::Unknown,
        }
    }

    /// It happened: the system said so before something else went wrong.
    fn done(&self) -> Applied {
        match self.request.effect {
            Effect::Read => Applied::No,
            Effect::Idempotent | Effect::Write => Applied::Yes,
        }
    }

    /// The request could not be sent, or no answer came.
    pub(super) fn sending(&self, error: &reqwest::Error, sent: bool) -> Error {
        if let Some(refused) = cause::<Refused>(error) {
            return self.refused(refused);
        }
        let (system, host) = (self.system(), self.host);
        let detail = self.redact(&chain(error));
        let connection = NoConnection {
            host,
            system,
            setting: self.setting,
            connect_timeout: self.connect_timeout,
            proxy: self.proxy,
        };
        if let Some(found) = connection.read(error) {
            return found.detail(detail);
        }
        if let Some(broken) = cause::<hyper::Error>(error).filter(|broken| broken.is_parse()) {
            let what = match broken.is_parse_too_large() {
                true => "with a head that is too large: more than 100 headers, or 400 KB",
                false => "with what is not valid HTTP",
            };
            let text = format!("`{host}` answered {what}; check `{}` of system `{system}`", self.setting);
            let applied = if sent { self.unknown() } else { Applied::No };
            return Error::unavailable(text).detail(detail).applied(applied);
        }
        if error.is_timeout() {
            return self.silent(sent).detail(detail).applied(if sent { self.unknown() } else { Applied::No });
        }
        if error.is_builder() || error.is_request() && !sent {
            return Error::unavailable(format!("the request to system `{system}` could not be sent"))
                .detail(detail);
        }
        Error::unavailable(format!(
            "`{host}` broke off before it answered; system `{system}` may be overloaded"
        ))
        .detail(detail)
        .applied(if sent { self.unknown() } else { Applied::No })
    }

    /// It said nothing for too long.
    fn silent(&self, sent: bool) -> Error {
        let limit = duration::format(self.read_timeout.unwrap_or_default());
        let what = if sent { " after the request was sent" } else { "; nothing was sent" };
        Error::new(Kind::Timeout, format!("`{}` was silent for {limit} (`timeout.read`){what}", self.host))
    }

    /// The guard said no. The address itself is for the operator.
    pub(super) fn refused(&self, refused: &Refused) -> Error {
        Error::new(
            Kind::Forbidden,
            format!(
                "the host `{}` is {}, which system `{}` may not reach; set `private: true` in its `{}` if that is meant",
                refused.host, refused.why, self.system(), self.kind
            ),
        )
        .detail(refused)
    }

    /// The system answered with the status of a failure.
    pub(super) fn status(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &str,
        override_kind: Option<Kind>,
    ) -> Error {
        let (kind, retry, applied) = meaning(status.as_u16());
        let kind = override_kind.unwrap_or(kind);
        let retry = match (retry, retry_after(headers, jiff::Timestamp::now())) {
            (Retry::Safe, Some(wait)) => Retry::After(wait),
            // A status that the config calls a "no" is an answer, not a failure.
            (Retry::Safe, None) if override_kind.is_some_and(|kind| !passing(kind)) => Retry::Never,
            (retry, _) => retry,
        };
        let words = words(headers, body);
        let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
        let mut public = format!(
            "system `{}` answered {}{reason} to `{}`",
            self.system(),
            status.as_u16(),
            self.request.op.label
        );
        if !words.is_empty() {
            public += ": ";
            public += cut(&self.redact(&words), MAX_WORDS);
        }
        Error::new(kind, public)
            .retry(retry)
            .applied(match applied {
                Applied::Unknown => self.unknown(),
                applied => applied,
            })
            .status(status.as_u16())
    }

    /// A redirect that is not followed.
    pub(super) fn redirect(&self, status: StatusCode, location: &str, why: &str) -> Error {
        Error::internal(format!(
            "system `{}` answered {} and points to `{}`, {why}",
            self.system(),
            status.as_u16(),
            cut(&self.redact(location), 300),
        ))
        .applied(self.unknown())
        .status(status.as_u16())
    }

    /// The system did it, but its answer cannot be used.
    pub(super) fn reply(&self, kind: Kind, status: StatusCode, why: impl std::fmt::Display) -> Error {
        Error::new(kind, format!("system `{}` answered {}, but {why}", self.system(), status.as_u16()))
            .retry(Retry::Never)
            .applied(self.done())
            .status(status.as_u16())
    }

    /// The answer broke off before it said what became of the request.
    pub(super) fn broken(&self, error: &reqwest::Error, status: StatusCode) -> Error {
        self.cut_off(error, status).applied(self.unknown())
    }

    /// The answer broke off.
    pub(super) fn cut_off(&self, error: &reqwest::Error, status: StatusCode) -> Error {
        let retry = if self.request.effect == Effect::Read { Retry::Safe } else { Retry::Never };
        let (kind, why) = match error.is_timeout() {
            true => {
                let limit = duration::format(self.read_timeout.unwrap_or_default());
                (Kind::Timeout, format!("fell silent for {limit} in the middle of it (`timeout.read`)"))
            }
            false => (Kind::Unavailable, "its answer broke off in the middle".to_owned()),
        };
        self.reply(kind, status, why).retry(retry).detail(self.redact(&chain(error)))
    }
}

/// Where a connection was to lead.
#[derive(Debug)]
pub(super) struct NoConnection<'a> {
    pub(super) host: &'a str,
    pub(super) system: &'a str,
    /// The key of the config that names the host.
    pub(super) setting: &'a str,
    pub(super) connect_timeout: Duration,
    pub(super) proxy: Option<&'a str>,
}

impl NoConnection<'_> {
    /// Why there was none; nothing if there was one. The request was not carried out.
    pub(super) fn read(&self, error: &reqwest::Error) -> Option<Error> {
        let Self { host, system, setting, .. } = self;
        if let Some(text) = self.refused_client(error) {
            return Some(Error::new(Kind::Unauthenticated, text));
        }
        if !error.is_connect() {
            return None;
        }
        let through = self.proxy.map(|proxy| format!(" through the proxy `{proxy}`")).unwrap_or_default();
        let public = if error.is_timeout() {
            let limit = duration::format(self.connect_timeout);
            format!(
                "no connection to `{host}`{through} within {limit} (`timeout.connect`); system `{system}` may be down"
            )
        } else if error.is_dns() {
            match self.proxy {
                // Nobody but the proxy resolves other names, except those of `no_proxy`.
                Some(proxy) => format!(
                    "the name of the proxy `{proxy}`, or of a host in `no_proxy`, could not be resolved; check both in system `{system}`"
                ),
                None => {
                    format!("the name `{host}` could not be resolved; check `{setting}` of system `{system}`")
                }
            }
        } else if let Some(why) = cause::<rustls::Error>(error) {
            format!("no secure connection to `{host}`: TLS failed; {}", self.untrusted(why))
        } else if chain(error).contains("proxy authorization required") {
            let text = format!(
                "the proxy `{}` wants another name or password; check `proxy` of system `{system}`",
                self.proxy.unwrap_or_default()
            );
            return Some(Error::new(Kind::Unauthenticated, text));
        } else {
            format!("no connection to `{host}`{through}; system `{system}` may be down")
        };
        Some(Error::unavailable(public))
    }

    /// The server ended the handshake because of who we are. With TLS 1.3 that comes after the request has left,
    /// but a server reads nothing of it before the handshake is whole.
    fn refused_client(&self, error: &reqwest::Error) -> Option<String> {
        // A text, because HTTP/2 hands on nothing else.
        let chain = chain(error);
        let (_, alert) = chain.split_once("received fatal alert: ")?;
        let why = match alert.split(|c: char| !c.is_ascii_alphabetic()).next()? {
            "CertificateRequired" => "it asks for a client certificate",
            "CertificateExpired" => "the client certificate has expired",
            "CertificateRevoked" => "the client certificate is revoked",
            "UnknownCA" => "it does not know the authority of the client certificate",
            "BadCertificate" | "UnsupportedCertificate" | "CertificateUnknown" | "DecryptError" => {
                "it does not accept the client certificate"
            }
            "AccessDenied" => "the client certificate is not allowed there",
            _ => return None,
        };
        Some(format!(
            "`{}` refused the connection: {why}; check `cert` and `key` in `tls` of system `{}`",
            self.host, self.system
        ))
    }

    fn untrusted(&self, why: &rustls::Error) -> String {
        use rustls::CertificateError as Bad;
        let system = self.system;
        match why {
            rustls::Error::InvalidCertificate(Bad::UnknownIssuer) => format!(
                "its certificate comes from no known authority; if it is one of your own, set `tls: {{ ca: … }}` of system `{system}`"
            ),
            rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
                "its certificate has expired".into()
            }
            rustls::Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
                format!("its certificate is for another name; check `{}` of system `{system}`", self.setting)
            }
            rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion) => {
                format!(
                    "it speaks no version of TLS that is allowed; see `min_version` in `tls` of system `{system}`"
                )
            }
            rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure) => {
                format!(
                    "it ended the handshake, perhaps for want of a client certificate; see `tls` of system `{system}`"
                )
            }
            _ => format!("check the certificate of system `{system}`"),
        }
    }
}

fn passing(kind: Kind) -> bool {
    matches!(kind, Kind::RateLimited | Kind::Unavailable | Kind::Timeout)
}

/// What a status means unless the operation's `errors` says otherwise. A 5xx may come after the
/// effect; a 4xx says that the request was not carried out.
fn meaning(status: u16) -> (Kind, Retry, Applied) {
    match status {
        401 | 407 => (Kind::Unauthenticated, Retry::Never, Applied::No),
        402 => (Kind::Rejected, Retry::Never, Applied::No),
        403 | 451 => (Kind::Forbidden, Retry::Never, Applied::No),
        404 | 410 => (Kind::NotFound, Retry::Never, Applied::No),
        409 | 412 | 423 | 428 => (Kind::Conflict, Retry::Never, Applied::No),
        408 => (Kind::Timeout, Retry::Safe, Applied::No),
        425 => (Kind::Unavailable, Retry::Safe, Applied::No),
        429 => (Kind::RateLimited, Retry::Safe, Applied::No),
        // The request's form is the config's doing, not the caller's.
        405 | 406 | 411 | 415 | 417 | 421 | 426 => (Kind::Internal, Retry::Never, Applied::No),
        400..=499 => (Kind::Invalid, Retry::Never, Applied::No),
        501 | 505 => (Kind::Internal, Retry::Never, Applied::No),
        504 => (Kind::Timeout, Retry::Safe, Applied::Unknown),
        500..=599 => (Kind::Unavailable, Retry::Safe, Applied::Unknown),
        _ => (Kind::Internal, Retry::Never, Applied::Unknown),
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3). A date in the past is "now".
pub(crate) fn retry_after(headers: &HeaderMap, now: jiff::Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    // A wrong day of the week is no reason to come back at once.
    static DATES: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    let date = DATES.parse_timestamp(text).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

/// The body of an error as a few words. A page is reduced to its title, or else its text.
fn words(headers: &HeaderMap, body: &str) -> String {
    let html = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"));
    let start = body.trim_start().get(..15).unwrap_or_default().to_ascii_lowercase();
    let text = if html || start.starts_with("<!doctype html") || start.starts_with("<html") {
        match element(body, "title").map(plain).filter(|title| !title.trim().is_empty()) {
            Some(title) => title,
            None => plain(body),
        }
    } else {
        body.to_owned()
    };
    // Control characters would garble terminals and logs.
    let text: String = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// The text inside the first element `name`.
fn element<'t>(html: &'t str, name: &str) -> Option<&'t str> {
    // Lower-casing ASCII keeps all offsets.
    let lower = html.to_ascii_lowercase();
    let open = lower.find(&format!("<{name}"))?;
    let start = open + lower[open..].find('>')? + 1;
    let end = start + lower[start..].find(&format!("</{name}"))?;
    html.get(start..end)
}

/// Text without tags, scripts and styles.
fn plain(html: &str) -> String {
    // Lower-cased once, not a tag: a page of nothing but `<` must not cost more than its length.
    let lower = html.to_ascii_lowercase();
    let mut out = String::new();
    let mut at = 0;
    while let Some(open) = lower[at..].find('<').map(|offset| at + offset) {
        out += &html[at..open];
        out.push(' ');
        let tag = &lower[open + 1..];
        let end = if tag.starts_with("!--") {
            tag.find("-->").map(|offset| offset + 3)
        } else {
            let hidden = ["script", "style", "head"].into_iter().find(|name| tag.starts_with(name));
            let close = match hidden {
                Some(name) => tag.find(&format!("</{name}")),
                None => Some(0),
            };
            close.and_then(|close| tag[close..].find('>').map(|offset| close + offset + 1))
        };
        match end {
            Some(end) => at = open + 1 + end,
            None => return tidy(out),
        }
    }
    out += &html[at..];
    tidy(out)
}

/// Text with its entities read and its white space collapsed.
fn tidy(mut out: String) -> String {
    for (entity, letter) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")]
    {
        out = out.replace(entity, letter);
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most `max` bytes, whole letters.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max { text } else { &text[..text.floor_char_boundary(max)] }
}

/// The first error of type `T` among the causes.
pub(crate) fn cause<T: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// The causes of an error, without itself: its own text has the URL, which may hold what is secret.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |error| {
        let error = *error;
        // An `io::Error` gives the cause of what it wraps, not what it wraps.
        match error.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()) {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        }
    })
}

pub(crate) fn chain(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    texts.dedup();
    if texts.is_empty() { "no more is known".to_owned() } else { texts.join(": ") }
}

//! How OpenDAL's requests go out: through our own client, past the guard, with what happens noted.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::BytesMut;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Request, Response, header};
use opendal_core::{Buffer, ErrorKind, HttpBody, HttpTransport};
use renkei_core::{Applied, Error, Kind, Retry, Secret, call::Attempt, duration, read::Bytes};
use url::Url;

use super::super::{error::Place, store::Condition};
use crate::http::{
    client::SentBody,
    error::{cause, chain, retry_after},
    guard::{self, Refused},
};

/// What all calls of a system share.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) client: reqwest::Client,
    pub(super) private: bool,
    pub(super) connect_timeout: Duration,
    /// The largest answer that is read.
    pub(super) max_answer: Bytes,
    /// What must not be shown, to be masked in the store's own words.
    pub(super) secrets: Vec<Secret>,
}

impl Wire {
    /// Masks the secrets of the system in the store's words.
    pub(super) fn redact(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| secret.redact(&text))
    }
}

/// The requests of one call.
#[derive(Clone)]
pub(super) struct Requests {
    pub(super) wire: Arc<Wire>,
    pub(super) place: Place,
    pub(super) attempt: Arc<Attempt>,
    pub(super) noted: Arc<Mutex<Noted>>,
    /// For requests that OpenDAL cannot make conditional.
    pub(super) when: Option<Condition>,
}

/// What the last request of a call came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Noted {
    /// It got no answer, or not a whole one.
    pub(super) failure: Option<Error>,
    pub(super) status: Option<u16>,
    pub(super) retry_after: Option<Duration>,
}

impl HttpTransport for Requests {
    async fn fetch(&self, request: Request<Buffer>) -> opendal_core::Result<Response<HttpBody>> {
        *self.noted() = Noted::default();
        self.answer(request).await.map_err(|failure| {
            let error = opendal_core::Error::new(ErrorKind::Unexpected, failure.public());
            self.noted().failure = Some(failure);
            error
        })
    }
}

impl Requests {
    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Buffer>) -> Result<Response<HttpBody>, Error> {
        let (parts, body) = request.into_parts();
        let system = &self.place.system;
        let url = Url::parse(&parts.uri.to_string()).map_err(|why| {
            Error::internal(format!("the address of system `{system}` is none; check its config")).detail(why)
        })?;
        let host = url.host_str().unwrap_or_default().to_owned();
        guard::check_host(&url, self.wire.private).map_err(|refused| self.refused(&refused))?;
        let mut outgoing = reqwest::Request::new(parts.method, url);
        *outgoing.headers_mut() = parts.headers;
        self.add_condition(&mut outgoing)?;
        let body = SentBody { bytes: body.to_bytes(), attempt: self.attempt.clone() };
        *outgoing.body_mut() = Some(reqwest::Body::wrap(body));
        let sent = self.wire.client.execute(outgoing).await;
        let mut answer = sent.map_err(|why| self.unsent(&why, &host))?;
        {
            let mut noted = self.noted();
            noted.status = Some(answer.status().as_u16());
            noted.retry_after = retry_after(answer.headers(), jiff::Timestamp::now());
        }
        // Whole answers are small: what is read is asked for in parts.
        let length = answer.content_length();
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|why| self.cut_off(&why, &host))? {
            if (body.len() + chunk.len()) as u64 > self.wire.max_answer.0 {
                return Err(self.too_large());
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            *headers = answer.headers().clone();
        }
        let body = Buffer::from(body.freeze());
        let length = length.filter(|length| *length == body.len() as u64);
        let body = HttpBody::new(stream::iter([Ok(body)]), length);
        response.body(body).map_err(|why| Error::internal("read the answer of a store").detail(why))
    }

    /// RFC 9110, section 13.1, and RFC 4918, section 10.6.
    fn add_condition(&self, outgoing: &mut reqwest::Request) -> Result<(), Error> {
        let (name, value) = match (outgoing.method().as_str(), &self.when) {
            ("PUT", Some(Condition::Absent)) => (header::IF_NONE_MATCH, HeaderValue::from_static("*")),
            ("PUT", Some(Condition::Etag(etag))) => {
                let value = HeaderValue::from_str(etag).map_err(|_| {
                    Error::invalid("`etag` is none; give that of the file as it was read; nothing was sent")
                })?;
                (header::IF_MATCH, value)
            }
            ("COPY" | "MOVE", Some(Condition::Absent)) => {
                (HeaderName::from_static("overwrite"), HeaderValue::from_static("F"))
            }
            _ => return Ok(()),
        };
        outgoing.headers_mut().insert(name, value);
        Ok(())
    }

    /// The guard said no. The address itself is for the operator.
    fn refused(&self, refused: &Refused) -> Error {
        let text = format!(
            "the host `{}` is {}, which system `{}` may not reach; set `private: true` in its `files` if that is meant",
            refused.host, refused.why, self.place.system
        );
        Error::new(Kind::Forbidden, text).detail(refused)
    }

    /// The request could not be sent, or no answer came.
    fn unsent(&self, why: &reqwest::Error, host: &str) -> Error {
        if let Some(refused) = cause::<Refused>(why) {
            return self.refused(refused);
        }
        let system = &self.place.system;
        let detail = self.wire.redact(&chain(why));
        if !why.is_connect() {
            let sent = self.attempt.was_sent();
            let text = format!("`{host}` broke off before it answered; system `{system}` may be overloaded");
            let applied = if sent { self.place.unknown() } else { Applied::No };
            return Error::unavailable(text).detail(detail).applied(applied);
        }
        let text = if why.is_timeout() {
            let limit = duration::format(self.wire.connect_timeout);
            format!(
                "no connection to `{host}` within {limit} (`timeout.connect`); system `{system}` may be down"
            )
        } else if why.is_dns() {
            format!("the name `{host}` could not be resolved; check the address of system `{system}`")
        } else if cause::<rustls::Error>(why).is_some() {
            format!(
                "no secure connection to `{host}`: TLS failed; check the certificate of system `{system}`"
            )
        } else {
            format!("no connection to `{host}`; system `{system}` may be down")
        };
        Error::unavailable(text).detail(detail)
    }

    fn cut_off(&self, why: &reqwest::Error, host: &str) -> Error {
        let text = format!("the answer of `{host}`, system `{}`, broke off in the middle", self.place.system);
        let retry = if self.place.verb.changes() { Retry::Never } else { Retry::Safe };
        Error::unavailable(text)
            .retry(retry)
            .applied(self.place.unknown())
            .detail(self.wire.redact(&chain(why)))
    }

    fn too_large(&self) -> Error {
        let text = format!(
            "system `{}` gave an answer of more than {}, which is more than it was asked for",
            self.place.system, self.wire.max_answer
        );
        Error::internal(text).applied(self.place.unknown())
    }
}

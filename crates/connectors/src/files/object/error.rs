//! What a store's own failures mean.

use opendal_core::ErrorKind;
use renkei_core::{Applied, Error, Kind, Retry};

use super::{
    super::{error::Place, path::FilePath, store::Condition},
    transport::{Noted, Wire},
};
use crate::http::error::cut;

/// How much of a store's own words goes into an error.
const MAX_WORDS: usize = 300;

/// An operation that failed.
pub(super) struct Failed<'a> {
    pub(super) place: &'a Place,
    pub(super) wire: &'a Wire,
    pub(super) path: &'a FilePath,
    pub(super) when: &'a Condition,
    pub(super) noted: Noted,
}

impl Failed<'_> {
    pub(super) fn error(&self, why: &opendal_core::Error) -> Error {
        // What happened to the request says more than what was made of it.
        if let Some(failure) = &self.noted.failure {
            return failure.clone();
        }
        let (place, path) = (self.place, self.path);
        let said = why.message();
        let error = match why.kind() {
            _ if ACCESS_KEY.iter().any(|code| said.contains(code)) || self.noted.status == Some(401) => {
                place.error(Kind::Unauthenticated, path, "the store does not accept the system's access key")
            }
            ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists => self.condition(),
            // The condition was our own, so OpenDAL knows nothing of it.
            _ if self.noted.status == Some(412) => self.condition(),
            ErrorKind::NotFound => place.not_found(path),
            ErrorKind::PermissionDenied => {
                place.error(Kind::Forbidden, path, "the store does not allow it to this access key")
            }
            ErrorKind::Conflict => {
                let why = "another change of the same file is under way";
                place.error(Kind::Conflict, path, why).retry(Retry::Safe)
            }
            ErrorKind::IsADirectory => place.is_folder(path),
            ErrorKind::NotADirectory => place.is_file(path),
            ErrorKind::RangeNotSatisfied => {
                place.error(Kind::Invalid, path, "`offset` is beyond the end of the file")
            }
            ErrorKind::RateLimited => {
                place.error(Kind::RateLimited, path, "the store asks for fewer requests").retry(self.retry())
            }
            ErrorKind::ConfigInvalid => {
                let why = "the store knows no such bucket or folder; check the system's config";
                place.error(Kind::Unavailable, path, why).retry(Retry::Never)
            }
            ErrorKind::Unsupported => place.error(Kind::Internal, path, "the store has no such operation"),
            _ => self.unexpected(why),
        };
        let error = error.detail(self.wire.redact(&why.to_string()));
        match self.noted.status {
            Some(status) => error.status(status),
            None => error,
        }
    }

    fn condition(&self) -> Error {
        match self.when {
            _ if !self.place.verb.changes() => {
                let why = "it was changed while it was read";
                self.place.error(Kind::Unavailable, self.path, why).retry(Retry::Safe)
            }
            Condition::Absent => self.place.exists(self.path),
            _ => self.place.changed(self.path),
        }
    }

    fn retry(&self) -> Retry {
        self.noted.retry_after.map_or(Retry::Safe, Retry::After)
    }

    fn unexpected(&self, why: &opendal_core::Error) -> Error {
        let (place, path) = (self.place, self.path);
        let words = self.words(why);
        match self.noted.status {
            Some(status @ 500..=599) => place
                .error(Kind::Unavailable, path, format!("the store answered {status}{words}"))
                .retry(self.retry())
                .applied(place.unknown()),
            Some(status @ 300..=399) => {
                let hint = "check `region`, `endpoint` or `url` of the system; redirects are not followed";
                place.error(Kind::Internal, path, format!("the store answered {status}; {hint}"))
            }
            Some(status @ 400..=499) => {
                place.error(Kind::Internal, path, format!("the store answered {status}{words}"))
            }
            // It answered well, but nothing can be made of what it said.
            status => {
                let applied = if status.is_some() { place.unknown() } else { Applied::No };
                let text = format!("the store's answer cannot be read{words}");
                place.error(Kind::Unavailable, path, text).retry(Retry::Never).applied(applied)
            }
        }
    }

    /// The store's own words, masked and short.
    fn words(&self, why: &opendal_core::Error) -> String {
        let said = s3_words(why.message()).unwrap_or_else(|| why.message().to_owned());
        let said = self.wire.redact(&said);
        let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        if said.is_empty() { String::new() } else { format!(": {}", cut(&said, MAX_WORDS)) }
    }
}

/// Code and message of `S3Error { code: "…", message: "…", … }`, as OpenDAL prints it.
fn s3_words(message: &str) -> Option<String> {
    let member = |name: &str| {
        let (_, rest) = message.split_once(&format!("{name}: \""))?;
        Some(rest.split("\", ").next().unwrap_or(rest))
    };
    let (code, text) = message.starts_with("S3Error {").then(|| member("code").zip(member("message")))??;
    Some(if text.is_empty() { code.to_owned() } else { format!("{code}, {text}") })
}

/// What S3 calls a key that it does not know.
const ACCESS_KEY: [&str; 5] =
    ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "NotSignedUp"];

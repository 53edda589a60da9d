//! What may be written down of what came: no secrets, and no name of the live run.

use std::sync::Arc;

use base64::Engine as _;
use renkei_core::{Error, Map, Reply, Secret, Value, secret};

use crate::live::Taken;

/// Under which bytes stand: in mocks, and in the parts of a result.
const BASE64: [&str; 3] = ["base64", "data", "blob"];

/// What came, without secrets, and with the run of tests in the place of the live one.
pub(crate) struct Clean<'a> {
    /// What `$run` was live, and what it is in the test.
    pub(crate) run: &'a str,
    pub(crate) to: &'a str,
    pub(crate) secrets: &'a [Secret],
}

impl Clean<'_> {
    pub(crate) fn value(&self, value: &Value) -> Value {
        let value = self.masked(value).unwrap_or_else(|| value.clone());
        self.renamed(&value)
    }

    /// The value without secrets; nothing where there is none in it.
    fn masked(&self, value: &Value) -> Option<Value> {
        let masked = secret::mask(value, self.secrets);
        let shorter = secret::mask_words(masked.as_ref().unwrap_or(value), self.secrets);
        shorter.or(masked)
    }

    pub(crate) fn text(&self, text: &str) -> String {
        match self.value(&text.into()) {
            Value::String(text) => text.to_string(),
            _ => text.to_owned(),
        }
    }

    fn renamed(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if text.contains(self.run) => text.replace(self.run, self.to).into(),
            Value::Array(items) => items.iter().map(|item| self.renamed(item)).collect::<Vec<_>>().into(),
            Value::Object(map) => {
                let member = |(key, value): (&Arc<str>, &Value)| {
                    let bytes = value.as_str().filter(|_| BASE64.contains(&&**key));
                    let masked = bytes.and_then(|text| self.bytes(text));
                    let value = masked.unwrap_or_else(|| self.renamed(value));
                    (Arc::from(key.replace(self.run, self.to)), value)
                };
                map.iter().map(member).collect::<Map>().into()
            }
            value => value.clone(),
        }
    }

    /// A secret is not hidden by base64. Nothing where there is none in it.
    fn bytes(&self, text: &str) -> Option<Value> {
        let coder = &base64::engine::general_purpose::STANDARD;
        match coder.decode(text) {
            Ok(mut bytes) if self.secrets.iter().any(|secret| secret.is_in_bytes(&bytes)) => {
                self.secrets.iter().for_each(|secret| secret.mask_bytes(&mut bytes));
                Some(coder.encode(bytes).into())
            }
            _ => None,
        }
    }

    pub(crate) fn reply(&self, reply: &Reply) -> Reply {
        let value = self.value(&reply.value.clone().into_value());
        Reply { meta: self.value(&reply.meta), ..Reply::json(value) }
    }

    pub(crate) fn error(&self, error: &Error) -> Error {
        let clean = Error::new(error.kind(), self.text(error.public()))
            .retry(error.retry_advice())
            .applied(error.was_applied());
        match error.status_code() {
            Some(status) => clean.status(status),
            None => clean,
        }
    }

    pub(crate) fn has_masked(&self, calls: &[Taken]) -> bool {
        let hidden = |value: &Value| {
            self.masked(value).is_some() || {
                let plain = Clean { secrets: &[], ..*self };
                plain.renamed(value) != self.renamed(value)
            }
        };
        calls.iter().any(|taken| {
            let result = match &taken.result {
                Some(Ok(reply)) => hidden(&reply.value.clone().into_value()) || hidden(&reply.meta),
                Some(Err(error)) => hidden(&error.public().into()),
                None => false,
            };
            result || hidden(&taken.shown) || taken.answered.as_ref().is_some_and(hidden)
        })
    }
}

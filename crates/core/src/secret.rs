//! Values that must not be shown.

use std::{borrow::Cow, fmt, sync::Arc};

use crate::{Map, Value};

/// Shorter secrets are left in messages: they would blank out ordinary text.
const MIN_IN_MESSAGES: usize = 4;
/// Shorter secrets are left in data, which must not change where it says something else.
const MIN_IN_DATA: usize = 6;
const MASK: &str = "***";

/// A secret text. It prints as `***`; only [`Secret::expose`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Secret(text.into())
    }

    /// The secret itself, for the one place that sends or compares it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Replaces every occurrence in a message with `***`. Secrets shorter than four bytes are left.
    pub fn redact(&self, text: &str) -> String {
        if self.0.len() < MIN_IN_MESSAGES { text.to_owned() } else { text.replace(&*self.0, MASK) }
    }

    /// Whether it stands in data, and is long enough to be masked there: six bytes.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.len() >= MIN_IN_DATA && text.contains(&*self.0)
    }

    /// As [`Secret::is_in`], for bytes that may be anything.
    pub fn is_in_bytes(&self, bytes: &[u8]) -> bool {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.is_in(text),
            Err(_) => self.0.len() >= MIN_IN_DATA && self.places(bytes).next().is_some(),
        }
    }

    /// Overwrites every occurrence with as many `*`, so that nothing else moves.
    pub fn mask_bytes(&self, bytes: &mut [u8]) {
        if self.0.len() < MIN_IN_DATA {
            return;
        }
        let places: Vec<usize> = self.places(bytes).collect();
        for at in places {
            bytes[at..at + self.0.len()].fill(b'*');
        }
    }

    fn places<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = usize> + use<'b, '_> {
        bytes
            .windows(self.0.len())
            .enumerate()
            .filter(|(_, part)| *part == self.0.as_bytes())
            .map(|(at, _)| at)
    }
}

/// The value with every secret in its texts and keys replaced by `***`; nothing, if there is none.
/// Of secrets that contain each other the longer one comes first.
pub fn mask(value: &Value, secrets: &[Secret]) -> Option<Value> {
    match value {
        _ if secrets.is_empty() => None,
        Value::String(text) => mask_text(text, secrets).map(Value::from),
        Value::Array(items) => {
            let masked: Vec<_> = items.iter().map(|item| mask(item, secrets)).collect();
            masked.iter().any(Option::is_some).then(|| {
                let both = masked.into_iter().zip(items.iter());
                both.map(|(masked, item)| masked.unwrap_or_else(|| item.clone())).collect::<Vec<_>>().into()
            })
        }
        Value::Object(map) => {
            let member = |(key, value): (&Arc<str>, &Value)| (mask_text(key, secrets), mask(value, secrets));
            let masked: Vec<_> = map.iter().map(member).collect();
            masked.iter().any(|(key, value)| key.is_some() || value.is_some()).then(|| {
                let both = masked.into_iter().zip(map.iter());
                both.map(|((new_key, new), (key, value))| {
                    let key = new_key.map_or_else(|| key.clone(), Arc::from);
                    (key, new.unwrap_or_else(|| value.clone()))
                })
                .collect::<Map>()
                .into()
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// As [`mask`], for secrets that are too short for it: they are masked where they are a text, or, from three letters
/// on, a word of one. For what is written down and shared, where too little masked is worse than too much.
pub fn mask_words(value: &Value, secrets: &[Secret]) -> Option<Value> {
    let short: Vec<&str> = secrets
        .iter()
        .map(|secret| &*secret.0)
        .filter(|secret| (1..MIN_IN_DATA).contains(&secret.len()))
        .collect();
    if short.is_empty() { None } else { masked_words(value, &short) }
}

fn masked_words(value: &Value, secrets: &[&str]) -> Option<Value> {
    match value {
        Value::String(text) => words_masked(text, secrets).map(Value::from),
        Value::Array(items) => {
            let masked: Vec<_> = items.iter().map(|item| masked_words(item, secrets)).collect();
            masked.iter().any(Option::is_some).then(|| {
                let both = masked.into_iter().zip(items.iter());
                both.map(|(masked, item)| masked.unwrap_or_else(|| item.clone())).collect::<Vec<_>>().into()
            })
        }
        // A key names what is there; a word of a config among them is no secret.
        Value::Object(map) => {
            let masked: Vec<_> = map.values().map(|value| masked_words(value, secrets)).collect();
            masked.iter().any(Option::is_some).then(|| {
                let both = masked.into_iter().zip(map.iter());
                both.map(|(masked, (key, value))| (key.clone(), masked.unwrap_or_else(|| value.clone())))
                    .collect::<Map>()
                    .into()
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn words_masked(text: &str, secrets: &[&str]) -> Option<String> {
    if secrets.contains(&text) {
        return Some(MASK.to_owned());
    }
    let inside = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut masked = Cow::Borrowed(text);
    for secret in secrets.iter().filter(|secret| secret.chars().count() >= 3) {
        let whole = |(at, _): &(usize, &str)| {
            !masked[..*at].ends_with(inside) && !masked[at + secret.len()..].starts_with(inside)
        };
        let places: Vec<usize> = masked.match_indices(secret).filter(whole).map(|(at, _)| at).collect();
        for at in places.into_iter().rev() {
            masked.to_mut().replace_range(at..at + secret.len(), MASK);
        }
    }
    match masked {
        Cow::Borrowed(_) => None,
        Cow::Owned(masked) => Some(masked),
    }
}

fn mask_text(text: &str, secrets: &[Secret]) -> Option<String> {
    let mut masked = Cow::Borrowed(text);
    for secret in secrets.iter().filter(|secret| secret.is_in(text)) {
        masked = Cow::Owned(masked.replace(secret.expose(), MASK));
    }
    match masked {
        Cow::Borrowed(_) => None,
        Cow::Owned(masked) => Some(masked),
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json(json.as_bytes()).unwrap()
    }

    fn secrets() -> [Secret; 3] {
        ["hunter2-token-2", "hunter2-token", "short"].map(Secret::new)
    }

    #[test]
    fn masks_texts_and_keys_wherever_they_stand() {
        let found = mask(
            &value(r#"{"a": ["x hunter2-token y", 1], "k-hunter2-token-2": {"b": null}, "c": "hunter2"}"#),
            &secrets(),
        );
        assert_eq!(found.unwrap().to_json(), r#"{"a":["x *** y",1],"k-***":{"b":null},"c":"hunter2"}"#);
        assert_eq!(mask(&value(r#"{"a": ["short", 1.10, true]}"#), &secrets()), None);
    }

    #[test]
    fn masks_bytes_in_their_place() {
        let [_, secret, short] = secrets();
        let mut bytes = b"\xff\x00hunter2-token\x01hunter2-token short".to_vec();
        assert!(secret.is_in_bytes(&bytes) && !short.is_in_bytes(&bytes));
        for secret in secrets() {
            secret.mask_bytes(&mut bytes);
        }
        assert_eq!(bytes, b"\xff\x00*************\x01************* short");
        assert!(!secret.is_in_bytes(&bytes));
    }

    /// Short secrets are ordinary words elsewhere: only what can be nothing else is masked.
    #[test]
    fn masks_short_secrets_as_words() {
        let secrets = ["pin42", "eu", "abc"].map(Secret::new);
        let found = mask_words(
            &value(r#"{"a": ["pin42", "PIN pin42!", "xpin42", "pin421"], "eu": "eu", "b": "in eu", "c": 7}"#),
            &secrets,
        );
        let expected = r#"{"a":["***","PIN ***!","xpin42","pin421"],"eu":"***","b":"in eu","c":7}"#;
        assert_eq!(found.unwrap().to_json(), expected);
        assert_eq!(mask_words(&value(r#"["abcd", {"abc": 1}]"#), &secrets), None);
        // Longer ones are `mask`'s.
        assert_eq!(mask_words(&value(r#"["secret-4711"]"#), &[Secret::new("secret-4711")]), None);
    }
}

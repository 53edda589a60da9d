//! The headers of a message.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::value;
use crate::mcp::{
    link::{Ask, Terms},
    message::Era,
};

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// Of a request or a notification.
pub(super) fn of(terms: &Terms, ask: &Ask<'_>) -> HeaderMap {
    // What says which version is spoken has none yet.
    let is_first = ask.method == "initialize";
    let mut headers = in_session(terms, is_first);
    if terms.era == Era::Modern {
        headers.insert(METHOD, HeaderValue::from_static(ask.method));
        if let Some(name) = ask.name().and_then(|name| value(&encoded(name))) {
            headers.insert(NAME, name);
        }
        for (name, text) in &ask.mirrored {
            if let (Ok(name), Some(value)) = (HeaderName::try_from(name), value(&encoded(text))) {
                headers.insert(name, value);
            }
        }
    }
    headers
}

/// Of a message whose content no header repeats.
pub(super) fn in_session(terms: &Terms, is_first: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    if let Some(version) = value(&terms.version).filter(|_| !is_first) {
        headers.insert(VERSION, version);
    }
    if let Some(session) = &terms.session {
        headers.insert(SESSION, session.clone());
    }
    headers
}

/// Of a request for the stream on which a server says something by itself.
pub(super) fn of_stream(terms: &Terms) -> HeaderMap {
    let mut headers = in_session(terms, false);
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers
}

/// Of a request for the rest of a stream.
pub(super) fn resuming(terms: &Terms, last: &str) -> HeaderMap {
    let mut headers = of_stream(terms);
    if let Some(last) = value(last) {
        headers.insert(LAST_EVENT, last);
    }
    headers
}

/// A value as the protocol writes it into a header: what a header cannot hold goes in base64.
fn encoded(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
        && text.trim_matches([' ', '\t']) == text
        && !(text.starts_with("=?base64?") && text.ends_with("?="));
    match is_plain {
        true => text.to_owned(),
        false => format!("=?base64?{}?=", STANDARD.encode(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_header_cannot_hold_is_wrapped() {
        assert_eq!(encoded("eu-1"), "eu-1");
        assert_eq!(encoded("a\nb"), "=?base64?YQpi?=");
        assert_eq!(encoded("ü"), "=?base64?w7w=?=");
        assert_eq!(encoded(" a"), "=?base64?IGE=?=");
        assert_eq!(encoded("=?base64?YQ==?="), "=?base64?PT9iYXNlNjQ/WVE9PT89?=");
    }
}

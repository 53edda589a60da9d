//! How single values go onto the wire: what is encoded, and what is refused.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use indexmap::IndexMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use renkei_core::{Diagnostic, Diagnostics, Map, Span, Value};

/// All but the unreserved characters of RFC 3986: a value can neither end its place nor start another.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes a value for a path segment, a query or a form.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

/// The text of a string, number or boolean.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The names and values of an encoded query or form; a name that is repeated has a list. All are texts, as
/// they are on the wire.
pub(super) fn decoded_pairs(encoded: &[u8]) -> Value {
    let mut pairs: IndexMap<Arc<str>, Vec<Value>> = IndexMap::new();
    for (name, value) in url::form_urlencoded::parse(encoded) {
        pairs.entry(name.into()).or_default().push(value.into_owned().into());
    }
    let single = |mut values: Vec<Value>| if values.len() == 1 { values.remove(0) } else { values.into() };
    pairs.into_iter().map(|(name, values)| (name, single(values))).collect::<Map>().into()
}

/// The segments of an encoded path, each decoded.
pub(super) fn decoded_segments(path: &str) -> Vec<String> {
    let decoded = |segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned();
    path.trim_start_matches('/').split('/').map(decoded).collect()
}

/// Checks a value that becomes a path segment or a part of one. URL parsers collapse `.` and `..`,
/// even as `%2e`, and an empty segment addresses the whole collection.
pub(super) fn path_value(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("is empty, which would address the whole collection"),
        "." | ".." => Err("is `.` or `..`, which would address another path"),
        _ => Ok(encode(text)),
    }
}

/// Checks the value of a header.
pub(super) fn header_value(text: &str) -> Result<HeaderValue, &'static str> {
    let bad = |byte: u8| byte != b'\t' && (byte < b' ' || byte == 0x7f);
    if text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        Err("contains a line break or a NUL, which could start another header")
    } else if text.bytes().any(bad) {
        Err("contains a control character")
    } else if !text.is_ascii() {
        Err("contains characters outside ASCII; percent-encode it: `@uri` in a template")
    } else if text.starts_with([' ', '\t']) {
        Err("starts with a space")
    } else {
        HeaderValue::from_str(text).map_err(|_| "is not a valid header value")
    }
}

/// Checks a name inside a header, such as the name of a multipart part, and quotes it. The quote is
/// written as `%22` like browsers do; a backslash, which some parsers take for an escape, as `%5C`.
pub(super) fn quoted(text: &str) -> Result<String, &'static str> {
    header_value(text)?;
    Ok(format!("\"{}\"", text.replace('\\', "%5C").replace('"', "%22")))
}

/// Reads the name of a header. Those that frame a message are never the config's business.
pub(super) fn header_name(text: &str, span: Span, d: &mut Diagnostics) -> Option<HeaderName> {
    let Ok(name) = HeaderName::try_from(text) else {
        d.push(
            Diagnostic::error(span, format!("`{text}` is not a header name"))
                .hint("letters, digits and `-`, such as `X-Request-Id`; a template cannot be a name"),
        );
        return None;
    };
    let hop_by_hop = matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding" | "upgrade"
    );
    if hop_by_hop || matches!(name.as_str(), "content-length" | "expect") {
        d.push(
            Diagnostic::error(span, format!("the header `{text}` cannot be set"))
                .hint("it frames the message, so Renkei sets it where it is needed"),
        );
        return None;
    }
    Some(name)
}

/// `Host` decides which system answers, so it is a constant.
pub(super) fn check_host_header(name: &HeaderName, constant: bool, span: Span, d: &mut Diagnostics) {
    if name == http::header::HOST && !constant {
        d.push(
            Diagnostic::error(span, "the header `Host` cannot hold a template")
                .hint("it decides which system answers; write it out, or declare another system"),
        );
    }
}

//! Reads answers: within a limit, and as what they say they are.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use renkei_core::{Kind, Map, Payload, Result, Value, read};
use url::Url;

use super::{
    body::is_json,
    error::{MAX_ERROR_BODY, Place},
    prepare::ReadAs,
};

/// Headers that say who is who, and nothing about the reply.
const WITHHELD: [&str; 8] = [
    "authorization",
    "authentication-info",
    "cookie",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "set-cookie",
    "www-authenticate",
];

/// Reads a body of at most `limit` bytes, as it comes.
pub(super) async fn body(
    mut response: reqwest::Response,
    limit: read::Bytes,
    place: &Place<'_>,
) -> Result<Bytes> {
    let status = response.status();
    let too_large = || {
        let why = format!(
            "its body is larger than {limit}; ask for less, or raise `max_body` of the system or the operation"
        );
        place.reply(Kind::Internal, status, why)
    };
    if response.content_length().is_some_and(|length| length > limit.0) {
        return Err(too_large());
    }
    let body = at_most(&mut response, limit.as_usize()).await;
    body.map_err(|error| place.cut_off(&error, status))?.ok_or_else(too_large)
}

/// A body of at most `limit` bytes; nothing if it is larger.
pub(super) async fn at_most(
    response: &mut reqwest::Response,
    limit: usize,
) -> Result<Option<Bytes>, reqwest::Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

/// As much of an error's body as is worth showing. What cannot be read is left out: the status counts.
pub(super) async fn error_body(response: &mut reqwest::Response) -> String {
    let mut body = BytesMut::new();
    while body.len() < MAX_ERROR_BODY {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(MAX_ERROR_BODY - body.len())]),
            Ok(None) | Err(_) => break,
        }
    }
    if body.contains(&0) {
        return String::new(); // not text
    }
    String::from_utf8_lossy(&body).into_owned()
}

/// The body as the value that its type, or `as`, says it is.
pub(super) fn decode(
    body: Bytes,
    status: StatusCode,
    headers: &HeaderMap,
    read_as: Option<ReadAs>,
    place: &Place<'_>,
) -> Result<(Payload, Vec<String>)> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        && !body.is_empty()
    {
        let encoding = String::from_utf8_lossy(encoding.as_bytes());
        let why = format!("its body has the encoding `{encoding}`, which was not asked for");
        return Err(place.reply(Kind::Unavailable, status, why));
    }
    if body.is_empty() {
        return Ok((Payload::Json(Value::Null), Vec::new()));
    }
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = read_as.unwrap_or_else(|| {
        if is_json(content_type) {
            ReadAs::Json
        } else if content_type.trim_start().to_ascii_lowercase().starts_with("text/") {
            ReadAs::Text
        } else {
            ReadAs::Bytes
        }
    });
    match kind {
        ReadAs::Json => {
            let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
            match Value::from_json(text) {
                Ok(value) => Ok((Payload::Json(value), Vec::new())),
                Err(error) => {
                    let start: String =
                        String::from_utf8_lossy(&text[..text.len().min(400)]).chars().take(200).collect();
                    let why = format!(
                        "its body is not valid JSON ({error}); it starts with `{}`",
                        place.redact(start.trim())
                    );
                    Err(place.reply(Kind::Unavailable, status, why))
                }
            }
        }
        ReadAs::Text => text(&body, content_type, status, place),
        ReadAs::Bytes => {
            let mime_type = if content_type.is_empty() { "application/octet-stream" } else { content_type };
            Ok((Payload::Blob { bytes: body, mime_type: mime_type.into() }, Vec::new()))
        }
    }
}

fn text(
    body: &[u8],
    content_type: &str,
    status: StatusCode,
    place: &Place<'_>,
) -> Result<(Payload, Vec<String>)> {
    let charset = content_type
        .parse::<mime::Mime>()
        .ok()
        .and_then(|kind| kind.get_param(mime::CHARSET).map(|name| name.as_str().to_ascii_lowercase()));
    match charset.as_deref() {
        None | Some("utf-8" | "utf8" | "us-ascii" | "ascii") => {
            let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
            Ok(match std::str::from_utf8(body) {
                Ok(text) => (Payload::Json(text.into()), Vec::new()),
                Err(_) => {
                    let notice =
                        "the text was not valid UTF-8; what could not be read is shown as `\u{fffd}`";
                    (
                        Payload::Json(String::from_utf8_lossy(body).into_owned().into()),
                        vec![notice.to_owned()],
                    )
                }
            })
        }
        Some("iso-8859-1" | "latin1") => {
            let text: String = body.iter().map(|byte| char::from(*byte)).collect();
            Ok((Payload::Json(text.into()), Vec::new()))
        }
        Some(other) => {
            let why =
                format!("its text is in `{other}`, which cannot be read; use `as: bytes` in the operation");
            Err(place.reply(Kind::Internal, status, why))
        }
    }
}

/// The names of the headers that say something about the reply.
pub(super) fn telling(headers: &HeaderMap) -> impl Iterator<Item = &HeaderName> {
    headers.keys().filter(|name| !WITHHELD.contains(&name.as_str()))
}

/// `$name_meta`: status, headers, URL; the entity tag, and that nothing is new (RFC 9110, sections 8.8.3 and
/// 15.4.5).
pub(super) fn meta(
    status: StatusCode,
    headers: &HeaderMap,
    url: &Url,
    secret_parameter: Option<&str>,
) -> Value {
    let mut map = Map::new();
    for name in telling(headers) {
        let mut values = headers.get_all(name).iter().map(text_of);
        let value = match (values.next(), values.next()) {
            (Some(only), None) => only,
            (first, second) => first.into_iter().chain(second).chain(values).collect::<Vec<_>>().into(),
        };
        map.insert(name.as_str().into(), value);
    }
    let etag = map.get("etag").filter(|etag| etag.as_str().is_some()).cloned();
    let mut meta = Map::new();
    meta.insert("status".into(), i64::from(status.as_u16()).into());
    meta.insert("headers".into(), map.into());
    meta.insert("url".into(), shown(url, secret_parameter));
    if let Some(etag) = etag {
        meta.insert("etag".into(), etag);
    }
    if status == StatusCode::NOT_MODIFIED {
        meta.insert("not_modified".into(), true.into());
    }
    meta.into()
}

/// Bytes beyond ASCII are read as Latin-1.
fn text_of(value: &HeaderValue) -> Value {
    match value.to_str() {
        Ok(text) => text.into(),
        Err(_) => value.as_bytes().iter().map(|byte| char::from(*byte)).collect::<String>().into(),
    }
}

/// The URL without what is secret in it.
fn shown(url: &Url, secret_parameter: Option<&str>) -> Value {
    let has_more = !url.username().is_empty() || url.password().is_some() || url.fragment().is_some();
    if !has_more && secret_parameter.is_none() {
        return url.as_str().into();
    }
    let mut url = url.clone();
    // Neither can fail on a URL with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    if let (Some(name), Some(query)) = (secret_parameter, url.query()) {
        let secret = |pair: &&str| {
            url::form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(key, _)| key == name)
        };
        let kept: Vec<&str> = query.split('&').filter(|pair| !secret(pair)).collect();
        let kept = kept.join("&");
        url.set_query(Some(&kept).filter(|kept| !kept.is_empty()).map(|kept| &**kept));
    }
    url.as_str().into()
}

//! Redirects (RFC 9110, section 15.4): where the next request goes, and what it may carry.

use http::{HeaderMap, Method, StatusCode, header};
use url::Url;

use super::{call::Outgoing, credentials::Credentials, pages::Pages, prepare::Plan, wire};

/// Where a redirect points to; nothing if the answer is none.
pub(super) fn location(status: StatusCode, headers: &HeaderMap) -> Option<String> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let value = headers.get(header::LOCATION)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The next request after one that began at `home`. Its host is yet to be checked. The error ends a sentence that names the location.
///
/// Another origin gets neither credentials nor rendered headers, and never a body: what was meant for
/// one system would be told to another. Once left, the first origin is another one, too.
pub(super) fn next(
    home: &Url,
    hop: Outgoing,
    status: StatusCode,
    location: &str,
    plan: &Plan,
    credentials: &Credentials,
) -> Result<Outgoing, String> {
    let mut url = hop.url.join(location).map_err(|error| format!("which is not a URL ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("but `{}` is not HTTP", url.scheme()));
    }
    if hop.url.scheme() == "https" && url.scheme() == "http" {
        return Err("which leaves HTTPS and is not followed".into());
    }
    // User names and passwords in a location would be sent as credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);

    let become_get = match status.as_u16() {
        303 => hop.method != Method::HEAD,
        301 | 302 => hop.method == Method::POST,
        _ => false,
    };
    let mut next = Outgoing { url, ..hop };
    if become_get {
        next.method = Method::GET;
        next.body = bytes::Bytes::new();
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
            next.headers.remove(name);
        }
    }
    if next.url.origin() != home.origin() || !next.at_home {
        return leave(next, status, plan, credentials);
    }
    if let Some((name, value)) = &credentials.query
        && !next.url.query_pairs().any(|(key, _)| key == name[..])
    {
        let pair = format!("{}={}", wire::encode(name), wire::encode(value));
        let query = next.url.query().map_or_else(|| pair.clone(), |query| format!("{query}&{pair}"));
        next.url.set_query(Some(&query));
    }
    Ok(next)
}

fn leave(
    mut next: Outgoing,
    status: StatusCode,
    plan: &Plan,
    credentials: &Credentials,
) -> Result<Outgoing, String> {
    if !matches!(next.method, Method::GET | Method::HEAD) || !next.body.is_empty() {
        let status = status.as_u16();
        return Err(format!(
            "another origin: with {status} the whole request would go there, so it is not followed"
        ));
    }
    next.at_home = false;
    for (name, _) in &credentials.headers {
        next.headers.remove(name);
    }
    for head in plan.headers.iter().filter(|head| !head.constant) {
        next.headers.remove(&head.name);
    }
    if let Some(name) = plan.pages.as_ref().and_then(Pages::header) {
        next.headers.remove(name);
    }
    for name in [header::AUTHORIZATION, header::COOKIE, header::HOST] {
        next.headers.remove(name);
    }
    Ok(next)
}

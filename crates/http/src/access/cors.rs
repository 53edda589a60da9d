//! What a browser wants to hear before it lets an allowed page use the answers.

use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::Origin;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
/// What pages may send, apart from `Mcp-Param-*`, whose names the tools make up.
const REQUEST_HEADERS: [&str; 11] = [
    "accept",
    "authorization",
    "content-type",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "traceparent",
    "tracestate",
    "x-api-key",
];
const PARAMETER_HEADERS: &str = "mcp-param-";
const RESPONSE_HEADERS: HeaderValue =
    HeaderValue::from_static("Mcp-Session-Id, Mcp-Protocol-Version, Retry-After, WWW-Authenticate");
/// Seconds for which a browser need not ask again.
const REMEMBER: HeaderValue = HeaderValue::from_static("600");

/// The answer to a browser's question about a request to come; nothing for other requests.
pub(super) fn preflight(request: &Request, origin: &Origin) -> Option<Response> {
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !asks {
        return None;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    allow(headers, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, request_headers(request.headers()));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBER);
    Some(response)
}

/// Lets the page at `origin` read the response. Cookies play no part here, so credentials stay off.
pub(crate) fn allow(headers: &mut HeaderMap, origin: &Origin) {
    if let Ok(origin) = HeaderValue::from_str(&origin.to_string()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}

fn request_headers(asked: &HeaderMap) -> HeaderValue {
    let mut allowed: Vec<String> = REQUEST_HEADERS.map(ToOwned::to_owned).into();
    let names = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).and_then(|value| value.to_str().ok());
    let parameters = names.unwrap_or_default().split(',').map(|name| name.trim().to_ascii_lowercase());
    allowed.extend(parameters.filter(|name| {
        name.starts_with(PARAMETER_HEADERS) && HeaderName::from_bytes(name.as_bytes()).is_ok()
    }));
    HeaderValue::from_str(&allowed.join(", ")).unwrap_or(HeaderValue::from_static(""))
}

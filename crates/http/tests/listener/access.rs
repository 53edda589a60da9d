//! `Host` and `Origin`.

use http::StatusCode;
use renkei_http::{Access, Authority, Options, Pages};

use crate::wire::{Answer, ask};

const LOOPBACK: &str = "127.0.0.1:8383";
const ANYWHERE: &str = "0.0.0.0:8383";

fn options(hosts: &[&str], origins: &[&str], public_url: Option<&str>) -> Options {
    let access = Access {
        hosts: hosts.iter().map(|host| Authority::parse(host).unwrap()).collect(),
        origins: origins.iter().map(|origin| Pages::parse(origin).unwrap()).collect(),
        public_url: public_url.map(|url| url.parse().unwrap()),
        ..Access::default()
    };
    Options { access, ..Options::default() }
}

async fn host(options: &Options, local: &str, host: &str) -> StatusCode {
    ask(options, local, "GET", "/", &[("host", host)]).await.status
}

async fn origin(options: &Options, local: &str, origin: &str) -> Answer {
    ask(options, local, "GET", "/", &[("host", "shop.example.com"), ("origin", origin)]).await
}

#[tokio::test]
async fn a_loopback_server_has_the_loopback_names() {
    let options = Options::default();
    for name in [
        "127.0.0.1:8383",
        "localhost:8383",
        "LOCALHOST:8383",
        "localhost.:8383",
        "[::1]:8383",
        "[0:0:0:0:0:0:0:1]:8383",
    ] {
        assert_eq!(host(&options, LOOPBACK, name).await, StatusCode::OK, "{name}");
    }
    for name in [
        "evil.example.com:8383",
        "evil.example.com",
        "localhost",
        "localhost:80",
        "localhost.evil.example.com:8383",
        "127.0.0.1.evil.example.com:8383",
        "evil-localhost:8383",
        "127.0.0.2:8383",
        "0.0.0.0:8383",
        "2130706433:8383",
        "shop.example.com",
    ] {
        assert_eq!(host(&options, LOOPBACK, name).await, StatusCode::FORBIDDEN, "{name}");
    }
    for name in
        ["", ":8383", "a b", "user@localhost:8383", "localhost:8383:8383", "localhost:x", "localhost:99999"]
    {
        assert_eq!(host(&options, LOOPBACK, name).await, StatusCode::BAD_REQUEST, "{name}");
    }
}

#[tokio::test]
async fn a_public_server_has_the_names_it_was_given() {
    let options = options(
        &["shop.example.com", "shop.internal:8383", "bücher.example.com"],
        &[],
        Some("https://public.example.com/x"),
    );
    for name in [
        "shop.example.com",
        "SHOP.example.com:1234",
        "shop.internal:8383",
        "public.example.com",
        "public.example.com:443",
        "xn--bcher-kva.example.com",
    ] {
        assert_eq!(host(&options, ANYWHERE, name).await, StatusCode::OK, "{name}");
    }
    for name in [
        "localhost:8383",
        "127.0.0.1:8383",
        "0.0.0.0:8383",
        "shop.internal",
        "shop.internal:80",
        "example.com",
    ] {
        assert_eq!(host(&options, ANYWHERE, name).await, StatusCode::FORBIDDEN, "{name}");
    }
    // One that listens on one address answers to it.
    assert_eq!(host(&options, "10.0.0.5:8383", "10.0.0.5:8383").await, StatusCode::OK);
    assert_eq!(host(&options, "10.0.0.5:8383", "10.0.0.6:8383").await, StatusCode::FORBIDDEN);
    assert_eq!(host(&options, "[fd00::5]:8383", "[fd00:0::5]:8383").await, StatusCode::OK);
}

#[tokio::test]
async fn a_request_names_one_host() {
    let options = Options::default();
    let both = [("host", "localhost:8383"), ("host", "localhost:8383")];
    for (uri, headers, status) in [
        ("/", &both[..0], StatusCode::BAD_REQUEST),
        ("/", &both, StatusCode::BAD_REQUEST),
        ("http://localhost:8383/", &both[..1], StatusCode::OK),
        ("http://evil.example.com/", &both[..1], StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(ask(&options, LOOPBACK, "GET", uri, headers).await.status, status, "{uri} {headers:?}");
    }
}

#[tokio::test]
async fn the_refusal_says_how_to_mend_it() {
    let answer = ask(&Options::default(), LOOPBACK, "GET", "/", &[("host", "shop.local")]).await;
    assert_eq!(answer.body["error"], "host_not_allowed");
    let message = "this server is not `shop.local`; its operator can add the name to `server.hosts`";
    assert_eq!(answer.body["message"], message);
}

#[tokio::test]
async fn a_server_takes_its_own_pages_and_those_it_was_told_of() {
    let mut options = options(&["shop.example.com"], &["https://app.example.com"], None);
    for page in [
        "http://localhost:8383",
        "http://127.0.0.1:8383",
        "http://[::1]:8383",
        "https://app.example.com",
        "https://app.example.com:443",
    ] {
        assert_eq!(origin(&options, LOOPBACK, page).await.status, StatusCode::OK, "{page}");
    }
    for page in [
        // Loopback, but another program's.
        "http://localhost:6274",
        "http://localhost",
        "http://127.0.0.1:3000",
        "http://[::1]:3000",
        "https://localhost:8383",
        "http://127.0.0.2:8383",
        "null",
        "",
        "https://evil.example.com",
        "http://evil.example.com:8383",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example.com",
        "https://app.example.com@evil.example.com",
        "https://app.example.com/path",
        "http://localhost.evil.example.com:8383",
        "file://localhost",
        "chrome-extension://abc",
        "app.example.com",
        "http://localhost:*",
        "*",
    ] {
        let answer = origin(&options, LOOPBACK, page).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{page}");
        assert_eq!(answer.body["error"], "origin_not_allowed");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
    options.access.public_url = Some("https://shop.example.com/mcp".parse().unwrap());
    for (page, status) in [
        ("https://shop.example.com", StatusCode::OK),
        ("https://app.example.com", StatusCode::OK),
        ("http://localhost:8383", StatusCode::FORBIDDEN),
        ("http://shop.example.com", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(origin(&options, ANYWHERE, page).await.status, status, "{page}");
    }
}

#[tokio::test]
async fn a_star_stands_for_any_port() {
    let options = options(&["shop.example.com"], &["http://localhost:*", "http://[::1]:*"], None);
    for page in ["http://localhost:6274", "http://localhost", "http://[::1]:3000"] {
        assert_eq!(origin(&options, LOOPBACK, page).await.status, StatusCode::OK, "{page}");
    }
    for page in ["https://localhost:6274", "http://127.0.0.1:6274", "http://localhost.evil.example.com:6274"]
    {
        assert_eq!(origin(&options, LOOPBACK, page).await.status, StatusCode::FORBIDDEN, "{page}");
    }
    for wrong in
        ["http://localhost:80:*", "http://*:*", "http://:*", "localhost:*", "*", "http://localhost:6274/*"]
    {
        assert_eq!(Pages::parse(wrong), None, "{wrong}");
    }
}

#[tokio::test]
async fn two_origins_are_none() {
    let options = options(&["shop.example.com"], &[], None);
    let headers = [
        ("host", "shop.example.com"),
        ("origin", "http://localhost"),
        ("origin", "https://evil.example.com"),
    ];
    assert_eq!(ask(&options, LOOPBACK, "GET", "/", &headers).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_allowed_page_may_ask_first_and_read_the_answer() {
    // Even where credentials are needed: browsers ask without them.
    let mut options = options(&["shop.example.com"], &["https://app.example.com"], None);
    options.authentication.anonymous_allowed = false;
    let asked = [
        ("host", "shop.example.com"),
        ("origin", "https://app.example.com"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type, Mcp-Param-Region, x-other"),
    ];
    let answer = ask(&options, ANYWHERE, "OPTIONS", "/", &asked).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example.com");
    assert_eq!(answer.headers["access-control-allow-methods"], "GET, POST, DELETE");
    let headers = answer.headers["access-control-allow-headers"].to_str().unwrap();
    for name in ["authorization", "mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-param-region"]
    {
        assert!(headers.contains(name), "{name} in {headers}");
    }
    assert!(!headers.contains("x-other"));
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    // And it can read why it is refused.
    let answer = ask(&options, ANYWHERE, "GET", "/", &asked[..2]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example.com");
    assert!(answer.headers["access-control-expose-headers"].to_str().unwrap().contains("Mcp-Session-Id"));
    assert_eq!(answer.headers["vary"], "Origin");
    // A page that is not allowed gets no answer to its question.
    let mut evil = asked;
    evil[1].1 = "https://evil.example.com";
    assert_eq!(ask(&options, ANYWHERE, "OPTIONS", "/", &evil).await.status, StatusCode::FORBIDDEN);
}

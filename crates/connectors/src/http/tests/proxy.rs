//! Proxies: what goes through them, and what the guard can still promise.

use renkei_core::{Applied, ConnectContext, Error, Kind, Reply};
use renkei_testkit::{
    fault::{Answer, FaultServer},
    secure::{Authority, Options, SecureServer},
};

use super::{Stub, context, json, prepare, read_system, refused_system, request, value};

/// A call of a system whose proxy is at the name `upstream.test`.
async fn through(proxy: &FaultServer, base_url: &str, more: &str, op: &str) -> Result<Reply, Error> {
    let port = proxy.address().port();
    let system = read_system(&format!(
        r#"{{"base_url": "{base_url}", "proxy": "http://me:pass%26word@upstream.test:{port}"{more}}}"#
    ));
    // The only name that is known here; it is inside, and the system is not `private`.
    let stub = Stub::new([("127.0.0.1", "upstream.test")]);
    let call = system.connect_with(stub, &ConnectContext::new("/")).unwrap().call;
    call.call(&context(), &request(prepare(&system, op), value("{}")).unwrap()).await
}

#[tokio::test]
async fn requests_go_through_the_proxy() {
    let proxy = FaultServer::start().await;
    proxy.on("http://shop.example.com/a", [Answer::json("[1]")]);
    let reply = through(&proxy, "http://shop.example.com", "", "GET /a?b=1").await;
    assert_eq!(json(reply).to_json(), "[1]");
    let seen = proxy.only();
    assert_eq!(
        (&*seen.target, seen.header("host")),
        ("http://shop.example.com/a?b=1", Some("shop.example.com"))
    );
    // me:pass&word
    assert_eq!(seen.header("proxy-authorization"), Some("Basic bWU6cGFzcyZ3b3Jk"));
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let authority = Authority::new();
    let identity = Some(authority.server(&["shop.example.com"]));
    let server = SecureServer::start(Options { identity, ..Options::default() }).await;
    let proxy = FaultServer::start().await;
    proxy.on("shop.example.com:443", [Answer::Tunnel { to: server.address() }]);
    let more = format!(r#", "tls": {{"ca": {}}}"#, renkei_core::Value::from(authority.pem()).to_json());
    let reply = json(through(&proxy, "https://shop.example.com", &more, "POST /a").await);
    assert_eq!(reply.get("path").unwrap().as_str(), Some("/a"));
    assert_eq!(proxy.only().header("proxy-authorization"), Some("Basic bWU6cGFzcyZ3b3Jk"));
}

#[tokio::test]
async fn what_is_excepted_does_not_go_through_the_proxy() {
    let (proxy, server) = (FaultServer::start().await, FaultServer::start().await);
    let base_url = format!("http://upstream.test:{}", server.address().port());
    let more = r#", "private": true, "no_proxy": ["upstream.test"]"#;
    through(&proxy, &base_url, more, "GET /a").await.unwrap();
    assert_eq!((&*server.only().target, proxy.connections()), ("/a", 0));
}

#[tokio::test]
async fn a_proxy_that_fails() {
    let proxy = FaultServer::start().await;
    proxy.on("shop.example.com:443", [Answer::status(407)]);
    let error = through(&proxy, "https://shop.example.com", "", "POST /a").await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unauthenticated, Applied::No));
    assert!(error.public().contains("the proxy `upstream.test` wants another name or password"), "{error}");
    proxy.on("shop.example.com:443", [Answer::status(502)]);
    let error = through(&proxy, "https://shop.example.com", "", "POST /a").await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::No));
    assert!(
        error.public().contains("no connection to `shop.example.com` through the proxy `upstream.test`"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("pass"), "{error:?}");
}

/// Nobody here can tell what a name is for the proxy.
#[tokio::test]
async fn a_redirect_to_a_name_is_not_followed_through_a_proxy() {
    let proxy = FaultServer::start().await;
    let redirects = r#", "redirects": 3"#;
    for (location, part) in [
        ("http://inside.example.com/", "behind the proxy nobody could tell"),
        ("http://169.254.169.254/latest", "is a link-local address"),
        ("http://localhost/", "behind the proxy nobody could tell"),
    ] {
        proxy.on("http://shop.example.com/a", [Answer::redirect(302, location)]);
        let before = proxy.received().len();
        let error = through(&proxy, "http://shop.example.com", redirects, "GET /a").await.unwrap_err();
        assert!(error.public().contains(part), "{location}: {error}");
        assert_eq!(proxy.received().len(), before + 1, "{location}");
    }
    proxy.on("http://shop.example.com/a", [Answer::redirect(302, "/b")]);
    through(&proxy, "http://shop.example.com", redirects, "GET /a").await.unwrap();
    proxy.on("http://shop.example.com/a", [Answer::redirect(302, "http://1.1.1.1/")]);
    through(&proxy, "http://shop.example.com", redirects, "GET /a").await.unwrap();
}

#[test]
fn a_proxy_of_the_config_is_checked() {
    let refused = |more: &str| {
        let all =
            refused_system(&format!(r#"{{"base_url": "https://shop.example.com", {more}}}"#)).join("\n");
        assert!(!all.contains("hunter2"), "{all}");
        all
    };
    assert!(refused(r#""proxy": "proxy.example.com?hunter2""#).contains("is not a URL"));
    assert!(refused(r#""proxy": "socks5://me:hunter2@proxy.example.com""#).contains("not by `socks5`"));
    assert!(refused(r#""proxy": "http://me:hunter2@proxy.example.com/path""#).contains("no path"));
    assert!(refused(r#""no_proxy": ["a"]"#).contains("`no_proxy` without `proxy`"));
}

//! The guard against addresses that are not public, and redirects.

use std::{net::IpAddr, sync::Arc, time::Duration};

use renkei_core::{Applied, Call, Error, Kind};
use renkei_testkit::fault::{Answer, FaultServer};
use url::Url;

use super::{
    super::{
        HttpCall,
        client::{Settings, Tls, client},
        guard::{GuardedResolver, check_host, not_public},
    },
    HttpSystem, Stub, call_with, context, json, prepare, read_system, request, value, within,
};

#[test]
fn knows_public_addresses() {
    let public = [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
        "2003::1",
        "3ffe::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ];
    for text in public {
        assert_eq!(not_public(text.parse().unwrap()), None, "{text}");
    }
}

#[test]
fn knows_the_others() {
    let others = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.1",
        "100.100.100.200",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::1",
        "100::1",
        "100:0:0:1::1",
        "2001::1",
        "2001:10::1",
        "2001:20::1",
        "2001:1ff::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "8000::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ffff::1",
    ];
    for text in others {
        assert!(not_public(text.parse().unwrap()).is_some(), "{text}");
    }
}

#[test]
fn knows_odd_spellings_of_hosts() {
    let refused = [
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://0177.1/",
        "http://0x7f.0x0.0x0.0x1/",
        "http://017700000001/",
        "http://0/",
        "http://127.0.0.1./",
        "http://127.0.0.1:80/",
        "http://user@127.0.0.1/",
        "http://%31%32%37.0.0.1/",
        "http://１２７.0.0.1/",
        "http://①②⑦.0.0.1/",
        "http://127。0。0。1/",
        "http://[::1]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::]/",
        "http://[fe80::1]/",
        "http://[fd00::1]:8080/",
        "http://localhost/",
        "http://LOCALHOST/",
        "http://localhost./",
        "http://a.localhost/",
        "http://ⓛocalhost/",
        "http://0xa9fea9fe/",
        "http://2852039166/",
        "http://169.254.43518/",
        "http://[64:ff9b::a00:1]/",
        "http://10.1/",
        "http://3232235777/",
    ];
    for text in refused {
        let url = Url::parse(text).unwrap();
        assert!(check_host(&url, false).is_err(), "{text} is {url}");
        assert!(check_host(&url, true).is_ok(), "{text}");
    }
    for text in [
        "https://example.com/",
        "http://8.8.8.8/",
        "http://[2606:4700::1]/",
        "http://localhost.example.com/",
        "http://notlocalhost/",
    ] {
        assert!(check_host(&Url::parse(text).unwrap(), false).is_ok(), "{text}");
    }
}

/// A call to `upstream.test` whose name resolves as the stub says.
async fn call_named(server: &FaultServer, private: bool, stub: &std::sync::Arc<Stub>) -> Result<(), Error> {
    let port = server.address().port();
    let system =
        read_system(&format!(r#"{{"base_url": "http://upstream.test:{port}", "private": {private}}}"#));
    let client = system.connect_with(stub.clone(), &within(Duration::from_secs(5))).unwrap().call;
    let request = request(prepare(&system, "POST /"), value("{}")).unwrap();
    client.call(&context(), &request).await.map(|_| ())
}

#[tokio::test]
async fn a_name_that_resolves_inside_is_refused() {
    let server = FaultServer::start().await;
    let stub = Stub::new([("127.0.0.1", "upstream.test")]);
    let error = call_named(&server, false, &stub).await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied(), server.connections()), (Kind::Forbidden, Applied::No, 0));
    assert!(error.public().contains("`upstream.test` is a loopback address"), "{error}");
    assert!(error.public().contains("private: true"), "{error}");
    assert!(!error.public().contains("127.0.0.1"), "the address is for the operator: {error}");
    call_named(&server, true, &stub).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_changes_is_checked_again() {
    let server = FaultServer::start().await;
    let port = server.address().port();
    let stub = Stub::new([("127.0.0.1", "upstream.test")]);
    let system = read_system(&format!(r#"{{"base_url": "http://upstream.test:{port}"}}"#));
    let client = system.connect_with(stub.clone(), &within(Duration::from_millis(200))).unwrap().call;
    let call = || async {
        let request = request(prepare(&system, "GET /"), value("{}")).unwrap();
        client.call(&context(), &request).await.unwrap_err()
    };
    assert_eq!(call().await.kind(), Kind::Forbidden);
    stub.set([]);
    assert_eq!(call().await.kind(), Kind::Unavailable);
    stub.set([("10.0.0.1", "upstream.test"), ("169.254.169.254", "upstream.test")]);
    assert_eq!(call().await.kind(), Kind::Forbidden);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn only_checked_addresses_are_handed_on() {
    use reqwest::dns::Resolve as _;
    let stub = Stub::new([("127.0.0.1", "a.test"), ("93.184.216.34", "a.test"), ("::1", "a.test")]);
    let resolve = |private| {
        let resolver = GuardedResolver::new(stub.clone(), private);
        async move {
            let found = resolver.resolve("a.test".parse().unwrap()).await.map_err(|error| error.to_string());
            found.map(|found| found.map(|address| address.ip()).collect::<Vec<IpAddr>>())
        }
    };
    assert_eq!(resolve(false).await.unwrap(), ["93.184.216.34".parse::<IpAddr>().unwrap()]);
    assert_eq!(resolve(true).await.unwrap().len(), 3);
}

#[tokio::test]
async fn the_machines_own_resolver_knows_this_machine() {
    use super::super::guard::{Lookup as _, SystemLookup};
    let lookup = SystemLookup::new();
    match lookup.lookup("localhost").await {
        Ok(found) => assert!(found.iter().all(IpAddr::is_loopback), "{found:?}"),
        // A machine without DNS configuration says so.
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[tokio::test]
async fn follows_redirects_when_asked() {
    let server = FaultServer::start().await;
    server.on("/a", [Answer::redirect(302, "/b?x=1")]);
    server.on("/b", [Answer::redirect(301, "c")]);
    server.on("/c", [Answer::json("1")]);
    let reply = call_with(&server, r#""redirects": 2"#, "GET /a", "{}").await.unwrap();
    assert_eq!(reply.meta.get("url").unwrap().as_str(), Some(&*format!("{}/c", server.url())));
    assert_eq!(json(Ok(reply)).as_i64(), Some(1));
    let error = call_with(&server, r#""redirects": 1"#, "GET /a", "{}").await.unwrap_err();
    assert!(error.public().contains("but 1 were followed already (`redirects`)"), "{error}");
    server.on("/loop", [Answer::redirect(302, "/loop")]);
    let error = call_with(&server, r#""redirects": 10"#, "GET /loop", "{}").await.unwrap_err();
    assert!(error.public().contains("10 were followed"), "{error}");
}

#[tokio::test]
async fn redirects_keep_or_change_the_method() {
    let table = [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (303, "DELETE", "GET"),
        (303, "HEAD", "HEAD"),
        (302, "HEAD", "HEAD"),
    ];
    for (status, before, after) in table {
        let server = FaultServer::start().await;
        server.on("/a", [Answer::redirect(status, "/b")]);
        let body = if matches!(before, "POST" | "PUT") { r#", "body": {"k": 1}"# } else { "" };
        let op = format!(r#"{{"{}": "/a"{body}}}"#, before.to_lowercase());
        call_with(&server, r#""redirects": 1"#, &op, "{}").await.unwrap();
        let seen = &server.received()[1];
        assert_eq!(seen.method, after, "{status} {before}");
        let kept = before == after && !body.is_empty();
        assert_eq!(seen.body, if kept { r#"{"k":1}"# } else { "" }, "{status} {before}");
        assert_eq!(seen.header("content-type").is_some(), kept, "{status} {before}");
    }
}

const IDENTITY: &str = r#""redirects": 3, "auth": {"bearer": "hunter2"}, "headers": {"X-System": "s"}"#;
const WITH_HEADERS: &str =
    r#"{"get": "/a", "headers": {"X-Value": "${.v}", "X-Constant": "c", "Cookie": "s=1"}}"#;

#[tokio::test]
async fn another_origin_gets_no_credentials() {
    let (home, away) = (FaultServer::start().await, FaultServer::start().await);
    home.on("/a", [Answer::redirect(302, "/same")]);
    home.on("/same", [Answer::redirect(307, &format!("{}/b", away.url()))]);
    // Coming back does not bring them back: the other origin chose the path.
    away.on("/b", [Answer::redirect(307, &format!("{}/back", home.url()))]);
    call_with(&home, IDENTITY, WITH_HEADERS, r#"{"v": "x"}"#).await.unwrap();
    let at_home = home.received();
    for seen in &at_home[..2] {
        assert_eq!(seen.header("authorization"), Some("Bearer hunter2"));
        assert_eq!((seen.header("x-system"), seen.header("x-value")), (Some("s"), Some("x")));
    }
    for seen in [&away.only(), &at_home[2]] {
        for name in ["authorization", "x-system", "x-value", "cookie"] {
            assert_eq!(seen.header(name), None, "{name}");
        }
        assert_eq!(seen.header("x-constant"), Some("c"));
        assert!(!String::from_utf8_lossy(&seen.head).contains("hunter2"));
    }
}

#[tokio::test]
async fn a_key_in_the_query_stays_at_home() {
    let (home, away) = (FaultServer::start().await, FaultServer::start().await);
    home.on("/a", [Answer::redirect(302, "/b?c=1")]);
    home.on("/b", [Answer::redirect(302, &format!("{}/d", away.url()))]);
    let more = r#""redirects": 2, "auth": {"api_key": {"query": "key", "value": "k1"}}"#;
    call_with(&home, more, "GET /a", "{}").await.unwrap();
    let targets: Vec<String> = home.received().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/a?key=k1", "/b?c=1&key=k1"]);
    assert_eq!(away.only().target, "/d");
}

#[tokio::test]
async fn a_body_is_never_sent_to_another_origin() {
    let (home, away) = (FaultServer::start().await, FaultServer::start().await);
    home.on("/a", [Answer::redirect(307, &format!("{}/b", away.url()))]);
    for op in [r#"{"post": "/a", "body": {"card": 1}}"#, "DELETE /a"] {
        let error = call_with(&home, IDENTITY, op, "{}").await.unwrap_err();
        assert!(error.public().contains("another origin"), "{error}");
    }
    assert_eq!(away.connections(), 0);
}

#[tokio::test]
async fn redirects_are_checked_like_the_first_request() {
    let home = FaultServer::start().await;
    let port = home.address().port();
    for location in [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "javascript:alert(1)",
        "http://[",
        "http://user:hunter2@",
    ] {
        home.on("/a", [Answer::redirect(302, location)]);
        let error = call_with(&home, r#""redirects": 3"#, "GET /a", "{}").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal, "{error}");
    }
    // Names and passwords in a location are not turned into credentials.
    home.on("/a", [Answer::redirect(302, &format!("http://user:pass@127.0.0.1:{port}/b#f"))]);
    call_with(&home, r#""redirects": 3"#, "GET /a", "{}").await.unwrap();
    let last = home.received().pop().unwrap();
    assert_eq!((last.target.as_str(), last.header("authorization")), ("/b", None));
}

#[test]
fn a_redirect_inside_is_refused() {
    use super::super::{call::Outgoing, credentials::Credentials, prepare::Plan, redirect};
    let system = read_system(r#"{"base_url": "https://shop.example.com", "redirects": 3}"#);
    let op = prepare(&system, "GET /a");
    let first = Outgoing {
        method: http::Method::GET,
        url: "https://shop.example.com/a".parse().unwrap(),
        headers: http::HeaderMap::new(),
        body: bytes::Bytes::new(),
        at_home: true,
    };
    let next = |location: &str| {
        let plan = op.plan::<Plan>().unwrap();
        redirect::next(
            &first.url,
            first.clone(),
            http::StatusCode::FOUND,
            location,
            plan,
            &Credentials::default(),
        )
    };
    assert!(next("http://shop.example.com/a").unwrap_err().contains("leaves HTTPS"));
    for location in [
        "https://169.254.169.254/latest/meta-data",
        "//127.1/",
        "https://[::1]/",
        "https://0x7f.1/",
        "https://localhost:8443/",
        "\\\\10.0.0.1\\x",
    ] {
        let url = next(location).unwrap().url;
        assert!(check_host(&url, false).is_err(), "{location} is {url}");
    }
}

/// The system's connection with a resolver that lets every name through: as if its host were a public one.
pub(super) fn beyond_the_guard(system: &HttpSystem) -> Arc<dyn Call> {
    let resolver = GuardedResolver::new(Stub::new([("127.0.0.1", "upstream.test")]), true);
    let connect_timeout = Duration::from_secs(5);
    let client = client("shop", &Settings::new(Tls::IfPossible, resolver, connect_timeout)).unwrap();
    Arc::new(HttpCall {
        config: system.config.clone(),
        client,
        tokens: None,
        connect_timeout,
        read_timeout: None,
    })
}

#[tokio::test]
async fn a_hop_to_an_address_inside_opens_no_connection() {
    // The name of the first host resolves to loopback, and this client's resolver lets it; the literal
    // address of the second host is the guard's to refuse.
    let (home, inside) = (FaultServer::start().await, FaultServer::start().await);
    home.on("/a", [Answer::redirect(302, &format!("{}/secret", inside.url()))]);
    let port = home.address().port();
    let system = read_system(&format!(r#"{{"base_url": "http://upstream.test:{port}", "redirects": 3}}"#));
    let call = beyond_the_guard(&system);
    let request = request(prepare(&system, "GET /a"), value("{}")).unwrap();
    let error = call.call(&context(), &request).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Forbidden, "{error}");
    assert_eq!((home.received().len(), inside.connections()), (1, 0));
}

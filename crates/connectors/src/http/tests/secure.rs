//! TLS, client certificates and HTTP/2, against a server that speaks them.

use std::fs;

use renkei_core::{Applied, ConnectContext, Error, Kind, Reply, Value, call::Attempt};
use renkei_testkit::secure::{Authority, Identity, Options, SecureServer};

use super::{HttpSystem, Stub, context, json, prepare, read_system, refused_system, request, value};

const HOST: &str = "upstream.test";

/// A text as JSON.
fn quoted(text: &str) -> String {
    Value::from(text).to_json()
}

fn system(server: &SecureServer, scheme: &str, more: &str) -> HttpSystem {
    let port = server.address().port();
    read_system(&format!(r#"{{"base_url": "{scheme}://{HOST}:{port}", "private": true{more}}}"#))
}

async fn ask(system: &HttpSystem, cx: &ConnectContext) -> (Result<Reply, Error>, std::sync::Arc<Attempt>) {
    let context = context();
    let attempt = context.attempt.clone();
    let reply = match system.connect_with(Stub::new([("127.0.0.1", HOST)]), cx) {
        Ok(connection) => {
            let request = request(prepare(system, "POST /a"), value("{}")).unwrap();
            connection.call.call(&context, &request).await
        }
        Err(error) => Err(error),
    };
    (reply, attempt)
}

async fn ask_at(server: &SecureServer, scheme: &str, more: &str) -> Result<Reply, Error> {
    ask(&system(server, scheme, more), &ConnectContext::new("/")).await.0
}

fn version(reply: Result<Reply, Error>) -> String {
    json(reply).get("version").unwrap().as_str().unwrap().to_owned()
}

/// A server, and the `tls` that trusts it.
async fn trusted(authority: &Authority, options: Options) -> (SecureServer, String) {
    let identity = Some(authority.server(&[HOST]));
    let server = SecureServer::start(Options { identity, ..options }).await;
    (server, format!(r#", "tls": {{"ca": {}}}"#, quoted(authority.pem())))
}

#[tokio::test]
async fn http_2_is_spoken_where_the_server_offers_it() {
    let authority = Authority::new();
    let (server, tls) = trusted(&authority, Options::default()).await;
    assert_eq!(version(ask_at(&server, "https", &tls).await), "HTTP/2.0");
    let never = format!(r#"{tls}, "http2": "never""#);
    assert_eq!(version(ask_at(&server, "https", &never).await), "HTTP/1.1");
    let (server, tls) = trusted(&authority, Options { http1_only: true, ..Options::default() }).await;
    assert_eq!(version(ask_at(&server, "https", &tls).await), "HTTP/1.1");
    let plain = SecureServer::start(Options::default()).await;
    assert_eq!(version(ask_at(&plain, "http", "").await), "HTTP/1.1");
    assert_eq!(version(ask_at(&plain, "http", r#", "http2": "always""#).await), "HTTP/2.0");
}

#[tokio::test]
async fn calls_share_a_connection_of_http_2() {
    let server = SecureServer::start(Options::default()).await;
    let system = system(&server, "http", r#", "http2": "always""#);
    let stub = Stub::new([("127.0.0.1", HOST)]);
    let call = system.connect_with(stub, &ConnectContext::new("/")).unwrap().call;
    let calls = (0..20).map(|_| {
        let (call, system) = (call.clone(), &system);
        async move {
            let request = request(prepare(system, "POST /a"), value("{}")).unwrap();
            call.call(&context(), &request).await.unwrap();
        }
    });
    futures_util::future::join_all(calls).await;
    assert_eq!((server.requests(), server.connections()), (20, 1));
}

/// As with HTTP/1.1: a request is marked when it leaves, not before.
#[tokio::test]
async fn what_left_over_http_2_is_marked_as_sent() {
    let server = SecureServer::start(Options::default()).await;
    let system = system(&server, "http", r#", "http2": "always""#);
    for op in ["DELETE /hang", r#"{"post": "/hang", "body": {"a": 1}}"#, "POST /hang"] {
        let before = server.requests();
        let call =
            system.connect_with(Stub::new([("127.0.0.1", HOST)]), &ConnectContext::new("/")).unwrap().call;
        let request = request(prepare(&system, op), value("{}")).unwrap();
        let cx = context();
        let attempt = cx.attempt.clone();
        let task = tokio::spawn(async move { call.call(&cx, &request).await.map(drop) });
        while server.requests() == before {
            tokio::task::yield_now().await;
        }
        assert!(attempt.was_sent(), "{op}");
        task.abort();
    }
}

#[tokio::test]
async fn a_server_that_is_not_to_be_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = |identity, old_tls| {
        SecureServer::start(Options { identity: Some(identity), old_tls, ..Options::default() })
    };
    let good = server(authority.server(&[HOST]), false).await;
    let named = server(authority.server(&["another.test"]), false).await;
    let old = server(authority.server(&[HOST]), true).await;
    let ca = |authority: &Authority, more: &str| {
        format!(r#", "tls": {{"ca": {}{more}}}"#, quoted(authority.pem()))
    };
    assert!(ask_at(&old, "https", &ca(&authority, "")).await.is_ok());
    for (server, more, part) in [
        (&good, ca(&other, ""), "its certificate comes from no known authority"),
        (&named, ca(&authority, ""), "its certificate is for another name; check `base_url`"),
        (&old, ca(&authority, r#", "min_version": 1.3"#), "it speaks no version of TLS that is allowed"),
    ] {
        let (reply, attempt) = ask(&system(server, "https", &more), &ConnectContext::new("/")).await;
        let error = reply.unwrap_err();
        assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::No), "{error:?}");
        assert!(error.public().contains(part), "{error:?}");
        assert!(!attempt.was_sent(), "{part}");
    }
    assert_eq!((good.requests(), named.requests()), (0, 0));
}

fn shown(client: &Identity, ca: &Authority) -> String {
    let (cert, key, ca) = (quoted(&client.certificate), quoted(&client.key), quoted(ca.pem()));
    format!(r#", "tls": {{"ca": {ca}, "cert": {cert}, "key": {key}}}"#)
}

#[tokio::test]
async fn a_client_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let client = authority.client("renkei");
    for (old_tls, http1_only) in [(false, false), (false, true), (true, false)] {
        let clients = Some(authority.pem().to_owned());
        let options = Options { clients, old_tls, http1_only, ..Options::default() };
        let (server, tls) = trusted(&authority, options).await;
        let reply = json(ask_at(&server, "https", &shown(&client, &authority)).await);
        assert_eq!(reply.get("client"), Some(&Value::Bool(true)));
        for (more, part) in [
            (tls, if old_tls { "client certificate" } else { "it asks for a client certificate" }),
            (shown(&other.client("renkei"), &authority), "the client certificate"),
        ] {
            let error = ask_at(&server, "https", &more).await.unwrap_err();
            assert_eq!(error.was_applied(), Applied::No, "{error:?}");
            assert!(error.public().contains(part) && error.public().contains("`tls`"), "{error:?}");
            assert!(!format!("{error:?}").contains("PRIVATE"), "{error:?}");
        }
        assert_eq!(server.requests(), 1);
    }
}

#[tokio::test]
async fn files_of_certificates_are_named_when_they_are_wrong() {
    let authority = Authority::new();
    let (client, other) = (authority.client("renkei"), authority.client("other"));
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("client.pem", &client.certificate);
    write("client.key", &client.key);
    write("other.key", &other.key);
    write("ca.pem", authority.pem());
    write("locked.key", &client.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"));
    write("note.txt", "hello");
    let options = Options { clients: Some(authority.pem().to_owned()), ..Options::default() };
    let (server, _) = trusted(&authority, options).await;
    let cx = ConnectContext::new(folder.path());
    let with = |tls: &str| system(&server, "https", &format!(r#", "tls": {tls}"#));
    let good = with(r#"{"ca": "ca.pem", "cert": "client.pem", "key": "client.key"}"#);
    assert!(ask(&good, &cx).await.0.is_ok());
    for (tls, text) in [
        (r#"{"ca": "no.pem"}"#, "connect `shop`: `no.pem` (`tls.ca`) cannot be read; check its path"),
        (
            r#"{"ca": "note.txt"}"#,
            "connect `shop`: `note.txt` (`tls.ca`) holds no certificate; it needs a part `-----BEGIN CERTIFICATE-----`",
        ),
        (
            r#"{"cert": "client.pem", "key": "note.txt"}"#,
            "connect `shop`: `note.txt` (`tls.key`) holds no private key; it needs a part `-----BEGIN PRIVATE KEY-----`",
        ),
        (
            r#"{"cert": "client.pem", "key": "locked.key"}"#,
            "connect `shop`: `locked.key` (`tls.key`) is encrypted; give the key without a passphrase, as from a secret store",
        ),
        (
            r#"{"cert": "client.pem", "key": "other.key"}"#,
            "connect `shop`: `other.key` (`tls.key`) is not the key of the certificate in `client.pem` (`tls.cert`)",
        ),
    ] {
        let error = ask(&with(tls), &cx).await.0.unwrap_err();
        assert_eq!((error.kind(), error.public()), (Kind::Unavailable, text));
    }
}

#[test]
fn tls_of_the_config_is_checked() {
    let refused = |tls: &str| {
        refused_system(&format!(r#"{{"base_url": "https://shop.example.com", "tls": {tls}}}"#)).join("\n")
    };
    assert!(refused(r#"{"cert": "a.pem"}"#).contains("`tls` has `cert` but no `key`"));
    assert!(refused(r#"{"key": "a.pem"}"#).contains("`tls` has `key` but no `cert`"));
    assert!(refused(r#"{"min_version": "1.1"}"#).contains("older versions of TLS are not spoken"));
    assert!(refused(r#"{"ca": "a\nb"}"#).contains("neither a path nor a PEM text"));
    let plain = refused_system(r#"{"base_url": "http://shop.example.com", "tls": {"ca": "a.pem"}}"#);
    assert!(plain.join("\n").contains("`tls` is of no use"), "{plain:?}");
}

//! TLS and HTTP/2: what the listener shows, what it refuses, and how it ends.

use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use renkei_http::{BadIdentity, Drained, Identity, Limits};
use renkei_testkit::secure::Authority;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::served::{FLOOD, Hello, MODERN, OLD, identity, rest, settle, start_secure, status, text};

#[tokio::test]
async fn clients_choose_between_http_2_and_http_1_1() {
    let server = start_secure(Limits::default()).await;
    let mut client = server.http2().await;
    let answer = client.get("/").await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));
    assert_eq!(text(answer).await, "hello");
    for hello in [OLD, Hello { protocols: &[], ..MODERN }] {
        let mut stream = server.connect(hello).await.unwrap();
        let host = format!("localhost:{}", server.served.address.port());
        let head = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        assert!(rest(stream).await.ends_with("hello"));
    }
}

#[tokio::test]
async fn a_server_may_speak_the_newest_version_only() {
    let authority = Authority::new();
    let pair = authority.server(&["localhost"]);
    let identity = Identity::from_pem(pair.certificate.as_bytes(), pair.key.as_bytes(), true).unwrap();
    let server = start_secure(Limits::default()).await;
    server.tls.replace(identity);
    let server = crate::served::Secure { authority, ..server };
    assert!(server.connect(OLD).await.is_err());
    server.connect(MODERN).await.unwrap();
}

#[tokio::test]
async fn the_checks_of_host_and_origin_know_the_scheme_and_http_2() {
    let server = start_secure(Limits::default()).await;
    let mut client = server.http2().await;
    let own = format!("https://localhost:{}", server.served.address.port());
    let plain = own.replace("https", "http");
    for (origin, status) in [(&own, StatusCode::OK), (&plain, StatusCode::FORBIDDEN)] {
        let request = client.head("GET", "/").header("origin", origin).body(Full::default()).unwrap();
        assert_eq!(client.sender.send_request(request).await.unwrap().status(), status, "{origin}");
    }
    for (host, status) in
        [("localhost", StatusCode::BAD_REQUEST), ("evil.example.com", StatusCode::BAD_REQUEST)]
    {
        let request = client.head("GET", "/").header("host", host).body(Full::default()).unwrap();
        assert_eq!(client.sender.send_request(request).await.unwrap().status(), status, "{host}");
    }
    let request = client.head("GET", "/").uri("https://evil.example.com/").body(Full::default()).unwrap();
    assert_eq!(client.sender.send_request(request).await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections() {
    let server = start_secure(Limits::default()).await;
    let shown = |stream: &tokio_rustls::client::TlsStream<_>| {
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    };
    let first = shown(&server.connect(MODERN).await.unwrap());
    let mut client = server.http2().await;
    assert_eq!(client.get("/").await.unwrap().status(), StatusCode::OK);
    server.tls.replace(identity(&server.authority.server(&["localhost"])));
    let second = shown(&server.connect(MODERN).await.unwrap());
    assert_ne!(first, second);
    // The one that was open goes on.
    assert_eq!(client.get("/").await.unwrap().status(), StatusCode::OK);
}

#[test]
fn a_pair_that_is_none_is_refused() {
    let authority = Authority::new();
    let (one, other) = (authority.server(&["localhost"]), authority.server(&["localhost"]));
    let read = |certificate: &str, key: &str| {
        Identity::from_pem(certificate.as_bytes(), key.as_bytes(), false).err()
    };
    let certificate = |why: &str| Some(BadIdentity::Certificate(why.into()));
    let key = |why: &str| Some(BadIdentity::Key(why.into()));
    assert_eq!(read(&one.certificate, &one.key), None);
    assert_eq!(read(&one.certificate, &other.key), key("is not the key of the certificate"));
    let none = "holds no certificate; it needs a part `-----BEGIN CERTIFICATE-----`";
    assert_eq!(read("", &one.key), certificate(none));
    assert_eq!(read(&one.key, &one.key), certificate(none));
    let none = "holds no private key; it needs a part `-----BEGIN PRIVATE KEY-----`";
    assert_eq!(read(&one.certificate, &one.certificate), key(none));
    let sealed = one.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let why = "is encrypted; give the key without a passphrase, as from a secret store";
    assert_eq!(read(&one.certificate, &sealed), key(why));
    let half = &one.certificate[..one.certificate.len() / 2];
    assert!(matches!(read(half, &one.key), Some(BadIdentity::Certificate(_))));
}

#[tokio::test]
async fn a_plain_request_hears_that_this_is_tls() {
    let server = start_secure(Limits::default()).await;
    for greeting in ["GET / HTTP/1.1\r\nhost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = server.served.connect().await;
        stream.write_all(greeting.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = rest(stream).await;
        assert_eq!(status(&answer), Some(400), "{answer}");
        assert!(answer.ends_with(
            r#"{"error":"plain_http","message":"this port speaks TLS: begin the URL with `https://`"}"#
        ));
    }
}

#[tokio::test]
async fn a_handshake_has_an_end() {
    let limits = Limits { handshake_time: Duration::from_millis(50), ..Limits::default() };
    let server = start_secure(limits).await;
    // Nothing at all; the head of a record that never comes; something that is no TLS.
    for greeting in [&b""[..], &[22, 3, 1, 2, 0, 1], &[0; 64], &[22; 64]] {
        let mut stream = server.served.connect().await;
        stream.write_all(greeting).await.unwrap();
        assert!(!rest(stream).await.contains("HTTP"));
    }
    server.connect(MODERN).await.unwrap();
}

#[tokio::test]
async fn one_handshake_too_many_waits_for_its_turn() {
    let handshake_time = Duration::from_secs(3600);
    let server = start_secure(Limits { handshakes: 1, handshake_time, ..Limits::default() }).await;
    // Who only connects holds no place.
    let _silent = server.served.connect().await;
    server.connect(MODERN).await.unwrap();
    let mut first = server.served.connect().await;
    first.write_all(&[22, 3, 1]).await.unwrap();
    settle().await;
    let mut second = std::pin::pin!(server.connect(MODERN));
    tokio::select! {
        biased;
        _ = &mut second => panic!("two handshakes went on at once"),
        () = settle() => {}
    }
    drop(first);
    second.await.unwrap();
}

#[tokio::test]
async fn one_stream_too_many_waits_for_its_turn() {
    let server = start_secure(Limits { streams: 1, ..Limits::default() }).await;
    let mut client = server.http2().await;
    // After it the client knows the server's settings.
    client.get("/").await.unwrap();
    let waiting = client.head("GET", "/wait").body(Full::default()).unwrap();
    let waiting = tokio::spawn(client.sender.send_request(waiting));
    server.served.arrived.notified().await;
    let mut second = std::pin::pin!(client.get("/"));
    tokio::select! {
        biased;
        _ = &mut second => panic!("two requests ran at once"),
        () = settle() => {}
    }
    server.served.release.notify_one();
    assert_eq!(text(waiting.await.unwrap().unwrap()).await, "released");
    assert_eq!(second.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn the_limits_of_a_request_hold_with_http_2() {
    let limits = Limits {
        header_bytes: 8192,
        header_lines: 10,
        uri_bytes: 100,
        body_bytes: 1000,
        ..Limits::default()
    };
    let server = start_secure(limits).await;
    let mut client = server.http2().await;
    let lines = (0..11).fold(client.head("GET", "/"), |head, n| head.header(format!("x-{n}"), "y"));
    for (request, status) in [
        (client.head("GET", "/").header("x", "y".repeat(9000)), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        (lines, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        (client.head("GET", &format!("/?{}", "x".repeat(99))), StatusCode::URI_TOO_LONG),
    ] {
        let request = request.body(Full::default()).unwrap();
        assert_eq!(client.sender.send_request(request).await.unwrap().status(), status);
    }
    for (length, status) in [(1000, StatusCode::OK), (1001, StatusCode::PAYLOAD_TOO_LARGE)] {
        let body = Full::new(Bytes::from(vec![b'x'; length]));
        let request = client.head("POST", "/length").body(body).unwrap();
        assert_eq!(client.sender.send_request(request).await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn an_idle_connection_of_http_2_is_closed() {
    let limits = Limits { header_time: Duration::from_millis(50), ..Limits::default() };
    let server = start_secure(limits).await;
    let mut client = server.http2().await;
    client.get("/").await.unwrap();
    // It is told so before: that is no error.
    client.connection.await.unwrap().unwrap();
    // One that never says a word of HTTP.
    let mut stream = server.connect(MODERN).await.unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
}

/// Its socket is read all the time: only the stream's window is shut.
#[tokio::test]
async fn a_stream_that_nobody_reads_is_ended_and_holds_up_no_other() {
    let never = Duration::from_secs(3600);
    let limits = Limits { write_pause: Duration::from_millis(100), drain_time: never, ..Limits::default() };
    let server = start_secure(limits).await;
    let mut client = server.http2().await;
    let deaf = client.get("/flood").await.unwrap();
    assert_eq!(text(client.get("/").await.unwrap()).await, "hello");
    let mut deaf = deaf.into_body();
    // What the window held is still there. Then comes the end that the server made.
    settle().await;
    server.served.shutdown.cancel();
    assert_eq!(server.served.done.await.unwrap().unwrap(), Drained { cut: 0 });
    let mut read = 0;
    let ended = loop {
        match deaf.frame().await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(error)) => break Some(error),
            None => break None,
        }
    };
    assert!(ended.is_some() && read < FLOOD, "{read} bytes");
}

#[tokio::test]
async fn an_endless_stream_that_nobody_reads_is_ended() {
    let limits = Limits { write_pause: Duration::from_millis(100), ..Limits::default() };
    let server = start_secure(limits).await;
    let mut client = server.http2().await;
    let _deaf = client.get("/endless").await.unwrap();
    assert_eq!(text(client.get("/").await.unwrap()).await, "hello");
    server.served.left.notified().await;
    // The connection lives.
    assert_eq!(text(client.get("/").await.unwrap()).await, "hello");
}

/// A large answer arrives whole, piece by piece.
#[tokio::test]
async fn a_large_answer_comes_whole_with_http_2() {
    let server = start_secure(Limits::default()).await;
    let answer = server.http2().await.get("/flood").await.unwrap();
    assert_eq!(answer.headers()["content-length"], FLOOD.to_string());
    assert_eq!(text(answer).await.len(), FLOOD);
}

#[tokio::test]
async fn a_drain_finishes_the_streams_under_way() {
    let never = Duration::from_secs(3600);
    let limits = Limits { header_time: never, drain_time: never, ..Limits::default() };
    let server = start_secure(limits).await;
    let mut idle = server.http2().await;
    idle.get("/").await.unwrap();
    let client = server.http2().await;
    let request = client.head("GET", "/wait").body(Full::default()).unwrap();
    let mut sender = client.sender.clone();
    let waiting = tokio::spawn(async move { sender.send_request(request).await });
    server.served.arrived.notified().await;
    // Over TLS, but with HTTP/1.1.
    let mut old = server.connect(OLD).await.unwrap();
    let head = format!("GET /wait HTTP/1.1\r\nhost: localhost:{}\r\n\r\n", server.served.address.port());
    old.write_all(head.as_bytes()).await.unwrap();
    server.served.arrived.notified().await;
    let silent = server.connect(MODERN).await.unwrap();
    server.served.shutdown.cancel();
    idle.connection.await.unwrap().unwrap();
    rest(silent).await;
    server.served.release.notify_waiters();
    assert_eq!(text(waiting.await.unwrap().unwrap()).await, "released");
    let old = rest(old).await;
    assert!(old.contains("connection: close") && old.ends_with("released"), "{old}");
    client.connection.await.unwrap().unwrap();
    assert_eq!(server.served.done.await.unwrap().unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn a_drain_cuts_streams_that_take_too_long() {
    let server = start_secure(Limits { drain_time: Duration::ZERO, ..Limits::default() }).await;
    let client = server.http2().await;
    let request = client.head("GET", "/wait").body(Full::default()).unwrap();
    let mut sender = client.sender.clone();
    let waiting = tokio::spawn(async move { sender.send_request(request).await });
    server.served.arrived.notified().await;
    server.served.shutdown.cancel();
    assert_eq!(server.served.done.await.unwrap().unwrap(), Drained { cut: 1 });
    assert!(waiting.await.unwrap().is_err());
}

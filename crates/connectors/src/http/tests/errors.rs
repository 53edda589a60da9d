//! What a failure means.

use std::{sync::Arc, time::Duration};

use renkei_core::{Applied, ConnectContext, Error, Kind, Retry};
use renkei_testkit::fault::{Answer, FaultServer};

use super::{call, call_on, call_with, connect, context, prepare, request, system_at, value};

async fn error_of(op: &str, answer: Answer) -> Error {
    let server = FaultServer::start().await;
    server.on("/", [answer]);
    call(&server, op, "{}").await.unwrap_err()
}

#[tokio::test]
async fn a_status_has_a_kind() {
    use Applied::{No, Unknown};
    use Kind::{
        Conflict, Forbidden, Internal, Invalid, NotFound, RateLimited, Rejected, Timeout, Unauthenticated,
        Unavailable,
    };
    let table = [
        (400, Invalid, Retry::Never, No),
        (401, Unauthenticated, Retry::Never, No),
        (402, Rejected, Retry::Never, No),
        (403, Forbidden, Retry::Never, No),
        (404, NotFound, Retry::Never, No),
        (405, Internal, Retry::Never, No),
        (408, Timeout, Retry::Safe, No),
        (409, Conflict, Retry::Never, No),
        (410, NotFound, Retry::Never, No),
        (412, Conflict, Retry::Never, No),
        (413, Invalid, Retry::Never, No),
        (415, Internal, Retry::Never, No),
        (418, Invalid, Retry::Never, No),
        (422, Invalid, Retry::Never, No),
        (425, Unavailable, Retry::Safe, No),
        (429, RateLimited, Retry::Safe, No),
        (451, Forbidden, Retry::Never, No),
        (500, Unavailable, Retry::Safe, Unknown),
        (501, Internal, Retry::Never, No),
        (502, Unavailable, Retry::Safe, Unknown),
        (503, Unavailable, Retry::Safe, Unknown),
        (504, Timeout, Retry::Safe, Unknown),
        (599, Unavailable, Retry::Safe, Unknown),
        (300, Internal, Retry::Never, Unknown),
    ];
    for (status, kind, retry, applied) in table {
        let error = error_of("POST /", Answer::body(status, "text/plain", "what it said")).await;
        let found = (error.kind(), error.retry_advice(), error.was_applied(), error.status_code());
        assert_eq!(found, (kind, retry, applied, Some(status)), "{error}");
        let text = error.public();
        assert!(text.contains("`shop`") && text.contains(&status.to_string()), "{text}");
        assert!(text.contains("`POST /`") && text.contains("what it said"), "{text}");
        // What reads has nothing to apply.
        let error = error_of("GET /", Answer::status(status)).await;
        assert_eq!(error.was_applied(), No, "{error}");
    }
}

#[tokio::test]
async fn the_operation_says_what_a_status_means() {
    let op = r#"{"post": "/", "errors": {"404": "rejected", "409": "not_found", "500": "rejected", "400": "unavailable"}}"#;
    for (status, kind, retry) in [
        (404, Kind::Rejected, Retry::Never),
        (409, Kind::NotFound, Retry::Never),
        (500, Kind::Rejected, Retry::Never),
        (503, Kind::Unavailable, Retry::Safe),
    ] {
        let error = error_of(op, Answer::status(status)).await;
        assert_eq!((error.kind(), error.retry_advice()), (kind, retry), "{status}: {error}");
    }
}

#[tokio::test]
async fn a_system_says_when_to_come_back() {
    let wait = |answer: Answer| async move { error_of("GET /", answer).await.retry_advice() };
    let seconds = |n| Retry::After(Duration::from_secs(n));
    assert_eq!(wait(Answer::status(429).with("Retry-After", "7")).await, seconds(7));
    assert_eq!(wait(Answer::status(503).with("Retry-After", " 120 ")).await, seconds(120));
    assert_eq!(
        wait(Answer::status(503).with("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")).await,
        seconds(0)
    );
    let later = wait(Answer::status(503).with("Retry-After", "Tue, 31 Dec 2199 23:59:59 GMT")).await;
    let lenient = wait(Answer::status(503).with("Retry-After", "Mon, 31 Dec 2199 23:59:59 GMT")).await;
    assert!(matches!(lenient, Retry::After(_)), "{lenient:?}");
    assert!(matches!(later, Retry::After(wait) if wait > Duration::from_secs(3600)), "{later:?}");
    for nonsense in ["soon", "-5", "99999999999999999999", "1.5", ""] {
        assert_eq!(wait(Answer::status(429).with("Retry-After", nonsense)).await, Retry::Safe, "{nonsense}");
    }
    assert_eq!(wait(Answer::status(404).with("Retry-After", "7")).await, Retry::Never);
}

#[tokio::test]
async fn a_page_is_reduced_to_its_words() {
    let page = "<!DOCTYPE html>\n<html><head><title>502 Bad &amp;\n Gateway</title><style>x{}</style></head><body>long</body></html>";
    let error = error_of("GET /", Answer::html(502, page)).await;
    assert!(error.public().ends_with("to `GET /`: 502 Bad & Gateway"), "{error}");
    let page = "<html><head><style>b{}</style></head><script>if (1 < 2) x()</script><!-- no > <b> --><body><p>Try&nbsp;<b>later</b></p><body></html>";
    let error = error_of("GET /", Answer::body(503, "text/plain", page)).await;
    assert!(error.public().ends_with(": Try later"), "{error}");
    let long = "<".repeat(60_000);
    for broken in
        [&*long, "<", "<html", "<html><script", "<!--", "<html><é", "<title", "<html>é<scrip\u{e9}t"]
    {
        error_of("GET /", Answer::html(500, broken)).await;
    }
}

#[tokio::test]
async fn words_are_capped_and_clean() {
    let error = error_of("GET /", Answer::body(400, "text/plain", "é".repeat(100_000))).await;
    assert!(error.public().len() < 2_200, "{}", error.public().len());
    let error = error_of("GET /", Answer::body(400, "text/plain", "a\u{1b}[31m\r\n\n\tb")).await;
    assert!(error.public().ends_with(": a [31m\nb"), "{error:?}");
    let error =
        error_of("GET /", Answer::body(400, "application/octet-stream", &b"\x00\x01secret"[..])).await;
    assert!(error.public().ends_with("to `GET /`"), "{error}");
    let error = error_of("GET /", Answer::Large { length: 50 << 20 }).await;
    assert_eq!(error.kind(), Kind::Internal);
}

#[tokio::test]
async fn secrets_are_masked_in_a_systems_own_words() {
    let server = FaultServer::start().await;
    server
        .on("/", [Answer::body(401, "text/plain", "bad hunter2-token bWU6aHVudGVyMg== k%26ey-9 and k&ey-9")]);
    let cases = [
        (r#""auth": {"bearer": "hunter2-token"}"#, "hunter2-token"),
        (r#""auth": {"basic": {"user": "me", "password": "hunter2"}}"#, "bWU6aHVudGVyMg=="),
        (r#""auth": {"api_key": {"query": "k", "value": "k&ey-9"}}"#, "k%26ey-9"),
        (r#""auth": {"api_key": {"header": "k", "value": "k&ey-9"}}"#, "k&ey-9"),
        (r#""headers": {"X-Auth-Token": "hunter2-token"}"#, "hunter2-token"),
    ];
    for (more, secret) in cases {
        let error = call_with(&server, more, "GET /", "{}").await.unwrap_err();
        assert!(error.public().contains("***"), "{error}");
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_error_unless_asked_for() {
    for status in [301, 302, 303, 307, 308] {
        let error = error_of("POST /", Answer::redirect(status, "/elsewhere?x=1")).await;
        assert_eq!((error.kind(), error.was_applied()), (Kind::Internal, Applied::Unknown));
        assert!(
            error.public().contains("`/elsewhere?x=1`") && error.public().contains("`redirects`"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_system_that_is_down() {
    let address = FaultServer::refused().await;
    for op in ["POST /", "DELETE /", r#"{"post": "/", "body": {"a": 1}}"#, "GET /"] {
        let system = system_at(&format!("http://{address}"), "");
        let cx = context();
        let request = request(prepare(&system, op), value("{}")).unwrap();
        let error = connect(&system).call(&cx, &request).await.unwrap_err();
        let found = (error.kind(), error.retry_advice(), error.was_applied());
        assert_eq!(found, (Kind::Unavailable, Retry::Safe, Applied::No), "{error}");
        assert!(!cx.attempt.was_sent(), "{op}: nothing was sent");
        assert!(error.public().contains("system `shop` may be down"), "{error}");
    }
}

#[tokio::test]
async fn a_name_that_nobody_knows() {
    let system = super::read_system(r#"{"base_url": "http://nowhere.test"}"#);
    let error = call_on(&system, "POST /", value("{}")).await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::No));
    assert!(error.public().contains("the name `nowhere.test` could not be resolved"), "{error}");
}

#[tokio::test]
async fn no_secure_connection() {
    let server = FaultServer::start().await;
    let system = system_at(&server.url().replace("http:", "https:"), "");
    let error = call_on(&system, "POST /", value("{}")).await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::No), "{error:?}");
    assert!(error.public().contains("TLS failed"), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_doubt() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 10\r\n\r\nabc";
    let table = [
        (Answer::Close, Applied::Unknown),
        (Answer::Reset, Applied::Unknown),
        (Answer::Raw("SSH-2.0-OpenSSH\r\n".into()), Applied::Unknown),
        (Answer::Raw("HTTP/1.1 200 OK\r\nbroken".into()), Applied::Unknown),
        // It said that it went well before it broke off.
        (Answer::Raw(cut.into()), Applied::Yes),
    ];
    for (answer, applied) in table {
        for op in ["POST /", "DELETE /", r#"{"put": "/", "body": {"a": 1}}"#] {
            let error = error_of(op, answer.clone()).await;
            assert_eq!(
                (error.kind(), error.was_applied()),
                (Kind::Unavailable, applied),
                "{op} {answer:?}: {error:?}"
            );
        }
        let error = error_of("GET /", answer.clone()).await;
        let found = (error.kind(), error.was_applied(), error.retry_advice());
        assert_eq!(found, (Kind::Unavailable, Applied::No, Retry::Safe), "{answer:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_write_that_went_well_is_told_so_although_its_reply_is_useless() {
    for answer in [
        Answer::json("{"),
        Answer::body(201, "text/plain; charset=x", "a"),
        Answer::Large { length: 20 << 20 },
    ] {
        let error = error_of("POST /", answer).await;
        assert_eq!((error.was_applied(), error.retry_advice()), (Applied::Yes, Retry::Never), "{error}");
    }
}

/// A call under way, on a task of its own so that it can be dropped.
fn start(server: &FaultServer, op: &str) -> (tokio::task::JoinHandle<()>, Arc<renkei_core::call::Attempt>) {
    let system = system_at(&server.url(), "");
    let request = request(prepare(&system, op), value("{}")).unwrap();
    let cx = context();
    let attempt = cx.attempt.clone();
    let task = tokio::spawn(async move {
        let _ = connect(&system).call(&cx, &request).await;
        unreachable!("the server never answers");
    });
    (task, attempt)
}

#[tokio::test]
async fn dropping_a_call_closes_its_connection() {
    let answers = [Answer::Hang, Answer::HangInBody { length: 100, sent: "{".into() }];
    for answer in answers {
        let server = FaultServer::start().await;
        server.on("/", [answer]);
        let (task, attempt) = start(&server, "DELETE /");
        server.wait_received(1).await;
        assert!(attempt.was_sent());
        task.abort();
        server.wait_abandoned(1).await;
    }
}

#[tokio::test]
async fn what_left_is_marked_as_sent() {
    for op in ["DELETE /", r#"{"post": "/", "body": {"a": 1}}"#, "POST /"] {
        let server = FaultServer::start().await;
        server.on("/", [Answer::Hang]);
        let (task, attempt) = start(&server, op);
        server.wait_received(1).await;
        assert!(attempt.was_sent(), "{op}");
        task.abort();
        server.stop().await;
    }
}

#[tokio::test]
async fn a_connection_that_never_opens_is_given_up() {
    // The lookup takes for ever; the limit covers it, too.
    #[derive(Debug)]
    struct Never;
    #[async_trait::async_trait]
    impl super::Lookup for Never {
        async fn lookup(
            &self,
            _: &str,
        ) -> Result<Vec<std::net::IpAddr>, Box<dyn std::error::Error + Send + Sync>> {
            std::future::pending().await
        }
    }
    let system = super::read_system(r#"{"base_url": "http://slow.test"}"#);
    let client =
        system.connect_with(Arc::new(Never), &super::within(Duration::from_millis(20))).unwrap().call;
    let cx = context();
    let request = request(prepare(&system, "POST /"), value("{}")).unwrap();
    let error = client.call(&cx, &request).await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::No));
    assert!(error.public().contains("within 20ms (`timeout.connect`)"), "{error}");
    assert!(!cx.attempt.was_sent());
}

#[tokio::test]
async fn a_silence_has_its_own_limit() {
    let cases = [
        (Answer::Hang, "GET /", Applied::No, "after the request was sent"),
        (Answer::Hang, "POST /", Applied::Unknown, "after the request was sent"),
        (Answer::HangInBody { length: 100, sent: "{".into() }, "POST /", Applied::Yes, "in the middle of it"),
    ];
    for (answer, op, applied, part) in cases {
        let server = FaultServer::start().await;
        server.on("/", [answer]);
        let system = system_at(&server.url(), "");
        let lookup = super::Stub::new([]);
        let cx = ConnectContext {
            read_timeout: Some(Duration::from_millis(50)),
            ..super::within(Duration::from_secs(5))
        };
        let client = system.connect_with(lookup, &cx);
        let request = request(prepare(&system, op), value("{}")).unwrap();
        let error = client.unwrap().call.call(&context(), &request).await.unwrap_err();
        assert_eq!((error.kind(), error.was_applied()), (Kind::Timeout, applied), "{op}: {error}");
        assert!(error.public().contains("for 50ms") && error.public().contains("`timeout.read`"), "{error}");
        assert!(error.public().contains(part), "{error}");
    }
}

#[tokio::test]
async fn who_was_sent_on_is_not_the_systems_failure() {
    let nobody = FaultServer::refused().await;
    for (location, elsewhere) in [(format!("http://{nobody}/x"), true), ("/missing".to_owned(), false)] {
        let server = FaultServer::start().await;
        server.on("/", [Answer::redirect(302, &location)]);
        server.on("/missing", [Answer::status(503)]);
        let system = system_at(&server.url(), r#""redirects": 1"#);
        let request = request(prepare(&system, "GET /"), value("{}")).unwrap();
        let cx = context();
        let error = connect(&system).call(&cx, &request).await.unwrap_err();
        assert_eq!((error.kind(), cx.attempt.was_elsewhere()), (Kind::Unavailable, elsewhere), "{error}");
    }
}

//! Tokens by the client credentials grant.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use renkei_core::{Applied, Call, Error, Kind, Reply, Retry};
use renkei_testkit::fault::{Answer, FaultServer, Received};

use super::{
    HttpSystem, connect, context, json, prepare, read_system, refused_system, request, system_at, value,
};

const SECRET: &str = "s3cr3t & more";

/// A system at `/` of a server whose token endpoint is `/token` of the same server.
fn system(server: &FaultServer, more: &str) -> HttpSystem {
    let url = server.url();
    let comma = if more.is_empty() { "" } else { ", " };
    let auth = format!(
        r#""auth": {{"oauth2": {{"token_url": "{url}/token", "client_id": "renkei", "client_secret": "{SECRET}"{comma}{more}}}}}"#
    );
    system_at(&url, &auth)
}

fn token(token: &str, more: &str) -> Answer {
    Answer::json(&format!(r#"{{"access_token": "{token}", "token_type": "Bearer"{more}}}"#))
}

async fn ask(system: &HttpSystem, call: &Arc<dyn Call>, op: &str) -> Result<Reply, Error> {
    call.call(&context(), &request(prepare(system, op), value("{}")).unwrap()).await
}

/// The requests to the token endpoint, and the others.
fn parted(server: &FaultServer) -> (Vec<Received>, Vec<Received>) {
    server.received().into_iter().partition(|seen| seen.path() == "/token")
}

/// The tokens that requests to the system carried.
fn carried(server: &FaultServer) -> Vec<String> {
    parted(server).1.iter().map(|seen| seen.header("authorization").unwrap().to_owned()).collect()
}

fn counts(server: &FaultServer) -> (usize, usize) {
    let (tokens, others) = parted(server);
    (tokens.len(), others.len())
}

/// As if so much time had passed.
async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn one_token_serves_all_calls() {
    let server = FaultServer::start().await;
    server.on("/token", [token("t1", r#", "expires_in": 3600"#)]);
    let system = system(&server, r#""scope": ["orders:read", "orders:write"]"#);
    let call = connect(&system);
    assert_eq!(server.connections(), 0, "nothing is fetched before it is needed");
    for op in ["GET /a", "POST /a", "GET /b"] {
        ask(&system, &call, op).await.unwrap();
    }
    assert_eq!(carried(&server), ["Bearer t1"; 3]);
    let (tokens, _) = parted(&server);
    let [seen] = &tokens[..] else { panic!("{tokens:?}") };
    assert_eq!(
        (&*seen.method, seen.header("content-type")),
        ("POST", Some("application/x-www-form-urlencoded"))
    );
    assert_eq!(seen.body, "grant_type=client_credentials&scope=orders%3Aread+orders%3Awrite");
    // renkei:s3cr3t+%26+more
    assert_eq!(seen.header("authorization"), Some("Basic cmVua2VpOnMzY3IzdCslMjYrbW9yZQ=="));
}

#[tokio::test]
async fn how_the_client_says_who_it_is_and_what_it_wants() {
    let server = FaultServer::start().await;
    server.on("/token", [token("t1", "")]);
    let body = |more: &'static str| {
        let system = system(&server, more);
        let server = &server;
        async move {
            ask(&system, &connect(&system), "GET /").await.unwrap();
            let seen = parted(server).0.pop().unwrap();
            (seen.header("authorization").is_some(), String::from_utf8(seen.body.to_vec()).unwrap())
        }
    };
    let post = r#""client_auth": "post", "scope": "a b""#;
    let text = "grant_type=client_credentials&client_id=renkei&client_secret=s3cr3t+%26+more&scope=a+b";
    assert_eq!(body(post).await, (false, text.into()));
    let more = r#""audience": "https://api", "resource": "https://api/x", "params": {"tenant": "acme"}"#;
    let text =
        "grant_type=client_credentials&audience=https%3A%2F%2Fapi&resource=https%3A%2F%2Fapi%2Fx&tenant=acme";
    assert_eq!(body(more).await, (true, text.into()));
    let url = server.url();
    let none = system_at(
        &url,
        &format!(
            r#""auth": {{"oauth2": {{"token_url": "{url}/token", "client_id": "renkei", "client_auth": "none"}}}}"#
        ),
    );
    ask(&none, &connect(&none), "GET /").await.unwrap();
    let seen = parted(&server).0.pop().unwrap();
    assert_eq!(seen.body, "grant_type=client_credentials&client_id=renkei");
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn calls_at_the_same_time_fetch_one_token() {
    let server = FaultServer::start().await;
    server.on("/token", [token("t1", "")]);
    let system = system(&server, "");
    let call = connect(&system);
    join_all((0..20).map(|_| async { ask(&system, &call, "POST /a").await.unwrap() })).await;
    assert_eq!(counts(&server), (1, 20));
}

/// Those who waited hear what the one who asked was told; nobody asks again for himself.
#[tokio::test]
async fn calls_at_the_same_time_share_a_failure() {
    let server = FaultServer::start().await;
    server.on("/token", [Answer::status(503)]);
    let system = system(&server, "");
    let call = connect(&system);
    let asked = join_all((0..20).map(|_| async { ask(&system, &call, "POST /a").await.unwrap_err() })).await;
    assert_eq!(counts(&server), (1, 0));
    for error in asked {
        assert_eq!((error.kind(), error.retry_advice()), (Kind::Unavailable, Retry::Safe));
    }
    ask(&system, &call, "POST /a").await.unwrap_err();
    assert_eq!(counts(&server), (2, 0), "but the next call asks anew");
}

#[tokio::test]
async fn a_call_that_is_given_up_does_not_leave_the_others_without_a_token() {
    let server = FaultServer::start().await;
    server.on("/token", [Answer::Hang, token("t1", "")]);
    let system = Arc::new(system(&server, ""));
    let call = connect(&system);
    let ask = |system: Arc<HttpSystem>, call: Arc<dyn Call>| {
        tokio::spawn(async move { ask(&system, &call, "GET /").await.map(drop) })
    };
    let first = ask(system.clone(), call.clone());
    server.wait_received(1).await;
    let second = ask(system, call);
    tokio::task::yield_now().await;
    first.abort();
    second.await.unwrap().unwrap();
    assert_eq!(carried(&server), ["Bearer t1"]);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let server = FaultServer::start().await;
    let hundred = r#", "expires_in": "100""#;
    server.on("/token", [token("t1", hundred), Answer::status(500), token("t2", hundred), token("t3", "")]);
    let system = system(&server, "");
    let call = connect(&system);
    let ask = || async { ask(&system, &call, "GET /").await.unwrap() };
    ask().await;
    later(Duration::from_secs(70)).await;
    ask().await;
    assert_eq!((carried(&server), counts(&server).0), (vec!["Bearer t1".to_owned(); 2], 1));
    // The server is in trouble, the token still good: nobody notices, and it is not asked all the time.
    later(Duration::from_secs(6)).await;
    ask().await;
    ask().await;
    assert_eq!((carried(&server).pop().unwrap().as_str(), counts(&server).0), ("Bearer t1", 2));
    later(Duration::from_secs(11)).await;
    ask().await;
    assert_eq!((carried(&server).pop().unwrap().as_str(), counts(&server).0), ("Bearer t2", 3));
    // Nobody asked for longer than it lives.
    later(Duration::from_secs(101)).await;
    ask().await;
    assert_eq!((carried(&server).pop().unwrap().as_str(), counts(&server).0), ("Bearer t3", 4));
    // Without `expires_in` it is good until it is refused.
    later(Duration::from_secs(86_400 * 30)).await;
    ask().await;
    assert_eq!((carried(&server).pop().unwrap().as_str(), counts(&server).0), ("Bearer t3", 4));
}

/// A token that expires at once serves the call that fetched it.
#[tokio::test]
async fn a_token_for_one_call() {
    let server = FaultServer::start().await;
    server.on("/token", [token("t1", r#", "expires_in": 0"#), token("t2", r#", "expires_in": -1"#)]);
    let system = system(&server, "");
    let call = connect(&system);
    for _ in 0..2 {
        ask(&system, &call, "GET /").await.unwrap();
    }
    assert_eq!(carried(&server), ["Bearer t1", "Bearer t2"]);
}

fn refused() -> Answer {
    Answer::status(401)
}

fn refused_for_the_token() -> Answer {
    refused().with("WWW-Authenticate", r#"Bearer realm="shop", error="invalid_token""#)
}

/// A token that was revoked: one other token, one repeat, and only where the repeat is safe.
#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    for (op, answers, succeeds, sent) in [
        ("GET /a", vec![refused(), Answer::json("1")], true, 2),
        ("PUT /a", vec![refused(), Answer::json("1")], true, 2),
        ("POST /a", vec![refused_for_the_token(), Answer::json("1")], true, 2),
        // Perhaps it was not the token.
        ("POST /a", vec![refused(), Answer::json("1")], false, 1),
        ("GET /a", vec![refused(), refused(), Answer::json("1")], false, 2),
        ("POST /a", vec![refused_for_the_token(), refused_for_the_token(), Answer::json("1")], false, 2),
    ] {
        let server = FaultServer::start().await;
        server.on("/token", [token("t1", ""), token("t2", "")]);
        let system = system(&server, "");
        let call = connect(&system);
        ask(&system, &call, "GET /before").await.unwrap();
        later(Duration::from_secs(60)).await;
        server.on("/a", answers);
        let reply = ask(&system, &call, op).await;
        assert_eq!(reply.is_ok(), succeeds, "{op}");
        assert_eq!(counts(&server), (sent, 1 + sent), "{op}");
        if let Err(error) = reply {
            assert_eq!((error.kind(), error.was_applied()), (Kind::Unauthenticated, Applied::No));
        } else {
            assert_eq!(carried(&server).pop().unwrap(), "Bearer t2");
        }
    }
}

#[tokio::test]
async fn a_new_token_that_is_refused_is_not_replaced() {
    let server = FaultServer::start().await;
    server.on("/token", [token("t1", ""), token("t2", "")]);
    server.on("/a", [refused()]);
    let system = system(&server, "");
    let call = connect(&system);
    for _ in 0..3 {
        ask(&system, &call, "GET /a").await.unwrap_err();
    }
    assert_eq!(counts(&server), (1, 3));
}

#[tokio::test]
async fn many_calls_with_a_refused_token_fetch_one() {
    let server = FaultServer::start().await;
    server.on("/token", [token("t1", ""), token("t2", "")]);
    let system = system(&server, "");
    let call = connect(&system);
    ask(&system, &call, "GET /before").await.unwrap();
    later(Duration::from_secs(60)).await;
    let mut answers = vec![refused(); 10];
    answers.push(Answer::json("1"));
    server.on("/a", answers);
    join_all((0..10).map(|_| async { ask(&system, &call, "GET /a").await.unwrap() })).await;
    assert_eq!(counts(&server).0, 2);
}

/// What the token endpoint says, and what is made of it. Whoever reads it can mend it, and learns no secret.
#[tokio::test]
async fn what_a_token_endpoint_may_say() {
    let said = |status, error: &str, words: &str| {
        let text = format!(r#"{{"error": "{error}", "error_description": "{words}"}}"#);
        Answer::body(status, "application/json", text)
    };
    let mut all = String::new();
    for (name, answer) in [
        ("wrong secret", said(401, "invalid_client", &format!("Wrong secret {SECRET}."))),
        ("wrong scope", said(400, "invalid_scope", "The scope is unknown.")),
        ("grant not allowed", said(400, "unauthorized_client", "")),
        ("wrong audience", said(400, "invalid_target", "no such resource")),
        ("control characters", said(400, "a\\u001b[31m", "b\\nc")),
        ("no words", Answer::status(401)),
        ("page", Answer::html(403, "<html><title>Forbidden</title></html>")),
        ("not there", Answer::status(404)),
        ("elsewhere", Answer::redirect(302, "/login")),
        ("too many", Answer::status(429).with("Retry-After", "7")),
        ("down", Answer::status(503)),
        ("a page with 200", Answer::html(200, "<html>")),
        ("no token", Answer::json(r#"{"token_type": "Bearer"}"#)),
        ("another type", Answer::json(r#"{"access_token": "t", "token_type": "DPoP"}"#)),
        ("not for a header", Answer::json(r#"{"access_token": "a\nb", "token_type": "Bearer"}"#)),
        ("endless", Answer::Large { length: 10 << 20 }),
        ("closes", Answer::Close),
        ("hangs", Answer::Hang),
    ] {
        let server = FaultServer::start().await;
        server.on("/token", [answer]);
        let timeout = if name == "hangs" { "50ms" } else { "20s" };
        let system = system(&server, &format!(r#""timeout": "{timeout}""#));
        let cx = context();
        let request = request(prepare(&system, "POST /a"), value("{}")).unwrap();
        let error = connect(&system).call(&cx, &request).await.unwrap_err();
        assert_eq!((error.was_applied(), cx.attempt.was_sent()), (Applied::No, false), "{name}");
        assert_eq!(counts(&server), (1, 0), "{name}");
        assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
        all += &format!("{name}: {}, {:?}\n  {error}\n", error.kind(), error.retry_advice());
    }
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn a_token_endpoint_that_is_down() {
    let address = FaultServer::refused().await;
    let server = FaultServer::start().await;
    let auth = format!(
        r#""auth": {{"oauth2": {{"token_url": "http://{address}/token", "client_id": "a", "client_secret": "b"}}}}"#
    );
    let system = system_at(&server.url(), &auth);
    let error = ask(&system, &connect(&system), "POST /").await.unwrap_err();
    let found = (error.kind(), error.retry_advice(), error.was_applied());
    assert_eq!(found, (Kind::Unavailable, Retry::Safe, Applied::No));
    assert!(
        error.to_string().starts_with("token for system `shop`: no connection to `127.0.0.1`"),
        "{error}"
    );
    assert_eq!(server.connections(), 0);
}

/// Servers lock out a client that goes on asking with a wrong secret.
#[tokio::test]
async fn a_wrong_secret_is_not_tried_all_the_time() {
    let server = FaultServer::start().await;
    let wrong = Answer::body(401, "application/json", r#"{"error": "invalid_client"}"#);
    server.on("/token", [wrong, token("t1", "")]);
    let system = system(&server, "");
    let call = connect(&system);
    for _ in 0..3 {
        assert_eq!(ask(&system, &call, "GET /").await.unwrap_err().kind(), Kind::Unauthenticated);
    }
    assert_eq!(counts(&server), (1, 0));
    later(Duration::from_secs(6)).await;
    ask(&system, &call, "GET /").await.unwrap();
}

#[tokio::test]
async fn a_wrong_argument_costs_no_token() {
    let server = FaultServer::start().await;
    let system = system(&server, "");
    ask(&system, &connect(&system), "GET /${.absent}").await.unwrap_err();
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn the_token_endpoint_has_the_same_guard() {
    let server = FaultServer::start().await;
    let url = server.url();
    let system = read_system(&format!(
        r#"{{"base_url": "{url}", "private": true, "auth": {{"oauth2": {{"token_url": "https://upstream.test/token", "private": false, "client_id": "a", "client_secret": "b"}}}}}}"#
    ));
    let error = ask(&system, &connect(&system), "GET /").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Forbidden, "{error:?}");
    assert!(error.public().contains("`upstream.test` is a loopback address"), "{error}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_token_and_a_secret_that_the_system_repeats_are_masked() {
    let server = FaultServer::start().await;
    server.on("/token", [token("token-4711", "")]);
    server.on("/", [Answer::json(&format!(r#"["token-4711", "{SECRET}"]"#))]);
    let system = system(&server, "");
    let reply = ask(&system, &connect(&system), "GET /").await.unwrap();
    assert_eq!(json(Ok(reply)).to_json(), r#"["***","***"]"#);
}

/// Another origin gets no token.
#[tokio::test]
async fn a_token_stays_at_home() {
    let (home, away) = (FaultServer::start().await, FaultServer::start().await);
    home.on("/token", [token("t1", "")]);
    home.on("/a", [Answer::redirect(302, &format!("{}/b", away.url()))]);
    let url = home.url();
    let system = system_at(
        &url,
        &format!(
            r#""redirects": 2, "auth": {{"oauth2": {{"token_url": "{url}/token", "client_id": "a", "client_secret": "b"}}}}"#
        ),
    );
    ask(&system, &connect(&system), "GET /a").await.unwrap();
    assert_eq!(away.only().header("authorization"), None);
    // Nor does its refusal make us fetch another one.
    away.on("/b", [refused_for_the_token()]);
    later(Duration::from_secs(60)).await;
    let call = connect(&system);
    ask(&system, &call, "GET /c").await.unwrap();
    later(Duration::from_secs(60)).await;
    ask(&system, &call, "GET /a").await.unwrap_err();
    assert_eq!(parted(&home).0.len(), 2);
}

#[test]
fn oauth_of_the_config_is_checked() {
    let refused = |oauth: &str| {
        let all = refused_system(&format!(
            r#"{{"base_url": "https://shop.example.com", "auth": {{"oauth2": {oauth}}}}}"#
        ));
        assert!(!all.is_empty(), "{oauth}");
        assert!(!all.join("\n").contains("hunter2"), "{all:?}");
        all.join("\n")
    };
    let mut all = String::new();
    for oauth in [
        "{}",
        r#"{"token_url": "http://login.example.com/token", "client_id": "a", "client_secret": "hunter2"}"#,
        r#"{"token_url": "ftp://login.example.com/token", "client_id": "a", "client_secret": "hunter2"}"#,
        r#"{"token_url": "https://127.0.0.1/token", "client_id": "a", "client_secret": "hunter2"}"#,
        r#"{"token_url": "https://me:hunter2@login.example.com/token", "client_id": "a", "client_secret": "b"}"#,
        r#"{"token_url": "https://login.example.com/token", "client_id": "a"}"#,
        r#"{"token_url": "https://login.example.com/token", "client_id": "a", "client_secret": "b", "client_auth": "none"}"#,
        r#"{"token_url": "https://login.example.com/token", "client_id": "a", "client_secret": "b", "params": {"scope": "x"}}"#,
        r#"{"token_url": "https://login.example.com/token", "client_id": "a", "client_secret": "b", "timeout": "0s"}"#,
        r#"{"token_url": "https://login.example.com/token", "client_id": "a", "client_secret": "b", "client_auth": "bsic"}"#,
        r#"{"token_url": "https://login.example.com/token", "client_id": "a", "client_secret": "b", "scope": 7}"#,
    ] {
        all += &format!("{oauth}\n{}\n\n", refused(oauth));
    }
    insta::assert_snapshot!(all.replace("hunter2", "SECRET"));
}

//! Encrypted connections: who must prove what.

use renkei_core::{ConnectContext, Error, Kind};
use renkei_testkit::postgres::{PASSWORD, ROLE, Server};

use super::{context, json, prepare, read_system, request};

/// What the server says of the connection, or why there is none.
async fn connect(server: &Server, host: &str, more: &str) -> Result<String, Error> {
    let config = format!(
        r#"{{"host": "{host}", "port": {}, "user": "{ROLE}", "password": "{PASSWORD}", "database": "{ROLE}", {more}}}"#,
        server.port()
    );
    let system = read_system(&json(&config)).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let folder = server.ca().parent().unwrap().to_owned();
    let call = system.connect(&ConnectContext::new(folder)).await?.call;
    let sql = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()";
    let reply = call.call(&context(), &request(prepare(&*system, sql).unwrap(), "{}")).await?;
    Ok(reply.value.into_value().to_json())
}

const ON: &str = r#"[{"ssl":true,"version":"TLSv1.3"}]"#;
const OFF: &str = r#"[{"ssl":false,"version":null}]"#;

#[tokio::test]
async fn a_server_with_tls() {
    let server = Server::private(&["ssl=on"]);
    for (host, more, what) in [
        ("localhost", r#""tls": "verify", "ca": "ca.pem""#, ON),
        ("127.0.0.1", r#""tls": "require""#, ON),
        ("localhost", r#""tls": "prefer""#, ON),
        ("localhost", r#""tls": "disable""#, OFF),
        ("localhost", r#""read_only": true"#, OFF),
    ] {
        assert_eq!(connect(&server, host, more).await.unwrap(), what, "{host} {more}");
    }
    for (host, more, part) in [
        // Not its name; not signed by anybody this machine knows.
        ("127.0.0.1", r#""tls": "verify", "ca": "ca.pem""#, "the server's certificate is not accepted"),
        (
            "localhost",
            r#""tls": "verify", "ca": "data/server.crt""#,
            "the server's certificate is not accepted",
        ),
        ("localhost", r#""tls": "verify", "ca": "no.pem""#, "`no.pem` cannot be read; correct `ca`"),
        ("localhost", r#""tls": "verify", "ca": "data/server.key""#, "`data/server.key` are none"),
    ] {
        let error = connect(&server, host, more).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(error.public().contains(part), "{error} {error:?}");
    }
}

/// A statement is stopped over TLS, too.
#[tokio::test]
async fn a_dropped_call_stops_on_a_server_with_tls() {
    use futures_util::FutureExt as _;
    let server = Server::private(&["ssl=on"]);
    let config = format!(
        r#"{{"host": "localhost", "port": {}, "user": "{ROLE}", "password": "{PASSWORD}", "database": "{ROLE}",
            "tls": "require", "max_connections": 1, "statement_timeout": "1h"}}"#,
        server.port()
    );
    let system = read_system(&json(&config)).unwrap();
    let call = system.connect(&ConnectContext::new("/")).await.unwrap().call;
    let sleeping = || {
        server.run(ROLE, "select count(*) from pg_stat_activity where state = 'active' and query like '%(3600)%' and pid <> pg_backend_pid()")
    };
    let sleep = request(prepare(&*system, "select count(*) as c from pg_sleep(3600)").unwrap(), "{}");
    let cx = context();
    let mut running = call.call(&cx, &sleep);
    while sleeping() == "0" {
        assert!((&mut running).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(running);
    while sleeping() != "0" {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_without_tls() {
    let server = Server::private(&[]);
    assert_eq!(connect(&server, "localhost", r#""tls": "prefer""#).await.unwrap(), OFF);
    for mode in ["require", "verify"] {
        let error = connect(&server, "localhost", &format!(r#""tls": "{mode}""#)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.public().contains("TLS"), "{error}");
    }
}

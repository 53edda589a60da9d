//! Encrypted connections.

use std::sync::Arc;

use renkei_core::{Error, Kind, Retry, System};
use renkei_testkit::{mariadb::MariaDb, tls};

use super::{config, connect, context, prepare, read_system, request};

fn server(address: &str) -> MariaDb {
    let (certificate, key) = (tls::server(), tls::server_key());
    MariaDb::with(&[
        &format!("--ssl-cert={}", certificate.display()),
        &format!("--ssl-key={}", key.display()),
        &format!("--bind-address={address}"),
    ])
}

async fn cipher(system: &Arc<dyn System>) -> Result<String, Error> {
    let call = connect(system).await?;
    let op = prepare(&**system, "show session status like 'Ssl_cipher'").unwrap();
    let reply = call.call(&context(), &request(op, "{}")).await?;
    let row = reply.value.into_value().at(0).cloned().unwrap();
    Ok(row.get("Value").and_then(renkei_core::Value::as_str).unwrap().to_owned())
}

#[tokio::test]
async fn the_servers_certificate_is_checked() {
    let server = server("127.0.0.1");
    let ca = tls::ca();
    let verify = |ca: &std::path::Path| format!(r#""tls": "verify", "ca": "{}""#, ca.display());
    let by_name = server.url().replace("127.0.0.1", "localhost");
    for (url, more) in [
        (server.url(), verify(&ca)),
        (by_name, verify(&ca)),
        (server.url(), r#""tls": "require""#.to_owned()),
    ] {
        let cipher = cipher(&read_system(&config(&url, &more)).unwrap()).await.unwrap();
        assert!(cipher.starts_with("TLS_"), "{more}: {cipher}");
    }
    // On this machine nothing is encrypted unless asked for.
    assert_eq!(cipher(&read_system(&config(&server.url(), "")).unwrap()).await.unwrap(), "");
    for (url, more, part) in [
        (server.url(), verify(&tls::other_ca()), "UnknownIssuer"),
        (server.url(), r#""tls": "verify""#.to_owned(), "UnknownIssuer"),
        (
            server.url(),
            verify(std::path::Path::new("no/such.pem")),
            "the file `no/such.pem` (`ca`) cannot be read",
        ),
    ] {
        let error = cipher(&read_system(&config(&url, &more)).unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
        assert!(error.public().contains(part), "{more}: {error}");
    }
}

/// From the right authority, but for another host.
#[tokio::test]
async fn the_certificate_is_for_one_host() {
    let server = server("127.0.0.2");
    let url = server.url().replace("127.0.0.1", "127.0.0.2");
    let more = format!(r#""tls": "verify", "ca": "{}""#, tls::ca().display());
    let error = cipher(&read_system(&config(&url, &more)).unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    assert!(error.public().contains("not valid for name \"127.0.0.2\""), "{error}");
    assert!(cipher(&read_system(&config(&url, r#""tls": "require""#)).unwrap()).await.is_ok());
}

#[tokio::test]
async fn a_server_without_it_is_not_talked_to() {
    let server = MariaDb::start();
    for tls in ["require", "verify"] {
        let system = read_system(&config(&server.url(), &format!(r#""tls": "{tls}""#))).unwrap();
        let error = connect(&system).await.err().unwrap();
        assert_eq!((error.kind(), error.retry_advice()), (Kind::Unavailable, Retry::Never));
        assert!(error.public().contains("offers no encrypted connections"), "{error}");
    }
}

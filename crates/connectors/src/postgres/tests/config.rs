//! What may stand under `postgres:`.

use renkei_core::Value;

use super::{json, read_system};
use crate::postgres::{Config, Tls};

fn wrong(config: &str) -> String {
    read_system(&json(config)).expect_err(config).join("\n")
}

fn tls(config: &str) -> Tls {
    use renkei_core::{Diagnostics, FromNode as _};
    let mut d = Diagnostics::default();
    let config = Config::from_node(&super::node(&json(config)), &mut d).unwrap();
    assert!(!d.has_errors(), "{d:?}");
    config.target().unwrap().tls
}

#[test]
fn refuses_what_cannot_be_meant() {
    for (config, part) in [
        (r#"{"url": "postgres://u@h/d", "host": "h"}"#, "`host` is in `url` already"),
        (r#"{"url": "postgres://u@h/d", "port": 1}"#, "`port` is in `url` already"),
        (r#"{"url": "mysql://u@h/d"}"#, "does not begin with `postgres://`"),
        (r#"{"url": "host=h user=u"}"#, "`url` is no URL"),
        (r#"{"url": "postgres:///d"}"#, "names no host"),
        (r#"{"url": "postgres://u@h/d?sslmode=maybe"}"#, "`sslmode`"),
        (r#"{"url": "postgres://u@h/d?colour=red"}"#, "colour"),
        (r#"{"host": "h", "max_connections": 0}"#, "between 1 and 1000"),
        (r#"{"host": "h", "max_rows": 0}"#, "`max_rows` cannot be 0"),
        (r#"{"host": "h", "statement_timeout": "0s"}"#, "`statement_timeout` cannot be 0"),
        (r#"{"host": "h", "tls": "require", "ca": "ca.pem"}"#, "`ca` is for checking"),
        (r#"{"host": "h", "tls": "perhaps"}"#, "perhaps"),
    ] {
        let wrong = wrong(config);
        assert!(wrong.contains(part), "{config}: {wrong}");
    }
}

/// Neither problems nor the system itself show what is secret.
#[test]
fn shows_no_secret() {
    for config in [
        r#"{"url": "postgres://u:hush-hush@h/d?colour=red"}"#,
        r#"{"url": "postgres://u:hush-hush@h:port/d"}"#,
        r#"{"url": "hush-hush"}"#,
    ] {
        let wrong = wrong(config);
        assert!(!wrong.contains("hush-hush"), "{wrong}");
    }
    let system =
        read_system(&json(r#"{"url": "postgres://u:hush-hush@h/d", "password": "hush-hush"}"#)).unwrap();
    assert!(!format!("{system:?}").contains("hush-hush"));
}

/// Whoever says nothing gets a checked certificate, unless no byte leaves the machine.
#[test]
fn tls_is_on_unless_the_server_is_here() {
    for (config, mode) in [
        (r#"{"host": "db.example.com"}"#, Tls::Verify),
        (r#"{"url": "postgres://u@db.example.com/d"}"#, Tls::Verify),
        (r#"{"host": "10.0.0.7"}"#, Tls::Verify),
        (r#"{"host": "localhost"}"#, Tls::Disable),
        ("{}", Tls::Disable),
        (r#"{"host": "127.0.0.1"}"#, Tls::Disable),
        (r#"{"host": "/run/postgresql"}"#, Tls::Disable),
        (r#"{"host": "localhost", "tls": "verify"}"#, Tls::Verify),
        (r#"{"host": "db.example.com", "tls": "require"}"#, Tls::Require),
        (r#"{"url": "postgres://u@h/d?sslmode=prefer"}"#, Tls::Prefer),
        (r#"{"url": "postgres://u@localhost/d?sslmode=verify-full&sslrootcert=ca.pem"}"#, Tls::Verify),
        (r#"{"url": "postgres://u@h/d?sslmode=disable", "tls": "verify"}"#, Tls::Verify),
    ] {
        assert_eq!(tls(config), mode, "{config}");
    }
}

/// What is special in a URL is written with `%`; keys beside it come last.
#[test]
fn a_url_is_read_as_other_clients_do() {
    use renkei_core::{Diagnostics, FromNode as _};
    let url = "postgres://shop%40home:p%2Bq%20r%2F@h:6543/my%20db?application_name=a%20b&sslmode=require";
    let value = Value::from([("url", Value::from(url)), ("application_name", "renkei".into())]);
    let mut d = Diagnostics::default();
    let config = Config::from_node(&super::node(&value), &mut d).unwrap();
    let target = config.target().unwrap().postgres;
    assert_eq!(target.get_user(), Some("shop@home"));
    assert_eq!(target.get_password(), Some(&b"p+q r/"[..]));
    assert_eq!(target.get_dbname(), Some("my db"));
    assert_eq!(target.get_ports(), [6543]);
    assert_eq!(target.get_application_name(), Some("renkei"));
}

//! What stands under `mysql:`.

use std::{path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;
use renkei_core::{Diagnostic, Diagnostics, Node, Secret, read::Bytes};
use renkei_derive::FromNode;
use url::Url;

/// A MariaDB or MySQL database.
#[derive(Clone, Debug, FromNode)]
#[config(check = check)]
pub struct Config {
    /// `mysql://USER:PASSWORD@HOST:PORT/DATABASE`, with special characters percent-encoded, instead of the
    /// keys below.
    url: Option<Secret>,
    /// The server's name or address. `localhost` without it.
    host: Option<String>,
    /// The server's port. 3306 without it.
    port: Option<u16>,
    /// The user to log in as.
    user: Option<String>,
    /// The user's password.
    password: Option<Secret>,
    /// The database whose tables are named without a prefix.
    database: Option<String>,
    /// Refuses every statement that would change something, and runs the others in transactions that
    /// the server keeps from changing anything.
    #[config(default)]
    pub(super) read_only: bool,
    /// Whether the connection is encrypted and the server proves who it is. Without it: `verify`, and
    /// `disable` for a server on this machine itself.
    tls: Option<Tls>,
    /// A file with the certificates (PEM) that the server's must come from, instead of the public authorities.
    /// Relative to the folder of the config.
    pub(super) ca: Option<PathBuf>,
    /// How many statements run at the same time, each on a connection of its own.
    #[config(default = 10)]
    pub(super) max_connections: usize,
    /// How many calls may wait for a connection; more are refused as `rate_limited`.
    #[config(default = 100)]
    pub(super) queue: usize,
    /// How long one statement may run. The server ends it then.
    #[config(default = "30s")]
    pub(super) statement_timeout: Duration,
    /// The most rows that a statement gives; more are cut, with a notice.
    #[config(default = 1000)]
    pub(super) max_rows: usize,
    /// The most bytes of JSON that a statement gives; more are cut at a whole row, with a notice.
    #[config(default = "1MB")]
    pub(super) max_bytes: Bytes,
}

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromNode)]
pub enum Tls {
    /// Not at all.
    Disable,
    /// Always; whoever it is. Protects from those who listen, not from those who pretend to be the server.
    Require,
    /// Always; the certificate must be valid for the host.
    Verify,
}

/// Whom to reach, as whom.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) database: Option<String>,
    pub(super) tls: Tls,
}

/// What is wrong, at which key, and how to mend it.
type Wrong = (&'static str, String, &'static str);

const PORT: u16 = 3306;
const HOST: &str = "localhost";
const FORM: &str = "write `mysql://user:password@host:3306/database`";
/// A server takes a few hundred connections by default.
const MAX_CONNECTIONS: usize = 1_000;

impl Config {
    /// The parts of `url`, or the keys.
    pub(super) fn target(&self) -> Result<Target, Wrong> {
        let mut target = match &self.url {
            Some(url) => self.read_url(url)?,
            None => {
                let user = self.user.clone().ok_or_else(|| {
                    let hint = "add `user:`, or give all in `url:`";
                    ("mysql", "it is not said who logs in".to_owned(), hint)
                })?;
                Target {
                    host: self.host.clone().unwrap_or_else(|| HOST.into()),
                    port: self.port.unwrap_or(PORT),
                    user,
                    password: self.password.clone(),
                    database: self.database.clone(),
                    tls: Tls::Verify,
                }
            }
        };
        if target.host.is_empty() {
            return Err(("host", "the name of the host is empty".into(), "leave it out for `localhost`"));
        }
        let here = target.host.eq_ignore_ascii_case(HOST)
            || target.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        target.tls = self.tls.unwrap_or(if here { Tls::Disable } else { Tls::Verify });
        if self.ca.is_some() && target.tls != Tls::Verify {
            let message = "`ca` is of use only with `tls: verify`".to_owned();
            return Err(("ca", message, "add `tls: verify`, or leave `ca` out"));
        }
        Ok(target)
    }

    /// The texts of errors say nothing of what stands in the URL: there is a password in it.
    fn read_url(&self, url: &Secret) -> Result<Target, Wrong> {
        let parts = [
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("user", self.user.is_some()),
            ("password", self.password.is_some()),
            ("database", self.database.is_some()),
        ];
        if let Some((key, _)) = parts.into_iter().find(|(_, given)| *given) {
            let message = format!("`{key}` is a part of `url` already");
            return Err((key, message, "leave one of the two out"));
        }
        let wrong = |message: &str| ("url", message.to_owned(), FORM);
        let url = Url::parse(url.expose()).map_err(|_| wrong("this is not a URL"))?;
        if !matches!(url.scheme(), "mysql" | "mariadb") {
            return Err(wrong("the URL of a MySQL system begins with `mysql://` or `mariadb://`"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            let hint = "write settings as keys beside `url`, such as `tls: verify`";
            return Err(("url", "the URL has settings after a `?` or `#`, which are not read".into(), hint));
        }
        let decode = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8();
            decoded.map(String::from).map_err(|_| wrong("a part of the URL is no UTF-8 when it is decoded"))
        };
        let host =
            url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("the URL has no host"))?;
        if url.username().is_empty() {
            return Err(wrong("the URL does not say who logs in"));
        }
        let database = decode(url.path().trim_start_matches('/'))?;
        if database.contains('/') {
            return Err(wrong("the URL has more than one name after the host"));
        }
        Ok(Target {
            // An IPv6 address stands in brackets there.
            host: decode(host.trim_start_matches('[').trim_end_matches(']'))?,
            port: url.port().unwrap_or(PORT),
            user: decode(url.username())?,
            password: url.password().map(decode).transpose()?.map(Secret::new),
            database: Some(database).filter(|name| !name.is_empty()),
            tls: Tls::Verify,
        })
    }
}

impl Target {
    /// What stands for a target that is not known here (`check --no-env`).
    pub(super) fn unknown() -> Target {
        Target {
            host: HOST.into(),
            port: PORT,
            user: "unknown".into(),
            password: None,
            database: None,
            tls: Tls::Disable,
        }
    }

    /// For messages.
    pub(super) fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

fn check(config: &Config, node: &Node, d: &mut Diagnostics) {
    let span = |key: &str| node.get(key).map_or(node.span, |value| value.span);
    let mut error = |key: &str, message: &str, hint: &str| {
        d.push(Diagnostic::error(span(key), message).hint(hint));
    };
    if let Err((key, message, hint)) = config.target() {
        error(key, &message, hint);
    }
    if !(1..=MAX_CONNECTIONS).contains(&config.max_connections) {
        error("max_connections", "`max_connections` is between 1 and 1,000", "leave it out for 10");
    }
    for (key, zero) in [
        ("max_rows", config.max_rows == 0),
        ("queue", config.queue == 0),
        ("max_bytes", config.max_bytes.0 == 0),
        ("statement_timeout", config.statement_timeout.is_zero()),
    ] {
        if zero {
            error(key, &format!("`{key}` cannot be 0"), "leave it out for its default");
        }
    }
}

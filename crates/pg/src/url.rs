//! `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…&sslrootcert=…`, as other clients take it.

use std::path::PathBuf;

use renkei_core::Secret;
use tokio_postgres::config::{Host, SslMode};
use url::Url;

use super::Tls;

/// Where and how to connect.
#[derive(Clone, Debug)]
pub struct Target {
    /// Everything but the password's display is in here; it hides that itself.
    pub postgres: tokio_postgres::Config,
    pub tls: Tls,
    pub ca: Option<PathBuf>,
    url: Option<Secret>,
}

/// What is wrong with a URL, and how to mend it. Never shows the URL.
#[derive(Clone, Debug)]
pub struct Wrong {
    pub message: String,
    pub hint: &'static str,
}

impl Target {
    /// What a URL says.
    ///
    /// # Errors
    /// What is wrong with it, without showing it.
    pub fn from_url(url: &Secret) -> Result<Target, Wrong> {
        let (postgres, tls, ca) = read(url)?;
        let target = Target { ca, url: Some(url.clone()), ..Target::new(postgres) };
        Ok(match tls {
            Some(tls) => target.with_tls(tls),
            None => target,
        })
    }

    /// What the library was told. The server's certificate is checked, unless no byte leaves this machine.
    pub fn new(postgres: tokio_postgres::Config) -> Target {
        let tls = if is_here(&postgres) { Tls::Disable } else { Tls::Verify };
        Target { postgres, tls, ca: None, url: None }.with_tls(tls)
    }

    /// With this encryption.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Target {
        self.tls = tls;
        self.postgres.ssl_mode(match tls {
            Tls::Disable => SslMode::Disable,
            Tls::Prefer => SslMode::Prefer,
            Tls::Require | Tls::Verify => SslMode::Require,
        });
        self
    }

    /// To be masked in the server's own words.
    pub fn secrets(&self) -> Vec<Secret> {
        let password = self.postgres.get_password().map(String::from_utf8_lossy);
        let password = password.map(|password| Secret::new(password.into_owned()));
        self.url.iter().cloned().chain(password).collect()
    }
}

/// Whether no byte leaves this machine.
fn is_here(postgres: &tokio_postgres::Config) -> bool {
    postgres.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

/// The library does not take `+` for a space.
fn percent(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

pub(super) type Parts = (tokio_postgres::Config, Option<Tls>, Option<PathBuf>);

/// The library knows neither `sslmode=verify-full` nor `sslrootcert`; so these are taken out first.
pub(super) fn read(url: &Secret) -> Result<Parts, Wrong> {
    let wrong = |message: &str| Wrong {
        message: message.into(),
        hint: "write it like `postgres://USER:PASSWORD@HOST:5432/DATABASE`; `%` and what is special in a password as `%25` and so on",
    };
    let mut parsed = Url::parse(url.expose()).map_err(|_| wrong("`url` is no URL"))?;
    if !matches!(parsed.scheme(), "postgres" | "postgresql") {
        return Err(wrong("`url` does not begin with `postgres://`"));
    }
    let (mut tls, mut ca) = (None, None);
    let mut rest = Vec::new();
    for (key, value) in parsed.query_pairs() {
        match &*key {
            "sslmode" => {
                tls = Some(match &*value {
                    "disable" => Tls::Disable,
                    "allow" | "prefer" => Tls::Prefer,
                    "require" => Tls::Require,
                    "verify-ca" | "verify-full" => Tls::Verify,
                    _ => return Err(wrong("the `sslmode` of `url` is none that is known")),
                });
            }
            "sslrootcert" => ca = Some(PathBuf::from(value.into_owned())),
            _ => rest.push(format!("{}={}", percent(&key), percent(&value))),
        }
    }
    parsed.set_query((!rest.is_empty()).then(|| rest.join("&")).as_deref());
    let postgres: tokio_postgres::Config =
        parsed.as_str().parse().map_err(|error: tokio_postgres::Error| {
            let why = std::error::Error::source(&error).map_or_else(String::new, |why| format!(": {why}"));
            wrong(&format!("`url` cannot be used{why}"))
        })?;
    if postgres.get_hosts().is_empty() {
        return Err(wrong("`url` names no host"));
    }
    Ok((postgres, tls, ca))
}

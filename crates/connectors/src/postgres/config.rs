//! What stands under `postgres:`.

use std::{path::PathBuf, time::Duration};

use renkei_core::{Diagnostic, Diagnostics, Node, NodeKind, Secret, read::Bytes};
use renkei_derive::FromNode;
use renkei_pg::{Target, Tls};

/// A PostgreSQL database.
#[derive(Clone, Debug, FromNode)]
#[config(check = check)]
pub struct Config {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, instead of the keys below. May have `?sslmode=…` and
    /// `sslrootcert`, as other clients take them.
    pub url: Option<Secret>,
    /// The server's name or address, or the folder of its socket. `localhost` without it.
    pub host: Option<String>,
    /// The server's port. 5432 without it.
    pub port: Option<u16>,
    /// The role to connect as. Without it, the one that has the name of the user that Renkei runs as.
    pub user: Option<String>,
    /// The role's password.
    pub password: Option<Secret>,
    /// The database. Without it, the one that has the role's name.
    pub database: Option<String>,
    /// Whether the connection is encrypted and the server proves who it is. Without it: `verify`, and
    /// `disable` for a socket and for this machine itself.
    pub tls: Option<Tls>,
    /// A file with the certificates (PEM) that the server's must come from, instead of the machine's. Relative to
    /// the folder of the config.
    pub ca: Option<PathBuf>,
    /// Refuses every statement that would change anything, and has the server refuse it, too.
    #[config(default)]
    pub read_only: bool,
    /// How many statements run at the same time, each on a connection of its own.
    #[config(default = 10)]
    pub max_connections: usize,
    /// How many calls may wait for a connection; more are refused as `rate_limited`.
    #[config(default = 100)]
    pub queue: usize,
    /// How long one statement may run. The server ends it then.
    #[config(default = "30s")]
    pub statement_timeout: Duration,
    /// The most rows that a statement gives; more are cut, with a notice.
    #[config(default = 1000)]
    pub max_rows: usize,
    /// The most bytes of JSON that a statement gives; more are cut at a whole row, with a notice.
    #[config(default = "1MB")]
    pub max_bytes: Bytes,
    /// The schemas in which names without a schema are looked up, in this order. Without it, what the server has set.
    #[config(default)]
    pub search_path: Vec<String>,
    /// The name under which the server lists the connections.
    #[config(default = "renkei")]
    pub application_name: String,
}

/// More connections than this never help.
const MAX_CONNECTIONS: usize = 1_000;

/// What is wrong, with which key, and how to mend it.
struct Wrong {
    key: &'static str,
    message: String,
    hint: &'static str,
}

impl Config {
    /// Puts together where to connect; the error never shows the URL.
    pub(super) fn target(&self) -> Result<Target, String> {
        self.read_target().map_err(|wrong| wrong.message)
    }

    fn read_target(&self) -> Result<Target, Wrong> {
        let mut target = match &self.url {
            Some(url) => Target::from_url(url).map_err(|renkei_pg::Wrong { message, hint }| Wrong {
                key: "url",
                message,
                hint,
            })?,
            None => {
                let mut postgres = tokio_postgres::Config::new();
                postgres.host(self.host.as_deref().unwrap_or("localhost"));
                if let Some(port) = self.port {
                    postgres.port(port);
                }
                Target::new(postgres)
            }
        };
        if let Some(user) = &self.user {
            target.postgres.user(user);
        }
        if let Some(password) = &self.password {
            target.postgres.password(password.expose());
        }
        if let Some(database) = &self.database {
            target.postgres.dbname(database);
        }
        target.postgres.application_name(&self.application_name);
        if let Some(ca) = &self.ca {
            target.ca = Some(ca.clone());
        }
        Ok(match self.tls {
            Some(tls) => target.with_tls(tls),
            None => target,
        })
    }
}

fn check(config: &Config, node: &Node, d: &mut Diagnostics) {
    let span = |key: &str| node.get(key).map_or(node.span, |value| value.span);
    let mut error = |key: &str, message: String, hint: &str| {
        d.push(Diagnostic::error(span(key), message).hint(hint));
    };
    let unknown = |key: &str| node.get(key).is_some_and(|value| matches!(value.kind, NodeKind::Unknown));
    if config.url.is_some() {
        for (key, given) in [("host", config.host.is_some()), ("port", config.port.is_some())] {
            if given {
                error(key, format!("`{key}` is in `url` already"), "leave one of the two out");
            }
        }
    }
    if !unknown("url")
        && let Err(wrong) = config.read_target()
    {
        error(wrong.key, wrong.message, wrong.hint);
    }
    if config.ca.is_some() && matches!(config.tls, Some(Tls::Disable | Tls::Prefer | Tls::Require)) {
        error(
            "ca",
            "`ca` is for checking the server's certificate".into(),
            "set `tls: verify`, or leave it out",
        );
    }
    if !(1..=MAX_CONNECTIONS).contains(&config.max_connections) && !unknown("max_connections") {
        error(
            "max_connections",
            format!("`max_connections` is between 1 and {MAX_CONNECTIONS}"),
            "leave it out for 10",
        );
    }
    for (key, zero) in [
        ("max_rows", config.max_rows == 0),
        ("queue", config.queue == 0),
        ("max_bytes", config.max_bytes.0 == 0),
        ("statement_timeout", config.statement_timeout.as_millis() == 0),
    ] {
        if zero && !unknown(key) {
            error(key, format!("`{key}` cannot be 0"), "leave it out for its default");
        }
    }
}

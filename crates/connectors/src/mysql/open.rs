//! Opens a connection, and sets it up so that the server reads a statement as our lexer does.

use std::{sync::Arc, time::Duration};

use mysql_async::{Conn, OptsBuilder, SslOpts, prelude::Queryable as _};
use renkei_core::{ConnectContext, Error, Result};
use tokio::time::{Instant, timeout_at};

use super::{
    Config, Tls,
    config::Target,
    error::{Phase, Place as At},
};

/// Prepared statements that a connection keeps. They are the statements of the config; lists of
/// different lengths make several of one.
const STATEMENTS: usize = 64;
/// A row, or the values of a statement, may be at least this long, whatever `max_bytes` says.
const MIN_PACKET: usize = 16 << 20;
/// The protocol's own limit.
const MAX_PACKET: usize = 1 << 30;
/// A connection whose server is gone without a word is noticed after some such times.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// After so long without a use, a connection is closed by us and not by a server or a firewall.
const WAIT_TIMEOUT: usize = 28_800;
/// The longest time for a statement that both kinds of servers understand.
const MAX_STATEMENT_TIME: Duration = Duration::from_secs(30 * 86_400);

/// What makes a statement mean the same everywhere. Replaces the server's own mode as a whole: without
/// `ANSI_QUOTES` and `NO_BACKSLASH_ESCAPES`, `"…"` is a text and a backslash escapes, as
/// `sql::dialect::MYSQL` says.
const SQL_MODE: &str = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

/// Which of the two it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flavour {
    MariaDb,
    MySql,
}

/// Where a database is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) system: Arc<str>,
    pub(super) config: Arc<Config>,
    pub(super) target: Arc<Target>,
    /// How long opening one connection may take.
    pub(super) patience: Duration,
    ca: Option<Vec<u8>>,
}

/// A connection as its server knows it. The number alone is not enough: after a restart, and by another server behind
/// the same address, it is given anew.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) id: u32,
    /// Address and port of this side, as the server sees them; nothing if it does not tell.
    pub(super) client: Option<String>,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) conn: Conn,
    pub(super) identity: Identity,
    pub(super) flavour: Flavour,
    /// How many bytes of values the server takes. It hangs up on more.
    pub(super) packet: u64,
}

/// How large a row, or the values of a statement, may be, so that one row cannot take all memory.
pub(super) fn packet(config: &Config) -> usize {
    config.max_bytes.as_usize().clamp(MIN_PACKET, MAX_PACKET)
}

impl Place {
    pub(super) async fn new(
        system: &Arc<str>,
        config: &Arc<Config>,
        target: &Arc<Target>,
        cx: &ConnectContext,
    ) -> Result<Place> {
        let ca = match &config.ca {
            None => None,
            Some(path) => Some(tokio::fs::read(cx.base_dir.join(path)).await.map_err(|why| {
                let path = path.display();
                let text =
                    format!("open `{system}`: the file `{path}` (`ca`) cannot be read; check its path");
                Error::unavailable(text).detail(why)
            })?),
        };
        let (system, config, target) = (system.clone(), config.clone(), target.clone());
        Ok(Place { system, config, target, patience: cx.timeout, ca })
    }

    /// Opens a connection, until `deadline` or as long as the config allows.
    pub(super) async fn open(&self, deadline: Instant) -> Result<Opened> {
        self.within(deadline, async {
            let mut conn = Conn::new(self.options()).await?;
            let told: Option<(String, u64)> =
                conn.query_first("select version(), @@max_allowed_packet").await?;
            let (version, packet) = told.unwrap_or_default();
            let flavour = match version.to_ascii_lowercase().contains("mariadb") {
                true => Flavour::MariaDb,
                false => Flavour::MySql,
            };
            let identity = Identity { id: conn.id(), client: client_of(&mut conn).await? };
            conn.query_drop(self.setup(flavour)).await?;
            if self.config.read_only {
                // Beneath the transactions of each call, which are read only, too.
                conn.query_drop("set session transaction read only").await?;
            }
            Ok(Opened { conn, identity, flavour, packet })
        })
        .await
    }

    /// Has the server end connections, and what runs on them. One that has ended already is no error, and one that is
    /// not surely the same is left alone: it may be anybody's.
    pub(super) async fn kill(&self, connections: &[Identity]) -> Result<()> {
        // Enough time for a server that is busy, whatever the calls had left.
        let deadline = Instant::now() + self.patience;
        self.within(deadline, async {
            let mut conn = Conn::new(self.options()).await?;
            for Identity { id, client } in connections {
                let Some(client) = client else { continue };
                if client_by_number(&mut conn, &id.to_string()).await?.as_ref() != Some(client) {
                    continue;
                }
                match conn.query_drop(format!("kill {id}")).await {
                    Ok(()) | Err(mysql_async::Error::Server(_)) => {}
                    Err(why) => return Err(why),
                }
            }
            conn.disconnect().await
        })
        .await
    }

    async fn within<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = mysql_async::Result<T>>,
    ) -> Result<T> {
        let own = Instant::now().checked_add(self.patience).unwrap_or(deadline);
        let at = At { place: self, phase: Phase::Open, writes: false };
        match timeout_at(deadline.min(own), work).await {
            Ok(done) => done.map_err(|why| at.failure(&why).error),
            Err(_) => Err(at.no_answer()),
        }
    }

    fn options(&self) -> OptsBuilder {
        let target = &self.target;
        OptsBuilder::default()
            .ip_or_hostname(target.host.clone())
            .tcp_port(target.port)
            .user(Some(target.user.clone()))
            .pass(target.password.as_ref().map(|password| password.expose().to_owned()))
            .db_name(target.database.clone())
            .ssl_opts(self.tls())
            // Otherwise a server on this machine would be asked for its socket, and the TLS be left out.
            .prefer_socket(false)
            .tcp_keepalive(Some(KEEPALIVE))
            .stmt_cache_size(STATEMENTS)
            // Rows that match count as changed, as in other databases: an update that changes nothing finds its row.
            .client_found_rows(true)
            .max_allowed_packet(Some(packet(&self.config)))
            .wait_timeout(Some(WAIT_TIMEOUT))
    }

    fn tls(&self) -> Option<SslOpts> {
        match (self.target.tls, &self.ca) {
            (Tls::Disable, _) => None,
            (Tls::Require, _) => Some(
                SslOpts::default()
                    .with_danger_accept_invalid_certs(true)
                    .with_danger_skip_domain_validation(true),
            ),
            (Tls::Verify, None) => Some(SslOpts::default()),
            (Tls::Verify, Some(ca)) => Some(
                SslOpts::default().with_disable_built_in_roots(true).with_root_certs(vec![ca.clone().into()]),
            ),
        }
    }

    /// The settings of a session, in one statement.
    fn setup(&self, flavour: Flavour) -> String {
        let time = self.config.statement_timeout.min(MAX_STATEMENT_TIME);
        let limit = match flavour {
            // Seconds, of every statement.
            Flavour::MariaDb => format!("max_statement_time = {}", time.as_secs_f64()),
            // Milliseconds, of reading statements; for the others the connection is killed.
            Flavour::MySql => format!("max_execution_time = {}", time.as_millis()),
        };
        format!(
            "set names utf8mb4, session sql_mode = '{SQL_MODE}', session time_zone = '+00:00', \
             session autocommit = 1, session sql_auto_is_null = 0, session {limit}"
        )
    }
}

async fn client_of(conn: &mut Conn) -> mysql_async::Result<Option<String>> {
    client_by_number(conn, "connection_id()").await
}

/// Who is on the other side of a connection of the same user. Nothing if the server does not tell.
async fn client_by_number(conn: &mut Conn, id: &str) -> mysql_async::Result<Option<String>> {
    let query = format!("select host from information_schema.processlist where id = {id}");
    match conn.query_first(query).await {
        Err(mysql_async::Error::Server(_)) => Ok(None),
        client => client,
    }
}

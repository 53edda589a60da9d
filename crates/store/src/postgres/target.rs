//! Where the store's server is, and how a connection to it is made.

use std::{path::Path, time::Duration};

use renkei_core::{Error, Result, Secret};
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{AsyncMessage, Client, Connection, Socket, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

use super::{error::Trouble, schema};

/// How long opening a connection may take, with all that is set on it.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one statement of a group may run, and wait for the groups of other nodes.
const STATEMENT: &str = "30s";
/// A node that stops in the middle of a group is thrown out after this, so that the others can go on.
const STALLED: &str = "5s";
const SCHEMA: &str = "renkei";

type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Where the store is.
#[derive(Clone)]
pub(super) struct Target {
    pg: renkei_pg::Target,
    tls: MakeRustlsConnect,
    pub(super) schema: String,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.place())
    }
}

/// An open connection: asks through the client, while a task moves its bytes.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    task: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Target {
    /// Reads the URL and its certificates; connects to nothing. `?schema=NAME` is ours.
    pub(super) fn new(url: &Secret, base_dir: &Path) -> Result<Target> {
        let fail = |why: &str| Error::invalid(format!("use `server.store`: {why}"));
        let mut parsed = Url::parse(url.expose()).map_err(|_| fail("it is no URL"))?;
        let mut schema = None;
        let rest: Vec<(String, String)> = parsed
            .query_pairs()
            .filter(|(key, value)| {
                let ours = key == "schema";
                if ours {
                    schema = Some(value.clone().into_owned());
                }
                !ours
            })
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        parsed.set_query(None);
        if !rest.is_empty() {
            parsed.query_pairs_mut().extend_pairs(rest);
        }
        let schema = schema.unwrap_or_else(|| SCHEMA.into());
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if schema.is_empty() || schema.len() > 63 || !schema.chars().all(plain) {
            return Err(fail("`schema` has 1 to 63 lower-case letters, digits and `_`"));
        }
        let mut pg =
            renkei_pg::Target::from_url(&Secret::new(parsed.as_str())).map_err(|why| fail(&why.message))?;
        pg.postgres.application_name("renkei store");
        let tls = renkei_pg::connector("server.store", &pg, base_dir)?;
        Ok(Target { pg, tls, schema })
    }

    /// For people: where it is, without its password.
    pub(super) fn place(&self) -> String {
        let hosts = self.pg.postgres.get_hosts().iter().map(|host| match host {
            tokio_postgres::config::Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
        });
        let hosts: Vec<String> = hosts.collect();
        let database = self.pg.postgres.get_dbname().unwrap_or("its default database");
        format!("PostgreSQL at {}, {database}, schema {}", hosts.join(","), self.schema)
    }

    /// One advisory lock for all writers of this schema.
    pub(super) fn lock(&self) -> i64 {
        // FNV-1a: the same on every node and in every version.
        let hash = self.schema.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        hash.cast_signed()
    }

    /// Opens a connection. `messages` is called with what the server says unasked.
    pub(super) async fn open(
        &self,
        messages: impl FnMut(AsyncMessage) + Send + 'static,
    ) -> Result<Session, Trouble> {
        match timeout(CONNECT, self.connect(messages)).await {
            Ok(session) => session,
            Err(_) => Err(Trouble::Slow("did not answer in time")),
        }
    }

    async fn connect(&self, messages: impl FnMut(AsyncMessage) + Send + 'static) -> Result<Session, Trouble> {
        let (client, connection) = self.pg.postgres.connect(self.tls.clone()).await?;
        let session = Session { client, task: tokio::spawn(drive(connection, messages)) };
        session
            .client
            .batch_execute(&format!(
                "set search_path = {}; set standard_conforming_strings = on; set client_min_messages = warning; \
                 set statement_timeout = '{STATEMENT}'; set lock_timeout = '{STATEMENT}'; \
                 set idle_in_transaction_session_timeout = '{STALLED}'; set jit = off; \
                 select set_config('synchronous_commit', 'on', false) \
                     where current_setting('synchronous_commit') in ('off', 'local')",
                schema::quoted(&self.schema),
            ))
            .await?;
        Ok(session)
    }
}

/// Moves the bytes of a connection until it ends or its session is dropped.
async fn drive(mut connection: Connection<Socket, Stream>, mut messages: impl FnMut(AsyncMessage)) {
    while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
        messages(message);
    }
}

//! What can go wrong between here and the server, and what callers are told of it.

use renkei_core::{Applied, Error, Kind, Result, Retry};
use tokio_postgres::error::SqlState;

/// Trouble with the store's server.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The server refused a statement, or the connection is gone.
    Server(tokio_postgres::Error),
    /// It did not answer in time.
    Slow(&'static str),
    /// A row that is not as this program writes them.
    Corrupt(String),
    /// The tables are of a later version.
    Newer { found: u32, known: u32 },
    /// The store's tables are not there any more.
    Gone,
    /// Nobody has made the tables yet, and they are not to be made now.
    Absent,
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        Trouble::Server(error)
    }
}

impl Trouble {
    /// Whether the connection is of no more use: it is gone, or its server cannot write (any more).
    pub(super) fn ends_connection(&self) -> bool {
        match self {
            Trouble::Server(error) => match error.code() {
                None => true,
                Some(code) => {
                    matches!(
                        *code,
                        SqlState::ADMIN_SHUTDOWN
                            | SqlState::CRASH_SHUTDOWN
                            | SqlState::CANNOT_CONNECT_NOW
                            | SqlState::READ_ONLY_SQL_TRANSACTION
                            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
                    ) || code.code().starts_with("08")
                }
            },
            Trouble::Slow(_) => true,
            Trouble::Corrupt(_) | Trouble::Newer { .. } | Trouble::Gone | Trouble::Absent => false,
        }
    }

    /// Whether one statement was at fault and the server is well: another group may fare better.
    pub(super) fn is_of_statement(&self) -> bool {
        let Trouble::Server(error) = self else { return false };
        let Some(code) = error.code() else { return false };
        // 53: out of disk, memory, connections; 57: an operator or a timeout; 58: a failing disk.
        let of_server = ["08", "53", "57", "58", "XX"].iter().any(|class| code.code().starts_with(class));
        !of_server && *code != SqlState::READ_ONLY_SQL_TRANSACTION
    }

    /// For callers. `what` fits after "failed to".
    pub(super) fn into_error(self, what: &str, applied: Applied) -> Error {
        self.to_error(what, applied)
    }

    pub(super) fn to_error(&self, what: &str, applied: Applied) -> Error {
        let error = match self {
            Trouble::Server(error) => of_server(error, what),
            Trouble::Slow(waited) => {
                Error::unavailable(format!("{what}: the store's PostgreSQL {waited}; try again"))
            }
            Trouble::Corrupt(text) => {
                Error::internal(format!("{what}: the store holds a record that cannot be read: {text}"))
                    .retry(Retry::Never)
            }
            Trouble::Newer { found, known } => Error::internal(format!(
                "{what}: the store is of version {found}, and this program knows {known} at most; use the program that made it, or a later one"
            )),
            Trouble::Absent => Error::new(
                Kind::NotFound,
                format!(
                    "{what}: the database has no store yet; `renkei serve` makes it when the config needs it"
                ),
            ),
            Trouble::Gone => Error::internal(format!(
                "{what}: the store's tables are not there any more; restore them, and start again"
            )),
        };
        error.applied(applied)
    }
}

fn of_server(error: &tokio_postgres::Error, what: &str) -> Error {
    let Some(answer) = error.as_db_error() else {
        let text = format!("{what}: the store's PostgreSQL cannot be reached; try again");
        return Error::unavailable(text).detail(error_chain(error));
    };
    let code = answer.code();
    let detail = format!("{} {}: {}", answer.severity(), code.code(), answer.message());
    let text = match *code {
        SqlState::DISK_FULL => "has no room on its disk; make room, nothing that was answered is lost",
        SqlState::READ_ONLY_SQL_TRANSACTION => {
            "only reads, as a standby does; point `server.store` at the primary"
        }
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "does not let this role in; correct the user and the password of `server.store`"
        }
        SqlState::INVALID_CATALOG_NAME => {
            "has no such database; create it, or correct the URL of `server.store`"
        }
        SqlState::INSUFFICIENT_PRIVILEGE => {
            "does not let this role do that; it must own the store's schema, or be allowed to create it"
        }
        SqlState::TOO_MANY_CONNECTIONS => "has no connection left; try again",
        SqlState::UNDEFINED_TABLE => return Trouble::Gone.to_error(what, Applied::No).detail(detail),
        _ => "refused; the log has its words",
    };
    Error::unavailable(format!("{what}: the store's PostgreSQL {text}")).detail(detail)
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// Shorthand for reads, which never change anything.
pub(super) fn of_read<T>(what: &'static str, result: Result<T, Trouble>) -> Result<T> {
    result.map_err(|trouble| trouble.into_error(what, Applied::No))
}

//! What a failure means: whose fault it is, whether a repeat can help, whether it happened anyway.

use renkei_core::{Applied, Error, Kind, Retry, duration};
use rusqlite::{ErrorCode, ffi};

use super::{monitor::Stop, open::Place as Database};

/// When it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    Begin,
    /// While the statement was compiled: the config's text does not fit the database.
    Prepare,
    /// While it ran: the values do not fit the data.
    Run,
    Commit,
}

/// A failure, and whether the connection is of no more use.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) broken: bool,
}

impl Failure {
    pub(super) fn plain(error: Error) -> Self {
        Failure { error, broken: false }
    }

    pub(super) fn broken(mut self) -> Self {
        self.broken = true;
        self
    }

    /// Tells the operator the statement. It holds no values.
    pub(super) fn of(mut self, statement: &str) -> Self {
        let detail = match self.error.detail_text() {
            Some(detail) => format!("{detail}; in: {statement}"),
            None => format!("in: {statement}"),
        };
        self.error = self.error.detail(detail);
        self
    }

    pub(super) fn rollback(database: &Database, why: &rusqlite::Error) -> Self {
        let text = format!("change `{}`: the transaction could not be ended", database.system);
        Failure { error: Error::unavailable(text).detail(why), broken: true }
    }
}

/// A panic in this crate or the library; the connection is dropped, which rolls back.
pub(super) fn panicked(database: &Database) -> Error {
    Error::internal(format!(
        "use `{}`: the connector failed unexpectedly; this is a fault of Renkei",
        database.system
    ))
}

/// What kept the file from being opened.
pub(super) fn open(database: &Database, why: &rusqlite::Error) -> Error {
    Place { place: database, phase: Phase::Open, writes: false, stop: None }.failure(why, None).error
}

/// Where a failure happened.
pub(super) struct Place<'a> {
    pub(super) place: &'a Database,
    pub(super) phase: Phase,
    pub(super) writes: bool,
    pub(super) stop: Option<Stop>,
}

impl Place<'_> {
    fn text(&self, what: &str) -> String {
        let verb = match (self.phase, self.writes) {
            (Phase::Open, _) => "open",
            (_, true) => "change",
            (_, false) => "read from",
        };
        format!("{verb} `{}`: {what}", self.place.system)
    }

    fn error(&self, kind: Kind, what: &str) -> Error {
        Error::new(kind, self.text(what))
    }

    /// The work was ended before it was done. Nothing of it has happened: the commit comes last.
    pub(super) fn stopped(&self, stop: Stop) -> Failure {
        Failure::plain(match stop {
            Stop::Cancelled => self.error(Kind::Cancelled, "nobody waits for it any more"),
            Stop::Deadline => self.error(Kind::Timeout, "the time of the call is over").retry(Retry::Never),
            Stop::StatementTimeout => {
                let limit = duration::format(self.place.config.statement_timeout);
                let what = format!("it ran longer than {limit} (`statement_timeout`); narrow the query");
                self.error(Kind::Timeout, &what).retry(Retry::Never)
            }
        })
    }

    pub(super) fn failure(&self, why: &rusqlite::Error, refusal: Option<String>) -> Failure {
        let code = match why {
            rusqlite::Error::SqliteFailure(error, _) | rusqlite::Error::SqlInputError { error, .. } => {
                Some((error.code, error.extended_code))
            }
            _ => None,
        };
        if let (Some((ErrorCode::OperationInterrupted | ErrorCode::DatabaseBusy, _)), Some(stop)) =
            (code, self.stop)
        {
            return self.stopped(stop);
        }
        let message = message(why);
        let (error, broken) = match code {
            Some((code, extended)) => self.coded(code, extended, &message, refusal),
            None => (self.error(Kind::Internal, "the statement does not fit the database"), false),
        };
        Failure { error: error.detail(format!("{}: {why}", self.place.path.display())), broken }
    }

    fn coded(&self, code: ErrorCode, extended: i32, message: &str, refusal: Option<String>) -> (Error, bool) {
        let file = self.place.config.path.display();
        // A commit that failed half-way: nobody knows whether it will be seen after the next start.
        let unknown = |error: Error| match self.phase {
            Phase::Commit => error.applied(Applied::Unknown).retry(Retry::Never),
            _ => error,
        };
        let sound = |error| (error, false);
        let broken = |error| (error, true);
        // A statement that is compiled again, because the tables changed meanwhile, fails without this code.
        let denied = code == ErrorCode::AuthorizationForStatementDenied
            || code == ErrorCode::Unknown && refusal.is_some();
        match code {
            _ if denied => {
                let what = refusal.unwrap_or_else(|| "what the statement does".into());
                let hint = "a system reaches the rows of its own file only";
                sound(self.error(Kind::Internal, &format!("{what} is refused; {hint}")))
            }
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
                let waited = duration::format(self.place.config.busy_timeout);
                let what = format!("another program keeps `{file}` locked; waited {waited} (`busy_timeout`)");
                sound(self.error(Kind::Unavailable, &what))
            }
            ErrorCode::ConstraintViolation => sound(self.constraint(extended, message)),
            ErrorCode::TypeMismatch => {
                sound(self.error(Kind::Invalid, &format!("a value has the wrong type ({message})")))
            }
            ErrorCode::TooBig => {
                sound(self.error(Kind::Invalid, "a value or a row is too large for this connector (100MB)"))
            }
            ErrorCode::ReadOnly => {
                let what = format!("the file `{file}` cannot be written; check its permissions");
                sound(self.error(Kind::Unavailable, &what).retry(Retry::Never))
            }
            ErrorCode::DiskFull => {
                let what = "its disk is full";
                sound(self.error(Kind::Unavailable, what).retry(Retry::Never))
            }
            ErrorCode::NotADatabase => {
                let what = format!("the file `{file}` is no SQLite database, or is encrypted");
                broken(self.error(Kind::Unavailable, &what).retry(Retry::Never))
            }
            ErrorCode::DatabaseCorrupt => {
                let what = format!("the file `{file}` is damaged; restore it from a backup");
                broken(unknown(self.error(Kind::Unavailable, &what).retry(Retry::Never)))
            }
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                let what =
                    format!("the file `{file}` cannot be opened ({message}); check its path and permissions");
                broken(self.error(Kind::Unavailable, &what))
            }
            ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory | ErrorCode::OperationAborted => {
                let what = format!("the file `{file}` cannot be read or written now ({message})");
                broken(unknown(self.error(Kind::Unavailable, &what)))
            }
            ErrorCode::SchemaChanged => {
                sound(self.error(Kind::Unavailable, "its tables were changed meanwhile"))
            }
            ErrorCode::Unknown if self.phase == Phase::Run => {
                sound(self.error(Kind::Invalid, &format!("the values do not fit: {message}")))
            }
            _ => sound(
                self.error(Kind::Internal, &format!("the statement does not fit the database: {message}")),
            ),
        }
    }

    /// SQLite names the columns or the constraint, never the values.
    fn constraint(&self, extended: i32, message: &str) -> Error {
        let name = message.split_once("failed: ").map(|(_, name)| name);
        let named = |what: &str, hint: &str| match name {
            Some(name) => format!("{what} `{name}` {hint}"),
            None => format!("{what} {hint}"),
        };
        match extended {
            ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID => {
                self.error(Kind::Conflict, &named("the unique", "has this value already"))
            }
            ffi::SQLITE_CONSTRAINT_NOTNULL => {
                self.error(Kind::Conflict, &named("the column", "must have a value (not null constraint)"))
            }
            ffi::SQLITE_CONSTRAINT_CHECK => {
                self.error(Kind::Conflict, &named("the check constraint", "does not hold for the values"))
            }
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY => self.error(
                Kind::Conflict,
                "a foreign key constraint does not hold: a row is missing, or still in use",
            ),
            ffi::SQLITE_CONSTRAINT_DATATYPE => {
                self.error(Kind::Invalid, &format!("a value has the wrong type ({message})"))
            }
            // `raise(abort, '…')` in a trigger: the words of whoever made the database.
            ffi::SQLITE_CONSTRAINT_TRIGGER => self.error(Kind::Rejected, message),
            _ => self.error(Kind::Conflict, &format!("a constraint does not hold ({message})")),
        }
    }
}

/// SQLite's own words, without the statement.
fn message(why: &rusqlite::Error) -> String {
    match why {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::SqliteFailure(error, None) => error.to_string(),
        other => other.to_string(),
    }
}

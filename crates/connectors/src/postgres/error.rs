//! What a failure means: whose fault it is, whether a repeat can help, whether it happened anyway.

use std::error::Error as _;

use renkei_core::{Applied, Error, Kind, Retry, Secret, duration};
use tokio_postgres::error::{DbError, SqlState};

use super::Config;
use crate::sql::Statement;

/// When it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Connect,
    Begin,
    /// While the server read the statement: the config's text does not fit the database.
    Prepare,
    /// While it ran: the values do not fit the data.
    Run,
    Commit,
}

/// A failure, and what became of the connection.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// The connection is of no more use.
    pub(super) broken: bool,
    /// The connection ended then; why, it tells itself.
    pub(super) lost: Option<Phase>,
}

impl Failure {
    pub(super) fn plain(error: Error) -> Self {
        Failure { error, broken: false, lost: None }
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
}

/// Where failures are told from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) system: &'a str,
    pub(super) config: &'a Config,
    pub(super) secrets: &'a [Secret],
    /// Whether the call may change something.
    pub(super) writes: bool,
    /// Whether the call's own deadline comes before `statement_timeout`.
    pub(super) hurried: bool,
    /// The statement under way, whose templates are named instead of its parameters.
    pub(super) statement: Option<&'a Statement>,
}

impl Place<'_> {
    pub(super) fn error(&self, phase: Phase, kind: Kind, what: &str) -> Error {
        let verb = match (phase, self.writes) {
            (Phase::Connect, _) => "connect",
            (_, true) => "change",
            (_, false) => "read from",
        };
        Error::new(kind, format!("{verb} `{}`: {}", self.system, self.mask(what)))
    }

    fn mask(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| secret.redact(&text))
    }

    /// The time of the call is over, at this point of it.
    pub(super) fn late(&self, phase: Phase) -> Error {
        let error = self.error(phase, Kind::Timeout, "the time of the call is over").retry(Retry::Never);
        match phase {
            Phase::Commit if self.writes => error.applied(Applied::Unknown),
            _ => error,
        }
    }

    pub(super) fn failure(&self, phase: Phase, why: &tokio_postgres::Error) -> Failure {
        let mut failure = match why.as_db_error() {
            Some(db) => {
                let broken = ends_connection(db);
                Failure { error: self.database(phase, db), broken, lost: None }
            }
            None => self.lost(phase, why),
        };
        let unknown = phase == Phase::Commit
            && self.writes
            && (failure.broken
                || why.code().is_some_and(|code| {
                    matches!(code.code(), "40003" | "08007") || code.code().starts_with("58")
                }));
        if unknown {
            failure.error = failure.error.applied(Applied::Unknown);
        }
        failure
    }

    /// No word of the server: the connection or the protocol failed.
    fn lost(&self, phase: Phase, why: &tokio_postgres::Error) -> Failure {
        let detail = self.mask(&chain(why));
        let what = if phase == Phase::Connect {
            connecting(why)
        } else if why.is_closed() || io(why).is_some() {
            "the connection was lost; the server may have been restarted".into()
        } else {
            return Failure {
                error: self
                    .error(phase, Kind::Internal, "the server's answer could not be understood")
                    .detail(detail),
                broken: true,
                lost: None,
            };
        };
        let error = self.error(phase, Kind::Unavailable, &what).detail(detail);
        Failure { error, broken: true, lost: Some(phase) }
    }

    fn database(&self, phase: Phase, db: &DbError) -> Error {
        let code = db.code().code();
        let message = db.message();
        let error = |kind, what: &str| self.error(phase, kind, what);
        let never = |kind, what: &str| self.error(phase, kind, what).retry(Retry::Never);
        let error = match code {
            "57014" => self.stopped(phase, message),
            "40001" | "40P01" => {
                let what = format!("another transaction was in the way ({message}); try again");
                error(Kind::Conflict, &what).retry(Retry::Safe)
            }
            "55P03" | "55006" | "55000" => error(Kind::Unavailable, &format!("it is in use ({message})")),
            "25006" => self.read_only(phase, message),
            "42501" => error(Kind::Forbidden, &format!("the role may not do that ({message})")),
            "28P01" | "28000" => never(
                Kind::Unavailable,
                &format!("the server does not let it in ({message}); check user and password"),
            ),
            "3D000" => never(Kind::Unavailable, &format!("{message}; correct `database`")),
            "53300" => {
                error(Kind::Unavailable, "the server has too many connections; lower `max_connections`")
            }
            "53100" => never(Kind::Unavailable, "the server's disk is full"),
            "P0001" => error(Kind::Rejected, message),
            "P0002" => error(Kind::NotFound, message),
            "P0003" => error(Kind::Conflict, message),
            "42P18" | "42725" | "42P08" | "42P38" => {
                let (message, template) = self.named(message);
                let what =
                    format!("the server cannot tell a type ({message}); add a cast: `${{{template}}}::text`");
                error(Kind::Internal, &what)
            }
            "0A000" if message.contains("cached plan") => {
                error(Kind::Unavailable, "its tables were changed meanwhile; try again")
            }
            _ => match &code[..2] {
                "08" | "57" => {
                    error(Kind::Unavailable, &format!("the server ended the connection ({message})"))
                }
                "53" | "58" => error(Kind::Unavailable, &format!("the server has a problem ({message})")),
                "XX" if code == "XX000" => {
                    error(Kind::Internal, &format!("the server has a problem ({message})"))
                }
                "XX" => never(Kind::Unavailable, &format!("the server's data is damaged ({message})")),
                "22" | "54" => error(Kind::Invalid, &format!("the values do not fit: {message}")),
                "23" | "44" => self.constraint(phase, db),
                "42" if message.starts_with("operator does not exist")
                    || message.contains("expression is of type") =>
                {
                    let what = format!(
                        "the statement does not fit the database: {message}; a cast such as `${{.x}}::text` may help"
                    );
                    error(Kind::Internal, &what)
                }
                _ => error(Kind::Internal, &format!("the statement does not fit the database: {message}")),
            },
        };
        let extra = [("detail", db.detail()), ("hint", db.hint()), ("where", db.where_())];
        let extra: String =
            extra.iter().filter_map(|(name, text)| Some(format!("; {name}: {}", (*text)?))).collect();
        error.detail(self.mask(&format!("SQLSTATE {code}: {message}{extra}")))
    }

    /// The server's message with the template in place of its parameter, and the template.
    fn named(&self, message: &str) -> (String, String) {
        let number = message
            .split_once("parameter $")
            .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
        let template = number.as_ref().and_then(|number| self.statement?.template_of(number.parse().ok()?));
        match (number, template) {
            (Some(number), Some(template)) => {
                let named = format!("`${{{template}}}`");
                (message.replace(&format!("parameter ${number}"), &named), template.to_owned())
            }
            _ => (message.to_owned(), ".x".into()),
        }
    }

    /// The server ended the statement.
    fn stopped(&self, phase: Phase, message: &str) -> Error {
        if !message.contains("statement timeout") {
            let what = "somebody ended the statement on the server; try again";
            return self.error(phase, Kind::Unavailable, what);
        }
        if self.hurried {
            return self.late(Phase::Run);
        }
        let limit = duration::format(self.config.statement_timeout);
        let what = format!("it ran longer than {limit} (`statement_timeout`); narrow the query");
        self.error(phase, Kind::Timeout, &what).retry(Retry::Never)
    }

    fn read_only(&self, phase: Phase, message: &str) -> Error {
        if self.config.read_only {
            let what = format!("{message}, and the system is `read_only: true`");
            self.error(phase, Kind::Internal, &what)
        } else if self.writes {
            self.error(phase, Kind::Unavailable, &format!("the server takes no changes now ({message})"))
        } else {
            let what = format!(
                "the statement changes something although it begins like one that only reads ({message}); \
                 write `effect: write` beside it"
            );
            self.error(phase, Kind::Internal, &what)
        }
    }

    /// Names the columns or the constraint, never the values.
    fn constraint(&self, phase: Phase, db: &DbError) -> Error {
        let named = |what: &str, name: Option<&str>, rest: &str| match name {
            Some(name) => format!("{what} `{name}` {rest}"),
            None => format!("{what} {rest}"),
        };
        let name = db.constraint();
        let what = match *db.code() {
            SqlState::UNIQUE_VIOLATION => named("the unique", name, "has this value already"),
            SqlState::NOT_NULL_VIOLATION => {
                named("the column", db.column(), "must have a value (not null constraint)")
            }
            SqlState::CHECK_VIOLATION => named("the check constraint", name, "does not hold for the values"),
            SqlState::EXCLUSION_VIOLATION => {
                named("the exclusion constraint", name, "does not hold beside the other rows")
            }
            SqlState::FOREIGN_KEY_VIOLATION => {
                named("the foreign key", name, "does not hold: a row is missing, or still in use")
            }
            _ => format!("a constraint does not hold ({})", db.message()),
        };
        self.error(phase, Kind::Conflict, &what)
    }
}

/// Whether the server closes the connection with this error.
fn ends_connection(db: &DbError) -> bool {
    use tokio_postgres::error::Severity;
    matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
}

fn io(why: &tokio_postgres::Error) -> Option<&std::io::Error> {
    why.source()?.downcast_ref()
}

/// What kept a connection from being made.
fn connecting(why: &tokio_postgres::Error) -> String {
    use std::io::ErrorKind;
    let certificate = std::iter::successors(why.source(), |error| (*error).source())
        .find_map(|error| error.downcast_ref::<std::io::Error>())
        .and_then(std::io::Error::get_ref)
        .and_then(|error| error.downcast_ref::<rustls::Error>());
    if let Some(error) = certificate {
        return format!(
            "the server's certificate is not accepted ({error}); set `ca`, or choose another `tls`"
        );
    }
    match io(why).map(std::io::Error::kind) {
        Some(ErrorKind::ConnectionRefused) => "no server answers there; check host and port".into(),
        Some(ErrorKind::NotFound) => "the server's socket is not there; check `host`".into(),
        Some(ErrorKind::PermissionDenied) => "the server's socket may not be used".into(),
        Some(_) => "the server cannot be reached; check host and port".into(),
        None => format!("the server cannot be used: {}", chain(why)),
    }
}

/// The error and its causes.
fn chain(why: &tokio_postgres::Error) -> String {
    let mut text = why.to_string();
    for cause in std::iter::successors(why.source(), |error| (*error).source()) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

//! What a failure means: whose fault it is, whether a repeat can help, whether it happened anyway.
//!
//! The server's own words often hold values (`Duplicate entry 'x@example.com' for key …`). So of its messages only the
//! names of columns, keys and constraints are told; those that speak of the config's text are told whole.

use mysql_async::{DriverError, Error as Driver, IoError, ServerError};
use renkei_core::{Applied, Error, Kind, Retry, duration};

use super::{
    meaning::{self, Meaning},
    open::Place as Database,
};

/// When it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Before the first statement of the config: nothing has happened.
    Begin,
    /// While the server took the statement apart.
    Prepare,
    /// While a statement ran.
    Run,
    Commit,
}

/// A failure, and what became of the connection.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) connection: State,
}

/// What is known of a connection after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for the next statement.
    Ready,
    /// The server has closed it.
    Lost,
    /// Something may still run on it.
    Unknown,
}

impl Failure {
    pub(super) fn plain(error: Error) -> Self {
        Failure { error, connection: State::Ready }
    }

    pub(super) fn unknown(error: Error) -> Self {
        Failure { error, connection: State::Unknown }
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

/// Where a failure happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) place: &'a Database,
    pub(super) phase: Phase,
    /// Whether a statement under way, or one before it in the same transaction, may have changed something.
    pub(super) writes: bool,
}

impl Place<'_> {
    pub(super) fn error(&self, kind: Kind, what: &str) -> Error {
        let verb = match (self.phase, self.writes) {
            (Phase::Open, _) => "open",
            (_, true) => "change",
            (_, false) => "read from",
        };
        Error::new(kind, format!("{verb} `{}`: {what}", self.place.system))
    }

    /// Whether something happened, when the connection has ended before the answer.
    pub(super) fn doubt(&self, error: Error) -> Error {
        let sent = matches!(self.phase, Phase::Run | Phase::Commit);
        match self.writes && sent {
            // Also before a commit: tables without transactions (MyISAM, Aria) keep what was changed.
            true => error.applied(Applied::Unknown),
            false => error,
        }
    }

    /// The server did not answer while a connection was opened.
    pub(super) fn no_answer(&self) -> Error {
        let address = self.place.target.address();
        self.error(Kind::Unavailable, &format!("there is no answer from {address}; check host and port"))
    }

    /// The call's own time is over. What runs is ended.
    pub(super) fn deadline(&self) -> Failure {
        let error = self.error(Kind::Timeout, "the time of the call is over").retry(Retry::Never);
        Failure::unknown(self.doubt(error))
    }

    /// The server did not end the statement by itself.
    pub(super) fn statement_timeout(&self) -> Failure {
        let error = self.error(Kind::Timeout, &self.too_long()).retry(Retry::Never);
        Failure::unknown(self.doubt(error))
    }

    fn too_long(&self) -> String {
        let limit = duration::format(self.place.config.statement_timeout);
        format!("it ran longer than {limit} (`statement_timeout`); narrow the query")
    }

    pub(super) fn failure(&self, why: &Driver) -> Failure {
        match why {
            Driver::Server(server) => self.server(server),
            Driver::Io(IoError::Tls(tls)) => {
                let what = format!(
                    "no encrypted connection to {} ({tls}); check `tls` and `ca`",
                    self.place.target.address()
                );
                let error = self.error(Kind::Unavailable, &what).retry(Retry::Never);
                Failure { error, connection: State::Lost }
            }
            // Of the network, and of the packets on it.
            Driver::Io(IoError::Io(io)) if io.to_string().contains("max_allowed_packet") => self.too_large(),
            Driver::Io(io) => self.lost(&io.to_string()),
            Driver::Driver(driver) => self.driver(driver),
            Driver::Url(_) | Driver::Other(_) => {
                let error = self.error(Kind::Internal, "the driver failed unexpectedly");
                Failure::unknown(self.doubt(error))
            }
        }
    }

    fn too_large(&self) -> Failure {
        let text = format!(
            "a row or the values are larger than {} bytes; select fewer columns, or raise `max_bytes`",
            super::open::packet(&self.place.config)
        );
        Failure::unknown(self.doubt(self.error(Kind::Invalid, &text)))
    }

    fn lost(&self, why: &str) -> Failure {
        let address = self.place.target.address();
        let text = match self.phase {
            Phase::Open => format!("{address} cannot be reached ({why}); check host and port"),
            _ => format!("the connection to {address} was lost"),
        };
        let error = self.doubt(self.error(Kind::Unavailable, &text)).detail(why);
        Failure { error, connection: State::Lost }
    }

    fn driver(&self, why: &DriverError) -> Failure {
        let open = |text: String| {
            let error = self.error(Kind::Unavailable, &text).retry(Retry::Never);
            Failure { error, connection: State::Lost }
        };
        match why {
            DriverError::ConnectionClosed => self.lost("the server has closed it"),
            DriverError::PacketTooLarge => self.too_large(),
            DriverError::NoClientSslFlagFromServer => {
                open("the server offers no encrypted connections; set it up there, or write `tls: disable`".into())
            }
            DriverError::UnknownAuthPlugin { name } => {
                open(format!("the server wants to log in by `{name}`, which Renkei does not know; give the user another one"))
            }
            DriverError::CleartextPluginDisabled | DriverError::MysqlOldPasswordDisabled => open(
                "the server wants the password in a form that anybody could read; give the user another way to log in".into(),
            ),
            DriverError::StmtParamsMismatch { .. } | DriverError::MixedParams | DriverError::Params(_) => {
                let what = "the driver takes a `:` in the statement for a parameter; put a space after it";
                Failure::plain(self.error(Kind::Internal, what))
            }
            DriverError::StmtParamsNumberExceedsLimit { supplied } => Failure::plain(
                self.error(Kind::Invalid, &format!("the statement has {supplied} values, and MySQL takes 65535 at most")),
            ),
            // Their texts may hold what came from the server, values included.
            _ => {
                let error = self.error(Kind::Unavailable, "the server's answer makes no sense");
                Failure { error: self.doubt(error), connection: State::Unknown }
            }
        }
    }

    fn server(&self, why: &ServerError) -> Failure {
        let meaning = self.meaning(why);
        let mut error = self.error(meaning.kind, &meaning.text);
        if let Some(retry) = meaning.retry {
            error = error.retry(retry);
        }
        let detail = match meaning.quotable {
            true => format!("{} ({}): {}", why.code, why.state, why.message),
            false => format!("{} ({})", why.code, why.state),
        };
        error = error.detail(detail);
        // A commit that was refused: nobody knows what of it stays, unless the server says that it has undone all.
        if meaning.state == State::Lost || self.phase == Phase::Commit && meaning.kind != Kind::Conflict {
            error = self.doubt(error);
        }
        Failure { error, connection: meaning.state }
    }

    fn meaning(&self, why: &ServerError) -> Meaning {
        match self.phase {
            Phase::Open => self.refused(why),
            _ => self.interrupted(why).unwrap_or_else(|| meaning::of(why)),
        }
    }

    /// Why the server did not let us in.
    fn refused(&self, why: &ServerError) -> Meaning {
        let target = &self.place.target;
        let user = &target.user;
        let database = target.database.as_deref().unwrap_or_default();
        match why.code {
            1045 | 1698 => Meaning::new(
                Kind::Unauthenticated,
                format!("the server does not let the user `{user}` in; check `user` and `password`"),
            ),
            1044 => Meaning::new(
                Kind::Forbidden,
                format!("the user `{user}` may not use the database `{database}`; grant it, or name another"),
            ),
            1049 => Meaning::new(
                Kind::Unavailable,
                format!("there is no database `{database}`; create it, or name another"),
            )
            .retry(Retry::Never),
            1040 | 1203 | 1226 => Meaning::new(
                Kind::Unavailable,
                "the server has too many connections; lower `max_connections`",
            ),
            1129 | 1130 => Meaning::new(Kind::Forbidden, "the server does not let this machine in"),
            1159..=1161 | 1053 | 1079 | 1927 | 4031 => {
                Meaning::new(Kind::Unavailable, "the server is going down or does not answer").lost()
            }
            code => Meaning::new(Kind::Unavailable, format!("the server refused the connection ({code})")),
        }
    }

    /// The work was ended before it was done.
    fn interrupted(&self, why: &ServerError) -> Option<Meaning> {
        Some(match why.code {
            1969 | 3024 => Meaning::new(Kind::Timeout, self.too_long()).retry(Retry::Never),
            1205 => Meaning::new(
                Kind::Unavailable,
                "another transaction keeps the rows locked for too long; try again",
            )
            .retry(Retry::Safe),
            1213 | 1020 | 3572 => Meaning::new(
                Kind::Conflict,
                "another transaction changed or locked the same rows; nothing was changed; try again",
            )
            .retry(Retry::Safe),
            1317 => Meaning::new(Kind::Unavailable, "the server's operator ended the statement"),
            1053 | 1077 | 1079 | 1927 | 1152 | 1158..=1161 | 1184 | 4031 => {
                Meaning::new(Kind::Unavailable, "the server is going down, or closed the connection").lost()
            }
            1040 | 1203 | 1226 => {
                Meaning::new(Kind::Unavailable, "the server has too many connections; try again later")
            }
            1021 | 1041 | 1037 | 1038 | 1114 | 1135 | 3 | 1030 | 1034 | 1194..=1196 => {
                Meaning::new(Kind::Unavailable, "the server has no room left, or a table is damaged")
                    .retry(Retry::Never)
            }
            _ => return None,
        })
    }
}

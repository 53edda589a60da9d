//! What a failure of SQLite means: what to mend, and whether the batch may have happened.

use std::path::Path;

use renkei_core::{Applied, Error, Kind, Retry};
use rusqlite::ErrorCode;

/// What was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Open,
    Read,
    /// Before the `COMMIT`: all is rolled back.
    Write,
    Commit,
}

/// Where something failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble<'a> {
    pub(super) path: &'a Path,
    pub(super) doing: Doing,
}

impl Trouble<'_> {
    pub(super) fn error(self, why: &rusqlite::Error) -> Error {
        let verb = match self.doing {
            Doing::Open => "open",
            Doing::Read => "read from",
            Doing::Write | Doing::Commit => "write to",
        };
        let code = why.sqlite_error_code();
        let (what, retry) = said(code);
        let error = Error::new(kind(code), format!("{verb} the store `{}`: {what}", self.path.display()));
        let error = error.retry(retry).detail(why);
        // What SQLite refused before it wrote the end of the transaction is rolled back for certain.
        let certain =
            matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::ReadOnly));
        match self.doing {
            Doing::Commit if !certain => error.applied(Applied::Unknown).retry(Retry::Never),
            _ => error,
        }
    }
}

fn kind(code: Option<ErrorCode>) -> Kind {
    match code {
        Some(ErrorCode::ConstraintViolation | ErrorCode::Unknown) | None => Kind::Internal,
        _ => Kind::Unavailable,
    }
}

/// In words, with what to do.
fn said(code: Option<ErrorCode>) -> (&'static str, Retry) {
    match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            ("another process keeps it locked; try again", Retry::Safe)
        }
        Some(ErrorCode::DiskFull) => {
            ("the disk is full; make room, nothing that was answered is lost", Retry::Safe)
        }
        Some(ErrorCode::ReadOnly) => {
            ("the file or its folder cannot be written; check the permissions", Retry::Never)
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => (
            "the file cannot be opened; check the path and the permissions of the file and its folder",
            Retry::Never,
        ),
        Some(ErrorCode::NotADatabase) => {
            ("the file is no SQLite database; name another file, or restore a backup", Retry::Never)
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            ("the file is damaged; stop the server, keep a copy, and restore a backup", Retry::Never)
        }
        Some(ErrorCode::SystemIoFailure) => {
            ("the disk reports an error; look at the system's log", Retry::Safe)
        }
        Some(ErrorCode::OutOfMemory) => ("there is no memory left", Retry::Safe),
        _ => ("it failed unexpectedly; this is a fault of Renkei, or of its tables", Retry::Never),
    }
}

/// After these the connection is opened anew: what it remembers of the file may be wrong.
pub(super) fn breaks(why: &rusqlite::Error) -> bool {
    matches!(
        why.sqlite_error_code(),
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory
        )
    )
}

//! Opens the file, and shuts what a query has no business with.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use renkei_core::{Error, Result};
use rusqlite::{Connection, OpenFlags, config::DbConfig, limits::Limit};

use super::{
    Config, authorize,
    authorize::{Catalog, Refusal},
    error,
    monitor::Monitor,
};

/// Virtual machine instructions between two looks at the clock: some ten microseconds.
const INSTRUCTIONS: i32 = 1_000;
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 64;
/// The largest text, blob or row that SQLite builds, so that one expression cannot take all memory.
const MAX_VALUE_BYTES: i32 = 100_000_000;
/// A pattern of `like` or `glob` takes time that grows with a power of its length.
const MAX_PATTERN_BYTES: i32 = 1_000;

/// Where a database is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) system: Arc<str>,
    pub(super) path: PathBuf,
    pub(super) config: Arc<Config>,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) refusal: Refusal,
    pub(super) catalog: Catalog,
    identity: Option<Identity>,
}

/// Tells a file from another one of the same name.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    #[cfg(unix)]
    fn of(path: &Path) -> std::io::Result<Option<Self>> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(path)?;
        Ok(Some(Identity { device: metadata.dev(), inode: metadata.ino() }))
    }

    #[cfg(not(unix))]
    fn of(path: &Path) -> std::io::Result<Option<Self>> {
        std::fs::metadata(path).map(|_| None)
    }
}

impl Opened {
    /// Whether the name still leads to the file that is open: SQLite would read and write a deleted
    /// file for ever without noticing.
    pub(super) fn is_current(&self, place: &Place) -> bool {
        place.config.in_memory() || Identity::of(&place.path).is_ok_and(|identity| identity == self.identity)
    }
}

impl Place {
    /// Opens the database and reads its header.
    pub(super) fn open(&self, monitor: &Arc<Monitor>) -> Result<Opened> {
        let config = &self.config;
        if let Err(why) = std::fs::metadata(&self.path)
            && !config.in_memory()
            && !(config.create && why.kind() == std::io::ErrorKind::NotFound)
        {
            return Err(self.missing(&why));
        }
        let opened = self.open_with_guards(monitor).map_err(|why| error::open(self, &why))?;
        Ok(opened)
    }

    fn missing(&self, why: &std::io::Error) -> Error {
        let (system, path) = (&self.system, self.config.path.display());
        let text = match why.kind() {
            std::io::ErrorKind::NotFound => {
                format!("open `{system}`: there is no file `{path}`; correct `path`, or set `create: true`")
            }
            std::io::ErrorKind::PermissionDenied => {
                format!("open `{system}`: the file `{path}` cannot be reached; check its permissions")
            }
            _ => format!("open `{system}`: the file `{path}` cannot be reached"),
        };
        Error::unavailable(text).detail(format!("{}: {why}", self.path.display()))
    }

    fn open_with_guards(&self, monitor: &Arc<Monitor>) -> rusqlite::Result<Opened> {
        let config = &self.config;
        let access = match (config.read_only, config.create || config.in_memory()) {
            (true, _) => OpenFlags::SQLITE_OPEN_READ_ONLY,
            (false, false) => OpenFlags::SQLITE_OPEN_READ_WRITE,
            (false, true) => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        };
        let mut connection =
            Connection::open_with_flags(&self.path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;

        let (watch, busy_timeout) = (monitor.clone(), config.busy_timeout);
        connection.busy_handler(Some(move |round| watch.wait_for_lock(round, busy_timeout)))?;
        let watch = monitor.clone();
        connection.progress_handler(INSTRUCTIONS, Some(move || watch.stop().is_some()))?;

        // A statement cannot damage the file, nor can the file's own schema run what is dangerous.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        // A misspelt "column" is an error, not a text.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        connection.set_limit(Limit::SQLITE_LIMIT_WORKER_THREADS, 0)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, MAX_PATTERN_BYTES)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.execute_batch("pragma cell_size_check = on")?;
        if config.read_only {
            connection.execute_batch("pragma query_only = on")?;
        }
        // Reads the header: that it is a database at all shows only now.
        connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
        // Last, because it refuses the pragmas above, too.
        let (refusal, catalog) = authorize::guard(&mut connection, config.read_only)?;
        let identity = match config.in_memory() {
            true => None,
            // A file that is gone already is seen as changed before the first statement.
            false => Identity::of(&self.path).unwrap_or(None),
        };
        Ok(Opened { connection, refusal, catalog, identity })
    }
}

//! Opening the file: what it must be, and what is done to it before the first use.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use renkei_core::{
    Error, Kind, Result, Retry,
    clock::{Clock, SystemClock},
};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{
    error::{Doing, Trouble},
    migrations::{APPLICATION_ID, STEPS, VERSION},
};

/// How a file is opened and used.
#[derive(Clone, Debug)]
pub struct Options {
    pub path: PathBuf,
    /// Whether to make the file when it is not there. Its folder must be there anyway.
    pub create: bool,
    /// Threads that read beside the writer.
    pub readers: usize,
    /// How long to wait for a lock that another process holds.
    pub busy_timeout: Duration,
    /// Bytes of batches that wait for the writer; more wait outside.
    pub waiting_bytes: u32,
    /// How often to look whether other processes have written.
    pub poll: Duration,
    /// The largest size of the file in pages of 4 KiB; nothing for no limit but the disk's.
    pub max_pages: Option<u32>,
    pub clock: Arc<dyn Clock>,
}

impl Options {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Options {
            path: path.into(),
            create: true,
            readers: 2,
            busy_timeout: Duration::from_secs(5),
            waiting_bytes: 64 * 1024 * 1024,
            poll: Duration::from_millis(500),
            max_pages: None,
            clock: Arc::new(SystemClock),
        }
    }
}

/// Statements that stay compiled: about all there are.
const STATEMENTS: usize = 160;
/// Pages of the log beside the file, after which it is copied back.
const CHECKPOINT_PAGES: u32 = 4_000;

/// Opens the file for writing, and brings its tables up to date. What vanished while it was open is not made again.
pub(super) fn writer(options: &Options, create: bool) -> Result<Connection> {
    let trouble = Trouble { path: &options.path, doing: Doing::Open };
    folder(&options.path)?;
    if !create && !options.path.exists() {
        let text = format!("open the store `{}`: there is no such file", options.path.display());
        return Err(Error::new(Kind::NotFound, text));
    }
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let mut connection =
        Connection::open_with_flags(&options.path, flags).map_err(|why| trouble.error(&why))?;
    connection.busy_timeout(options.busy_timeout).map_err(|why| trouble.error(&why))?;
    owned(&connection, &options.path)?;
    let prepared = (|| {
        // Before the first table: pages that are free later can be given back without a rewrite of the file.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "fullfsync", true)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -32_768)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        if let Some(pages) = options.max_pages {
            connection.pragma_update(None, "max_page_count", pages)?;
        }
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(())
    })();
    prepared.map_err(|why: rusqlite::Error| trouble.error(&why))?;
    migrate(&mut connection, &options.path)?;
    Ok(connection)
}

/// Opens the file for reading; the writer has opened it before.
pub(super) fn reader(options: &Options) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&options.path, flags)?;
    connection.busy_timeout(options.busy_timeout)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// SQLite's own words for a missing folder are "unable to open database file".
fn folder(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let (why, hint) = match fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => return Ok(()),
        Ok(_) => ("is not a folder", "name another place"),
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            ("does not exist", "make it, or name another place")
        }
        Err(_) => ("cannot be reached", "check its permissions"),
    };
    let text =
        format!("open the store `{}`: the folder `{}` {why}; {hint}", path.display(), folder.display());
    Err(Error::unavailable(text).retry(Retry::Never))
}

/// Refuses files of others: an unlucky path must not get our tables.
fn owned(connection: &Connection, path: &Path) -> Result<()> {
    let trouble = Trouble { path, doing: Doing::Open };
    let number = |sql: &str| {
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|why| trouble.error(&why))
    };
    let application = number("pragma application_id")?;
    if application == i64::from(APPLICATION_ID) {
        return Ok(());
    }
    if application == 0 && number("select count(*) from sqlite_schema")? == 0 {
        return Ok(());
    }
    let text = format!(
        "open the store `{}`: the file is a database of another program; name another file, which is then created",
        path.display()
    );
    Err(Error::unavailable(text).retry(Retry::Never))
}

/// Takes the steps that are missing, all or none. Another process may do so at the same time: one waits for the other.
fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let trouble = Trouble { path, doing: Doing::Open };
    if version(connection, path)? == VERSION {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|why| trouble.error(&why))?;
    let from = version(&transaction, path)?;
    let done = (|| {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        for step in STEPS.iter().skip(from as usize) {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()
    })();
    done.map_err(|why| trouble.error(&why))?;
    if from > 0 && from < VERSION {
        tracing::info!(store = %path.display(), from, to = VERSION, "the store's tables are brought up to date");
    }
    Ok(())
}

fn version(connection: &Connection, path: &Path) -> Result<u32> {
    let version = connection.query_row("pragma user_version", [], |row| row.get::<_, u32>(0));
    let version = version.map_err(|why| Trouble { path, doing: Doing::Open }.error(&why))?;
    if version <= VERSION {
        return Ok(version);
    }
    let text = format!(
        "open the store `{}`: its tables have version {version}, this program knows up to {VERSION}; use the newer program, or \
         restore a backup from before",
        path.display()
    );
    Err(Error::unavailable(text).retry(Retry::Never))
}

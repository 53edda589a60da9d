//! What can go wrong with the file, each for real: the error says what to mend, and nothing acknowledged is lost.

#![expect(clippy::unwrap_used, reason = "whatever fails here fails the test")]

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use renkei_core::{
    Applied, Error, Kind,
    store::{
        Append, Batch, CellExpected, Expected, JobId, Maintain, NewCell, NewEvent, NewJob, Record, Store,
    },
};
use renkei_store::sqlite::{Options, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("renkei.db");
    (folder, path)
}

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(Options::new(path)).await.unwrap()
}

async fn not_opened(path: &Path) -> Error {
    let error = SqliteStore::open(Options::new(path)).await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::No));
    error
}

fn says(error: &Error, words: &[&str]) {
    for word in words {
        assert!(error.public().contains(word), "`{word}` is not in: {}", error.public());
    }
}

fn event(id: usize, bytes: usize) -> Batch {
    let data = Record::new(1, vec![b'x'; bytes]);
    let event = NewEvent { id: id.to_string(), kind: "thing_done".into(), data, meta: Vec::new().into() };
    Batch::new().append(Append { stream: "s".into(), expected: Expected::Any, events: vec![event] })
}

async fn done(store: &SqliteStore, batch: Batch) {
    store.commit(batch).await.unwrap().into_result().unwrap();
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let (folder, _) = place();
    let error = not_opened(&folder.path().join("nowhere/renkei.db")).await;
    says(&error, &["nowhere", "does not exist", "make it"]);
    fs::write(folder.path().join("file"), "").unwrap();
    let error = not_opened(&folder.path().join("file/renkei.db")).await;
    says(&error, &["is not a folder"]);
    let error = not_opened(folder.path()).await;
    says(&error, &["cannot be opened"]);
}

/// An operator's command looks at a store; it makes none.
#[tokio::test]
async fn a_store_is_made_only_where_it_may() {
    let (_folder, path) = place();
    let error = SqliteStore::open(Options { create: false, ..Options::new(&path) }).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(!path.exists());
    open(&path).await.close().await;
    SqliteStore::open(Options { create: false, ..Options::new(&path) }).await.unwrap().close().await;
}

#[tokio::test]
async fn files_of_others_are_left_alone() {
    let (_folder, path) = place();
    Connection::open(&path).unwrap().execute_batch("create table customers (id integer)").unwrap();
    let before = fs::read(&path).unwrap();
    says(&not_opened(&path).await, &["another program", "name another file"]);
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::write(&path, "name,amount\n".repeat(100)).unwrap();
    says(&not_opened(&path).await, &["no SQLite database"]);
    // An empty file is as good as none.
    fs::write(&path, "").unwrap();
    open(&path).await.close().await;
}

#[tokio::test]
async fn tables_of_a_newer_program_are_refused() {
    let (_folder, path) = place();
    let store = open(&path).await;
    done(&store, event(1, 10)).await;
    store.close().await;
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    says(&not_opened(&path).await, &["version 99", "up to 1", "newer program"]);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 1).unwrap();
    assert_eq!(open(&path).await.stream("s").await.unwrap().unwrap().last, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_does_not_fit_and_nothing_else() {
    let (_folder, path) = place();
    let store = SqliteStore::open(Options { max_pages: Some(200), ..Options::new(&path) }).await.unwrap();
    let store = Arc::new(store);
    done(&store, event(0, 10)).await;
    // Too large for the room that is left, together with some that fit: whoever shares its group is not harmed.
    let commit = |batch| {
        let store = store.clone();
        tokio::spawn(async move { store.commit(batch).await })
    };
    let commits: Vec<_> =
        (0..20).map(|id| commit(event(id + 1, if id == 5 { 2_000_000 } else { 10 }))).collect();
    for (id, one) in commits.into_iter().enumerate() {
        let verdict = one.await.unwrap();
        if id == 5 {
            let error = verdict.unwrap_err();
            says(&error, &["the disk is full", "make room"]);
            assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::No));
        } else {
            verdict.unwrap().into_result().unwrap();
        }
    }
    // Until nothing fits.
    let mut last = 20;
    let error = loop {
        match store.commit(event(last + 1, 5_000)).await {
            Ok(verdict) => drop(verdict.into_result().unwrap()),
            Err(error) => break error,
        }
        last += 1;
    };
    says(&error, &["the disk is full"]);
    // What is there can be read; with room it goes on.
    assert_eq!(store.stream("s").await.unwrap().unwrap().last, last as u64);
    store.close().await;
    let store = open(&path).await;
    assert_eq!(store.stream("s").await.unwrap().unwrap().last, last as u64);
    assert_eq!(store.check().await.unwrap(), []);
    done(&store, event(last + 1, 5_000)).await;
}

#[tokio::test]
async fn a_lock_of_another_process_is_waited_for_and_named() {
    let (_folder, path) = place();
    let options = Options { busy_timeout: Duration::from_millis(50), ..Options::new(&path) };
    let store = SqliteStore::open(options).await.unwrap();
    done(&store, event(1, 10)).await;
    let other = Connection::open(&path).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let error = store.commit(event(2, 10)).await.unwrap_err();
    says(&error, &["another process keeps it locked"]);
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::No));
    // Readers do not wait for it.
    assert_eq!(store.stream("s").await.unwrap().unwrap().last, 1);
    other.execute_batch("rollback").unwrap();
    done(&store, event(2, 10)).await;
}

#[tokio::test]
async fn damaged_pages_are_told_and_never_panic() {
    let (_folder, path) = place();
    let store = open(&path).await;
    for id in 0..200 {
        let cell = NewCell::new(Record::new(1, vec![b'y'; 500]));
        let job = NewJob::new(JobId::new(), "work", Record::default());
        done(&store, event(id, 500).enqueue(job).set("space", id.to_string(), CellExpected::Any, cell)).await;
    }
    store.close().await;
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    // Each page once: everything that reads it tells, or does not need it.
    let whole = fs::read(&path).unwrap();
    let mut told = 0;
    for page in (1..pages).step_by(3) {
        file.write_all_at(&[0xa5; 4096], page * 4096).unwrap();
        // Opening it may fail already: then this is the error.
        match SqliteStore::open(Options::new(&path)).await {
            Err(error) => says(&error, &["damaged"]),
            Ok(store) => {
                let problems = store.check().await;
                assert!(problems.is_err() || !problems.unwrap().is_empty(), "page {page} is damaged");
                for error in [store.read_stream("s", 1, 1_000).await.err(), store.queues().await.err()] {
                    told += usize::from(
                        error.inspect(|error| says(error, &["damaged", "restore a backup"])).is_some(),
                    );
                }
                // It may fail; what it answers is no more than that.
                if let Err(error) = store.commit(event(5_000, 10)).await {
                    says(&error, &["write to the store"]);
                }
                store.close().await;
            }
        }
        fs::write(&path, &whole).unwrap();
    }
    assert!(told > 0, "some page of the events was hit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_one_moment_while_work_goes_on() {
    let (folder, path) = place();
    let store = Arc::new(open(&path).await);
    for id in 0..50 {
        done(&store, event(id, 1_000)).await;
    }
    let busy = {
        let store = store.clone();
        tokio::spawn(async move {
            for id in 50..150 {
                done(&store, event(id, 1_000)).await;
            }
        })
    };
    let to = folder.path().join("copy.db");
    let backup = store.backup(&to).await.unwrap();
    busy.await.unwrap();
    assert_eq!(backup.bytes, fs::metadata(&to).unwrap().len());
    let copy = open(&to).await;
    assert_eq!(copy.check().await.unwrap(), []);
    let last = copy.stream("s").await.unwrap().unwrap().last;
    assert!((50..=150).contains(&last), "{last}");
    assert_eq!(copy.read_stream("s", 1, 1_000).await.unwrap().events.len() as u64, last);
    says(&store.backup(&to).await.unwrap_err(), &["it exists", "name a new file"]);
    says(&store.backup(&folder.path().join("no/copy.db")).await.unwrap_err(), &["cannot be written"]);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
}

#[tokio::test]
async fn compacting_gives_room_back() {
    let (_folder, path) = place();
    let store = open(&path).await;
    for id in 0..40 {
        done(
            &store,
            Batch::new().set(
                "space",
                id.to_string(),
                CellExpected::Any,
                NewCell::new(Record::new(1, vec![1; 100_000])),
            ),
        )
        .await;
    }
    for id in 0..39 {
        done(&store, Batch::new().delete("space", id.to_string(), CellExpected::Any)).await;
    }
    let compacted = store.compact().await.unwrap();
    assert!(compacted.bytes_before > 4_000_000 && compacted.bytes_after < 400_000, "{compacted:?}");
    assert_eq!(store.check().await.unwrap(), []);
    assert_eq!(store.cell("space", "39").await.unwrap().unwrap().value.bytes.len(), 100_000);
}

/// What `check` looks for beyond the file: rows that do not fit each other.
#[tokio::test]
async fn what_does_not_fit_together_is_found() {
    let (_folder, path) = place();
    let store = open(&path).await;
    let keyed = || NewJob { key: Some("k".into()), ..NewJob::new(JobId::new(), "work", Record::default()) };
    done(&store, event(1, 10).enqueue(keyed()).enqueue(keyed())).await;
    assert_eq!(store.check().await.unwrap(), []);
    let broken = [
        ("update queues set held = 5", "update queues set held = 1", "the queue `work` counts other numbers"),
        (
            "update jobs set holds = 0 where seq = 1",
            "update jobs set holds = 1 where seq = 1",
            "there is none",
        ),
        ("update streams set last = 3", "update streams set last = 1", "the stream `s`"),
        ("update counters set position = 0", "update counters set position = 1", "the counter of positions"),
    ];
    let other = Connection::open(&path).unwrap();
    for (damage, repair, told) in broken {
        other.execute_batch(damage).unwrap();
        let problems = store.check().await.unwrap();
        assert!(problems.iter().any(|problem| problem.message.contains(told)), "{damage}: {problems:?}");
        other.execute_batch(repair).unwrap();
        assert_eq!(store.check().await.unwrap(), [], "{repair}");
    }
}

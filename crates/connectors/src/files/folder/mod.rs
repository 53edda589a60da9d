//! A folder of this machine.
//!
//! The operating system itself keeps every path inside: each is resolved below an open folder with `openat2` and
//! `RESOLVE_BENEATH` where there is such a thing, and name by name elsewhere (`cap-std`). So a link that appears
//! between a check and its use leads nowhere. The calls block, so each system has a few threads of its own.

mod change;
mod look;
mod threads;
mod walk;
mod write;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use cap_std::{ambient_authority, fs::Dir};
use renkei_core::{ConnectContext, Error, Kind, Result};

use self::threads::{Stop, Threads, Undone};
use super::{
    config::Config,
    error::Place,
    operation::Verb,
    path::FilePath,
    store::{Ask, Condition, Listing, Part, Stat, Store, Wanted, Written},
};

/// The folder of one system.
#[derive(Debug)]
pub(super) struct Folder {
    root: Arc<PathBuf>,
    config: Arc<Config>,
    threads: Threads,
    /// Held while a condition is checked and its change made, so that two changes of this process cannot
    /// both find the condition true.
    changes: Arc<Mutex<()>>,
}

impl Folder {
    /// Checks that the folder is there, or creates it.
    pub(super) async fn connect(
        system: &Arc<str>,
        config: Arc<Config>,
        root: &PathBuf,
        cx: &ConnectContext,
    ) -> Result<Folder> {
        let place = Place { system: system.clone(), verb: Verb::List };
        let threads = Threads::start(config.parallel, config.queue).map_err(|why| {
            Error::unavailable(format!("open `{system}`: no thread could be started")).detail(why)
        })?;
        let root = Arc::new(cx.base_dir.join(root));
        let folder = Folder { root, threads, config, changes: Arc::default() };
        folder.run(Ask { place, attempt: Arc::default() }, |_| Ok(())).await?;
        Ok(folder)
    }

    /// Runs `work` on a thread. When the future is dropped, the work ends at its next step, and makes no change
    /// unless it has begun to.
    async fn run<T: Send + 'static>(
        &self,
        ask: Ask,
        work: impl FnOnce(&Job) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (root, config, changes) = (self.root.clone(), self.config.clone(), self.changes.clone());
        let place = ask.place.clone();
        let done = self.threads.run(move |stop| {
            let open = || Dir::open_ambient_dir(&*root, ambient_authority());
            let opened = match open() {
                Err(why) if why.kind() == std::io::ErrorKind::NotFound && config.create => {
                    Dir::create_ambient_dir_all(&*root, ambient_authority()).and_then(|()| open())
                }
                opened => opened,
            };
            let root = opened.map_err(|why| ask.place.down(&root, &why))?;
            work(&Job { root, ask, config, changes, stop: stop.clone() })
        });
        done.await.unwrap_or_else(|undone| {
            Err(match undone {
                Undone::Full => place.full(self.config.queue),
                Undone::Panicked => place.panicked(),
            })
        })
    }
}

/// One operation on a thread.
struct Job {
    root: Dir,
    ask: Ask,
    config: Arc<Config>,
    changes: Arc<Mutex<()>>,
    stop: Arc<Stop>,
}

impl Job {
    fn place(&self) -> &Place {
        &self.ask.place
    }

    /// Ends the work when nobody waits for it any more.
    fn check(&self, path: &FilePath) -> Result<()> {
        if self.stop.is_dropped() { Err(self.cancelled(path)) } else { Ok(()) }
    }

    /// To be called right before the change: from here on it counts as made.
    fn commit(&self, path: &FilePath) -> Result<()> {
        // First, so that whoever drops the call after this sees it.
        self.ask.attempt.mark_sent();
        if self.stop.commit() { Ok(()) } else { Err(self.cancelled(path)) }
    }

    fn cancelled(&self, path: &FilePath) -> Error {
        self.place().error(Kind::Cancelled, path, "nobody waits for it any more")
    }
}

#[async_trait]
impl Store for Folder {
    async fn list(&self, ask: Ask, wanted: Wanted) -> Result<Listing> {
        self.run(ask, move |job| walk::list(job, &wanted)).await
    }

    async fn read(&self, ask: Ask, path: FilePath, from: u64, most: u64) -> Result<Part> {
        self.run(ask, move |job| look::read(job, &path, from, most)).await
    }

    async fn write(&self, ask: Ask, path: FilePath, content: Written, when: Condition) -> Result<Stat> {
        self.run(ask, move |job| write::write(job, &path, &content.bytes, &when)).await
    }

    async fn append(&self, ask: Ask, path: FilePath, bytes: Bytes) -> Result<Stat> {
        self.run(ask, move |job| change::append(job, &path, &bytes)).await
    }

    async fn delete(&self, ask: Ask, path: FilePath, recursive: bool) -> Result<()> {
        self.run(ask, move |job| walk::delete(job, &path, recursive)).await
    }

    async fn stat(&self, ask: Ask, path: FilePath) -> Result<Stat> {
        self.run(ask, move |job| look::stat(job, &path)).await
    }

    async fn copy(&self, ask: Ask, from: FilePath, to: FilePath, when: Condition) -> Result<Stat> {
        self.run(ask, move |job| write::copy(job, &from, &to, &when)).await
    }

    async fn rename(&self, ask: Ask, from: FilePath, to: FilePath, when: Condition) -> Result<Stat> {
        self.run(ask, move |job| change::rename(job, &from, &to, &when)).await
    }
}

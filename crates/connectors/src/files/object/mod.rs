//! Stores elsewhere, through OpenDAL.
//!
//! OpenDAL makes requests and reads answers; the requests go through our own client (`transport`), so that the
//! guard against private addresses holds, secrets stay masked, and a timeout knows whether anything was sent.
//! Nothing is taken from the environment.

mod error;
mod open;
mod transport;

use std::{
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt as _, TryStreamExt as _};
use opendal_core::{
    EntryMode, HttpTransporter, Metadata, Operator,
    options::{ListOptions, ReadOptions, WriteOptions},
};
use renkei_core::{Kind, Result};

use self::{
    error::Failed,
    transport::{Noted, Requests, Wire},
};
use super::{
    config::Config,
    error::Place,
    path::{FilePath, is_hidden},
    store::{Ask, Condition, Entry, Listing, Part, Stat, Store, Wanted, What, Written},
};

/// The store of one system.
#[derive(Debug)]
pub(super) struct Objects {
    operator: Operator,
    wire: Arc<Wire>,
    config: Arc<Config>,
    /// Folders are things of their own, which a careless request would delete or replace.
    is_webdav: bool,
}

/// One call on a store.
struct Session<'o> {
    objects: &'o Objects,
    operator: Operator,
    place: Place,
    noted: Arc<Mutex<Noted>>,
    when: Condition,
}

impl Objects {
    fn session(&self, ask: Ask, when: Condition) -> Session<'_> {
        let noted = Arc::<Mutex<Noted>>::default();
        let requests = Requests {
            wire: self.wire.clone(),
            place: ask.place.clone(),
            attempt: ask.attempt,
            noted: noted.clone(),
            // S3's conditions are OpenDAL's to send: they are signed.
            when: self.is_webdav.then(|| when.clone()),
        };
        let context = self.operator.base_context().with_http_transport(HttpTransporter::new(requests));
        let operator = self.operator.clone().with_context(context);
        Session { objects: self, operator, place: ask.place, noted, when }
    }
}

impl Session<'_> {
    /// Runs a part of an operation, and says what its failure means.
    async fn run<T>(
        &self,
        path: &FilePath,
        work: impl Future<Output = opendal_core::Result<T>>,
    ) -> Result<T> {
        // A store that answers nonsense must not end more than this call.
        let done = AssertUnwindSafe(work).catch_unwind().await.map_err(|_| self.place.panicked())?;
        done.map_err(|why| {
            let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Failed { place: &self.place, wire: &self.objects.wire, path, when: &self.when, noted }.error(&why)
        })
    }

    /// OpenDAL takes white space from the ends of a path, which would name another file.
    fn check(&self, path: &FilePath) -> Result<()> {
        if path.as_str().trim() == path.as_str() {
            return Ok(());
        }
        let why = "its path begins or ends with white space, which stores do not take; nothing was touched";
        Err(self.place.error(Kind::Invalid, path, why))
    }

    async fn stat(&self, path: &FilePath) -> Result<Stat> {
        self.check(path)?;
        if path.is_root() {
            self.run(path, self.operator.check()).await?;
            return Ok(Stat::folder());
        }
        match self.run(path, self.operator.stat(path.as_str())).await {
            Err(error) if error.kind() == Kind::NotFound => {
                let folder = format!("{}/", path.as_str());
                let found = self.run(path, self.operator.stat(&folder)).await?;
                Ok(stat_of(&found))
            }
            found => Ok(stat_of(&found?)),
        }
    }

    /// Where folders are things of their own: refuses one, so that nothing happens to all that is in it.
    async fn refuse_folder(&self, path: &FilePath) -> Result<()> {
        if !self.objects.is_webdav {
            return Ok(());
        }
        match self.stat(path).await {
            Ok(stat) if stat.what == What::Folder => Err(self.place.is_folder(path)),
            Err(error) if error.kind() != Kind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Where folders are things of their own: refuses what is none, or not there.
    async fn require_file(&self, path: &FilePath) -> Result<()> {
        if self.objects.is_webdav && self.stat(path).await?.what == What::Folder {
            return Err(self.place.is_folder(path));
        }
        Ok(())
    }

    /// All that is in a folder, as the store names it.
    async fn entries(
        &self,
        folder: &FilePath,
        recursive: bool,
        after: Option<&str>,
    ) -> Result<Vec<opendal_core::Entry>> {
        self.check(folder)?;
        let path = if folder.is_root() { "/".to_owned() } else { format!("{}/", folder.as_str()) };
        let max_scan = self.objects.config.max_scan;
        let mut options = ListOptions { recursive, ..ListOptions::default() };
        if self.operator.info().capability().list_with_start_after {
            options.start_after = after.map(str::to_owned);
        }
        let work = async {
            let mut lister = self.operator.lister_options(&path, options).await?;
            let mut entries = Vec::new();
            while let Some(entry) = lister.try_next().await? {
                if entry.path() == path || entry.path() == "/" {
                    continue;
                }
                entries.push(entry);
                if entries.len() > max_scan {
                    break;
                }
            }
            Ok(entries)
        };
        let entries = self.run(folder, work).await?;
        if entries.len() > max_scan {
            return Err(self.place.too_many(folder, max_scan));
        }
        Ok(entries)
    }
}

fn stat_of(meta: &Metadata) -> Stat {
    let what = match meta.mode() {
        EntryMode::FILE => What::File,
        EntryMode::DIR => What::Folder,
        EntryMode::Unknown => What::Other,
    };
    let of_file = what == What::File;
    Stat {
        what,
        size: of_file.then(|| meta.content_length()),
        modified: meta.last_modified().map(Into::into),
        etag: meta.etag().filter(|_| of_file).map(quoted),
        content_type: meta.content_type().filter(|_| of_file).map(str::to_owned),
    }
}

/// Some servers leave out the quotes, which a condition must have.
fn quoted(etag: &str) -> String {
    if etag.starts_with('"') || etag.starts_with("W/") { etag.to_owned() } else { format!("\"{etag}\"") }
}

/// The folders that are only parts of the names of what is in them.
fn folders_on_the_way(entries: &[Entry], top: &FilePath) -> Vec<Entry> {
    let mut folders = BTreeSet::new();
    for entry in entries {
        let mut path = entry.path.as_str();
        while let Some((folder, _)) = path.rsplit_once('/') {
            if folder.len() <= top.as_str().len() || !folders.insert(folder) {
                break;
            }
            path = folder;
        }
    }
    for entry in entries.iter().filter(|entry| entry.stat.what == What::Folder) {
        folders.remove(entry.path.as_str());
    }
    folders.into_iter().map(|path| Entry { path: path.to_owned(), stat: Stat::folder() }).collect()
}

#[async_trait]
impl Store for Objects {
    async fn list(&self, ask: Ask, wanted: Wanted) -> Result<Listing> {
        let session = self.session(ask, Condition::Always);
        let found = session.entries(&wanted.folder, wanted.recursive, wanted.after.as_deref()).await?;
        let named = found.iter().map(|entry| {
            let path = entry.path().trim_end_matches('/').to_owned();
            Entry { path, stat: stat_of(entry.metadata()) }
        });
        let mut entries: Vec<Entry> = named.filter(|entry| !entry.path.is_empty()).collect();
        if wanted.recursive {
            entries.extend(folders_on_the_way(&entries, &wanted.folder));
        }
        let hidden = |path: &str| path.split('/').any(|name| is_hidden(name, self.config.hidden));
        entries.retain(|entry| !hidden(&entry.path) && wanted.takes(&entry.path));
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        // An object and a folder may have one name.
        entries.truncate(wanted.limit.saturating_add(1));
        Ok(Listing { entries, notices: Vec::new() })
    }

    async fn read(&self, ask: Ask, path: FilePath, from: u64, most: u64) -> Result<Part> {
        let session = self.session(ask, Condition::Always);
        let stat = session.stat(&path).await?;
        if stat.what == What::Folder {
            return Err(session.place.is_folder(&path));
        }
        let size = stat.size.unwrap_or_default();
        let to = from.saturating_add(most).min(size);
        if from >= to {
            return Ok(Part { bytes: Bytes::new(), stat });
        }
        // Both answers are about the same file.
        let if_match = stat.etag.clone().filter(|etag| !etag.starts_with("W/"));
        let options = ReadOptions { range: (from..to).into(), if_match, ..ReadOptions::default() };
        let read = session.operator.read_options(path.as_str(), options);
        let bytes = session.run(&path, read).await?.to_bytes();
        Ok(Part { bytes, stat })
    }

    async fn write(&self, ask: Ask, path: FilePath, content: Written, when: Condition) -> Result<Stat> {
        let session = self.session(ask, when.clone());
        session.check(&path)?;
        session.refuse_folder(&path).await?;
        let size = content.bytes.len() as u64;
        let content_type = content.content_type;
        let mut options = WriteOptions { content_type: content_type.clone(), ..WriteOptions::default() };
        match when {
            _ if self.is_webdav => {}
            Condition::Always => {}
            Condition::Absent => options.if_not_exists = true,
            Condition::Etag(etag) => options.if_match = Some(etag),
        }
        let write = session.operator.write_options(path.as_str(), content.bytes, options);
        let meta = session.run(&path, write).await?;
        Ok(Stat { what: What::File, size: Some(size), content_type, ..stat_of(&meta) })
    }

    async fn append(&self, ask: Ask, path: FilePath, _: Bytes) -> Result<Stat> {
        Err(ask.place.error(Kind::Internal, &path, "the store has no such operation"))
    }

    async fn delete(&self, ask: Ask, path: FilePath, recursive: bool) -> Result<()> {
        let session = self.session(ask, Condition::Always);
        session.check(&path)?;
        if !recursive {
            session.refuse_folder(&path).await?;
        } else if self.is_webdav {
            let is_folder = match session.stat(&path).await {
                Err(error) if error.kind() == Kind::NotFound => return Ok(()),
                stat => stat?.what == What::Folder,
            };
            let target = if is_folder { format!("{}/", path.as_str()) } else { path.as_str().to_owned() };
            return session.run(&path, session.operator.delete(&target)).await;
        } else {
            let below = session.entries(&path, true, None).await?;
            let paths: Vec<String> = below.iter().map(|entry| entry.path().to_owned()).collect();
            // What has something below it is a folder, which is only a part of names.
            if !paths.is_empty() {
                return session.run(&path, session.operator.delete_iter(paths)).await;
            }
        }
        session.run(&path, session.operator.delete(path.as_str())).await
    }

    async fn stat(&self, ask: Ask, path: FilePath) -> Result<Stat> {
        self.session(ask, Condition::Always).stat(&path).await
    }

    async fn copy(&self, ask: Ask, from: FilePath, to: FilePath, when: Condition) -> Result<Stat> {
        // What is told apart by the condition is the target; all else is about the source.
        let told = if when == Condition::Absent { &to } else { &from };
        let session = self.session(ask, when);
        session.check(&from)?;
        session.check(&to)?;
        session.require_file(&from).await?;
        session.refuse_folder(&to).await?;
        let copy = session.operator.copy(from.as_str(), to.as_str());
        session.run(told, copy).await?;
        session.stat(&to).await
    }

    async fn rename(&self, ask: Ask, from: FilePath, to: FilePath, when: Condition) -> Result<Stat> {
        let told = if when == Condition::Absent { &to } else { &from };
        let session = self.session(ask, when);
        session.check(&from)?;
        session.check(&to)?;
        session.require_file(&from).await?;
        session.refuse_folder(&to).await?;
        let rename = session.operator.rename(from.as_str(), to.as_str());
        session.run(told, rename).await?;
        session.stat(&to).await
    }
}

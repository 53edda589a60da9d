//! What a store can do, whatever keeps the files: the port between `call` and its two implementations.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use renkei_core::{Map, Result, Value, call::Attempt};

use super::{error::Place, glob::Glob, path::FilePath};

/// Under which conditions a store works.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) place: Place,
    pub(super) attempt: Arc<Attempt>,
}

/// A folder of this machine, or objects elsewhere. Dropping a future ends its work.
#[async_trait]
pub(super) trait Store: Send + Sync {
    /// Entries in the order of their paths.
    async fn list(&self, ask: Ask, wanted: Wanted) -> Result<Listing>;
    /// At most `most` bytes from the byte `from` on.
    async fn read(&self, ask: Ask, path: FilePath, from: u64, most: u64) -> Result<Part>;
    /// Writes the whole file, or nothing.
    async fn write(&self, ask: Ask, path: FilePath, content: Written, when: Condition) -> Result<Stat>;
    async fn append(&self, ask: Ask, path: FilePath, bytes: Bytes) -> Result<Stat>;
    /// Tells whether there was something.
    async fn delete(&self, ask: Ask, path: FilePath, recursive: bool) -> Result<()>;
    async fn stat(&self, ask: Ask, path: FilePath) -> Result<Stat>;
    async fn copy(&self, ask: Ask, from: FilePath, to: FilePath, when: Condition) -> Result<Stat>;
    async fn rename(&self, ask: Ask, from: FilePath, to: FilePath, when: Condition) -> Result<Stat>;
}

/// Which entries a list gives.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) folder: FilePath,
    pub(super) glob: Option<Arc<Glob>>,
    pub(super) recursive: bool,
    /// Only what comes after this path.
    pub(super) after: Option<String>,
    /// One entry more than this is given when there are more.
    pub(super) limit: usize,
}

impl Wanted {
    /// Whether an entry is given: `path` counts from the root.
    pub(super) fn takes(&self, path: &str) -> bool {
        let below = match self.folder.as_str() {
            "" => path,
            folder => path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path),
        };
        self.after.as_deref().is_none_or(|after| path > after)
            && self.glob.as_ref().is_none_or(|glob| glob.matches(below))
    }
}

/// What is written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) bytes: Bytes,
    /// For stores that keep it.
    pub(super) content_type: Option<String>,
}

/// When a change is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Always,
    /// Nothing of that name is there.
    Absent,
    /// The file has this etag.
    Etag(String),
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    File,
    Folder,
    /// A device, a socket, a pipe: never read or written.
    Other,
}

impl What {
    fn word(self) -> &'static str {
        match self {
            What::File => "file",
            What::Folder => "folder",
            What::Other => "other",
        }
    }
}

/// What is known of a file or folder.
#[derive(Clone, Debug)]
pub(super) struct Stat {
    pub(super) what: What,
    /// Of a file.
    pub(super) size: Option<u64>,
    pub(super) modified: Option<Timestamp>,
    pub(super) etag: Option<String>,
    /// What the store says of it.
    pub(super) content_type: Option<String>,
}

impl Stat {
    /// A folder of which nothing else is known.
    pub(super) fn folder() -> Stat {
        Stat { what: What::Folder, size: None, modified: None, etag: None, content_type: None }
    }

    /// A file of which nothing else is known.
    pub(super) fn file() -> Stat {
        Stat { what: What::File, ..Stat::folder() }
    }

    /// What `stat` gives. Members that are not known are left out.
    pub(super) fn to_map(&self, path: &str) -> Map {
        let mut map = self.to_entry(path);
        let etag = self.etag.as_ref().map(|etag| etag.as_str().into());
        let kind = (self.what == What::File).then(|| {
            let named = || super::media::of_name(path).map(str::to_owned);
            self.content_type.clone().or_else(named)
        });
        map.extend(etag.map(|etag| ("etag".into(), etag)));
        map.extend(kind.flatten().map(|kind| ("content_type".into(), kind.into())));
        map
    }

    /// What a list gives.
    pub(super) fn to_entry(&self, path: &str) -> Map {
        let mut map = Map::new();
        map.insert("path".into(), path.into());
        map.insert("type".into(), self.what.word().into());
        if let Some(size) = self.size.filter(|_| self.what == What::File) {
            map.insert("size".into(), size.into());
        }
        // RFC 3339, in UTC.
        map.extend(self.modified.map(|time| ("modified".into(), Value::from(time.to_string()))));
        map
    }
}

/// One entry of a list.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// From the root.
    pub(super) path: String,
    pub(super) stat: Stat,
}

/// What a list found.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    /// One more than the limit when there are more.
    pub(super) entries: Vec<Entry>,
    /// What was left out, and why.
    pub(super) notices: Vec<String>,
}

/// A part of a file.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) bytes: Bytes,
    /// Of the whole file.
    pub(super) stat: Stat,
}

//! What a failure means: the kind, whether a repeat can help, and whether it happened anyway.
//!
//! No path of this machine gets into a text for the model: files are named as the operation names them.

use std::{io, path::Path, sync::Arc};

use renkei_core::{Applied, Error, Kind, Retry, read::Bytes};

use super::{operation::Verb, path::FilePath};

/// What is known where an operation failed.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) system: Arc<str>,
    pub(super) verb: Verb,
}

impl Place {
    /// `` read `notes/a.txt` of `documents`: it is a folder ``
    pub(super) fn error(&self, kind: Kind, path: &FilePath, why: impl std::fmt::Display) -> Error {
        Error::new(kind, format!("{} {path} of `{}`: {why}", self.verb.word(), self.system))
    }

    /// Nobody knows whether it happened, unless there was nothing to happen.
    pub(super) fn unknown(&self) -> Applied {
        if self.verb.changes() { Applied::Unknown } else { Applied::No }
    }

    pub(super) fn not_found(&self, path: &FilePath) -> Error {
        self.error(Kind::NotFound, path, "there is no such file or folder; `list` shows what is there")
    }

    pub(super) fn exists(&self, path: &FilePath) -> Error {
        self.error(Kind::Conflict, path, format!("{path} is there already (`if: absent`)"))
    }

    pub(super) fn changed(&self, path: &FilePath) -> Error {
        let why = "it was changed meanwhile (`if: { etag: … }`); read it again, then write";
        self.error(Kind::Conflict, path, why)
    }

    pub(super) fn is_folder(&self, path: &FilePath) -> Error {
        let hint = match self.verb {
            Verb::Delete => "`recursive: true` in the operation deletes it with all that is in it",
            Verb::Read => "`list` shows what is in it",
            _ => "name a file",
        };
        self.error(Kind::Invalid, path, format!("{path} is a folder; {hint}"))
    }

    pub(super) fn is_file(&self, path: &FilePath) -> Error {
        self.error(Kind::Invalid, path, "it is a file, not a folder; `read` gives what is in it")
    }

    pub(super) fn special(&self, path: &FilePath) -> Error {
        let why = "it is neither a file nor a folder, but a device, a socket or a pipe";
        self.error(Kind::Invalid, path, why)
    }

    pub(super) fn link(&self, path: &FilePath) -> Error {
        let why = "it is a symbolic link, which is not replaced; name the file that it leads to";
        self.error(Kind::Conflict, path, why)
    }

    pub(super) fn outside(&self, path: &FilePath) -> Error {
        let why = "a symbolic link in the path leads out of the system's root; nothing was touched";
        self.error(Kind::Forbidden, path, why)
    }

    pub(super) fn too_deep(&self, path: &FilePath) -> Error {
        let why = format!("folders in it are deeper than {} levels", super::path::MAX_DEPTH);
        self.error(Kind::Invalid, path, why)
    }

    pub(super) fn too_many(&self, path: &FilePath, max_scan: usize) -> Error {
        let why = format!(
            "there are more than {max_scan} files and folders in it (`max_scan` of the system); name a smaller folder"
        );
        self.error(Kind::Invalid, path, why)
    }

    pub(super) fn too_large(&self, path: &FilePath, size: u64, limit: Bytes, key: &str) -> Error {
        let why = format!("{size} bytes are more than {limit} (`{key}` of the system)");
        self.error(Kind::Invalid, path, why)
    }

    /// The root folder cannot be opened. Where it is, is for the operator.
    pub(super) fn down(&self, root: &Path, why: &io::Error) -> Error {
        let text = match why.kind() {
            io::ErrorKind::NotFound => "its root folder is not there; create it, or set `create: true`",
            io::ErrorKind::NotADirectory => "its root is not a folder; check `root`",
            io::ErrorKind::PermissionDenied => "its root folder cannot be opened; check the permissions",
            _ => "its root folder cannot be opened now",
        };
        Error::unavailable(format!("{} files of `{}`: {text}", self.verb.word(), self.system))
            .detail(format!("{}: {why}", root.display()))
    }

    /// The operating system said no. `applied` is what is known of the change by then.
    pub(super) fn io(&self, path: &FilePath, why: &io::Error) -> Error {
        use io::ErrorKind as Io;
        let unavailable = |text: &str| self.error(Kind::Unavailable, path, text).retry(Retry::Never);
        let error = match why.kind() {
            Io::NotFound => return self.not_found(path),
            // Without a number it is the sandbox that refused, not the operating system.
            Io::PermissionDenied if why.raw_os_error().is_none() => return self.outside(path),
            Io::PermissionDenied => {
                self.error(Kind::Forbidden, path, "this machine's permissions do not allow it")
            }
            Io::AlreadyExists | Io::DirectoryNotEmpty => {
                self.error(Kind::Conflict, path, "something of that name is there already")
            }
            Io::IsADirectory => return self.is_folder(path),
            Io::NotADirectory => {
                let why = "a part of the path is a file, not a folder";
                self.error(if self.verb.changes() { Kind::Conflict } else { Kind::NotFound }, path, why)
            }
            Io::InvalidFilename | Io::InvalidInput => {
                self.error(Kind::Invalid, path, "this machine takes no such name")
            }
            Io::StorageFull | Io::QuotaExceeded => unavailable("there is no space left"),
            Io::FileTooLarge => unavailable("this machine keeps no file of that size"),
            Io::ReadOnlyFilesystem => unavailable("the disk can only be read"),
            Io::CrossesDevices => {
                let why = "the new path lies on another disk; `copy` the file, then `delete` it";
                self.error(Kind::Internal, path, why)
            }
            Io::Unsupported => unavailable("this disk has no such operation"),
            // A loop of symbolic links has no kind of its own in stable Rust.
            _ if is_loop(why) => {
                self.error(Kind::Invalid, path, "symbolic links in the path lead in a circle")
            }
            _ => self.error(Kind::Unavailable, path, "the disk cannot be used now"),
        };
        error.detail(why)
    }

    /// Too many calls wait for the folder's threads.
    pub(super) fn full(&self, queue: usize) -> Error {
        let text = format!(
            "{} files of `{}`: {queue} calls wait for it already (`queue`); try again later",
            self.verb.word(),
            self.system
        );
        Error::new(Kind::RateLimited, text)
    }

    /// A panic in this crate or a library.
    pub(super) fn panicked(&self) -> Error {
        Error::internal(format!(
            "{} files of `{}`: the connector failed unexpectedly; this is a fault of Renkei",
            self.verb.word(),
            self.system
        ))
        .applied(self.unknown())
    }
}

fn is_loop(why: &io::Error) -> bool {
    why.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

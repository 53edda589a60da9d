//! Goes through folders: to list them, and to delete them. Links are never followed into another folder.

use std::io;

use cap_std::fs::{Dir, DirEntry, FileType};
use renkei_core::{Applied, Kind, Result};

use super::{
    super::{
        path::{FilePath, MAX_DEPTH, is_hidden},
        store::{Entry, Listing, Wanted, What},
    },
    Job,
    look::stat_of,
};

/// Entries in the order of their paths.
pub(super) fn list(job: &Job, wanted: &Wanted) -> Result<Listing> {
    job.ask.attempt.mark_sent();
    let folder = &wanted.folder;
    let refused = |why: io::Error| match why.kind() {
        io::ErrorKind::NotADirectory if job.root.metadata(folder.as_str()).is_ok() => {
            job.place().is_file(folder)
        }
        _ => job.place().io(folder, &why),
    };
    let dir = match folder.as_str() {
        "" => job.root.try_clone(),
        path => job.root.open_dir(path),
    };
    let dir = dir.map_err(refused)?;
    let mut walk = Walk { job, wanted, found: Vec::new(), seen: 0, unreadable: 0, unnamed: 0 };
    walk.folder(&dir, folder.as_str(), 0).map_err(|halt| match halt {
        Halt::Io(why) => job.place().io(folder, &why),
        Halt::Error(error) => error,
    })?;
    let Walk { mut found, unreadable, unnamed, .. } = walk;
    found.sort_unstable();
    let mut listing = Listing::default();
    for path in found {
        if listing.entries.len() > wanted.limit {
            break;
        }
        job.check(folder)?;
        // What has gone meanwhile, and a link that leads nowhere or outside, is not there.
        if let Ok(meta) = job.root.metadata(&path) {
            listing.entries.push(Entry { stat: stat_of(&meta), path });
        }
    }
    for (count, what) in
        [(unreadable, "folders cannot be read"), (unnamed, "names are not UTF-8, so nothing can name them")]
    {
        if count > 0 {
            listing.notices.push(format!("{count} {what}; they are left out"));
        }
    }
    Ok(listing)
}

enum Halt {
    Io(io::Error),
    Error(renkei_core::Error),
}

struct Walk<'j> {
    job: &'j Job,
    wanted: &'j Wanted,
    found: Vec<String>,
    seen: usize,
    unreadable: usize,
    unnamed: usize,
}

impl Walk<'_> {
    fn folder(&mut self, dir: &Dir, path: &str, depth: usize) -> Result<(), Halt> {
        let top = &self.wanted.folder;
        for entry in dir.entries().map_err(Halt::Io)? {
            self.job.check(top).map_err(Halt::Error)?;
            let Ok(entry) = entry else {
                self.unreadable += 1;
                return Ok(());
            };
            self.seen += 1;
            if self.seen > self.job.config.max_scan {
                return Err(Halt::Error(self.job.place().too_many(top, self.job.config.max_scan)));
            }
            self.entry(dir, &entry, path, depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, dir: &Dir, entry: &DirEntry, path: &str, depth: usize) -> Result<(), Halt> {
        let Ok(name) = entry.file_name().into_string() else {
            self.unnamed += 1;
            return Ok(());
        };
        if is_hidden(&name, self.job.config.hidden) {
            return Ok(());
        }
        let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        let is_dir = entry.file_type().is_ok_and(|kind: FileType| kind.is_dir());
        if self.wanted.takes(&below) {
            self.found.push(below.clone());
        }
        if !is_dir || !self.wanted.recursive {
            return Ok(());
        }
        if depth + 1 >= MAX_DEPTH {
            return Err(Halt::Error(self.job.place().too_deep(&self.wanted.folder)));
        }
        // A folder that cannot be read, or has gone, does not hide the others.
        let opened = dir.open_dir(&name);
        match opened.map_err(Halt::Io).and_then(|dir| self.folder(&dir, &below, depth + 1)) {
            Err(Halt::Io(_)) => {
                self.unreadable += 1;
                Ok(())
            }
            done => done,
        }
    }
}

/// Deletes a file, a link, or a folder with all that is in it. What is not there is deleted already.
pub(super) fn delete(job: &Job, path: &FilePath, recursive: bool) -> Result<()> {
    let place = job.place();
    let refused = |why: io::Error| place.io(path, &why);
    let (folder, name) = path.split();
    let dir = match folder {
        "" => job.root.try_clone(),
        folder => job.root.open_dir(folder),
    };
    let dir = match dir {
        Err(why) if gone(&why) => return Ok(()),
        dir => dir.map_err(refused)?,
    };
    let meta = match dir.symlink_metadata(name) {
        Err(why) if gone(&why) => return Ok(()),
        meta => meta.map_err(refused)?,
    };
    if stat_of(&meta).what != What::Folder {
        job.commit(path)?;
        return match dir.remove_file(name) {
            Err(why) if gone(&why) => Ok(()),
            done => done.map_err(refused),
        };
    }
    if !recursive {
        return Err(place.is_folder(path));
    }
    // A folder that is too large is refused before anything of it is deleted.
    let inside = dir.open_dir(name).map_err(refused)?;
    let mut seen = 0;
    let too_many =
        |seen: usize| (seen > job.config.max_scan).then(|| place.too_many(path, job.config.max_scan));
    each(job, path, &inside, 0, &mut |_, _, _| {
        seen += 1;
        too_many(seen).map_or(Ok(()), |error| Err(Halt::Error(error)))
    })
    .map_err(|halt| halted(job, path, halt))?;
    job.commit(path)?;
    let emptied = each(job, path, &inside, 0, &mut |dir, name, is_dir| {
        let done = if is_dir { dir.remove_dir(name) } else { dir.remove_file(name) };
        match done {
            Err(why) if !gone(&why) => Err(Halt::Io(why)),
            _ => Ok(()),
        }
    });
    emptied
        .and_then(|()| match dir.remove_dir(name) {
            Err(why) if !gone(&why) => Err(Halt::Io(why)),
            _ => Ok(()),
        })
        // A part of it may have gone.
        .map_err(|halt| halted(job, path, halt).applied(Applied::Unknown))
}

fn halted(job: &Job, path: &FilePath, halt: Halt) -> renkei_core::Error {
    match halt {
        Halt::Io(why) => job.place().io(path, &why),
        Halt::Error(error) => error,
    }
}

type Visit<'v> = dyn FnMut(&Dir, &std::ffi::OsStr, bool) -> Result<(), Halt> + 'v;

/// Visits all that is below a folder, what is inside before the folder around it.
fn each(job: &Job, path: &FilePath, dir: &Dir, depth: usize, visit: &mut Visit<'_>) -> Result<(), Halt> {
    if depth >= MAX_DEPTH {
        return Err(Halt::Error(job.place().too_deep(path)));
    }
    for entry in dir.entries().map_err(Halt::Io)? {
        if job.check(path).is_err() {
            let why = "nobody waits for it any more; a part may be deleted";
            return Err(Halt::Error(job.place().error(Kind::Cancelled, path, why)));
        }
        let entry = entry.map_err(Halt::Io)?;
        let name = entry.file_name();
        let is_dir = entry.file_type().map_err(Halt::Io)?.is_dir();
        if is_dir {
            each(job, path, &dir.open_dir(&name).map_err(Halt::Io)?, depth + 1, visit)?;
        }
        visit(dir, &name, is_dir)?;
    }
    Ok(())
}

/// Whether it is not there, or cannot be because a part of its path is no folder.
fn gone(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

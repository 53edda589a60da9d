//! Changes what is there: adds to the end of a file, and renames.

use std::{
    io::{self, Write as _},
    sync::PoisonError,
};

use cap_std::fs::{Metadata, OpenOptions, OpenOptionsExt as _};
use renkei_core::{Applied, Error, Kind, Result};
use rustix::fs::OFlags;

use super::{
    super::{
        path::FilePath,
        store::{Condition, Stat, What},
    },
    Job,
    look::stat_of,
    write::{Target, place_at, sync},
};

/// Adds to the end of a file. When not all of it can be written, nothing is.
pub(super) fn append(job: &Job, path: &FilePath, bytes: &[u8]) -> Result<Stat> {
    let place = job.place();
    let refused = |why: io::Error| place.io(path, &why);
    let target = Target::find(job, path, &Condition::Always)?;
    let mut options = OpenOptions::new();
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    options.append(true).create(true).custom_flags(flags.bits() as i32);
    // Others of this process wait, so that what is taken back is certainly our own.
    let _one = job.changes.lock().unwrap_or_else(PoisonError::into_inner);
    job.commit(path)?;
    let mut file = target.dir.open_with(target.name, &options).map_err(refused)?;
    let before = file.metadata().map_err(refused)?;
    if stat_of(&before).what != What::File {
        return Err(place.special(path));
    }
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(more) => written += more,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => {
                let taken_back = take_back(&file, &before, written as u64);
                return Err(refused(why).applied(taken_back));
            }
        }
    }
    let synced = file.sync_all().and_then(|()| sync(&target.dir)).and_then(|()| file.metadata());
    synced.map(|meta| stat_of(&meta)).map_err(|why| refused(why).applied(Applied::Unknown))
}

/// Cuts off what was written, unless another program has written after it.
fn take_back(file: &cap_std::fs::File, before: &Metadata, written: u64) -> Applied {
    let whole = before.len() + written;
    let cut = file.metadata().is_ok_and(|meta| meta.len() == whole) && file.set_len(before.len()).is_ok();
    if written == 0 || cut { Applied::No } else { Applied::Unknown }
}

/// Gives a file or folder another name.
pub(super) fn rename(job: &Job, from: &FilePath, to: &FilePath, when: &Condition) -> Result<Stat> {
    let place = job.place();
    let refused = |why: io::Error| place.io(from, &why);
    let (folder, name) = from.split();
    let dir = match folder {
        "" => job.root.try_clone(),
        folder => job.root.open_dir(folder),
    };
    let dir = dir.map_err(refused)?;
    let source = dir.symlink_metadata(name).map_err(refused)?;
    if source.is_symlink() {
        let why = "it is a symbolic link, which may lead elsewhere from another folder";
        return Err(place.error(Kind::Conflict, from, why));
    }
    match stat_of(&source).what {
        What::Other => return Err(place.special(from)),
        What::Folder if within(to, from) => {
            return Err(place.error(Kind::Invalid, from, format!("{to} is inside of it")));
        }
        What::File | What::Folder => {}
    }
    let target = Target::find(job, to, when)?;
    let _one = job.changes.lock().unwrap_or_else(PoisonError::into_inner);
    job.commit(from)?;
    place_at(&dir, name, &target.dir, target.name, *when == Condition::Absent).map_err(|why| {
        match (why.kind(), when) {
            (io::ErrorKind::AlreadyExists, Condition::Absent) => place.exists(to),
            (io::ErrorKind::NotFound, _) => refused(why),
            _ => place.io(to, &why),
        }
    })?;
    let unsure = |why: io::Error| -> Error { place.io(to, &why).applied(Applied::Unknown) };
    sync(&target.dir).and_then(|()| sync(&dir)).map_err(unsure)?;
    target.dir.symlink_metadata(target.name).map(|meta| stat_of(&meta)).map_err(unsure)
}

/// Whether a path is another one or below it.
fn within(path: &FilePath, folder: &FilePath) -> bool {
    path.as_str().strip_prefix(folder.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

//! Writes whole files: into an unfinished one beside the target, then under its name in one step.

use std::{
    io::{self, Read as _, Write as _},
    sync::PoisonError,
};

use cap_std::fs::{Dir, File, Metadata, OpenOptions, Permissions, PermissionsExt as _};
use renkei_core::{Applied, Result};
use rustix::{fs::RenameFlags, io::Errno};

use super::{
    super::{
        path::{FilePath, UNFINISHED},
        store::{Condition, Stat, What},
    },
    Job,
    look::{self, STEP, etag, stat_of},
};

pub(super) fn write(job: &Job, path: &FilePath, bytes: &[u8], when: &Condition) -> Result<Stat> {
    let target = Target::find(job, path, when)?;
    let mut unfinished = Unfinished::create(job, path, &target)?;
    for step in bytes.chunks(STEP) {
        job.check(path)?;
        unfinished.file.write_all(step).map_err(|why| job.place().io(path, &why))?;
    }
    unfinished.publish(&target, when)
}

pub(super) fn copy(job: &Job, from: &FilePath, to: &FilePath, when: &Condition) -> Result<Stat> {
    let (mut source, meta) = look::open(job, from)?;
    let target = Target::find(job, to, when)?;
    let mut unfinished = Unfinished::create(job, to, &target)?;
    if target.before.is_none() {
        unfinished.set_mode(&meta)?;
    }
    let mut step = vec![0; STEP];
    loop {
        job.check(to)?;
        match source.read(&mut step) {
            Ok(0) => break,
            Ok(read) => {
                unfinished.file.write_all(&step[..read]).map_err(|why| job.place().io(to, &why))?;
            }
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(job.place().io(from, &why)),
        }
    }
    unfinished.publish(&target, when)
}

/// Where a file is to stand.
pub(super) struct Target<'p> {
    pub(super) dir: Dir,
    pub(super) name: &'p str,
    /// What stands there now: a file, or nothing.
    before: Option<Metadata>,
}

impl<'p> Target<'p> {
    /// Opens the folder, with those on the way made, and refuses what cannot be replaced.
    pub(super) fn find(job: &Job, path: &'p FilePath, when: &Condition) -> Result<Target<'p>> {
        let place = job.place();
        let refused = |why: io::Error| place.io(path, &why);
        let (folder, name) = path.split();
        let dir = match folder {
            "" => job.root.try_clone(),
            folder => match job.root.open_dir(folder) {
                Err(why) if why.kind() == io::ErrorKind::NotFound && !matches!(when, Condition::Etag(_)) => {
                    job.check(path)?;
                    job.root.create_dir_all(folder).and_then(|()| job.root.open_dir(folder))
                }
                dir => dir,
            },
        };
        let dir = match (dir, when) {
            (Err(why), Condition::Etag(_)) if why.kind() == io::ErrorKind::NotFound => {
                return Err(place.changed(path));
            }
            (dir, _) => dir.map_err(refused)?,
        };
        let before = match dir.symlink_metadata(name) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => None,
            meta => Some(meta.map_err(refused)?),
        };
        let target = Target { dir, name, before };
        target.check(job, path, when)?;
        Ok(target)
    }

    /// Whether what stands there may be replaced, as far as is known now.
    fn check(&self, job: &Job, path: &FilePath, when: &Condition) -> Result<()> {
        let place = job.place();
        match (&self.before, when) {
            (Some(_), Condition::Absent) => return Err(place.exists(path)),
            (None, Condition::Etag(_)) => return Err(place.changed(path)),
            (Some(meta), Condition::Etag(expected)) if etag(meta) != *expected => {
                return Err(place.changed(path));
            }
            _ => {}
        }
        match &self.before {
            Some(meta) if meta.is_symlink() => Err(place.link(path)),
            Some(meta) => match stat_of(meta).what {
                What::File => Ok(()),
                What::Folder => Err(place.is_folder(path)),
                What::Other => Err(place.special(path)),
            },
            None => Ok(()),
        }
    }
}

/// A file that nobody sees yet. It goes away unless it is published.
struct Unfinished<'j> {
    job: &'j Job,
    path: &'j FilePath,
    dir: Dir,
    name: String,
    file: File,
    published: bool,
}

impl<'j> Unfinished<'j> {
    fn create(job: &'j Job, path: &'j FilePath, target: &Target<'_>) -> Result<Unfinished<'j>> {
        let refused = |why: io::Error| job.place().io(path, &why);
        job.check(path)?;
        let dir = target.dir.try_clone().map_err(refused)?;
        let name = format!("{UNFINISHED}{}", uuid::Uuid::new_v4().simple());
        let file = dir.open_with(&name, OpenOptions::new().write(true).create_new(true)).map_err(refused)?;
        let unfinished = Unfinished { job, path, dir, name, file, published: false };
        if let Some(meta) = &target.before {
            unfinished.set_mode(meta)?;
        }
        Ok(unfinished)
    }

    /// Who may read and write it, as with the file that it replaces or is a copy of.
    fn set_mode(&self, like: &Metadata) -> Result<()> {
        let mode = like.permissions().mode() & 0o777;
        let set = self.file.set_permissions(Permissions::from_mode(mode));
        set.map_err(|why| self.job.place().io(self.path, &why))
    }

    /// Gives the file its name, in one step and only if the condition still holds.
    fn publish(mut self, target: &Target<'_>, when: &Condition) -> Result<Stat> {
        let (job, path) = (self.job, self.path);
        let refused = |why: io::Error| job.place().io(path, &why);
        // What is named must be there after a power cut.
        self.file.sync_all().map_err(refused)?;
        {
            let _one = job.changes.lock().unwrap_or_else(PoisonError::into_inner);
            if matches!(when, Condition::Etag(_)) {
                let now = Target::find(job, path, when)?;
                drop(now);
            }
            job.commit(path)?;
            place_at(&self.dir, &self.name, &target.dir, target.name, *when == Condition::Absent).map_err(
                |why| match (why.kind(), when) {
                    (io::ErrorKind::AlreadyExists, Condition::Absent) => job.place().exists(path),
                    _ => refused(why),
                },
            )?;
        }
        self.published = true;
        let known = self.file.metadata().map(|meta| stat_of(&meta));
        let synced = known.and_then(|stat| sync(&target.dir).map(|()| stat));
        // It has its name, but a power cut may take it away.
        synced.map_err(|why| refused(why).applied(Applied::Unknown))
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.published {
            // It may have gone with its folder; nothing more can be done.
            let _ = self.dir.remove_file(&self.name);
        }
    }
}

/// Gives a file another name, in one step. `new`: only if nothing has that name.
pub(super) fn place_at(from: &Dir, old: &str, to: &Dir, name: &str, new: bool) -> io::Result<()> {
    if !new {
        return from.rename(old, to, name);
    }
    match rustix::fs::renameat_with(from, old, to, name, RenameFlags::NOREPLACE) {
        // Some disks know no such flag, but a second name is refused where there is one already.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            from.hard_link(old, to, name)?;
            from.remove_file(old)
        }
        done => Ok(done?),
    }
}

/// Makes the names in a folder last.
pub(super) fn sync(dir: &Dir) -> io::Result<()> {
    dir.open(".")?.sync_all()
}

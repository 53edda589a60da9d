//! Looks at files: nothing here changes anything.

use std::io::{self, Read as _, Seek as _, SeekFrom};

use bytes::Bytes;
use cap_std::fs::{File, Metadata, MetadataExt as _, OpenOptions, OpenOptionsExt as _};
use jiff::Timestamp;
use renkei_core::Result;
use rustix::fs::OFlags;

use super::{
    super::{
        path::FilePath,
        store::{Part, Stat, What},
    },
    Job,
};

/// How much is read or written before it is asked again whether anybody waits.
pub(super) const STEP: usize = 256 << 10;

/// What is known of an open or found file.
pub(super) fn stat_of(meta: &Metadata) -> Stat {
    let what = if meta.is_file() {
        What::File
    } else if meta.is_dir() {
        What::Folder
    } else {
        What::Other
    };
    let modified = Timestamp::new(meta.mtime(), i32::try_from(meta.mtime_nsec()).unwrap_or(0)).ok();
    Stat {
        what,
        size: (what == What::File).then(|| meta.len()),
        modified,
        etag: (what == What::File).then(|| etag(meta)),
        content_type: None,
    }
}

/// Changes with every write of this connector, since each makes a new file, and with every other one that the
/// clock of the disk can tell.
pub(super) fn etag(meta: &Metadata) -> String {
    format!("{:x}-{:x}{:08x}-{:x}", meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.len())
}

pub(super) fn stat(job: &Job, path: &FilePath) -> Result<Stat> {
    job.ask.attempt.mark_sent();
    if path.is_root() {
        return Ok(stat_of(&job.root.dir_metadata().map_err(|why| job.place().io(path, &why))?));
    }
    let meta = job.root.metadata(path.as_str()).map_err(|why| job.place().io(path, &why))?;
    Ok(stat_of(&meta))
}

/// Opens a file that is one. A pipe or a device is told before it is opened, and a pipe that appears in
/// between does not hold the thread.
pub(super) fn open(job: &Job, path: &FilePath) -> Result<(File, Metadata)> {
    let place = job.place();
    let refused = |why: io::Error| place.io(path, &why);
    if path.is_root() {
        return Err(place.is_folder(path));
    }
    let fits = |meta: &Metadata| match stat_of(meta).what {
        What::File => Ok(()),
        What::Folder => Err(place.is_folder(path)),
        What::Other => Err(place.special(path)),
    };
    fits(&job.root.metadata(path.as_str()).map_err(refused)?)?;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32);
    let file = job.root.open_with(path.as_str(), &options).map_err(refused)?;
    let meta = file.metadata().map_err(refused)?;
    fits(&meta)?;
    Ok((file, meta))
}

pub(super) fn read(job: &Job, path: &FilePath, from: u64, most: u64) -> Result<Part> {
    job.ask.attempt.mark_sent();
    let (mut file, meta) = open(job, path)?;
    let refused = |why: io::Error| job.place().io(path, &why);
    file.seek(SeekFrom::Start(from)).map_err(refused)?;
    let mut file = file.take(most);
    let mut bytes = Vec::new();
    let mut step = vec![0; STEP.min(usize::try_from(most).unwrap_or(STEP))];
    loop {
        job.check(path)?;
        match file.read(&mut step) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&step[..read]),
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(refused(why)),
        }
    }
    Ok(Part { bytes: Bytes::from(bytes), stat: stat_of(&meta) })
}

//! Whether the config on disk is another one than before.
//!
//! It is looked at again and again instead of waiting for the system's events: that works alike for editors that put
//! a new file in the old one's place, for Kubernetes, which moves a symbolic link two folders up, for network
//! file systems and for folders of another machine, none of which tell of changes alike. It costs one call of the system
//! a file and look.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

/// Between two looks.
pub(crate) const EVERY: Duration = Duration::from_millis(500);

/// What tells one state of a file from another: what a link leads to counts, not the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// Of its state: even a program that keeps the time of modification cannot keep this.
    changed: (i64, i64),
}

/// How some files and folders look; nothing for one that is not there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Look(BTreeMap<PathBuf, Option<Stamp>>);

impl Look {
    /// Before anything is read, when no more is known than the paths of the command line.
    pub(crate) fn of_config(paths: &[PathBuf]) -> Self {
        let here = [PathBuf::from(".")];
        Look::at(if paths.is_empty() { &here } else { paths })
    }

    /// What `now` looks at, as it looked in `self` if that looked there, too.
    pub(crate) fn and(&self, now: Look) -> Self {
        let in_folder = |look: &Look, path: &Path| {
            is_config(path) && path.parent().is_some_and(|folder| look.0.contains_key(folder))
        };
        let gone = self.0.keys().filter(|path| !now.0.contains_key(*path) && in_folder(&now, path));
        let mut both: BTreeMap<_, _> = gone.map(|path| (path.clone(), self.0[path])).collect();
        both.extend(now.0.into_iter().map(|(path, stamp)| match self.0.get(&path) {
            Some(earlier) => (path, *earlier),
            None if in_folder(self, &path) => (path, None),
            None => (path, stamp),
        }));
        Look(both)
    }

    /// Of files, and of the YAML files directly in folders. Reads no file.
    pub(crate) fn at(inputs: &[PathBuf]) -> Self {
        let mut seen = BTreeMap::new();
        for input in inputs {
            match fs::read_dir(input) {
                // The folder's own stamp would change with any file in it, such as a database's.
                Ok(entries) => {
                    seen.insert(input.clone(), None);
                    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
                    seen.extend(files.filter(|file| is_config(file)).map(|file| {
                        let stamp = stamp(&file);
                        (file, stamp)
                    }));
                }
                Err(_) => {
                    seen.insert(input.clone(), stamp(input));
                }
            }
        }
        Look(seen)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some(Stamp {
        device: found.dev(),
        inode: found.ino(),
        size: found.size(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

/// What a folder's config is read from: not hidden files, and not tests.
fn is_config(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
    stem.is_some_and(|stem| !stem.starts_with('.') && !stem.ends_with(".test"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_way_to_change_a_config_shows() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a.yaml"), "a").unwrap();
        fs::create_dir(path("v1")).unwrap();
        fs::create_dir(path("v2")).unwrap();
        for version in ["v1", "v2"] {
            fs::write(path(version).join("config.yml"), "same length").unwrap();
        }
        symlink("v1", path("data")).unwrap();
        symlink("data/config.yml", path("linked.yml")).unwrap();
        let inputs = [folder.path().to_owned(), path("secret")];
        let change = |what: &str, expected: bool, act: &dyn Fn()| {
            let before = Look::at(&inputs);
            act();
            assert_eq!(Look::at(&inputs) != before, expected, "{what}");
        };
        change("nothing", false, &|| {});
        change("another length", true, &|| fs::write(path("a.yaml"), "ab").unwrap());
        change("another file in its place", true, &|| {
            fs::write(path("a.yaml.new"), "cd").unwrap();
            fs::rename(path("a.yaml.new"), path("a.yaml")).unwrap();
        });
        change("one more file", true, &|| fs::write(path("b.yml"), "x").unwrap());
        change("one less", true, &|| fs::remove_file(path("b.yml")).unwrap());
        change("a file that a value comes from", true, &|| fs::write(path("secret"), "x").unwrap());
        change("a link two folders up", true, &|| {
            symlink("v2", path("data.new")).unwrap();
            fs::rename(path("data.new"), path("data")).unwrap();
        });
        // What happens between the look and the reading shows in the next look.
        let early = Look::at(&[folder.path().to_owned()]);
        assert!(early.and(Look::at(&inputs)) == Look::at(&inputs), "nothing happened");
        fs::write(path("c.yaml"), "x").unwrap();
        assert!(early.and(Look::at(&inputs)) != Look::at(&inputs), "one more file");
        fs::remove_file(path("c.yaml")).unwrap();
        let early = Look::at(&inputs);
        fs::remove_file(path("a.yaml")).unwrap();
        assert!(early.and(Look::at(&inputs)) != Look::at(&inputs), "one less");
        for other in ["renkei.db", ".a.yaml.swp", ".hidden.yaml", "a.test.yaml"] {
            change(other, false, &|| fs::write(path(other), "x").unwrap());
        }
    }
}

//! The cache folder: outside the clone, keyed by versions, so that a fresh clone finds it again.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// `$RENKEI_CACHE`, or `~/.cache/renkei`.
pub(crate) fn folder() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("RENKEI_CACHE").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let home = env::home_dir().context("there is no home folder; set RENKEI_CACHE")?;
    Ok(home.join(".cache/renkei"))
}

/// The folder `NAME-KEY` in the cache, filled by `make` once. A half-made one is never taken for done.
pub(crate) fn made(name: &str, key: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = folder()?.join(format!("{name}-{key}"));
    let done = folder.join(".complete");
    if done.is_file() {
        return Ok(folder);
    }
    println!("installing {name} into {}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    make(&folder).with_context(|| format!("cannot install {name}"))?;
    fs::write(done, "")?;
    Ok(folder)
}

/// A short key for contents: the same text gives the same key on every machine.
pub(crate) fn key(contents: &str) -> String {
    // FNV-1a: a name for a folder, not a signature.
    let hash = contents.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

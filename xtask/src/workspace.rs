//! Where the repository is, which files it tracks, and what Cargo knows of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command;

pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// `cargo`, the one that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root());
    command
}

/// Tracked files and new ones that are not ignored, with `/`, relative to the root.
pub(crate) fn files() -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root()).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let listed = command::output(&mut git)?;
    let mut files: Vec<String> =
        listed.split('\0').filter(|file| !file.is_empty()).map(str::to_owned).collect();
    files.retain(|file| root().join(file).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

pub(crate) fn read(file: &str) -> Result<String> {
    fs::read_to_string(root().join(file)).with_context(|| format!("cannot read {file}"))
}

/// The workspace's own packages, as `cargo metadata` describes them.
pub(crate) fn packages() -> Result<Vec<Value>> {
    let mut metadata = metadata(&["--no-deps"])?;
    Ok(take_array(&mut metadata, "packages"))
}

/// Every package that this platform builds, dependencies included.
pub(crate) fn all_packages() -> Result<Vec<Value>> {
    let mut metadata = metadata(&["--locked", "--filter-platform", &host()?])?;
    Ok(take_array(&mut metadata, "packages"))
}

/// The platform that Cargo runs on, such as `x86_64-unknown-linux-gnu`.
pub(crate) fn host() -> Result<String> {
    let told = command::output(cargo().args(["--version", "--verbose"]))?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).context("cargo names no host")?;
    Ok(host.to_owned())
}

pub(crate) fn target_directory() -> Result<PathBuf> {
    let metadata = metadata(&["--no-deps"])?;
    let folder = metadata["target_directory"].as_str().context("cargo names no target folder")?;
    Ok(folder.into())
}

/// A file for a store that is not there yet, in a folder of its own below the target folder.
pub(crate) fn fresh_store(name: &str) -> Result<String> {
    let folder = target_directory()?.join(format!("{name}-store"));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder.join("renkei.db").to_string_lossy().into_owned())
}

pub(crate) fn metadata(options: &[&str]) -> Result<Value> {
    let text = command::output(cargo().args(["metadata", "--format-version", "1"]).args(options))?;
    Ok(serde_json::from_str(&text)?)
}

fn take_array(value: &mut Value, key: &str) -> Vec<Value> {
    match value[key].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// Builds the binary and says where it is. Debug: the tests look at behaviour, the bench asks for release.
pub(crate) fn build(profile: Profile) -> Result<PathBuf> {
    let (options, folder): (&[&str], _) = match profile {
        Profile::Debug => (&["--workspace", "--bin", "renkei"], "debug"),
        Profile::Release => (&["--package", "renkei", "--release"], "release"),
        Profile::Dist => (&["--package", "renkei", "--profile", "dist"], "dist"),
    };
    command::run(cargo().args(["build", "--locked", "--quiet"]).args(options))?;
    Ok(target_directory()?.join(folder).join("renkei"))
}

/// Builds what the bench measures beside. By itself: together with the binary, Cargo would give both the
/// features of both.
pub(crate) fn build_yardstick() -> Result<PathBuf> {
    command::run(cargo().args([
        "build",
        "--locked",
        "--quiet",
        "--package",
        "renkei-yardstick",
        "--release",
    ]))?;
    Ok(target_directory()?.join("release/yardstick"))
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Profile {
    Debug,
    Release,
    /// As it is shipped.
    Dist,
}

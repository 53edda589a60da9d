//! `cargo xtask dist`: what is shipped. An archive with the binary, a container image, and the list of what is in them.
//!
//! The same commit gives the same archives on the same machine: names are sorted, owners are zero, and times are the commit's.

mod image;
mod sbom;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    command,
    workspace::{self, Profile},
};

/// For people who unpack it.
const DOCUMENTS: [&str; 5] =
    ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "docs/reference/renkei.schema.json"];
const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

pub(crate) fn run() -> Result<()> {
    let binary = workspace::build(Profile::Dist)?;
    let release = Release::new(&binary)?;
    let folder = workspace::target_directory()?.join("ship");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;

    let archive = archive(&release, &folder)?;
    let sbom = folder.join(format!("{}.cdx.json", release.name()));
    fs::write(&sbom, sbom::cyclonedx(&release)?)?;
    let image = image::archive(&release, &folder)?;
    let sums = sums(&folder, &[&archive, &sbom, &image])?;
    for file in [&archive, &image, &sbom, &sums] {
        println!("{:>12} bytes  {}", fs::metadata(file)?.len(), file.display());
    }
    println!("the image is for `docker load`, `podman load` or `skopeo copy oci-archive:…`");
    Ok(())
}

/// One version for one platform.
#[derive(Debug)]
struct Release {
    version: String,
    /// Such as `x86_64-unknown-linux-gnu`.
    target: String,
    /// Of the commit, in seconds since 1970.
    time: u64,
    commit: String,
    binary: PathBuf,
}

impl Release {
    fn new(binary: &Path) -> Result<Release> {
        let said = command::output(Command::new(binary).arg("--version"))?;
        let version = said.split_whitespace().nth(1).context("the binary does not say its version")?;
        let git = |format: &str| {
            let mut git = Command::new("git");
            git.current_dir(workspace::root()).args(["log", "-1", format]);
            command::output(&mut git).map(|text| text.trim().to_owned())
        };
        Ok(Release {
            version: version.to_owned(),
            target: workspace::host()?,
            time: git("--format=%ct")?.parse().context("git names no time")?,
            commit: git("--format=%H")?,
            binary: binary.to_owned(),
        })
    }

    fn name(&self) -> String {
        format!("renkei-{}-{}", self.version, self.target)
    }

    /// The time as RFC 3339, in UTC.
    fn date(&self) -> Result<String> {
        let mut date = Command::new("date");
        date.args(["--utc", "--date", &format!("@{}", self.time), "+%Y-%m-%dT%H:%M:%SZ"]);
        Ok(command::output(&mut date)?.trim().to_owned())
    }

    /// `tar` of everything in `folder`, the same each time.
    fn tar(&self, folder: &Path, into: &Path) -> Result<()> {
        let mut tar = Command::new("tar");
        tar.arg("--create").arg("--file").arg(into).arg("--directory").arg(folder);
        tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"]);
        tar.arg(format!("--mtime=@{}", self.time)).arg(".");
        command::run(&mut tar)
    }
}

fn archive(release: &Release, folder: &Path) -> Result<PathBuf> {
    let name = release.name();
    let stage = folder.join("stage");
    let root = stage.join(&name);
    fs::create_dir_all(root.join("completions"))?;
    fs::copy(&release.binary, root.join("renkei"))?;
    for document in DOCUMENTS {
        let file = Path::new(document).file_name().context("a document has a name")?;
        fs::copy(workspace::root().join(document), root.join(file))?;
    }
    for shell in SHELLS {
        let text = command::output(Command::new(&release.binary).args(["completions", shell]))?;
        fs::write(root.join("completions").join(format!("renkei.{shell}")), text)?;
    }
    let tar = folder.join(format!("{name}.tar"));
    release.tar(&stage, &tar)?;
    fs::remove_dir_all(&stage)?;
    gzip(&tar)
}

/// Replaces `file` by `file.gz`.
fn gzip(file: &Path) -> Result<PathBuf> {
    command::run(Command::new("gzip").args(["--best", "--no-name", "--force"]).arg(file))?;
    let mut name = file.as_os_str().to_owned();
    name.push(".gz");
    Ok(name.into())
}

/// The SHA-256 of a file, in hexadecimal.
fn sha256(file: &Path) -> Result<String> {
    let said = command::output(Command::new("sha256sum").arg(file))?;
    match said.split_whitespace().next().map(|sum| sum.trim_start_matches('\\')) {
        Some(sum) if sum.len() == 64 => Ok(sum.to_owned()),
        _ => bail!("`sha256sum` said `{}`", said.trim()),
    }
}

/// For `sha256sum --check`.
fn sums(folder: &Path, files: &[&PathBuf]) -> Result<PathBuf> {
    let mut text = String::new();
    for file in files {
        let name = file.file_name().context("a file has a name")?.to_string_lossy();
        text += &format!("{}  {name}\n", sha256(file)?);
    }
    let sums = folder.join("SHA256SUMS");
    fs::write(&sums, text)?;
    Ok(sums)
}

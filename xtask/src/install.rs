//! What the tests need beside Rust: installed when it is missing, into the cache, never into the clone.
//!
//! Debian packages are installed only where we are root and something that needs them is missing.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{cache, command, workspace};

const NEXTEST: &str = "0.9.143";
const NODE: &str = "22.23.3";
/// The conformance suite needs this major version or a newer one.
const NODE_MAJOR: u32 = 22;

/// A `PATH` folder for `cargo nextest`, or nothing when it is there already.
pub(crate) fn nextest() -> Result<Option<PathBuf>> {
    if command::works(workspace::cargo().args(["nextest", "--version"])) {
        return Ok(None);
    }
    let folder = cache::made("cargo-nextest", NEXTEST, |folder| {
        let mut cargo = workspace::cargo();
        // Its build products are of no use to anything else.
        cargo.env("CARGO_TARGET_DIR", folder.join("build")).arg("install");
        cargo.args(["--locked", "cargo-nextest", "--version", NEXTEST, "--root"]).arg(folder);
        command::run(&mut cargo)?;
        Ok(std::fs::remove_dir_all(folder.join("build"))?)
    })?;
    Ok(Some(folder.join("bin")))
}

/// Node with the packages of `tests/clients/package.json`.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) program: PathBuf,
    /// Holds `node_modules`; a script must lie in it to find them.
    pub(crate) folder: PathBuf,
}

pub(crate) fn node() -> Result<Node> {
    if !command::works(Command::new("npm").arg("--version")) {
        debian(&["nodejs", "npm"]).context("npm is missing")?;
    }
    let program = node_program()?;
    let manifest = workspace::read("tests/clients/package.json")?;
    let lock = workspace::read("tests/clients/package-lock.json")?;
    let key = cache::key(&format!("{manifest}{lock}"));
    let folder = cache::made("node-clients", &key, |folder| {
        std::fs::write(folder.join("package.json"), &manifest)?;
        std::fs::write(folder.join("package-lock.json"), &lock)?;
        npm(folder, &["ci"])
    })?;
    Ok(Node { program, folder })
}

/// The machine's own where it is new enough; otherwise the one that the package registry carries.
fn node_program() -> Result<PathBuf> {
    let own = command::output(Command::new("node").args(["-p", "process.versions.node"])).unwrap_or_default();
    let major = own.split('.').next().and_then(|major| major.trim().parse::<u32>().ok());
    if major.is_some_and(|major| major >= NODE_MAJOR) {
        return Ok("node".into());
    }
    let mut ask = Command::new("node");
    let platform = command::output(ask.args(["-p", "process.platform + '-' + process.arch"]))?;
    let package = format!("node-{}", platform.trim());
    let folder = cache::made("node", NODE, |folder| {
        std::fs::write(folder.join("package.json"), "{ \"private\": true }\n")?;
        npm(folder, &["install", &format!("{package}@{NODE}")])
    })?;
    Ok(folder.join("node_modules").join(package).join("bin/node"))
}

fn npm(folder: &Path, words: &[&str]) -> Result<()> {
    let mut npm = Command::new("npm");
    // Scripts of packages do not run: nothing we use needs one.
    npm.current_dir(folder).args(words).args([
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    command::run(&mut npm)
}

/// The Python of an environment with the packages of `tests/clients/requirements.txt`.
pub(crate) fn python() -> Result<PathBuf> {
    if !command::works(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        debian(&["python3", "python3-venv"]).context("python3 with venv is missing")?;
    }
    let requirements = workspace::root().join("tests/clients/requirements.txt");
    let version = command::output(Command::new("python3").arg("--version"))?;
    let key = cache::key(&(version + &workspace::read("tests/clients/requirements.txt")?));
    let folder = cache::made("python-clients", &key, |folder| {
        command::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]);
        command::run(pip.arg(&requirements))
    })?;
    Ok(folder.join("bin/python"))
}

/// The database servers that tests start for themselves. Packages put servers where not everybody's `PATH` leads.
pub(crate) fn databases() -> Result<()> {
    let there = |program: &str| {
        let places = [program.to_owned(), format!("/usr/sbin/{program}")];
        places.iter().any(|place| command::works(Command::new(place).args(["--no-defaults", "--version"])))
    };
    if !(there("mariadbd") && there("mariadb-install-db")) {
        debian(&["mariadb-server"]).context("MariaDB is missing")?;
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    if !versions.into_iter().any(|version| version.path().join("bin/initdb").exists()) {
        debian(&["postgresql"]).context("PostgreSQL is missing")?;
    }
    Ok(())
}

/// Installs Debian packages where that is possible without asking anybody.
fn debian(packages: &[&str]) -> Result<()> {
    let root = command::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !root || !command::works(Command::new("apt-get").arg("--version")) {
        bail!("please install {}, then run this again", packages.join(" and "));
    }
    println!("installing the Debian packages {}", packages.join(", "));
    command::run(Command::new("apt-get").args(["update", "--quiet=2"]))?;
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive").args(["install", "--yes", "--quiet=2"]);
    command::run(apt.arg("--no-install-recommends").args(packages))
}

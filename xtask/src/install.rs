//! What the tests need beside Rust: installed when it is missing, into the cache, never into the clone.
//!
//! Debian packages are installed only where we are root and something that needs them is missing.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{cache, command, workspace};

const NEXTEST: &str = "0.9.143";
const CARGO_FUZZ: &str = "0.13.2";
const NODE: &str = "22.23.3";
/// The conformance suite needs this major version or a newer one.
const NODE_MAJOR: u32 = 22;

/// A `PATH` folder for `cargo nextest`, or nothing when it is there already.
pub(crate) fn nextest() -> Result<Option<PathBuf>> {
    if command::works(workspace::cargo().args(["nextest", "--version"])) {
        return Ok(None);
    }
    let folder =
        cache::made("cargo-nextest", NEXTEST, |folder| cargo_install("cargo-nextest", NEXTEST, folder))?;
    Ok(Some(folder.join("bin")))
}

/// A `PATH` with `cargo fuzz` in it.
pub(crate) fn cargo_fuzz() -> Result<OsString> {
    let folder =
        cache::made("cargo-fuzz", CARGO_FUZZ, |folder| cargo_install("cargo-fuzz", CARGO_FUZZ, folder))?;
    with_path(folder.join("bin"))
}

/// Installs a program of Cargo's registry into `FOLDER/bin`.
fn cargo_install(name: &str, version: &str, folder: &Path) -> Result<()> {
    let mut cargo = workspace::cargo();
    // Its build products are of no use to anything else.
    cargo.env("CARGO_TARGET_DIR", folder.join("build")).arg("install");
    cargo.args(["--locked", name, "--version", version, "--root"]).arg(folder);
    command::run(&mut cargo)?;
    Ok(fs::remove_dir_all(folder.join("build"))?)
}

/// Our `PATH` with a folder before it.
pub(crate) fn with_path(folder: PathBuf) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths(std::iter::once(folder).chain(env::split_paths(&path)))?)
}

/// Node with the packages of `tests/clients/package.json`.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) program: PathBuf,
    /// Holds `node_modules`; a script must lie in it to find them.
    pub(crate) folder: PathBuf,
}

pub(crate) fn node() -> Result<Node> {
    need_npm()?;
    let program = node_program()?;
    let folder = node_packages("node-clients", "tests/clients")?;
    Ok(Node { program, folder })
}

/// The folder in the cache with the packages that `FOLDER/package.json` and its lock file name.
fn node_packages(name: &str, folder: &str) -> Result<PathBuf> {
    let manifest = workspace::read(&format!("{folder}/package.json"))?;
    let lock = workspace::read(&format!("{folder}/package-lock.json"))?;
    cache::made(name, &cache::key(&format!("{manifest}{lock}")), |folder| {
        fs::write(folder.join("package.json"), &manifest)?;
        fs::write(folder.join("package-lock.json"), &lock)?;
        npm(folder, &["ci"])
    })
}

/// Node with the packages of `tests/peers/package.json`, peers of the bench.
pub(crate) fn node_peers() -> Result<Node> {
    need_npm()?;
    Ok(Node { program: node_program()?, folder: node_packages("node-peers", "tests/peers")? })
}

/// MCP Toolbox, a peer of the bench: the program that its package for this machine carries.
pub(crate) fn toolbox() -> Result<PathBuf> {
    need_npm()?;
    let folder = node_packages("node-peers", "tests/peers")?;
    let program = folder.join(format!("node_modules/@toolbox-sdk/server-{}/bin/toolbox", platform()?.trim()));
    if !program.exists() {
        bail!("there is no MCP Toolbox for this machine: {} is missing", program.display());
    }
    Ok(program)
}

/// The machine's own where it is new enough; otherwise the one that the package registry carries.
fn node_program() -> Result<PathBuf> {
    let own = command::output(Command::new("node").args(["-p", "process.versions.node"])).unwrap_or_default();
    let major = own.split('.').next().and_then(|major| major.trim().parse::<u32>().ok());
    if major.is_some_and(|major| major >= NODE_MAJOR) {
        return Ok("node".into());
    }
    let package = format!("node-{}", platform()?.trim());
    let folder = cache::made("node", NODE, |folder| {
        fs::write(folder.join("package.json"), "{ \"private\": true }\n")?;
        npm(folder, &["install", &format!("{package}@{NODE}")])
    })?;
    Ok(folder.join("node_modules").join(package).join("bin/node"))
}

/// As the registry's packages name it, such as `linux-x64`.
fn platform() -> Result<String> {
    command::output(Command::new("node").args(["-p", "process.platform + '-' + process.arch"]))
}

fn need_npm() -> Result<()> {
    if !command::works(Command::new("npm").arg("--version")) {
        debian(&["nodejs", "npm"]).context("npm is missing")?;
    }
    Ok(())
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
    python_with("python-clients", &["tests/clients/requirements.txt"])
}

/// The same with what makes a Python server as quick as it can be, for the peers of the bench.
pub(crate) fn python_peers() -> Result<PathBuf> {
    python_with("python-peers", &["tests/clients/requirements.txt", "tests/peers/requirements.txt"])
}

/// The Python of an environment with procrastinate, a peer of the bench.
pub(crate) fn python_queue() -> Result<PathBuf> {
    python_with("python-queue", &["tests/peers/queue_requirements.txt"])
}

fn python_with(name: &str, requirements: &[&str]) -> Result<PathBuf> {
    if !command::works(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        debian(&["python3", "python3-venv"]).context("python3 with venv is missing")?;
    }
    let mut contents = command::output(Command::new("python3").arg("--version"))?;
    for file in requirements {
        contents += &workspace::read(file)?;
    }
    let folder = cache::made(name, &cache::key(&contents), |folder| {
        command::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
        for file in requirements {
            pip.arg("-r").arg(workspace::root().join(file));
        }
        command::run(&mut pip)
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
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
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

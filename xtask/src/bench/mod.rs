//! `cargo xtask bench`: what Renkei costs beside the same work done without it, and beside its peers.
//!
//! Ratios of one run, in turns, so that whatever else the machine does hits all sides alike.

mod aims;
mod compare;
mod config;
mod load;
mod members;
mod peers;
mod processor;
mod queue;
mod sample;
mod sessions;
mod start;
mod stdio;
mod target;
mod yardstick;

use std::{fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Result, bail};

use self::{aims::Aims, config::Config, members::MEMBERS, yardstick::Yardstick};
use crate::{
    command,
    service::Service,
    standin::StandIn,
    workspace::{self, Profile},
};

#[derive(Debug)]
pub(crate) struct Options {
    plan: &'static Plan,
    /// Another build, to compare with; ours is built otherwise.
    binary: Option<PathBuf>,
    /// Whether to install and measure other people's servers.
    peers: bool,
    /// Names of members; all of them without one.
    only: Vec<String>,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Options> {
        let mut options = Options { plan: &FULL, binary: None, peers: true, only: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match (*word, words.len()) {
                ("--short", _) => options.plan = &SHORT,
                ("--no-peers", _) => options.peers = false,
                ("--binary", 1..) => options.binary = words.next().map(PathBuf::from),
                ("--only", 1..) => options.only.extend(words.next().map(|name| (*name).to_owned())),
                _ => {
                    bail!(
                        "expected `--short`, `--no-peers`, `--only MEMBER` or `--binary PATH`, got `{word}`"
                    )
                }
            }
        }
        let known: Vec<&str> = MEMBERS.iter().map(|(name, ..)| *name).collect();
        match options.only.iter().find(|name| !known.contains(&&***name)) {
            Some(name) => bail!("there is no member `{name}`; there are {}", known.join(" ")),
            None => Ok(options),
        }
    }

    fn wants(&self, member: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == member)
    }
}

/// How long to measure.
#[derive(Debug)]
struct Plan {
    starts: usize,
    rounds: usize,
    round: Duration,
    sessions: usize,
    /// How long nothing happens where idleness is measured.
    idle: Duration,
}

const FULL: Plan = Plan {
    starts: 15,
    rounds: 5,
    round: Duration::from_millis(1500),
    sessions: 500,
    idle: Duration::from_secs(10),
};
/// Enough to see that it works, and the order of magnitude.
const SHORT: Plan = Plan {
    starts: 3,
    rounds: 3,
    round: Duration::from_millis(300),
    sessions: 200,
    idle: Duration::from_secs(2),
};

const CLIENTS: [usize; 3] = [1, 16, 64];

/// What the members share.
struct Bench {
    plan: &'static Plan,
    binary: PathBuf,
    upstream: StandIn,
    /// For configs and the SQLite file.
    folder: PathBuf,
    peers: bool,
    aims: Aims,
    /// Built when the first member needs it.
    built: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = match &options.binary {
        // A server is started in the folder of its config.
        Some(binary) => fs::canonicalize(binary)?,
        None => workspace::build(Profile::Release)?,
    };
    let folder = workspace::target_directory()?.join("xtask-bench");
    fs::create_dir_all(&folder)?;
    let mut bench = Bench {
        plan: options.plan,
        binary,
        upstream: StandIn::start()?,
        folder,
        peers: options.peers,
        aims: Aims::default(),
        built: None,
    };
    println!("{}\n", machine());
    for (_, title, measure) in MEMBERS.iter().filter(|(name, ..)| options.wants(name)) {
        println!("## {title}\n");
        measure(&mut bench)?;
    }
    bench.aims.print();
    Ok(())
}

impl Bench {
    fn write(&self, name: &str, config: &Config) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, config.text())?;
        Ok(path)
    }

    /// Renkei with that config. It logs no line a call: no other side does.
    fn serve(&self, name: &str, config: &Config) -> Result<Service> {
        let path = self.write(name, config)?;
        Service::start_quiet(&self.binary, &path)
    }

    fn yardstick(&mut self) -> Result<Yardstick> {
        let program = match &self.built {
            Some(program) => program.clone(),
            None => self.built.insert(workspace::build_yardstick()?).clone(),
        };
        Ok(Yardstick(program))
    }

    /// A SQLite file with the table `items`.
    fn sqlite(&mut self) -> Result<PathBuf> {
        let file = self.folder.join("items.db");
        self.yardstick()?.sqlite(&file)?;
        Ok(file)
    }
}

/// What it ran on: figures without it mean nothing.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let commit = command::output(Command::new("git").current_dir(workspace::root()).args([
        "rev-parse",
        "--short",
        "HEAD",
    ]));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "Commit {}, {cores} cores ({}), clients, backend and servers on one machine; its load before the run: {}.",
        commit.as_deref().unwrap_or("unknown").trim(),
        model.map_or("unknown", |(_, model)| model),
        load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown")
    )
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

//! `cargo xtask fuzz`: inputs that nobody thought of, against what reads inputs.
//!
//! Building what makes coverage visible takes minutes, so this is no part of `cargo xtask test`: there, the same
//! functions take their seeds and some changes of those, as tests of the binary (`crates/app/tests/fuzz`).
//!
//! The targets are a workspace of their own (`fuzz/`), built by cargo-fuzz with what makes coverage visible. No
//! sanitizer: it needs a nightly toolchain, and there is no unsafe code of ours for it to watch. Everything goes to
//! the cache, so that a fresh clone builds only what changed.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{cache, command, install, report::Tally, service, workspace};

const TARGETS: &[&str] = &["config", "templates", "sql", "http", "mcp"];
/// Of each target, where nobody says otherwise.
const SECONDS: u64 = 60;
/// The same inputs in the same order, as far as time allows.
const SEED: u64 = 4711;
/// Bytes of an input.
const MAX_BYTES: usize = 4096;
/// One input that takes longer hangs.
const INPUT_SECONDS: u64 = 20;
/// A target that eats more grows without bound.
const MEMORY_MB: usize = 2048;
/// Reading the corpus takes its time, too; a target that is not done then will never be.
const GRACE: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(crate) struct Options {
    targets: Vec<&'static str>,
    seconds: u64,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Options> {
        let mut options = Options { targets: Vec::new(), seconds: SECONDS };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "--seconds" {
                let seconds = words.next().context("`--seconds` needs a number")?;
                options.seconds = seconds.parse().with_context(|| format!("`{seconds}` is no number"))?;
            } else {
                match TARGETS.iter().find(|target| *target == word) {
                    Some(target) => options.targets.push(target),
                    None => bail!("there is no target `{word}`; there are {}", TARGETS.join(" ")),
                }
            }
        }
        if options.targets.is_empty() {
            options.targets = TARGETS.to_vec();
        }
        Ok(options)
    }
}

/// With a corpus that is kept in `fuzz/corpus` and grows.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let mut tally = Tally::default();
    go(options, &folder().join("corpus"), &mut tally)?;
    tally.print_summary();
    Ok(tally.failures.is_empty())
}

fn folder() -> PathBuf {
    workspace::root().join("fuzz")
}

fn go(options: &Options, corpus: &Path, tally: &mut Tally) -> Result<()> {
    let programs = build()?;
    let mut running = Vec::new();
    for target in &options.targets {
        running.push((*target, Running::start(target, &programs, corpus, options.seconds)?));
    }
    for (target, running) in running {
        tally.record(&format!("{target} holds for {} s", options.seconds), running.finish());
    }
    Ok(())
}

/// Builds all targets; the folder with the programs.
fn build() -> Result<PathBuf> {
    // The versions that are tested are those that are shipped.
    fs::copy(workspace::root().join("Cargo.lock"), folder().join("Cargo.lock"))?;
    let built = cache::folder()?.join("fuzz-target");
    let mut cargo = workspace::cargo();
    cargo.current_dir(folder()).env("PATH", install::cargo_fuzz()?);
    cargo.args(["fuzz", "build", "--dev", "--sanitizer", "none", "--fuzz-dir", "."]);
    cargo.arg("--target-dir").arg(&built);
    command::run(&mut cargo)?;
    let host = workspace::host()?;
    Ok(built.join(host).join("debug"))
}

/// A target at work.
struct Running {
    child: Child,
    deadline: Instant,
    log: PathBuf,
    /// Where an input is written that breaks it.
    found: PathBuf,
}

impl Running {
    fn start(target: &str, programs: &Path, corpus: &Path, seconds: u64) -> Result<Running> {
        let found = folder().join("artifacts").join(target);
        fs::create_dir_all(&found)?;
        let logs = workspace::target_directory()?.join("fuzz-logs");
        fs::create_dir_all(&logs)?;
        let log = logs.join(format!("{target}.log"));
        let corpus = corpus.join(target);
        fs::create_dir_all(&corpus)?;
        let mut command = Command::new(programs.join(target));
        command.arg(&corpus).current_dir(&logs);
        command.env("RENKEI_FUZZ_ROOT", workspace::root()).env("RENKEI_FUZZ_SEEDS", &corpus);
        for (option, value) in [
            ("max_total_time", seconds),
            ("seed", SEED),
            ("timeout", INPUT_SECONDS),
            ("max_len", MAX_BYTES as u64),
            ("rss_limit_mb", MEMORY_MB as u64),
            ("print_final_stats", 1),
        ] {
            command.arg(format!("-{option}={value}"));
        }
        command.arg(format!("-artifact_prefix={}/", found.display()));
        let out = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = command.spawn().with_context(|| format!("cannot start the target `{target}`"))?;
        Ok(Running { child, deadline: Instant::now() + Duration::from_secs(seconds) + GRACE, log, found })
    }

    fn finish(mut self) -> Result<()> {
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > self.deadline {
                self.child.kill()?;
                self.child.wait()?;
                bail!("it did not end; its log is {}", self.log.display());
            }
            service::pause();
        };
        let log = fs::read(&self.log)?;
        let log = String::from_utf8_lossy(&log);
        if status.success() {
            let runs = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
            println!("  {} inputs", runs.unwrap_or("?").trim());
            return Ok(());
        }
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(40)..].join("\n");
        bail!("{tail}\nthe input is in {}; the log is {}", self.found.display(), self.log.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let options = Options::parse(&["sql", "--seconds", "5"]).unwrap();
        assert_eq!((options.targets, options.seconds), (vec!["sql"], 5));
        assert_eq!(Options::parse(&[]).unwrap().targets, TARGETS);
        assert!(Options::parse(&["sqll"]).is_err());
        assert!(Options::parse(&["--seconds"]).is_err());
    }
}

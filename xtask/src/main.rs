//! The project's own commands, as `cargo xtask COMMAND`: everything CI does, and a person can.
//!
//! Few dependencies, because everybody who runs one test builds this first: processes, threads and
//! sockets of the standard library are enough here.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to the terminal; libraries use tracing"
)]

mod bench;
mod cache;
mod command;
mod dist;
mod fuzz;
mod generate;
mod install;
mod report;
mod service;
mod standin;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
usage: cargo xtask COMMAND

  test [--only GROUP]…   install what the tests need, run everything, print `N passed, N failed`
                         groups: fmt tidy clippy unit doc drift examples clients conformance
  tidy                   the rules of this repository that no compiler checks
  schema                 write docs/reference/renkei.schema.json from the config types
  docs                   write docs/reference/*.md from the config types
  bench [--short] [--no-peers] [--only MEMBER]… [--binary PATH]
                         what Renkei costs beside bare drivers and servers, and beside its peers; prints Markdown
                         members: start rest sqlite postgres mariadb list layers aggregate stdio sessions
                         queue
  fuzz [TARGET]… [--seconds N]
                         inputs that nobody thought of, for N seconds a target (60); what breaks is in fuzz/artifacts
                         targets: config templates sql http mcp
  dist                   what is shipped, in target/ship: archive, container image, SBOM, checksums

Caches: $RENKEI_CACHE, or ~/.cache/renkei. Builds go where Cargo puts them ($CARGO_TARGET_DIR).
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// False when something was found wrong and has been printed.
fn run(arguments: &[String]) -> Result<bool> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test", rest @ ..] => test::run(&test::Options::parse(rest)?),
        ["tidy"] => tidy::run(),
        ["schema"] => generate::schema().map(|()| true),
        ["docs"] => generate::docs().map(|()| true),
        ["bench", rest @ ..] => bench::run(&bench::Options::parse(rest)?).map(|()| true),
        ["fuzz", rest @ ..] => fuzz::run(&fuzz::Options::parse(rest)?),
        ["dist"] => dist::run().map(|()| true),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(true)
        }
        other => bail!("there is no `{}`\n\n{HELP}", other.join(" ")),
    }
}

//! Cargo's own suites: formatting, lints, unit and integration tests, doc tests.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{command, install, report::Tally, workspace};

/// A cold build of everything on two cores fits in many times over.
const DOC_LIMIT: Duration = Duration::from_secs(3600);

pub(super) fn format(tally: &mut Tally) -> Result<()> {
    let formatted = command::succeeds(workspace::cargo().args(["fmt", "--all", "--check"]))?;
    tally.record("sources are formatted", hold(formatted, "run `cargo fmt --all`"));
    let targets =
        command::succeeds(workspace::cargo().args(["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]))?;
    let hint = "run `cargo fmt --manifest-path fuzz/Cargo.toml`";
    tally.record("fuzz targets are formatted", hold(targets, hint));
    Ok(())
}

pub(super) fn clippy(tally: &mut Tally) -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo.args(["clippy", "--locked", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]);
    let clean = command::succeeds(&mut cargo)?;
    tally.record("no lint speaks", hold(clean, "see above"));
    Ok(())
}

fn hold(holds: bool, hint: &str) -> Result<()> {
    if holds { Ok(()) } else { bail!("{hint}") }
}

pub(super) fn unit(tally: &mut Tally) -> Result<()> {
    install::databases()?;
    let mut cargo = workspace::cargo();
    if let Some(folder) = install::nextest()? {
        cargo.env("PATH", install::with_path(folder)?);
    }
    cargo.args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--color", "never"]);
    cargo.args(["--status-level", "slow", "--final-status-level", "fail"]);
    let mut summary = None;
    let status = command::follow_stderr(&mut cargo, |line| {
        println!("{line}");
        summary = count(line, "tests run:").or(summary);
    })?;
    take(tally, summary, status.success(), "nextest")
}

pub(super) fn doc(tally: &mut Tally) -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo.env("RUSTDOCFLAGS", "-D warnings");
    cargo.args(["doc", "--locked", "--workspace", "--no-deps", "--document-private-items", "--quiet"]);
    tally.record("links between items lead somewhere", hold(command::succeeds(&mut cargo)?, "see above"));

    let mut cargo = workspace::cargo();
    cargo.args(["test", "--doc", "--workspace", "--locked", "--quiet"]);
    let mut summary = Some((0, 0));
    let status = command::follow_stdout(&mut cargo, DOC_LIMIT, |line| {
        if let (Some((passed, failed)), Some((more, worse))) = (summary, count(line, "test result:")) {
            summary = Some((passed + more, failed + worse));
        } else if !line.trim().is_empty() && !line.starts_with("running ") {
            println!("{line}");
        }
    })?;
    take(tally, summary, status.success(), "cargo test --doc")
}

fn take(tally: &mut Tally, summary: Option<(usize, usize)>, success: bool, runner: &str) -> Result<()> {
    let (passed, failed) = summary.with_context(|| format!("{runner} ran nothing, see above"))?;
    tally.passed += passed;
    for number in 1..=failed {
        tally.failures.push(format!("{runner}: failure {number} of {failed}, see above"));
    }
    if !success && failed == 0 { bail!("{runner} failed, see above") } else { Ok(()) }
}

/// `passed` and `failed` from a runner's closing line that holds `mark`.
fn count(line: &str, mark: &str) -> Option<(usize, usize)> {
    let (_, rest) = line.split_once(mark)?;
    let number = |word: &str| {
        let before = rest.split(word).next().filter(|before| before.len() < rest.len())?;
        before.trim_end().rsplit([' ', ';', ',', '(']).next()?.parse::<usize>().ok()
    };
    let sum = |words: &[&str]| words.iter().filter_map(|word| number(word)).sum();
    Some((number("passed")?, sum(&["failed", "timed out", "exec failed"])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_read() {
        let line = "     Summary [   3.1s] 120 tests run: 117 passed (2 slow), 3 failed, 1 skipped";
        assert_eq!(count(line, "tests run:"), Some((117, 3)));
        let line = "     Summary [   3.1s] 4 tests run: 4 passed, 0 skipped";
        assert_eq!(count(line, "tests run:"), Some((4, 0)));
        let line = "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(count(line, "test result:"), Some((2, 1)));
        assert_eq!(count("running 3 tests", "test result:"), None);
    }
}

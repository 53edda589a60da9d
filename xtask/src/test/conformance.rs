//! The official conformance suite, for both requirement sets, against fixtures in Renkei's own config.
//!
//! What cannot pass yet stands by check in `tests/conformance/expected-failures.yaml`, which may only
//! shrink: a listed check that passes, or no longer runs, is a failure that says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{command, install, report::Tally, service::Service, standin::StandIn, workspace};

const REVISIONS: &[&str] = &["2026-07-28", "2025-11-25"];
const EXPECTED: &str = "tests/conformance/expected-failures.yaml";
const SUITE: &str = "node_modules/@modelcontextprotocol/conformance";
const SUITE_LIMIT: Duration = Duration::from_secs(600);

/// Scenario → checks.
type Checks = BTreeMap<String, BTreeSet<String>>;

pub(super) fn run(binary: &Path, tally: &mut Tally) -> Result<()> {
    let node = install::node()?;
    let config = workspace::root().join("tests/conformance/renkei.yaml");
    let expected = parse_expected(&workspace::read(EXPECTED)?)?;
    let upstream = StandIn::start()?;
    let store = workspace::fresh_store("xtask-conformance")?;
    let service = Service::start(binary, &config, &[("UPSTREAM", &upstream.url()), ("STORE", &store)])?;
    for revision in REVISIONS {
        let results = workspace::target_directory()?.join("xtask-conformance").join(revision);
        if results.exists() {
            fs::remove_dir_all(&results)?;
        }
        let mut command = Command::new(&node.program);
        command.arg(node.folder.join(SUITE).join("dist/index.js")).args(["server", "--url", &service.url]);
        command.args(["--requirements", revision, "--output-dir"]).arg(&results);
        // Its exit code speaks of failures; its files say which.
        let mut said = String::new();
        command::follow_stdout(&mut command, SUITE_LIMIT, |line| {
            said.push_str(line);
            said.push('\n');
        })?;
        let outcomes = read_outcomes(&results).with_context(|| said)?;
        let required =
            fs::read_to_string(node.folder.join(SUITE).join(format!("requirements/{revision}.yaml")))?;
        for scenario in required_scenarios(&required) {
            if !outcomes.contains_key(scenario) {
                tally.fail(&format!("{revision} {scenario}"), "the suite requires it and did not run it");
            }
        }
        let empty = Checks::new();
        judge(revision, &outcomes, expected.get(*revision).unwrap_or(&empty), tally);
    }
    if !tally.failures.is_empty() {
        println!("  # the server's log ends with\n{}", service.log());
    }
    Ok(())
}

/// What the suite said of one check; several findings under one name count as the worst of them.
#[derive(Debug, Default)]
struct Outcome {
    failed: bool,
    /// Of failures and warnings.
    messages: Vec<String>,
}

/// Scenario → check → outcome.
type Outcomes = BTreeMap<String, BTreeMap<String, Outcome>>;

/// One folder a scenario: `server-SCENARIO-TIMESTAMP/checks.json`.
fn read_outcomes(results: &Path) -> Result<Outcomes> {
    const TIMESTAMP: usize = "-2026-11-22T23-39-00-813Z".len();
    let mut outcomes = Outcomes::new();
    let folders = fs::read_dir(results).context("the suite wrote no results")?;
    for folder in folders {
        let folder = folder?;
        let name = folder.file_name().to_string_lossy().into_owned();
        let name = name.strip_prefix("server-").unwrap_or(&name);
        let scenario = &name[..name.len().saturating_sub(TIMESTAMP)];
        let text = fs::read_to_string(folder.path().join("checks.json"))?;
        let checks: Vec<Value> = serde_json::from_str(&text)?;
        let of_scenario = outcomes.entry(scenario.to_owned()).or_default();
        for check in checks {
            let outcome = of_scenario.entry(check["id"].as_str().unwrap_or("?").to_owned()).or_default();
            let failed = check["status"] == "FAILURE";
            outcome.failed |= failed;
            if failed || check["status"] == "WARNING" {
                outcome.messages.push(check["errorMessage"].as_str().unwrap_or("no message").to_owned());
            }
        }
    }
    Ok(outcomes)
}

fn judge(revision: &str, outcomes: &Outcomes, expected: &Checks, tally: &mut Tally) {
    let mut known = 0;
    for (scenario, checks) in outcomes {
        let listed = expected.get(scenario);
        for (check, outcome) in checks {
            let name = format!("{revision} {scenario}/{check}");
            let is_listed = listed.is_some_and(|listed| listed.contains(check));
            match (outcome.failed, is_listed) {
                (false, false) => tally.pass(&name),
                (true, true) => known += 1,
                (true, false) => tally.fail(&name, &outcome.messages.join("\n")),
                (false, true) => tally.fail(&name, &format!("passes now: remove it from {EXPECTED}")),
            }
            if !outcome.failed {
                outcome.messages.iter().for_each(|message| println!("  # warning: {message}"));
            }
        }
    }
    for (scenario, checks) in expected {
        for check in
            checks.iter().filter(|check| !outcomes.get(scenario).is_some_and(|ran| ran.contains_key(*check)))
        {
            let name = format!("{revision} {scenario}/{check}");
            tally.fail(&name, &format!("the suite does not run it: remove it from {EXPECTED}"));
        }
    }
    println!("{revision}: {known} checks fail as expected");
}

/// The names under `server:` of a requirement set.
fn required_scenarios(text: &str) -> impl Iterator<Item = &str> {
    let section = text.lines().skip_while(|line| *line != "server:").skip(1);
    let section = section.take_while(|line| line.is_empty() || line.starts_with(' '));
    section.filter_map(|line| line.trim().strip_prefix("- "))
}

/// A revision's line, then `  scenario: [check, …]` lines; comments and empty lines between.
fn parse_expected(text: &str) -> Result<BTreeMap<String, Checks>> {
    let mut expected: BTreeMap<String, Checks> = BTreeMap::new();
    let mut revision = None;
    for (number, line) in text.lines().enumerate() {
        let entry =
            line.split_once(": [").and_then(|(name, rest)| Some((name.trim(), rest.strip_suffix(']')?)));
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        } else if let Some((name, checks)) = entry {
            let Some(revision) = &revision else { bail!("{EXPECTED}:{}: no revision yet", number + 1) };
            let checks = checks.split(',').map(|check| check.trim().to_owned()).collect();
            let before = expected.entry(String::clone(revision)).or_default().insert(name.to_owned(), checks);
            ensure!(before.is_none(), "{EXPECTED}:{}: `{name}` stands twice", number + 1);
        } else if let Some(name) = line.strip_suffix(':').filter(|name| REVISIONS.contains(name)) {
            revision = Some(name.to_owned());
        } else {
            bail!("{EXPECTED}:{}: expected `  scenario: [check, …]`", number + 1);
        }
    }
    Ok(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(check: &str, failed: bool) -> Outcomes {
        let outcome = Outcome { failed, messages: vec![] };
        BTreeMap::from([("s".to_owned(), BTreeMap::from([(check.to_owned(), outcome)]))])
    }

    fn judged(outcomes: &Outcomes, expected: &str) -> Tally {
        let expected = parse_expected(expected).unwrap();
        let mut tally = Tally::default();
        judge("2026-07-28", outcomes, &expected["2026-07-28"], &mut tally);
        tally
    }

    #[test]
    fn the_list_may_only_shrink() {
        let list = "2026-07-28:\n  # why\n  s: [a]\n";
        assert!(judged(&outcomes("a", true), list).failures.is_empty());
        assert_eq!(judged(&outcomes("a", false), list).failures, ["2026-07-28 s/a"]);
        assert_eq!(judged(&outcomes("b", false), list).failures, ["2026-07-28 s/a"]);
        assert_eq!(judged(&outcomes("b", true), list).failures.len(), 2);
    }

    #[test]
    fn a_list_that_cannot_be_read_is_refused() {
        assert!(parse_expected("  s: [a]\n").is_err());
        assert!(parse_expected("2026-07-28:\n  s: a\n").is_err());
        assert!(parse_expected("2026-07-28:\n  s: [a]\n  s: [b]\n").is_err());
    }

    #[test]
    fn requirements_are_read() {
        let text = "# x\nserver:\n  - a\n  - b\n\nclient:\n  - c\n";
        assert_eq!(required_scenarios(text).collect::<Vec<_>>(), ["a", "b"]);
    }
}

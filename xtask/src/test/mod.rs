//! `cargo xtask test`: everything that must hold, from formatting to other people's MCP clients.

mod checks;
mod clients;
mod conformance;
mod examples;

use anyhow::{Result, bail};

use crate::{
    generate,
    report::Tally,
    tidy,
    workspace::{self, Profile},
};

/// In the order they run: the quick and the telling ones first.
const GROUPS: &[&str] =
    &["fmt", "tidy", "clippy", "unit", "doc", "drift", "examples", "clients", "conformance"];

#[derive(Debug)]
pub(crate) struct Options {
    groups: Vec<&'static str>,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Options> {
        let mut groups = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let ("--only", Some(name)) = (*word, words.next()) else {
                bail!("expected `--only GROUP`, one of {}", GROUPS.join(" "));
            };
            match GROUPS.iter().find(|group| *group == name) {
                Some(group) => groups.push(*group),
                None => bail!("there is no group `{name}`; there are {}", GROUPS.join(" ")),
            }
        }
        if groups.is_empty() {
            groups = GROUPS.to_vec();
        }
        Ok(Options { groups })
    }
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    let mut total = Tally::default();
    for group in GROUPS.iter().filter(|group| options.groups.contains(group)) {
        println!("== {group}");
        let mut tally = Tally::default();
        // A suite that cannot run is a failure of that suite; the others still tell what they know.
        if let Err(error) = run_group(group, &mut tally) {
            tally.fail("could not run", &format!("{error:#}"));
        }
        total.add(group, tally);
    }
    total.print_summary();
    Ok(total.failures.is_empty())
}

fn run_group(group: &str, tally: &mut Tally) -> Result<()> {
    match group {
        "fmt" => checks::format(tally),
        "clippy" => checks::clippy(tally),
        "tidy" => {
            for (rule, breaches) in tidy::breaches()? {
                match breaches.as_slice() {
                    [] => tally.pass(rule),
                    _ => tally.fail(rule, &breaches.join("\n")),
                }
            }
            Ok(())
        }
        "unit" => checks::unit(tally),
        "doc" => checks::doc(tally),
        "drift" => {
            let binary = workspace::build(Profile::Debug)?;
            tally.record("generated schema and reference are current", generate::check(&binary));
            Ok(())
        }
        "examples" => examples::run(&workspace::build(Profile::Debug)?, tally),
        "clients" => clients::run(&workspace::build(Profile::Debug)?, tally),
        "conformance" => conformance::run(&workspace::build(Profile::Debug)?, tally),
        other => bail!("there is no group `{other}`"),
    }
}

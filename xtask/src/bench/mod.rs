//! `cargo xtask bench`: start-up, memory, size, and what a tool call costs beside the call it makes.
//!
//! Ratios of one run, alternating, so that whatever else the machine does hits both sides alike.

mod load;
mod start;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use self::load::{Sample, Target};
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
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Options> {
        let mut options = Options { plan: &FULL, binary: None };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match (*word, words.len()) {
                ("--short", _) => options.plan = &SHORT,
                ("--binary", 1..) => options.binary = words.next().map(PathBuf::from),
                _ => bail!("expected `--short` or `--binary PATH`, got `{word}`"),
            }
        }
        Ok(options)
    }
}

/// How long to measure.
#[derive(Debug)]
struct Plan {
    starts: usize,
    rounds: usize,
    round: Duration,
}

const FULL: Plan = Plan { starts: 15, rounds: 7, round: Duration::from_secs(3) };
/// Enough to see that it works, and the order of magnitude.
const SHORT: Plan = Plan { starts: 3, rounds: 3, round: Duration::from_secs(1) };

const TOOL_COUNTS: &[usize] = &[10, 500];
const CLIENTS: &[usize] = &[1, 16];
/// The slowest branch of the aggregate.
const SLOWEST_MS: u64 = 50;

pub(crate) fn run(options: &Options) -> Result<()> {
    let plan = options.plan;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => workspace::build(Profile::Release)?,
    };
    let upstream = StandIn::start()?;
    let folder = workspace::target_directory()?.join("xtask-bench");
    fs::create_dir_all(&folder)?;

    println!("{}\n", machine());
    println!("| what | figure |");
    println!("|---|---|");
    let size = fs::metadata(&binary).context("the binary was not built")?.len();
    println!("| binary, release, stripped | {:.1} MiB |", mebibytes(size));
    for &tools in TOOL_COUNTS {
        let config = folder.join(format!("{tools}-tools.yaml"));
        fs::write(&config, config_with(tools, &upstream.url()))?;
        let measured = start::measure(&binary, &config, tools, plan.starts)?;
        println!("| start to first `tools/list`, {tools} tools | {:.0} ms |", milliseconds(measured.start));
        if let Some(bytes) = measured.resident {
            println!("| memory after it (resident), {tools} tools | {:.1} MiB |", mebibytes(bytes));
        }
        let list = measured.list;
        println!("| `tools/list`, {tools} tools, one client | {:.2} ms |", milliseconds(list));
    }
    println!();
    calls(plan, &binary, &folder.join(format!("{}-tools.yaml", TOOL_COUNTS[0])), &upstream)?;
    println!();
    let config = folder.join("aggregate.yaml");
    fs::write(&config, config_with_aggregate(&upstream.url()))?;
    aggregates(plan, &binary, &config, &upstream)
}

/// One REST call, direct and through a tool, side by side.
fn calls(plan: &Plan, binary: &Path, config: &Path, upstream: &StandIn) -> Result<()> {
    let service = Service::start(binary, config, &[])?;
    let direct = Target::get(upstream.address(), "/items/1", "\"lamp\"");
    let through = Target::tool(&service.url, "get_item_0", r#"{"id":1}"#)?;
    compare(plan, ("direct", &direct), ("through a tool", &through))
}

/// An aggregate of eight branches on a slow backend, beside the slowest of them.
fn aggregates(plan: &Plan, binary: &Path, config: &Path, upstream: &StandIn) -> Result<()> {
    let service = Service::start(binary, config, &[])?;
    let slowest = Target::get(upstream.address(), &format!("/slow/{SLOWEST_MS}"), "\"ms\"");
    let through = Target::tool(&service.url, "all", "{}")?;
    compare(plan, ("slowest, direct", &slowest), ("aggregate of 8", &through))
}

/// Two targets in turns.
fn compare(plan: &Plan, direct: (&str, &Target), through: (&str, &Target)) -> Result<()> {
    let ((direct_name, direct), (through_name, through)) = (direct, through);
    println!("| clients | side | calls/s | median | 99 % |");
    println!("|---|---|---|---|---|");
    for &clients in CLIENTS {
        // Connections, pools and caches are filled before it counts.
        load::run(direct, clients, plan.round / 2)?;
        load::run(through, clients, plan.round / 2)?;
        let mut samples = [Vec::new(), Vec::new()];
        for _ in 0..plan.rounds {
            samples[0].push(load::run(direct, clients, plan.round)?);
            samples[1].push(load::run(through, clients, plan.round)?);
        }
        let [one, other] = samples.map(|samples| Sample::median(&samples));
        ensure!(one.per_second > 0.0, "the stand-in answered nothing");
        for (side, sample) in [(direct_name, &one), (through_name, &other)] {
            println!(
                "| {clients} | {side} | {:.0} | {:.2} ms | {:.2} ms |",
                sample.per_second,
                milliseconds(sample.median),
                milliseconds(sample.slowest_hundredth)
            );
        }
        println!(
            "| {clients} | ratio | {:.2} | {:.1}× | {:.1}× |",
            other.per_second / one.per_second,
            other.median.as_secs_f64() / one.median.as_secs_f64(),
            other.slowest_hundredth.as_secs_f64() / one.slowest_hundredth.as_secs_f64()
        );
    }
    Ok(())
}

/// Tools as people write them: an argument with a schema, a call with a template, a shaped result.
fn config_with(tools: usize, upstream: &str) -> String {
    let mut text = format!(
        "server: {{ name: bench }}\nsystems:\n  upstream:\n    http: {{ base_url: '{upstream}', private: true }}\ntools:\n"
    );
    for number in 0..tools {
        text.push_str(&format!(
            "  get_item_{number}:\n    description: One item, by its id, with name and price; the variant {number}.\n    \
             input: {{ id: {{ type: integer, minimum: 1, description: The item's number }} }}\n    \
             call: {{ upstream: 'GET /items/${{.id}}' }}\n    \
             output: {{ id: '${{$result.id}}', name: '${{$result.name}}', cents: '${{$result.price * 100}}' }}\n"
        ));
    }
    text
}

/// Eight branches that take up to [`SLOWEST_MS`]; the last two wait for others, within that time.
fn config_with_aggregate(upstream: &str) -> String {
    let mut text = format!(
        "server: {{ name: bench }}\nsystems:\n  upstream:\n    http: {{ base_url: '{upstream}', private: true }}\ntools:\n  \
         all:\n    description: Everything at once.\n    aggregate:\n"
    );
    for (name, ms) in [("a", SLOWEST_MS), ("b", 40), ("c", 30), ("d", 30), ("e", 20), ("f", 10)] {
        text.push_str(&format!("      {name}: {{ call: {{ upstream: GET /slow/{ms} }} }}\n"));
    }
    text.push_str("      g: { call: { upstream: 'GET /slow/${$e.ms}' } }\n");
    text.push_str("      h: { call: { upstream: 'GET /slow/${$f.ms}' } }\n");
    text
}

/// What it ran on: figures without it mean nothing.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let commit = command::output(std::process::Command::new("git").current_dir(workspace::root()).args([
        "rev-parse",
        "--short",
        "HEAD",
    ]));
    format!(
        "Commit {}, {cores} cores ({}), client, backend and Renkei on one machine.",
        commit.as_deref().unwrap_or("unknown").trim(),
        model.map_or("unknown", |(_, model)| model)
    )
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The middle one; of nothing, zero.
fn median<T: Copy + PartialOrd + Default>(values: &mut [T]) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied().unwrap_or_default()
}

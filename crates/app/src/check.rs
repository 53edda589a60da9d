//! `renkei check`: everything that can be known without the systems.

use std::{io::Write as _, process::ExitCode, sync::Arc};

use renkei_config::Report;
use renkei_core::{Value, group::GroupPlan, tool::Tools};
use renkei_patterns::engine::Offers;

use crate::{cli::CheckArgs, exit, load, serve, tokens};

/// More than this, and a list is worth making shorter.
const LONG_LIST_TOKENS: usize = 20_000;

pub(crate) fn run(args: CheckArgs) -> ExitCode {
    let loaded = match load::load(&args.config.paths, args.no_env) {
        Ok(loaded) => loaded,
        Err(report) => {
            if args.json {
                say(&as_json(&report, &[], &[]));
            } else {
                load::print(&report);
            }
            return ExitCode::from(exit::CONFIG);
        }
    };
    let systems = loaded.plan.systems.len();
    let compiled = match load::compile(loaded) {
        Ok(compiled) => compiled,
        Err(code) => return code,
    };
    // Without the environment the keys are not there to be tried.
    if !args.no_env
        && let Err(error) = serve::http_options(&compiled.server, &compiled.base_dir)
    {
        exit::fail(&error);
        return ExitCode::from(exit::CONFIG);
    }
    let costs = costs(&*compiled.engine);
    if args.json {
        say(&as_json(&compiled.report, &costs, &compiled.groups));
    } else {
        if !compiled.report.is_empty() {
            load::print(&compiled.report);
        }
        let offers = compiled.engine.offers();
        say(&summary(systems, &costs, &compiled.groups, &offers));
    }
    ExitCode::SUCCESS
}

fn say(text: &str) {
    // A closed pipe (`renkei check | head`) is nobody's error.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// What each tool costs a model in the list, in tokens, about; dearest first.
fn costs(tools: &dyn Tools) -> Vec<(String, usize)> {
    let cost = |tool| tokens::estimate(&renkei_mcp::tool_json(tool));
    let mut costs: Vec<_> = tools.list().iter().map(|tool| (tool.name.to_string(), cost(tool))).collect();
    costs.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    costs
}

fn total(costs: &[(String, usize)]) -> usize {
    costs.iter().map(|(_, cost)| cost).sum()
}

/// What the list of a group costs.
fn group_total(group: &GroupPlan, costs: &[(String, usize)]) -> usize {
    let inside = |name: &str| group.tools.iter().any(|tool| **tool == *name);
    costs.iter().filter(|(name, _)| inside(name)).map(|(_, cost)| cost).sum()
}

/// One line a tool, one a group, and the whole.
fn summary(systems: usize, costs: &[(String, usize)], groups: &[GroupPlan], offers: &Offers) -> String {
    let mut out = format!(
        "ok: {}, {}; the tool list costs a model about {} tokens",
        count(systems, "system"),
        count(costs.len(), "tool"),
        total(costs),
    );
    for (name, cost) in costs {
        out += &format!("\n{cost:>8}  {name}");
    }
    for system in offers.systems() {
        out += &format!("\n       ?  the tools of `{system}`, which are known when it is connected");
    }
    if !groups.is_empty() {
        out += &format!("\n{}, each with a list of its own:", count(groups.len(), "group"));
    }
    for group in groups {
        let parts = [
            (group.tools.len(), "tool"),
            (group.resources.len(), "resource"),
            (group.prompts.len(), "prompt"),
        ];
        let parts: Vec<String> =
            parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, noun)| count(n, noun)).collect();
        let cost = group_total(group, costs);
        out += &format!("\n{cost:>8}  /mcp/{}: {}", group.name, parts.join(", "));
    }
    if total(costs) > LONG_LIST_TOKENS && groups.is_empty() {
        out += "\nThat is long: shorter descriptions and fewer tools leave a model more room to think. `groups:` \
                gives parts of it endpoints of their own.";
    }
    out
}

fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// `{ "ok", "findings": […], "tools": [{ "name", "tokens" }], "tokens", "groups": [{ "name", "tokens", "tools": […],
/// "resources": […], "prompts": […] }] }`.
fn as_json(report: &Report, costs: &[(String, usize)], groups: &[GroupPlan]) -> String {
    let tools = costs
        .iter()
        .map(|(name, cost)| Value::from([("name", name.as_str().into()), ("tokens", Value::from(*cost))]))
        .collect::<Vec<_>>();
    let names = |all: &[Arc<str>]| -> Value {
        all.iter().map(|name| Value::String(name.clone())).collect::<Vec<_>>().into()
    };
    let groups = groups.iter().map(|group| {
        Value::from([
            ("name", Value::String(group.name.clone())),
            ("tokens", group_total(group, costs).into()),
            ("tools", names(&group.tools)),
            ("resources", names(&group.resources)),
            ("prompts", names(&group.prompts)),
        ])
    });
    Value::from([
        ("ok", Value::Bool(!report.has_errors())),
        ("findings", report.to_value()),
        ("tools", tools.into()),
        ("tokens", total(costs).into()),
        ("groups", groups.collect::<Vec<_>>().into()),
    ])
    .to_json_pretty()
}

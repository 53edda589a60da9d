//! What is measured, member by member. Each prints its tables.

use std::{fs, process::Command};

use anyhow::{Context, Result};

use super::{
    Bench, CLIENTS,
    compare::{Side, compare},
    config::{CONNECTIONS, Config, SLOWEST_MS, many_tools},
    mebibytes, milliseconds, peers, queue, sessions, start,
    stdio::Piped,
    target::Target,
};
use crate::{install, service::Service};

const TOOL_COUNTS: [usize; 2] = [10, 500];
/// Those of a SQLite file unless told otherwise, on both sides.
const SQLITE_CONNECTIONS: usize = 4;
const BY_HAND: &str = "bare rmcp server";
const TOOLBOX: &str = "MCP Toolbox";

type Member = fn(&mut Bench) -> Result<()>;

/// In the order they run.
pub(super) const MEMBERS: &[(&str, &str, Member)] = &[
    ("start", "Start, memory, size", start_up),
    ("rest", "A REST tool call", rest),
    ("sqlite", "A SQLite tool call", sqlite),
    ("postgres", "A PostgreSQL tool call", postgres),
    ("mariadb", "A MariaDB tool call", mariadb),
    ("list", "`tools/list`", list),
    ("layers", "All layers on", layers),
    ("aggregate", "An aggregate of eight", aggregate),
    ("stdio", "A REST tool call over stdio", stdio),
    ("sessions", "Memory of a session", session_memory),
    ("queue", "Durable enqueue to done", queue::measure),
];

fn start_up(bench: &mut Bench) -> Result<()> {
    println!("| what | figure |\n|---|---|");
    let size = mebibytes(fs::metadata(&bench.binary).context("the binary was not built")?.len());
    println!("| binary, release, stripped | {size:.1} MiB |");
    bench.aims.below("binary", 60.0, size, "MiB");
    for tools in TOOL_COUNTS {
        let config = bench.write("start.yaml", &many_tools(tools, &bench.upstream.url()))?;
        let measured = start::measure(&bench.binary, &config, tools, bench.plan.starts)?;
        let start = milliseconds(measured.start);
        println!("| start to first `tools/list`, {tools} tools | {start:.0} ms |");
        if let Some(bytes) = measured.resident {
            println!("| memory after it (resident), {tools} tools | {:.1} MiB |", mebibytes(bytes));
        }
        if tools == TOOL_COUNTS[1] {
            bench.aims.below("start with 500 tools", 100.0, start, "ms");
        } else if let Some(bytes) = measured.resident {
            bench.aims.below("idle with 10 tools", 30.0, mebibytes(bytes), "MiB");
        }
    }
    println!();
    Ok(())
}

fn rest(bench: &mut Bench) -> Result<()> {
    let upstream = bench.upstream.url();
    let database = bench.sqlite()?;
    let config = Config::new().http("upstream", &upstream, "").tools();
    let config = config.item("get_item_0", "upstream").shaped_item("get_shaped", "upstream");
    let renkei = bench.serve("rest.yaml", &config)?;
    let logged = Service::start(&bench.binary, &bench.folder.join("rest.yaml"), &[])?;
    let yardstick = bench.yardstick()?;
    let proxy = yardstick.proxy(&upstream)?;
    let by_hand = yardstick.mcp(&upstream, &database, 10)?;
    let mut sides = vec![
        Side::http("Renkei", &renkei, Target::item_tool(&renkei.url, "get_item_0")?),
        Side::http(
            "Renkei, result shaped by templates",
            &renkei,
            Target::item_tool(&renkei.url, "get_shaped")?,
        ),
        Side::http("Renkei, a log line a call", &logged, Target::item_tool(&logged.url, "get_item_0")?),
        Side::direct("the backend directly", Target::items(&upstream, "/stock")?),
        Side::http("bare axum proxy", &proxy, Target::items(&proxy.url, "/stock")?),
        Side::http(BY_HAND, &by_hand, Target::item_tool(&by_hand.url, "get_item_0")?),
    ];
    let mut peers = Vec::new();
    if bench.peers {
        let toolbox = peers::toolbox(&bench.folder, &upstream, &database)?;
        sides.push(Side::http(TOOLBOX, &toolbox, Target::item_tool(&toolbox.url, "get_item_0")?));
        let fastmcp = peers::fastmcp(&upstream)?;
        sides.push(Side::http("FastMCP", &fastmcp, Target::item_tool(&fastmcp.url, "get_item_0")?));
        peers.extend([toolbox, fastmcp]);
    }
    let beside = compare(bench.plan, &CLIENTS, &mut sides)?;
    bench.aims.ratio("REST call beside a bare axum proxy", 0.5, "bare axum proxy", &beside);
    bench.aims.ratio("REST call beside MCP Toolbox", 4.0, TOOLBOX, &beside);
    Ok(())
}

fn sqlite(bench: &mut Bench) -> Result<()> {
    let upstream = bench.upstream.url();
    let database = bench.sqlite()?;
    let config = Config::new().sqlite("lite", &database).tools().row("get_row", "lite");
    let renkei = bench.serve("sqlite.yaml", &config)?;
    let yardstick = bench.yardstick()?;
    let mut driver = yardstick.driver("sqlite", &database.to_string_lossy(), SQLITE_CONNECTIONS)?;
    let route = yardstick.rows(&database)?;
    let by_hand = yardstick.mcp(&upstream, &database, 10)?;
    let mut sides = vec![
        Side::http("Renkei", &renkei, Target::item_tool(&renkei.url, "get_row")?),
        Side::new("rusqlite directly", |clients, time| driver.run(clients, time)),
        Side::http("bare axum route", &route, Target::items(&route.url, "/rows")?),
        Side::http(BY_HAND, &by_hand, Target::item_tool(&by_hand.url, "get_row")?),
    ];
    let mut peers = Vec::new();
    if bench.peers {
        let toolbox = peers::toolbox(&bench.folder, &upstream, &database)?;
        sides.push(Side::http(TOOLBOX, &toolbox, Target::item_tool(&toolbox.url, "get_row")?));
        peers.push(toolbox);
    }
    let beside = compare(bench.plan, &CLIENTS, &mut sides)?;
    bench.aims.ratio("SQLite call beside MCP Toolbox", 3.0, TOOLBOX, &beside);
    Ok(())
}

fn postgres(bench: &mut Bench) -> Result<()> {
    database(bench, "postgres", "postgres", "tokio-postgres directly")
}

fn mariadb(bench: &mut Bench) -> Result<()> {
    database(bench, "mariadb", "mysql", "mysql_async directly")
}

/// `kind` is the yardstick's word, `connector` Renkei's.
fn database(bench: &mut Bench, kind: &str, connector: &str, side: &str) -> Result<()> {
    install::databases()?;
    let yardstick = bench.yardstick()?;
    let (_server, url) = yardstick.database(kind)?;
    let config = Config::new().database("base", connector, &url).tools().row("get_row", "base");
    let renkei = bench.serve(&format!("{kind}.yaml"), &config)?;
    let mut driver = yardstick.driver(kind, &url, CONNECTIONS)?;
    let mut sides = [
        Side::http("Renkei", &renkei, Target::item_tool(&renkei.url, "get_row")?),
        Side::new(side, |clients, time| driver.run(clients, time)),
    ];
    compare(bench.plan, &CLIENTS, &mut sides)?;
    Ok(())
}

fn list(bench: &mut Bench) -> Result<()> {
    let upstream = bench.upstream.url();
    let database = bench.sqlite()?;
    for tools in TOOL_COUNTS {
        println!("With {tools} tools:\n");
        let renkei = bench.serve("list.yaml", &many_tools(tools, &upstream))?;
        let by_hand = bench.yardstick()?.mcp(&upstream, &database, tools)?;
        let mut sides = [
            Side::http("Renkei", &renkei, Target::list(&renkei.url, tools)?),
            Side::http(BY_HAND, &by_hand, Target::list(&by_hand.url, tools)?),
        ];
        let beside = compare(bench.plan, &CLIENTS, &mut sides)?;
        if tools == TOOL_COUNTS[1] {
            bench.aims.ratio("`tools/list` of 500 beside bare rmcp", 10.0, BY_HAND, &beside);
        }
    }
    Ok(())
}

/// Nothing but the deadline and the attempt's timeout, which every call has.
const FEWEST_LAYERS: &str = "    retry: { attempts: 1 }\n    breaker: off\n";
/// Each layer counts and decides, and lets the call through. Without a cache: a hit would measure something else.
const ALL_LAYERS: &str = "    retry: { attempts: 3, budget: { share: 20% } }\n    breaker: { failures: 5 }\n    \
                          limit: { rate: 1000000/s, concurrency: 1000 }\n";

fn layers(bench: &mut Bench) -> Result<()> {
    let upstream = bench.upstream.url();
    let config = Config::new().http("fewest", &upstream, FEWEST_LAYERS).http("all", &upstream, ALL_LAYERS);
    let config = config.tools().item("with_fewest", "fewest").item("with_all", "all");
    let renkei = bench.serve("layers.yaml", &config)?;
    const FEWEST: &str = "Renkei, deadline and attempt timeout only";
    let mut sides = [
        Side::http("Renkei, all layers", &renkei, Target::item_tool(&renkei.url, "with_all")?),
        Side::http(FEWEST, &renkei, Target::item_tool(&renkei.url, "with_fewest")?),
    ];
    let beside = compare(bench.plan, &CLIENTS, &mut sides)?;
    bench.aims.ratio("all layers beside the fewest", 0.9, FEWEST, &beside);
    Ok(())
}

fn aggregate(bench: &mut Bench) -> Result<()> {
    let upstream = bench.upstream.url();
    let config = Config::new().http("upstream", &upstream, "").tools().aggregate("all", "upstream");
    let renkei = bench.serve("aggregate.yaml", &config)?;
    let address = bench.upstream.address();
    let calls = [("{}".to_owned(), format!("\"ms\":{SLOWEST_MS}"))].into_iter();
    let mut sides = [
        Side::http("Renkei, eight branches", &renkei, Target::tool(&renkei.url, "all", calls)?),
        Side::direct(
            "the slowest branch directly",
            Target::get(address, &format!("/slow/{SLOWEST_MS}"), "\"ms\"")?,
        ),
    ];
    compare(bench.plan, &[1, 16], &mut sides)?;
    Ok(())
}

fn stdio(bench: &mut Bench) -> Result<()> {
    let upstream = bench.upstream.url();
    let database = bench.sqlite()?;
    let config = Config::new().http("upstream", &upstream, "").tools().item("get_item_0", "upstream");
    let config = bench.write("stdio.yaml", &config)?;
    let mut command = Command::new(&bench.binary);
    command.arg("serve").arg(&config).args(["--stdio", "--log", "warn"]);
    let mut renkei = Piped::start(command, "get_item_0")?;
    let mut by_hand = Piped::start(bench.yardstick()?.mcp_stdio(&upstream, &database), "get_item_0")?;
    let (renkei_id, by_hand_id) = (renkei.id(), by_hand.id());
    let mut sides = [
        Side::new("Renkei", |clients, time| renkei.run(clients, time)).of_process(renkei_id),
        Side::new(BY_HAND, |clients, time| by_hand.run(clients, time)).of_process(by_hand_id),
    ];
    compare(bench.plan, &[1], &mut sides)?;
    Ok(())
}

fn session_memory(bench: &mut Bench) -> Result<()> {
    let upstream = bench.upstream.url();
    let database = bench.sqlite()?;
    let renkei = bench.serve("sessions.yaml", &many_tools(TOOL_COUNTS[0], &upstream))?;
    let by_hand = bench.yardstick()?.mcp(&upstream, &database, TOOL_COUNTS[0])?;
    println!("| side | KiB a session |\n|---|---|");
    for (name, service) in [("Renkei", &renkei), (BY_HAND, &by_hand)] {
        match sessions::bytes_each(service, bench.plan.sessions)? {
            Some(bytes) => println!("| {name} | {:.1} |", bytes / 1024.0),
            None => println!("| {name} | this system does not tell |"),
        }
    }
    println!();
    Ok(())
}

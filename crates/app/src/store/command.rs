//! `renkei store`: what an operator does with the store of a config.

use std::{path::Path, process::ExitCode};

use renkei_core::{
    Result, Value,
    store::{Maintain, Stats},
};

use super::opened::{say, with_code};
use crate::{
    cli::{StoreArgs, StoreCommand},
    exit,
};

pub(crate) async fn run(command: StoreCommand) -> ExitCode {
    match command {
        StoreCommand::Check(args) => told(&args, check).await,
        StoreCommand::Backup { file, store: args } => {
            told(&args, async |store| backup(store, &file).await).await
        }
        StoreCommand::Compact(args) => told(&args, compact).await,
        StoreCommand::Migrate(args) => told(&args, migrated).await,
    }
}

async fn told(args: &StoreArgs, what: impl AsyncFnOnce(&dyn Maintain) -> Result<Done>) -> ExitCode {
    with_code(args, async |opened| {
        let done = what(&*opened.store).await?;
        say(&if args.json { done.json.to_json_pretty() } else { done.text });
        Ok(if done.good { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
    })
    .await
}

/// What a command has to say.
struct Done {
    good: bool,
    text: String,
    json: Value,
}

async fn check(store: &dyn Maintain) -> Result<Done> {
    let problems = store.check().await?;
    let messages = || problems.iter().map(|problem| problem.message.as_str());
    let list: Vec<Value> = messages().map(Value::from).collect();
    if !problems.is_empty() {
        let mut text = format!("{} in the store:", count(problems.len() as u64, "problem"));
        messages().for_each(|message| text += &format!("\n  {message}"));
        text += "\nStop the server, keep a copy of the file, and restore a backup.";
        return Ok(Done {
            good: false,
            text,
            json: Value::from([("ok", Value::from(false)), ("problems", list.into())]),
        });
    }
    let stats = store.stats().await?;
    let text = format!(
        "ok: {}, {}, version {} of the tables\n{}\n{}\n{}",
        stats.place,
        bytes(stats.bytes),
        stats.schema,
        format_args!("{:>8}  events in {}", stats.events, count(stats.streams, "stream")),
        format_args!("{:>8}  jobs", stats.jobs),
        format_args!("{:>8}  cells", stats.cells),
    );
    let json =
        Value::from([("ok", Value::from(true)), ("problems", list.into()), ("store", stats_json(&stats))]);
    Ok(Done { good: true, text, json })
}

async fn backup(store: &dyn Maintain, file: &Path) -> Result<Done> {
    let backup = store.backup(file).await?;
    let text = format!("ok: {} of {} in {}", bytes(backup.bytes), backup.at, file.display());
    let json = Value::from([
        ("file", Value::from(file.display().to_string())),
        ("bytes", backup.bytes.into()),
        ("at", backup.at.to_string().into()),
    ]);
    Ok(Done { good: true, text, json })
}

async fn compact(store: &dyn Maintain) -> Result<Done> {
    let compacted = store.compact().await?;
    let (before, after) = (compacted.bytes_before, compacted.bytes_after);
    let text = format!("ok: {} before, {} now", bytes(before), bytes(after));
    Ok(Done { good: true, text, json: Value::from([("bytes_before", before), ("bytes_after", after)]) })
}

/// Opening it was all there was to do.
async fn migrated(store: &dyn Maintain) -> Result<Done> {
    let stats = store.stats().await?;
    let text = format!("ok: {}, version {} of the tables", stats.place, stats.schema);
    Ok(Done { good: true, text, json: stats_json(&stats) })
}

fn stats_json(stats: &Stats) -> Value {
    Value::from([
        ("place", Value::from(stats.place.as_str())),
        ("schema", Value::from(u64::from(stats.schema))),
        ("bytes", stats.bytes.into()),
        ("events", stats.events.into()),
        ("streams", stats.streams.into()),
        ("jobs", stats.jobs.into()),
        ("cells", stats.cells.into()),
    ])
}

fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

fn bytes(n: u64) -> String {
    match n {
        0..10_000 => format!("{n} bytes"),
        10_000..10_000_000 => format!("{} kB", n / 1_000),
        _ => format!("{} MB", n / 1_000_000),
    }
}

//! `renkei queue`.

use std::process::ExitCode;

use renkei_core::{
    Error, Map, Result, Value, duration,
    store::{Batch, JobChange, JobState},
};
use renkei_patterns::queue::{
    Paused,
    operate::{self, View},
};

use super::progress::Progress;
use crate::{
    cli::QueueCommand,
    store::{Opened, say, with},
    table::table,
};

/// Messages that are shown of each state.
const SHOWN: usize = 5;
/// Messages that are removed with one commit.
const STEP: usize = 500;
const HEADS: [&str; 9] =
    ["QUEUE", "READY", "SCHEDULED", "HELD", "LEASED", "DEAD", "OLDEST", "STATE", "CONFIG"];

pub(crate) async fn run(command: QueueCommand) -> ExitCode {
    match command {
        QueueCommand::List { store } => with(&store, async |opened| list(opened, store.json).await).await,
        QueueCommand::Show { queue, store } => {
            with(&store, async |opened| show(opened, &queue, store.json).await).await
        }
        QueueCommand::Pause { queue, reason, store } => {
            with(&store, async |opened| {
                opened.known(&queue).await?;
                Paused::set(&*opened.store, &queue, reason.as_deref()).await?;
                tell(store.json, &queue, "paused", "is paused; what is under way goes on");
                Ok(())
            })
            .await
        }
        QueueCommand::Resume { queue, store } => {
            with(&store, async |opened| {
                opened.known(&queue).await?;
                Paused::clear(&*opened.store, &queue).await?;
                tell(store.json, &queue, "resumed", "goes on");
                Ok(())
            })
            .await
        }
        QueueCommand::Purge { queue, dead, yes, store } => {
            with(&store, async |opened| {
                opened.known(&queue).await?;
                if !yes {
                    return Err(Error::invalid(format!(
                        "purge `{queue}`: its messages would be lost; `--yes` says that you mean it"
                    )));
                }
                purge(opened, &queue, dead, store.json).await
            })
            .await
        }
    }
}

fn tell(json: bool, queue: &str, outcome: &str, text: &str) {
    let value = || Value::from([("queue", Value::from(queue)), ("outcome", outcome.into())]).to_json_pretty();
    say(&if json { value() } else { format!("`{queue}` {text}") });
}

async fn list(opened: &Opened, json: bool) -> Result<()> {
    let views = operate::views(&*opened.store, &opened.configured).await?;
    if json {
        say(&Value::from(views.iter().map(View::to_value).collect::<Vec<_>>()).to_json_pretty());
        return Ok(());
    }
    match views.is_empty() {
        true => say("there are no queues"),
        false => say(&table(&HEADS, &views.iter().map(line).collect::<Vec<_>>())),
    }
    Ok(())
}

fn line(view: &View) -> Vec<String> {
    let counts = &view.counts;
    let numbers = [counts.ready, counts.scheduled, counts.held, counts.leased, counts.dead];
    let oldest = view.oldest_ms.map(|ms| duration::format(std::time::Duration::from_secs(ms / 1000)));
    [counts.queue.clone()]
        .into_iter()
        .chain(numbers.map(|number| number.to_string()))
        .chain([
            oldest.unwrap_or_default(),
            if view.paused.is_some() { "paused" } else { "runs" }.to_owned(),
            if view.configured { "yes" } else { "no" }.to_owned(),
        ])
        .collect()
}

async fn show(opened: &Opened, queue: &str, json: bool) -> Result<()> {
    opened.known(queue).await?;
    let views = operate::views(&*opened.store, &opened.configured).await?;
    let Some(view) = views.iter().find(|view| view.counts.queue == queue) else { return Ok(()) };
    let mut messages = Vec::new();
    for state in [JobState::Leased, JobState::Ready, JobState::Scheduled, JobState::Held, JobState::Dead] {
        let (jobs, _) = operate::page(&*opened.store, queue, state, None, SHOWN).await?;
        messages.extend(jobs.iter().map(operate::job_value));
    }
    if json {
        let mut map = view.to_value().as_object().cloned().unwrap_or_else(Map::new);
        map.insert("messages".into(), messages.into());
        say(&Value::from(map).to_json_pretty());
        return Ok(());
    }
    say(&table(&HEADS, &[line(view)]));
    if let Some(paused) = &view.paused {
        let reason = paused.reason.as_deref().unwrap_or("no reason was given");
        say(&format!("\npaused since {}: {reason}", paused.since));
    }
    if !messages.is_empty() {
        let rows: Vec<Vec<String>> = messages.iter().map(|message| row(message, "state")).collect();
        say(&format!("\n{}", table(&["ID", "STATE", "ATTEMPT", "KEY", "ENQUEUED", "DATA"], &rows)));
    }
    Ok(())
}

/// A message for people, with the member `what` in its second column.
pub(super) fn row(message: &Value, what: &str) -> Vec<String> {
    let text = |key: &str| match message.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.to_string(),
        Some(other) => other.to_json(),
    };
    let data = crate::table::shortened(&text("data"), 60);
    vec![text("id"), text(what), text("attempt"), text("partitionkey"), text("time"), data]
}

async fn purge(opened: &Opened, queue: &str, dead: bool, json: bool) -> Result<()> {
    let states = match dead {
        true => vec![JobState::Dead],
        false => vec![JobState::Ready, JobState::Scheduled, JobState::Held],
    };
    let counts = opened.store.queues().await?;
    let counts = counts.iter().find(|counts| counts.queue == queue);
    let total = counts.map_or(0, |counts| states.iter().map(|state| counts.of(*state)).sum());
    let mut progress = Progress::new("purging", total);
    let mut done = 0;
    // The later ones of a key go first: what becomes ready behind one that is removed would be claimed meanwhile.
    for state in states.into_iter().rev() {
        loop {
            let (jobs, _) = operate::page(&*opened.store, queue, state, None, STEP).await?;
            if jobs.is_empty() {
                break;
            }
            let batch =
                jobs.iter().fold(Batch::new(), |batch, job| batch.job(JobChange::Discard { job: job.id }));
            // One of them may be gone meanwhile; then they are looked for anew.
            if opened.store.commit(batch).await?.into_result().is_ok() {
                done += jobs.len() as u64;
                progress.at(done);
            }
        }
    }
    drop(progress);
    match json {
        true => {
            let count = i64::try_from(done).unwrap_or(i64::MAX);
            say(&Value::from([("queue", Value::from(queue)), ("removed", count.into())]).to_json_pretty());
        }
        false => say(&format!("{done} messages of `{queue}` were removed")),
    }
    Ok(())
}

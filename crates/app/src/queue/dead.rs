//! `renkei dead`.

use std::process::ExitCode;

use renkei_core::{
    Error, Result, Value,
    queue::moment,
    read::Rate,
    store::{Job, JobId, JobState},
};
use renkei_patterns::queue::operate::{self, Filter, Mend};
use tokio::time::{Instant, sleep_until};

use super::{list::row, progress::Progress};
use crate::{
    cli::{DeadArgs, DeadCommand},
    store::{Opened, say, with},
    table::{shortened, table},
};

pub(crate) async fn run(command: DeadCommand) -> ExitCode {
    match command {
        DeadCommand::List { which, limit, store } => {
            with(&store, async |opened| list(opened, &which, limit, store.json).await).await
        }
        DeadCommand::Show { id, store } => {
            with(&store, async |opened| {
                let value = operate::job_value(&operate::find(&*opened.store, &id).await?);
                say(&if store.json { value.to_json_pretty() } else { text(&value) });
                Ok(())
            })
            .await
        }
        DeadCommand::Replay { which, all, rate, limit, store } => {
            let rate = match rate.as_deref().map(|text| Rate::parse(text).ok_or(text)).transpose() {
                Ok(rate) => rate,
                Err(text) => {
                    return crate::exit::usage(&format!("`{text}` is no rate: write `50/s` or `100/m`"));
                }
            };
            with(&store, async |opened| {
                mend(opened, Mend::Replay, &which, (all, rate, limit), store.json).await
            })
            .await
        }
        DeadCommand::Discard { which, all, limit, store } => {
            with(&store, async |opened| {
                mend(opened, Mend::Discard, &which, (all, None, limit), store.json).await
            })
            .await
        }
    }
}

fn filter(which: &DeadArgs) -> Result<Filter> {
    let until = match which.before.as_deref().map(|text| moment(text).ok_or(text)).transpose() {
        Ok(until) => until,
        Err(text) => {
            let message = format!("`{text}` is no moment: write `2026-12-24T18:00:00Z`");
            return Err(Error::invalid(message));
        }
    };
    Ok(Filter { kind: which.kind.clone(), key: which.key.clone(), says: which.says.clone(), until })
}

/// The queues that are meant.
async fn queues(opened: &Opened, which: &DeadArgs) -> Result<Vec<String>> {
    if let Some(queue) = which.queue() {
        opened.known(queue).await?;
        return Ok(vec![queue.to_owned()]);
    }
    let views = operate::views(&*opened.store, &opened.configured).await?;
    Ok(views.into_iter().filter(|view| view.counts.dead > 0).map(|view| view.counts.queue).collect())
}

async fn list(opened: &Opened, which: &DeadArgs, limit: usize, json: bool) -> Result<()> {
    let found = find(opened, which, &filter(which)?, limit).await?;
    let values: Vec<Value> = found.iter().map(operate::job_value).collect();
    if json {
        say(&Value::from(values).to_json_pretty());
        return Ok(());
    }
    if values.is_empty() {
        say("there are no such dead letters");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = values
        .iter()
        .map(|value| {
            let last = value.get("errors").and_then(Value::as_array).and_then(<[Value]>::last);
            let of_last =
                |key: &str| last.and_then(|last| last.get(key)).and_then(Value::as_str).unwrap_or_default();
            let kind = match value.get("cause").and_then(Value::as_str) {
                Some("expired") => "expired",
                _ => of_last("kind"),
            };
            let mut row = row(value, "queue");
            row.insert(2, kind.to_owned());
            row.push(shortened(of_last("message"), 60));
            row
        })
        .collect();
    say(&table(&["ID", "QUEUE", "KIND", "ATTEMPT", "KEY", "ENQUEUED", "DATA", "LAST ERROR"], &rows));
    Ok(())
}

async fn find(opened: &Opened, which: &DeadArgs, filter: &Filter, limit: usize) -> Result<Vec<Job>> {
    if let Some(id) = which.id() {
        let job = operate::find(&*opened.store, id).await?;
        if job.state != JobState::Dead {
            return Err(Error::invalid(format!("the message `{id}` is no dead letter: it is {}", job.state)));
        }
        return Ok(vec![job]);
    }
    let mut found = Vec::new();
    for queue in queues(opened, which).await? {
        found.extend(operate::dead(&*opened.store, &queue, filter, limit).await?);
    }
    found.truncate(limit);
    Ok(found)
}

/// Letters that are mended with one look.
const STEP: usize = 1_000;

async fn mend(
    opened: &Opened,
    what: Mend,
    which: &DeadArgs,
    (all, rate, limit): (bool, Option<Rate>, Option<usize>),
    json: bool,
) -> Result<()> {
    let word = if what == Mend::Replay { "replay" } else { "discard" };
    if which.is_everything() && !all {
        return Err(Error::invalid(format!(
            "{word} dead letters: say which ones, by id, by queue or by filter; `--all` means all of them"
        )));
    }
    let limit = limit.unwrap_or(usize::MAX);
    let counts = opened.store.queues().await?;
    let total: u64 = counts.iter().map(|counts| counts.dead).sum();
    // What is replayed may be dead again before this ends; it is not replayed twice.
    let mut filter = filter(which)?;
    let now = opened.store.now();
    filter.until = Some(filter.until.map_or(now, |until| until.min(now)));
    let mut progress = Progress::new(if what == Mend::Replay { "replaying" } else { "discarding" }, total);
    let (began, mut done) = (Instant::now(), 0usize);
    while done < limit {
        let found = find(opened, which, &filter, STEP.min(limit - done)).await?;
        let ids: Vec<JobId> = found.iter().map(|job| job.id).collect();
        let mut mended = 0;
        for id in &ids {
            if let Some(rate) = rate {
                sleep_until(began + rate.interval() * u32::try_from(done + mended).unwrap_or(u32::MAX)).await;
            }
            mended += operate::mend(&*opened.store, what, &[*id]).await?;
            progress.at((done + mended) as u64);
        }
        done += mended;
        if mended == 0 || ids.len() < STEP {
            break;
        }
    }
    drop(progress);
    match json {
        true => say(&Value::from([("outcome", Value::from(word)), ("count", done.into())]).to_json_pretty()),
        false => say(&format!("{done} dead letters: {word}ed")),
    }
    Ok(())
}

fn text(value: &Value) -> String {
    let mut lines = Vec::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        match (&**key, value) {
            ("errors" | "data", _) => {}
            (_, Value::String(text)) => lines.push(format!("{key:<16} {text}")),
            (_, other) => lines.push(format!("{key:<16} {}", other.to_json())),
        }
    }
    lines.push(format!("\n{}", value.get("data").cloned().unwrap_or_default().to_json_pretty()));
    let errors = value.get("errors").and_then(Value::as_array).unwrap_or_default();
    if !errors.is_empty() {
        let text = |error: &Value, key: &str| match error.get(key) {
            Some(Value::String(text)) => text.to_string(),
            other => other.cloned().unwrap_or_default().to_json(),
        };
        let rows: Vec<Vec<String>> = errors
            .iter()
            .map(|error| ["attempt", "at", "kind", "message"].map(|key| text(error, key)).to_vec())
            .collect();
        lines.push(format!("\n{}", table(&["ATTEMPT", "AT", "KIND", "MESSAGE"], &rows)));
    }
    lines.join("\n")
}

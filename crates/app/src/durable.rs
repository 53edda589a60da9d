//! `renkei task` and `renkei run`: what is in the config's store, while a server works on it or not.

use std::process::ExitCode;

use renkei_core::{
    Result, Value,
    clock::Timestamp,
    store::Store,
    task::Status,
    tool::{Content, ToolResult},
};
use renkei_patterns::durable::{self, Entry, RunSummary, TaskRow, Timeline};

use crate::{
    cli::{ListArgs, RunCommand, TaskCommand},
    exit,
    store::{say, with},
    table::{shortened, table},
};

/// Letters of a message in a table.
const MESSAGE: usize = 60;
/// What is read from the store at once.
const PAGE: usize = 500;

pub(crate) async fn task(command: TaskCommand) -> ExitCode {
    match command {
        TaskCommand::List { status, list } => {
            let status = status.map(|word| Status::parse(&word).ok_or(word)).transpose();
            let status = match status {
                Ok(status) => status,
                Err(word) => {
                    let known: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
                    return exit::usage(&format!("`{word}` is no status of a task: {}", known.join(", ")));
                }
            };
            with(&list.store, async |opened| list_tasks(&*opened.store, status, &list).await).await
        }
        TaskCommand::Show { id, store: place } => {
            with(&place, async |opened| {
                let row = durable::show_task(&*opened.store, &id).await?;
                say(&if place.json { whole_task(&row).to_json_pretty() } else { task_text(&row) });
                Ok(())
            })
            .await
        }
        TaskCommand::Cancel { id, store: place } => {
            with(&place, async |opened| {
                let before = durable::cancel_task(&*opened.store, &id).await?;
                let text = match before.is_final() {
                    true => format!("the task `{id}` is {} already", before.as_str()),
                    false => format!("the task `{id}` ends as soon as whoever works on it hears of it"),
                };
                let value = Value::from([("id", Value::from(id.as_str())), ("was", before.as_str().into())]);
                say(&if place.json { value.to_json_pretty() } else { text });
                Ok(())
            })
            .await
        }
    }
}

pub(crate) async fn run(command: RunCommand) -> ExitCode {
    match command {
        RunCommand::List { list } => {
            with(&list.store, async |opened| list_runs(&*opened.store, &list).await).await
        }
        RunCommand::Show { id, store: place } => {
            with(&place, async |opened| {
                let timeline = durable::timeline(&*opened.store, &id).await?;
                say(&if place.json { whole_run(&timeline).to_json_pretty() } else { run_text(&timeline) });
                Ok(())
            })
            .await
        }
    }
}

async fn list_tasks(store: &dyn Store, status: Option<Status>, list: &ListArgs) -> Result<()> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = durable::list_tasks(store, status, after, PAGE).await?;
        rows.extend(page);
        after = next;
        if after.is_none() || rows.len() > list.limit {
            break;
        }
    }
    let more = rows.len() > list.limit;
    rows.truncate(list.limit);
    rows.sort_by_key(|row| row.task.created);
    if list.store.json {
        say(&Value::from(rows.iter().map(TaskRow::to_value).collect::<Vec<_>>()).to_json_pretty());
        return Ok(());
    }
    let lines: Vec<Vec<String>> = rows.iter().map(task_line).collect();
    match lines.is_empty() {
        true => say("there are no such tasks"),
        false => say(&table(&["ID", "TOOL", "STATUS", "PRINCIPAL", "CREATED", "UPDATED", "MESSAGE"], &lines)),
    }
    tell_more(more, list.limit);
    Ok(())
}

fn tell_more(more: bool, limit: usize) {
    if more {
        say(&format!("… and more than these {limit}: `--limit` shows them"));
    }
}

fn moment(at: Timestamp) -> String {
    at.to_string()
}

fn task_line(row: &TaskRow) -> Vec<String> {
    let task = &row.task;
    vec![
        task.id.clone(),
        task.tool.to_string(),
        task.status.as_str().to_owned(),
        shortened(&row.principal, 24),
        moment(task.created),
        moment(task.updated),
        task.message.as_deref().map(|message| shortened(message, MESSAGE)).unwrap_or_default(),
    ]
}

fn whole_task(row: &TaskRow) -> Value {
    let Value::Object(members) = row.to_value() else { return Value::Null };
    let mut members = renkei_core::Map::clone(&members);
    members.insert("result".into(), row.task.result.as_ref().map(result_value).into());
    members.into()
}

fn result_value(result: &ToolResult) -> Value {
    let content: Vec<Value> = result.content.iter().map(renkei_mcp::content_json).collect();
    Value::from([
        ("content", Value::from(content)),
        ("structured", result.structured.clone().into()),
        ("error", result.error.as_ref().map(|error| Value::from(error.to_string())).into()),
    ])
}

fn task_text(row: &TaskRow) -> String {
    let Value::Object(members) = row.to_value() else { return String::new() };
    let shown = members.iter().filter_map(|(key, value)| Some((key, value.as_str()?)));
    let mut lines: Vec<String> =
        shown.map(|(key, value)| format!("{:<11} {value}", key.replace('_', " "))).collect();
    for part in row.task.result.iter().flat_map(|result| &result.content) {
        lines.push(String::new());
        lines.push(match part {
            Content::Text(text) => text.clone(),
            other => renkei_mcp::content_json(other).to_json_pretty(),
        });
    }
    lines.push(format!("\n`renkei run show {}` says what happened", row.run));
    lines.join("\n")
}

async fn list_runs(store: &dyn Store, list: &ListArgs) -> Result<()> {
    let (mut all, mut after): (Vec<RunSummary>, Option<String>) = (Vec::new(), None);
    loop {
        let (page, next) = durable::runs(store, after.as_deref(), PAGE).await?;
        all.extend(page);
        after = next;
        if after.is_none() {
            break;
        }
        // The newest are at the end.
        let surplus = all.len().saturating_sub(list.limit);
        all.drain(..surplus);
    }
    let surplus = all.len().saturating_sub(list.limit);
    all.drain(..surplus);
    if list.store.json {
        say(&Value::from(all.iter().map(run_value).collect::<Vec<_>>()).to_json_pretty());
        return Ok(());
    }
    let lines: Vec<Vec<String>> = all.iter().map(run_line).collect();
    match lines.is_empty() {
        true => say("there are no runs"),
        false => say(&table(
            &["ID", "TOOL", "OUTCOME", "STEPS", "TAKEN UP", "STARTED", "ENDED", "PRINCIPAL"],
            &lines,
        )),
    }
    tell_more(surplus > 0, list.limit);
    Ok(())
}

fn run_line(run: &RunSummary) -> Vec<String> {
    vec![
        run.id.clone(),
        run.tool.clone(),
        run.outcome.clone().unwrap_or_else(|| "under way".to_owned()),
        run.steps.to_string(),
        run.claims.to_string(),
        moment(run.started),
        run.ended.map(moment).unwrap_or_default(),
        shortened(&run.principal, 24),
    ]
}

fn run_value(run: &RunSummary) -> Value {
    Value::from([
        ("id", Value::from(run.id.as_str())),
        ("tool", run.tool.as_str().into()),
        ("principal", run.principal.as_str().into()),
        ("task", run.task.clone().into()),
        ("started", moment(run.started).into()),
        ("ended", run.ended.map(moment).into()),
        ("outcome", run.outcome.clone().into()),
        ("steps", run.steps.into()),
        ("taken_up", i64::from(run.claims).into()),
    ])
}

fn entry_value(entry: &Entry) -> Value {
    Value::from([
        ("at", Value::from(moment(entry.at))),
        ("event", entry.kind.as_str().into()),
        ("step", entry.path.clone().into()),
        ("outcome", entry.outcome.clone().into()),
        ("note", entry.note.clone().into()),
    ])
}

fn whole_run(timeline: &Timeline) -> Value {
    let Value::Object(members) = run_value(&timeline.summary) else { return Value::Null };
    let mut members = renkei_core::Map::clone(&members);
    members.insert("input".into(), timeline.input.clone());
    members.insert("deadline".into(), moment(timeline.deadline).into());
    members.insert("trace".into(), timeline.trace.as_str().into());
    members.insert("events".into(), timeline.entries.iter().map(entry_value).collect::<Vec<_>>().into());
    members.into()
}

fn run_text(timeline: &Timeline) -> String {
    let run = &timeline.summary;
    let task = run.task.as_deref().unwrap_or("none");
    let head = format!(
        "run        {}\ntool       {}\ntask       {task}\nprincipal  {}\ninput      {}\ndeadline   {}\ntrace      {}\n",
        run.id,
        run.tool,
        run.principal,
        shortened(&timeline.input.to_json(), 200),
        moment(timeline.deadline),
        timeline.trace,
    );
    let lines: Vec<Vec<String>> =
        timeline.entries.iter().map(|entry| entry_line(entry, run.started)).collect();
    format!("{head}\n{}", table(&["AT", "AFTER", "WHAT", "STEP", "OUTCOME", "NOTE"], &lines))
}

fn entry_line(entry: &Entry, begun: Timestamp) -> Vec<String> {
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        moment(entry.at),
        format!("{:.3}s", entry.at.since(begun).as_secs_f64()),
        entry.kind.replace('_', " "),
        optional(&entry.path),
        optional(&entry.outcome),
        shortened(&optional(&entry.note), 100),
    ]
}

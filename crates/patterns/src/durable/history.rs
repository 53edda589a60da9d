//! What the stream of a run says: its steps for whoever takes it up again, its timeline for people.

use std::collections::{BTreeMap, BTreeSet};

use renkei_core::{
    Applied, Error, Kind, Reply, Result, Value,
    clock::Timestamp,
    store::{Event, MAX_PAGE, Store},
};

use super::{
    asking::Asked,
    record::{
        self, ANSWERED, ASKED, CLAIMED, COMMITTED, CUT_OFF, ENDED, ENDED_STEP, INTENDED, STARTED, Started,
    },
    stream,
};

/// What is known of a step.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// It began so often, and nobody knows what became of it.
    Intended(u32),
    Ended(Result<Reply>),
    Committed(Value),
}

/// A run as its stream tells it.
#[derive(Debug)]
pub(super) struct History {
    pub(super) started: Started,
    pub(super) steps: BTreeMap<String, Step>,
    /// Steps that the run went on without: what they gave after that counts for nothing.
    cut_off: BTreeSet<String>,
    /// How often it was taken up.
    pub(super) claims: u32,
    pub(super) asked: Asked,
    /// Whether it has ended.
    pub(super) has_ended: bool,
    /// Of the last event.
    pub(super) version: u64,
    /// What its events take.
    pub(super) bytes: usize,
}

impl History {
    pub(super) async fn read(store: &dyn Store, run: &str) -> Result<Self> {
        let events = events(store, run).await?;
        let first = events.first().filter(|event| event.kind == STARTED);
        let first = first.ok_or_else(|| record::corrupt("its stream does not begin with its start"))?;
        let mut history = History {
            started: Started::of_value(&record::read(&first.data)?)?,
            steps: BTreeMap::new(),
            cut_off: BTreeSet::new(),
            claims: 0,
            asked: Asked::default(),
            has_ended: false,
            version: 0,
            bytes: 0,
        };
        for event in &events {
            history.version = event.version;
            history.bytes += event.data.bytes.len();
            history.add(event)?;
        }
        Ok(history)
    }

    fn add(&mut self, event: &Event) -> Result<()> {
        let value = record::read(&event.data)?;
        let path = || record::text(&value, "path").map(str::to_owned);
        match event.kind.as_str() {
            CLAIMED => {
                self.claims += 1;
                self.asked.claimed(event.at);
            }
            ASKED | ANSWERED => self.asked.add(event, &value)?,
            INTENDED => {
                let step = self.steps.entry(path()?).or_insert(Step::Intended(0));
                if let Step::Intended(count) = step {
                    *count += 1;
                }
            }
            ENDED_STEP | CUT_OFF => {
                let (path, result) = (path()?, record::to_result(record::member(&value, "result")?)?);
                if event.kind == CUT_OFF {
                    self.cut_off.insert(path.clone());
                } else if self.cut_off.contains(&path) {
                    return Ok(());
                }
                self.steps.insert(path, Step::Ended(result));
            }
            COMMITTED => {
                self.steps.insert(path()?, Step::Committed(record::member(&value, "given")?.clone()));
            }
            ENDED => self.has_ended = true,
            _ => {}
        }
        Ok(())
    }
}

async fn events(store: &dyn Store, run: &str) -> Result<Vec<Event>> {
    let stream = stream(run);
    let mut events: Vec<Event> = Vec::new();
    loop {
        let from = events.last().map_or(1, |event| event.version + 1);
        let page = store.read_stream(&stream, from, MAX_PAGE).await?;
        let is_last = page.events.len() < MAX_PAGE;
        events.extend(page.events);
        if is_last {
            return Ok(events);
        }
    }
}

/// How a run stands, for whoever waits for what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// With its task.
    UnderWay(Option<String>),
    /// Whether it may have had an effect.
    Ended(Applied),
    /// Nothing is known of it any more.
    Gone,
}

/// How a run stands.
///
/// # Errors
/// The store is in trouble, or a record cannot be read.
pub(crate) async fn standing(store: &dyn Store, run: &str) -> Result<Standing> {
    let stream = stream(run);
    let Some(info) = store.stream(&stream).await? else { return Ok(Standing::Gone) };
    let (first, last) = (
        store.read_stream(&stream, 1, 1).await?.events.pop(),
        store.read_stream(&stream, info.last, 1).await?.events.pop(),
    );
    let (Some(first), Some(last)) = (first.filter(|event| event.kind == STARTED), last) else {
        return Ok(Standing::Gone);
    };
    if last.kind != ENDED {
        return Ok(Standing::UnderWay(Started::of_value(&record::read(&first.data)?)?.task));
    }
    let value = record::read(&last.data)?;
    let error = value.get("error").filter(|error| !error.is_null()).map(record::to_error).transpose()?;
    Ok(Standing::Ended(error.map_or(Applied::Yes, |error| error.was_applied())))
}

/// A run, in a line.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    pub id: String,
    pub tool: String,
    pub principal: String,
    pub task: Option<String>,
    pub started: Timestamp,
    /// Nothing while it is under way.
    pub ended: Option<Timestamp>,
    /// How it ended: `ok`, or the kind of its error.
    pub outcome: Option<String>,
    pub steps: usize,
    /// How often a process took it up.
    pub claims: u32,
}

/// One thing that happened in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub at: Timestamp,
    /// Its kind: `run_started`, `run_claimed`, `step_intended`, `step_ended`, `step_cut_off`,
    /// `step_committed`, `run_asked`, `run_answered`, `run_ended`.
    pub kind: String,
    /// Of a step.
    pub path: Option<String>,
    /// `ok`, or the kind of the error; for what has ended.
    pub outcome: Option<String>,
    /// What an error says, who took it up, what the step calls.
    pub note: Option<String>,
}

/// All that happened in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    pub summary: RunSummary,
    pub input: Value,
    pub deadline: Timestamp,
    pub trace: String,
    pub entries: Vec<Entry>,
}

/// The runs in the store, the oldest first, from after a run on; and where the next page begins.
///
/// # Errors
/// The store is in trouble, or a record cannot be read.
pub async fn runs(
    store: &dyn Store,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<RunSummary>, Option<String>)> {
    let after = after.map(stream);
    let page = store.streams(&stream(""), after.as_deref(), limit.min(MAX_PAGE)).await?;
    let mut summaries = Vec::new();
    for (name, info) in &page.streams {
        let Some(run) = name.strip_prefix("run/") else { continue };
        // What retention has dropped is no run any more.
        if info.first == 1 {
            summaries.push(timeline(store, run).await?.summary);
        }
    }
    let next = page.next.and_then(|name| name.strip_prefix("run/").map(str::to_owned));
    Ok((summaries, next))
}

/// What happened in a run.
///
/// # Errors
/// `not_found` when there is no such run; the store is in trouble, or a record cannot be read.
pub async fn timeline(store: &dyn Store, run: &str) -> Result<Timeline> {
    let events = events(store, run).await?;
    let Some(first) = events.first().filter(|event| event.kind == STARTED) else {
        let message = format!("there is no run `{run}`; `renkei run list` names those there are");
        return Err(Error::new(Kind::NotFound, message));
    };
    let started = Started::of_value(&record::read(&first.data)?)?;
    let entries = events.iter().map(entry).collect::<Result<Vec<_>>>()?;
    let end = entries.iter().find(|entry| entry.kind == ENDED);
    let steps: BTreeSet<_> = entries.iter().filter_map(|entry| entry.path.as_deref()).collect();
    Ok(Timeline {
        summary: RunSummary {
            id: run.to_owned(),
            tool: started.tool.to_string(),
            principal: started.principal.name.to_string(),
            task: started.task.clone(),
            started: first.at,
            ended: end.map(|entry| entry.at),
            outcome: end.and_then(|entry| entry.outcome.clone()),
            steps: steps.len(),
            claims: entries.iter().filter(|entry| entry.kind == CLAIMED).count() as u32,
        },
        input: started.input,
        deadline: started.deadline,
        trace: started.trace,
        entries,
    })
}

fn entry(event: &Event) -> Result<Entry> {
    let value = record::read(&event.data)?;
    let owned = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let result = value.get("result").or_else(|| value.get("error").map(|_| &value));
    let error = result.and_then(|result| result.get("error")).filter(|error| !error.is_null());
    let of_error =
        |key: &str| error.and_then(|error| error.get(key)).and_then(Value::as_str).map(str::to_owned);
    let has_ended = [ENDED_STEP, CUT_OFF, COMMITTED, ENDED].contains(&event.kind.as_str());
    Ok(Entry {
        at: event.at,
        kind: event.kind.clone(),
        path: owned("path"),
        outcome: has_ended.then(|| of_error("kind").unwrap_or_else(|| "ok".to_owned())),
        note: of_error("message")
            .or_else(|| owned("worker"))
            .or_else(|| owned("calls"))
            .or_else(|| asked(&value)),
    })
}

/// Which questions were put, or answered. What was answered is for the run alone.
fn asked(value: &Value) -> Option<String> {
    let list = value.get("questions").or_else(|| value.get("answers"))?.as_array()?;
    let name = |one: &Value| one.get("key").or_else(|| one.get("path"))?.as_str().map(str::to_owned);
    Some(list.iter().filter_map(name).collect::<Vec<_>>().join(", "))
}

//! `renkei schedule`: the schedules of a config, and how far they are in its store.

use std::process::ExitCode;

use renkei_core::{Map, Result, Value, schedule::SchedulePlan};
use renkei_patterns::schedule::Progress;

use crate::{
    cli::ScheduleCommand,
    store::{Opened, say, with},
    table::{shortened, table},
};

/// Ticks to come that are shown of each.
const COMING: usize = 3;

pub(crate) async fn run(command: ScheduleCommand) -> ExitCode {
    match command {
        ScheduleCommand::List { store } => with(&store, async |opened| list(opened, store.json).await).await,
    }
}

/// A schedule, for people and programs.
struct View<'a> {
    plan: &'a SchedulePlan,
    /// Nothing before a process has begun it as it stands in the config.
    progress: Option<Progress>,
    /// Its next ticks.
    coming: Vec<String>,
}

async fn list(opened: &Opened, json: bool) -> Result<()> {
    let mut views = Vec::new();
    for plan in &opened.schedules {
        views.push(View::of(opened, plan).await?);
    }
    if json {
        say(&Value::from(views.iter().map(View::to_value).collect::<Vec<_>>()).to_json_pretty());
    } else if views.is_empty() {
        say("there are no schedules");
    } else {
        let rows: Vec<Vec<String>> = views.iter().map(View::line).collect();
        say(&table(&["SCHEDULE", "CRON", "TIMEZONE", "QUEUE", "LAST", "NEXT", "PROBLEM"], &rows));
    }
    Ok(())
}

impl<'a> View<'a> {
    async fn of(opened: &Opened, plan: &'a SchedulePlan) -> Result<Self> {
        let timetable = &plan.timetable;
        let progress = Progress::read(&*opened.store, &plan.name).await?;
        let progress = progress.filter(|progress| progress.is_of(timetable));
        let mut after = opened.store.now();
        let next = || {
            let tick = timetable.next(after)?;
            after = tick.at;
            Some(tick.text)
        };
        let coming = std::iter::from_fn(next).take(COMING).collect();
        Ok(View { plan, progress, coming })
    }

    fn to_value(&self) -> Value {
        let timetable = &self.plan.timetable;
        let mut map = Map::new();
        map.insert("schedule".into(), self.plan.name.clone().into());
        map.insert("cron".into(), timetable.text().into());
        map.insert("timezone".into(), timetable.zone_name().into());
        map.insert("queue".into(), self.plan.queue.clone().into());
        map.insert("begun".into(), self.progress.is_some().into());
        if let Some(last) = self.progress.as_ref().and_then(|progress| progress.last.as_ref()) {
            let texts = [
                ("tick", Some(&last.tick)),
                ("message", last.message.as_ref()),
                ("problem", last.problem.as_ref()),
            ];
            let texts = texts.into_iter().filter_map(|(key, text)| Some((key.into(), text?.as_str().into())));
            map.insert("last".into(), texts.collect::<Map>().into());
        }
        let coming = self.coming.iter().map(|tick| Value::from(tick.as_str()));
        map.insert("next".into(), coming.collect::<Vec<_>>().into());
        map.into()
    }

    fn line(&self) -> Vec<String> {
        let timetable = &self.plan.timetable;
        let last = self.progress.as_ref().and_then(|progress| progress.last.as_ref());
        let problem = last.and_then(|last| last.problem.as_deref()).unwrap_or_default();
        vec![
            self.plan.name.to_string(),
            timetable.text().to_owned(),
            timetable.zone_name().to_owned(),
            self.plan.queue.to_string(),
            last.map(|last| last.tick.clone()).unwrap_or_default(),
            self.coming.first().cloned().unwrap_or_else(|| "never".to_owned()),
            shortened(problem, 60),
        ]
    }
}

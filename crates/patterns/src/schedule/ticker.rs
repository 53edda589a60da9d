//! The loop: looks at the clock, and enqueues what is due.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use renkei_core::{
    Error, Result, Retry,
    clock::Timestamp,
    metric,
    schedule::{SchedulePlan, Tick},
    store::{Batch, Cell, CellExpected, Refusal, Store, Verdict},
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    choice::{Choice, choose},
    journal::{TickJournal, Written, advance},
    progress::{Last, Progress, SPACE},
};
use crate::engine::Engine;

/// How long it sleeps at most: clocks are set, and then another tick is the next one.
const LOOK: Duration = Duration::from_secs(1);
/// After trouble with the store or a full queue: the first wait, doubled up to the longest.
const TROUBLE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Sees to the schedules of an engine.
pub(crate) struct Ticker {
    store: Arc<dyn Store>,
    known: IndexMap<Arc<str>, Known>,
}

/// A schedule, as this process knows it.
struct Known {
    plan: Arc<SchedulePlan>,
    stage: Stage,
    trouble: Duration,
    /// Not before, after trouble.
    not_before: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its cell was not looked at yet.
    New,
    /// Its next tick; nothing when none comes any more.
    Waiting(Option<Timestamp>),
    /// Another process has another cron expression for it.
    Theirs,
}

impl Ticker {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Ticker { store, known: IndexMap::new() }
    }

    /// Until `stop`, as the engine's config says.
    pub(crate) async fn run(
        mut self,
        mut engines: watch::Receiver<Option<Arc<Engine>>>,
        stop: CancellationToken,
    ) {
        while !stop.is_cancelled() {
            let engine = engines.borrow_and_update().clone();
            let is_idle = engine.as_ref().is_none_or(|engine| engine.schedules().is_empty());
            let wait = match &engine {
                Some(engine) => self.turn(engine).await,
                None => LOOK,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = engines.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(wait), if !is_idle => {}
            }
        }
    }

    /// Sees to what is due now, and says for how long nothing is.
    pub(super) async fn turn(&mut self, engine: &Engine) -> Duration {
        self.follow(engine);
        let mut wait = LOOK;
        for known in self.known.values_mut() {
            if known.not_before.is_none_or(|moment| moment <= Instant::now()) {
                match known.see_to(&self.store, engine).await {
                    Ok(()) => (known.trouble, known.not_before) = (TROUBLE.0, None),
                    Err(error) => known.wait_after(&error),
                }
            }
            wait = wait.min(known.wait(self.store.now()));
        }
        wait
    }

    /// Takes over what the config says. A schedule with another expression or time zone begins anew.
    fn follow(&mut self, engine: &Engine) {
        self.known.retain(|name, _| engine.schedules().iter().any(|plan| plan.name == *name));
        for plan in engine.schedules() {
            match self.known.get_mut(&plan.name) {
                Some(known) if Arc::ptr_eq(&known.plan, plan) => {}
                Some(known) => {
                    let is_same = is_same(&known.plan, plan);
                    known.plan = plan.clone();
                    if !is_same {
                        known.stage = Stage::New;
                    }
                }
                None => {
                    let known =
                        Known { plan: plan.clone(), stage: Stage::New, trouble: TROUBLE.0, not_before: None };
                    self.known.insert(plan.name.clone(), known);
                }
            }
        }
    }
}

fn is_same(one: &SchedulePlan, other: &SchedulePlan) -> bool {
    let of = |plan: &SchedulePlan| (plan.timetable.text().to_owned(), plan.timetable.zone_name().to_owned());
    of(one) == of(other)
}

impl Known {
    /// How long until it has to be seen to.
    fn wait(&self, now: Timestamp) -> Duration {
        let wait = match (self.not_before, self.stage) {
            (Some(moment), _) => moment.saturating_duration_since(Instant::now()),
            (None, Stage::New) => Duration::ZERO,
            (None, Stage::Waiting(Some(next))) => next.since(now),
            (None, Stage::Waiting(None) | Stage::Theirs) => LOOK,
        };
        wait.max(Duration::from_millis(1))
    }

    async fn see_to(&mut self, store: &Arc<dyn Store>, engine: &Engine) -> Result<()> {
        match self.stage {
            Stage::Theirs => return Ok(()),
            Stage::Waiting(next) if next.is_none_or(|next| store.now() < next) => return Ok(()),
            _ => {}
        }
        let cell = store.cell(SPACE, &self.plan.name).await?;
        let progress = cell.as_ref().map(Progress::of).transpose()?;
        match (cell, progress) {
            (Some(cell), Some(progress)) if progress.is_of(&self.plan.timetable) => {
                self.tick(store, engine, cell.version, progress).await
            }
            (Some(_), Some(progress)) if self.stage != Stage::New => {
                let (schedule, theirs) =
                    (&*self.plan.name, format!("{} {}", progress.cron, progress.timezone));
                tracing::warn!(
                    schedule,
                    theirs,
                    "another process has another `cron` for the schedule: it rules until this one begins anew"
                );
                self.stage = Stage::Theirs;
                Ok(())
            }
            (cell, _) => self.begin(store, cell).await,
        }
    }

    /// Its first tick is the next one.
    async fn begin(&mut self, store: &Arc<dyn Store>, cell: Option<Cell>) -> Result<()> {
        let now = store.now();
        let progress = Progress::new(&self.plan.timetable, now);
        let expected = cell.map_or(CellExpected::Absent, |cell| CellExpected::Version(cell.version));
        let batch = Batch::new().set(SPACE, &*self.plan.name, expected, progress.cell());
        match store.commit(batch).await? {
            Verdict::Done(_) => {
                self.stage = Stage::Waiting(self.plan.timetable.next(now).map(|tick| tick.at));
                tracing::info!(schedule = &*self.plan.name, timetable = ?self.plan.timetable, "the schedule begins");
                Ok(())
            }
            // Another process did so at the same time: its cell is read with the next turn.
            Verdict::Refused(Refusal::Cell { .. }) => Ok(()),
            Verdict::Refused(other) => Err(other.into()),
        }
    }

    /// Enqueues what is due after what is seen to already.
    async fn tick(
        &mut self,
        store: &Arc<dyn Store>,
        engine: &Engine,
        mut version: u64,
        mut progress: Progress,
    ) -> Result<()> {
        let choice = choose(&self.plan, progress.after, store.now());
        self.tell_passed(&choice);
        for tick in choice.enqueued {
            progress.after = tick.at;
            progress.last = Some(Last { tick: tick.text.clone(), message: None, problem: None });
            match self.enqueue(store, engine, version, &progress, tick).await? {
                Some(next) => version = next,
                None => return Ok(()),
            }
        }
        if let Some(upto) = choice.upto.filter(|upto| *upto > progress.after) {
            progress.after = upto;
            if write(store, &self.plan.name, version, &progress).await?.is_none() {
                return Ok(());
            }
        }
        self.stage = Stage::Waiting(self.plan.timetable.next(progress.after).map(|tick| tick.at));
        Ok(())
    }

    /// The version of the cell then; nothing when another process was first.
    async fn enqueue(
        &self,
        store: &Arc<dyn Store>,
        engine: &Engine,
        version: u64,
        progress: &Progress,
        tick: Tick,
    ) -> Result<Option<u64>> {
        let journal = Arc::new(TickJournal {
            store: store.clone(),
            schedule: self.plan.name.clone(),
            version,
            progress: progress.clone(),
            written: Default::default(),
        });
        let result = engine.tick(&self.plan, &tick, journal.clone()).await;
        let (schedule, text) = (&*self.plan.name, &*tick.text);
        let problem = match (journal.written(), result) {
            (Written::Yes(version), _) => {
                self.count("enqueued", 1);
                return Ok(Some(version));
            }
            (Written::Overtaken, _) => return Ok(None),
            // Its message is there, from before this schedule began anew.
            (Written::No, Ok(())) => None,
            (Written::No, Err(error)) if may_help(&error) => return Err(error),
            (Written::No, Err(error)) => Some(error.to_string()),
        };
        if let Some(problem) = &problem {
            self.count("failed", 1);
            tracing::error!(schedule, tick = text, "the tick has no message: {problem}");
        }
        let last = Some(Last { tick: tick.text.clone(), message: None, problem });
        write(store, &self.plan.name, version, &Progress { last, ..progress.clone() }).await
    }

    fn tell_passed(&self, choice: &Choice) {
        if choice.passed == 0 {
            return;
        }
        let (schedule, passed, more) = (&*self.plan.name, choice.passed, choice.passed_more);
        tracing::warn!(schedule, passed, more, "ticks were missed, and nothing is done for them");
        self.count("missed", passed as u64);
    }

    fn count(&self, outcome: &'static str, count: u64) {
        let schedule = self.plan.name.to_string();
        metrics::counter!(metric::SCHEDULE_TICKS.name, "schedule" => schedule, "outcome" => outcome)
            .increment(count);
    }

    fn wait_after(&mut self, error: &Error) {
        let (schedule, detail) = (&*self.plan.name, error.detail_text());
        tracing::warn!(schedule, detail, "the schedule waits: {error}");
        self.not_before = Some(Instant::now() + self.trouble);
        self.trouble = (self.trouble * 2).min(TROUBLE.1);
    }
}

/// Whether the same tick may have its message later.
fn may_help(error: &Error) -> bool {
    !matches!(error.retry_advice(), Retry::Never)
}

/// Writes how far it is. The version of the cell then; nothing when another process was first.
async fn write(
    store: &Arc<dyn Store>,
    schedule: &str,
    version: u64,
    progress: &Progress,
) -> Result<Option<u64>> {
    match store.commit(advance(Batch::new(), schedule, version, progress)).await? {
        Verdict::Done(receipt) => Ok(receipt.cells.first().copied().flatten()),
        Verdict::Refused(Refusal::Cell { .. }) => Ok(None),
        Verdict::Refused(other) => Err(other.into()),
    }
}

//! The ticker with a clock of its own, on a store in a file.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jiff::tz::TimeZone;
use renkei_core::{
    ActionContext, ActionNode, Diagnostics, PatternKind, Span, Value,
    clock::{Clock, Timestamp},
    pattern::{ActionPlan, Actions},
    queue::{Message, Queue, moment},
    run::{Committed, Journal as _},
    schedule::{Missed, SchedulePlan, Timetable},
    store::{Batch, CellExpected, JobChange, JobId, JobQuery, JobState, NewCell, NewJob, Record, Store},
    template::Names,
};
use renkei_store::sqlite::{self, SqliteStore};
use tempfile::TempDir;

use super::{
    Progress, Ticker,
    journal::{TickJournal, Written},
    progress::SPACE,
};
use crate::{
    PATTERNS,
    engine::{Engine, Options},
    enqueue, fake,
    queue::testing,
};

#[derive(Debug)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

struct House {
    store: Arc<SqliteStore>,
    hand: Arc<Hand>,
    _folder: TempDir,
}

impl House {
    async fn at(now: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let hand = Arc::new(Hand(AtomicI64::new(moment(now).unwrap().0)));
        let path = folder.path().join("renkei.db");
        let options = sqlite::Options { clock: hand.clone(), ..sqlite::Options::new(path) };
        let store = Arc::new(SqliteStore::open(options).await.unwrap());
        House { store, hand, _folder: folder }
    }

    fn set(&self, now: &str) {
        self.hand.0.store(moment(now).unwrap().0, Ordering::SeqCst);
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// A process that has just started.
    fn process(&self) -> Ticker {
        Ticker::new(self.store())
    }

    /// What the messages say, in the order in which they were enqueued.
    async fn ticks(&self) -> Vec<String> {
        let query = JobQuery { queue: "jobs".into(), state: JobState::Ready, after: None, limit: 1000 };
        let page = self.store.jobs(query).await.unwrap();
        let tick =
            |job| Message::of(job).unwrap().data.get("tick").and_then(Value::as_str).unwrap().to_owned();
        page.jobs.iter().map(tick).collect()
    }

    async fn progress(&self) -> Progress {
        Progress::read(&*self.store, "nightly").await.unwrap().unwrap()
    }
}

struct OneQueue(Arc<Queue>);

impl Actions for OneQueue {
    fn get(&self, _: &str, _: Span, _: &mut Diagnostics) -> Option<Arc<ActionPlan>> {
        None
    }

    fn queue(&self, _: &str, _: Span, _: &mut Diagnostics) -> Option<Arc<Queue>> {
        Some(self.0.clone())
    }
}

fn plan(cron: &str, zone: &str, missed: Missed, queue: Queue, data: &str) -> SchedulePlan {
    let (systems, mut d) = (Default::default(), Diagnostics::default());
    let node = fake::node(&format!(r#"{{ "jobs": {data} }}"#));
    let mut cx = ActionContext {
        systems: &systems,
        patterns: PATTERNS,
        actions: &OneQueue(Arc::new(queue)),
        names: Names::default(),
        journaled: false,
        diagnostics: &mut d,
    };
    let action = enqueue::Kind.read(&ActionNode::alone(&node), &mut cx).unwrap_or_else(|| panic!("{d:?}"));
    SchedulePlan {
        name: "nightly".into(),
        description: None,
        timetable: Timetable::parse(cron, zone, TimeZone::get(zone).unwrap()).unwrap(),
        missed,
        queue: "jobs".into(),
        action,
    }
}

const DATA: &str = r#"{ "tick": "${.tick}", "of": "${.schedule}" }"#;

fn engine_of(house: &House, plan: SchedulePlan) -> Engine {
    let engine = Engine::new(Default::default(), Vec::new(), Options::default()).unwrap();
    engine.keeping(house.store()).ticking(vec![plan])
}

fn engine(house: &House, cron: &str, missed: Missed) -> Engine {
    engine_of(house, plan(cron, "Europe/Berlin", missed, wide(), DATA))
}

/// As often as it takes until nothing is due: another process may be first several times.
async fn turn(ticker: &mut Ticker, engine: &Engine) {
    for _ in 0..20 {
        ticker.turn(engine).await;
    }
}

fn wide() -> Queue {
    Queue { max_length: 1000, ..testing::queue("jobs") }
}

#[tokio::test]
async fn a_tick_is_enqueued_when_its_time_has_come_and_not_before() {
    let house = House::at("2026-06-30T22:00:00Z").await;
    let engine = engine(&house, "0 3 * * *", Missed::Once);
    let mut ticker = house.process();
    turn(&mut ticker, &engine).await;
    house.set("2026-07-01T00:59:59.999Z");
    turn(&mut ticker, &engine).await;
    assert_eq!(house.ticks().await, Vec::<String>::new());
    house.set("2026-07-01T01:00:00Z");
    turn(&mut ticker, &engine).await;
    turn(&mut ticker, &engine).await;
    assert_eq!(house.ticks().await, ["2026-07-01T03:00:00+02:00"]);
    let last = house.progress().await.last.unwrap();
    assert_eq!((&*last.tick, last.problem), ("2026-07-01T03:00:00+02:00", None));
    let id = uuid::Uuid::parse_str(&last.message.unwrap()).unwrap();
    let job = house.store.job(JobId(id)).await.unwrap().unwrap();
    let message = Message::of(&job).unwrap();
    assert_eq!(message.data.get("of").and_then(Value::as_str), Some("nightly"));
    assert_eq!(&*message.caller.name, "schedule:nightly");
}

#[tokio::test]
async fn many_processes_enqueue_each_tick_once() {
    let house = House::at("2026-01-01T00:00:00Z").await;
    let engine = engine(&house, "* * * * * *", Missed::All(100));
    let mut processes: Vec<Ticker> = (0..8).map(|_| house.process()).collect();
    for second in 0..20 {
        house.set(&format!("2026-01-01T00:00:{second:02}Z"));
        // All see the same clock, and the same cell.
        let turns = processes.iter_mut().map(|ticker| turn(ticker, &engine));
        futures_util::future::join_all(turns).await;
    }
    let ticks = house.ticks().await;
    let expected: Vec<String> = (1..20).map(|second| format!("2026-01-01T01:00:{second:02}+01:00")).collect();
    assert_eq!(ticks, expected);
}

#[tokio::test]
async fn a_tick_that_was_enqueued_is_not_enqueued_again_by_a_new_process_even_when_its_message_is_gone() {
    let house = House::at("2026-01-01T00:00:00Z").await;
    let engine = engine(&house, "0 * * * *", Missed::All(10));
    turn(&mut house.process(), &engine).await;
    house.set("2026-01-01T01:00:00Z");
    turn(&mut house.process(), &engine).await;
    let query = JobQuery { queue: "jobs".into(), state: JobState::Ready, after: None, limit: 10 };
    let jobs = house.store.jobs(query).await.unwrap().jobs;
    assert_eq!(jobs.len(), 1);
    let gone = Batch::new().job(JobChange::Discard { job: jobs[0].id });
    house.store.commit(gone).await.unwrap().into_result().unwrap();
    house.set("2026-01-01T01:00:30Z");
    turn(&mut house.process(), &engine).await;
    assert_eq!(house.ticks().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_process_that_was_overtaken_enqueues_nothing() {
    let house = House::at("2026-01-01T00:00:00Z").await;
    let engine = engine(&house, "0 * * * *", Missed::All(10));
    let mut other = house.process();
    turn(&mut other, &engine).await;
    // What it has read of the schedule, before the other one ticks.
    let version = house.store.cell(SPACE, "nightly").await.unwrap().unwrap().version;
    let journal = TickJournal {
        store: house.store(),
        schedule: "nightly".into(),
        version,
        progress: house.progress().await,
        written: Default::default(),
    };
    house.set("2026-01-01T01:00:00Z");
    turn(&mut other, &engine).await;
    let before = house.progress().await;
    let batch = Batch::new().enqueue(NewJob::new(JobId::new(), "jobs", Record::default()));
    let committed = journal.commit("enqueue", batch, Value::Null).await.unwrap();
    assert!(matches!(committed, Committed::Before(_)), "{committed:?}");
    assert_eq!((journal.written(), house.progress().await), (Written::Overtaken, before));
    assert_eq!(house.ticks().await, ["2026-01-01T02:00:00+01:00"]);
}

#[tokio::test]
async fn what_was_missed_while_nobody_was_there_is_made_up_for_as_the_config_says() {
    for (missed, expected) in [
        (Missed::Skip, vec![]),
        (Missed::Once, vec!["2026-01-01T09:00:00+01:00"]),
        (Missed::All(2), vec!["2026-01-01T08:00:00+01:00", "2026-01-01T09:00:00+01:00"]),
    ] {
        let house = House::at("2026-01-01T00:30:00Z").await;
        let engine = engine(&house, "0 * * * *", missed);
        turn(&mut house.process(), &engine).await;
        house.set("2026-01-01T08:30:00Z");
        let mut late = house.process();
        turn(&mut late, &engine).await;
        assert_eq!(house.ticks().await, expected, "{missed:?}");
        // What is passed over is seen to as well: nobody looks at it again.
        assert_eq!(house.progress().await.after, moment("2026-01-01T08:00:00Z").unwrap(), "{missed:?}");
        // From then on as planned.
        house.set("2026-01-01T09:00:00Z");
        turn(&mut late, &engine).await;
        assert_eq!(house.ticks().await.last().unwrap(), "2026-01-01T10:00:00+01:00");
        assert_eq!(house.ticks().await.len(), expected.len() + 1, "{missed:?}");
    }
}

#[tokio::test]
async fn a_changed_cron_begins_anew_and_changed_data_does_not() {
    let house = House::at("2026-01-01T00:30:00Z").await;
    let mut ticker = house.process();
    turn(&mut ticker, &engine(&house, "0 * * * *", Missed::All(10))).await;
    house.set("2026-01-01T05:30:00Z");
    // Five ticks of the old one were missed; the new one has none yet.
    turn(&mut house.process(), &engine(&house, "15 * * * *", Missed::All(10))).await;
    assert_eq!(house.ticks().await, Vec::<String>::new());
    house.set("2026-01-01T06:15:00Z");
    let other = r#"{ "tick": "${.tick}", "of": "another" }"#;
    let changed = plan("15 * * * *", "Europe/Berlin", Missed::All(10), wide(), other);
    turn(&mut house.process(), &engine_of(&house, changed)).await;
    assert_eq!(house.ticks().await, ["2026-01-01T07:15:00+01:00"]);
    // The same process is told of another one: that begins anew at once, too.
    let house_of_one = House::at("2026-01-01T00:30:00Z").await;
    let mut one = house_of_one.process();
    turn(&mut one, &engine(&house_of_one, "0 3 * * *", Missed::All(10))).await;
    turn(&mut one, &engine(&house_of_one, "15 * * * *", Missed::All(10))).await;
    house_of_one.set("2026-01-01T01:15:00Z");
    turn(&mut one, &engine(&house_of_one, "15 * * * *", Missed::All(10))).await;
    assert_eq!(house_of_one.ticks().await, ["2026-01-01T02:15:00+01:00"]);
    // The process that was not told leaves it to those that were, and changes nothing.
    let before = house.progress().await;
    house.set("2026-01-01T07:00:00Z");
    turn(&mut ticker, &engine(&house, "0 * * * *", Missed::All(10))).await;
    assert_eq!((house.ticks().await.len(), house.progress().await), (1, before));
}

#[tokio::test]
async fn a_clock_that_is_set_back_repeats_nothing() {
    let house = House::at("2026-01-01T00:30:00Z").await;
    let engine = engine(&house, "0 * * * *", Missed::All(10));
    let mut ticker = house.process();
    turn(&mut ticker, &engine).await;
    house.set("2026-01-01T02:00:00Z");
    turn(&mut ticker, &engine).await;
    assert_eq!(house.ticks().await.len(), 2);
    house.set("2026-01-01T00:59:00Z");
    turn(&mut ticker, &engine).await;
    house.set("2026-01-01T01:00:00Z");
    turn(&mut ticker, &engine).await;
    turn(&mut house.process(), &engine).await;
    assert_eq!(house.ticks().await.len(), 2);
}

#[tokio::test]
async fn a_full_queue_keeps_its_tick_for_later_and_bad_data_lets_it_go() {
    let house = House::at("2026-01-01T00:30:00Z").await;
    let narrow = Queue { max_length: 1, ..testing::queue("jobs") };
    let engine = engine_of(&house, plan("0 * * * *", "UTC", Missed::All(10), narrow, DATA));
    let mut ticker = house.process();
    turn(&mut ticker, &engine).await;
    house.set("2026-01-01T02:00:00Z");
    ticker.turn(&engine).await;
    assert_eq!(house.ticks().await, ["2026-01-01T01:00:00+00:00"]);
    assert_eq!(house.progress().await.after, moment("2026-01-01T01:00:00Z").unwrap());
    let first = house
        .store
        .jobs(JobQuery { queue: "jobs".into(), state: JobState::Ready, after: None, limit: 1 })
        .await
        .unwrap()
        .jobs
        .remove(0);
    let gone = Batch::new().job(JobChange::Discard { job: first.id });
    house.store.commit(gone).await.unwrap().into_result().unwrap();
    turn(&mut house.process(), &engine).await;
    assert_eq!(house.ticks().await, ["2026-01-01T02:00:00+00:00"]);

    let house = House::at("2026-01-01T00:30:00Z").await;
    let bad = r#"{ "tick": "${.tick | tonumber}" }"#;
    let engine = engine_of(&house, plan("0 * * * *", "UTC", Missed::All(10), wide(), bad));
    let mut ticker = house.process();
    turn(&mut ticker, &engine).await;
    house.set("2026-01-01T01:00:00Z");
    turn(&mut ticker, &engine).await;
    let progress = house.progress().await;
    assert_eq!(progress.after, moment("2026-01-01T01:00:00Z").unwrap());
    assert!(progress.last.unwrap().problem.is_some());
}

/// The bytes of version 1, as they stand in stores.
#[tokio::test]
async fn what_version_1_wrote_is_read() {
    let house = House::at("2026-01-01T00:30:00Z").await;
    let write = async |record| {
        let cell = NewCell::new(record);
        let batch = Batch::new().set("schedule", "nightly", CellExpected::Any, cell);
        house.store.commit(batch).await.unwrap().into_result().unwrap();
    };
    let old = r#"{"cron":"0 * * * *","timezone":"UTC","after":1767225600000,"last":{"tick":"2026-01-01T00:00:00+00:00","message":"m"}}"#;
    write(Record::new(1, old)).await;
    let progress = house.progress().await;
    assert_eq!((progress.after, &*progress.cron), (moment("2026-01-01T00:00:00Z").unwrap(), "0 * * * *"));
    assert_eq!(progress.last.unwrap().message.as_deref(), Some("m"));
    write(Record::new(2, old)).await;
    assert!(
        Progress::read(&*house.store, "nightly").await.unwrap_err().to_string().contains("its form is 2")
    );
    write(Record::new(1, "{}")).await;
    assert!(
        Progress::read(&*house.store, "nightly").await.unwrap_err().to_string().contains("a part is missing")
    );
}

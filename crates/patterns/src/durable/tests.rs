mod limits;

use std::{sync::Arc, time::Duration};

use renkei_core::{
    Applied, Kind, Principal, Value,
    principal::How,
    store::{Batch, JobChange, JobState, Store},
    task::{Begun, Status, Support, Task, Tasks},
};
use renkei_store::sqlite::{self, SqliteStore};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Host, HostOptions, TaskLimits, Timeline, runs, timeline};
use crate::{
    engine::{Engine, Options},
    fake::{Bench, Ledger, Tool, context},
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_millis(400);

/// A store in a file of its own.
struct Kept {
    store: Arc<SqliteStore>,
    _folder: TempDir,
}

impl Kept {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = SqliteStore::open(sqlite::Options::new(folder.path().join("renkei.db"))).await.unwrap();
        Kept { store: Arc::new(store), _folder: folder }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// A node: an engine with the tool `t`, and a host that works for it.
    fn node(&self, tool: Tool) -> Node {
        self.node_with(tool, options())
    }

    fn node_with(&self, tool: Tool, options: HostOptions) -> Node {
        self.node_within(tool, options, TaskLimits { each: 20, ..TaskLimits::default() })
    }

    fn node_within(&self, tool: Tool, options: HostOptions, limits: TaskLimits) -> Node {
        let settings = Options { tasks: limits, ..Options::default() };
        let Bench { engine, ledger } = Bench::with(tool, settings, Duration::ZERO, 0);
        let engine = Arc::new(engine.keeping(self.store()));
        let (stop, current) = (CancellationToken::new(), engine.clone());
        let host = Host::new(self.store(), move || current.clone(), options);
        let work = tokio::spawn(host.run(stop.clone()));
        Node { engine, ledger, stop, work }
    }
}

fn options() -> HostOptions {
    HostOptions { lease: LEASE, drain: Duration::from_secs(5), ..HostOptions::default() }
}

struct Node {
    engine: Arc<Engine>,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
    work: JoinHandle<()>,
}

impl Node {
    async fn begin(&self, arguments: &str) -> Task {
        let arguments = Value::from_json(arguments.as_bytes()).unwrap();
        match self.engine.begin(context(), "t", arguments).await.unwrap() {
            Begun::Task(task) => task,
            Begun::Refused(result) => panic!("{result:?}"),
        }
    }

    /// The task when it has ended.
    async fn end(&self, task: &Task) -> Task {
        let (mut task, until) = (task.clone(), Instant::now() + PATIENCE);
        while !task.status.is_final() {
            assert!(Instant::now() < until, "{task:?}");
            task = self.engine.changed(&Principal::anonymous(), &task, until).await.unwrap();
        }
        task
    }

    /// Waits until so many calls have reached the system.
    async fn calls(&self, count: usize) {
        let until = Instant::now() + PATIENCE;
        while self.ledger.calls.lock().unwrap().len() < count {
            assert!(Instant::now() < until);
            tokio::task::yield_now().await;
        }
    }

    /// As the end of the process: nothing is ended in order.
    async fn crash(self) -> Arc<Ledger> {
        self.work.abort();
        assert!(self.work.await.unwrap_err().is_cancelled());
        self.ledger
    }

    async fn stop(self) -> Arc<Ledger> {
        self.stop.cancel();
        self.work.await.unwrap();
        self.ledger
    }
}

fn action(action: &str) -> Tool {
    Tool { action: Some(action.to_owned()), task: Support::Optional, ..Tool::default() }
}

fn text(task: &Task) -> String {
    format!("{:?}", task.result.as_ref().unwrap().content)
}

/// Two steps; the second one `does` something, and carries a key.
fn two_steps(does: &str) -> Tool {
    action(&format!(
        r#"{{ "aggregate": {{
            "a": {{ "call": {{ "crm": {{ "do": "key", "effect": "write", "value": "${{$key}}" }} }} }},
            "b": {{ "call": {{ "crm": {{ "do": "{does}", "effect": "write", "value": ["${{$key}}", "${{$a}}", "${{$now}}"] }} }} }}
        }} }}"#
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_ends_with_its_result_and_is_nobody_elses() {
    let kept = Kept::new().await;
    let node = kept.node(two_steps("value"));
    let begun = node.begin("{}").await;
    assert_eq!((begun.status, begun.result.is_none(), &*begun.tool), (Status::Working, true, "t"));
    let ended = node.end(&begun).await;
    assert_eq!(ended.status, Status::Completed, "{ended:?}");
    let result = ended.result.unwrap().structured.unwrap();
    let key = result.get("a").and_then(Value::as_str).unwrap().to_owned();
    assert!(key.ends_with("/a/call"), "{key}");
    assert_eq!(result.get("b").and_then(|b| b.at(1)), Some(&Value::from(key.as_str())));
    let other = Principal { name: "ann".into(), how: How::ApiKey, claims: Value::object() };
    for (who, id) in [(&other, &*ended.id), (&Principal::anonymous(), "0"), (&Principal::anonymous(), "")] {
        assert_eq!(node.engine.task(who, id).await.unwrap_err().kind(), Kind::NotFound);
        assert_eq!(node.engine.cancel(who, id).await.unwrap_err().kind(), Kind::NotFound);
    }
    let run = key.split('/').next().unwrap();
    let timeline = timeline(&*kept.store, run).await.unwrap();
    let kinds: Vec<&str> = timeline.entries.iter().map(|entry| &*entry.kind).collect();
    assert_eq!(
        kinds,
        [
            "run_started",
            "run_claimed",
            "step_intended",
            "step_ended",
            "step_intended",
            "step_ended",
            "run_ended"
        ]
    );
    assert_eq!(timeline.summary.outcome.as_deref(), Some("ok"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_only_what_is_not_recorded_is_done_with_the_same_key_and_time() {
    let kept = Kept::new().await;
    let first = kept.node(two_steps("hang"));
    let begun = first.begin("{}").await;
    first.calls(2).await;
    let before = first.crash().await;
    let second = kept.node(two_steps("value"));
    let ended = second.end(&begun).await;
    assert_eq!(ended.status, Status::Completed, "{ended:?}");
    let after = second.stop().await;
    let (before, after) = (before.calls.lock().unwrap(), after.calls.lock().unwrap());
    assert_eq!((before.len(), after.len()), (2, 1));
    assert_eq!(before[1].key, after[0].key);
    assert_eq!(before[1].params, after[0].params);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_in_doubt_without_a_key_is_told_and_not_repeated() {
    let kept = Kept::new().await;
    let tool = |does: &str| {
        action(&format!(
            r#"{{ "call": {{ "crm": {{ "do": "{does}", "effect": "write", "value": "x" }} }} }}"#
        ))
    };
    let first = kept.node(tool("hang"));
    let begun = first.begin("{}").await;
    first.calls(1).await;
    first.crash().await;
    let second = kept.node(tool("value"));
    let ended = second.end(&begun).await;
    let error = ended.result.as_ref().unwrap().error.clone().unwrap();
    assert_eq!((ended.status, error.was_applied()), (Status::Completed, Applied::Unknown));
    assert!(text(&ended).contains("may have happened") && text(&ended).contains("$key"), "{}", text(&ended));
    assert_eq!(second.stop().await.calls.lock().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_taken_again_where_they_were_not_recorded() {
    let kept = Kept::new().await;
    let tool =
        |does: &str| action(&format!(r#"{{ "call": {{ "crm": {{ "do": "{does}", "value": "x" }} }} }}"#));
    let first = kept.node(tool("hang"));
    let begun = first.begin("{}").await;
    first.calls(1).await;
    first.crash().await;
    let second = kept.node(tool("value"));
    assert_eq!(second.end(&begun).await.status, Status::Completed);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_does_not_go_on_with_another_definition() {
    let kept = Kept::new().await;
    let first = kept.node(two_steps("hang"));
    let begun = first.begin("{}").await;
    first.calls(2).await;
    first.crash().await;
    let changed = Tool { call: "another one", ..two_steps("value") };
    let second = kept.node(changed);
    let ended = second.end(&begun).await;
    let error = ended.result.as_ref().unwrap().error.clone().unwrap();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Conflict, Applied::Unknown));
    assert!(text(&ended).contains("was changed in the config"), "{}", text(&ended));
    assert_eq!(second.stop().await.calls.lock().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_cancelled_ends_and_frees_what_it_held() {
    let kept = Kept::new().await;
    let node = kept.node(two_steps("hang"));
    let begun = node.begin("{}").await;
    node.calls(2).await;
    let anonymous = Principal::anonymous();
    node.engine.cancel(&anonymous, &begun.id).await.unwrap();
    let ended = node.end(&begun).await;
    assert_eq!(ended.status, Status::Cancelled, "{ended:?}");
    assert_eq!(node.ledger.open.load(std::sync::atomic::Ordering::SeqCst), 0);
    // Again, and too late: nothing happens.
    node.engine.cancel(&anonymous, &begun.id).await.unwrap();
    assert_eq!(node.engine.task(&anonymous, &begun.id).await.unwrap().status, Status::Cancelled);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_lease_is_lost_stops() {
    let kept = Kept::new().await;
    let node = kept.node(two_steps("hang"));
    let begun = node.begin("{}").await;
    node.calls(2).await;
    let row = super::show_task(&*kept.store, &begun.id).await.unwrap();
    let job = renkei_core::store::JobQuery {
        queue: super::QUEUE.to_owned(),
        state: JobState::Leased,
        after: None,
        limit: 10,
    };
    let job = kept.store.jobs(job).await.unwrap().jobs.remove(0);
    kept.store
        .commit(Batch::new().job(JobChange::Discard { job: job.id }))
        .await
        .unwrap()
        .into_result()
        .unwrap();
    // Before the time of the call is over, which would end it, too.
    let until = Instant::now() + PATIENCE / 3;
    while node.ledger.open.load(std::sync::atomic::Ordering::SeqCst) > 0 {
        assert!(Instant::now() < until);
        tokio::task::yield_now().await;
    }
    let timeline = timeline(&*kept.store, &row.run).await.unwrap();
    assert_eq!(timeline.entries.last().unwrap().kind, "step_intended");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stops_leaves_its_runs_without_an_attempt_spent() {
    let kept = Kept::new().await;
    // A read hangs: nothing is under way that changes anything.
    let tool = |does: &str| {
        action(&format!(
            r#"{{ "aggregate": {{
                "a": {{ "call": {{ "crm": {{ "do": "value", "effect": "write", "value": "a" }} }} }},
                "b": {{ "call": {{ "crm": {{ "do": "{does}", "value": ["b", "${{$a}}"] }} }} }}
            }} }}"#
        ))
    };
    let first = kept.node(tool("hang"));
    let begun = first.begin("{}").await;
    first.calls(2).await;
    first.stop().await;
    let query = renkei_core::store::JobQuery {
        queue: super::QUEUE.to_owned(),
        state: JobState::Ready,
        after: None,
        limit: 10,
    };
    let jobs = kept.store.jobs(query).await.unwrap().jobs;
    assert_eq!((jobs.len(), jobs[0].attempts), (1, 0));
    let second = kept.node(tool("value"));
    assert_eq!(second.end(&begun).await.status, Status::Completed);
    assert_eq!(second.stop().await.calls.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stops_ends_its_step_and_begins_no_other() {
    let kept = Kept::new().await;
    let tool = || {
        action(
            r#"{ "aggregate": {
                "a": { "call": { "crm": { "do": "wait", "effect": "write", "value": { "id": "a", "ms": 2000 } } } },
                "b": { "needs": ["a"], "call": { "crm": { "do": "value", "effect": "write", "value": "b" } } }
            } }"#,
        )
    };
    let first = kept.node(tool());
    let begun = first.begin("{}").await;
    first.calls(1).await;
    assert_eq!(first.stop().await.calls.lock().unwrap().len(), 1);
    // What it has done is recorded: the next one does the rest.
    let second = kept.node(tool());
    assert_eq!(second.end(&begun).await.status, Status::Completed);
    assert_eq!(second.stop().await.calls.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_its_process_every_time_is_given_up() {
    let kept = Kept::new().await;
    let options = HostOptions { attempts: 1, ..options() };
    let first = kept.node_with(two_steps("hang"), options.clone());
    let begun = first.begin("{}").await;
    first.calls(2).await;
    first.crash().await;
    let second = kept.node_with(two_steps("hang"), options);
    let ended = second.end(&begun).await;
    assert!(text(&ended).contains("run_attempts"), "{}", text(&ended));
    assert_eq!(second.stop().await.calls.lock().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_that_were_given_up_stay_given_up() {
    let kept = Kept::new().await;
    let tool = |a: &str, b: &str| {
        action(&format!(
            r#"{{ "aggregate": {{
                "a": {{ "call": {{ "crm": {{ "do": "{a}", "effect": "write", "value": "${{$key}}" }} }}, "optional": true, "timeout": "50ms" }},
                "b": {{ "call": {{ "crm": {{ "do": "{b}", "effect": "write", "value": ["${{$key}}", "${{$a}}"] }} }} }}
            }} }}"#
        ))
    };
    let first = kept.node(tool("hang", "hang"));
    let begun = first.begin("{}").await;
    first.calls(2).await;
    first.crash().await;
    let second = kept.node(tool("value", "value"));
    let ended = second.end(&begun).await;
    let result = ended.result.unwrap().structured.unwrap();
    assert_eq!(result.get("a"), Some(&Value::Null), "{result:?}");
    assert_eq!(second.stop().await.calls.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_has_a_limit() {
    let kept = Kept::new().await;
    let tool = action(r#"{ "call": { "crm": { "do": "many", "effect": "write", "value": "${.count}" } } }"#);
    let node = kept.node_with(tool, HostOptions { journal_bytes: 4000, ..options() });
    let begun = node.begin(r#"{ "count": 1000 }"#).await;
    let ended = node.end(&begun).await;
    let error = ended.result.as_ref().unwrap().error.clone().unwrap();
    assert_eq!(error.was_applied(), Applied::Yes);
    assert!(text(&ended).contains("run_journal"), "{}", text(&ended));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_has_so_many_tasks_and_a_wrong_argument_makes_none() {
    let kept = Kept::new().await;
    let schema = r#"{ "type": "object", "properties": { "id": { "type": "integer" } }, "additionalProperties": false }"#;
    let node = kept.node(Tool { input: schema, ..two_steps("value") });
    let begin = async |arguments: &str| {
        let arguments = Value::from_json(arguments.as_bytes()).unwrap();
        node.engine.begin(context(), "t", arguments).await.unwrap()
    };
    let Begun::Refused(result) = begin(r#"{ "id": "one" }"#).await else { panic!() };
    assert_eq!(result.error.unwrap().kind(), Kind::Invalid);
    for _ in 0..20 {
        assert!(matches!(begin("{}").await, Begun::Task(_)));
    }
    let Begun::Refused(result) = begin("{}").await else { panic!() };
    assert_eq!(result.error.unwrap().kind(), Kind::RateLimited);
    node.stop().await;
}

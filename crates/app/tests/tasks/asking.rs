//! Tasks that ask: what is asked and answered outlives the process, and nothing is done twice because of it.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    ledger::{Ledger, PATIENCE},
    server::{Serving, renkei},
};

fn config(ledger: &Ledger) -> String {
    format!(
        "server:
  store: sqlite:renkei.db
  limits: {{ run_lease: 1s, ask_rounds: 3 }}
systems:
  ledger:
    http: {{ base_url: '{}', private: true }}
tools:
  clean:
    description: Looks, asks, and does.
    input: {{ n: integer }}
    task: optional
    aggregate:
      look: {{ call: {{ ledger: GET /look }} }}
      gone:
        needs: [look]
        ask: {{ message: 'Delete ${{.n}}?', form: {{ why: {{ type: string, minLength: 3 }} }} }}
        then: {{ call: {{ ledger: {{ post: /, body: {{ key: '${{$key}}', n: '${{$answer.why}}' }} }} }} }}
    output: '${{$gone}}'
  two:
    description: Two questions beside each other.
    task: required
    aggregate:
      a: {{ ask: a? }}
      b: {{ ask: {{ message: b?, form: {{ x: string }} }} }}
    output: '${{$b}}'
  hasty:
    description: Does not wait long.
    task: required
    ask: {{ message: Well?, timeout: 100ms }}
  first:
    description: Asks before there is a task.
    input: {{ n: integer }}
    task: required
    ask_first: true
    ask: 'Delete ${{.n}}?'
    then: {{ call: {{ ledger: {{ post: /, body: {{ key: '${{$key}}', n: '${{.n}}' }} }} }} }}
",
        ledger.url
    )
}

struct World {
    ledger: Ledger,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let ledger = Ledger::start();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("renkei.yaml"), config(&ledger)).unwrap();
        World { ledger, folder }
    }

    fn serve(&self) -> Serving {
        Serving::start(self.folder.path())
    }

    fn json(&self, words: &[&str]) -> Value {
        let (code, text) = renkei(self.folder.path(), &[words, &["--json"]].concat());
        assert_eq!(code, 0, "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

fn begin(server: &Serving, tool: &str, arguments: Value) -> String {
    let begun = server.call(tool, arguments);
    begun["result"]["taskId"].as_str().unwrap_or_else(|| panic!("{begun}")).to_owned()
}

/// The questions, as soon as there are any.
fn asked(server: &Serving, id: &str) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let task = server.task(id)["result"].clone();
        if task["status"] == "input_required" {
            return task["inputRequests"].clone();
        }
        assert!(Instant::now() < until && task["status"] == "working", "{task}");
        std::thread::yield_now();
    }
}

fn answer(server: &Serving, id: &str, responses: Value) -> Value {
    server.request("tasks/update", json!({ "taskId": id, "inputResponses": responses }), true)
}

fn accept(content: Value) -> Value {
    json!({ "action": "accept", "content": content })
}

#[test]
fn a_question_and_its_answer_go_through_restarts() {
    let world = World::new();
    let server = world.serve();
    let id = begin(&server, "clean", json!({ "n": 1 }));
    let questions = asked(&server, &id);
    assert_eq!(questions["gone"]["method"], "elicitation/create", "{questions}");
    assert_eq!(questions["gone"]["params"]["message"], "Delete 1?", "{questions}");
    let listed = world.json(&["task", "list", "--status", "input_required"]);
    assert_eq!(listed[0]["id"], json!(id));
    server.kill();

    let server = world.serve();
    assert_eq!(asked(&server, &id), questions);
    for nothing in [json!({}), json!({ "other": accept(json!({})) }), json!({ "gone": { "roots": [] } })] {
        let acknowledged = answer(&server, &id, nothing)["result"].clone();
        assert_eq!(acknowledged["resultType"], "complete");
        assert!(acknowledged["taskId"].is_null());
        assert_eq!(server.task(&id)["result"]["inputRequests"], questions);
    }
    assert_eq!(answer(&server, &id, json!({ "gone": 1 }))["error"]["code"], -32602);
    assert_eq!(answer(&server, "0123", json!({}))["error"]["code"], -32602);
    // It does not fit: asked again, under another key.
    answer(&server, &id, json!({ "gone": accept(json!({ "why": "x" })) }));
    let again = asked(&server, &id);
    assert!(again["gone#2"]["params"]["message"].as_str().unwrap().contains("why"), "{again}");
    world.ledger.hold_from(Some(2));
    answer(&server, &id, json!({ "gone#2": accept(json!({ "why": "old" })) }));
    world.ledger.wait_for(2);
    server.kill();
    world.ledger.hold_from(None);

    let server = world.serve();
    let task = server.ended(&id);
    assert_eq!(task["status"], "completed", "{task}");
    let receipt = task["result"]["structuredContent"]["receipt"].as_str().unwrap_or_else(|| panic!("{task}"));
    let effects = world.ledger.effects();
    assert_eq!(effects[receipt].0["n"], "old");
    // Cut off by the end of the process, so asked again with its key; what was read before was read once.
    assert_eq!((effects[receipt].1, effects[""].1, effects.len()), (2, 1, 2));
    assert!(answer(&server, &id, json!({ "gone#2": accept(json!({})) }))["error"].is_null());
    let shown = world.json(&["task", "show", &id]);
    let run = world.json(&["run", "show", shown["run"].as_str().unwrap()]);
    let events: Vec<_> =
        run["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    let round = ["run_asked", "run_answered", "run_claimed"];
    let expected = [
        &["run_started", "run_claimed", "step_ended"][..],
        &round,
        &round,
        &["step_intended", "run_claimed", "step_intended", "step_ended", "run_ended"],
    ];
    assert_eq!(events, expected.concat());
}

#[test]
fn a_no_ends_it_and_so_does_its_end() {
    let world = World::new();
    let server = world.serve();
    let id = begin(&server, "clean", json!({ "n": 1 }));
    asked(&server, &id);
    answer(&server, &id, json!({ "gone": { "action": "decline" } }));
    let task = server.ended(&id);
    assert_eq!((&task["status"], &task["result"]["isError"]), (&json!("completed"), &json!(true)), "{task}");
    let id = begin(&server, "clean", json!({ "n": 2 }));
    asked(&server, &id);
    server.request("tasks/cancel", json!({ "taskId": id }), true);
    let until = Instant::now() + PATIENCE;
    while server.task(&id)["result"]["status"] != "cancelled" {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    // Only what reads was done.
    assert_eq!(world.ledger.effects().into_keys().collect::<Vec<_>>(), [""]);
}

#[test]
fn questions_are_answered_one_by_one_and_wait_no_longer_than_they_may() {
    let world = World::new();
    let server = world.serve();
    let id = begin(&server, "two", json!({}));
    let keys = |questions: &Value| questions.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&asked(&server, &id)), ["a", "b"]);
    answer(&server, &id, json!({ "a": accept(json!({})) }));
    let rest = server.task(&id)["result"].clone();
    assert_eq!((&rest["status"], keys(&rest["inputRequests"])), (&json!("input_required"), vec!["b".into()]));
    answer(&server, &id, json!({ "b": accept(json!({ "x": "1" })) }));
    assert_eq!(server.ended(&id)["result"]["structuredContent"], json!({ "x": "1" }));

    let id = begin(&server, "hasty", json!({}));
    let until = Instant::now() + PATIENCE;
    let ended = loop {
        let task = server.task(&id)["result"].clone();
        if task["status"] == "completed" {
            break task;
        }
        assert!(Instant::now() < until, "{task}");
        std::thread::yield_now();
    };
    let text = ended["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("get an answer within 100ms"), "{text}");
}

#[test]
fn what_is_asked_first_is_asked_before_there_is_a_task() {
    let world = World::new();
    let server = world.serve();
    let asked = server.call("first", json!({ "n": 1 }))["result"].clone();
    assert_eq!((&asked["resultType"], &asked["taskId"]), (&json!("input_required"), &Value::Null), "{asked}");
    assert_eq!(asked["inputRequests"]["ask"]["params"]["message"], "Delete 1?", "{asked}");
    assert_eq!(world.json(&["task", "list"]), json!([]));
    let again = json!({
        "name": "first", "arguments": { "n": 1 }, "requestState": asked["requestState"],
        "inputResponses": { "ask": accept(json!({})) },
    });
    let begun = server.request("tools/call", again.clone(), true)["result"].clone();
    assert_eq!(begun["resultType"], "task", "{begun}");
    let task = server.ended(begun["taskId"].as_str().unwrap());
    assert!(task["result"]["structuredContent"]["receipt"].is_string(), "{task}");
    // Its answer holds for one task.
    assert_eq!(server.request("tools/call", again, true)["error"]["code"], -32602);
    assert_eq!(world.ledger.effects().len(), 1);
}

#[test]
fn who_knows_no_tasks_is_asked_while_the_call_waits() {
    let world = World::new();
    let server = world.serve();
    let params = json!({ "name": "clean", "arguments": { "n": 1 } });
    let asked = server.request("tools/call", params, false)["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let again = json!({
        "name": "clean", "arguments": { "n": 1 }, "requestState": asked["requestState"],
        "inputResponses": { "gone": accept(json!({ "why": "old" })) },
    });
    let done = server.request("tools/call", again, false)["result"].clone();
    assert!(done["structuredContent"]["receipt"].is_string(), "{done}");
    assert_eq!(world.json(&["task", "list"]), json!([]));
}

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
  once:
    description: Asks, and does it once for each request.
    input: {{ request: string, n: integer }}
    idempotency: ${{.request}}
    task: required
    ask: 'Pay ${{.n}}?'
    then: {{ call: {{ ledger: {{ post: /, body: {{ key: '${{$key}}', n: '${{.n}}' }} }} }} }}
  between:
    description: Does something, asks, and does the rest.
    input: {{ n: integer }}
    task: required
    aggregate:
      before: {{ call: {{ ledger: {{ post: /, body: {{ key: '${{$key}}', n: '${{.n}}' }} }} }} }}
      sure: {{ needs: [before], ask: 'Go on after ${{$before.receipt}}?' }}
      after: {{ needs: [sure], call: {{ ledger: {{ post: /, body: {{ key: '${{$key}}', n: '${{.n}}' }} }} }} }}
    output: '${{$after}}'
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

#[test]
fn a_call_that_asks_and_is_made_twice_asks_once_and_is_done_once() {
    let world = World::new();
    let server = world.serve();
    let pay = |request: &str, n: i64| json!({ "request": request, "n": n });
    let text = |task: &Value| task["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned();
    let first = begin(&server, "once", pay("a", 1));
    let questions = asked(&server, &first);
    // It is told where it is asked, and asks nothing.
    let told = |server: &Serving| {
        let second = begin(server, "once", pay("a", 1));
        let said = text(&server.ended(&second));
        assert!(said.contains(&format!("waits for an answer, in the task `{first}`")), "{said}");
    };
    told(&server);
    let other = begin(&server, "once", pay("a", 2));
    assert!(text(&server.ended(&other)).contains("was used with other arguments"));
    server.kill();
    let server = world.serve();
    told(&server);
    assert_eq!(asked(&server, &first), questions);

    // The process ends in the middle of what follows: the run finds its own key, and goes on.
    world.ledger.hold_from(Some(1));
    answer(&server, &first, json!({ "ask": accept(json!({})) }));
    world.ledger.wait_for(1);
    server.kill();
    world.ledger.hold_from(None);
    let server = world.serve();
    let done = server.ended(&first);
    let receipt = done["result"]["structuredContent"]["receipt"].clone();
    assert!(receipt.is_string(), "{done}");
    let again = begin(&server, "once", pay("a", 1));
    assert_eq!(server.ended(&again)["result"]["structuredContent"]["receipt"], receipt);
    let effects = world.ledger.effects();
    assert_eq!(
        (effects.len(), effects[receipt.as_str().unwrap()].1),
        (1, 2),
        "one effect, tried twice with its key"
    );
}

#[test]
fn a_question_that_was_given_up_does_not_keep_its_key() {
    let world = World::new();
    let server = world.serve();
    let pay = json!({ "request": "a", "n": 1 });
    let first = begin(&server, "once", pay.clone());
    asked(&server, &first);
    server.request("tasks/cancel", json!({ "taskId": first }), true);
    let until = Instant::now() + PATIENCE;
    while server.task(&first)["result"]["status"] != "cancelled" {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    let second = begin(&server, "once", pay.clone());
    asked(&server, &second);
    // A no had no effect: the same call may be made again.
    answer(&server, &second, json!({ "ask": { "action": "decline" } }));
    assert_eq!(server.ended(&second)["result"]["isError"], true);
    let third = begin(&server, "once", pay);
    asked(&server, &third);
    answer(&server, &third, json!({ "ask": accept(json!({})) }));
    assert!(server.ended(&third)["result"]["structuredContent"]["receipt"].is_string());
    assert_eq!(world.ledger.effects().len(), 1);
}

#[test]
fn what_was_done_before_a_question_is_done_once_where_there_is_a_journal() {
    let world = World::new();
    let server = world.serve();
    let id = begin(&server, "between", json!({ "n": 1 }));
    let question = asked(&server, &id)["sure"]["params"]["message"].as_str().unwrap().to_owned();
    assert_eq!(world.ledger.effects().len(), 1);
    server.kill();
    let server = world.serve();
    assert_eq!(asked(&server, &id)["sure"]["params"]["message"], question);
    answer(&server, &id, json!({ "sure": accept(json!({})) }));
    let done = server.ended(&id);
    assert!(done["result"]["structuredContent"]["receipt"].is_string(), "{done}");
    let times: Vec<usize> = world.ledger.effects().values().map(|effect| effect.1).collect();
    assert_eq!(times, [1, 1]);
    // A client that knows no tasks would begin anew: `check` refuses that, and the call is refused.
    let refused = server.request("tools/call", json!({ "name": "between", "arguments": { "n": 2 } }), false);
    assert_eq!(refused["error"]["code"], -32021, "{refused}");
    let path = world.folder.path().join("renkei.yaml");
    let config = std::fs::read_to_string(&path).unwrap();
    assert_eq!(renkei(world.folder.path(), &["check"]).0, 0);
    for word in ["optional", "never"] {
        let (head, tail) = config.split_once("  between:").unwrap();
        let tail = tail.replacen("task: required", &format!("task: {word}"), 1);
        std::fs::write(&path, format!("{head}  between:{tail}")).unwrap();
        let (code, said) = renkei(world.folder.path(), &["check"]);
        assert!(code != 0 && said.contains("may change something before the question of `sure`"), "{said}");
    }
}

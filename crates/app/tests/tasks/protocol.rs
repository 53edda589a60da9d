//! What clients and operators see of tasks.

use std::io::{BufRead as _, BufReader};

use serde_json::{Value, json};

use crate::{
    ledger::Ledger,
    server::{EXTENSION, Serving, renkei},
};

fn config(ledger: &Ledger) -> String {
    format!(
        "server:
  store: sqlite:renkei.db
  limits: {{ run_lease: 1s, task_patience: 100ms }}
  auth:
    anonymous: true
systems:
  ledger:
    http: {{ base_url: '{}', private: true }}
tools:
  effect:
    description: One effect.
    input: {{ n: integer }}
    task: optional
    call: {{ ledger: {{ post: /, body: {{ key: '${{$key}}', n: '${{.n}}' }} }} }}
  must:
    description: One effect, as a task in any case.
    input: {{ n: integer }}
    task: required
    call: {{ ledger: {{ post: /, body: {{ key: '${{$key}}', n: '${{.n}}' }} }} }}
  plain:
    description: No task.
    transform: {{ exact: 1.10 }}
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

#[test]
fn a_task_goes_through_a_restart_and_operators_see_it() {
    let world = World::new();
    let server = world.serve();
    world.ledger.hold_from(Some(1));
    let begun = server.call("effect", json!({ "n": 1 }))["result"].clone();
    assert_eq!((&begun["resultType"], &begun["status"]), (&json!("task"), &json!("working")), "{begun}");
    assert!(begun["ttlMs"].as_u64().unwrap() > 0 && begun["pollIntervalMs"].as_u64().unwrap() > 0);
    let id = begun["taskId"].as_str().unwrap().to_owned();
    world.ledger.wait_for(1);
    let task = server.task(&id)["result"].clone();
    assert_eq!((&task["resultType"], &task["status"]), (&json!("complete"), &json!("working")), "{task}");
    let listed = world.json(&["task", "list"]);
    assert_eq!((&listed[0]["id"], &listed[0]["status"]), (&json!(id), &json!("working")));
    server.kill();
    world.ledger.hold_from(None);
    let server = world.serve();
    let task = server.ended(&id);
    assert_eq!(task["status"], "completed", "{task}");
    let receipt = task["result"]["structuredContent"]["receipt"].as_str().unwrap();
    assert_eq!(world.ledger.effects()[receipt].1, 2, "asked again with the same key");
    let shown = world.json(&["task", "show", &id]);
    assert_eq!(shown["result"]["structured"]["receipt"], receipt);
    let run = world.json(&["run", "show", shown["run"].as_str().unwrap()]);
    let events: Vec<_> =
        run["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    let twice = ["run_claimed", "step_intended"];
    assert_eq!(events, [&["run_started"][..], &twice, &twice, &["step_ended", "run_ended"]].concat());
    assert_eq!(world.json(&["run", "list"])[0]["outcome"], "ok");
    let (code, table) = renkei(world.folder.path(), &["task", "list", "--status", "completed"]);
    assert!(code == 0 && table.starts_with("ID") && table.contains(&id), "{table}");
    assert_eq!(renkei(world.folder.path(), &["task", "show", "0123"]).0, 2);
    assert_eq!(renkei(world.folder.path(), &["run", "show", "0123"]).0, 2);
    assert!(server.terminate());
}

#[test]
fn who_knows_no_tasks_is_refused_or_told_where_the_result_is() {
    let world = World::new();
    let server = world.serve();
    let call = |tool: &str, arguments: Value| {
        server.request("tools/call", json!({ "name": tool, "arguments": arguments }), false)
    };
    let refused = call("must", json!({ "n": 1 }));
    assert_eq!(refused["error"]["code"], -32021, "{refused}");
    assert!(refused["error"]["data"]["requiredCapabilities"]["extensions"][EXTENSION].is_object());
    // Quick enough: as any other call.
    let quick = call("effect", json!({ "n": 2 }));
    assert_eq!(quick["result"]["isError"], json!(false), "{quick}");
    world.ledger.hold_from(Some(2));
    let slow = call("effect", json!({ "n": 3 }));
    let id = slow["result"]["structuredContent"]["task_id"]
        .as_str()
        .unwrap_or_else(|| panic!("{slow}"))
        .to_owned();
    let tools = server.request("tools/list", json!({}), false)["result"]["tools"].clone();
    assert!(tools.as_array().unwrap().iter().any(|tool| tool["name"] == "task_status"), "{tools}");
    let far = call("task_status", json!({ "task_id": id }));
    assert_eq!(far["result"]["structuredContent"]["status"], "working", "{far}");
    world.ledger.hold_from(None);
    let done = call("task_status", json!({ "task_id": id, "wait": 60 }));
    assert!(done["result"]["structuredContent"]["receipt"].is_string(), "{done}");
    for wrong in [
        json!({}),
        json!({ "task_id": 1 }),
        json!({ "task_id": id, "wait": 61 }),
        json!({ "task_id": id, "x": 1 }),
    ] {
        assert_eq!(call("task_status", wrong.clone())["result"]["isError"], json!(true), "{wrong}");
    }
    assert_eq!(call("task_status", json!({ "task_id": "0123" }))["result"]["isError"], json!(true));
    for method in ["tasks/get", "tasks/cancel"] {
        assert_eq!(server.request(method, json!({ "taskId": id }), false)["error"]["code"], -32021);
        assert_eq!(server.request(method, json!({ "taskId": "0123" }), true)["error"]["code"], -32602);
    }
    let wrong = server.call("must", json!({ "n": "one" }));
    assert_eq!(
        (&wrong["result"]["resultType"], &wrong["result"]["isError"]),
        (&json!("complete"), &json!(true))
    );
}

#[test]
fn a_task_is_cancelled_by_its_owner_and_by_the_operator() {
    let world = World::new();
    let server = world.serve();
    world.ledger.hold_from(Some(1));
    for way in ["client", "operator"] {
        let id = server.call("must", json!({ "n": 1 }))["result"]["taskId"].as_str().unwrap().to_owned();
        if way == "client" {
            let acknowledged =
                server.request("tasks/cancel", json!({ "taskId": id }), true)["result"].clone();
            assert_eq!(acknowledged["resultType"], "complete");
            assert!(acknowledged["taskId"].is_null());
        } else {
            let (code, said) = renkei(world.folder.path(), &["task", "cancel", &id]);
            assert_eq!(code, 0, "{said}");
        }
        let task = server.ended(&id);
        assert_eq!(task["status"], "cancelled", "{task}");
        assert!(task["result"].is_null() && task["error"].is_null(), "{task}");
    }
}

#[test]
fn listeners_hear_of_their_tasks() {
    let world = World::new();
    let server = world.serve();
    world.ledger.hold_from(Some(1));
    let id = server.call("effect", json!({ "n": 1 }))["result"]["taskId"].as_str().unwrap().to_owned();
    let wanted = json!({ "notifications": { "taskIds": [id, "0123"], "toolsListChanged": true } });
    let stream = server.send("subscriptions/listen", wanted, true).unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut next = || -> Value {
        let line = lines.find(|line| line.starts_with("data:") && line.contains("jsonrpc")).unwrap();
        serde_json::from_str(line.trim_start_matches("data:").trim()).unwrap()
    };
    let first = next();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
    assert_eq!(first["params"]["notifications"]["taskIds"], json!([id]), "{first}");
    let subscription = first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
    world.ledger.hold_from(None);
    loop {
        let told = next();
        assert_eq!(
            (&told["method"], &told["params"]["taskId"]),
            (&json!("notifications/tasks"), &json!(id)),
            "{told}"
        );
        assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], subscription);
        if told["params"]["status"] == "completed" {
            assert!(told["params"]["result"]["structuredContent"]["receipt"].is_string(), "{told}");
            break;
        }
    }
}

//! Two nodes on one PostgreSQL: one asks, the other takes the answer.

use renkei_testkit::postgres;
use serde_json::{Value, json};

use crate::{
    ledger::Ledger,
    server::{Serving, renkei},
};

const KEY: &str = "a key that all nodes share";

struct Nodes {
    database: postgres::Server,
    name: String,
    ledger: Ledger,
    folders: [tempfile::TempDir; 2],
}

impl Nodes {
    /// Two nodes, each with its key.
    fn new(keys: [&str; 2]) -> Self {
        let database = postgres::Server::shared();
        let name = database.new_database();
        let ledger = Ledger::start();
        let folders = keys.map(|key| {
            let folder = tempfile::tempdir().unwrap();
            let config = format!(
                "server: {{ ask_key: '{key}', store: '{}' }}
systems:
  ledger:
    http: {{ base_url: '{}', private: true }}
tools:
  clean:
    description: Asks twice, and does.
    input: {{ n: integer }}
    aggregate:
      sure: {{ ask: 'Delete ${{.n}}?' }}
      gone:
        needs: [sure]
        ask: {{ message: Why?, form: {{ why: string }} }}
        then: {{ call: {{ ledger: {{ post: /, body: {{ key: '${{$key}}', n: '${{$answer.why}}' }} }} }} }}
    output: '${{$gone}}'
",
                database.url(&name),
                ledger.url
            );
            std::fs::write(folder.path().join("renkei.yaml"), config).unwrap();
            folder
        });
        Nodes { database, name, ledger, folders }
    }

    fn serve(&self, node: usize) -> Serving {
        Serving::start(self.folders[node].path())
    }

    fn done(self) {
        self.database.drop_database(&self.name);
    }
}

fn call(node: &Serving, state: &Value, answers: Value) -> Value {
    let mut params = json!({ "name": "clean", "arguments": { "n": 3 } });
    if !state.is_null() {
        params["requestState"] = state.clone();
        params["inputResponses"] = answers;
    }
    node.request("tools/call", params, false)
}

fn accept(content: Value) -> Value {
    json!({ "action": "accept", "content": content })
}

#[test]
fn what_one_node_asks_another_one_takes_the_answer_to_and_only_once() {
    let nodes = Nodes::new([KEY, KEY]);
    let (a, b) = (nodes.serve(0), nodes.serve(1));
    let first = call(&a, &Value::Null, Value::Null)["result"].clone();
    assert_eq!(first["inputRequests"]["sure"]["params"]["message"], "Delete 3?", "{first}");
    // Each round on another node than the one before.
    let second = call(&b, &first["requestState"], json!({ "sure": accept(json!({})) }))["result"].clone();
    assert_eq!(second["inputRequests"]["gone"]["params"]["message"], "Why?", "{second}");
    let why = json!({ "gone": accept(json!({ "why": "old" })) });
    let done = call(&a, &second["requestState"], why.clone())["result"].clone();
    assert!(done["structuredContent"]["receipt"].is_string(), "{done}");
    assert_eq!(nodes.ledger.effects()[done["structuredContent"]["receipt"].as_str().unwrap()].0["n"], "old");

    // The same answer once more: on the other node, on the same one, and after a restart.
    let again = |node: &Serving| {
        let refused = call(node, &second["requestState"], why.clone());
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains("was used already"), "{refused}");
    };
    again(&b);
    again(&a);
    drop(a);
    again(&nodes.serve(0));
    assert_eq!(nodes.ledger.effects().len(), 1);
    nodes.done();
}

#[test]
fn of_the_same_answer_at_two_nodes_at_once_one_is_taken() {
    let nodes = Nodes::new([KEY, KEY]);
    let (a, b) = (nodes.serve(0), nodes.serve(1));
    for _ in 0..10 {
        let first = call(&a, &Value::Null, Value::Null)["result"]["requestState"].clone();
        let second = call(&b, &first, json!({ "sure": accept(json!({})) }))["result"]["requestState"].clone();
        let why = json!({ "gone": accept(json!({ "why": "old" })) });
        let answers = std::thread::scope(|scope| {
            let calls = [&a, &b].map(|node| scope.spawn(|| call(node, &second, why.clone())));
            calls.map(|call| call.join().unwrap())
        });
        let taken = answers.iter().filter(|answer| answer["error"].is_null()).count();
        assert_eq!(taken, 1, "{answers:?}");
    }
    assert_eq!(nodes.ledger.effects().len(), 10);
    nodes.done();
}

#[test]
fn nodes_with_different_keys_say_so_and_do_nothing() {
    let nodes = Nodes::new([KEY, "a key that is another one"]);
    let (a, b) = (nodes.serve(0), nodes.serve(1));
    let first = call(&a, &Value::Null, Value::Null)["result"].clone();
    let refused = call(&b, &first["requestState"], json!({ "sure": accept(json!({})) }));
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let text = refused["error"]["message"].as_str().unwrap();
    assert!(text.contains("`server.ask_key`") && text.contains("begin anew"), "{text}");
    // It is good for the node that asked, still.
    let second = call(&a, &first["requestState"], json!({ "sure": accept(json!({})) }))["result"].clone();
    assert_eq!(second["resultType"], "input_required", "{second}");
    assert!(nodes.ledger.effects().is_empty());
    // A key that is too short is no key.
    let config = "server: { ask_key: short }\ntools: {}\n";
    std::fs::write(nodes.folders[1].path().join("short.yaml"), config).unwrap();
    let (code, said) = renkei(nodes.folders[1].path(), &["check", "short.yaml"]);
    assert!(code != 0 && said.contains("less than 16 characters"), "{said}");
    nodes.done();
}

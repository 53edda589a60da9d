//! Two nodes on one PostgreSQL: one is stopped past its lease, and can change nothing when it is resumed.

use renkei_testkit::postgres;
use serde_json::{Value, json};

use crate::{
    ledger::Ledger,
    server::{Serving, renkei},
};

#[test]
fn a_node_that_was_stopped_past_its_lease_changes_nothing() {
    let database = postgres::Server::shared();
    let name = database.new_database();
    let ledger = Ledger::start();
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "server:
  store: '{}'
  limits: {{ run_lease: 1s }}
systems:
  ledger:
    http: {{ base_url: '{}', private: true }}
tools:
  effect:
    description: One effect.
    input: {{ n: integer }}
    task: required
    call: {{ ledger: {{ post: /, body: {{ key: '${{$key}}', n: '${{.n}}' }} }} }}
",
        database.url(&name),
        ledger.url
    );
    std::fs::write(folder.path().join("renkei.yaml"), config).unwrap();

    // The only node so far is in the middle of the step.
    let mut first = Serving::logging(folder.path(), "warn");
    ledger.hold_from(Some(1));
    let begun = first.call("effect", json!({ "n": 1 }));
    let id = begun["result"]["taskId"].as_str().unwrap_or_else(|| panic!("{begun}")).to_owned();
    ledger.wait_for(1);
    first.signal("-STOP");
    ledger.hold_from(None);
    let second = Serving::start(folder.path());
    let ended = second.ended(&id);
    let receipt =
        ended["result"]["structuredContent"]["receipt"].as_str().unwrap_or_else(|| panic!("{ended}"));
    let events = || -> Value {
        let (code, shown) = renkei(folder.path(), &["task", "show", &id, "--json"]);
        assert_eq!(code, 0, "{shown}");
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let (code, run) = renkei(folder.path(), &["run", "show", shown["run"].as_str().unwrap(), "--json"]);
        assert_eq!(code, 0, "{run}");
        serde_json::from_str::<Value>(&run).unwrap()["events"].clone()
    };
    let before = events();
    let kinds: Vec<_> =
        before.as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    let twice = ["run_claimed", "step_intended"];
    assert_eq!(kinds, [&["run_started"][..], &twice, &twice, &["step_ended", "run_ended"]].concat());

    // Now it has the answer to its own request, and the lease is somebody else's.
    first.signal("-CONT");
    first.wait_for_log("the lease of a run is lost");
    assert_eq!((events(), second.task(&id)["result"].clone()), (before, ended.clone()));
    assert_eq!(first.task(&id)["result"], ended);
    assert_eq!(ledger.effects()[receipt].1, 2, "asked again with the same key");
    // It goes on with others.
    drop(second);
    let begun = first.call("effect", json!({ "n": 2 }));
    let id = begun["result"]["taskId"].as_str().unwrap_or_else(|| panic!("{begun}"));
    assert_eq!(first.ended(id)["status"], "completed");
    drop(first);
    database.drop_database(&name);
}

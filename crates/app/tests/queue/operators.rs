//! What operators see and do.

use renkei_testkit::fault::Answer;
use serde_json::json;

use crate::{house::House, messages::config};

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_replayed_with_their_keys_or_discarded_by_filter() {
    let house = House::new(&config("order_by: '${.key}'\n    on_dead: skip")).await;
    house.ledger.on_each("/effects", |received| {
        let body: serde_json::Value = serde_json::from_slice(&received.body).unwrap();
        match body["n"].as_i64() {
            Some(1..=3) => Answer::status(422),
            _ => Answer::status(404),
        }
    });
    let server = house.serve();
    for n in 1..=6 {
        server.call("put", json!({ "n": n, "key": if n % 2 == 0 { "even" } else { "odd" } }));
    }
    house.wait_queue("jobs", |queue| queue["dead"] == 6);
    let list = |words: &[&str]| house.json(&[&["dead", "list"], words].concat()).as_array().unwrap().len();
    assert_eq!(list(&[]), 6);
    assert_eq!(list(&["jobs"]), 6);
    assert_eq!(list(&["--kind", "not_found"]), 3);
    assert_eq!(list(&["--key", "odd"]), 3);
    assert_eq!(list(&["--kind", "not_found", "--key", "odd"]), 1);
    assert_eq!(list(&["--limit", "2"]), 2);
    let table = house.run(&["dead", "list", "jobs"]);
    assert!(table.lines().count() == 7 && table.contains("not_found"), "{table}");

    // Everything needs to be asked for in words.
    let refused = house.try_run(&["dead", "replay"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--all"), "{refused:?}");

    house.ledger.on("/effects", [Answer::json("{}")]);
    let before = house.effects();
    house.run(&["dead", "replay", "jobs", "--kind", "not_found", "--rate", "1000/s"]);
    house.ledger.wait_received(before.len() + 3).await;
    house.wait_queue("jobs", |queue| queue["dead"] == 3 && queue["leased"] == 0 && queue["ready"] == 0);
    for effect in &house.effects()[before.len()..] {
        let first = before.iter().find(|first| first.body["n"] == effect.body["n"]).unwrap();
        assert_eq!((&first.key, &effect.body["attempt"]), (&effect.key, &json!(1)));
    }
    let one = house.json(&["dead", "list", "--limit", "1"])[0]["id"].as_str().unwrap().to_owned();
    let shown = house.json(&["dead", "show", &one]);
    assert_eq!((&shown["state"], &shown["errors"][0]["kind"]), (&json!("dead"), &json!("invalid")));
    house.run(&["dead", "discard", &one]);
    house.run(&["dead", "discard", "--all"]);
    assert_eq!(list(&[]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_keeps_its_messages_and_a_purged_one_loses_them() {
    let house = House::new(&config("")).await;
    let server = house.serve();
    house.run(&["queue", "pause", "jobs", "--reason", "the ledger is closed"]);
    server.wait_log(&["paused=true"]);
    for n in 0..5 {
        server.call("put", json!({ "n": n }));
    }
    let shown = house.json(&["queue", "show", "jobs"]);
    assert_eq!((&shown["ready"], &shown["paused"]["reason"]), (&json!(5), &json!("the ledger is closed")));
    let table = house.run(&["queue", "list"]);
    assert!(table.contains("jobs") && table.contains("paused"), "{table}");
    assert!(house.run(&["queue", "show", "jobs"]).contains("the ledger is closed"));
    let unknown = house.try_run(&["queue", "pause", "job"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean `jobs`"), "{unknown:?}");
    house.run(&["queue", "purge", "jobs", "--yes"]);
    assert_eq!(house.queue("jobs")["ready"], 0);
    house.run(&["queue", "resume", "jobs"]);
    server.call("put", json!({ "n": 9 }));
    house.ledger.wait_received(1).await;
    assert_eq!(house.effects()[0].body["n"], 9);
}

const TOOLS: &str = "  pause: { description: Pauses., input: { why: string }, queue_pause: { queue: jobs, reason: '${.why}' } }
  resume: { description: Goes on., queue_resume: { queue: jobs } }
  purge: { description: Empties., queue_purge: { queue: jobs, limit: 3 } }
  status: { description: Counts., queue_status: jobs }
  dead:
    description: Lists.
    input: { kind: { type: string, optional: true }, key: { type: string, optional: true } }
    dead_list: { queue: jobs, kind: '${.kind}', key: '${.key}', limit: 4 }
  letter: { description: Shows., input: { id: string }, dead_show: { queue: jobs, id: '${.id}' } }
  replay_one: { description: Replays., input: { id: string }, dead_replay: { queue: jobs, id: '${.id}' } }
  replay: { description: Replays., input: { kind: string }, dead_replay: { queue: jobs, kind: '${.kind}', limit: 2 } }
  discard: { description: Discards., input: { says: string }, dead_discard: { queue: jobs, says: '${.says}' } }
";

/// The same as with the commands, by an agent.
#[tokio::test(flavor = "multi_thread")]
async fn tools_that_a_config_declares_do_what_operators_do() {
    let with_tools =
        config("order_by: '${.key}'\n    on_dead: skip").replace("queues:\n", &format!("{TOOLS}queues:\n"));
    let house = House::new(&with_tools).await;
    house.ledger.on_each("/effects", |received| {
        let body: serde_json::Value = serde_json::from_slice(&received.body).unwrap();
        Answer::status(if body["n"].as_i64() < Some(4) { 422 } else { 404 })
    });
    let server = house.serve();
    assert_eq!(server.call("pause", json!({ "why": "it moves" }))["outcome"], "paused");
    server.wait_log(&["paused=true"]);
    for n in 1..=6 {
        server.call("put", json!({ "n": n, "key": if n % 2 == 0 { "even" } else { "odd" } }));
    }
    let status = server.call("status", json!({}));
    assert_eq!(status["paused"]["reason"], "it moves", "{status}");
    assert_eq!(server.call("resume", json!({}))["outcome"], "resumed");
    house.wait_queue("jobs", |queue| queue["dead"] == 6);

    let dead = |arguments| server.call("dead", arguments);
    let all = dead(json!({}));
    assert_eq!((all["messages"].as_array().unwrap().len(), &all["more"]), (4, &json!(true)), "{all}");
    let odd = dead(json!({ "kind": "not_found", "key": "odd" }));
    assert_eq!((odd["messages"].as_array().unwrap().len(), &odd["more"]), (1, &json!(false)), "{odd}");
    let id = odd["messages"][0]["id"].clone();
    let shown = server.call("letter", json!({ "id": id }));
    assert_eq!(
        (&shown["data"]["n"], &shown["errors"][0]["kind"]),
        (&json!(5), &json!("not_found")),
        "{shown}"
    );
    let unknown = server.refusal("letter", json!({ "id": "nothing" }));
    assert!(unknown.contains("there is no message `nothing` in the queue `jobs`"), "{unknown}");

    house.ledger.on("/effects", [Answer::json("{}")]);
    let before = house.effects();
    let one = server.call("replay_one", json!({ "id": id }));
    assert_eq!((&one["replayed"], &one["more"]), (&json!(1), &json!(false)), "{one}");
    house.ledger.wait_received(before.len() + 1).await;
    let first = before.iter().find(|effect| effect.body["n"] == 5).unwrap();
    let again = house.effects().pop().unwrap();
    assert_eq!((&again.key, &again.body["n"]), (&first.key, &json!(5)));
    house.wait_queue("jobs", |queue| queue["dead"] == 5 && queue["leased"] == 0 && queue["ready"] == 0);
    let settled = server.refusal("letter", json!({ "id": id }));
    assert!(settled.contains("there is no message"), "{settled}");
    let some = server.call("replay", json!({ "kind": "invalid" }));
    assert_eq!((&some["replayed"], &some["more"]), (&json!(2), &json!(true)), "{some}");
    house.wait_queue("jobs", |queue| queue["dead"] == 3 && queue["leased"] == 0 && queue["ready"] == 0);
    assert_eq!(server.call("replay", json!({ "kind": "timeout" }))["replayed"], 0);
    assert_eq!(server.call("discard", json!({ "says": "404" }))["discarded"], 2);
    assert_eq!(house.queue("jobs")["dead"], 1);

    server.call("pause", json!({ "why": "to be emptied" }));
    server.wait_log(&["paused=true"]);
    for n in 1..=4 {
        server.call("put", json!({ "n": n, "key": "one" }));
    }
    let purged = server.call("purge", json!({}));
    assert_eq!((&purged["removed"], &purged["more"]), (&json!(3), &json!(true)), "{purged}");
    let purged = server.call("purge", json!({}));
    assert_eq!((&purged["removed"], &purged["more"]), (&json!(1), &json!(false)), "{purged}");
    assert_eq!(house.queue("jobs")["ready"], 0);
}

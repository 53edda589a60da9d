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

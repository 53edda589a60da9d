//! Processes that stop, are stopped, and are several.

use std::collections::BTreeMap;

use renkei_testkit::fault::Answer;
use serde_json::json;

use crate::{house::House, messages::config};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_what_is_under_way_and_gives_back_the_rest() {
    let short = format!("server: {{ limits: {{ drain: 200ms }} }}\n{}", config(""));
    let house = House::new(&short).await;
    house.ledger.on("/effects", [Answer::Hang, Answer::json("{}")]);
    let mut server = house.serve();
    server.call("put", json!({ "n": 1 }));
    house.ledger.wait_received(1).await;
    server.signal("TERM");
    let (well, log) = server.wait();
    assert!(well, "{log}");
    assert!(log.contains("goes back to its queue"), "{log}");
    let queue = house.queue("jobs");
    assert_eq!((&queue["ready"], &queue["leased"]), (&json!(1), &json!(0)), "{queue}");
    // The attempt did not count.
    let _server = house.serve();
    house.ledger.wait_received(2).await;
    let effects = house.effects();
    assert_eq!(effects[1].body["attempt"], 1);
    assert_eq!(effects[0].key, effects[1].key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_says_what_becomes_of_its_work() {
    let house = House::new(&config("")).await;
    let mut worker = house.work(&[]);
    worker.signal("TERM");
    let (well, log) = worker.wait();
    assert!(well && log.contains("goes back and is taken up again"), "{log}");
    assert!(!log.contains("requests"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_a_queue_and_handle_each_message_once() {
    let house = House::new(&format!("server: {{ workers: false }}\n{}", config("order_by: '${.key}'"))).await;
    let server = house.serve();
    let (_one, _two) = (house.work(&[]), house.work(&["--queue", "jobs"]));
    for n in 0..60 {
        server.call("put", json!({ "n": n, "key": format!("k{}", n % 5) }));
    }
    house.ledger.wait_received(60).await;
    house.wait_queue("jobs", |queue| ["ready", "held", "leased"].iter().all(|state| queue[state] == 0));
    let mut by_key: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for effect in house.effects() {
        let n = effect.body["n"].as_i64().unwrap();
        by_key.entry(n % 5).or_default().push(n);
    }
    assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), 60);
    assert!(by_key.values().all(|seen| seen.is_sorted()), "{by_key:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_stopped_past_its_lease_can_change_nothing() {
    let house = House::new(&format!("server: {{ workers: false }}\n{}", config(""))).await;
    house.ledger.on("/effects", [Answer::Hang, Answer::json("{}")]);
    let server = house.serve();
    let stopped = house.work(&[]);
    server.call("put", json!({ "n": 1 }));
    house.ledger.wait_received(1).await;
    stopped.signal("STOP");
    let _other = house.work(&[]);
    house.ledger.wait_received(2).await;
    let after = house.wait_queue("jobs", |queue| queue["leased"] == 0 && queue["ready"] == 0);
    assert_eq!(after["dead"], 0);
    stopped.signal("CONT");
    stopped.wait_log(&["whoever has it now goes on"]);
    let last = house.queue("jobs");
    assert_eq!(
        ["ready", "scheduled", "leased", "dead"].map(|state| last[state].as_i64().unwrap()),
        [0, 0, 0, 0],
        "{last}"
    );
    assert_eq!(house.effects()[1].body["attempt"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_one_queue_leaves_the_others_alone() {
    let house = House::new(&config("")).await;
    let refused = house.try_run(&["work", "--queue", "job"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("did you mean `jobs`"), "{said}");
}

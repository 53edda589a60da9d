//! Messages that are handled together.

use std::collections::{BTreeMap, BTreeSet};

use renkei_testkit::fault::Answer;
use serde_json::{Value, json};

use crate::house::{Effect, House};

const TEN: &str = "lease: 2s\n    batch: { max: 10, wait: 1s }";

fn config(more: &str) -> String {
    format!(
        "tools:
  put:
    description: Puts a message.
    input: {{ n: integer, key: {{ type: string, optional: true }}, delay: {{ type: string, default: 0s }} }}
    enqueue: {{ jobs: {{ n: '${{.n}}', key: '${{.key}}' }} }}
    message: {{ delay: '${{.delay}}' }}
queues:
  jobs:
    retry: {{ attempts: 3, backoff: {{ first: 10ms, max: 20ms }} }}
    {more}
    worker:
      call:
        ledger:
          post: /effects
          effect: idempotent
          body: {{ all: '${{map(.n)}}', keys: '${{map(.key)}}', ids: '${{[$messages[].id]}}', attempts: '${{[$messages[].attempt]}}' }}
"
    )
}

fn numbers(effect: &Effect) -> Vec<i64> {
    effect.body["all"].as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect()
}

fn is_empty(queue: &Value) -> bool {
    ["ready", "scheduled", "held", "leased"].iter().all(|state| queue[state] == 0)
}

/// All are there before a worker looks.
async fn with_messages(config: &str, count: i64) -> House {
    let house = House::new(config).await;
    let server = house.serve();
    house.run(&["queue", "pause", "jobs"]);
    server.wait_log(&["paused=true"]);
    for n in 0..count {
        server.call("put", json!({ "n": n, "key": format!("k{}", n % 5) }));
    }
    drop(server);
    house.run(&["queue", "resume", "jobs"]);
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_wait_are_handled_together_in_batches_that_are_full() {
    let house = with_messages(&config(TEN), 30).await;
    let _server = house.serve();
    house.wait_queue("jobs", is_empty);
    let effects = house.effects();
    assert_eq!(effects.iter().map(|effect| numbers(effect).len()).collect::<Vec<_>>(), [10, 10, 10]);
    let all: BTreeSet<i64> = effects.iter().flat_map(numbers).collect();
    assert_eq!(all.len(), 30);
    let ids: BTreeSet<String> = effects
        .iter()
        .flat_map(|effect| effect.body["ids"].as_array().unwrap())
        .map(|id| id.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_come_one_after_the_other_wait_for_each_other() {
    let house = House::new(&config("lease: 2m\n    batch: { max: 5, wait: 50s }")).await;
    let server = house.serve();
    for n in 0..5 {
        server.call("put", json!({ "n": n }));
    }
    house.ledger.wait_received(1).await;
    assert_eq!(numbers(&house.effects()[0]), [0, 1, 2, 3, 4]);
    // What waits when the process stops goes back, and was not tried.
    server.call("put", json!({ "n": 5 }));
    house.wait_queue("jobs", |queue| queue["leased"] == 1);
    server.signal("TERM");
    house.wait_queue("jobs", |queue| queue["ready"] == 1);
    assert_eq!(house.json(&["queue", "show", "jobs"])["messages"][0]["attempt"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_does_not_fill_goes_when_its_first_message_has_waited_long_enough() {
    let house = with_messages(&config(TEN), 3).await;
    let _server = house.serve();
    house.ledger.wait_received(1).await;
    assert_eq!(numbers(&house.effects()[0]), [0, 1, 2]);
    house.wait_queue("jobs", is_empty);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_that_cannot_be_handled_takes_no_other_one_with_it() {
    let house = with_messages(&config(TEN), 10).await;
    house.ledger.on_each("/effects", |received| {
        let body: Value = serde_json::from_slice(&received.body).unwrap();
        match body["all"].as_array().unwrap().contains(&json!(7)) {
            true => Answer::status(422),
            false => Answer::json("{}"),
        }
    });
    let _server = house.serve();
    let last = house.wait_queue("jobs", is_empty);
    assert_eq!(last["dead"], 1);
    let effects = house.effects();
    assert_eq!(numbers(&effects[0]).len(), 10);
    // Each was tried again, by itself.
    let again: Vec<Vec<i64>> = effects[1..].iter().map(numbers).collect();
    assert!(again.len() == 10 && again.iter().all(|numbers| numbers.len() == 1), "{again:?}");
    assert!(effects[1..].iter().all(|effect| effect.body["attempts"] == json!([2])), "{effects:?}");
    let dead = house.json(&["dead", "list"]);
    assert_eq!(dead[0]["data"]["n"], 7);
    assert_eq!(dead[0]["errors"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_one_key_are_in_no_batch_together_and_keep_their_order() {
    let house = with_messages(&config(&format!("{TEN}\n    order_by: '${{.key}}'")), 20).await;
    let _server = house.serve();
    house.wait_queue("jobs", is_empty);
    let mut by_key: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for effect in house.effects() {
        let numbers = numbers(&effect);
        let keys: BTreeSet<i64> = numbers.iter().map(|n| n % 5).collect();
        assert_eq!(keys.len(), numbers.len(), "{numbers:?}");
        numbers.into_iter().for_each(|n| by_key.entry(n % 5).or_default().push(n));
    }
    assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), 20);
    assert!(by_key.values().all(|seen| seen.is_sorted()), "{by_key:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_lasts_longer_than_its_lease_keeps_it_and_one_whose_process_died_comes_again() {
    let house = with_messages(&config(TEN), 10).await;
    house.ledger.on("/effects", [Answer::Hang, Answer::json("{}")]);
    let mut first = house.serve();
    house.ledger.wait_received(1).await;
    // This one comes when the lease would be over, and is the next that is handled: nobody else gets the others.
    let other = house.work(&[]);
    first.call("put", json!({ "n": 99, "delay": "4s" }));
    house.ledger.wait_received(2).await;
    assert_eq!(numbers(&house.effects()[1]), [99]);
    house.wait_queue("jobs", |queue| queue["leased"] == 10 && queue["ready"] == 0);
    first.kill();
    let last = house.wait_queue("jobs", is_empty);
    drop(other);
    assert_eq!(last["dead"], 0);
    // They are tried one by one then: it was their second attempt.
    let again = &house.effects()[2..];
    assert!(again.iter().all(|effect| effect.body["attempts"] == json!([2])), "{again:?}");
    assert_eq!(again.len(), 10);
}

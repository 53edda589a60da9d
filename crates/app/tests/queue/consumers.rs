//! Agents as consumers.

use serde_json::json;

use crate::house::House;

const CONFIG: &str = "tools:
  put: { description: Puts one., input: { n: integer }, enqueue: { jobs: { n: '${.n}' } } }
  take: { description: Takes some., input: { max: { type: integer, default: 1 } }, receive: { queue: jobs, max: '${.max}' } }
  done: { description: Is done., input: { receipt: string }, ack: { queue: jobs, receipt: '${.receipt}' } }
  back:
    description: Gives one back.
    input: { receipt: string, dead: { type: boolean, default: false } }
    nack: { queue: jobs, receipt: '${.receipt}', delay: 0s, reason: not mine, dead: '${.dead}' }
  longer: { description: Keeps one., input: { receipt: string }, extend: { queue: jobs, receipt: '${.receipt}', lease: 5m } }
queues:
  jobs: { lease: 1s, retry: { attempts: 2 } }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_with_its_receiver_until_it_is_settled() {
    let house = House::new(CONFIG).await;
    let server = house.serve();
    assert_eq!(server.call("take", json!({})), json!({ "messages": [] }));
    let id = server.call("put", json!({ "n": 1 }))["id"].clone();
    let taken = server.call("take", json!({ "max": 5 }));
    let [message] = &taken["messages"].as_array().unwrap()[..] else { panic!("{taken}") };
    assert_eq!((&message["message"]["id"], &message["message"]["data"]), (&id, &json!({ "n": 1 })));
    assert_eq!(server.call("take", json!({})), json!({ "messages": [] }));
    let receipt = message["receipt"].clone();
    assert_eq!(server.call("longer", json!({ "receipt": receipt }))["outcome"], "extended");
    assert_eq!(server.call("done", json!({ "receipt": receipt })), json!({ "id": id, "outcome": "done" }));
    for tool in ["done", "back", "longer"] {
        let refusal = server.refusal(tool, json!({ "receipt": receipt }));
        assert!(refusal.contains("not good any more"), "{refusal}");
    }
    assert!(server.refusal("done", json!({ "receipt": "x" })).contains("no receipt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_comes_again_and_then_dies() {
    let house = House::new(CONFIG).await;
    let server = house.serve();
    server.call("put", json!({ "n": 1 }));
    let receipt = |taken: serde_json::Value| taken["messages"][0]["receipt"].clone();
    let first = receipt(server.call("take", json!({})));
    assert_eq!(server.call("back", json!({ "receipt": first }))["outcome"], "retry");
    house.wait_queue("jobs", |queue| queue["leased"] == 0);
    let second = receipt(server.call("take", json!({})));
    assert_ne!(first, second);
    assert_eq!(server.call("back", json!({ "receipt": second }))["outcome"], "dead");
    let dead = house.json(&["dead", "list"]);
    assert_eq!(dead[0]["errors"][1]["message"], "not mine");
    // Dead at once, if the receiver says so.
    server.call("put", json!({ "n": 2 }));
    let third = receipt(server.call("take", json!({})));
    assert_eq!(server.call("back", json!({ "receipt": third, "dead": true }))["outcome"], "dead");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ended_leaves_its_receipt_stale() {
    let house = House::new(CONFIG).await;
    let server = house.serve();
    server.call("put", json!({ "n": 1 }));
    let old = server.call("take", json!({}))["messages"][0]["receipt"].clone();
    let began = std::time::Instant::now();
    let new = loop {
        let taken = server.call("take", json!({}));
        if let Some(message) = taken["messages"].get(0) {
            break message["receipt"].clone();
        }
        assert!(began.elapsed() < crate::house::PATIENCE);
    };
    let refusal = server.refusal("done", json!({ "receipt": old }));
    assert!(refusal.contains("not good any more"), "{refusal}");
    assert_eq!(server.call("done", json!({ "receipt": new }))["outcome"], "done");
}

/// The digests are those of `password` and of `test`.
const CALLERS: &str = "server:
  auth:
    api_keys:
      - { name: ann, sha256: 5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8 }
      - { name: bob, sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_good_for_whoever_received_and_for_nobody_else() {
    let house = House::new(&format!("{CALLERS}{}", CONFIG.replace("lease: 1s", "lease: 1m"))).await;
    let server = house.serve();
    server.call_as("password", "put", json!({ "n": 1 }));
    let taken = server.call_as("password", "take", json!({}));
    let receipt = taken["structuredContent"]["messages"][0]["receipt"].clone();
    assert!(receipt.is_string(), "{taken}");
    for tool in ["done", "back", "longer"] {
        let refused = server.call_as("test", tool, json!({ "receipt": receipt }));
        assert_eq!(refused["isError"], true, "{refused}");
        assert!(refused["content"][0]["text"].as_str().unwrap().contains("not good any more"), "{refused}");
    }
    let done = server.call_as("password", "done", json!({ "receipt": receipt }));
    assert_eq!(done["structuredContent"]["outcome"], "done", "{done}");
}

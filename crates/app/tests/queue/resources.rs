//! Queues as resources.

use serde_json::{Value, json};

use crate::{house::House, messages::config};

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_says_so_can_be_read_by_an_agent() {
    let house = House::new(&config("description: Things to do.\n    resource: true")).await;
    let server = house.serve();
    house.run(&["queue", "pause", "jobs", "--reason", "the ledger is closed"]);
    server.wait_log(&["paused=true"]);
    server.call("put", json!({ "n": 1 }));
    let list = server.request("resources/list", json!({}), None);
    let listed = &list["result"]["resources"][0];
    assert_eq!((&listed["uri"], &listed["name"]), (&json!("renkei://queues/jobs"), &json!("queues/jobs")));
    assert_eq!(listed["description"], "How the queue `jobs` stands. Things to do.");
    let uri = "renkei://queues/jobs";
    let read = server.request("resources/read", json!({ "uri": uri }), Some(uri));
    let text = read["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{read}"));
    let stands: Value = serde_json::from_str(text).unwrap();
    assert_eq!((&stands["queue"], &stands["ready"]), (&json!("jobs"), &json!(1)));
    assert_eq!(stands["paused"]["reason"], "the ledger is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_does_not_say_so_is_nobodys_to_read() {
    let house = House::new(&config("")).await;
    let server = house.serve();
    let uri = "renkei://queues/jobs";
    let read = server.request("resources/read", json!({ "uri": uri }), Some(uri));
    assert!(read["error"].is_object(), "{read}");
}

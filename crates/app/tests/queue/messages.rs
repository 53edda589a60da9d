//! What becomes of messages.

use renkei_testkit::fault::Answer;
use serde_json::json;

use crate::house::House;

/// A tool `put` and its queue, whose worker writes to the ledger; `more` stands in the queue.
pub(crate) fn config(more: &str) -> String {
    format!(
        "tools:
  put:
    description: Puts a message.
    input: {{ n: integer, key: {{ type: string, optional: true }}, urgency: {{ type: integer, optional: true }} }}
    enqueue: {{ jobs: {{ n: '${{.n}}', key: '${{.key}}', urgency: '${{.urgency}}' }} }}
queues:
  jobs:
    retry: {{ attempts: 3, backoff: {{ first: 10ms, max: 20ms }} }}
    lease: 2s
    {more}
    worker:
      call:
        ledger:
          post: /effects
          headers: {{ Idempotency-Key: '${{$key}}' }}
          body: {{ n: '${{.n}}', id: '${{$message.id}}', attempt: '${{$message.attempt}}', type: '${{$message.type}}', run: '${{$run}}' }}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_durable_before_the_answer_and_handled_with_its_id_as_the_run() {
    let house = House::new(&config("")).await;
    let server = house.serve();
    let result = server.call("put", json!({ "n": 7 }));
    assert_eq!(result["queue"], "jobs");
    let id = result["id"].as_str().unwrap();
    house.ledger.wait_received(1).await;
    let effect = &house.effects()[0];
    assert_eq!(effect.key, format!("{id}/call"));
    assert_eq!(
        effect.body,
        json!({ "n": 7, "id": id, "attempt": 1, "type": "renkei.queue.jobs", "run": id })
    );
    house.wait_queue("jobs", |queue| queue["ready"] == 0 && queue["leased"] == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_repeat_may_mend_is_tried_again_with_the_same_key() {
    let house = House::new(&config("")).await;
    house.ledger.on("/effects", [Answer::status(503), Answer::status(503), Answer::json("{}")]);
    let server = house.serve();
    server.call("put", json!({ "n": 1 }));
    house.ledger.wait_received(3).await;
    let effects = house.effects();
    assert!(effects.iter().all(|effect| effect.key == effects[0].key), "{effects:?}");
    let attempts: Vec<_> = effects.iter().map(|effect| effect.body["attempt"].as_i64().unwrap()).collect();
    assert_eq!(attempts, [1, 2, 3]);
    house.wait_queue("jobs", |queue| queue["leased"] == 0 && queue["dead"] == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_attempts_are_used_up_is_a_dead_letter_with_its_history() {
    let house = House::new(&config("")).await;
    house.ledger.on("/effects", [Answer::status(503)]);
    let server = house.serve();
    let id = server.call("put", json!({ "n": 1 }))["id"].clone();
    house.wait_queue("jobs", |queue| queue["dead"] == 1);
    assert_eq!(house.effects().len(), 3);
    let dead = house.json(&["dead", "list"]);
    assert_eq!(dead[0]["id"], id);
    assert_eq!(dead[0]["data"]["n"], 1);
    let errors = dead[0]["errors"].as_array().unwrap();
    let kinds: Vec<_> = errors.iter().map(|error| (&error["attempt"], &error["kind"])).collect();
    assert_eq!(
        kinds,
        [1, 2, 3].map(|n| (json!(n), json!("unavailable"))).iter().map(|(a, b)| (a, b)).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_one_key_are_handled_in_order_and_a_dead_one_blocks_or_not() {
    for (on_dead, order) in [("block", vec![1, 2, 3]), ("skip", vec![1, 2, 3])] {
        let house = House::new(&config(&format!("order_by: '${{.key}}'\n    on_dead: {on_dead}"))).await;
        let broken = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap()["n"] == 1;
        house.ledger.on_each("/effects", move |received| match broken(&received.body) {
            true => Answer::status(422),
            false => Answer::json("{}"),
        });
        let server = house.serve();
        let first = server.call("put", json!({ "n": 1, "key": "a" }))["id"].as_str().unwrap().to_owned();
        for n in [2, 3] {
            server.call("put", json!({ "n": n, "key": "a" }));
        }
        server.call("put", json!({ "n": 4, "key": "b" }));
        if on_dead == "block" {
            house
                .wait_queue("jobs", |queue| queue["dead"] == 1 && queue["held"] == 2 && queue["leased"] == 0);
            assert!(house.effects().iter().all(|effect| effect.body["n"] == 1 || effect.body["n"] == 4));
            house.run(&["dead", "discard", &first]);
        }
        house.wait_queue("jobs", |queue| queue["held"] == 0 && queue["ready"] == 0 && queue["leased"] == 0);
        let of_a = house.effects().into_iter().filter(|effect| effect.body["n"] != 4);
        assert_eq!(
            of_a.map(|effect| effect.body["n"].as_i64().unwrap()).collect::<Vec<_>>(),
            order,
            "{on_dead}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_message_joins_an_unfinished_one_with_its_key_or_is_refused() {
    let house = House::new(&config("unique: '${.key}'")).await;
    let server = house.serve();
    house.run(&["queue", "pause", "jobs"]);
    server.wait_log(&["paused=true"]);
    let first = server.call("put", json!({ "n": 1, "key": "a" }));
    let second = server.call("put", json!({ "n": 2, "key": "a" }));
    assert_eq!((&second["id"], &second["joined"]), (&first["id"], &json!(true)));
    assert!(server.call("put", json!({ "n": 3, "key": "b" }))["joined"].is_null());
    // Without a key a message is like no other.
    assert_ne!(server.call("put", json!({ "n": 4 }))["id"], server.call("put", json!({ "n": 4 }))["id"]);
    house.write(&config("unique: { key: '${.key}', on_taken: refuse }"));
    server.wait_log(&["the changed config is served"]);
    let refusal = server.refusal("put", json!({ "n": 5, "key": "a" }));
    assert!(refusal.contains("unique key `a`"), "{refusal}");
    house.run(&["queue", "resume", "jobs"]);
    house.ledger.wait_received(4).await;
    house.wait_queue("jobs", |queue| queue["ready"] == 0 && queue["leased"] == 0);
    // Who is finished has let go of it.
    assert!(server.call("put", json!({ "n": 6, "key": "a" }))["joined"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_what_waits_is_taken_by_priority() {
    let house =
        House::new(&config("max_length: 3\n    concurrency: 1\n    priority: '${.urgency // 0}'")).await;
    let server = house.serve();
    house.run(&["queue", "pause", "jobs"]);
    server.wait_log(&["paused=true"]);
    for (n, urgency) in [(1, 0), (2, 9), (3, -9)] {
        server.call("put", json!({ "n": n, "urgency": urgency }));
    }
    let refusal = server.refusal("put", json!({ "n": 4 }));
    assert!(refusal.contains("at most 3"), "{refusal}");
    let refusal = server.refusal("put", json!({ "n": 4, "urgency": 100_000 }));
    assert!(refusal.contains("-32768 to 32767"), "{refusal}");
    house.run(&["queue", "resume", "jobs"]);
    house.ledger.wait_received(3).await;
    let order: Vec<_> = house.effects().iter().map(|effect| effect.body["n"].as_i64().unwrap()).collect();
    assert_eq!(order, [2, 1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_waited_too_long_is_dead_and_was_never_tried() {
    let house = House::new(&config("ttl: 1s")).await;
    let server = house.serve();
    house.run(&["queue", "pause", "jobs"]);
    server.wait_log(&["paused=true"]);
    server.call("put", json!({ "n": 1 }));
    // Goes on after a second of the store's clock has passed: the pause is over when the message is too old.
    let began = std::time::Instant::now();
    while began.elapsed() < std::time::Duration::from_millis(1_100) {
        house.queue("jobs");
    }
    house.run(&["queue", "resume", "jobs"]);
    house.wait_queue("jobs", |queue| queue["dead"] == 1);
    assert_eq!(house.json(&["dead", "list", "--kind", "expired"])[0]["cause"], "expired");
    assert!(house.effects().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_may_enqueue_and_its_attempts_make_one_message() {
    let text = "tools:
  put: { description: Puts one., input: { n: integer }, enqueue: { first: { n: '${.n}' } } }
queues:
  first:
    retry: { attempts: 5, backoff: { first: 10ms, max: 10ms } }
    worker:
      aggregate:
        handed: { enqueue: { second: { n: '${.n}' } } }
        effect:
          needs: [handed]
          call: { ledger: { post: /first, headers: { Idempotency-Key: '${$key}' }, body: { n: '${.n}' } } }
  second:
    worker: { call: { ledger: { post: /second, headers: { Idempotency-Key: '${$key}' }, body: { n: '${.n}' } } } }
";
    let house = House::new(text).await;
    house.ledger.on("/first", [Answer::status(503), Answer::status(503), Answer::json("{}")]);
    let server = house.serve();
    house.run(&["queue", "pause", "second"]);
    server.wait_log(&["paused=true"]);
    server.call("put", json!({ "n": 1 }));
    house.ledger.wait_received(3).await;
    house.wait_queue("first", |queue| queue["leased"] == 0 && queue["ready"] == 0 && queue["scheduled"] == 0);
    assert_eq!(house.queue("second")["ready"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_config_changes_the_queues_without_a_restart() {
    let house = House::new(&config("")).await;
    let server = house.serve();
    server.call("put", json!({ "n": 1 }));
    house.ledger.wait_received(1).await;
    house.write(&config("").replace("/effects", "/elsewhere"));
    server.wait_log(&["the changed config is served"]);
    server.call("put", json!({ "n": 2 }));
    house.ledger.wait_received(2).await;
    assert_eq!(house.ledger.received()[1].path(), "/elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_input_of_its_queue_is_refused_before_it_is_kept() {
    let strict = config("input: { n: integer, key: { type: string, maxLength: 3, optional: true } }");
    let strict = strict.replace("key: '${.key}', urgency: '${.urgency}'", "key: '${.key}'");
    let house = House::new(&strict).await;
    let server = house.serve();
    let refusal = server.refusal("put", json!({ "n": 1, "key": "too long" }));
    assert!(refusal.contains("key"), "{refusal}");
    server.call("put", json!({ "n": 2, "key": "ok" }));
    house.ledger.wait_received(1).await;
    house.wait_queue("jobs", |queue| queue["ready"] == 0 && queue["leased"] == 0 && queue["dead"] == 0);
    assert_eq!(house.effects().iter().map(|effect| effect.body["n"].clone()).collect::<Vec<_>>(), [json!(2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_lets_one_begin_and_the_others_wait() {
    let house = House::new(&config("rate: 1/h")).await;
    let server = house.serve();
    for n in 0..3 {
        server.call("put", json!({ "n": n }));
    }
    house.wait_queue("jobs", |queue| queue["ready"] == 2 && queue["leased"] == 0);
    assert_eq!(house.effects().len(), 1);
}

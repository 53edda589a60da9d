//! A call that is made twice is done once.

use renkei_testkit::fault::Answer;
use serde_json::{Value, json};

use crate::house::{House, PATIENCE};

const CONFIG: &str = "tools:
  pay:
    description: Pays.
    input: { request: { type: string, optional: true }, amount: integer }
    idempotency: ${.request}
    timeout: 1s
    call: { ledger: { post: /effects, body: { amount: '${.amount}' } } }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_second_call_with_the_same_key_has_the_outcome_of_the_first() {
    let house = House::new(CONFIG).await;
    house.ledger.on("/effects", [Answer::json(r#"{"receipt":1}"#), Answer::json(r#"{"receipt":2}"#)]);
    let server = house.serve();
    let pay = json!({ "request": "a", "amount": 5 });
    assert_eq!(server.call("pay", pay.clone()), json!({ "receipt": 1 }));
    assert_eq!(server.call("pay", pay.clone()), json!({ "receipt": 1 }));
    let refusal = server.refusal("pay", json!({ "request": "a", "amount": 6 }));
    assert!(refusal.contains("was used with other arguments"), "{refusal}");
    assert_eq!(house.effects().len(), 1);
    // It is known after a restart, too.
    drop(server);
    let server = house.serve();
    assert_eq!(server.call("pay", pay), json!({ "receipt": 1 }));
    // Without a key a call is like no other.
    for _ in 0..2 {
        assert_eq!(server.call("pay", json!({ "amount": 5 })), json!({ "receipt": 2 }));
    }
    assert_eq!(house.effects().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_had_no_effect_may_be_tried_again() {
    let house = House::new(CONFIG).await;
    house.ledger.on("/effects", [Answer::status(422), Answer::json(r#"{"receipt":1}"#)]);
    let server = house.serve();
    let pay = json!({ "request": "a", "amount": 5 });
    server.refusal("pay", pay.clone());
    assert_eq!(server.call("pay", pay), json!({ "receipt": 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_beside_the_first_waits_for_it_and_what_is_unknown_stays_unknown() {
    let house = House::new(CONFIG).await;
    house.ledger.on("/effects", [Answer::Hang]);
    let server = house.serve();
    let pay = json!({ "request": "a", "amount": 5 });
    let said: Vec<String> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..3).map(|_| scope.spawn(|| server.refusal("pay", pay.clone()))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(house.effects().len(), 1, "{said:?}");
    let after = server.refusal("pay", pay);
    assert!(after.contains("unknown") || after.contains("may have"), "{after}");
    assert_eq!(house.effects().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_the_intent_and_the_outcome_is_told_and_not_repeated() {
    let house = House::new(CONFIG).await;
    house.ledger.on("/effects", [Answer::Hang, Answer::json("{}")]);
    let mut server = house.serve();
    let pay = json!({ "request": "a", "amount": 5 });
    std::thread::scope(|scope| {
        let call = scope.spawn(|| server.try_call("pay", pay.clone()));
        while house.effects().is_empty() {
            std::thread::yield_now();
        }
        server.signal("KILL");
        call.join().unwrap().unwrap_err();
    });
    server.kill();
    let server = house.serve();
    let began = std::time::Instant::now();
    let said = loop {
        let answer: Value = server.try_call("pay", pay.clone()).unwrap();
        let text = answer["result"]["content"][0]["text"].as_str().unwrap().to_owned();
        if text.contains("was cut off") {
            break text;
        }
        assert!(text.contains("still under way") && began.elapsed() < PATIENCE, "{text}");
    };
    assert!(said.contains("unknown"), "{said}");
    assert_eq!(house.effects().len(), 1);
}

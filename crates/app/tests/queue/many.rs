//! Many messages wait: the process does not grow with them.

use std::{sync::Arc, time::Instant};

use renkei_core::{
    Principal, Value,
    queue::Message,
    store::{Batch, JobId, NewJob, Store},
};
use renkei_store::sqlite::{Options, SqliteStore};

use crate::house::{House, number};

/// So many in CI; `RENKEI_MESSAGES` says another number, such as 1000000.
const MESSAGES: u64 = 30_000;
const BYTES: usize = 2_000;
/// Of which so many are handled.
const HANDLED: usize = 300;
/// What the process may need more, in kilobytes. In CI, all messages have twice as much.
const MORE: u64 = 30_000;

const CONFIG: &str = "queues:
  jobs:
    max_length: 10000000
    worker: { call: { ledger: { post: /effects, effect: idempotent, body: { n: '${.n}' } } } }
";

async fn fill(house: &House, count: u64) {
    let path = house.config().with_file_name("renkei.db");
    let store = SqliteStore::open(Options::new(path)).await.unwrap();
    let filling = "x".repeat(BYTES);
    let job = |n: u64| {
        let data = Value::from([("n", Value::from(n)), ("filling", filling.as_str().into())]);
        let message =
            Message { data, caller: Arc::new(Principal::anonymous()), traceparent: None, run: None };
        NewJob { headers: message.headers(), ..NewJob::new(JobId::new(), "jobs", message.record()) }
    };
    let mut first = 0;
    while first < count {
        let next = (first + 1_000).min(count);
        let batch = (first..next).fold(Batch::new(), |batch, n| batch.enqueue(job(n)));
        store.commit(batch).await.unwrap().into_result().unwrap();
        first = next;
    }
    store.close().await;
}

/// The most memory that the process needed, in kilobytes.
#[expect(clippy::print_stdout, reason = "the figures of a long run")]
async fn most_with(count: u64) -> u64 {
    let house = House::new(CONFIG).await;
    fill(&house, count).await;
    let began = Instant::now();
    let server = house.serve();
    house.ledger.wait_received(HANDLED).await;
    let most = server.most_memory();
    println!("{count} messages: {HANDLED} handled after {:?}, {most} kB", began.elapsed());
    drop(server);
    // The oldest first.
    let mut seen: Vec<i64> =
        house.effects().iter().map(|effect| effect.body["n"].as_i64().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen[..200], (0..200).collect::<Vec<i64>>());
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_does_not_grow_with_the_messages_that_wait() {
    let few = most_with(1_000).await;
    let many = most_with(number("RENKEI_MESSAGES", MESSAGES)).await;
    assert!(many < few + MORE, "{few} kB with few messages, {many} kB with many");
}

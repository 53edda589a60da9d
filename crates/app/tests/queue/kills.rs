//! The process is killed, again and again, while it works.

use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex},
};

use serde_json::json;

use crate::house::{House, PATIENCE, Process, number};

/// So often in CI. `RENKEI_KILLS` says another number, `RENKEI_SEED` another seed.
const KILLS: u64 = 15;
pub(crate) const PRODUCERS: i64 = 4;

/// Each producer has a key of its own, and sends the next number only when the one before was acknowledged.
pub(crate) const CONFIG: &str = "tools:
  put:
    description: Puts a message.
    input: { key: integer, n: integer }
    enqueue: { jobs: { key: '${.key}', n: '${.n}' } }
queues:
  jobs:
    order_by: ${.key}
    lease: 1s
    concurrency: 16
    retry: { attempts: 1000, backoff: { first: 10ms, max: 50ms } }
    worker:
      call:
        ledger:
          post: /effects
          headers: { Idempotency-Key: '${$key}' }
          body: { id: '${$message.id}', key: '${.key}', n: '${.n}' }
";

/// What was acknowledged: by id, the key and the number.
#[derive(Default)]
pub(crate) struct Acknowledged {
    pub(crate) by_id: Mutex<BTreeMap<String, (i64, i64)>>,
    more: Condvar,
}

impl Acknowledged {
    pub(crate) fn add(&self, id: &str, what: (i64, i64)) {
        self.by_id.lock().unwrap().insert(id.to_owned(), what);
        self.more.notify_all();
    }

    pub(crate) fn count(&self) -> usize {
        self.by_id.lock().unwrap().len()
    }

    pub(crate) fn wait_for(&self, count: usize) {
        let by_id = self.by_id.lock().unwrap();
        let (by_id, waited) =
            self.more.wait_timeout_while(by_id, PATIENCE, |by_id| by_id.len() < count).unwrap();
        assert!(!waited.timed_out(), "{} of {count} were acknowledged", by_id.len());
    }
}

/// Splitmix64: enough to choose moments.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_was_acknowledged_is_lost_however_often_the_process_is_killed() {
    let (kills, seed) = (number("RENKEI_KILLS", KILLS), number("RENKEI_SEED", 1));
    let mut random = Random(seed);
    let house = House::new(CONFIG).await;
    let acknowledged = Acknowledged::default();
    let next: Vec<Mutex<i64>> = (0..PRODUCERS).map(|_| Mutex::new(0)).collect();
    for _ in 0..kills {
        let mut server = house.serve();
        // The workers are at any point of their work when so many more are acknowledged.
        let until = acknowledged.count() + random.below(60) as usize;
        std::thread::scope(|scope| {
            for (key, next) in next.iter().enumerate() {
                let (server, acknowledged) = (&server, &acknowledged);
                scope.spawn(move || produce(server, key as i64, next, acknowledged));
            }
            acknowledged.wait_for(until);
            server.signal("KILL");
        });
        server.kill();
    }
    let server = house.serve();
    let last = house.wait_queue("jobs", |queue| {
        ["ready", "scheduled", "held", "leased"].iter().all(|state| queue[state] == 0)
    });
    drop(server);
    assert_eq!(last["dead"], 0, "seed {seed}: {last}");
    judge(&house, &acknowledged.by_id.into_inner().unwrap(), seed);
}

/// Until the server is gone.
fn produce(server: &Process, key: i64, next: &Mutex<i64>, acknowledged: &Acknowledged) {
    let mut n = next.lock().unwrap();
    // Without an answer nobody knows: the same number goes out again.
    while let Ok(answer) = server.try_call("put", json!({ "key": key, "n": *n })) {
        let id = answer["result"]["structuredContent"]["id"].as_str();
        acknowledged.add(id.unwrap_or_else(|| panic!("{answer}")), (key, *n));
        *n += 1;
    }
}

#[expect(clippy::print_stdout, reason = "the figures of a long run")]
pub(crate) fn judge(house: &House, acknowledged: &BTreeMap<String, (i64, i64)>, seed: u64) {
    let effects = house.effects();
    let mut seen: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    let mut last: BTreeMap<i64, i64> = BTreeMap::new();
    for effect in &effects {
        let id = effect.body["id"].as_str().unwrap();
        let (key, n) = (effect.body["key"].as_i64().unwrap(), effect.body["n"].as_i64().unwrap());
        assert_eq!(effect.key, format!("{id}/call"), "seed {seed}: a repeat carries another key");
        assert_eq!(*seen.entry(id).or_insert((key, n)), (key, n), "seed {seed}: one id, two messages");
        let before = last.insert(key, n).unwrap_or(n);
        assert!(before <= n, "seed {seed}: {n} of the key {key} came after {before}");
    }
    for (id, what) in acknowledged {
        assert_eq!(seen.get(&**id), Some(what), "seed {seed}: {id} was acknowledged and is lost");
    }
    assert!(!acknowledged.is_empty(), "seed {seed}: nothing was acknowledged");
    println!(
        "seed {seed}: {} acknowledged, {} messages, {} effects",
        acknowledged.len(),
        seen.len(),
        effects.len()
    );
}

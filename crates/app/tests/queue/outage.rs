//! The store's database is killed, again and again, while messages are enqueued and handled.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use renkei_testkit::postgres;
use serde_json::json;

use crate::{
    house::{House, Process, number},
    kills::{Acknowledged, CONFIG, PRODUCERS, Random, judge},
};

/// So often in CI. `RENKEI_OUTAGES` says another number, `RENKEI_SEED` another seed.
const OUTAGES: u64 = 3;
/// So many more are acknowledged between two of them, at least.
const BETWEEN: usize = 20;
const TROUBLE: &str = "no message can be claimed";
/// So often does a queue try at most while the database is away: it waits longer each time.
const TRIES: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_was_acknowledged_is_lost_however_often_the_database_is_killed() {
    let (outages, seed) = (number("RENKEI_OUTAGES", OUTAGES), number("RENKEI_SEED", 1));
    let mut random = Random(seed);
    // What was committed is in the hands of the operating system, which goes on.
    let mut database = postgres::Server::private(&["synchronous_commit=on"]);
    let name = database.new_database();
    let house = House::new(&format!("server: {{ store: '{}' }}\n{CONFIG}", database.url(&name))).await;
    // One process all the time: it has to find back by itself.
    let mut server = house.serve();
    let (acknowledged, over) = (Acknowledged::default(), AtomicBool::new(false));
    let refused = Mutex::new(0_u64);
    std::thread::scope(|scope| {
        for key in 0..PRODUCERS {
            let (server, acknowledged, over, refused) = (&server, &acknowledged, &over, &refused);
            scope.spawn(move || produce(server, key, (acknowledged, over), refused));
        }
        for _ in 0..outages {
            acknowledged.wait_for(acknowledged.count() + BETWEEN + random.below(60) as usize);
            let noticed = server.log().matches(TROUBLE).count();
            database.kill();
            server.wait_log_times(TROUBLE, noticed + 2);
            database.start();
        }
        acknowledged.wait_for(acknowledged.count() + BETWEEN);
        over.store(true, Ordering::SeqCst);
    });
    let last = house.wait_queue("jobs", |queue| {
        ["ready", "scheduled", "held", "leased"].iter().all(|state| queue[state] == 0)
    });
    assert_eq!(last["dead"], 0, "seed {seed}: {last}");
    judge(&house, &acknowledged.by_id.into_inner().unwrap(), seed);
    server.signal("TERM");
    let (well, log) = server.wait();
    assert!(well, "{log}");
    assert!(!log.contains("panicked"), "{log}");
    let tries = log.matches(TROUBLE).count();
    assert!(tries <= TRIES * outages as usize, "{tries} tries in {outages} outages");
    println!(
        "seed {seed}: {outages} outages, {tries} tries, {} calls refused",
        refused.into_inner().unwrap()
    );
}

/// Until it is over. A call that fails was not acknowledged: the same number goes out again.
fn produce(
    server: &Process,
    key: i64,
    (acknowledged, over): (&Acknowledged, &AtomicBool),
    refused: &Mutex<u64>,
) {
    let mut n = 0;
    while !over.load(Ordering::SeqCst) {
        let answer = server.try_call("put", json!({ "key": key, "n": n })).unwrap();
        match answer["result"]["structuredContent"]["id"].as_str() {
            Some(id) => {
                acknowledged.add(id, (key, n));
                n += 1;
            }
            None => {
                assert_eq!(answer["result"]["isError"], true, "{answer}");
                *refused.lock().unwrap() += 1;
            }
        }
    }
}

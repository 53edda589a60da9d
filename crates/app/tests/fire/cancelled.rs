//! Many calls, of which every third is given up: afterwards nothing of them is left – no task, no connection, no file, no
//! thread, no statement in a database – and the memory is what it was.
//!
//! `RENKEI_FIRE_CALLS` is how many, two thousand unless it is set.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use renkei_testkit::{
    fault::{Answer, FaultServer},
    postgres::Server,
};
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::serving::{PATIENCE, Serving, answer};

const CALLERS: usize = 12;
/// More than there are callers, so that who hangs holds up nobody.
const CONNECTIONS: usize = 16;
/// What memory may have grown by, for thousands of calls that would leave some ten kilobytes each.
const GROWTH: usize = 24 << 20;

fn config(api: &str, socket: &str, port: u16, database: &str) -> String {
    format!(
        r#"
systems:
  api: {{ http: {{ base_url: '{api}', private: true, max_body: 200MB }} }}
  lite: {{ sqlite: {{ path: lite.db, create: true }} }}
  pg: {{ postgres: {{ host: {socket}, port: {port}, user: postgres, database: {database}, max_connections: {CONNECTIONS}, statement_timeout: 1h }} }}
tools:
  api: {{ description: Answers., call: {{ api: GET /quick }} }}
  lite: {{ description: Answers., call: {{ lite: select 1 as one }} }}
  pg: {{ description: Answers., call: {{ pg: select 1 as one }} }}
  api_hangs: {{ description: Does not answer., call: {{ api: GET /hang }} }}
  api_trickles: {{ description: Does not end., call: {{ api: GET /trickle }} }}
  lite_hangs:
    description: Counts for ever.
    call: {{ lite: 'with recursive n (i) as (select 1 union all select i + 1 from n) select count(*) as n from n' }}
  pg_hangs: {{ description: Sleeps., call: {{ pg: 'select count(*) as n from pg_sleep(3600)' }} }}
  pg_changes:
    description: Writes and sleeps.
    call: {{ pg: {{ transaction: ['insert into t values (1)', {{ sql: 'select count(*) as n from pg_sleep(3600)' }}] }} }}
  all_hang:
    description: Asks everybody.
    aggregate:
      one: {{ call: {{ api: GET /hang }} }}
      two: {{ call: {{ pg: 'select count(*) as n from pg_sleep(3600)' }} }}
"#
    )
}

const QUICK: [&str; 3] = ["api", "lite", "pg"];
const SLOW: [&str; 6] = ["api_hangs", "lite_hangs", "pg_hangs", "api_trickles", "pg_changes", "all_hang"];

#[expect(clippy::disallowed_methods, reason = "how long a test takes is no part of the config")]
fn calls() -> usize {
    std::env::var("RENKEI_FIRE_CALLS").map_or(2_000, |calls| calls.parse().unwrap())
}

/// Makes so many calls; each third one is dropped with its connection: at once, or after another call.
async fn run(serving: &Arc<Serving>, calls: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (serving, next) = (serving.clone(), next.clone());
        callers.spawn(async move {
            let mut stream = serving.connect().await;
            let mut given_up = None;
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= calls {
                    return;
                }
                let (third, place) = (number % 3 == 0, number / 3);
                if third {
                    let mut other = serving.connect().await;
                    let request = serving.request(SLOW[place % SLOW.len()], &json!({}));
                    other.write_all(request.as_bytes()).await.unwrap();
                    given_up = (place % 2 == 0).then_some(other);
                    continue;
                }
                let tool = QUICK[place % QUICK.len()];
                stream.write_all(serving.request(tool, &json!({})).as_bytes()).await.unwrap();
                let result = timeout(PATIENCE, answer(&mut stream)).await.expect("it hangs");
                assert_eq!(result["isError"], false, "{tool}: {result}");
                drop(given_up.take());
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_given_up_leave_nothing() {
    let server = Server::shared();
    let database = server.new_database();
    server.run(&database, "create table t (a integer)");
    let api = FaultServer::start().await;
    api.on("/hang", [Answer::Hang]);
    api.on("/trickle", [Answer::EndlessBody]);
    let serving = Arc::new(Serving::start(&config(
        &api.url(),
        &server.socket().display().to_string(),
        server.port(),
        &database,
    )));
    // Pools are filled, and memory is where it stays.
    run(&serving, calls() / 10).await;
    settled(&serving, &server, &database).await;
    let (files, threads, memory) = (serving.open_files(), serving.threads(), serving.memory());
    run(&serving, calls() - calls() / 10).await;
    settled(&serving, &server, &database).await;
    until(
        || async { serving.open_files() <= files + CALLERS },
        || format!("{} files are open, {files} before", serving.open_files()),
    )
    .await;
    until(
        || async { serving.threads() <= threads },
        || format!("{} threads, {threads} before", serving.threads()),
    )
    .await;
    let grown = serving.memory().saturating_sub(memory);
    assert!(grown < GROWTH, "memory grew by {grown} bytes");
    assert_eq!(serving.children(), "");
    // Nobody waited for their end, so they are undone.
    assert_eq!(server.run(&database, "select count(*) from t"), "0");
    let backends =
        server.run(&database, "select count(*) from pg_stat_activity where datname = current_database()");
    // The one that asks is there, too.
    assert!(backends.parse::<usize>().unwrap() <= CONNECTIONS + 1, "{backends} connections");
    drop(serving);
    server.drop_database(&database);
}

/// Waits until nothing is under way any more, in Renkei and behind it.
async fn settled(serving: &Serving, server: &Server, database: &str) {
    let in_flight = || serving.metric("renkei_system_requests_in_flight");
    until(|| async { in_flight().await == 0.0 }, || "requests are under way".into()).await;
    let busy = "select count(*) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'";
    until(|| async { server.run(database, busy) == "0" }, || "statements run".into()).await;
}

async fn until<F: Future<Output = bool>>(is_so: impl Fn() -> F, otherwise: impl Fn() -> String) {
    let waited = timeout(PATIENCE, async {
        while !is_so().await {
            sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{}", otherwise()));
}

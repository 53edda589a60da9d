//! Databases that are killed, paused and started again while calls run against them.
//!
//! The ledger is a table. What callers were told is compared with it afterwards, past Renkei: what is said to be done
//! is there, what is said to have changed nothing is not, and nothing is there twice. `RENKEI_FIRE_ROUNDS` is how
//! often each fault comes, once unless it is set.

use std::{collections::BTreeMap, sync::Arc};

use renkei_testkit::{
    mariadb::MariaDb,
    postgres::{ROLE, Server},
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    load::{Load, Said, TOOLS},
    serving::{PATIENCE, Serving},
};

const CALLERS: usize = 9;
const CONNECTIONS: usize = 4;
const LEDGER: &str = "create table ledger (id bigint); create table twin (id bigint)";
/// Makes a commit last, so that many are under way when something happens.
const SLOW_COMMIT: &str = "
    create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.004); return null; end $$;
    create constraint trigger slow after insert on ledger deferrable initially deferred
        for each row execute function slow()";

/// `pair` writes to both tables or to none. `probe` is never repeated: a connection that is broken shows.
fn config(system: &str) -> String {
    format!(
        r#"
systems:
  db:
    {system}
    timeout: {{ connect: 1s, attempt: 1s, total: 2s }}
    retry: {{ attempts: 2, backoff: {{ first: 50ms, max: 200ms }} }}
    breaker: {{ failures: 20, window: 5s, reset: 200ms }}
tools:
  add:
    description: Writes its id.
    input: {{ id: integer }}
    call: {{ db: 'insert into ledger (id) values (${{.id}})' }}
  pair:
    description: Writes its id twice.
    input: {{ id: integer }}
    call:
      db: {{ transaction: ['insert into ledger (id) values (${{.id}})', 'insert into twin (id) values (${{.id}})'] }}
  count:
    description: Reads.
    input: {{ id: integer }}
    call: {{ db: {{ sql: 'select count(*) as n from ledger where id = ${{.id}}', one: true }} }}
  probe:
    description: Reads, once.
    call: {{ db: {{ sql: 'select count(*) as n from twin', one: true }}, retry: off }}
  touch:
    description: Writes, once.
    call: {{ db: 'insert into twin (id) values (-1)', retry: off }}
"#
    )
}

#[expect(clippy::disallowed_methods, reason = "how long a test takes is no part of the config")]
fn rounds() -> usize {
    std::env::var("RENKEI_FIRE_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap())
}

/// Whatever was broken is whole again: calls many times the size of the pool, none of which may be repeated.
async fn every_connection_works(serving: &Arc<Serving>) {
    for _ in 0..3 {
        let mut calls = JoinSet::new();
        for number in 0..2 * CONNECTIONS {
            let serving = serving.clone();
            calls.spawn(async move { serving.call(["probe", "touch"][number % 2], json!({})).await });
        }
        while let Some(result) = calls.join_next().await {
            let result = result.unwrap();
            assert_eq!(result["isError"], false, "after all is well again: {result}");
        }
    }
}

/// `ledger` and `twin` are rows of one id each.
fn compare(said: &Said, ledger: &str, twin: &str) {
    let count = |rows: &str| {
        rows.lines().fold(BTreeMap::<i64, usize>::new(), |mut ids, row| {
            *ids.entry(row.trim().parse().unwrap()).or_default() += 1;
            ids
        })
    };
    let (ledger, twin) = (count(ledger), count(twin));
    assert!(said.misclassed.is_empty(), "{:#?}", said.misclassed);
    let there = |id: &u64| ledger.get(&(*id as i64)).copied().unwrap_or_default();
    let missing: Vec<_> = said.done.iter().filter(|id| there(id) == 0).collect();
    assert!(missing.is_empty(), "said to be done, and not there: {missing:?}");
    let lies: Vec<_> = said.nothing.iter().filter(|id| there(id) > 0).collect();
    assert!(lies.is_empty(), "said to have changed nothing, and there: {lies:?}");
    let twice: Vec<_> = ledger.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "there twice: {twice:?}");
    // What `touch` wrote is negative.
    let is_pair = |id: &&i64| **id >= 0 && TOOLS[**id as usize % TOOLS.len()] == "pair";
    let pairs = |ids: &BTreeMap<i64, usize>| ids.keys().filter(is_pair).copied().collect::<Vec<_>>();
    assert_eq!(pairs(&ledger), pairs(&twin), "one half of a transaction");
}

/// Waits, without Renkei, until a query gives `expected`.
async fn until(expected: &str, what: impl Fn() -> String) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while what().trim() != expected {
            tokio::task::yield_now().await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("it is {}, not {expected}", what()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    // A crash of the processes loses nothing that was committed; one of the machine would.
    let mut server = Server::private(&["synchronous_commit=on"]);
    let database = server.new_database();
    server.run(&database, LEDGER);
    server.run(&database, SLOW_COMMIT);
    // Over the socket nobody has to check a password, which is slow by design: connections are opened all the time here.
    let (socket, port) = (server.socket().display().to_string(), server.port());
    let system = format!(
        "postgres: {{ host: {socket}, port: {port}, user: {ROLE}, database: {database}, max_connections: {CONNECTIONS} }}"
    );
    let serving = Arc::new(Serving::start(&config(&system)));
    let load = Load::start(&serving, CALLERS);
    let backends =
        "select pid from pg_stat_activity where application_name = 'renkei' and pid <> pg_backend_pid()";
    load.until_good(20).await;
    for _ in 0..rounds() {
        // All its processes, at once.
        server.kill();
        load.until_bad(20).await;
        server.start();
        load.until_good(20).await;
        // It hangs, longer than calls wait.
        server.pause();
        load.until_bad(9).await;
        server.resume();
        load.until_good(20).await;
        // It hangs, and dies of it.
        server.pause();
        load.until_bad(10).await;
        server.kill();
        server.start();
        load.until_good(20).await;
        // An orderly stop, and one in a hurry.
        for signal in ["INT", "QUIT"] {
            server.stop(signal);
            load.until_bad(20).await;
            server.start();
            load.until_good(20).await;
        }
        // The process behind one connection dies, and the server ends all others and recovers.
        let backend = server.run(&database, backends).lines().next().unwrap().to_owned();
        assert!(server.crash(&backend));
        load.until_bad(1).await;
        load.until_good(20).await;
    }
    let said = load.end().await;
    every_connection_works(&serving).await;
    let busy = format!(
        "select count(*) from ({backends}) as b join pg_stat_activity a using (pid) where state <> 'idle'"
    );
    until("0", || server.run(&database, &busy)).await;
    let rows = |table: &str| server.run(&database, &format!("select id from {table}"));
    compare(&said, &rows("ledger"), &rows("twin"));
    assert_eq!(said.kinds.len(), 2, "{:?}", said.kinds);
    let connected = server.run(&database, &format!("select count(*) from ({backends}) as b"));
    assert!(connected.parse::<usize>().unwrap() <= CONNECTIONS, "{connected} connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb() {
    let mut server = MariaDb::start();
    server.admin(LEDGER);
    let system = format!("mysql: {{ url: '{}', max_connections: {CONNECTIONS} }}", server.url());
    let serving = Arc::new(Serving::start(&config(&system)));
    let load = Load::start(&serving, CALLERS);
    load.until_good(20).await;
    for _ in 0..rounds() {
        server.stop();
        load.until_bad(20).await;
        server.start_again();
        load.until_good(20).await;
        server.pause();
        load.until_bad(9).await;
        server.resume();
        load.until_good(20).await;
        server.pause();
        load.until_bad(10).await;
        server.start_again();
        load.until_good(20).await;
        // All connections at once, by an operator.
        server.admin("kill user renkei");
        load.until_good(20).await;
    }
    let said = load.end().await;
    every_connection_works(&serving).await;
    let list = "information_schema.processlist where user = 'renkei'";
    until("0", || server.admin(&format!("select count(*) from {list} and command <> 'Sleep'"))).await;
    compare(&said, &server.admin("select id from ledger"), &server.admin("select id from twin"));
    assert_eq!(said.kinds.len(), 2, "{:?}", said.kinds);
    until("ok", || {
        // One more may be there to end others.
        let connected = server.admin(&format!("select count(*) from {list}"));
        if connected.trim().parse::<usize>().unwrap() <= CONNECTIONS + 1 { "ok".into() } else { connected }
    })
    .await;
}

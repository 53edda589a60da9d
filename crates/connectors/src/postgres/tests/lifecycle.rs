//! Calls that end early, backends that are killed, servers that go and come back, pools that are full.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::join_all};
use renkei_core::{Applied, CallContext, ConnectContext, Kind, Principal, Retry};
use renkei_testkit::postgres::Server;
use tokio::time::Instant;

use super::{PRODUCTS, Shop, context};

const SLEEP: &str = "select count(*) as c from pg_sleep(3600)";
const SLEEPING: &str = "state = 'active' and query like '%pg_sleep%'";
const IMPATIENT: &str = r#""max_connections": 1, "statement_timeout": "1h""#;

impl Shop {
    /// Looks until so many connections do what the condition says, while nothing else happens here.
    async fn until(&self, condition: &str, number: &str) {
        while self.activity(condition) != number {
            tokio::task::yield_now().await;
        }
    }

    /// Looks until the statement of a call that is under way runs on the server.
    async fn under_way(&self, running: &mut (impl Future<Output: std::fmt::Debug> + Unpin)) {
        while self.activity(SLEEPING) == "0" {
            if let Some(done) = running.now_or_never() {
                panic!("it ended: {done:?}");
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_statement_has_a_time() {
    let shop = Shop::new(PRODUCTS, r#""statement_timeout": "200ms", "max_connections": 1"#).await;
    let pid = shop.get("select pg_backend_pid() as pid", "{}").await;
    for _ in 0..2 {
        let error = shop.fails(SLEEP, "{}").await;
        assert_eq!(
            (error.kind(), error.was_applied(), error.retry_advice()),
            (Kind::Timeout, Applied::No, Retry::Never)
        );
        assert!(error.public().contains("200ms (`statement_timeout`)"), "{error}");
    }
    // What it had changed before is undone.
    let op = format!(r#"{{"transaction": ["delete from products", "{SLEEP}"]}}"#);
    let cx = context();
    let error = shop.call().call(&cx, &shop.request(&op, "{}")).await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Timeout, Applied::No));
    assert!(cx.attempt.was_sent());
    assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
    // The server ended the statements by itself; the connection went on.
    assert_eq!(shop.get("select pg_backend_pid() as pid", "{}").await, pid);
}

#[tokio::test]
async fn the_calls_deadline_ends_a_statement() {
    let shop = Shop::new(PRODUCTS, IMPATIENT).await;
    for op in [SLEEP.to_owned(), format!(r#"{{"transaction": ["delete from products", "{SLEEP}"]}}"#)] {
        // Long enough that it was sent; how long that is, nobody knows before.
        let mut pause = Duration::from_millis(50);
        loop {
            let cx = CallContext::new(Instant::now() + pause, Arc::new(Principal::anonymous()));
            let error = shop.call().call(&cx, &shop.request(&op, "{}")).await.unwrap_err();
            assert_eq!((error.kind(), error.was_applied()), (Kind::Timeout, Applied::No), "{error}");
            assert!(error.public().contains("the time of the call is over"), "{error}");
            if cx.attempt.was_sent() {
                break;
            }
            pause *= 2;
        }
        shop.until(SLEEPING, "0").await;
    }
    assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
}

/// Dropping the future has the server stop, undoes what was done, and frees the connection.
#[tokio::test]
async fn a_dropped_call_stops_on_the_server() {
    let shop = Shop::new(PRODUCTS, IMPATIENT).await;
    for op in [SLEEP.to_owned(), format!(r#"{{"transaction": ["delete from products", "{SLEEP}"]}}"#)] {
        let (cx, request, call) = (context(), shop.request(&op, "{}"), shop.call());
        let mut running = call.call(&cx, &request);
        shop.under_way(&mut running).await;
        assert!(cx.attempt.was_sent());
        drop(running);
        shop.until(SLEEPING, "0").await;
        // It is the only connection; so this waits until it is free.
        assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
    }
    assert_eq!(shop.activity("state <> 'idle'"), "0");
}

/// A connection that was killed while it was idle is noticed before anything is sent on it.
#[tokio::test]
async fn a_killed_connection_is_replaced() {
    let shop = Shop::new(PRODUCTS, IMPATIENT).await;
    let kill = "select pg_terminate_backend(pid, 10000) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()";
    for sql in ["select 1 as a", r#"{"sql": "update products set price = 1", "effect": "write"}"#] {
        shop.get("select 1 as a", "{}").await;
        shop.direct(kill);
        tokio::task::yield_now().await;
        shop.get(sql, "{}").await;
    }
    // Killed in the middle: a read may be repeated; a change was not applied.
    for (op, applied) in [
        (SLEEP.to_owned(), Applied::No),
        (format!(r#"{{"transaction": ["delete from products", "{SLEEP}"]}}"#), Applied::No),
    ] {
        let (cx, request, call) = (context(), shop.request(&op, "{}"), shop.call());
        let mut running = call.call(&cx, &request);
        shop.under_way(&mut running).await;
        shop.direct(kill);
        let error = running.await.unwrap_err();
        assert_eq!(
            (error.kind(), error.was_applied(), error.retry_advice()),
            (Kind::Unavailable, applied, Retry::Safe)
        );
        assert!(error.public().contains("terminating connection"), "{error}");
        assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
    }
    // A statement that somebody on the server cancels is no timeout.
    let (cx, request, call) = (context(), shop.request(SLEEP, "{}"), shop.call());
    let mut running = call.call(&cx, &request);
    shop.under_way(&mut running).await;
    shop.direct("select pg_cancel_backend(pid) from pg_stat_activity where query like '%3600%' and pid <> pg_backend_pid() and datname = current_database()");
    let error = running.await.unwrap_err();
    assert_eq!((error.kind(), error.retry_advice()), (Kind::Unavailable, Retry::Safe));
    assert!(error.public().contains("somebody ended the statement"), "{error}");
}

/// The server answers the commit, or nobody knows.
#[tokio::test]
async fn a_connection_lost_in_the_commit_is_unknown() {
    let schema = "create table t (a integer);
        create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(3600); return null; end $$;
        create constraint trigger at_commit after insert on t deferrable initially deferred
            for each row execute function slow()";
    let shop = Shop::new(schema, IMPATIENT).await;
    let (cx, request, call) = (context(), shop.request("insert into t values (1)", "{}"), shop.call());
    let mut running = call.call(&cx, &request);
    while shop.activity("state = 'active' and query = 'commit'") == "0" {
        assert!((&mut running).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    shop.direct("select pg_terminate_backend(pid, 10000) from pg_stat_activity where query = 'commit'");
    let error = running.await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::Unknown));
    // The deadline in the middle of a commit, as well.
    let cx = CallContext::new(Instant::now() + Duration::from_millis(300), Arc::new(Principal::anonymous()));
    let error = call.call(&cx, &request).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
}

/// Nothing has to be started again here when the server was.
#[tokio::test]
async fn a_restarted_server_is_used_again() {
    let mut shop = Shop::on(Server::private(&[]), PRODUCTS, "").await;
    assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
    for signal in ["INT", "QUIT"] {
        shop.server.stop(signal);
        tokio::task::yield_now().await;
        for sql in ["select 1 as a", "insert into products (sku) values ('x')"] {
            let cx = context();
            let error = shop.call().call(&cx, &shop.request(sql, "{}")).await.unwrap_err();
            assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::No), "{error}");
            assert_eq!(error.retry_advice(), Retry::Safe);
            // So that also a write may be repeated.
            assert!(!cx.attempt.was_sent());
        }
        let error = shop.system.connect(&ConnectContext::new("/")).await.unwrap_err();
        assert_eq!((error.kind(), error.retry_advice()), (Kind::Unavailable, Retry::Safe));
        shop.server.start();
        assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
    }
}

#[tokio::test]
async fn too_many_connections_for_the_server() {
    let server =
        Server::private(&["max_connections=5", "superuser_reserved_connections=0", "max_wal_senders=0"]);
    let shop = Shop::on(server, PRODUCTS, IMPATIENT).await;
    let others = join_all((0..4).map(|_| shop.again(IMPATIENT))).await;
    let error =
        Shop::system(&shop.server, &shop.database, "").connect(&ConnectContext::new("/")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_advice()), (Kind::Unavailable, Retry::Safe));
    assert!(error.public().contains("lower `max_connections`"), "{error}");
    drop(others);
}

#[tokio::test]
async fn a_full_queue_says_so_and_a_waiting_call_can_leave() {
    let shop = Shop::new(PRODUCTS, r#""max_connections": 1, "queue": 1, "statement_timeout": "1h""#).await;
    let (cx, request, call) = (context(), shop.request(SLEEP, "{}"), shop.call());
    let mut running = call.call(&cx, &request);
    shop.under_way(&mut running).await;
    let (other, short) = (context(), shop.request("select 1 as a", "{}"));
    let mut waiting = call.call(&other, &short);
    assert!((&mut waiting).now_or_never().is_none());
    let error = shop.fails("select 1", "{}").await;
    assert_eq!((error.kind(), error.retry_advice()), (Kind::RateLimited, Retry::Safe));
    assert!(error.public().contains("(`queue`)"), "{error}");
    // Whoever leaves the queue makes room in it.
    drop(waiting);
    assert!(!other.attempt.was_sent());
    // Whoever waits too long is told what for.
    let late = CallContext::new(Instant::now() + Duration::from_millis(50), Arc::new(Principal::anonymous()));
    let error = call.call(&late, &short).await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Timeout, Applied::No));
    assert!(error.public().contains("(`max_connections`)") && !late.attempt.was_sent(), "{error}");
    let mut waiting = call.call(&other, &short);
    assert!((&mut waiting).now_or_never().is_none());
    drop(running);
    assert_eq!(waiting.await.unwrap().value.into_value().to_json(), r#"[{"a":1}]"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_share_few_connections() {
    let shop = Shop::new("create table t (a integer)", r#""max_connections": 3"#).await;
    let calls = join_all((0..60).map(|at| {
        let (shop, input) = (&shop, format!(r#"{{"a": {at}}}"#));
        async move {
            if at % 2 == 0 {
                shop.get("insert into t values (${.a})", &input).await
            } else {
                shop.get("select ${.a}::integer as a", &input).await
            }
        }
    }))
    .await;
    for (at, value) in calls.iter().enumerate() {
        assert!(at % 2 == 0 || *value == format!(r#"[{{"a":{at}}}]"#), "{value}");
    }
    assert_eq!(shop.get("select count(*) as n, sum(a) as s from t", "{}").await, r#"[{"n":30,"s":870}]"#);
    assert_eq!(shop.activity("true"), "3");
    assert_eq!(shop.activity("state <> 'idle'"), "0");
}

/// A closed system leaves no connection behind.
#[tokio::test]
async fn a_closed_system_leaves_nothing() {
    let mut shop = Shop::new(PRODUCTS, "").await;
    shop.get("select 1 as a", "{}").await;
    assert_eq!(shop.activity("true"), "1");
    shop.client.call = None;
    shop.until("true", "0").await;
}

/// A connection forgets the statements that were used longest ago, here and on the server.
#[tokio::test]
async fn prepared_statements_are_kept_and_forgotten() {
    let shop = Shop::new("", r#""max_connections": 1"#).await;
    let kept =
        "select count(*) as n from pg_prepared_statements where statement like 'select %::integer as a%'";
    for number in 0..150 {
        let sql = format!("select ${{.a}}::integer as a{number}");
        shop.get(&sql, r#"{"a": 1}"#).await;
        shop.get(&sql, r#"{"a": 1}"#).await;
    }
    let reply = shop.run(kept, "{}").await.unwrap().value.into_value();
    let count = reply.at(0).and_then(|row| row.get("n")).and_then(renkei_core::Value::as_i64).unwrap();
    assert!((90..=101).contains(&count), "{count}");
}

#[tokio::test]
async fn connections_are_set_up() {
    let schema = "create schema one; create schema \"Two \"\"x\"; create table one.t as select 1 as a;
        create table \"Two \"\"x\".u as select 2 as b";
    let more = r#""search_path": ["one", "Two \"x"], "application_name": "shop front""#;
    let shop = Shop::new(schema, more).await;
    assert_eq!(shop.get("select a, b from t, u", "{}").await, r#"[{"a":1,"b":2}]"#);
    assert_eq!(shop.activity("application_name = 'shop front'"), "1");
    // Whatever the database has set: texts end where we think that they end.
    shop.direct(&format!("alter database {} set standard_conforming_strings = off", shop.database));
    let (_, call) = shop.again("").await;
    let reply =
        call.call(&context(), &shop.request("select '\\' as a, ${.b}::text as b", r#"{"b": "c"}"#)).await;
    assert_eq!(reply.unwrap().value.into_value().to_json(), r#"[{"a":"\\","b":"c"}]"#);
}

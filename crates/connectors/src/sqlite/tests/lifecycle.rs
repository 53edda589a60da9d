//! Files that are not there, change or break; calls that nobody waits for; queues that are full.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::join_all};
use renkei_core::{Applied, CallContext, ConnectContext, Kind, Principal, Retry};
use tokio::time::Instant;

use super::{PRODUCTS, Shop, context, json, prepare, read_system, request};

/// Runs until it is stopped.
const ENDLESS: &str =
    "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) as c from n";

#[tokio::test]
async fn a_missing_file_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let cx = ConnectContext::new(folder.path());
    let connect = async |config: &str| read_system(&json(config)).unwrap().connect(&cx).await;
    for config in [r#"{"path": "no.db"}"#, r#"{"path": "no.db", "read_only": true}"#] {
        let error = connect(config).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.was_applied(), error.retry_advice()),
            (Kind::Unavailable, Applied::No, Retry::Safe)
        );
        assert_eq!(
            error.public(),
            "open `shop`: there is no file `no.db`; correct `path`, or set `create: true`"
        );
    }
    assert!(!folder.path().join("no.db").exists());
    connect(r#"{"path": "no.db", "create": true}"#).await.unwrap();
    connect(r#"{"path": "no.db", "create": true}"#).await.unwrap();
    let error = connect(r#"{"path": "no/folder.db", "create": true}"#).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.public().contains("`no/folder.db`"), "{error}");
    let error = connect(r#"{"path": "."}"#).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("shop.db"),
        "This is no database, but it is longer than a header. ".repeat(40),
    )
    .unwrap();
    let error = Shop::system("").connect(&ConnectContext::new(folder.path())).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.public().contains("`shop.db` is no SQLite database"), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_told_and_mended() {
    let mut shop = Shop::unconnected(PRODUCTS, r#""connections": 1"#);
    let sound = std::fs::read(shop.path()).unwrap();
    let mut damaged = sound.clone();
    damaged[4096..8192].fill(0xff);
    std::fs::write(shop.path(), &damaged).unwrap();
    shop.connect().await.unwrap();
    let error = shop.fails("select * from products", "{}").await;
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.public().contains("`shop.db` is damaged"), "{error}");
    std::fs::write(shop.path(), &sound).unwrap();
    assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
}

#[tokio::test]
async fn a_file_that_goes_away_or_is_replaced_is_noticed() {
    let shop = Shop::new(PRODUCTS, "").await;
    let sql = "select count(*) as n from products";
    assert_eq!(shop.get(sql, "{}").await, r#"[{"n":3}]"#);
    let aside = shop.folder.path().join("aside.db");
    std::fs::rename(shop.path(), &aside).unwrap();
    let error = shop.fails("delete from products", "{}").await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::No));
    assert!(error.public().contains("there is no file"), "{error}");
    // Another file of the same name: its rows, not those of the one that was open.
    shop.direct().execute_batch("create table products (id); insert into products values (1)").unwrap();
    assert_eq!(shop.get(sql, "{}").await, r#"[{"n":1}]"#);
    std::fs::rename(&aside, shop.path()).unwrap();
    assert_eq!(shop.get(sql, "{}").await, r#"[{"n":3}]"#);
}

#[tokio::test]
async fn memory_is_one_database_for_all_calls() {
    let system = read_system(&json(r#"{"path": ":memory:"}"#)).unwrap();
    let call = system.connect(&ConnectContext::new("/")).await.unwrap().call;
    let run = async |sql: &str| call.call(&context(), &request(prepare(&*system, sql).unwrap(), "{}")).await;
    run("create table t (a)").await.unwrap();
    let inserts = join_all((0..8).map(|_| run("insert into t values (1)"))).await;
    assert!(inserts.iter().all(Result::is_ok));
    assert_eq!(
        run("select count(*) as n from t").await.unwrap().value.into_value().to_json(),
        r#"[{"n":8}]"#
    );
}

#[tokio::test]
async fn a_statement_has_a_time() {
    let shop = Shop::new(PRODUCTS, r#""statement_timeout": "400ms", "connections": 1"#).await;
    let error = shop.fails(ENDLESS, "{}").await;
    assert_eq!(
        (error.kind(), error.was_applied(), error.retry_advice()),
        (Kind::Timeout, Applied::No, Retry::Never)
    );
    assert!(error.public().contains("400ms (`statement_timeout`)"), "{error}");
    // What it had changed before is undone.
    let op = format!(r#"{{"transaction": ["delete from products", "{ENDLESS}"]}}"#);
    let cx = context();
    let error = shop.call().call(&cx, &shop.request(&op, "{}")).await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Timeout, Applied::No));
    assert!(cx.attempt.was_sent());
    assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
}

#[tokio::test]
async fn the_calls_deadline_ends_a_statement() {
    let shop = Shop::new(PRODUCTS, r#""connections": 1"#).await;
    let cx = CallContext::new(Instant::now() + Duration::from_millis(400), Arc::new(Principal::anonymous()));
    let error = shop.call().call(&cx, &shop.request(ENDLESS, "{}")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(error.public().contains("the time of the call is over"), "{error}");
    assert!(cx.attempt.was_sent());
}

/// Dropping the future ends the statement, undoes it and frees the connection: the next call gets it.
#[tokio::test]
async fn a_dropped_call_frees_its_connection() {
    let shop = Shop::new(PRODUCTS, r#""connections": 1, "statement_timeout": "10m""#).await;
    let op = format!(r#"{{"transaction": ["delete from products", "{ENDLESS}"]}}"#);
    let (cx, request, call) = (context(), shop.request(&op, "{}"), shop.call());
    let mut running = Box::pin(call.call(&cx, &request));
    while !cx.attempt.was_sent() {
        assert!(running.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(running);
    assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
}

#[tokio::test]
async fn a_full_queue_says_so_and_a_waiting_call_can_leave() {
    let shop = Shop::new(PRODUCTS, r#""connections": 1, "queue": 1, "statement_timeout": "10m""#).await;
    let (cx, request, call) = (context(), shop.request(ENDLESS, "{}"), shop.call());
    let mut running = Box::pin(call.call(&cx, &request));
    while !cx.attempt.was_sent() {
        assert!(running.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    let (other, short) = (context(), shop.request("select 1 as a", "{}"));
    let mut waiting = Box::pin(call.call(&other, &short));
    assert!(waiting.as_mut().now_or_never().is_none());
    let error = shop.fails("select 1", "{}").await;
    assert_eq!((error.kind(), error.retry_advice()), (Kind::RateLimited, Retry::Safe));
    assert!(error.public().contains("(`queue`)"), "{error}");
    // Whoever leaves the queue makes room in it.
    drop(waiting);
    assert!(!other.attempt.was_sent());
    let mut waiting = Box::pin(call.call(&other, &short));
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(running);
    assert_eq!(waiting.await.unwrap().value.into_value().to_json(), r#"[{"a":1}]"#);
}

/// Waiting for another program's lock ends with the call, too.
#[tokio::test]
async fn a_call_that_waits_for_a_lock_can_leave() {
    let shop =
        Shop::new(PRODUCTS, r#""connections": 1, "busy_timeout": "10m", "statement_timeout": "10m""#).await;
    let other = shop.direct();
    other.execute_batch("begin exclusive").unwrap();
    let cx = CallContext::new(Instant::now() + Duration::from_millis(30), Arc::new(Principal::anonymous()));
    let error = shop.call().call(&cx, &shop.request("delete from products", "{}")).await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Timeout, Applied::No));
    assert!(!cx.attempt.was_sent());
    other.execute_batch("commit").unwrap();
    assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
}

#[tokio::test]
async fn a_closed_system_leaves_nothing_running() {
    let mut shop = Shop::new(PRODUCTS, r#""connections": 2, "statement_timeout": "10m""#).await;
    let (cx, request, call) = (context(), shop.request(ENDLESS, "{}"), shop.call());
    let mut running = Box::pin(call.call(&cx, &request));
    while !cx.attempt.was_sent() {
        assert!(running.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(running);
    drop(call);
    // Joins the threads: it would hang here if the statement went on.
    shop.client.call = None;
    shop.direct().execute_batch("begin exclusive; commit").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_share_few_connections() {
    let shop = Shop::new("create table t (a integer)", r#""connections": 3"#).await;
    let calls = join_all((0..60).map(|at| {
        let (shop, input) = (&shop, format!(r#"{{"a": {at}}}"#));
        async move {
            if at % 2 == 0 {
                shop.get("insert into t values (${.a})", &input).await
            } else {
                shop.get("select ${.a} as a", &input).await
            }
        }
    }))
    .await;
    for (at, value) in calls.iter().enumerate() {
        assert!(at % 2 == 0 || *value == format!(r#"[{{"a":{at}}}]"#), "{value}");
    }
    assert_eq!(shop.get("select count(*) as n, sum(a) as s from t", "{}").await, r#"[{"n":30,"s":870}]"#);
}

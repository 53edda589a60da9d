//! Connections that break or are broken off; calls that nobody waits for; queues that are full; caps.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use mysql_async::prelude::Queryable as _;
use renkei_core::{Applied, ConnectContext, Diagnostics, FromNode as _, Kind, Retry};
use renkei_testkit::mariadb::MariaDb;
use tokio::time::Instant;

use super::{
    super::{
        Config,
        open::{Identity, Place},
    },
    PRODUCTS, Shop, context, context_for,
};

/// Ends only when the server is told to.
const ENDLESS: &str = "select sleep(3600) as n";

impl Shop {
    /// How many connections of the system's user there are, and whether one of them runs the endless statement.
    fn connections(&self) -> (usize, bool) {
        let list = self.server.admin(
            "select ifnull(info, '-') from information_schema.processlist where user = 'renkei' and command <> 'Killed'",
        );
        (list.lines().count(), list.contains("sleep(3600)"))
    }

    async fn until(&self, what: impl Fn((usize, bool)) -> bool) {
        while !what(self.connections()) {
            tokio::task::yield_now().await;
        }
    }

    /// Drops a call once its statement runs in the server.
    async fn begin_and_drop(&self, text: &str) {
        let (cx, request) = (context(), self.request(text, "{}"));
        let call = self.call();
        let mut running = call.call(&cx, &request);
        tokio::select! {
            reply = &mut running => panic!("it ended: {reply:?}"),
            () = self.until(|(_, endless)| endless) => {}
        }
    }
}

/// The server ends it by itself, and the connection stays.
#[tokio::test]
async fn a_statement_has_a_time() {
    let shop = Shop::new(PRODUCTS, r#""statement_timeout": "300ms", "max_connections": 1"#).await;
    let id = shop.get("select connection_id() as id", "{}").await;
    for op in [ENDLESS, r#"{"transaction": ["delete from products", "select sleep(3600) as n"]}"#] {
        let cx = context();
        let error = shop.call().call(&cx, &shop.request(op, "{}")).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.was_applied(), error.retry_advice()),
            (Kind::Timeout, Applied::No, Retry::Never),
            "{error:?}"
        );
        assert!(error.public().contains("300ms (`statement_timeout`)"), "{error}");
        assert!(cx.attempt.was_sent());
    }
    assert_eq!(shop.connections(), (1, false));
    assert_eq!(shop.get("select connection_id() as id", "{}").await, id);
    assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
}

/// The deadline is ours, so the server is told to stop.
#[tokio::test]
async fn the_calls_deadline_ends_a_statement_in_the_server() {
    let shop = Shop::new(PRODUCTS, r#""statement_timeout": "1h", "max_connections": 1"#).await;
    for (op, applied) in [
        (ENDLESS, Applied::No),
        (r#"{"transaction": ["delete from products", "select sleep(3600) as n"]}"#, Applied::Unknown),
    ] {
        let cx = context_for(Duration::from_millis(300));
        let error = shop.call().call(&cx, &shop.request(op, "{}")).await.unwrap_err();
        assert_eq!((error.kind(), error.was_applied()), (Kind::Timeout, applied), "{error:?}");
        assert!(error.public().contains("the time of the call is over"), "{error}");
        shop.until(|(_, endless)| !endless).await;
    }
    assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
}

/// Dropping the future ends the statement in the server, undoes it, and frees the place in the pool.
#[tokio::test]
async fn a_dropped_call_is_ended_in_the_server() {
    let shop = Shop::new(PRODUCTS, r#""statement_timeout": "1h", "max_connections": 2"#).await;
    for _ in 0..3 {
        shop.begin_and_drop(r#"{"transaction": ["delete from products", "select sleep(3600) as n"]}"#).await;
        shop.until(|(_, endless)| !endless).await;
    }
    let counts = join_all((0..4).map(|_| shop.get("select count(*) as n from products", "{}"))).await;
    assert!(counts.iter().all(|count| count == r#"[{"n":3}]"#), "{counts:?}");
    assert!(shop.connections().0 <= 3, "{:?}", shop.connections());
}

#[tokio::test]
async fn a_killed_connection_is_replaced() {
    let shop = Shop::new(PRODUCTS, r#""statement_timeout": "1h", "max_connections": 3"#).await;
    // While it runs something.
    for (op, applied) in [
        (ENDLESS, Applied::No),
        (r#"{"transaction": ["select 1 as a", "select sleep(3600) as n"]}"#, Applied::No),
        (r#"{"transaction": ["delete from products", "select sleep(3600) as n"]}"#, Applied::Unknown),
    ] {
        let (cx, request) = (context(), shop.request(op, "{}"));
        let call = shop.call();
        let mut running = call.call(&cx, &request);
        tokio::select! {
            reply = &mut running => panic!("it ended: {reply:?}"),
            () = shop.until(|(_, endless)| endless) => {}
        }
        shop.server.admin("kill user renkei");
        let error = running.await.unwrap_err();
        assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, applied), "{error:?}");
        assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
    }
    // While it waits for the next call: that one may fail, but changes nothing twice and breaks nothing.
    shop.server.admin("kill user renkei");
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(shop.run("update products set price = price + 1 where id = 1", "{}").await);
    }
    let failed: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!(failed.len() <= 1, "{failed:?}");
    for error in &failed {
        assert_eq!(
            (error.kind(), error.was_applied(), error.retry_advice()),
            (Kind::Unavailable, Applied::No, Retry::Safe)
        );
    }
    let price = 103 - failed.len();
    assert_eq!(
        shop.get("select price from products where id = 1", "{}").await,
        format!(r#"[{{"price":{price}}}]"#)
    );
}

#[tokio::test]
async fn a_server_that_restarts_is_found_again() {
    let mut shop = Shop::new(PRODUCTS, "").await;
    let counts = join_all((0..5).map(|_| shop.get("select count(*) as n from products", "{}"))).await;
    assert_eq!(counts.len(), 5);
    shop.server.stop();
    for _ in 0..3 {
        let error = shop.fails("update products set price = 1", "{}").await;
        assert_eq!(
            (error.kind(), error.was_applied(), error.retry_advice()),
            (Kind::Unavailable, Applied::No, Retry::Safe),
            "{error:?}"
        );
    }
    shop.server.start_again();
    // All connections of before are gone, and none of them is tried again.
    for _ in 0..6 {
        assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
    }
}

#[tokio::test]
async fn a_full_queue_says_so_and_a_waiting_call_can_leave() {
    let shop = Shop::new(PRODUCTS, r#""max_connections": 1, "queue": 1, "statement_timeout": "1h""#).await;
    let (cx, request) = (context(), shop.request(ENDLESS, "{}"));
    let call = shop.call();
    let mut running = call.call(&cx, &request);
    tokio::select! {
        reply = &mut running => panic!("it ended: {reply:?}"),
        () = shop.until(|(_, endless)| endless) => {}
    }
    let (other, short) = (context(), shop.request("select 1 as a", "{}"));
    let call = shop.call();
    let mut waiting = call.call(&other, &short);
    assert!(futures_util::FutureExt::now_or_never(&mut waiting).is_none());
    let error = shop.fails("select 1", "{}").await;
    assert_eq!((error.kind(), error.retry_advice()), (Kind::RateLimited, Retry::Safe));
    assert!(error.public().contains("(`queue`)"), "{error}");
    // Whoever leaves the queue makes room in it.
    drop(waiting);
    assert!(!other.attempt.was_sent());
    let late = context_for(Duration::from_millis(50));
    let error = shop.call().call(&late, &short).await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Timeout, Applied::No));
    assert!(error.public().contains("(`max_connections`)"), "{error}");
    assert!(!late.attempt.was_sent());
    let call = shop.call();
    let mut waiting = call.call(&other, &short);
    assert!(futures_util::FutureExt::now_or_never(&mut waiting).is_none());
    drop(running);
    assert_eq!(waiting.await.unwrap().value.into_value().to_json(), r#"[{"a":1}]"#);
}

#[tokio::test]
async fn a_closed_system_leaves_no_connection() {
    let shop = Shop::new(PRODUCTS, r#""statement_timeout": "1h""#).await;
    join_all((0..5).map(|_| shop.get("select 1 as a", "{}"))).await;
    shop.begin_and_drop(ENDLESS).await;
    let Shop { server, client } = shop;
    drop(client);
    let none = "select count(*) from information_schema.processlist where user = 'renkei'";
    while server.admin(none).trim() != "0" {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_share_few_connections() {
    let shop = Shop::new("create table t (a integer)", r#""max_connections": 3"#).await;
    let calls = join_all((0..60).map(|at| {
        let (shop, input) = (&shop, format!(r#"{{"a": {at}}}"#));
        async move { shop.run("insert into t values (${.a})", &input).await }
    }))
    .await;
    assert!(calls.iter().all(Result::is_ok), "{calls:?}");
    assert_eq!(shop.get("select count(*) as n, sum(a) as s from t", "{}").await, r#"[{"n":60,"s":"1770"}]"#);
    assert!(shop.connections().0 <= 3);
}

/// Numbers without an end: only what fits is read, and the server stops, too.
const BILLIONS: &str = "select seq from seq_1_to_4000000000";

#[tokio::test]
async fn rows_are_cut_with_a_notice() {
    let shop = Shop::new("", r#""max_rows": 1200, "statement_timeout": "1h", "max_connections": 1"#).await;
    let reply = shop.run("select seq from seq_1_to_1200", "{}").await.unwrap();
    assert_eq!((reply.notices.len(), reply.meta.get("truncated")), (0, Some(&false.into())));
    for sql in ["select seq from seq_1_to_1201", BILLIONS] {
        let reply = shop.run(sql, "{}").await.unwrap();
        assert_eq!(reply.value.into_value().as_array().map(<[_]>::len), Some(1200));
        assert_eq!(reply.meta.get("truncated"), Some(&true.into()));
        assert_eq!(reply.notices, ["cut at 1,200 rows (`max_rows`); there are more, so narrow the query"]);
    }
    while shop.server.admin("show processlist").contains("seq_1_to_4000000000") {
        tokio::task::yield_now().await;
    }
    let own = format!(r#"{{"sql": "{BILLIONS}", "max_rows": 2}}"#);
    assert_eq!(shop.get(&own, "{}").await, r#"[{"seq":1},{"seq":2}]"#);
    let one = format!(r#"{{"sql": "{BILLIONS}", "one": true}}"#);
    assert_eq!(shop.fails(&one, "{}").await.kind(), Kind::Conflict);
    let together =
        r#"{"transaction": ["select 1 as a", {"sql": "select seq from seq_1_to_9", "max_rows": 2}]}"#;
    let reply = shop.run(together, "{}").await.unwrap();
    assert!(reply.notices[0].starts_with("statement 2: cut at 2 rows"), "{:?}", reply.notices);
}

/// Each such result costs a connection, which is replaced: the pool is none the smaller.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_that_are_far_too_long_do_not_exhaust_the_pool() {
    let more = r#""max_rows": 3, "max_bytes": "10KB", "statement_timeout": "1h", "max_connections": 2"#;
    let shop = Shop::new("", more).await;
    // Many rows, and few that are large.
    for sql in [BILLIONS, "select repeat('x', 3000) as x from seq_1_to_1000000"] {
        let results = join_all((0..10).map(|_| shop.run(sql, "{}"))).await;
        for result in results {
            assert_eq!(result.unwrap().notices.len(), 1);
        }
    }
    // A rest that is short keeps its connection.
    let id = shop.get("select connection_id() as id", "{}").await;
    shop.get("select seq from seq_1_to_900", "{}").await;
    assert_eq!(shop.get("select connection_id() as id", "{}").await, id);
    shop.until(|(connections, _)| connections <= 3).await;
    assert!(join_all((0..8).map(|_| shop.run("select 1 as a", "{}"))).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn bytes_are_cut_with_a_notice() {
    let shop = Shop::new("", r#""max_bytes": "1KB""#).await;
    let rows = "select repeat('x', ${.size}) as x from seq_1_to_9";
    let reply = shop.run(rows, r#"{"size": 300}"#).await.unwrap();
    let value = reply.value.into_value();
    assert_eq!(value.as_array().map(<[_]>::len), Some(3));
    assert!(value.to_json().len() <= 1000, "{}", value.to_json().len());
    assert_eq!(reply.notices, ["cut after 3 rows at 1KB (`max_bytes`); there are more, so narrow the query"]);
    for op in [rows.to_owned(), format!(r#"{{"sql": "{rows}", "max_rows": 1, "one": true}}"#)] {
        let error = shop.fails(&op, r#"{"size": 2000}"#).await;
        assert_eq!((error.kind(), error.was_applied()), (Kind::Invalid, Applied::No));
        assert!(error.public().contains("larger than 1KB (`max_bytes`)"), "{error}");
    }
    // A single row that is far larger is not even read.
    shop.server.admin("set global max_allowed_packet = 1073741824; create table t (a longtext)");
    let shop = Shop::on(shop.server, "", r#""max_bytes": "1KB""#).await;
    let error = shop.fails("select repeat('x', 20000000) as x", "{}").await;
    assert_eq!(error.kind(), Kind::Invalid, "{error:?}");
    assert!(error.public().contains("larger than 16777216 bytes"), "{error}");
    assert_eq!(shop.get("select count(*) as n from t", "{}").await, r#"[{"n":0}]"#);
}

/// More than the server takes is not even sent: it would hang up in the middle.
#[tokio::test]
async fn values_have_the_servers_limit() {
    let shop =
        Shop::on(MariaDb::with(&["--max-allowed-packet=1M"]), "create table t (a longtext, b longtext)", "")
            .await;
    let insert = async |length: usize| {
        let half = "x".repeat(length / 2);
        shop.run("insert into t values (${.a}, ${.b})", &format!(r#"{{"a": "{half}", "b": "{half}"}}"#)).await
    };
    insert(1_000_000).await.unwrap();
    let error = insert(1_100_000).await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Invalid, Applied::No));
    assert!(error.public().contains("fewer than 1048576 (`max_allowed_packet` there)"), "{error}");
    assert_eq!(shop.get("select count(*) as n from t", "{}").await, r#"[{"n":1}]"#);
}

/// Longer than one packet of the protocol.
#[tokio::test]
async fn long_values_come_back() {
    let shop = Shop::on(
        MariaDb::with(&["--max-allowed-packet=64M"]),
        "create table t (a longtext)",
        r#""max_bytes": "64MB""#,
    )
    .await;
    let long = "ä".repeat(9_000_000);
    shop.get("insert into t values (${.a})", &format!(r#"{{"a": "{long}"}}"#)).await;
    assert_eq!(shop.get("select a from t", "{}").await, format!(r#"[{{"a":"{long}"}}]"#));
}

/// The number of a connection is given anew by a server that was restarted, or by the next one behind an address.
#[tokio::test]
async fn a_connection_that_is_somebody_elses_is_not_ended() {
    let server = MariaDb::start();
    let mut d = Diagnostics::default();
    let node = crate::fixture::node(&super::config(&server.url(), ""));
    let config = Arc::new(Config::from_node(&node, &mut d).unwrap());
    let target = Arc::new(config.target().unwrap_or_else(|_| panic!("the URL is good")));
    let place = Place::new(&"shop".into(), &config, &target, &ConnectContext::new("/")).await.unwrap();
    let mut opened = place.open(Instant::now() + Duration::from_secs(20)).await.unwrap();
    let own = opened.identity.clone();
    assert!(own.client.is_some(), "{own:?}");
    for client in [None, Some("127.0.0.1:1".into())] {
        place.kill(&[Identity { client, ..own.clone() }]).await.unwrap();
        opened.conn.ping().await.unwrap();
    }
    place.kill(&[own]).await.unwrap();
    opened.conn.ping().await.unwrap_err();
}

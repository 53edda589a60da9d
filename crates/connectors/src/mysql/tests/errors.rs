//! What each failure is called, and whether it happened.

use std::time::Duration;

use renkei_core::{Applied, Error, Kind, Retry};
use renkei_testkit::mariadb::MariaDb;

use super::{PRODUCTS, Shop, config, connect, context_for, offline, prepare, read_system, request};

fn is(error: &Error, kind: Kind, parts: &[&str]) {
    assert_eq!((error.kind(), error.was_applied()), (kind, Applied::No), "{error} {error:?}");
    for part in parts {
        assert!(error.public().contains(part), "`{part}` is not in: {error}");
    }
}

#[tokio::test]
async fn constraints_are_conflicts_with_their_names() {
    let shop = Shop::new(
        &format!(
            "{PRODUCTS}
             create table items (product integer, n integer, constraint few check (n < 10), constraint of_product foreign key (product) references products (id));
             delimiter //
             create trigger no_bells before insert on items for each row begin
                 if new.n = 5 then signal sqlstate '45000' set message_text = 'five is not for sale'; end if;
             end//"
        ),
        "",
    )
    .await;
    for (sql, kind, parts) in [
        (
            "insert into products (sku) values ('a')",
            Kind::Conflict,
            &["unique", "`sku`", "this value already"][..],
        ),
        ("insert into products (id, sku) values (1, 'x')", Kind::Conflict, &["`PRIMARY`"]),
        ("insert into products (name) values ('x')", Kind::Conflict, &["`sku`", "must have a value"]),
        ("update products set sku = null", Kind::Conflict, &["`sku`", "must have a value"]),
        ("insert into items (n) values (10)", Kind::Conflict, &["check", "`few`"]),
        ("insert into items (product) values (99)", Kind::Conflict, &["foreign key", "`of_product`"]),
        ("insert into items (n) values (5)", Kind::Rejected, &["five is not for sale"]),
    ] {
        is(&shop.fails(sql, "{}").await, kind, parts);
    }
    shop.get("insert into items (product, n) values (1, 1)", "{}").await;
    is(
        &shop.fails("delete from products where id = 1", "{}").await,
        Kind::Conflict,
        &["`of_product`", "still in use"],
    );
}

#[tokio::test]
async fn values_that_do_not_fit_are_the_callers_fault() {
    let shop = Shop::new(
        "create table t (n tinyint, s varchar(3), d date, at datetime, e enum('a', 'b'), j json, v decimal(4, 2))",
        "",
    )
    .await;
    for (column, value, part) in [
        ("n", "300", "`n`: it is out of range"),
        ("n", "\"hunter2\"", "`n`: it has another type"),
        ("s", "\"hunter2\"", "`s`: it is too long"),
        ("d", "\"hunter2\"", "another type"),
        ("at", "\"2026-01-31T10:00:00Z\"", "`at`: it is no such time; write it in UTC without a zone"),
        ("e", "\"hunter2\"", "`e`: it has another type"),
        ("v", "12345.6", "`v`: it is out of range"),
    ] {
        let sql = format!("insert into t ({column}) values (${{.v}})");
        let error = shop.fails(&sql, &format!("{{\"v\": {value}}}")).await;
        is(&error, Kind::Invalid, &[part]);
        assert_eq!(error.retry_advice(), Retry::Never);
    }
    is(&shop.fails("insert into t (n) values (1 / 0)", "{}").await, Kind::Invalid, &["divided by zero"]);
    is(
        &shop.fails("select 'a' regexp ${.v} as a", r#"{"v": "("}"#).await,
        Kind::Invalid,
        &["regular expression"],
    );
    is(
        &shop.fails("insert into t (j) values (${.v})", r#"{"v": "{"}"#).await,
        Kind::Conflict,
        &["check constraint", "`t.j`"],
    );
    is(&shop.fails("select ${.v}", r#"{"v": [1]}"#).await, Kind::Invalid, &["it is an array"]);
}

#[tokio::test]
async fn a_statement_that_does_not_fit_is_the_configs_fault() {
    let shop = Shop::new(PRODUCTS, "").await;
    for (sql, part) in [
        ("select missing from products", "Unknown column 'missing'"),
        ("select 1 from nowhere", "nowhere' doesn't exist"),
        ("select nofunction(1)", "nofunction does not exist"),
        ("select from from", "error in your SQL syntax"),
        ("select * from products a join products b", "two columns are named `id`"),
        ("select 5-'a:b' as x", "put a space before the quotation mark"),
    ] {
        let error = shop.fails(sql, "{}").await;
        is(&error, Kind::Internal, &[part]);
        assert_eq!(error.retry_advice(), Retry::Never);
        assert!(error.detail_text().is_some_and(|detail| detail.contains(sql)), "{error:?}");
    }
    // The connection is as good as before, and the statements are the server's again.
    assert_eq!(shop.get("select 5 - 'a:b' as x", "{}").await, r#"[{"x":5}]"#);
}

#[tokio::test]
async fn errors_hold_no_values() {
    let shop = Shop::new(
        &format!(
            "{PRODUCTS} insert into products (sku) values ('hunter2'); create table t (n integer, d datetime)"
        ),
        "",
    )
    .await;
    for sql in [
        "insert into products (sku) values (${.v})",
        "insert into products (name) values (${.v})",
        "insert into t (n) values (${.v})",
        "insert into t (d) values (${.v})",
        "select missing from products where sku = ${.v}",
        "update products set price = -1, name = ${.v}",
        "update t set n = cast(${.v} as integer)",
        "select json_extract('{}', ${.v}) as a from products where 1 = st_geomfromtext(${.v})",
    ] {
        let result = shop.run(sql, r#"{"v": "hunter2"}"#).await;
        if let Err(error) = result {
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
    let error = shop.fails("insert into products (sku) values (${.v})", r#"{"v": "hunter2"}"#).await;
    is(&error, Kind::Conflict, &["`sku`"]);
}

#[tokio::test]
async fn whoever_may_not_do_it_is_told() {
    let shop = Shop::new(PRODUCTS, "").await;
    let port = shop.server.port();
    shop.server
        .admin("create user reader@'%' identified by 'r'; grant select on shop.products to reader@'%'");
    let of = |url: &str| read_system(&config(url, "")).unwrap();
    let call = connect(&of(&format!("mysql://reader:r@127.0.0.1:{port}/shop"))).await.unwrap();
    let op = request(prepare(&*shop.system, "delete from products").unwrap(), "{}");
    is(
        &call.call(&super::context(), &op).await.unwrap_err(),
        Kind::Forbidden,
        &["database user may not do this"],
    );
    for (url, kind, part) in [
        (
            format!("mysql://reader:wrong@127.0.0.1:{port}/shop"),
            Kind::Unauthenticated,
            "the user `reader` in",
        ),
        (format!("mysql://nobody@127.0.0.1:{port}/shop"), Kind::Unauthenticated, "the user `nobody`"),
        (format!("mysql://reader:r@127.0.0.1:{port}/mysql"), Kind::Forbidden, "the database `mysql`"),
        (
            format!("mysql://renkei:open%2Fsesame%204711@127.0.0.1:{port}/nowhere"),
            Kind::Forbidden,
            "`nowhere`",
        ),
    ] {
        let error = connect(&of(&url)).await.err().unwrap_or_else(|| panic!("{url}"));
        is(&error, kind, &[part]);
        assert!(!format!("{error:?}").contains("wrong"));
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let error = connect(&offline("")).await.err().unwrap();
    is(&error, Kind::Unavailable, &["open `shop`", "127.0.0.1:1", "check host and port"]);
    assert_eq!(error.retry_advice(), Retry::Safe);
    let error =
        connect(&read_system(&config("mysql://u@no-such-host.invalid/d", "")).unwrap()).await.err().unwrap();
    is(&error, Kind::Unavailable, &["no-such-host.invalid:3306"]);
    // Something that takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let system = read_system(&config(&format!("mysql://u@{}/d", silent.local_addr().unwrap()), "")).unwrap();
    let mut cx = renkei_core::ConnectContext::new("/");
    cx.timeout = Duration::from_millis(50);
    let error = system.connect(&cx).await.err().unwrap();
    is(&error, Kind::Unavailable, &["there is no answer from 127.0.0.1:"]);
}

#[tokio::test]
async fn a_full_server_says_so() {
    let shop = Shop::on(MariaDb::with(&["--max-connections=10"]), "", "").await;
    let mut others = Vec::new();
    let error = loop {
        match connect(&shop.system).await {
            Ok(call) => others.push(call),
            Err(error) => break error,
        }
        assert!(others.len() < 20);
    };
    is(&error, Kind::Unavailable, &["too many connections"]);
    assert_eq!(error.retry_advice(), Retry::Safe);
}

/// Two transactions that wait for each other, and one that waits for too long.
#[tokio::test]
async fn deadlocks_and_locks_are_worth_a_repeat() {
    let server = MariaDb::with(&["--innodb-lock-wait-timeout=1"]);
    let shop = Shop::on(server, PRODUCTS, "").await;
    let run = async |first: i64, second: i64| {
        let op = format!(
            r#"{{"transaction": ["update products set price = price + 1 where id = {first}", "select count(*) as n from products where sleep(0.3) = 0 and id = 1", "update products set price = price + 1 where id = {second}"]}}"#
        );
        shop.run(&op, "{}").await
    };
    let (one, other) = tokio::join!(run(1, 2), run(2, 1));
    let error = match (one, other) {
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => error,
        (one, other) => panic!("{one:?} {other:?}"),
    };
    is(&error, Kind::Conflict, &["same rows", "try again"]);
    assert_eq!(error.retry_advice(), Retry::Safe);
    assert_eq!(shop.get("select sum(price) as s from products", "{}").await, r#"[{"s":"1351"}]"#);

    let holder =
        r#"{"transaction": ["update products set price = 7 where id = 3", "select sleep(3600) as n"]}"#;
    let (cx, op) = (context_for(Duration::from_secs(3600)), shop.request(holder, "{}"));
    let call = shop.call();
    let mut holding = call.call(&cx, &op);
    tokio::select! {
        reply = &mut holding => panic!("{reply:?}"),
        error = async {
            while !shop.server.admin("show processlist").contains("sleep(3600)") {
                tokio::task::yield_now().await;
            }
            shop.fails("update products set price = 8 where id = 3", "{}").await
        } => {
            is(&error, Kind::Unavailable, &["locked"]);
            assert_eq!(error.retry_advice(), Retry::Safe);
        }
    }
}

/// Tables without transactions keep what was changed before a failure; nobody is told that nothing happened.
#[tokio::test]
async fn what_cannot_be_undone_is_in_doubt() {
    let shop = Shop::new("create table old (a integer unique) engine=MyISAM", "").await;
    let op = r#"{"transaction": ["insert into old values (1)", "insert into old values (1)"]}"#;
    let error = shop.fails(op, "{}").await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::Conflict, Applied::Unknown), "{error:?}");
    assert_eq!(shop.get("select * from old", "{}").await, r#"[{"a":1}]"#);
}

#[tokio::test]
async fn a_foreign_operation_is_an_internal_error() {
    let shop = Shop::new(PRODUCTS, "").await;
    let mut op = prepare(&*shop.system, "select 1").unwrap();
    op.plan = Box::new(7);
    let error = shop.call().call(&super::context(), &request(op, "{}")).await.unwrap_err();
    is(&error, Kind::Internal, &["prepared"]);
}

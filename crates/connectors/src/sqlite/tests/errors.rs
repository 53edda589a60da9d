//! What each failure is called, and whether it happened.

use renkei_core::{Applied, Error, Kind, Retry};

use super::{PRODUCTS, Shop, context, prepare, request};

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
             create table items (product integer references products, n integer, constraint few check (n < 10));
             create table strict_items (n integer) strict;
             create trigger no_bells before insert on items when new.n = 5 begin select raise(abort, 'five is not for sale'); end;"
        ),
        "",
    )
    .await;
    let run = |sql: &'static str| shop.fails(sql, "{}");
    is(&run("insert into products (sku) values ('a')").await, Kind::Conflict, &["unique", "`products.sku`"]);
    is(&run("insert into products (id, sku) values (1, 'x')").await, Kind::Conflict, &["`products.id`"]);
    is(
        &run("insert into products (name) values ('x')").await,
        Kind::Conflict,
        &["`products.sku`", "must have a value"],
    );
    is(&run("insert into items (n) values (10)").await, Kind::Conflict, &["check", "`few`"]);
    is(&run("insert into items (product) values (99)").await, Kind::Conflict, &["foreign key"]);
    is(&run("insert into strict_items values ('x')").await, Kind::Invalid, &["wrong type"]);
    is(&run("insert into items (n) values (5)").await, Kind::Rejected, &["five is not for sale"]);
}

#[tokio::test]
async fn a_statement_that_does_not_fit_is_the_configs_fault() {
    let shop = Shop::new(PRODUCTS, "").await;
    for (sql, part) in [
        ("select missing from products", "no such column: missing"),
        ("select 1 from nowhere", "no such table: nowhere"),
        ("select nofunction(1)", "no such function"),
        ("select from from", "syntax error"),
    ] {
        let error = shop.fails(sql, "{}").await;
        is(&error, Kind::Internal, &[part]);
        assert_eq!(error.retry_advice(), Retry::Never);
        assert!(error.detail_text().is_some_and(|detail| detail.contains(sql)), "{error:?}");
    }
    // Values that do not fit are the caller's.
    is(&shop.fails("select json(${.v})", r#"{"v": "{"}"#).await, Kind::Invalid, &["malformed JSON"]);
    is(
        &shop.fails("select id from products limit ${.v}", r#"{"v": "x"}"#).await,
        Kind::Invalid,
        &["wrong type"],
    );
    let pattern = format!(r#"{{"v": "{}"}}"#, "a%".repeat(600));
    is(&shop.fails("select 'a' like ${.v}", &pattern).await, Kind::Invalid, &["too complex"]);
}

#[tokio::test]
async fn errors_hold_no_values() {
    let shop = Shop::new(PRODUCTS, "").await;
    let secret = r#"{"v": "hunter2-secret"}"#;
    for sql in [
        "insert into products (sku, name) values ('a', ${.v})",
        "insert into products (name) values (${.v})",
        "select missing from products where sku = ${.v}",
        "select 1 where 1 = ${.v} limit 'x'",
        "update products set price = -1, name = ${.v}",
    ] {
        let error = shop.fails(sql, secret).await;
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn a_lock_of_another_program_is_unavailable() {
    let shop = Shop::new(PRODUCTS, r#""busy_timeout": "20ms", "connections": 1"#).await;
    let other = shop.direct();
    other.execute_batch("begin exclusive").unwrap();
    let cx = context();
    let op = shop.request("update products set price = 1", "{}");
    let error = shop.call().call(&cx, &op).await.unwrap_err();
    is(&error, Kind::Unavailable, &["locked", "`shop.db`", "20ms (`busy_timeout`)"]);
    assert_eq!(error.retry_advice(), Retry::Safe);
    // Nothing was sent, so a write may be repeated.
    assert!(!cx.attempt.was_sent());
    is(&shop.fails("select 1 from products", "{}").await, Kind::Unavailable, &["locked"]);
    other.execute_batch("commit").unwrap();
    assert_eq!(shop.get("update products set price = 1", "{}").await, r#"{"affected":3}"#);
}

#[tokio::test]
async fn a_lock_that_is_given_up_in_time_is_waited_for() {
    let shop = Shop::new(PRODUCTS, r#""busy_timeout": "20s""#).await;
    let other = shop.direct();
    other.execute_batch("begin immediate").unwrap();
    let (call, cx, op) = (shop.call(), context(), shop.request("update products set price = 1", "{}"));
    let waiting = tokio::spawn(async move { call.call(&cx, &op).await });
    // Reads go on beside the lock, which shows that the pool is not blocked by it.
    assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
    other.execute_batch("update products set price = 2; commit").unwrap();
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_foreign_operation_is_an_internal_error() {
    let shop = Shop::new(PRODUCTS, "").await;
    let mut op = prepare(&*shop.system, "select 1").unwrap();
    op.system = "other".into();
    let error = shop.call().call(&context(), &request(op, "{}")).await.unwrap_err();
    is(&error, Kind::Internal, &["`other`"]);
    let mut op = prepare(&*shop.system, "select 1").unwrap();
    op.plan = Box::new(7);
    let error = shop.call().call(&context(), &request(op, "{}")).await.unwrap_err();
    is(&error, Kind::Internal, &["prepared"]);
}

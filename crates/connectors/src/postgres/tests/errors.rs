//! What the server's errors become.

use std::sync::Arc;

use renkei_core::{
    Applied, ConnectContext, Diagnostics, Kind, Request, Retry, Scope, Value, template::Names,
};
use renkei_testkit::postgres::Server;

use super::{PRODUCTS, Shop, context, json, read_system};
use crate::fixture::op;

#[tokio::test]
async fn constraints_are_named_without_values() {
    let schema = format!(
        "{PRODUCTS} create table lines (product integer not null references products, span int4range,
            exclude using gist (span with &&));"
    );
    let shop = Shop::new(&schema, "").await;
    for (sql, part) in [
        ("insert into products (sku) values ('a')", "the unique `products_sku_key` has this value already"),
        ("insert into products (sku) values (null)", "the column `sku` must have a value"),
        (
            "insert into products (sku, price) values ('s3cret', -1)",
            "the check constraint `not_negative` does not hold",
        ),
        ("insert into lines values (99)", "the foreign key `lines_product_fkey` does not hold"),
        (
            "insert into lines values (1, '[1,5)'), (1, '[2,3)')",
            "the exclusion constraint `lines_span_excl` does not hold",
        ),
    ] {
        let error = shop.fails(sql, "{}").await;
        assert_eq!(
            (error.kind(), error.was_applied(), error.retry_advice()),
            (Kind::Conflict, Applied::No, Retry::Never)
        );
        assert!(error.public().contains(part), "{error}");
        assert!(error.public().starts_with("change `shop`: "), "{error}");
        assert!(!error.public().contains("s3cret"), "{error}");
        assert!(error.detail_text().unwrap_or_default().contains("SQLSTATE 23"), "{error:?}");
    }
}

#[tokio::test]
async fn a_statement_that_does_not_fit_the_database() {
    let shop = Shop::new(PRODUCTS, "").await;
    for (sql, part) in [
        ("select nme from products", "column \"nme\" does not exist"),
        ("select * from product", "relation \"product\" does not exist"),
        ("select no_such_function(1)", "no_such_function"),
        ("select a.*, b.* from products a, products b", "two columns are named `id`"),
        ("select from where", "syntax error"),
        ("update products set id = (1, 2)", "the statement does not fit the database"),
    ] {
        let error = shop.fails(sql, "{}").await;
        assert_eq!(
            (error.kind(), error.was_applied(), error.retry_advice()),
            (Kind::Internal, Applied::No, Retry::Never)
        );
        assert!(error.public().contains(part), "{error}");
        assert!(error.detail_text().unwrap_or_default().contains(sql), "{error:?}");
    }
    // The connections are as good as before.
    assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
    assert_eq!(shop.activity("true"), "1");
}

#[tokio::test]
async fn what_a_function_raises() {
    let schema = "create function fail(code text) returns integer language plpgsql as $$
        begin raise exception 'sorry, no' using errcode = code; end $$";
    let shop = Shop::new(schema, "").await;
    for (code, kind, retry) in [
        ("P0001", Kind::Rejected, Retry::Never),
        ("P0002", Kind::NotFound, Retry::Never),
        ("40001", Kind::Conflict, Retry::Safe),
        ("40P01", Kind::Conflict, Retry::Safe),
        ("42501", Kind::Forbidden, Retry::Never),
        ("55P03", Kind::Unavailable, Retry::Safe),
        ("53100", Kind::Unavailable, Retry::Never),
        ("53200", Kind::Unavailable, Retry::Safe),
        ("22003", Kind::Invalid, Retry::Never),
        ("23505", Kind::Conflict, Retry::Never),
        ("XX001", Kind::Unavailable, Retry::Never),
        ("XX000", Kind::Internal, Retry::Never),
        ("ZZ999", Kind::Internal, Retry::Never),
    ] {
        let error = shop.fails("select fail(${.code})", &format!(r#"{{"code": "{code}"}}"#)).await;
        assert_eq!(
            (error.kind(), error.retry_advice(), error.was_applied()),
            (kind, retry, Applied::No),
            "{code}: {error}"
        );
    }
    let error = shop.fails("select fail('P0001')", "{}").await;
    assert_eq!(error.public(), "read from `shop`: sorry, no");
}

/// Two calls that each hold what the other one wants; the server ends one of them.
#[tokio::test]
async fn a_deadlock_is_a_conflict_that_may_be_tried_again() {
    let shop = Shop::new(PRODUCTS, "").await;
    let op = |first: i32, second: i32| {
        format!(
            r#"{{"transaction": ["update products set price = 1 where id = {first}", "select meet()",
                "update products set price = 2 where id = {second}"]}}"#
        )
    };
    shop.direct(
        "create sequence here;
         create function meet() returns void language plpgsql as $$
         begin
            perform nextval('here');
            while (select last_value from here) < 2 loop perform pg_sleep(0.01); end loop;
         end $$",
    );
    let (one, other) = (op(1, 2), op(2, 1));
    let (one, other) = tokio::join!(shop.run(&one, "{}"), shop.run(&other, "{}"));
    let failed: Vec<_> = [one, other].into_iter().filter_map(Result::err).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(
        (failed[0].kind(), failed[0].was_applied(), failed[0].retry_advice()),
        (Kind::Conflict, Applied::No, Retry::Safe)
    );
    assert!(failed[0].public().contains("deadlock detected"), "{}", failed[0]);
}

#[tokio::test]
async fn who_is_not_let_in_is_told() {
    let server = Server::shared();
    let port = server.port();
    for (user, password, database, part) in [
        ("postgres", "wrong", "postgres", "password authentication failed"),
        ("nobody", "x", "postgres", "check user and password"),
        ("postgres", renkei_testkit::postgres::PASSWORD, "no_such_database", "correct `database`"),
    ] {
        let config = format!(
            r#"{{"host": "127.0.0.1", "port": {port}, "user": "{user}", "password": "{password}", "database": "{database}"}}"#
        );
        let error =
            read_system(&json(&config)).unwrap().connect(&ConnectContext::new("/")).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.was_applied(), error.retry_advice()),
            (Kind::Unavailable, Applied::No, Retry::Never)
        );
        assert!(error.public().contains(part) && error.public().starts_with("connect `shop`"), "{error}");
        assert!(!format!("{error} {error:?}").contains(renkei_testkit::postgres::PASSWORD));
    }
    let config = r#"{"host": "127.0.0.1", "port": 1, "user": "u"}"#;
    let error = read_system(&json(config)).unwrap().connect(&ConnectContext::new("/")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_advice()), (Kind::Unavailable, Retry::Safe));
    assert!(error.public().contains("no server answers there"), "{error}");
}

#[tokio::test]
async fn a_role_may_not_do_everything() {
    let shop = Shop::new(PRODUCTS, "").await;
    let role = format!("reader_{}", shop.database);
    shop.direct(&format!("create role {role} login password 'reader'"));
    let (_, reader) = shop.again(&format!(r#""user": "{role}", "password": "reader""#)).await;
    let error = reader
        .call(&super::context(), &shop.request("select * from products", "{}"))
        .await
        .expect_err("it was not granted");
    assert_eq!((error.kind(), error.was_applied()), (Kind::Forbidden, Applied::No));
    assert!(error.public().contains("permission denied for table products"), "{error}");
    drop(reader);
    shop.direct(&format!("drop role {role}"));
}

/// The tables were changed while a connection had a statement prepared: it is told once, then read anew.
#[tokio::test]
async fn changed_tables_are_noticed() {
    let shop =
        Shop::new("create table t (a integer); insert into t values (1)", r#""max_connections": 1"#).await;
    assert_eq!(shop.get("select * from t", "{}").await, r#"[{"a":1}]"#);
    shop.direct("alter table t alter a type text");
    let error = shop.fails("select * from t", "{}").await;
    assert_eq!(
        (error.kind(), error.was_applied(), error.retry_advice()),
        (Kind::Unavailable, Applied::No, Retry::Safe)
    );
    assert_eq!(shop.get("select * from t", "{}").await, r#"[{"a":"1"}]"#);
}

/// What the caller is cannot be mended by other arguments.
#[tokio::test]
async fn a_value_of_the_caller_that_does_not_fit() {
    let shop = Shop::new(PRODUCTS, "").await;
    let names = Names { vars: vec!["caller".into()], ..Names::default() };
    let sql = op("select id from products where id = ${$caller.claims.team}");
    let op = shop.system.prepare(&sql, &names, &mut Diagnostics::default()).unwrap();
    let mut scope = Scope::new(Value::object());
    scope.set("caller", json(r#"{"claims": {"team": {"a": 1}}}"#));
    let params = op.slots.iter().map(|slot| slot.render(&scope).unwrap()).collect::<Vec<_>>().into();
    let effect = op.effect;
    let request = Request { op: Arc::new(op), params, effect, key: None, vars: Arc::default(), page: None };
    let error = shop.call().call(&context(), &request).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Forbidden, "{error}");
    assert!(error.public().ends_with("comes with the caller, not with the arguments"), "{error}");
}

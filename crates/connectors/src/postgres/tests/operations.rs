//! What an operation may be, offline and when it runs.

use std::sync::{Arc, Mutex};

use renkei_core::{Applied, CallContext, Effect, Kind, call::Listener};

use super::{PRODUCTS, Shop, json, prepare, read_system, request};

#[tokio::test]
async fn reads_rows() {
    let shop = Shop::new(PRODUCTS, "").await;
    let sql = "select id, name from products where id < ${.max} order by id";
    // Twice: the statement is read by the server first, and known then.
    for _ in 0..2 {
        let reply = shop.run(sql, r#"{"max": 3}"#).await.unwrap();
        assert_eq!(reply.value.into_value().to_json(), r#"[{"id":1,"name":"Anvil"},{"id":2,"name":"Bell"}]"#);
        assert_eq!(reply.meta.to_json(), r#"{"affected":0,"truncated":false,"columns":["id","name"]}"#);
        assert!(reply.notices.is_empty());
    }
    assert_eq!(shop.get("select id from products where id = 77", "{}").await, "[]");
    assert_eq!(shop.get("values (1)", "{}").await, r#"[{"column1":1}]"#);
    assert_eq!(shop.get("table products", "{}").await.matches("sku").count(), 3);
    assert_eq!(
        shop.get("show standard_conforming_strings", "{}").await,
        r#"[{"standard_conforming_strings":"on"}]"#
    );
    assert!(shop.get("explain select * from products", "{}").await.contains("Seq Scan"));
    let with = "with cheap as (select * from products where price < ${.p}) select sku from cheap";
    assert_eq!(shop.get(with, r#"{"p": 200}"#).await, r#"[{"sku":"a"}]"#);
}

const TYPED: &str =
    "create table t (i integer, b bigint, n numeric, x text, u uuid, d date, j jsonb, f boolean,
    a integer[])";

/// The server says what type it expects; the value is bound as that.
#[tokio::test]
async fn values_are_bound_as_the_server_infers() {
    let shop = Shop::new(TYPED, "").await;
    let input = r#"{"i": 7, "b": 9223372036854775807, "n": "12.50", "x": "7", "u": "123e4567-e89b-12d3-a456-426614174000",
        "d": "2026-01-31", "j": {"k": [1, null]}, "f": true, "a": [1, null, 3]}"#;
    let sql =
        "insert into t values (${.i}, ${.b}, ${.n}, ${.x}, ${.u}, ${.d}, ${.j}, ${.f}, ${.a}) returning *";
    assert_eq!(
        shop.get(sql, input).await,
        r#"[{"i":7,"b":9223372036854775807,"n":"12.50","x":"7","u":"123e4567-e89b-12d3-a456-426614174000","d":"2026-01-31","j":{"k":[1,null]},"f":true,"a":[1,null,3]}]"#
    );
    // Absent is null, of whatever type.
    assert_eq!(
        shop.get(sql, "{}").await,
        r#"[{"i":null,"b":null,"n":null,"x":null,"u":null,"d":null,"j":null,"f":null,"a":null}]"#
    );
    let find = "select i from t where u = ${.u} and d <= ${.d} and n > ${.n} and j @> ${.j} and x ilike ${\"%\" + .x + \"%\"}";
    let found = r#"{"u": "123e4567-e89b-12d3-a456-426614174000", "d": "2026-12-31", "n": 12.4, "j": {"k": [1]}, "x": "7"}"#;
    assert_eq!(shop.get(find, found).await, r#"[{"i":7}]"#);
    // Whole numbers, however they are written.
    for input in [r#"{"i": 7}"#, r#"{"i": 7.0}"#, r#"{"i": 0.7e1}"#, r#"{"i": "7"}"#] {
        assert_eq!(shop.get("select i from t where i = ${.i}", input).await, r#"[{"i":7}]"#);
    }
    let limited = "select i from t where i is not null order by i limit ${.l}";
    assert_eq!(shop.get(limited, r#"{"l": 1}"#).await, r#"[{"i":7}]"#);
    // A number is a text where the column is one: `x = 0` is not every text.
    assert_eq!(shop.get("select x from t where x = ${.x}", r#"{"x": 0}"#).await, "[]");
    assert_eq!(shop.get("select x from t where x = ${.x}", r#"{"x": 7}"#).await, r#"[{"x":"7"}]"#);
}

#[tokio::test]
async fn values_that_do_not_fit_are_told() {
    let shop = Shop::new(TYPED, "").await;
    for (sql, input, part) in [
        ("select i from t where i = ${.v}", r#"{"v": "seven"}"#, "invalid input syntax for type integer"),
        ("select i from t where i = ${.v}", r#"{"v": 7.5}"#, "invalid input syntax for type integer"),
        ("select i from t where i = ${.v}", r#"{"v": 9223372036854775808}"#, "out of range"),
        ("select i from t where i = ${.v}", r#"{"v": [1]}"#, "`${.v}` does not fit: it is an array"),
        ("select i from t where x = ${.v}", r#"{"v": {"a": 1}}"#, "| tojson`"),
        ("select i from t where u = ${.v}", r#"{"v": "no"}"#, "uuid"),
        ("select i from t where x = ${.v}", r#"{"v": "a\u0000b"}"#, "U+0000"),
        ("select i from t where x::bytea = ${.v}", r#"{"v": "no base64"}"#, "base64"),
        ("select 1 / ${.v} as i", r#"{"v": 0}"#, "division by zero"),
    ] {
        // Twice: the server reads the statement first, and knows it then.
        for _ in 0..2 {
            let error = shop.fails(sql, input).await;
            assert_eq!((error.kind(), error.was_applied()), (Kind::Invalid, Applied::No), "{sql}: {error}");
            assert!(error.public().contains(part), "{error}");
        }
    }
}

#[tokio::test]
async fn a_type_that_cannot_be_inferred_is_asked_for() {
    let shop = Shop::new("", "").await;
    let error = shop.fails("select ${.a} is null as a", r#"{"a": 1}"#).await;
    assert_eq!(error.kind(), Kind::Internal);
    assert!(
        error.public().contains("type of `${.a}`") && error.public().contains("add a cast: `${.a}::text`"),
        "{error}"
    );
    assert_eq!(shop.get("select ${.a}::text is null as a", r#"{"a": 1}"#).await, r#"[{"a":false}]"#);
    let error = shop.fails("select ${.b} + ${.c} as a", r#"{"b": 1, "c": 2}"#).await;
    assert!(error.public().contains("::text`"), "{error}");
    let error = shop.fails("select relname from pg_class where oid::integer = ${.a}::text", "{}").await;
    assert!(error.public().contains("a cast such as"), "{error}");
}

#[tokio::test]
async fn lists_are_one_parameter() {
    let shop = Shop::new(PRODUCTS, "").await;
    let sql = "select id from products where id in (${.ids}) order by id";
    assert_eq!(shop.get(sql, r#"{"ids": [3, 1, 1, 99]}"#).await, r#"[{"id":1},{"id":3}]"#);
    assert_eq!(shop.get(sql, r#"{"ids": []}"#).await, "[]");
    assert_eq!(shop.get(sql, "{}").await, "[]");
    let sql = "select count(*) as n from products where id not in (${.ids})";
    assert_eq!(shop.get(sql, r#"{"ids": []}"#).await, r#"[{"n":3}]"#);
    assert_eq!(shop.get(sql, r#"{"ids": [1]}"#).await, r#"[{"n":2}]"#);
    let sql = "select sku from products where sku = any(${.skus}) or name = any(${.skus}) order by id";
    assert_eq!(
        shop.get(sql, r#"{"skus": ["c", "Bell", "\"}{,NULL\\"]}"#).await,
        r#"[{"sku":"b"},{"sku":"c"}]"#
    );
    let ids: Vec<String> = (1..=1000).map(|id| id.to_string()).collect();
    let many = format!("{{\"ids\": [{}]}}", ids.join(","));
    let sql = "select count(*) as n from products where id in (${.ids})";
    assert_eq!(shop.get(sql, &many).await, r#"[{"n":3}]"#);
    let rows =
        "insert into products (sku, price) select * from unnest(${.skus}::text[], ${.prices}::integer[])";
    assert_eq!(shop.get(rows, r#"{"skus": ["x", "y"], "prices": [1, 2]}"#).await, r#"{"affected":2}"#);
}

#[tokio::test]
async fn a_value_picks_a_choice() {
    let shop = Shop::new(PRODUCTS, "").await;
    let op = r#"{"sql": "select id from products order by ${choose.order}",
        "choose": {"order": {"by": "${.order}", "options": {"dearest": "price desc", "name": "name nulls first, id"}, "default": "name"}}}"#;
    assert_eq!(shop.get(op, r#"{"order": "dearest"}"#).await, r#"[{"id":3},{"id":2},{"id":1}]"#);
    assert_eq!(shop.get(op, "{}").await, r#"[{"id":3},{"id":1},{"id":2}]"#);
    let error = shop.fails(op, r#"{"order": "id; drop table products"}"#).await;
    assert!(error.public().contains("the choices are `dearest`, `name`"), "{error}");
}

#[tokio::test]
async fn one_gives_the_row() {
    let shop = Shop::new(PRODUCTS, "").await;
    let op = r#"{"sql": "select name from products where id >= ${.id}", "one": true}"#;
    assert_eq!(shop.get(op, r#"{"id": 3}"#).await, r#"{"name":null}"#);
    assert_eq!(shop.fails(op, r#"{"id": 4}"#).await.kind(), Kind::NotFound);
    let error = shop.fails(op, r#"{"id": 1}"#).await;
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.public().contains("more than one row"), "{error}");
}

#[tokio::test]
async fn changes_rows() {
    let shop = Shop::new(PRODUCTS, "").await;
    let insert = "insert into products (sku, name) values (${.sku}, ${.name})";
    let reply = shop.run(insert, r#"{"sku": "d"}"#).await.unwrap();
    assert_eq!(reply.value.into_value().to_json(), r#"{"affected":1}"#);
    assert_eq!(reply.meta.to_json(), r#"{"affected":1,"truncated":false}"#);
    let update = "update products set price = 1 where id < ${.id}";
    assert_eq!(shop.get(update, r#"{"id": 3}"#).await, r#"{"affected":2}"#);
    assert_eq!(shop.get("delete from products where id = 77", "{}").await, r#"{"affected":0}"#);
    let reply = shop.run("delete from products where id = 1 returning sku", "{}").await.unwrap();
    assert_eq!(reply.meta.get("affected"), Some(&1i64.into()));
    assert_eq!(reply.value.into_value().to_json(), r#"[{"sku":"a"}]"#);
    // Exactly one, or nothing at all.
    let one = r#"{"sql": "update products set price = 7 where id >= ${.id}", "one": true}"#;
    assert_eq!(shop.fails(one, r#"{"id": 99}"#).await.kind(), Kind::NotFound);
    assert_eq!(shop.fails(one, r#"{"id": 2}"#).await.kind(), Kind::Conflict);
    assert_eq!(shop.get(one, r#"{"id": 4}"#).await, r#"{"affected":1}"#);
    assert_eq!(shop.direct("select count(*) from products where price = 7"), "1");
    let one = r#"{"sql": "update products set price = 8 returning id", "one": true}"#;
    assert_eq!(shop.fails(one, "{}").await.kind(), Kind::Conflict);
    assert_eq!(shop.direct("select count(*) from products where price = 8"), "0");
    // Cut results do not cut the change.
    let cut = r#"{"sql": "update products set price = 9 returning id", "max_rows": 1}"#;
    let reply = shop.run(cut, "{}").await.unwrap();
    assert_eq!(reply.meta.get("affected"), Some(&3i64.into()));
    assert_eq!(reply.meta.get("truncated"), Some(&true.into()));
    assert_eq!(shop.direct("select count(*) from products where price = 9"), "3");
    // Statements without rows and counts.
    assert_eq!(shop.get("create table other (id integer)", "{}").await, r#"{"affected":0}"#);
    assert_eq!(shop.get("do 'begin delete from products; end'", "{}").await, r#"{"affected":0}"#);
    assert_eq!(shop.direct("select count(*) from products"), "0");
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    let shop = Shop::new(PRODUCTS, "").await;
    let op = r#"{"transaction": [
        "insert into products (sku, price) values (${.sku}, ${.price})",
        {"sql": "select count(*) as n from products", "one": true},
        {"sql": "update products set price = price + 1 where sku = ${.other}", "one": true},
        "select sku from products where price > 250 order by id"]}"#;
    let reply = shop.run(op, r#"{"sku": "d", "price": 5, "other": "b"}"#).await.unwrap();
    assert_eq!(
        reply.value.into_value().to_json(),
        r#"[{"affected":1},{"n":4},{"affected":1},[{"sku":"b"},{"sku":"c"}]]"#
    );
    assert_eq!(reply.meta.get("affected"), Some(&2i64.into()));
    for (input, kind) in [
        (r#"{"sku": "e", "price": 5, "other": "none"}"#, Kind::NotFound),
        (r#"{"sku": "e", "price": -1, "other": "b"}"#, Kind::Conflict),
        (r#"{"sku": "e", "price": "much", "other": "b"}"#, Kind::Invalid),
        (r#"{"sku": "a", "price": 1, "other": "b"}"#, Kind::Conflict),
    ] {
        let error = shop.fails(op, input).await;
        assert_eq!((error.kind(), error.was_applied()), (kind, Applied::No), "{input}: {error}");
        assert_eq!(shop.direct("select count(*), sum(price) from products"), "4|1355");
    }
    // A statement may need what an earlier one made.
    let made = r#"{"transaction": ["create table made (a integer)", "insert into made values (${.a})", "select * from made"]}"#;
    assert_eq!(shop.get(made, r#"{"a": 7}"#).await, r#"[{"affected":0},{"affected":1},[{"a":7}]]"#);
    // The connection is as good as before.
    assert_eq!(shop.activity("state <> 'idle'"), "0");
}

/// Whoever waits hears of each statement of a transaction.
#[tokio::test]
async fn a_transaction_tells_how_far_it_is() {
    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);
    impl Listener for Heard {
        fn note(&self, note: &str) {
            self.0.lock().unwrap().push(note.to_owned());
        }
    }
    let shop = Shop::new(PRODUCTS, "").await;
    let heard = async |op: &str, input: &str| {
        let heard = Arc::new(Heard::default());
        let cx = CallContext { listener: Some(heard.clone()), ..super::context() };
        let done = shop.call().call(&cx, &shop.request(op, input)).await.is_ok();
        (done, heard.0.lock().unwrap().join(", "))
    };
    let op = r#"{"transaction": ["select 1", "update products set price = ${.p}", "select 2"]}"#;
    let all = "statement 1 of 3 is done, statement 2 of 3 is done, statement 3 of 3 is done";
    assert_eq!(heard(op, r#"{"p": 1}"#).await, (true, all.to_owned()));
    assert_eq!(heard(op, r#"{"p": -1}"#).await, (false, "statement 1 of 3 is done".to_owned()));
    assert_eq!(heard("select 1", "{}").await, (true, String::new()));
}

/// Deferred constraints are checked when the transaction is committed.
#[tokio::test]
async fn a_commit_that_fails_is_not_applied() {
    let schema = "create table t (a integer unique deferrable initially deferred); insert into t values (1)";
    let shop = Shop::new(schema, "").await;
    let error = shop.fails("insert into t values (${.a})", r#"{"a": 1}"#).await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::Conflict, Applied::No));
    assert_eq!(shop.get("select count(*) as n from t", "{}").await, r#"[{"n":1}]"#);
}

#[test]
fn effects_are_known_offline() {
    let system = read_system(&json(r#"{"host": "db.example.com"}"#)).unwrap();
    let effect =
        |text: &str| prepare(&*system, text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}")).effect;
    for text in [
        "select 1",
        "values (1)",
        "table t",
        "show all",
        "explain select 1",
        "with a as (select 1) select * from a",
    ] {
        assert_eq!(effect(text), Effect::Read, "{text}");
    }
    for text in [
        "insert into t values (1)",
        "merge into t using s on t.a = s.a when matched then delete",
        "call p()",
        "truncate t",
        "create table t (a int)",
        "with gone as (delete from t returning *) select * from gone",
        r#"{"sql": "select nextval('s')", "effect": "write"}"#,
    ] {
        assert_eq!(effect(text), Effect::Write, "{text}");
    }
    assert_eq!(effect(r#"{"sql": "update t set a = 1", "effect": "idempotent"}"#), Effect::Idempotent);
    let read_only = read_system(&json(r#"{"host": "db.example.com", "read_only": true}"#)).unwrap();
    for text in
        ["insert into t values (1)", "truncate t", r#"{"transaction": ["select 1", "delete from t"]}"#]
    {
        let wrong = prepare(&*read_only, text).unwrap_err().join("\n");
        assert!(wrong.contains("`read_only: true`"), "{wrong}");
    }
}

/// Exactly as it is sent: a list is one parameter.
#[test]
fn shows_statements_with_their_values() {
    let system = read_system(&json(r#"{"host": "db.example.com"}"#)).unwrap();
    let show = |text: &str, input: &str| {
        system.show(&request(prepare(&*system, text).unwrap(), input)).map(|shown| shown.to_json())
    };
    assert_eq!(
        show(
            "select a from t where a in (${.ids}) and b = ${.b} -- why",
            r#"{"ids": [1, 2], "b": {"c": 3}}"#
        )
        .unwrap(),
        r#"{"sql":"select a from t where a = any ($1) and b = $2","params":[[1,2],{"c":3}]}"#
    );
    assert_eq!(
        show(r#"{"transaction": ["select 1", "delete from t where a = ${.a}"]}"#, "{}").unwrap(),
        r#"{"transaction":[{"sql":"select 1","params":[]},{"sql":"delete from t where a = $1","params":[null]}]}"#
    );
}

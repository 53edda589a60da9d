//! What an operation may be, offline and when it runs.

use std::sync::{Arc, Mutex};

use renkei_core::{Applied, CallContext, Effect, Kind, call::Listener};

use super::{PRODUCTS, Shop, json, prepare, read_system};

#[tokio::test]
async fn reads_rows() {
    let shop = Shop::new(PRODUCTS, "").await;
    let reply = shop
        .run("select id, name from products where id < ${.max} order by id", r#"{"max": 3}"#)
        .await
        .unwrap();
    assert_eq!(reply.value.into_value().to_json(), r#"[{"id":1,"name":"Anvil"},{"id":2,"name":"Bell"}]"#);
    assert_eq!(reply.meta.to_json(), r#"{"affected":0,"truncated":false,"columns":["id","name"]}"#);
    assert!(reply.notices.is_empty());
    assert_eq!(shop.get("select id from products where id = 77", "{}").await, "[]");
    assert_eq!(shop.get("values (1)", "{}").await, r#"[{"column1":1}]"#);
    assert!(shop.get("explain query plan select * from products", "{}").await.contains("SCAN products"));
}

#[test]
fn shows_statements_with_their_values() {
    let shop = Shop::unconnected(PRODUCTS, "");
    let show =
        |op: &str, input: &str| shop.system.show(&shop.request(op, input)).map(|shown| shown.to_json());
    assert_eq!(
        show(
            "select id from products  -- all\n where id in (${.ids}) and sku = ${.sku}",
            r#"{"ids": [1, 2], "sku": "a"}"#
        )
        .unwrap(),
        r#"{"sql":"select id from products where id in (?2, ?3) and sku = ?1","params":["a",1,2]}"#
    );
    assert_eq!(
        show(
            r#"{"transaction": ["delete from products where id = ${.id}", {"sql": "values (1)"}]}"#,
            r#"{"id": 7}"#
        )
        .unwrap(),
        r#"{"transaction":[{"sql":"delete from products where id = ?1","params":[7]},{"sql":"values (1)","params":[]}]}"#
    );
    let refused = show("select ${.id}", r#"{"id": {}}"#).unwrap_err();
    assert!(refused.to_string().contains("it is an object"), "{refused}");
}

#[tokio::test]
async fn values_are_bound() {
    let shop = Shop::new(PRODUCTS, "").await;
    let echo = |input: &'static str| shop.get("select typeof(${.v}) as t, ${.v} as v", input);
    assert_eq!(echo("{}").await, r#"[{"t":"null","v":null}]"#);
    assert_eq!(echo(r#"{"v": null}"#).await, r#"[{"t":"null","v":null}]"#);
    assert_eq!(echo(r#"{"v": true}"#).await, r#"[{"t":"integer","v":1}]"#);
    assert_eq!(echo(r#"{"v": false}"#).await, r#"[{"t":"integer","v":0}]"#);
    assert_eq!(echo(r#"{"v": 9223372036854775807}"#).await, r#"[{"t":"integer","v":9223372036854775807}]"#);
    assert_eq!(echo(r#"{"v": -9223372036854775808}"#).await, r#"[{"t":"integer","v":-9223372036854775808}]"#);
    assert_eq!(echo(r#"{"v": 1.5}"#).await, r#"[{"t":"real","v":1.5}]"#);
    assert_eq!(echo(r#"{"v": "1"}"#).await, r#"[{"t":"text","v":"1"}]"#);
    assert_eq!(echo(r#"{"v": "a\u0000b"}"#).await, r#"[{"t":"text","v":"a\u0000b"}]"#);
    for (input, part) in [
        (r#"{"v": 9223372036854775808}"#, "beyond 64 bits"),
        (r#"{"v": 1e999}"#, "beyond a double"),
        (r#"{"v": [1]}"#, "it is an array"),
        (r#"{"v": {}}"#, "it is an object"),
    ] {
        let error = shop.fails("select ${.v}", input).await;
        assert_eq!((error.kind(), error.was_applied()), (Kind::Invalid, Applied::No));
        assert!(error.public().contains(part), "{error}");
    }
    // A number that is a text stays one: `name = 0` is not every name.
    assert_eq!(shop.get("select id from products where name = ${.v}", r#"{"v": 0}"#).await, "[]");
}

#[tokio::test]
async fn expands_lists() {
    let shop = Shop::new(PRODUCTS, "").await;
    let sql = "select id from products where id in (${.ids}) order by id";
    assert_eq!(shop.get(sql, r#"{"ids": [3, 1, 1, 99]}"#).await, r#"[{"id":1},{"id":3}]"#);
    assert_eq!(shop.get(sql, r#"{"ids": []}"#).await, "[]");
    assert_eq!(shop.get(sql, "{}").await, "[]");
    let sql = "select count(*) as n from products where id not in (${.ids})";
    assert_eq!(shop.get(sql, r#"{"ids": []}"#).await, r#"[{"n":3}]"#);
    assert_eq!(shop.get(sql, r#"{"ids": [1]}"#).await, r#"[{"n":2}]"#);
    let thousand = json(&format!(
        "{{\"ids\": [{}]}}",
        (1..=1000).map(|id| id.to_string()).collect::<Vec<_>>().join(",")
    ));
    assert_eq!(shop.get(sql, &thousand.to_json()).await, r#"[{"n":0}]"#);
}

#[tokio::test]
async fn a_value_picks_a_choice() {
    let shop = Shop::new(PRODUCTS, "").await;
    let op = r#"{"sql": "select id from products order by ${choose.order}",
        "choose": {"order": {"by": "${.order}", "options": {"dearest": "price desc", "name": "name, id"}, "default": "name"}}}"#;
    assert_eq!(shop.get(op, r#"{"order": "dearest"}"#).await, r#"[{"id":3},{"id":2},{"id":1}]"#);
    assert_eq!(shop.get(op, "{}").await, r#"[{"id":3},{"id":1},{"id":2}]"#);
    let error = shop.fails(op, r#"{"order": "id; drop table products"}"#).await;
    assert_eq!(error.kind(), Kind::Invalid);
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
    let reply = shop
        .run("insert into products (sku, name) values (${.sku}, ${.name})", r#"{"sku": "d"}"#)
        .await
        .unwrap();
    assert_eq!(reply.value.into_value().to_json(), r#"{"affected":1,"last_insert_id":4}"#);
    assert_eq!(reply.meta.to_json(), r#"{"affected":1,"truncated":false,"last_insert_id":4}"#);
    assert_eq!(
        shop.get("update products set price = 1 where id < ${.id}", r#"{"id": 3}"#).await,
        r#"{"affected":2}"#
    );
    assert_eq!(shop.get("delete from products where id = 77", "{}").await, r#"{"affected":0}"#);
    let reply = shop.run("delete from products where id = 1 returning sku", "{}").await.unwrap();
    assert_eq!(reply.meta.get("affected"), Some(&1i64.into()));
    assert_eq!(reply.value.into_value().to_json(), r#"[{"sku":"a"}]"#);
    // Exactly one, or nothing at all.
    let one = r#"{"sql": "update products set price = 7 where id >= ${.id}", "one": true}"#;
    assert_eq!(shop.fails(one, r#"{"id": 99}"#).await.kind(), Kind::NotFound);
    assert_eq!(shop.fails(one, r#"{"id": 2}"#).await.kind(), Kind::Conflict);
    assert_eq!(shop.get(one, r#"{"id": 4}"#).await, r#"{"affected":1}"#);
    assert_eq!(shop.get("select count(*) as n from products where price = 7", "{}").await, r#"[{"n":1}]"#);
    let one = r#"{"sql": "update products set price = 8 returning id", "one": true}"#;
    assert_eq!(shop.fails(one, "{}").await.kind(), Kind::Conflict);
    assert_eq!(shop.get("select count(*) as n from products where price = 8", "{}").await, r#"[{"n":0}]"#);
    // Cut results do not cut the change.
    let reply = shop
        .run(r#"{"sql": "update products set price = 9 returning id", "max_rows": 1}"#, "{}")
        .await
        .unwrap();
    assert_eq!(
        (reply.meta.get("affected"), reply.meta.get("truncated")),
        (Some(&3i64.into()), Some(&true.into()))
    );
    assert_eq!(shop.get("select count(*) as n from products where price = 9", "{}").await, r#"[{"n":3}]"#);
    assert_eq!(shop.get("create table notes (text text)", "{}").await, r#"{"affected":0}"#);
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    let shop = Shop::new(PRODUCTS, "").await;
    let op = r#"{"transaction": [
        "insert into products (sku, price) values (${.sku}, ${.price})",
        {"sql": "update products set price = price - 1 where sku = ${.from}", "one": true},
        "select count(*) as n from products"]}"#;
    let reply = shop.run(op, r#"{"sku": "d", "price": 1, "from": "a"}"#).await.unwrap();
    assert_eq!(
        reply.value.into_value().to_json(),
        r#"[{"affected":1,"last_insert_id":4},{"affected":1},[{"n":4}]]"#
    );
    assert_eq!(reply.meta.get("affected"), Some(&2i64.into()));
    assert_eq!(reply.meta.get("statements").and_then(|all| all.as_array()).map(<[_]>::len), Some(3));
    let count = || shop.get("select count(*) as n from products", "{}");
    for (input, kind) in [
        (r#"{"sku": "e", "price": 1, "from": "zzz"}"#, Kind::NotFound),
        (r#"{"sku": "a", "price": 1, "from": "a"}"#, Kind::Conflict),
        (r#"{"sku": "e", "price": -1, "from": "a"}"#, Kind::Conflict),
        (r#"{"sku": "e", "price": [], "from": "a"}"#, Kind::Invalid),
    ] {
        let error = shop.fails(op, input).await;
        assert_eq!((error.kind(), error.was_applied()), (kind, Applied::No), "{input}: {error}");
        assert_eq!(count().await, r#"[{"n":4}]"#, "{input}");
    }
    // A constraint that is checked at the commit only.
    shop.direct()
        .execute_batch(
            "create table items (product integer references products deferrable initially deferred)",
        )
        .unwrap();
    let error = shop.fails("insert into items values (99)", "{}").await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::Conflict, Applied::No), "{error:?}");
    assert_eq!(shop.get("select count(*) as n from items", "{}").await, r#"[{"n":0}]"#);
    assert_eq!(count().await, r#"[{"n":4}]"#);
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
    let heard = |op: &'static str, input: &'static str| {
        let (request, call, heard) = (shop.request(op, input), shop.call(), Arc::new(Heard::default()));
        async move {
            let cx = CallContext { listener: Some(heard.clone()), ..super::context() };
            let done = call.call(&cx, &request).await.is_ok();
            (done, heard.0.lock().unwrap().join(", "))
        }
    };
    let op = r#"{"transaction": ["select 1", "update products set price = ${.p}", "select 2"]}"#;
    let all = "statement 1 of 3 is done, statement 2 of 3 is done, statement 3 of 3 is done";
    assert_eq!(heard(op, r#"{"p": 1}"#).await, (true, all.to_owned()));
    assert_eq!(heard(op, r#"{"p": -1}"#).await, (false, "statement 1 of 3 is done".to_owned()));
    assert_eq!(heard("select 1", "{}").await, (true, String::new()));
}

#[test]
fn the_effect_follows_from_the_statement() {
    let system = Shop::system("");
    for (op, effect) in [
        ("select 1", Effect::Read),
        ("insert into t values (1)", Effect::Write),
        ("update t set a = 1", Effect::Write),
        ("create table t (a)", Effect::Write),
        (r#"{"sql": "update t set a = 1", "effect": "idempotent"}"#, Effect::Idempotent),
        (r#"{"transaction": ["select 1", "select 2"]}"#, Effect::Read),
        (r#"{"transaction": ["select 1", "delete from t"]}"#, Effect::Write),
    ] {
        assert_eq!(prepare(&*system, op).unwrap().effect, effect, "{op}");
    }
    let label = |op: &str| prepare(&*system, op).unwrap().label;
    assert_eq!(&*label("select a from t where b = ${.b}"), "select a from t where b = {}");
    assert_eq!(&*label(r#"{"transaction": ["select 1", "delete from t"]}"#), "transaction of 2 statements");
}

#[test]
fn refuses_operations_with_words() {
    let system = Shop::system("");
    let many = format!(r#"{{"transaction": [{}]}}"#, vec!["\"select 1\""; 101].join(","));
    for (op, parts) in [
        ("{}", &["an operation has a statement", "sql: "][..]),
        (r#"{"sql": "select 1", "transaction": ["select 1"]}"#, &["either `sql` or `transaction`"]),
        (r#"{"transaction": []}"#, &["no statements"]),
        (&many, &["101 statements", "at most 100"]),
        (r#"{"transaction": ["select 1"], "one": true}"#, &["`one` belongs to a statement"]),
        (r#"{"sql": "select 1", "max_rows": 0}"#, &["`max_rows` cannot be 0"]),
        (r#"{"sql": "delete from t", "effect": "read"}"#, &["it is no `read`", "idempotent"]),
        (r#"{"sql": "select 1", "limit": 3}"#, &["unknown key `limit`"]),
        (r#"{"sq": "select 1"}"#, &["did you mean `sql`?"]),
        ("begin", &["`begin` is refused", "transaction: ["]),
        ("commit", &["`commit` is refused"]),
        ("savepoint a", &["`savepoint` is refused"]),
        ("attach 'x.db' as x", &["`attach` is refused", "a system of its own"]),
        ("pragma user_version", &["`pragma` is refused"]),
        ("vacuum into 'x.db'", &["`vacuum` is refused"]),
        ("shutdown", &["`shutdown` begins no statement"]),
        ("select ${.a", &["not closed"]),
        ("select '${.a}', ${.b} from ${.c}", &["inside a text"]),
        (
            r#"{"transaction": ["select ${.a}${.b}", "select 1 from ${.c}"]}"#,
            &["right beside", "after `from`"],
        ),
    ] {
        let wrong = prepare(&*system, op).expect_err(op).join("\n");
        for part in parts {
            assert!(wrong.contains(part), "{op}: {wrong}");
        }
    }
    let system = Shop::system(r#""read_only": true"#);
    for op in ["delete from t", "create table t (a)", "with x as (select 1) insert into t select * from x"] {
        let wrong = prepare(&*system, op).expect_err(op).join("\n");
        assert!(wrong.contains("`shop`, which is `read_only: true`"), "{wrong}");
    }
}

#[test]
fn refuses_configs_with_words() {
    for (config, part) in [
        (r#"{"path": ""}"#, "expected a path"),
        ("{}", "the key `path` is missing"),
        (r#"{"path": ":memory:", "read_only": true}"#, "nothing to read"),
        (r#"{"path": "a", "read_only": true, "create": true}"#, "cannot be created"),
        (r#"{"path": "a", "connections": 0}"#, "between 1 and 64"),
        (r#"{"path": "a", "connections": 65}"#, "between 1 and 64"),
        (r#"{"path": "a", "max_rows": 0}"#, "`max_rows` cannot be 0"),
        (r#"{"path": "a", "queue": 0}"#, "`queue` cannot be 0"),
        (r#"{"path": "a", "statement_timeout": "0s"}"#, "`statement_timeout` cannot be 0"),
        (r#"{"path": "a", "readonly": true}"#, "did you mean `read_only`?"),
    ] {
        let wrong = read_system(&json(config)).expect_err(config).join("\n");
        assert!(wrong.contains(part), "{config}: {wrong}");
    }
}

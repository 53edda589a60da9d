//! Statements, transactions, choices, lists, and what is refused offline.

use std::sync::{Arc, Mutex};

use renkei_core::{Applied, CallContext, Effect, Kind, Retry, call::Listener};

use super::{PRODUCTS, Shop, config, json, offline, prepare, prepare_for, read_system, request};

#[tokio::test]
async fn reads_rows_one_row_and_changes() {
    let shop = Shop::new(PRODUCTS, "").await;
    assert_eq!(
        shop.get("select id, name from products where price > ${.p} order by id", r#"{"p": 200}"#).await,
        r#"[{"id":2,"name":"Bell"},{"id":3,"name":null}]"#
    );
    let one = r#"{"sql": "select sku from products where id = ${.id}", "one": true}"#;
    assert_eq!(shop.get(one, r#"{"id": 2}"#).await, r#"{"sku":"b"}"#);
    assert_eq!(shop.fails(one, r#"{"id": 9}"#).await.kind(), Kind::NotFound);
    let all = r#"{"sql": "select sku from products", "one": true}"#;
    assert_eq!(shop.fails(all, "{}").await.kind(), Kind::Conflict);
    let reply = shop.run("insert into products (sku) values (${.sku})", r#"{"sku": "d"}"#).await.unwrap();
    assert_eq!(reply.meta.to_json(), r#"{"affected":1,"truncated":false,"last_insert_id":4}"#);
    assert_eq!(reply.value.into_value().to_json(), r#"{"affected":1,"last_insert_id":4}"#);
    // Rows that match count, also when they have the value already.
    for _ in 0..2 {
        assert_eq!(shop.get("update products set price = 5 where id < 3", "{}").await, r#"{"affected":2}"#);
    }
    assert_eq!(shop.get("delete from products where id = 77", "{}").await, r#"{"affected":0}"#);
    assert_eq!(
        shop.get("insert into products (sku) values ('e'), ('f') returning id, sku", "{}").await,
        r#"[{"id":5,"sku":"e"},{"id":6,"sku":"f"}]"#
    );
    assert_eq!(shop.get("show tables", "{}").await, r#"[{"Tables_in_shop":"products"}]"#);
    assert!(shop.get("describe products", "{}").await.contains(r#""Field":"sku""#));
    assert_eq!(shop.get("with x as (select 1 as a) select a from x", "{}").await, r#"[{"a":1}]"#);
    assert_eq!(shop.get("values (1)", "{}").await, r#"[{"1":1}]"#);
    assert_eq!(shop.get("create table more (a integer)", "{}").await, r#"{"affected":0}"#);
    assert_eq!(shop.get("truncate table more", "{}").await, r#"{"affected":0}"#);
}

#[tokio::test]
async fn exactly_one_row_is_changed_or_none() {
    let shop = Shop::new(PRODUCTS, "").await;
    let one = |sql: &str| format!(r#"{{"sql": "{sql}", "one": true}}"#);
    let error = shop.fails(&one("update products set price = 7"), "{}").await;
    assert_eq!((error.kind(), error.public().contains("one: true")), (Kind::Conflict, true));
    assert_eq!(
        shop.fails(&one("update products set price = 7 where id = 9"), "{}").await.kind(),
        Kind::NotFound
    );
    assert_eq!(shop.get("select count(*) as n from products where price = 7", "{}").await, r#"[{"n":0}]"#);
    // An update that changes nothing has found its row.
    assert_eq!(
        shop.get(&one("update products set price = 100 where id = 1"), "{}").await,
        r#"{"affected":1}"#
    );
    // To the server, a row that replaces another one is two.
    let upsert = one(
        "insert into products (id, sku, price) values (1, 'a', ${.p}) on duplicate key update price = values(price)",
    );
    assert_eq!(shop.get(&upsert, r#"{"p": 3}"#).await, r#"{"affected":2,"last_insert_id":1}"#);
    assert_eq!(
        shop.get(&one("replace into products values (1, 'a', 'x', 1)"), "{}").await,
        r#"{"affected":2,"last_insert_id":1}"#
    );
    let two = one("insert into products (sku) values ('x'), ('y')");
    assert_eq!(shop.fails(&two, "{}").await.kind(), Kind::Conflict);
    assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
}

#[tokio::test]
async fn transactions_are_applied_all_or_none() {
    let shop = Shop::new(PRODUCTS, "").await;
    let op = r#"{"transaction": [
        "insert into products (sku, price) values (${.sku}, ${.price})",
        {"sql": "update products set price = price + 1 where sku = ${.sku}", "one": true},
        {"sql": "select price from products where sku = ${.sku}", "one": true}
    ]}"#;
    let reply = shop.run(op, r#"{"sku": "n", "price": 4}"#).await.unwrap();
    assert_eq!(
        reply.value.into_value().to_json(),
        r#"[{"affected":1,"last_insert_id":4},{"affected":1},{"price":5}]"#
    );
    assert_eq!(reply.meta.get("affected"), Some(&2i64.into()));
    // The second statement fails, so the first is undone.
    for second in [
        "insert into products (sku) values ('a')",
        "update products set price = -1",
        "update products set missing = 1",
        "select no_function(1)",
    ] {
        let op = format!(r#"{{"transaction": ["update products set name = 'gone'", "{second}"]}}"#);
        let error = shop.fails(&op, "{}").await;
        assert_eq!(error.was_applied(), Applied::No, "{second}: {error}");
        let gone = "select count(*) as n from products where name = 'gone'";
        assert_eq!(shop.get(gone, "{}").await, r#"[{"n":0}]"#, "{second}");
    }
    let nobody = r#"{"transaction": ["delete from products", {"sql": "delete from products", "one": true}]}"#;
    assert_eq!(shop.fails(nobody, "{}").await.kind(), Kind::NotFound);
    assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":4}]"#);
}

#[tokio::test]
async fn lists_are_expanded_for_each_length() {
    let shop = Shop::new(PRODUCTS, "").await;
    let some = "select id from products where id in (${.ids}) order by id";
    let others = "select id from products where id not in (${.ids}) order by id";
    assert_eq!(shop.get(some, r#"{"ids": [3, 1, 9]}"#).await, r#"[{"id":1},{"id":3}]"#);
    assert_eq!(shop.get(some, r#"{"ids": []}"#).await, "[]");
    assert_eq!(shop.get(others, r#"{"ids": []}"#).await, r#"[{"id":1},{"id":2},{"id":3}]"#);
    assert_eq!(shop.get(others, r#"{"ids": [2]}"#).await, r#"[{"id":1},{"id":3}]"#);
    assert_eq!(shop.get(some, "{}").await, "[]");
    let most = (0..1000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(shop.get(some, &format!(r#"{{"ids": [{most}]}}"#)).await, r#"[{"id":1},{"id":2},{"id":3}]"#);
    let error = shop.fails(some, &format!(r#"{{"ids": [{most}, 1000]}}"#)).await;
    assert!(error.public().contains("at most 1000"), "{error}");
    // Far more texts than statements are kept.
    for length in 0..100 {
        let ids = vec!["1"; length].join(",");
        let expected = if length == 0 { "[]" } else { r#"[{"id":1}]"# };
        assert_eq!(shop.get(some, &format!(r#"{{"ids": [{ids}]}}"#)).await, expected);
    }
    let statements = shop.server.admin("show global status like 'Prepared_stmt_count'");
    let count: usize = statements.split_whitespace().last().unwrap().parse().unwrap();
    assert!(count <= 64, "{statements}");
}

#[tokio::test]
async fn a_value_picks_a_text_of_the_config() {
    let shop = Shop::new(PRODUCTS, "").await;
    let op = r#"{"sql": "select sku from products order by ${choose.order} limit ${.n}",
        "choose": {"order": {"by": "${.order}", "options": {"dear": "price desc", "sku": "sku"}, "default": "sku"}}}"#;
    assert_eq!(shop.get(op, r#"{"order": "dear", "n": 1}"#).await, r#"[{"sku":"c"}]"#);
    assert_eq!(shop.get(op, r#"{"n": 1}"#).await, r#"[{"sku":"a"}]"#);
    let error = shop.fails(op, r#"{"order": "price; drop table products", "n": 1}"#).await;
    assert_eq!((error.kind(), error.retry_advice()), (Kind::Invalid, Retry::Never));
}

#[test]
fn effects_are_known_offline() {
    let system = offline("");
    for (sql, effect) in [
        ("select 1", Effect::Read),
        ("show tables", Effect::Read),
        ("describe t", Effect::Read),
        ("with x as (select 1) select * from x", Effect::Read),
        ("explain select 1", Effect::Read),
        ("update t set a = 1", Effect::Write),
        ("with x as (select 1) delete from t", Effect::Write),
        ("alter table t add b integer", Effect::Write),
        (r#"{"sql": "update t set a = 1", "effect": "idempotent"}"#, Effect::Idempotent),
    ] {
        assert_eq!(prepare(&*system, sql).unwrap().effect, effect, "{sql}");
    }
}

#[test]
fn refuses_with_words() {
    let system = offline("");
    for (op, parts) in [
        ("begin", &["`begin` is refused", "transaction: ["][..]),
        ("start transaction", &["`start` is refused"]),
        ("commit", &["`commit` is refused"]),
        ("set @a = 1", &["placeholder"]),
        ("set autocommit = 0", &["`set` is refused", "other calls"]),
        ("use mysql", &["`use` is refused"]),
        ("lock tables t write", &["`lock` is refused"]),
        ("call everything()", &["`call` is refused"]),
        ("load data infile 'x' into table t", &["`load` is refused"]),
        ("grant all on *.* to evil", &["`grant` is refused"]),
        ("kill 7", &["`kill` is refused"]),
        ("merge into t", &["`merge` begins no statement"]),
        ("select * from t into outfile '/tmp/x'", &["`outfile` is refused", "file of the server"]),
        ("select * into dumpfile '/tmp/x' from t", &["`dumpfile` is refused"]),
        ("select load_file('/etc/passwd')", &["`load_file` is refused"]),
        ("select get_lock('a', 1)", &["`get_lock` is refused"]),
        ("create temporary table t (a integer)", &["`temporary` is refused"]),
        (r#"{"transaction": ["delete from t", "drop table t"]}"#, &["`drop` is refused in a transaction"]),
        (
            r#"{"transaction": [{"sql": "create table t (a integer)"}]}"#,
            &["`create` is refused in a transaction"],
        ),
        (r#"{"transaction": ["truncate t"]}"#, &["`truncate` is refused in a transaction"]),
        (
            r#"{"sql": "select a from t ${choose.to}", "choose": {"to": {"by": "${.a}", "options": {"x": "into outfile '/tmp/x'"}}}}"#,
            &["`outfile` is refused"],
        ),
        ("select '${.a}'", &["inside a text"]),
        ("select \"${.a}\"", &["inside a text"]),
        ("select `${.a}`", &["inside a quoted name"]),
        ("select 1 # ${.a}", &["inside a comment"]),
        ("select 1 -- ${.a}", &["inside a comment"]),
        ("select 1 /* ${.a} */", &["inside a comment"]),
        ("select /*! ${.a} */ 1", &["would run what is in this comment"]),
        ("select /*!50000 1 */", &["would run what is in this comment"]),
        ("select /*M! 1 */", &["would run what is in this comment"]),
        ("select 'a\\\\' ${.a} '", &["not closed"]),
        ("select a from t order by ${.a}", &["after `order by`", "choose"]),
        ("select :a", &["placeholder"]),
        ("select 1; delete from t", &["a second statement"]),
    ] {
        let wrong = prepare(&*system, op).expect_err(op).join("\n");
        for part in parts {
            assert!(wrong.contains(part), "{op}: {wrong}");
        }
    }
    let system = offline(r#""read_only": true"#);
    for op in ["delete from t", "create table t (a integer)", "with x as (select 1) delete from t"] {
        let wrong = prepare(&*system, op).expect_err(op).join("\n");
        assert!(wrong.contains("`shop`, which is `read_only: true`"), "{wrong}");
    }
}

#[test]
fn refuses_configs_with_words() {
    for (config, part) in [
        ("{}", "it is not said who logs in"),
        (r#"{"url": "mysql://root@h/d", "host": "h"}"#, "`host` is a part of `url` already"),
        (r#"{"url": "postgres://root@h/d"}"#, "begins with `mysql://`"),
        (r#"{"url": "root@h"}"#, "not a URL"),
        (r#"{"url": "mysql://h/d"}"#, "who logs in"),
        (r#"{"url": "mysql://u@h/d?ssl=1"}"#, "settings as keys beside `url`"),
        (r#"{"url": "mysql://u@h/d/e"}"#, "more than one name"),
        (r#"{"user": "u", "host": ""}"#, "the host is empty"),
        (r#"{"user": "u", "ca": "x.pem"}"#, "only with `tls: verify`"),
        (r#"{"user": "u", "tls": "maybe"}"#, "`verify`"),
        (r#"{"user": "u", "max_connections": 0}"#, "between 1 and 1,000"),
        (r#"{"user": "u", "max_rows": 0}"#, "`max_rows` cannot be 0"),
        (r#"{"user": "u", "queue": 0}"#, "`queue` cannot be 0"),
        (r#"{"user": "u", "statement_timeout": "0s"}"#, "`statement_timeout` cannot be 0"),
        (r#"{"user": "u", "readonly": true}"#, "did you mean `read_only`?"),
    ] {
        let wrong = read_system(&json(config)).expect_err(config).join("\n");
        assert!(wrong.contains(part), "{config}: {wrong}");
    }
    // No part of a URL is repeated: there is a password in it.
    let wrong = read_system(&config("mysql://u:hunter2@h/d?hunter3", "")).expect_err("settings").join("\n");
    assert!(!wrong.contains("hunter"), "{wrong}");
    for good in [
        r#"{"url": "mysql://u@h"}"#,
        r#"{"url": "mariadb://u:p%40ss@[::1]:3307/d"}"#,
        r#"{"user": "u", "host": "db.example.com", "ca": "x.pem"}"#,
        r#"{"user": "u", "password": "p", "port": 3307, "database": "d", "tls": "disable"}"#,
    ] {
        assert!(read_system(&json(good)).is_ok(), "{good}");
    }
}

#[test]
fn requests_are_shown_as_data() {
    let system = offline("");
    let show = |op: &str, input: &str| {
        let schema = json(r#"{"properties": {"at": {"type": "string", "format": "date-time"}}}"#);
        let shown = system.show(&request(prepare_for(&*system, op, &schema), input));
        shown.map_or_else(|error| error.public().to_owned(), |shown| shown.to_json())
    };
    assert_eq!(
        show(
            "select a from t where b in (${.ids}) /* x */ and at > ${.at}",
            r#"{"ids": [1, 2], "at": "2026-01-31T10:00:00+02:00"}"#
        ),
        r#"{"sql":"select a from t where b in (?, ?) and at > ?","params":[1,2,"2026-01-31T08:00:00"]}"#
    );
    assert_eq!(
        show(r#"{"transaction": ["delete from t where a = ${.a}", "select 1"]}"#, "{}"),
        r#"{"transaction":[{"sql":"delete from t where a = ?","params":[null]},{"sql":"select 1","params":[]}]}"#
    );
    assert!(show("select ${.a}", r#"{"a": [1]}"#).contains("it is an array"));
}

/// The statement and its columns are kept, but not for ever.
#[tokio::test]
async fn a_changed_table_is_seen() {
    let shop = Shop::new(PRODUCTS, r#""max_connections": 1"#).await;
    let sql = "select * from products where id = 1";
    for _ in 0..2 {
        assert_eq!(shop.get(sql, "{}").await, r#"[{"id":1,"sku":"a","name":"Anvil","price":100}]"#);
    }
    shop.server.admin("alter table products drop column price, add column stock decimal(5,1) default 2.5");
    for _ in 0..2 {
        assert_eq!(shop.get(sql, "{}").await, r#"[{"id":1,"sku":"a","name":"Anvil","stock":"2.5"}]"#);
    }
}

#[tokio::test]
async fn a_value_that_is_cut_is_told() {
    let shop = Shop::new(
        "create table t (id integer, at datetime); insert into t values (0, '2026-01-31 10:00:00')",
        "",
    )
    .await;
    for (sql, value, told) in [
        ("select id from t where id = ${.v}", "0", false),
        ("select id from t where id = ${.v}", "abc", true),
        ("select id from t where at = ${.v}", "2026-01-31T10:00:00", false),
        ("select id from t where at = ${.v}", "2026-01-31T10:00:00+02:00", true),
    ] {
        let reply = shop.run(sql, &format!("{{\"v\": \"{value}\"}}")).await.unwrap();
        assert_eq!(reply.value.into_value().to_json(), r#"[{"id":0}]"#, "{value}");
        assert_eq!(reply.notices.iter().any(|notice| notice.contains("its beginning")), told, "{value}");
    }
    let error = shop.fails("delete from t where id = ${.v}", r#"{"v": "abc"}"#).await;
    assert_eq!((error.kind(), error.was_applied()), (Kind::Invalid, Applied::No));
    assert!(error.public().contains("only its beginning"), "{error}");
    assert_eq!(shop.get("select count(*) as n from t", "{}").await, r#"[{"n":1}]"#);
    // Declared as a time, it has a zone.
    let schema = json(r#"{"properties": {"v": {"type": "string", "format": "date-time"}}}"#);
    let sql = "select id from t where at in (${.v})";
    let op = request(prepare_for(&*shop.system, sql, &schema), r#"{"v": "2026-01-31T12:00:00+02:00"}"#);
    let reply = shop.call().call(&super::context(), &op).await.unwrap();
    assert_eq!((reply.value.into_value().to_json().as_str(), reply.notices.len()), (r#"[{"id":0}]"#, 0));
}

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
    let op = r#"{"transaction": ["select 1", "update products set price = ${.p}", "select 2"]}"#;
    for (input, told) in [(r#"{"p": 1}"#, 3), (r#"{"p": -1}"#, 1)] {
        let heard = Arc::new(Heard::default());
        let cx = CallContext { listener: Some(heard.clone()), ..super::context() };
        let done = shop.call().call(&cx, &shop.request(op, input)).await;
        assert_eq!(done.is_ok(), told == 3);
        let notes: Vec<String> = (1..=told).map(|at| format!("statement {at} of 3 is done")).collect();
        assert_eq!(*heard.0.lock().unwrap(), notes);
    }
}

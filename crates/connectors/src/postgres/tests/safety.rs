//! What a statement must not reach, whoever wrote it, and whatever its values are.

use renkei_core::{Applied, Kind, Value};

use super::{PRODUCTS, Shop, json, prepare, read_system};

const LOG: &str = "
    create table log (a integer);
    create sequence ids;
    create function writes() returns integer language sql as 'insert into log values (1) returning a';
";

#[tokio::test]
async fn a_read_only_system_changes_nothing() {
    let shop = Shop::new(&format!("{PRODUCTS}{LOG}"), "").await;
    let (_, call) = shop.again(r#""read_only": true"#).await;
    // Prepared by the same system without `read_only`, so that only the server is in the way.
    for sql in [
        "insert into products (sku) values ('x')",
        "update products set price = 0",
        "delete from products",
        "truncate products",
        "create table evil (a integer)",
        "drop table products",
        "select writes()",
        "select nextval('ids')",
        "select * from products for update",
        "select set_config('transaction_read_only', 'off', false), writes()",
        "explain analyze delete from products",
        "do 'begin delete from products; end'",
        r#"{"sql": "select writes()", "effect": "write"}"#,
        r#"{"transaction": ["select 1 as a", "select writes()"]}"#,
        r#"{"transaction": ["select 1 as a", "select set_config('transaction_read_only', 'off', true)", "delete from products"]}"#,
    ] {
        let error = call.call(&super::context(), &shop.request(sql, "{}")).await.expect_err(sql);
        assert_eq!((error.kind(), error.was_applied()), (Kind::Internal, Applied::No), "{sql}: {error}");
        assert!(error.public().contains("read"), "{sql}: {error}");
    }
    assert_eq!(shop.direct("select count(*), sum(price) from products"), "3|1349");
    assert_eq!(shop.direct("select count(*) from log"), "0");
    let select = shop.request("select count(*) as n from products", "{}");
    assert_eq!(
        call.call(&super::context(), &select).await.unwrap().value.into_value().to_json(),
        r#"[{"n":3}]"#
    );
}

/// Also where a system may write, what begins like a read only reads, unless the config says otherwise.
#[tokio::test]
async fn what_looks_like_a_read_is_one() {
    let shop = Shop::new(&format!("{PRODUCTS}{LOG}"), "").await;
    for sql in
        ["select writes()", "select * from products for update", "explain analyze delete from products"]
    {
        for _ in 0..2 {
            let error = shop.fails(sql, "{}").await;
            assert_eq!((error.kind(), error.was_applied()), (Kind::Internal, Applied::No));
            assert!(error.public().contains("write `effect: write` beside it"), "{sql}: {error}");
        }
    }
    assert_eq!(shop.direct("select count(*) from log"), "0");
    let declared = r#"{"sql": "select writes() as a", "effect": "write"}"#;
    assert_eq!(shop.get(declared, "{}").await, r#"[{"a":1}]"#);
    assert_eq!(shop.direct("select count(*) from log"), "1");
}

/// Comments, case and spaces change nothing about what is refused at start.
#[test]
fn tricks_with_the_text_are_refused_at_start() {
    let system = read_system(&json(r#"{"host": "db.example.com"}"#)).unwrap();
    for sql in [
        "COPY products to '/tmp/evil'",
        "/* select */ copy products from program 'id'",
        "-- select\nset role postgres",
        "\tSeT session authorization evil",
        "reset all",
        "listen evil",
        "select 1; delete from products",
        "select 1;/*;*/;delete from products",
        "select 'a'';' ; delete from products; --'",
        "select e'\\'' ; delete from products; --'",
        "select $$a$$ ; delete from products",
        "select $a$ $$ $a$ ; delete from products",
        "begin",
        "commit",
        "rollback",
        "prepare transaction 'evil'",
        "vacuum",
        "load 'evil.so'",
        "declare c cursor for select 1",
        "deallocate all",
        "(select 1)",
        "\u{feff}select 1",
        "select 1\0; delete from products",
        "select /* unclosed",
        "select $1",
        "select '${.a}'",
        "select \"${.a}\"",
        "select $$ ${.a} $$",
        "select * from ${.a}",
        "select * from products order by ${.a}",
        "select ${.a}.b",
    ] {
        let wrong = prepare(&*system, sql).expect_err(sql);
        assert!(!wrong.is_empty(), "{sql}");
    }
}

/// Whatever is in a value, it is only a value: alone, in a list, in a JSON value, as an element or a field.
#[tokio::test]
async fn no_value_becomes_sql() {
    let schema = "create type pair as (a text, b text);
        create table t (id integer, v text, list text[], j jsonb, p pair, ps pair[])";
    let shop = Shop::new(schema, "").await;
    let insert = "insert into t values (1, ${.v}, ${.list}, ${.j}, ${.p}, ${.ps})";
    for value in ADVERSARIAL {
        let input = Value::from([
            ("v", Value::from(*value)),
            ("list", vec![Value::from(*value), Value::Null].into()),
            ("j", Value::from([(*value, *value)])),
            ("p", Value::from([("a", Value::from(*value)), ("b", Value::Null)])),
            ("ps", vec![Value::from([("a", *value), ("b", *value)])].into()),
        ]);
        shop.get("delete from t", "{}").await;
        shop.get(insert, &input.to_json()).await;
        let back = "select v, list, j, p, ps from t
            where v = ${.v} and v in (${.list}) and v = any(${.list}) and j = ${.j} and p = ${.p}::pair and ps = ${.ps}::pair[]";
        assert_eq!(shop.get(back, &input.to_json()).await, format!("[{}]", input.to_json()), "{value}");
        assert_eq!(shop.get("select count(*) as n from t", "{}").await, r#"[{"n":1}]"#, "{value}");
    }
}

const ADVERSARIAL: &[&str] = &[
    "'",
    "''",
    "\"",
    "\\",
    "\\\\",
    "\\'",
    "\\\"",
    "';--",
    "'; drop table t; --",
    "' or '1'='1",
    "x' union select usename from pg_user --",
    "$1",
    "$$",
    "$a$",
    "::text",
    ":v",
    "?",
    "${.v}",
    "$${",
    "{",
    "}",
    "{}",
    "{a,b}",
    "\",\"",
    ",",
    "(",
    ")",
    "(a,b)",
    "\\\",\\\"",
    "NULL",
    "null",
    "",
    " ",
    "  a  ",
    "/*",
    "*/",
    "--",
    "\n--\n",
    "%",
    "_",
    "\u{1}",
    "\u{feff}",
    "＇",
    "\u{202e}",
    "E'\\x27'",
    "U&'\\0027'",
    "chr(39)",
    "pg_sleep(10)",
    "\r\n;\r\n",
    "{\"a\":1}",
    "[1,2]",
    "😀",
];

//! What a statement must not reach, whoever wrote it.

use renkei_core::{Kind, Value};

use super::{PRODUCTS, Shop, prepare, unseen};

/// Whatever the text of a statement hides: the authorizer sees through every spelling.
#[tokio::test]
async fn the_authorizer_refuses_what_reaches_beyond() {
    for more in ["", r#""read_only": true"#] {
        let shop = Shop::new(PRODUCTS, more).await;
        for (sql, named) in [
            ("select * from pragma_table_info('products')", "pragma"),
            ("select * from pragma_database_list", "pragma"),
            ("select * from main.pragma_user_version()", "pragma"),
            ("select 1 where exists (select 1 from pragma_compile_options)", "pragma"),
            ("with x as (select * from pragma_function_list) select * from x", "pragma"),
            ("select load_extension('evil.so')", "load_extension"),
            ("select LOAD_EXTENSION('evil.so', 'entry')", "load_extension"),
            ("select fts3_tokenizer('simple')", "fts3_tokenizer"),
            ("explain attach 'evil.db' as evil", "attach"),
            ("explain query plan attach 'evil.db' as evil", "attach"),
            ("explain pragma user_version = 7", "pragma"),
        ] {
            let request = super::request(unseen(sql), "{}");
            let error = shop.call().call(&super::context(), &request).await.expect_err(sql);
            assert_eq!(error.kind(), Kind::Internal, "{sql}: {error}");
            assert!(error.public().to_lowercase().contains(named), "{sql}: {error}");
        }
        assert!(!shop.folder.path().join("evil.db").exists());
    }
}

#[tokio::test]
async fn a_read_only_system_changes_nothing() {
    let shop = Shop::new(PRODUCTS, r#""read_only": true"#).await;
    // `prepare` refuses these; here they come prepared by the same system without `read_only`.
    let writable = Shop::system("");
    for sql in [
        "insert into products (sku) values ('x')",
        "update products set price = 0",
        "delete from products",
        "create table evil (a)",
        "drop table products",
        "create temp table evil (a)",
        "alter table products rename to evil",
        "reindex",
        "analyze",
        "with x as (select 1) delete from products",
        "replace into products (id, sku) values (1, 'x')",
    ] {
        let op = prepare(&*writable, sql).unwrap();
        let result = shop.call().call(&super::context(), &super::request(op, "{}")).await;
        assert!(result.is_err(), "{sql}");
    }
    assert_eq!(
        shop.get("select count(*) as n, sum(price) as s from products", "{}").await,
        r#"[{"n":3,"s":1349}]"#
    );
    let bytes = std::fs::read(shop.path()).unwrap();
    drop(shop.call());
    assert_eq!(std::fs::read(shop.path()).unwrap(), bytes);
}

/// Comments, case and spaces change nothing about what is refused at start.
#[test]
fn tricks_with_the_text_are_refused_at_start() {
    let system = Shop::system("");
    for sql in [
        "ATTACH 'evil.db' AS evil",
        "/* select */ attach 'evil.db' as evil",
        "-- select\nattach 'evil.db' as evil",
        "\tPrAgMa writable_schema = 1",
        "pragma/**/journal_mode=delete",
        "select 1; attach 'evil.db' as evil",
        "select 1; -- x\n pragma user_version",
        "select 1;/*;*/;delete from products",
        "select 'a'';' ; delete from products; --'",
        "select \"a;\" ; delete from products",
        "select [a;'] ; delete from products --'",
        "select `;` ; delete from products",
        "detach evil",
        "vacuum",
        "VACUUM INTO 'evil.db'",
        "end",
        "rollback",
        "release x",
        "(select 1)",
        "\u{feff}attach 'evil.db' as evil",
        "select 1\0; attach 'evil.db' as evil",
        "select /* unclosed",
    ] {
        let wrong = prepare(&*system, sql).expect_err(sql);
        assert!(!wrong.is_empty(), "{sql}");
    }
}

/// What the text tells is refused before anything runs.
#[test]
fn forbidden_names_are_refused_at_start() {
    let system = Shop::system("");
    for (sql, name, why) in [
        ("select * from pragma_table_info('products')", "pragma_table_info", "reaches beyond the rows"),
        ("select * from PRAGMA_database_list", "pragma_database_list", "reaches beyond the rows"),
        ("select * from products join pragma_user_version", "pragma_user_version", "reaches beyond"),
        ("select * from \"pragma_table_list\"", "pragma_table_list", "reaches beyond the rows"),
        ("select * from main.[pragma_user_version]()", "pragma_user_version", "reaches beyond the rows"),
        ("select load_extension('evil.so')", "load_extension", "would load code"),
        ("select Load_Extension ('evil.so')", "load_extension", "would load code"),
        ("update products set name = load_extension(${.x})", "load_extension", "would load code"),
        ("select \"fts3_tokenizer\"('simple')", "fts3_tokenizer", "would load code"),
    ] {
        let wrong = prepare(&*system, sql).expect_err(sql);
        let [wrong] = &wrong[..] else { panic!("{sql}: {wrong:?}") };
        assert!(wrong.starts_with(&format!("`{name}` is refused: it ")) && wrong.contains(why), "{wrong}");
    }
    // A column may have any name, and a text may say anything.
    for sql in [
        "select * from pragma_notes",
        "select pragma_notes, 'load_extension(1)' as x from t",
        "select t.load_extension from t",
    ] {
        assert!(prepare(&*system, sql).is_ok(), "{sql}");
    }
}

/// A statement that begins like a read and is none, and one that hides in the schema.
#[tokio::test]
async fn the_schema_cannot_smuggle() {
    let shop = Shop::new(PRODUCTS, "").await;
    shop.direct()
        .execute_batch(
            "create view evil_view as select load_extension('evil.so') as x;
             create view pragma_view as select * from pragma_table_info('products');
             create trigger evil after insert on products begin select load_extension('evil.so'); end;",
        )
        .unwrap();
    for sql in
        ["select * from evil_view", "select * from pragma_view", "insert into products (sku) values ('z')"]
    {
        let error = shop.fails(sql, "{}").await;
        assert_eq!(error.kind(), Kind::Internal, "{sql}: {error}");
    }
    assert_eq!(shop.get("select count(*) as n from products", "{}").await, r#"[{"n":3}]"#);
    // A connection that has read the tables before they changed compiles the statement again.
    let shop = Shop::new(PRODUCTS, r#""connections": 1"#).await;
    let insert = "insert into products (sku) values (${.sku})";
    shop.get(insert, r#"{"sku": "y"}"#).await;
    let trigger = "create trigger evil after insert on products begin select load_extension('evil.so'); end;";
    shop.direct().execute_batch(trigger).unwrap();
    let error = shop.fails(insert, r#"{"sku": "z"}"#).await;
    assert_eq!(error.kind(), Kind::Internal, "{error}");
    assert!(error.public().contains("the function `load_extension` is refused"), "{error}");
    // The schema table itself cannot be written.
    let error = shop.fails("update sqlite_schema set sql = 'x'", "{}").await;
    assert_eq!(error.kind(), Kind::Internal, "{error}");
    // A misspelt name in double quotes is an error, not a text.
    let error = shop.fails("select \"nmae\" from products", "{}").await;
    assert!(error.public().contains("nmae"), "{error}");
}

/// Full-text search asks for a pragma of its own; it works all the same.
#[tokio::test]
async fn full_text_search_works() {
    let schema = "create virtual table notes using fts5(text); insert into notes values ('a red bell'), ('a blue anvil');";
    for more in ["", r#""read_only": true"#] {
        let shop = Shop::new(schema, more).await;
        let sql = "select text from notes where notes match ${.q}";
        assert_eq!(shop.get(sql, r#"{"q": "bell"}"#).await, r#"[{"text":"a red bell"}]"#);
        let error = shop.fails(sql, r#"{"q": "\"unclosed"}"#).await;
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
    }
    let shop = Shop::new(schema, "").await;
    assert_eq!(
        shop.get("insert into notes values (${.t})", r#"{"t": "green bell"}"#).await,
        r#"{"affected":1,"last_insert_id":3}"#
    );
    assert!(shop.get("select count(*) as n from notes where notes match 'bell'", "{}").await.contains('2'));
}

/// Whatever is in a value, it is only a value.
#[tokio::test]
async fn no_value_becomes_sql() {
    let shop = Shop::new("create table t (id integer primary key, v text)", "").await;
    for value in ADVERSARIAL {
        let input = Value::from([("v", Value::from(*value))]).to_json();
        shop.get("delete from t", "{}").await;
        shop.get("insert into t (v) values (${.v})", &input).await;
        let back = shop
            .run(
                "select v from t where v = ${.v} and v in (${.v}) and v like ${.v} || '%' escape '\u{1}'",
                &input,
            )
            .await;
        let row = shop.get("select v from t where v = ${.v} and v in (${.v})", &input).await;
        assert_eq!(row, Value::from(vec![Value::from([("v", *value)])]).to_json());
        assert!(back.is_ok() || value.contains('\u{1}'), "{value}");
        assert_eq!(shop.get("select count(*) as n from t", "{}").await, r#"[{"n":1}]"#, "{value}");
    }
}

const ADVERSARIAL: &[&str] = &[
    "'",
    "''",
    "\"",
    "`",
    "\\'",
    "';--",
    "'; drop table t; --",
    "' or '1'='1",
    "1; attach 'evil.db' as evil",
    "x' union select sql from sqlite_schema --",
    "?1",
    "?",
    ":v",
    "$1",
    "@v",
    "${.v}",
    "$${",
    "${choose.order}",
    "/*",
    "*/",
    "--",
    "\n--\n",
    "%",
    "_",
    "a\0b",
    "\0",
    "\u{feff}",
    "ʼ",
    "＇",
    "\u{202e}",
    "null",
    "NULL",
    "0",
    "0x27",
    "char(39)",
    "\r\n;\r\n",
    "{\"a\":1}",
    "[1,2]",
    "😀",
    "load_extension('evil.so')",
    "(select 1)",
    "",
];

//! Rows that are too many, too large, or of a kind that only the server can write.

use renkei_core::{Kind, Value};

use super::Shop;

const NUMBERS: &str = "select n from generate_series(1, ${.n}) as n";

#[tokio::test]
async fn rows_are_cut_with_a_notice() {
    let shop = Shop::new("", r#""max_rows": 3"#).await;
    for _ in 0..2 {
        let reply = shop.run(NUMBERS, r#"{"n": 3}"#).await.unwrap();
        assert_eq!(reply.meta.get("truncated"), Some(&false.into()));
        assert!(reply.notices.is_empty());
        let reply = shop.run(NUMBERS, r#"{"n": 4}"#).await.unwrap();
        assert_eq!(reply.value.into_value().to_json(), r#"[{"n":1},{"n":2},{"n":3}]"#);
        assert_eq!(reply.meta.get("truncated"), Some(&true.into()));
        assert_eq!(reply.notices, ["cut at 3 rows (`max_rows`); there are more, so narrow the query"]);
    }
    let more = format!(r#"{{"sql": "{NUMBERS}", "max_rows": 5}}"#);
    assert_eq!(
        shop.run(&more, r#"{"n": 9}"#).await.unwrap().value.into_value().as_array().map(<[_]>::len),
        Some(5)
    );
    let both = format!(r#"{{"transaction": ["{NUMBERS}", {{"sql": "{NUMBERS}", "max_rows": 1}}]}}"#);
    let reply = shop.run(&both, r#"{"n": 2}"#).await.unwrap();
    assert_eq!(
        reply.notices,
        ["statement 2: cut at 1 rows (`max_rows`); there are more, so narrow the query"]
    );
    assert_eq!(reply.value.into_value().to_json(), r#"[[{"n":1},{"n":2}],[{"n":1}]]"#);
}

/// Rows without end: what is not given is not waited for, and the connection goes on.
#[tokio::test]
async fn the_server_is_told_to_stop() {
    let shop = Shop::new("", r#""max_rows": 2, "max_connections": 1, "statement_timeout": "1h""#).await;
    let endless = "with recursive n(i) as (select 1::bigint union all select i + 1 from n) select i from n";
    let pid = shop.get("select pg_backend_pid() as pid", "{}").await;
    for _ in 0..2 {
        let reply = shop.run(endless, "{}").await.unwrap();
        assert_eq!(reply.value.into_value().to_json(), r#"[{"i":1},{"i":2}]"#);
        assert_eq!(reply.meta.get("truncated"), Some(&true.into()));
        assert_eq!(shop.activity("state <> 'idle'"), "0");
    }
    assert_eq!(shop.get("select pg_backend_pid() as pid", "{}").await, pid);
}

#[tokio::test]
async fn bytes_are_cut_at_a_whole_row() {
    let shop = Shop::new("", r#""max_bytes": "1KB""#).await;
    let sql = "select repeat('x', ${.size}) as x from generate_series(1, ${.n})";
    let reply = shop.run(sql, r#"{"size": 300, "n": 20}"#).await.unwrap();
    assert_eq!(reply.notices, ["cut after 3 rows at 1KB (`max_bytes`); there are more, so narrow the query"]);
    assert_eq!(reply.value.into_value().as_array().map(<[_]>::len), Some(3));
    let error = shop.fails(sql, r#"{"size": 3000, "n": 1}"#).await;
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.public().contains("a row is larger than 1KB (`max_bytes`)"), "{error}");
    // Whatever the type, its JSON is counted.
    for sql in [
        "select array_agg(n) as x from generate_series(100000, 100000 + ${.n}) as n",
        "select jsonb_agg(n) as x from generate_series(100000, 100000 + ${.n}) as n",
        "select decode(repeat('00', ${.n}), 'hex') as x",
        "select ('1' || repeat('0', ${.n}))::numeric as x",
    ] {
        let error = shop.fails(sql, r#"{"n": 2000}"#).await;
        assert!(error.public().contains("(`max_bytes`)"), "{sql}: {error}");
    }
    assert_eq!(shop.get("select 1 as a", "{}").await, r#"[{"a":1}]"#);
}

#[tokio::test]
async fn what_has_no_json_is_null_with_a_notice() {
    let shop = Shop::new("", "").await;
    let reply = shop
        .run("select 'NaN'::float8 as a, '-Infinity'::real as b, 'NaN'::numeric as c, array['Infinity'::float8, 1] as d", "{}")
        .await
        .unwrap();
    assert_eq!(reply.value.into_value().to_json(), r#"[{"a":null,"b":null,"c":"NaN","d":[null,1]}]"#);
    assert_eq!(
        reply.notices,
        ["a number that is infinite or no number is given as null, since JSON has none"]
    );
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let reply = shop.run(&format!("select '{deep}'::json as j"), "{}").await.unwrap();
    assert_eq!(reply.notices, ["a JSON value that cannot be taken apart is given as a string"]);
    assert_eq!(reply.value.into_value(), vec![Value::from([("j", deep)])].into());
}

/// Types that are not read from their binary form come as the server's text, in the order of the statement.
#[tokio::test]
async fn other_types_are_the_servers_text() {
    let shop = Shop::new("create extension hstore; create table t (id integer, h hstore, m money)", "").await;
    let insert = "insert into t values (${.id}, ${.h}, ${.m}) returning *";
    let row = r#"{"id":1,"h":"\"a\"=>\"1\"","m":"$12.50"}"#;
    for _ in 0..2 {
        assert_eq!(shop.get(insert, row).await, format!("[{row}]"));
    }
    let reply = shop.run(insert, row).await.unwrap();
    assert_eq!(reply.meta.get("affected"), Some(&1i64.into()));
    for (expression, text) in [
        ("'a fat cat'::tsvector", "'a' 'cat' 'fat'"),
        ("'fat & cat'::tsquery", "'fat' & 'cat'"),
        ("point(1, 2)", "(1,2)"),
        ("'pg_class'::regclass", "pg_class"),
        ("row(1, 'a b')", "(1,\\\"a b\\\")"),
        ("'{\"(1,2)\"}'::point[]", "{\\\"(1,2)\\\"}"),
        ("'$.a'::jsonpath", "$.\\\"a\\\""),
        ("'16/B374D848'::pg_lsn", "16/B374D848"),
    ] {
        let sql =
            format!("select n, {expression} as v from generate_series(${{.a}}, 1, -1) as n order by n desc");
        assert_eq!(
            shop.get(&sql, r#"{"a": 2}"#).await,
            format!(r#"[{{"n":2,"v":"{text}"}},{{"n":1,"v":"{text}"}}]"#)
        );
    }
    let sql = "with gone as (delete from t returning h) select h from gone";
    let error = shop.fails(sql, "{}").await;
    assert_eq!(error.kind(), Kind::Internal);
    assert!(error.public().contains("write `h::text as h`"), "{error}");
    assert_eq!(shop.direct("select count(*) from t"), "3");
    assert_eq!(shop.get("select pg_sleep(0) as nothing", "{}").await, r#"[{"nothing":null}]"#);
}

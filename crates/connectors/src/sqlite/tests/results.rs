//! Types to JSON, as docs/reference/sqlite-types.md says, and the caps.

use renkei_core::Kind;

use super::Shop;

#[tokio::test]
async fn every_type_has_its_json() {
    let shop = Shop::new(
        "create table t (i integer, r real, x text, b blob, flag boolean, short bool, doc json, d decimal(10,2), at datetime, free);
         insert into t values (9223372036854775807, 0.1, 'ä 😀 \"', x'00ff10', 1, 0, '{\"b\":1,\"a\":[1.10]}', 12.5, '2026-01-31 10:00:00', null);
         insert into t values (-1, 1e300, '', x'', 7, null, 'broken', '12.345678901234567890123', 0, x'31');",
        "",
    )
    .await;
    let first = r#"{"i":9223372036854775807,"r":0.1,"x":"ä 😀 \"","b":"AP8Q","flag":true,"short":false,"doc":{"b":1,"a":[1.10]},"d":12.5,"at":"2026-01-31 10:00:00","free":null}"#;
    let second = r#"{"i":-1,"r":1e300,"x":"","b":"","flag":7,"short":null,"doc":"broken","d":12.345678901234567,"at":0,"free":"MQ=="}"#;
    let reply = shop.run("select * from t", "{}").await.unwrap();
    assert_eq!(reply.value.into_value().to_json(), format!("[{first},{second}]"));
    assert_eq!(reply.notices.len(), 1);
    assert!(reply.notices[0].contains("declared as JSON"), "{:?}", reply.notices);
    // Only a column has a declared type, an expression has none.
    assert_eq!(shop.get("select flag + 0 as flag from t limit 1", "{}").await, r#"[{"flag":1}]"#);
    assert_eq!(shop.get("select 7.0 as r, 2.5 as h", "{}").await, r#"[{"r":7,"h":2.5}]"#);
}

#[tokio::test]
async fn what_json_cannot_say_is_told() {
    let shop = Shop::new("", "").await;
    let reply = shop.run("select 1e999 as more, -1e999 as less, 0.0 / 0.0 as nan", "{}").await.unwrap();
    assert_eq!(reply.value.into_value().to_json(), r#"[{"more":null,"less":null,"nan":null}]"#);
    assert!(reply.notices[0].contains("infinite"), "{:?}", reply.notices);
    let reply = shop.run("select cast(x'41ff42' as text) as t", "{}").await.unwrap();
    assert_eq!(reply.value.into_value().to_json(), "[{\"t\":\"A\u{fffd}B\"}]");
    assert!(reply.notices[0].contains("not UTF-8"), "{:?}", reply.notices);
}

#[tokio::test]
async fn rows_are_cut_with_a_notice() {
    let shop = Shop::new("", r#""max_rows": 1200"#).await;
    let numbers =
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < ${.n}) select i from n";
    let reply = shop.run(numbers, r#"{"n": 1200}"#).await.unwrap();
    assert_eq!((reply.notices.len(), reply.meta.get("truncated")), (0, Some(&false.into())));
    let reply = shop.run(numbers, r#"{"n": 1000000000}"#).await.unwrap();
    assert_eq!(reply.value.into_value().as_array().map(<[_]>::len), Some(1200));
    assert_eq!(reply.meta.get("truncated"), Some(&true.into()));
    assert_eq!(reply.notices, ["cut at 1,200 rows (`max_rows`); there are more, so narrow the query"]);
    let own = format!(r#"{{"sql": "{numbers}", "max_rows": 2}}"#);
    assert_eq!(shop.get(&own, r#"{"n": 9}"#).await, r#"[{"i":1},{"i":2}]"#);
    let together = format!(r#"{{"transaction": ["select 1 as a", {own}]}}"#);
    let reply = shop.run(&together, r#"{"n": 9}"#).await.unwrap();
    assert!(reply.notices[0].starts_with("statement 2: cut at 2 rows"), "{:?}", reply.notices);
}

#[tokio::test]
async fn bytes_are_cut_with_a_notice() {
    let shop = Shop::new("", r#""max_bytes": "1KB""#).await;
    let rows = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 9) select printf('%.*c', ${.size}, 'x') as x from n";
    let reply = shop.run(rows, r#"{"size": 300}"#).await.unwrap();
    let value = reply.value.into_value();
    assert_eq!(value.as_array().map(<[_]>::len), Some(3));
    assert!(value.to_json().len() <= 1000, "{}", value.to_json().len());
    assert_eq!(reply.meta.get("truncated"), Some(&true.into()));
    assert_eq!(reply.notices, ["cut after 3 rows at 1KB (`max_bytes`); there are more, so narrow the query"]);
    for rows in [rows.to_owned(), format!(r#"{{"sql": "{rows}", "max_rows": 1, "one": true}}"#)] {
        let error = shop.fails(&rows, r#"{"size": 2000}"#).await;
        assert!(error.public().contains("larger than 1KB (`max_bytes`)"), "{error}");
    }
    // Not one large value alone: what SQLite itself builds has a limit, too.
    let error = shop.fails("select length(zeroblob(${.n}) || 'x')", r#"{"n": 900000000}"#).await;
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.public().contains("100MB"), "{error}");
}

#[tokio::test]
async fn two_columns_of_one_name_are_refused() {
    let shop = Shop::new(super::PRODUCTS, "").await;
    let error = shop.fails("select a.*, b.* from products a join products b on a.id = b.id", "{}").await;
    assert_eq!(error.kind(), Kind::Internal);
    assert!(error.public().contains("named `id`") && error.public().contains("`as`"), "{error}");
    // Before anything happened.
    let error = shop.fails("update products set price = 1 returning *, id", "{}").await;
    assert!(error.public().contains("named `id`"), "{error}");
    assert_eq!(shop.get("select count(*) as n from products where price = 1", "{}").await, r#"[{"n":0}]"#);
}

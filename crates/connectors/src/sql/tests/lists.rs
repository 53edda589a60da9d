//! A list of values as one template.

use renkei_core::Kind;

use super::{read, rendered};
use crate::sql::{
    MAX_LIST,
    dialect::{MYSQL, POSTGRES, SQLITE},
};

#[test]
fn lists_are_expanded() {
    let of = |sql: &str, input: &str| rendered(sql, &SQLITE, input);
    let sql = "select a from t where b = ${.b} and a in (${.ids})";
    assert_eq!(
        of(sql, r#"{"ids": [4, "x", null], "b": 1}"#),
        ("select a from t where b = ?1 and a in (?2, ?3, ?4)".into(), r#"[1,4,"x",null]"#.into())
    );
    assert_eq!(of(sql, r#"{"ids": [], "b": 1}"#).0, "select a from t where b = ?1 and a in (null)");
    assert_eq!(of(sql, r#"{"b": 1}"#).0, "select a from t where b = ?1 and a in (null)");
    assert_eq!(of(sql, r#"{"ids": 5, "b": 1}"#).1, "[1,5]");
    // `not in (null)` is never true; without elements all rows are outside of the list.
    let sql = "select a from t where a not in (${.ids})";
    assert_eq!(of(sql, r#"{"ids": []}"#).0, "select a from t where a not in (select null where 0)");
    // Two templates are no list.
    assert_eq!(of("select 1 in (${.a}, ${.b})", r#"{"a": 1, "b": 2}"#).0, "select 1 in (?1, ?2)");
    let (text, _) = rendered("select 1 in (${.a}) or ${.b}", &MYSQL, r#"{"a": [1, 2], "b": 3}"#);
    assert_eq!(text, "select 1 in (?, ?) or ?");
}

/// PostgreSQL takes a list as one array, so that the statement stays the same for each length.
#[test]
fn lists_are_arrays() {
    let of = |sql: &str, input: &str| rendered(sql, &POSTGRES, input);
    let sql = "select a from t where b = ${.b} and a in (${.ids}) and c not /* x */ in(${.ids})";
    let text = "select a from t where b = $1 and a = any ($2) and c <> all($2)";
    assert_eq!(of(sql, r#"{"ids": [4, null], "b": 1}"#), (text.into(), "[1,[4,null]]".into()));
    assert_eq!(of(sql, r#"{"ids": []}"#), (text.into(), "[null,[]]".into()));
    assert_eq!(of(sql, "{}"), (text.into(), "[null,[]]".into()));
    assert_eq!(of(sql, r#"{"ids": 5, "b": 1}"#).1, "[1,[5]]");
    // The same template as a list and as a value has two types.
    let sql = "select a from t where a = any(${.ids}) or a in (${.ids}) or ${.ids} is null";
    assert_eq!(
        of(sql, r#"{"ids": [1]}"#),
        ("select a from t where a = any($1) or a = any ($2) or $1 is null".into(), "[[1],[1]]".into())
    );
    assert_eq!(of("select 1 in (${.a}, ${.b})", r#"{"a": 1, "b": 2}"#).0, "select 1 in ($1, $2)");
    assert_eq!(of("select ${.a}", r#"{"a": {"b": [1]}}"#).1, r#"[{"b":[1]}]"#);
}

#[test]
fn a_list_has_a_limit() {
    let prepared = read("select a from t where a in (${.ids})", &SQLITE).unwrap();
    let render = |count: usize| {
        let ids: Vec<String> = (0..count).map(|id| id.to_string()).collect();
        prepared.render(&format!("{{\"ids\": [{}]}}", ids.join(",")))
    };
    assert_eq!(render(MAX_LIST).unwrap().values.len(), MAX_LIST);
    let error = render(MAX_LIST + 1).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.public().contains("1001 elements") && error.public().contains("at most 1000"), "{error}");
}

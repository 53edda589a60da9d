//! Values may stand where expressions may, and stay values.

use renkei_core::Value;

use super::{Prepared, Rendered, choices::choose, read, read_with, rendered};
use crate::sql::dialect::{MYSQL, POSTGRES, SQLITE};

/// Values may stand where expressions may.
#[test]
fn binds_a_template() {
    let input = r#"{"a": 1, "b": "x'; drop table t; --"}"#;
    for (sql, text, values) in [
        ("select id from t where id = ${.a}", "select id from t where id = ?1", "[1]"),
        ("select ${.a}, ${.b}", "select ?1, ?2", r#"[1,"x'; drop table t; --"]"#),
        ("select a from t where b like ${.b} limit ${.a}", "select a from t where b like ?1 limit ?2", ""),
        ("insert into t (a, b) values (${.a}, ${.b})", "insert into t (a, b) values (?1, ?2)", ""),
        ("insert into \"t\" values (${.a})", "insert into \"t\" values (?1)", "[1]"),
        (
            "insert into t(a) select b from u where c > ${.a}",
            "insert into t(a) select b from u where c > ?1",
            "",
        ),
        ("update t set a = ${.a}, b=${.b} where c = 3", "update t set a = ?1, b=?2 where c = 3", ""),
        ("update t set (a, b) = (${.a}, ${.b})", "update t set (a, b) = (?1, ?2)", ""),
        ("delete from t where a between ${.a} and ${.b}", "delete from t where a between ?1 and ?2", ""),
        (
            "select a from t order by b limit ${.a} offset ${.b}",
            "select a from t order by b limit ?1 offset ?2",
            "",
        ),
        (
            "select a from t group by a having count(*) > ${.a}",
            "select a from t group by a having count(*) > ?1",
            "",
        ),
        ("select a from t order by a = ${.a} desc", "select a from t order by a = ?1 desc", ""),
        ("select case ${.a} when 1 then ${.b} else 2 end", "select case ?1 when 1 then ?2 else 2 end", ""),
        ("select * from json_each(${.b})", "select * from json_each(?1)", ""),
        ("select cast(${.a} as text)", "select cast(?1 as text)", "[1]"),
        ("select 'it''s' || ${.b}", "select 'it''s' || ?1", ""),
        ("select -${.a}", "select -?1", "[1]"),
        (
            "select a from t where a is not distinct from ${.a}",
            "select a from t where a is not distinct from ?1",
            "",
        ),
        (
            "with x as (select ${.a} as y) select y from x",
            "with x as (select ?1 as y) select y from x",
            "[1]",
        ),
        (
            "insert into t values (1) on conflict (a) do update set a = ${.a}",
            "insert into t values (1) on conflict (a) do update set a = ?1",
            "",
        ),
        ("insert into t values (1) returning ${.a} as a", "insert into t values (1) returning ?1 as a", ""),
        ("select a from t join u on t.a = ${.a}", "select a from t join u on t.a = ?1", "[1]"),
        (
            "select sum(a) over (order by b rows ${.a} preceding) from t",
            "select sum(a) over (order by b rows ?1 preceding) from t",
            "",
        ),
        ("values (${.a})", "values (?1)", "[1]"),
        ("select 1;", "select 1", "[]"),
        ("select 1 ; ; -- done; really", "select 1", "[]"),
        ("/* a comment */ select/**/1 -- 'x'", "select 1", "[]"),
    ] {
        let (got, bound) = rendered(sql, &SQLITE, input);
        assert_eq!(got, text);
        if !values.is_empty() {
            assert_eq!(bound, values, "{sql}");
        }
    }
    let (text, values) = rendered("select a from t where a = ${.a} and b = ${.b}", &MYSQL, input);
    assert_eq!((text.as_str(), values.contains("drop")), ("select a from t where a = ? and b = ?", true));
    let (text, _) = rendered("select a from t where a = ${.a}::int", &POSTGRES, input);
    assert_eq!(text, "select a from t where a = $1::int");
    let (text, _) =
        rendered("select extract(year from ${.a}), a at time zone ${.b} from t", &POSTGRES, input);
    assert_eq!(text, "select extract(year from $1), a at time zone $2 from t");
}

/// "The same template text is one parameter."
#[test]
fn the_same_template_is_one_parameter() {
    let prepared = read("select a from t where ${.a} = 1 or ${ .a } = 2 or ${.b} = ${.a}", &SQLITE).unwrap();
    assert_eq!(prepared.slots.len(), 2);
    let Rendered { text, values, .. } = prepared.render(r#"{"a": 7}"#).unwrap();
    assert_eq!(text, "select a from t where ?1 = 1 or ?1 = 2 or ?2 = ?1");
    // Absent is null.
    assert_eq!(values, [Value::from(7i64), Value::Null]);
    let in_order = read("select a from t where ${.a} = 1 or ${.a} = 2", &MYSQL).unwrap();
    assert_eq!(in_order.slots.len(), 1);
    assert_eq!(in_order.render(r#"{"a": 7}"#).unwrap().values.len(), 2);
}

#[test]
fn structures_are_no_values() {
    let render =
        |sql: &str, input: &str| read(sql, &SQLITE).unwrap().render(input).unwrap_err().public().to_owned();
    let array = render("select ${.a}", r#"{"a": [1]}"#);
    assert!(array.contains("array") && array.contains("in (${.a})"), "{array}");
    let object = render("select ${.a}", r#"{"a": {}}"#);
    assert!(object.contains("object") && object.contains("${.a | tojson}"), "{object}");
    let nested = render("select 1 in (${.a})", r#"{"a": [[1]]}"#);
    assert!(nested.contains("array"), "{nested}");
}

/// A value beside a column differs from row to row.
#[test]
fn a_value_may_stand_beside_a_column_in_a_list() {
    for sql in [
        "select a from t order by case when x = ${.a} then 0 else 1 end",
        "select a from t order by (x = ${.a}) desc",
        "select a from t order by ${.a} = x, y",
        "select a from t order by abs(x - ${.a})",
        "select a from t order by abs(\"x\" - ${.a})",
        "select a from t order by t.x * ${.a} desc nulls last",
        "select a from t order by (select count(*) from u where u.x = t.x and u.y = ${.a})",
        "select a from t order by x is not distinct from ${.a}",
        "select a from t order by ${.a} is distinct from x",
        "select a from t order by instr(${.a}, x) limit ${.b}",
        "select a from t order by random() * ${.a}",
        "select a from t group by a order by count(*) > ${.a}",
        "select a from t group by x > ${.a} having count(*) > ${.b}",
        "select sum(a) over (partition by x % ${.a} order by y - ${.a} rows ${.b} preceding) from t",
        "select a from t order by b union select ${.a} order by 1",
        "select a from t order by b collate nocase limit ${.a} offset ${.b}",
    ] {
        let found = read(sql, &SQLITE);
        assert!(found.is_ok(), "{sql}: {:?}", found.err());
    }
    for sql in [
        "select a from t order by extract(year from x) = ${.a}",
        "select a from t order by x <-> ${.a}::point",
        "select a from t order by \"x\"::text = ${.a}::text",
    ] {
        let found = read(sql, &POSTGRES);
        assert!(found.is_ok(), "{sql}: {:?}", found.err());
    }
    assert!(read("select a from t order by ${.a}::integer", &POSTGRES).is_err());
    assert!(read("select a from t order by field(x, ${.a}, ${.b})", &MYSQL).is_ok());
    assert!(read("select group_concat(x order by y separator ',') from t where z = ${.a}", &MYSQL).is_ok());
    // A choice is text of the config, and may be a column.
    let column = || choose("${.order}", &[("price", "price")], None);
    let prepared =
        read_with("select a from t order by abs(${choose.c} - ${.a})", &SQLITE, &[("c", column())]).unwrap();
    let text = prepared.render(r#"{"order": "price", "a": 1}"#).unwrap().text;
    assert_eq!(text, "select a from t order by abs( price  - ?1)");
}

#[test]
fn a_text_that_only_looks_dangerous_is_fine() {
    for sql in [
        "select '; drop table t', '-- x', '/* x', '?', ':a', '$1'",
        "select \"a;b\", `c--d`, [e'f] from t",
        "select 'it''s; fine', x'00ff'",
        "select a /* ; ' \" */ from t -- ; '",
        "select a->>'$.b' from t",
        "select 'ähnlich', \"größe\", länge from straße",
    ] {
        let Prepared { statement, .. } = read(sql, &SQLITE).unwrap();
        assert!(statement.render(&[]).is_ok());
    }
    // `$${` is the literal `${`.
    let (text, _) = rendered("select '$${'", &SQLITE, "{}");
    assert_eq!(text, "select '${'");
}

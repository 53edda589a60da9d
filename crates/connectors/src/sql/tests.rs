//! Where templates may stand, and that what stands there never becomes SQL.

use proptest::prelude::*;
use renkei_core::{
    Diagnostics, Effect, Kind, Node, NodeKind, Scope, Span, Tree, Value, node::Text, template::Names,
};
use rusqlite::{Batch, Connection, fallible_iterator::FallibleIterator as _, params_from_iter};

use super::{
    Choice, Choose, Dialect, MAX_LIST, Rendered, Slots, Statement, Verb,
    dialect::{MYSQL, POSTGRES, SQLITE},
    lex::{Fault, Token, What, lex, units},
};

fn text(value: &str) -> Node {
    let end = value.len() as u32;
    let text = Text { verbatim: Some(0), ..Text::new(value) };
    Node { kind: NodeKind::String(text), span: Span { file: 0, start: 0, end } }
}

/// A statement and the templates of its slots.
#[derive(Debug)]
struct Prepared {
    statement: Statement,
    slots: Vec<Tree>,
}

/// What is wrong, where, and the hint.
#[derive(Debug)]
struct Wrong {
    message: String,
    at: (usize, usize),
    hint: String,
}

fn read_with(
    sql: &str,
    dialect: &'static Dialect,
    choose: &[(&str, Choose)],
) -> Result<Prepared, Vec<Wrong>> {
    let mut d = Diagnostics::default();
    let mut slots = Slots::default();
    let names = Names::default();
    let choices: Option<Vec<Choice>> = choose
        .iter()
        .map(|(name, choose)| {
            Choice::read(&(*name).into(), choose.clone(), dialect, &names, &mut slots.trees, &mut d)
        })
        .collect();
    let statement = choices
        .and_then(|choices| Statement::read(&text(sql), dialect, &choices, &names, &mut slots, &mut d));
    match statement {
        Some(statement) => {
            assert!(!d.has_errors(), "{sql}: {d:?}");
            Ok(Prepared { statement, slots: slots.trees })
        }
        None => {
            assert!(d.has_errors(), "refused without a word: {sql}");
            Err(d
                .iter()
                .map(|d| Wrong {
                    message: d.message.clone(),
                    at: (d.span.start as usize, d.span.end as usize),
                    hint: d.hint.clone().unwrap_or_default(),
                })
                .collect())
        }
    }
}

fn read(sql: &str, dialect: &'static Dialect) -> Result<Prepared, Vec<Wrong>> {
    read_with(sql, dialect, &[])
}

impl Prepared {
    fn render(&self, input: &str) -> renkei_core::Result<Rendered> {
        let scope = Scope::new(Value::from_json(input.as_bytes()).unwrap());
        let params: Vec<Option<Value>> = self.slots.iter().map(|tree| tree.render(&scope).unwrap()).collect();
        self.statement.render(&params)
    }
}

fn rendered(sql: &str, dialect: &'static Dialect, input: &str) -> (String, String) {
    let Rendered { text, values } = read(sql, dialect).unwrap().render(input).unwrap();
    (text, Value::from(values).to_json())
}

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
        ("/* ${ is no template */ select/**/1 -- 'x'", "select 1", "[]"),
    ] {
        if sql.starts_with("/*") {
            continue;
        }
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
    let Rendered { text, values } = prepared.render(r#"{"a": 7}"#).unwrap();
    assert_eq!(text, "select a from t where ?1 = 1 or ?1 = 2 or ?2 = ?1");
    // Absent is null.
    assert_eq!(values, [Value::from(7i64), Value::Null]);
    let in_order = read("select a from t where ${.a} = 1 or ${.a} = 2", &MYSQL).unwrap();
    assert_eq!(in_order.slots.len(), 1);
    assert_eq!(in_order.render(r#"{"a": 7}"#).unwrap().values.len(), 2);
}

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

/// Each refused with the words that explain it, and a hint.
#[test]
fn refuses_a_template_where_it_is_no_value() {
    for (sql, message, hint) in [
        // Inside a literal or comment it would be silently inert.
        ("select a from t where a like '%${.q}%'", "inside a text in quotes", "like ${\"%\" + .q + \"%\"}"),
        ("select 1 -- ${.q}", "inside a comment", "remove it"),
        ("select 1 /* ${.q} */", "inside a comment", "remove it"),
        ("select \"${.q}\" from t", "inside a quoted name", "choose"),
        ("select `${.q}` from t", "inside a quoted name", "choose"),
        ("select [${.q}] from t", "inside a quoted name", "choose"),
        // As a name or keyword.
        ("select a from t order by ${.q}", "after `order by`", "choose"),
        ("select a from t order by b, ${.q} desc", "after `order by`", "choose"),
        ("select a from t order by (${.q})", "in `order by`", "choose"),
        ("select a from t order by ((${.q}))", "in `order by`", "choose"),
        ("select a from t order by -${.q}", "in `order by`", "compare it with a column"),
        ("select a from t order by - ( - ${.q} ) desc", "in `order by`", "choose"),
        ("select a from t order by ${.q} + 0", "after `order by`", "choose"),
        ("select a from t order by ${.q} collate nocase", "after `order by`", "choose"),
        ("select a from t order by b, 0 + ${.q} desc nulls last limit 3", "in `order by`", "choose"),
        ("select a from t order by (select ${.q})", "in `order by`", "choose"),
        ("select a from t order by (select ${.q} from b) limit 1", "in `order by`", "choose"),
        ("select a from t order by abs(${.q})", "in `order by`", "choose"),
        ("select a from t order by lower('x' || ${.q}), a", "in `order by`", "choose"),
        ("select a from t order by cast(${.q} as integer)", "in `order by`", "choose"),
        ("select a from t order by case when ${.q} then 1 else 2 end", "in `order by`", "choose"),
        ("select a from t order by coalesce(${.q}, x'00', null)", "in `order by`", "choose"),
        ("select a from t group by +${.q}", "in `group by`", "choose"),
        ("select a from t group by (${.q}) having count(*) > 1", "in `group by`", "choose"),
        ("select a from (select b from t order by -${.q})", "in `order by`", "choose"),
        ("select sum(a) over (partition by -${.q} order by b) from t", "in `partition by`", "choose"),
        ("select sum(a) over (order by -${.q} rows 1 preceding) from t", "in `order by`", "choose"),
        ("select a from t order by a ${.q}", "after `a`", "choose"),
        ("select a from t order by a collate ${.q}", "after `collate`", "choose"),
        ("select a from t group by ${.q}", "after `group by`", "choose"),
        ("select a from t group by a, ${.q}", "after `group by`", "choose"),
        ("select sum(a) over (partition by ${.q}) from t", "after `partition by`", "choose"),
        ("select a from ${.q}", "after `from`", "choose"),
        ("select a from t, ${.q}", "after `from`", "choose"),
        ("select a from (${.q})", "after `from`", "choose"),
        ("select a from t join ${.q} on 1", "after `join`", "choose"),
        ("select a from t join u using (${.q})", "SQL takes a name", "choose"),
        ("insert into ${.q} values (1)", "after `into`", "choose"),
        ("insert into t (${.q}) values (1)", "after `into`", "choose"),
        ("insert into t (a, ${.q}) values (1)", "after `into`", "choose"),
        ("insert into main.t (${.q}) values (1)", "after `into`", "choose"),
        ("update ${.q} set a = 1", "after `update`", "choose"),
        ("update t set ${.q} = 1", "after `set`", "choose"),
        ("update t set a = 1, ${.q} = 2", "after `set`", "choose"),
        ("update t set (${.q}) = (1)", "after `set`", "choose"),
        ("delete from ${.q}", "after `from`", "choose"),
        ("truncate table ${.q}", "after `table`", "choose"),
        ("select a from main.${.q}", "after `.`", "choose"),
        ("select ${.q}.a from t", "before `.`", "choose"),
        ("select ${.q}(1)", "before `(`", "choose"),
        ("select a as ${.q} from t", "after `as`", "choose"),
        ("select cast(a as ${.q}) from t", "after `as`", "choose"),
        ("with ${.q} as (select 1) select 1", "after `with`", "choose"),
        ("with x as (${.q}) select 1", "after `as`", "choose"),
        ("insert into t values (1) on conflict (${.q}) do nothing", "SQL takes a name", "choose"),
        ("select a from t ${.q}", "after `t`", "choose"),
        ("select a from t where a = 1 ${.q}", "the number before it", "choose"),
        ("select a from t where a = 'x' ${.q}", "what is quoted before it", "choose"),
        ("select a from t where a = ${.p} ${.q}", "the template before it", "choose"),
        ("select a from t where (a = 1) ${.q}", "after `)`", "choose"),
        // Type literals.
        ("select date ${.q}", "after `date`", "cast(${.q} as date)"),
        // A part of a word.
        ("select a from tab_${.q}", "right beside", "whole value"),
        ("select ${.q}_a from t", "right beside", "whole value"),
        ("select 1${.q}", "right beside", "whole value"),
        ("select ${.p}${.q}", "right beside", "whole value"),
        ("select ${.q}'x'", "right beside", "whole value"),
        // The whole statement, or its beginning.
        ("${.q}", "cannot begin", "write the statement out"),
        (" ${.q} from t", "cannot begin", "write the statement out"),
        ("/* x */ ${.q}", "cannot begin", "write the statement out"),
        ("select a from t where a in ${.q}", "without parentheses", "in (${.q})"),
        ("create table t (a default ${.q})", "defines tables", "write the definition out"),
    ] {
        let wrong = read(sql, &SQLITE).expect_err(sql);
        let [wrong] = &wrong[..] else { panic!("{sql}: {wrong:?}") };
        assert!(wrong.message.contains(message), "{sql}: {wrong:?}");
        assert!(wrong.hint.contains(hint), "{sql}: {wrong:?}");
        let (from, to) = wrong.at;
        assert_eq!(&sql[from..to], "${.q}", "{sql}");
    }
    for (sql, message) in [
        ("select a from t where a = interval ${.q}", "after `interval`"),
        ("select e'\\'${.q}'", "inside a text"),
        ("select $$ ${.q} $$", "inside a text"),
        ("select $x$ $$ ${.q} $x$", "inside a text"),
        ("select 1 /* /* */ ${.q} */", "inside a comment"),
    ] {
        let wrong = read(sql, &POSTGRES).expect_err(sql);
        assert!(wrong[0].message.contains(message), "{sql}: {wrong:?}");
    }
    for (sql, message) in [
        ("select 'a\\'${.q}'", "inside a text"),
        ("select \"${.q}\"", "inside a text"),
        ("select 1 # ${.q}", "inside a comment"),
        ("select 1 /*! ${.q} */", "would run"),
    ] {
        let wrong = read(sql, &MYSQL).expect_err(sql);
        assert!(wrong.iter().any(|wrong| wrong.message.contains(message)), "{sql}: {wrong:?}");
    }
    assert!(read("select now() - interval ${.q} day", &MYSQL).is_ok());
    assert!(read("select 1--${.q}", &MYSQL).is_ok(), "two minus signs without a space are no comment there");
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

/// A row is an object: of two columns with one name one would be lost.
#[test]
fn refuses_two_columns_of_one_name() {
    for (sql, name, at) in [
        ("select 1 as a, 2 as a", "a", 20),
        ("select a, a from t", "a", 10),
        ("select a.id, b.id from a join b on a.x = b.x", "id", 15),
        ("select distinct id, upper(name) id from t", "id", 32),
        ("select count(*) total, sum(x) as total from t", "total", 33),
        ("select \"a\", t.a from t order by 1", "a", 14),
        ("select x as 'a', y [a] from t", "a", 19),
        ("with u as (select 1 as a, 2 as b) select a, b, a from u", "a", 47),
        ("select a, b, a from t union select 1, 2, 3", "a", 13),
        ("select (select 1 as b), b, b from t", "b", 27),
        ("insert into t (a, b) values (1, 2) returning a, b as a", "a", 53),
        ("update t set a = 1, b = 2 returning id, id", "id", 40),
        ("delete from t returning id, ID as id", "id", 34),
    ] {
        let wrong = read(sql, &SQLITE).expect_err(sql);
        assert_eq!(wrong.len(), 1, "{sql}: {wrong:?}");
        assert_eq!(wrong[0].message, format!("two columns are named `{name}`"), "{sql}");
        assert_eq!(wrong[0].at.0, at, "{sql}");
    }
    for sql in [
        "select a, b, a.b as c, count(*), sum(a) from t",
        "select *, a from t",
        "select t.*, u.* from t, u",
        "select a as x, b as y, (select 1 as x) as z from t",
        "select a collate nocase, b collate nocase from t",
        "select case when a then b end, case when b then a end from t",
        "select a is null, b is null, a and b, c and b from t",
        "select a is distinct from b, b is distinct from a from t",
        "select x from t where a = a and b in (a, a) group by a, a",
        "insert into t (a, b) select c, c from u",
        "insert into t (a, b) values (${.a}, ${.a})",
        "select 1 a union select 2 a",
        "with u as (select a, a as b from t) select a from u",
        "select sum(a) over w, sum(b) over w from t window w as (order by a)",
    ] {
        let found = read(sql, &SQLITE);
        assert!(found.is_ok(), "{sql}: {:?}", found.err());
    }
    assert!(read("select a + interval 1 day, b + interval 1 day from t", &MYSQL).is_ok());
    let casts =
        "select a::double precision, b::double precision, distinct_a at time zone z, b at time zone z";
    assert!(read(casts, &POSTGRES).is_ok());
}

#[test]
fn refuses_placeholders_and_second_statements() {
    for (sql, message, at) in [
        ("select a from t where a = ?", "placeholder", "?"),
        ("select a from t where a = ?1", "placeholder", "?"),
        ("select a from t where a = :a", "placeholder", ":"),
        ("select a from t where a = @a", "placeholder", "@"),
        ("select a from t where a = $1", "placeholder", "$"),
        ("select a from t where a = $a", "placeholder", "$"),
        ("select 1; drop table t", "second statement", "drop"),
        ("select 1;;select 2", "second statement", "select"),
        ("select 1; ${.q}", "second statement", "${.q}"),
        ("select 'a", "not closed", "'"),
        ("select \"a", "not closed", "\""),
        ("select [a", "not closed", "["),
        ("select /* 1", "not closed", "/"),
        ("select 1\0", "control character", "\0"),
        ("select '\0'", "control character", "\0"),
        ("", "no statement", ""),
        (";", "no statement", ";"),
        ("-- nothing", "no statement", "-- nothing"),
        ("select 1 order by ${choose.order}", "no choice `order`", "${choose.order}"),
    ] {
        let wrong = read(sql, &SQLITE).expect_err(sql);
        assert!(wrong[0].message.contains(message), "{sql}: {wrong:?}");
        let (from, to) = wrong[0].at;
        assert_eq!(&sql[from..to], at, "{sql}");
    }
    // All of them at once.
    assert_eq!(read("select ${.a} from ${.b} order by ${.c}", &SQLITE).unwrap_err().len(), 2);
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

fn choose(by: &str, options: &[(&str, &str)], default: Option<&str>) -> Choose {
    let entry =
        |key: &str, value: Node| renkei_core::Entry { key: key.into(), key_span: Span::default(), value };
    let map = |entries: Vec<renkei_core::Entry>| Node { kind: NodeKind::Map(entries), span: Span::default() };
    let options = map(options.iter().map(|(key, value)| entry(key, text(value))).collect());
    let mut entries = vec![entry("by", text(by)), entry("options", options)];
    entries.extend(default.map(|default| entry("default", text(default))));
    let mut d = Diagnostics::default();
    let choose = renkei_core::FromNode::from_node(&map(entries), &mut d);
    choose.unwrap_or_else(|| panic!("{d:?}"))
}

#[test]
fn a_choice_puts_fixed_texts_where_no_value_can_stand() {
    let order = |default| {
        let options = [("price", "price desc, id -- dearest first"), ("name", "name")];
        choose("${.order}", &options, default)
    };
    let sql = "select a from t where b = ${.b} order by ${choose.order} limit 3";
    let prepared = read_with(sql, &SQLITE, &[("order", order(None))]).unwrap();
    let text = prepared.render(r#"{"order": "price", "b": 1}"#).unwrap().text;
    assert_eq!(text, "select a from t where b = ?1 order by  price desc, id  limit 3");
    for (input, found) in [
        (r#"{"order": "price; drop table t"}"#, "found `price; drop table t`"),
        (r#"{"order": "Price"}"#, "found `Price`"),
        (r#"{"order": ["price"]}"#, "found array"),
        (r#"{"order": null}"#, "found nothing"),
        ("{}", "found nothing"),
    ] {
        let error = prepared.render(input).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        let public = error.public();
        assert!(public.contains(found) && public.contains("the choices are `price`, `name`"), "{public}");
    }
    let prepared = read_with(sql, &SQLITE, &[("order", order(Some("name")))]).unwrap();
    assert!(prepared.render("{}").unwrap().text.contains("order by  name  limit"));

    for (choose, message) in [
        (choose("${.o}", &[], None), "no options"),
        (choose("${.o}", &[("a", "b")], Some("c")), "default `c` is not one"),
        (choose("${.o}", &[("a", "b; drop table t")], None), "holds a `;`"),
        (choose("${.o}", &[("a", "b)")], None), "closes a parenthesis"),
        (choose("${.o}", &[("a", "(b")], None), "opens a parenthesis"),
        (choose("${.o}", &[("a", "'b")], None), "not closed"),
        (choose("${.o}", &[("a", "?")], None), "placeholder"),
        (choose("${.o}", &[("a", " ")], None), "is empty"),
        (choose("${.o}", &[("a", "${.b}")], None), "holds a template"),
    ] {
        let wrong = read_with("select 1 order by ${choose.x}", &SQLITE, &[("x", choose)]).expect_err(message);
        assert!(wrong[0].message.contains(message), "{wrong:?}");
    }
    let wrong =
        read_with("select 1 order by ${choose.ordr}", &SQLITE, &[("order", order(None))]).unwrap_err();
    assert!(wrong[0].hint.contains("${choose.order}"), "{wrong:?}");
    // Not even a choice inside of quotes or as the whole statement.
    for sql in ["select '${choose.order}'", "${choose.order}", "select x${choose.order}"] {
        assert!(read_with(sql, &SQLITE, &[("order", order(None))]).is_err(), "{sql}");
    }
}

#[test]
fn knows_what_a_statement_does() {
    for (sql, verb, effect) in [
        ("SELECT 1", Verb::Select, Some(Effect::Read)),
        ("/* insert */ select 1", Verb::Select, Some(Effect::Read)),
        ("values (1)", Verb::Values, Some(Effect::Read)),
        ("explain query plan delete from t", Verb::Explain, Some(Effect::Read)),
        ("Insert into t values (1)", Verb::Insert, Some(Effect::Write)),
        ("replace into t values (1)", Verb::Replace, Some(Effect::Write)),
        ("update t set a = 1", Verb::Update, Some(Effect::Write)),
        ("delete from t", Verb::Delete, Some(Effect::Write)),
        ("with x as (select 1) select * from x", Verb::Select, Some(Effect::Read)),
        (
            "with x(a) as (select 1), y as (select (2)) insert into t select a from x",
            Verb::Insert,
            Some(Effect::Write),
        ),
        ("with recursive x as (select 1) delete from t", Verb::Delete, Some(Effect::Write)),
        ("with replace as (select 1) select * from replace", Verb::Select, Some(Effect::Read)),
        ("with x as (delete from t returning a) select * from x", Verb::Delete, Some(Effect::Write)),
        ("pragma user_version", Verb::Other("pragma".into()), None),
        ("with", Verb::Other("with".into()), None),
    ] {
        let statement = read(sql, &SQLITE).unwrap().statement;
        assert_eq!((statement.verb.effect(), statement.verb), (effect, verb), "{sql}");
    }
}

#[test]
fn labels_hold_no_values() {
    let label = |sql: &str| read(sql, &SQLITE).unwrap().statement.label;
    assert_eq!(label("select  a\n from t -- x\n where b = ${.b}"), "select a from t where b = {}");
    let long = label(&format!("select {} from t", "a + ".repeat(50) + "b"));
    assert_eq!(long.chars().count(), 81);
}

/// Pieces of SQL and of mischief.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just(" ".to_owned()),
        1 => Just("\n".to_owned()),
        2 => Just(";".to_owned()),
        2 => Just("'".to_owned()),
        2 => Just("\"".to_owned()),
        1 => Just("`".to_owned()),
        1 => Just("[".to_owned()),
        1 => Just("]".to_owned()),
        1 => Just("--".to_owned()),
        1 => Just("-".to_owned()),
        1 => Just("/*".to_owned()),
        1 => Just("*/".to_owned()),
        1 => Just("\\".to_owned()),
        1 => Just("(".to_owned()),
        1 => Just(")".to_owned()),
        2 => Just(",".to_owned()),
        1 => Just("||".to_owned()),
        1 => Just("0x1e".to_owned()),
        1 => Just("1e".to_owned()),
        2 => Just(" as ".to_owned()),
        2 => Just(" select 1 ".to_owned()),
        1 => Just("x".to_owned()),
        1 => Just("\r".to_owned()),
        1 => Just("\u{b}".to_owned()),
        1 => Just("\u{feff}".to_owned()),
        2 => "[a-c0-9 ]{0,3}",
        1 => "'[a;\\-\" ]{0,4}'",
        1 => "\"[a;' ]{0,4}\"",
        1 => "/\\*[a;'\\-]{0,4}\\*/",
        1 => "--[a;']{0,4}\n",
    ]
}

fn sql() -> impl Strategy<Value = String> {
    proptest::collection::vec(fragment(), 0..14).prop_map(|parts| format!("select 1{}", parts.concat()))
}

fn first_row(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<rusqlite::types::Value>> {
    connection.query_row(sql, [], |row| {
        (0..row.as_ref().column_count()).map(|at| row.get::<_, rusqlite::types::Value>(at)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// What the lexer calls one statement is one for SQLite, and what is left of it without comments
    /// means the same.
    #[test]
    fn one_statement_is_one_for_sqlite(sql in sql()) {
        let Ok(prepared) = read(&sql.replace('$', ""), &SQLITE) else { return Ok(()) };
        let connection = Connection::open_in_memory().unwrap();
        let mut batch = Batch::new(&connection, &sql);
        if let Ok(Some(_)) = batch.next() {
            let second = batch.next();
            prop_assert!(matches!(second, Ok(None)), "{:?} has a second statement", sql);
        }
        let plain = prepared.statement.render(&[]).unwrap().text;
        let same = (first_row(&connection, &sql), first_row(&connection, &plain));
        match same {
            (Ok(one), Ok(other)) => prop_assert_eq!(one, other, "{} | {}", sql, plain),
            (one, other) => prop_assert_eq!(one.is_ok(), other.is_ok(), "{} | {}", sql, plain),
        }
    }

    /// Whatever stands around a template: SQLite sees exactly the parameters that we bind, and no more.
    #[test]
    fn a_template_stays_one_parameter(before in sql(), after in proptest::collection::vec(fragment(), 0..8)) {
        let sql = format!("{}${{.v}}{}", before.replace('$', ""), after.concat());
        let Ok(prepared) = read(&sql, &SQLITE) else { return Ok(()) };
        let Rendered { text, values } = prepared.render(r#"{"v": "x' or 1; --"}"#).unwrap();
        prop_assert_eq!(values.len(), 1);
        let connection = Connection::open_in_memory().unwrap();
        if let Ok(statement) = connection.prepare(&text) {
            prop_assert_eq!(statement.parameter_count(), 1, "{}", text);
        }
    }

    /// A bound value is read back as it was, and never changes the text.
    #[test]
    fn values_come_back_as_they_were(value in ".{0,40}", other in "[';\"\\-/*` \\\\a-z\0]{0,40}") {
        let connection = Connection::open_in_memory().unwrap();
        let prepared = read("select ${.a}, ${.b} in (${.c})", &SQLITE).unwrap();
        let input = Value::from([
            ("a", Value::from(value.as_str())),
            ("b", other.as_str().into()),
            ("c", vec![Value::from("x"), other.as_str().into()].into()),
        ]);
        let Rendered { text, values } = prepared.render(&input.to_json()).unwrap();
        prop_assert_eq!(&text, "select ?1, ?2 in (?3, ?4)");
        let texts = values.iter().map(|value| value.as_str().unwrap());
        let back: (String, bool) = connection
            .query_row(&text, params_from_iter(texts), |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        prop_assert_eq!(back, (value, true));
    }

    /// The lexer takes any text, in any dialect, and covers it.
    #[test]
    fn lexing_ends(text in ".{0,60}", parts in proptest::collection::vec(fragment(), 0..20)) {
        for text in [text, parts.concat()] {
            let units = units(&text);
            for dialect in [&SQLITE, &POSTGRES, &MYSQL] {
                if let Ok(tokens) = lex(&units, dialect) {
                    prop_assert!(tokens.iter().all(|token| token.from < token.to && token.to <= units.len()));
                    prop_assert!(tokens.windows(2).all(|pair| pair[0].to <= pair[1].from));
                }
            }
        }
    }
}

#[test]
fn lexes_the_dialects() {
    let kinds =
        |text: &str, dialect: &Dialect| -> Result<Vec<Token>, Vec<Fault>> { lex(&units(text), dialect) };
    let whats =
        |text, dialect| kinds(text, dialect).unwrap().into_iter().map(|token| token.what).collect::<Vec<_>>();
    let word = |word: &str| What::Word(word.into());
    assert_eq!(whats("a$1 1.5e-3 $tag$ ' $tag$", &POSTGRES), [word("a$1"), What::Number, What::Text]);
    assert_eq!(whats("E'\\'' 'a\\'", &POSTGRES), [word("e"), What::Text, What::Text]);
    assert_eq!(whats("'a\\'' \"b\" `c`", &MYSQL), [What::Text, What::Text, What::Name]);
    assert_eq!(whats("1e--x\n+1", &SQLITE), [What::Number, What::Symbol('+'), What::Number]);
    assert_eq!(whats("/* /* */ a */ b", &SQLITE).len(), 4);
    assert_eq!(whats("/* /* */ a */ b", &POSTGRES), [word("b")]);
    assert_eq!(kinds("$1", &POSTGRES), Err(vec![Fault::Placeholder { at: 0 }]));
    assert!(kinds("a::int, b[1:2], c ? 'd'", &POSTGRES).is_ok());
}

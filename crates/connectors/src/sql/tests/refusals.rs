//! What is refused, in which words, and where.

use super::read;
use crate::sql::dialect::{MYSQL, POSTGRES, SQLITE};

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

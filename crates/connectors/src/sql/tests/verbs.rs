//! What a statement does, and how it is called in logs.

use renkei_core::Effect;

use super::read;
use crate::sql::{Verb, dialect::SQLITE};

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

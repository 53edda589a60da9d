//! What holds for every text.

use proptest::prelude::*;
use renkei_core::Value;
use rusqlite::{Batch, Connection, fallible_iterator::FallibleIterator as _, params_from_iter};

use super::{Rendered, read};
use crate::sql::{
    dialect::{MYSQL, POSTGRES, SQLITE},
    lex::{lex, units},
};

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
        let Rendered { text, values, .. } = prepared.render(r#"{"v": "x' or 1; --"}"#).unwrap();
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
        let Rendered { text, values, .. } = prepared.render(&input.to_json()).unwrap();
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

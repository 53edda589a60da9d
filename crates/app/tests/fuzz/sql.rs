//! SQL is any text: a template stands in it as a value or not at all, and the database sees as many parameters as
//! are bound.

use renkei_connectors::sql::{
    Dialect, Rendered, Slots, Statement,
    dialect::{MYSQL, MYSQL_RENDERED, POSTGRES, Parameters, SQLITE},
    lex::{Token, Unit, What, lex, units},
};
use renkei_core::{Diagnostics, Scope, Value, template::Names};
use rusqlite::{Batch, Connection, fallible_iterator::FallibleIterator as _};

use super::text_node;

const INPUT: &str = r#"{"a": 1, "b": "x'; drop table t; --", "q": "%", "ids": [1, "two", null]}"#;
const SCHEMA: &str = "create table t (a, b, c, id integer primary key); create table u (a, b, x, y);";

/// The first byte chooses the dialect; the rest is a statement.
pub(crate) fn check(data: &[u8]) {
    let Some((way, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let dialect: &'static Dialect = [&SQLITE, &POSTGRES, &MYSQL][usize::from(way % 3)];
    cover(text, dialect);
    refuse_inside(text, dialect);
    let mut slots = Slots::default();
    let mut d = Diagnostics::default();
    let node = text_node(text);
    let statement = Statement::read(&node, dialect, &[], &Names::default(), &mut slots, &mut d);
    for diagnostic in d.iter() {
        let (start, end) = (diagnostic.span.start as usize, diagnostic.span.end as usize);
        assert!(text.get(start..end).is_some(), "at no place: {diagnostic:?}");
    }
    let Some(statement) = statement else {
        return assert!(d.has_errors(), "refused without a word");
    };
    let scope = Scope::new(Value::from_json(INPUT.as_bytes()).unwrap_or_default());
    let params: Result<Vec<Option<Value>>, _> = slots.trees.iter().map(|tree| tree.render(&scope)).collect();
    let Ok(params) = params else { return };
    let Ok(rendered) = statement.render(&params) else { return };
    assert_eq!(placeholders(&rendered.text, dialect), rendered.values.len(), "{rendered:?}");
    if dialect.name == SQLITE.name {
        ask_sqlite(&rendered);
    }
}

/// Tokens stand in their order, none twice, and nothing but white space and comments between them.
fn cover(text: &str, dialect: &Dialect) {
    let units = units(text);
    let Ok(tokens) = lex(&units, dialect) else { return };
    assert!(tokens.iter().all(|token| token.from < token.to && token.to <= units.len()));
    assert!(tokens.windows(2).all(|pair| pair[0].to <= pair[1].from));
}

/// A template within a literal or a quoted name would be silently inert, so it is always refused: put into each of
/// the text's, at every place.
fn refuse_inside(text: &str, dialect: &'static Dialect) {
    if text.contains('$') || text.len() > 512 {
        return;
    }
    let units = units(text);
    let Ok(tokens) = lex(&units, dialect) else { return };
    let quoted = tokens.iter().filter(|token| matches!(token.what, What::Text | What::Name));
    for at in quoted.flat_map(|token| token.from + 1..token.to) {
        let mut holed = units.clone();
        holed.insert(at, Unit::Hole(0));
        if let Ok(tokens) = lex(&holed, dialect) {
            // Doubled quotes are two texts when something stands between them; then the template is in neither.
            let between = beside(&tokens);
            assert!(between, "a template inside of {text:?} at {at} is none of our business: {tokens:?}");
        }
    }
}

/// Whether the template stands outside of everything quoted, right between two of them.
fn beside(tokens: &[Token]) -> bool {
    let quoted = |token: &Token| matches!(token.what, What::Text | What::Name);
    tokens.windows(3).any(|three| {
        matches!(three[1].what, What::Hole(_))
            && quoted(&three[0])
            && quoted(&three[2])
            && three[0].to == three[1].from
            && three[1].to == three[2].from
    })
}

/// The parameters of a rendered statement, as its own lexer finds them outside of everything quoted.
fn placeholders(text: &str, dialect: &Dialect) -> usize {
    let Parameters::Numbered(mark) = dialect.parameters else {
        let tokens = lex(&units(text), &MYSQL_RENDERED).unwrap_or_else(|faults| panic!("{faults:?}: {text}"));
        return tokens.iter().filter(|token| token.is_symbol('?')).count();
    };
    // The mark is a fault to the lexer, which tells where it stands. Others are checked when it is read.
    let units = units(text);
    let faults = lex(&units, dialect).err().unwrap_or_default();
    let mut most = 0;
    for fault in faults {
        let renkei_connectors::sql::lex::Fault::Placeholder { at } = fault else {
            panic!("{fault:?} in what was rendered: {text}");
        };
        let digits: String = units[at + mark.len()..]
            .iter()
            .map_while(|unit| match unit {
                Unit::Char(digit) if digit.is_ascii_digit() => Some(*digit),
                _ => None,
            })
            .collect();
        let number: usize = digits.parse().unwrap_or_else(|_| panic!("a bare placeholder: {text}"));
        most = most.max(number);
    }
    most
}

/// Where SQLite can read the statement, it is one, with as many parameters as there are values.
fn ask_sqlite(rendered: &Rendered) {
    thread_local! {
        static DATABASE: Option<Connection> = open();
    }
    DATABASE.with(|database| {
        let Some(database) = database else { panic!("SQLite does not open a database in memory") };
        let mut batch = Batch::new(database, &rendered.text);
        let Ok(Some(statement)) = batch.next() else { return };
        assert_eq!(statement.parameter_count(), rendered.values.len(), "{rendered:?}");
        drop(statement);
        assert!(matches!(batch.next(), Ok(None)), "a second statement: {rendered:?}");
    });
}

fn open() -> Option<Connection> {
    let database = Connection::open_in_memory().ok()?;
    database.execute_batch(SCHEMA).ok()?;
    Some(database)
}

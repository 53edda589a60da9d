//! The tokens of each dialect.

use crate::sql::{
    Dialect,
    dialect::{MYSQL, POSTGRES, SQLITE},
    lex::{Fault, Token, What, lex, units},
};

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

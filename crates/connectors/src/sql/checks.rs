//! What the checks of a table say of single columns: that only some texts may stand in one, or only JSON.
//!
//! People write an enumeration as `check (status in ('new', 'paid'))`. Only a check that says nothing else is read:
//! of `status in (…) or archived` nobody can tell which texts there are.

use super::{
    dialect::{Backslash, Dialect, Quoted},
    lex::{Token, Unit, What, lex, units},
};

/// What one check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// As it is written, without quotation marks.
    pub column: String,
    pub says: Says,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// One of these texts, or null.
    Texts(Vec<String>),
    /// A text that is JSON.
    Json,
}

/// Reads a check as the server writes it, with or without its `check (…)`. Nothing where it says more, or anything
/// else.
pub fn check(text: &str, dialect: &Dialect) -> Option<Check> {
    let units = units(text);
    let tokens = lex(&units, dialect).ok()?;
    Reader { units: &units, dialect }.read(&tokens)
}

/// The checks in the text of a `create table`.
pub fn checks(text: &str, dialect: &Dialect) -> Vec<Check> {
    let units = units(text);
    let Ok(tokens) = lex(&units, dialect) else { return Vec::new() };
    let reader = Reader { units: &units, dialect };
    let begins = |at: &usize| tokens[*at].word() == Some("check");
    (0..tokens.len())
        .filter(begins)
        .filter_map(|at| {
            let end = closing(&tokens, at + 1)?;
            reader.read(&tokens[at + 1..=end])
        })
        .collect()
}

/// Where the parenthesis closes that opens at `open`.
fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.what {
            What::Symbol('(') => depth += 1,
            What::Symbol(')') => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at).filter(|at| *at > open);
        }
    }
    None
}

struct Reader<'a> {
    units: &'a [Unit],
    dialect: &'a Dialect,
}

impl Reader<'_> {
    fn read(&self, tokens: &[Token]) -> Option<Check> {
        let tokens = match tokens.first()?.word() {
            Some("check") => &tokens[1..],
            _ => tokens,
        };
        let tokens = without_types(tokens);
        // What is left has to be one of a few sequences, in which parentheses decide nothing.
        let plain: Vec<&Token> =
            tokens.iter().copied().filter(|token| !token.is_symbol('(') && !token.is_symbol(')')).collect();
        if let [function, column] = plain[..]
            && function.word() == Some("json_valid")
        {
            return Some(Check { column: self.name(column)?, says: Says::Json });
        }
        let (column, rest) = plain.split_first()?;
        let column = self.name(column)?;
        let listed = match rest {
            [only, rest @ ..] if only.word() == Some("in") => rest,
            [equal, any, array, open, rest @ .., close]
                if equal.is_symbol('=')
                    && any.word() == Some("any")
                    && array.word() == Some("array")
                    && open.is_symbol('[')
                    && close.is_symbol(']') =>
            {
                rest
            }
            [equal, rest @ ..] if equal.is_symbol('=') && rest.len() == 1 => rest,
            _ => return None,
        };
        let texts = listed.chunks(2).map(|pair| match pair {
            [text] => self.text(text),
            [text, comma] if comma.is_symbol(',') => self.text(text),
            _ => None,
        });
        let texts: Vec<String> = texts.collect::<Option<_>>()?;
        (!texts.is_empty()).then_some(Check { column, says: Says::Texts(texts) })
    }

    fn written(&self, token: &Token) -> String {
        let letters = self.units[token.from..token.to].iter();
        letters.filter_map(|unit| if let Unit::Char(letter) = unit { Some(*letter) } else { None }).collect()
    }

    fn name(&self, token: &Token) -> Option<String> {
        match token.what {
            What::Word(_) => Some(self.written(token)),
            What::Name => self.unquoted(token, Quoted::Name),
            _ => None,
        }
    }

    fn text(&self, token: &Token) -> Option<String> {
        if token.what == What::Text { self.unquoted(token, Quoted::Text) } else { None }
    }

    fn unquoted(&self, token: &Token, content: Quoted) -> Option<String> {
        let written = self.written(token);
        let quote = self
            .dialect
            .quotes
            .iter()
            .find(|quote| quote.content == content && written.starts_with(quote.open))?;
        let inside = written.strip_prefix(quote.open)?.strip_suffix(quote.close)?;
        if content == Quoted::Text && self.dialect.backslash == Backslash::Everywhere {
            return unescaped(inside, quote.close);
        }
        let close = quote.close;
        Some(if quote.doubled {
            inside.replace(&format!("{close}{close}"), &close.to_string())
        } else {
            inside.into()
        })
    }
}

/// The text between quotation marks, of a dialect with backslashes; nothing where one means more than the next letter.
fn unescaped(inside: &str, close: char) -> Option<String> {
    let mut text = String::new();
    let mut letters = inside.chars();
    while let Some(letter) = letters.next() {
        text.push(match letter {
            '\\' => letters.next().filter(|next| matches!(next, '\'' | '"' | '\\'))?,
            // Doubled, or the text would have ended.
            letter if letter == close => letters.next()?,
            letter => letter,
        });
    }
    Some(text)
}

/// Without `::character varying(20)[]`.
fn without_types(tokens: &[Token]) -> Vec<&Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let is =
            |ahead: usize, symbol: char| tokens.get(at + ahead).is_some_and(|token| token.is_symbol(symbol));
        if !(is(0, ':') && is(1, ':')) {
            kept.push(token);
            at += 1;
            continue;
        }
        at += 2;
        let of_name = |token: &Token| match &token.what {
            What::Word(word) => !matches!(word.as_str(), "in" | "or" | "and" | "any" | "not" | "is"),
            What::Name => true,
            What::Symbol(symbol) => *symbol == '.',
            _ => false,
        };
        while tokens.get(at).is_some_and(of_name) {
            at += 1;
        }
        if let [open, number, close, ..] = &tokens[at..]
            && open.is_symbol('(')
            && number.what == What::Number
            && close.is_symbol(')')
        {
            at += 3;
        }
        while let [open, close, ..] = &tokens[at..]
            && open.is_symbol('[')
            && close.is_symbol(']')
        {
            at += 2;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::dialect::{MYSQL, POSTGRES, SQLITE};

    fn texts(column: &str, texts: &[&str]) -> Option<Check> {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        Some(Check { column: column.into(), says: Says::Texts(texts) })
    }

    /// As `pg_get_constraintdef` writes them.
    #[test]
    fn of_postgres() {
        for (text, expected) in [
            ("CHECK ((status = ANY (ARRAY['new'::text, 'paid'::text])))", texts("status", &["new", "paid"])),
            (
                "CHECK (((\"Status\")::text = ANY ((ARRAY['it''s'::character varying, 'b'::character varying(3)])::text[])))",
                texts("Status", &["it's", "b"]),
            ),
            ("CHECK ((VALUE = 'a'::text))", texts("VALUE", &["a"])),
            ("CHECK ((a = ANY (ARRAY[1, 2])))", None),
            ("CHECK (((a = ANY (ARRAY['x'::text])) OR b))", None),
            ("CHECK ((a <> ALL (ARRAY['x'::text])))", None),
            ("CHECK ((lower(a) = ANY (ARRAY['x'::text])))", None),
            ("CHECK ((a = ANY (ARRAY['x'::text, NULL::text])))", None),
            ("CHECK ((a = b))", None),
            ("CHECK ((a = E'x\\n'::text))", None),
            ("CHECK ((price >= 0))", None),
            ("", None),
        ] {
            assert_eq!(check(text, &POSTGRES), expected, "{text}");
        }
    }

    /// As MariaDB has them in `information_schema`.
    #[test]
    fn of_mariadb() {
        for (text, expected) in [
            ("`status` in ('new','it''s')", texts("status", &["new", "it's"])),
            ("json_valid(`tags`)", Some(Check { column: "tags".into(), says: Says::Json })),
            ("json_valid(`tags`) or `a` = 'b'", None),
            (r#"`status` in ('it\'s','a\\','\"')"#, texts("status", &["it's", "a\\", "\""])),
            ("`status` in ('a\\nb')", None),
            ("`status` in ('a',1)", None),
            ("`status` = 'a' and `b` = 'c'", None),
            ("`status` not in ('a')", None),
        ] {
            assert_eq!(check(text, &MYSQL), expected, "{text}");
        }
    }

    #[test]
    fn of_a_whole_table() {
        let table = "create table orders (id integer primary key, -- check (id in ('a'))
            status text not null default 'new' check (status in ('new', 'paid')),
            [Kind] text constraint k check (([Kind]) IN ('a' , 'b\\')), price real check (price >= 0),
            size text, note text default 'check (note in (''x''))',
            check (size in ('s', 'm') or price > 3), check (\"size\" in ('s', 'm', 'l')))";
        let found: Vec<Option<Check>> = checks(table, &SQLITE).into_iter().map(Some).collect();
        assert_eq!(
            found,
            [
                texts("status", &["new", "paid"]),
                texts("Kind", &["a", "b\\"]),
                texts("size", &["s", "m", "l"]),
            ]
        );
        assert_eq!(checks("create table t (a check", &SQLITE), []);
        assert_eq!(checks("check ) check (", &SQLITE), []);
    }
}

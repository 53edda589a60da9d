//! Which values of a statement are compared with something.
//!
//! To MySQL a text is the number that it begins with, or 0: `name = 0` is true for almost every name. A
//! number that is compared is therefore given as a text. Beside a column of numbers (of dates, bits and so
//! on) the server reads the text as the column's type, exactly; beside a text the two are compared as
//! texts. Anywhere else – in a list of values, in a calculation, after `limit` – a number stays a number.

use super::open::Flavour;
use crate::sql::{
    dialect::MYSQL_RENDERED,
    lex::{Token, What, lex, units},
};

/// Whether each parameter of the statement is compared. `text` is what goes to the server.
pub(super) fn compared(text: &str, flavour: Flavour) -> Vec<bool> {
    // What the config wrote has been lexed before; only the parameters are new.
    let Ok(tokens) = lex(&units(text), &MYSQL_RENDERED) else { return Vec::new() };
    let mut compared = Vec::new();
    let (mut frame, mut outer) = (Frame::default(), Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        match &token.what {
            What::Symbol('(') => {
                outer.push(frame);
                frame = frame.opened(&tokens, at);
            }
            What::Symbol(')') => frame = outer.pop().unwrap_or(frame),
            What::Symbol('?') => compared.push(frame.compares(&tokens, at, flavour)),
            What::Word(word) => frame.enter(word, before(&tokens, at), tokens.get(at + 1)),
            _ => {}
        }
    }
    compared
}

/// The statement, or what stands in a pair of parentheses.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    /// After `set`: here `=` gives a value to a column.
    assigns: bool,
    /// Rows of values that are stored as they are.
    stores: bool,
    /// Parentheses that only hold together: around a value, a row or a list.
    groups: bool,
}

impl Frame {
    fn opened(self, tokens: &[Token], at: usize) -> Frame {
        let before = before(tokens, at);
        let word = before.and_then(Token::word);
        // A name before it makes it a function, whose arguments are not compared.
        let function = word.is_some_and(|word| !GROUPING.contains(&word))
            || before.is_some_and(|token| token.what == What::Name);
        let calculated = before.is_some_and(calculates);
        Frame {
            assigns: false,
            stores: self.stores,
            groups: !function && !calculated && !self.stores && !self.assigns,
        }
    }

    fn enter(&mut self, word: &str, before: Option<&Token>, next: Option<&Token>) {
        match word {
            // Not a column of that name, nor the function in `on duplicate key update a = values(a)`.
            "values" | "value" if !self.assigns && next.is_some_and(|token| token.is_symbol('(')) => {
                *self = Frame { stores: true, ..Frame::default() };
            }
            "set" => *self = Frame { assigns: true, ..Frame::default() },
            // `on duplicate key update`
            "update" if before.and_then(Token::word) == Some("key") => {
                *self = Frame { assigns: true, ..Frame::default() };
            }
            "where" | "having" | "on" | "select" | "from" | "order" | "limit" | "returning" | "union" => {
                *self = Frame::default();
            }
            _ => {}
        }
    }

    /// Whether the parameter at `at` is compared.
    fn compares(self, tokens: &[Token], at: usize, flavour: Flavour) -> bool {
        let (left, right) = (before(tokens, at), tokens.get(at + 1));
        let result = left.and_then(Token::word).is_some_and(|word| matches!(word, "then" | "else"));
        if result || left.is_some_and(calculates) || right.is_some_and(calculates) {
            return false;
        }
        let operator = |token: Option<&Token>| token.is_some_and(is_comparison);
        if operator(left) {
            let number = flavour == Flavour::MySql && beside_json(tokens, at);
            return !self.assigns && !number;
        }
        operator(right) || self.groups && is_element(left, right)
    }
}

/// `(?)`, `(a, ?)`, `in (?, ?)`: what stands before or behind the parentheses compares it.
fn is_element(left: Option<&Token>, right: Option<&Token>) -> bool {
    left.is_some_and(|token| token.is_symbol('(') || token.is_symbol(','))
        && right.is_some_and(|token| token.is_symbol(')') || token.is_symbol(','))
}

fn before(tokens: &[Token], at: usize) -> Option<&Token> {
    tokens.get(at.checked_sub(1)?)
}

/// Words before a parenthesis that do not make it a function.
const GROUPING: [&str; 17] = [
    "in", "and", "or", "not", "xor", "where", "having", "on", "when", "then", "else", "case", "between",
    "like", "select", "any", "distinct",
];

fn is_comparison(token: &Token) -> bool {
    match &token.what {
        What::Symbol(symbol) => matches!(symbol, '=' | '<' | '>' | '!'),
        What::Word(word) => matches!(
            word.as_str(),
            "like" | "rlike" | "regexp" | "between" | "in" | "and" | "or" | "not" | "when" | "case" | "xor"
        ),
        _ => false,
    }
}

fn calculates(token: &Token) -> bool {
    match &token.what {
        What::Symbol(symbol) => matches!(symbol, '+' | '-' | '*' | '/' | '%' | '&' | '|' | '^' | '~'),
        What::Word(word) => matches!(word.as_str(), "div" | "mod" | "interval" | "collate"),
        _ => false,
    }
}

/// Whether what is compared is a part of a JSON document: to MySQL a number in it differs from a text.
fn beside_json(tokens: &[Token], at: usize) -> bool {
    // Back over the operator.
    let mut end = at;
    while end > 0 && matches!(tokens[end - 1].what, What::Symbol('=' | '<' | '>' | '!')) {
        end -= 1;
    }
    let token = |back: usize| end.checked_sub(back).and_then(|at| tokens.get(at));
    if token(2).is_some_and(|token| token.is_symbol('>'))
        && token(3).is_some_and(|token| token.is_symbol('-'))
    {
        return true;
    }
    let mut depth = 0usize;
    for at in (0..end).rev() {
        if tokens[at].is_symbol(')') {
            depth += 1;
        } else if tokens[at].is_symbol('(') {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            return before(tokens, at).and_then(Token::word) == Some("json_extract");
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_comparisons_from_other_places() {
        for (text, expected) in [
            ("select ? from t where a = ? and ? <> b or c in (?, ?)", "n c c c c"),
            ("select a from t where a <=> ? and b between ? and ? limit ? offset ?", "c c c n n"),
            ("select a from t where not a like ? and b not in (?) and (a, b) = (?, ?)", "c c c c"),
            ("select a from t where (a, b) in ((?, ?), (?, ?)) and c = (?) and d = ((?))", "c c c c c c"),
            (
                "select a from t where a = ? + 1 and b > 2 * ? and c < -? and d = (? + 1) and e = 5 + (?)",
                "n n n n n",
            ),
            (
                "insert into t (a, b) values (?, ?), (?, ?) on duplicate key update a = ?, b = (?)",
                "n n n n n n",
            ),
            ("insert into t set a = ?, b = ?", "n n"),
            ("insert into t select ?, a from u where b = ?", "n c"),
            (
                "update t set a = ?, b = a + ?, c = if(d = ?, ?, 1) where e = ? order by f limit ?",
                "n n c n c n",
            ),
            ("update t join u on t.a = ? set b = ? where c = ?", "c n c"),
            ("delete from t where a = ?", "c"),
            (
                "select round(a, ?), json_set(b, '$.c', ?), case a when ? then ? else ? end from t",
                "n n c n n",
            ),
            ("select a from t where exists (select 1 from u where b = ? limit ?) and ? in (c, d)", "c n c"),
            ("select a = ? as `b?`, '? \\' ?' from t having max(a) > ?", "c c"),
            ("values (?, ?)", "n n"),
            ("insert into t (a) values (?) on duplicate key update a = values(a), b = ?", "n n"),
            (
                "select 1 from t where value = ? and value in (?) and case when a then ? when b then ? end",
                "c c n n",
            ),
        ] {
            let all = compared(text, Flavour::MariaDb);
            let words: Vec<&str> = all.iter().map(|compared| if *compared { "c" } else { "n" }).collect();
            assert_eq!(words.join(" "), expected, "{text}");
        }
    }

    #[test]
    fn parts_of_json_are_numbers_for_mysql() {
        for (text, expected) in [
            ("select 1 from t where json_extract(a, '$.b') = ?", [false]),
            ("select 1 from t where a->'$.b' >= ?", [false]),
            ("select 1 from t where a->>'$.b' = ?", [true]),
            ("select 1 from t where lower(a) = ?", [true]),
            ("select 1 from t where a = ?", [true]),
        ] {
            assert_eq!(compared(text, Flavour::MySql), expected, "{text}");
            assert_eq!(compared(text, Flavour::MariaDb), [true], "{text}");
        }
    }
}

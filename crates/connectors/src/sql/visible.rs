//! What a statement's own text already tells that the database would refuse, or its result could not say.
//!
//! The database has the last word on both; here they are told before anything runs.

use renkei_core::{Diagnostic, Span};

use super::{
    dialect::Dialect,
    lex::{Token, Unit, What},
    statement::Verb,
};

/// Words that end the list of a `select` or of `returning`.
const ENDS: &[&str] = &[
    "from",
    "where",
    "group",
    "having",
    "order",
    "limit",
    "offset",
    "fetch",
    "for",
    "into",
    "window",
    "union",
    "except",
    "intersect",
];

/// Words that end an expression, or stand before its last name, so that this name is no alias.
const NO_ALIAS: &[&str] = &[
    "end", "null", "true", "false", "isnull", "notnull", "and", "or", "not", "is", "in", "like", "ilike",
    "glob", "regexp", "rlike", "match", "between", "escape", "collate", "distinct", "all", "over", "from",
    "then", "else", "when", "case", "div", "mod", "xor", "as", "interval", "zone", "binary",
];

/// A statement with its text, of which `span` tells the places.
pub(super) struct Seen<'a, S> {
    pub(super) tokens: &'a [Token],
    pub(super) units: &'a [Unit],
    pub(super) dialect: &'a Dialect,
    pub(super) span: S,
}

impl<S: Fn(usize, usize) -> Span> Seen<'_, S> {
    pub(super) fn problems(&self, verb: &Verb) -> Vec<Diagnostic> {
        let mut problems = self.forbidden();
        problems.extend(self.twice(verb));
        problems
    }

    /// What stands at a token, without quotation marks.
    fn text(&self, token: &Token) -> String {
        let quoted = matches!(token.what, What::Name | What::Text);
        let units = &self.units[token.from..token.to];
        let inner = if quoted { units.get(1..units.len().saturating_sub(1)).unwrap_or(&[]) } else { units };
        let letter = |unit: &Unit| match unit {
            Unit::Char(letter) => *letter,
            Unit::Hole(_) => '\u{0}',
        };
        inner.iter().map(letter).collect()
    }

    fn at(&self, token: &Token) -> Span {
        (self.span)(token.from, token.to)
    }

    /// Functions and tables that the dialect keeps away.
    fn forbidden(&self) -> Vec<Diagnostic> {
        let named = self
            .tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| matches!(token.what, What::Word(_) | What::Name));
        named
            .filter_map(|(at, token)| {
                // A column may have any name.
                let called = self.tokens.get(at + 1).is_some_and(|next| next.is_symbol('('));
                let before = at.checked_sub(1).and_then(|at| self.tokens[at].word());
                if !called && !matches!(before, Some("from" | "join")) {
                    return None;
                }
                let name = self.text(token).to_ascii_lowercase();
                let (_, why) =
                    self.dialect.forbidden.iter().find(|(known, _)| match known.strip_suffix('*') {
                        // A table of the user's may begin like this.
                        Some(start) => called && name.starts_with(start),
                        None => name == *known,
                    })?;
                Some(
                    Diagnostic::error(self.at(token), format!("`{name}` is refused: {why}"))
                        .hint("leave it out; what administers the database is done with its own programs"),
                )
            })
            .collect()
    }

    /// A name that two columns of the result have: a row is an object, so one would be lost.
    fn twice(&self, verb: &Verb) -> Option<Diagnostic> {
        let mut seen: Vec<(String, Span)> = Vec::new();
        for item in self.items(self.list(verb)?) {
            let Some((name, span)) = self.column(item) else { continue };
            if let Some((_, first)) = seen.iter().find(|(known, _)| *known == name) {
                return Some(
                    Diagnostic::error(span, format!("two columns are named `{name}`"))
                        .hint("give one of them another name with `as`")
                        .related(*first, "the other one"),
                );
            }
            seen.push((name, span));
        }
        None
    }

    /// Where the list of the result's columns begins.
    fn list(&self, verb: &Verb) -> Option<usize> {
        let word = match verb {
            Verb::Select => "select",
            Verb::Insert | Verb::Replace | Verb::Update | Verb::Delete => "returning",
            _ => return None,
        };
        let mut depth = 0_usize;
        let begin = self.tokens.iter().position(|token| {
            match token.what {
                What::Symbol('(') => depth += 1,
                What::Symbol(')') => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && token.word() == Some(word)
        })?;
        let next = begin + 1;
        match self.tokens.get(next).and_then(Token::word) {
            // `distinct on (…)`: what follows is left to the database.
            Some("distinct") if self.tokens.get(next + 1).and_then(Token::word) == Some("on") => None,
            Some("distinct" | "all") => Some(next + 1),
            _ => Some(next),
        }
    }

    /// The items of the list that begins at `start`.
    fn items(&self, start: usize) -> Vec<&[Token]> {
        let (mut items, mut from, mut depth) = (Vec::new(), start, 0_usize);
        let mut end = self.tokens.len();
        for (at, token) in self.tokens.iter().enumerate().skip(start) {
            match &token.what {
                What::Symbol('(') => depth += 1,
                What::Symbol(')') => depth = depth.saturating_sub(1),
                What::Symbol(',') if depth == 0 => {
                    items.push(&self.tokens[from..at]);
                    from = at + 1;
                }
                // `x is distinct from y` has no list after it.
                What::Word(word) if depth == 0 && ENDS.contains(&word.as_str()) => {
                    if word == "from" && self.tokens[at - 1].word() == Some("distinct") {
                        continue;
                    }
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        items.push(self.tokens.get(from..end).unwrap_or(&[]));
        items
    }

    /// The name of a column, where the text tells it for sure.
    fn column(&self, item: &[Token]) -> Option<(String, Span)> {
        let (last, rest) = item.split_last()?;
        let before = rest.last();
        let named = || Some((self.text(last), self.at(last)));
        let word = |token: &Token| token.word().map(str::to_owned);
        match (&last.what, before) {
            (What::Word(_) | What::Name | What::Text, Some(before)) if before.word() == Some("as") => named(),
            (What::Word(word), None) if NO_ALIAS.contains(&word.as_str()) => None,
            // `a`, `t.a`
            (What::Word(_) | What::Name, None) => named(),
            (What::Word(_) | What::Name, Some(before)) if before.is_symbol('.') => {
                let chain = rest.iter().rev().enumerate().all(|(at, token)| match at % 2 {
                    0 => token.is_symbol('.'),
                    _ => matches!(token.what, What::Word(_) | What::Name),
                });
                chain.then(named).flatten()
            }
            // `count(*) total`, `a b`
            (What::Word(_) | What::Name, Some(before)) => {
                // `interval 1 day`, `x::double precision`
                let spread = |token: &Token| token.word() == Some("interval") || token.is_symbol(':');
                let own = word(last).is_none_or(|word| !NO_ALIAS.contains(&word.as_str()))
                    && !rest.iter().any(spread);
                let ends = match &before.what {
                    What::Word(word) => !NO_ALIAS.contains(&word.as_str()),
                    What::Symbol(symbol) => *symbol == ')',
                    _ => true,
                };
                (own && ends).then(named).flatten()
            }
            _ => None,
        }
    }
}

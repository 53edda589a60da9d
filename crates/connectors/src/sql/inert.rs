//! Items of `order by`, `group by` and `partition by` in which a template would do nothing.
//!
//! Databases accept `order by $1`, `order by -$1` and `order by (select $1)`, and sort by the same value for
//! every row. An item with a template must therefore name a column: `order by x = $1`, `order by abs(x - $1)`.
//! What is not surely the same for every row is let through: a function without arguments may be `random()`.

use std::ops::Range;

use super::{
    lex::{Token, What},
    place::Fault,
};

/// An item that is the same for every row, and the list that it stands in.
#[derive(Debug)]
pub(super) struct Inert {
    pub(super) tokens: Range<usize>,
    pub(super) list: &'static str,
}

impl Inert {
    /// What is wrong with the template at `at`, one of the item's.
    pub(super) fn fault(&self, at: usize) -> Fault {
        match self.tokens.start == at {
            true => Fault::Name { after: self.list.into() },
            false => Fault::Inert { list: self.list },
        }
    }
}

/// Words that end such a list.
const ENDS: &[&str] = &[
    "order",
    "group",
    "having",
    "limit",
    "offset",
    "fetch",
    "for",
    "union",
    "except",
    "intersect",
    "window",
    "rows",
    "range",
    "groups",
    "returning",
    "with",
    "into",
    "lock",
    "separator",
];

/// Words of expressions that are no columns. One that is missing lets an inert item through, one too
/// many refuses a column of that name; so these are reserved in every dialect, or nearly.
const WORDS: &[&str] = &[
    "asc",
    "desc",
    "nulls",
    "case",
    "when",
    "then",
    "else",
    "end",
    "and",
    "or",
    "not",
    "is",
    "isnull",
    "notnull",
    "null",
    "true",
    "false",
    "between",
    "like",
    "ilike",
    "glob",
    "regexp",
    "rlike",
    "escape",
    "in",
    "exists",
    "distinct",
    "select",
    "all",
    "from",
    "join",
    "where",
    "as",
    "cast",
    "collate",
    "interval",
    "div",
    "xor",
    "union",
    "limit",
    "offset",
    "current_date",
    "current_time",
    "current_timestamp",
];

/// All inert items with templates. `choice` tells the templates that become text of the config.
pub(super) fn inert(tokens: &[Token], choice: &dyn Fn(usize) -> bool) -> Vec<Inert> {
    let mut found = Vec::new();
    for at in 1..tokens.len() {
        let list = match (tokens[at - 1].word(), tokens[at].word()) {
            (Some("order"), Some("by")) => "order by",
            (Some("group"), Some("by")) => "group by",
            (Some("partition"), Some("by")) => "partition by",
            _ => continue,
        };
        let items = items(tokens, at + 1).into_iter();
        found.extend(
            items.filter(|item| is_inert(&tokens[item.clone()], choice)).map(|tokens| Inert { tokens, list }),
        );
    }
    found
}

/// The items of the list that begins at `start`.
fn items(tokens: &[Token], start: usize) -> Vec<Range<usize>> {
    let mut items = Vec::new();
    let (mut from, mut depth) = (start, 0_usize);
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        match &token.what {
            What::Symbol('(') => depth += 1,
            What::Symbol(')') if depth == 0 => break,
            What::Symbol(')') => depth -= 1,
            What::Symbol(',') if depth == 0 => {
                items.push(from..at);
                from = at + 1;
            }
            What::Word(word) if depth == 0 && ENDS.contains(&word.as_str()) => break,
            _ => {}
        }
        at += 1;
    }
    items.push(from..at);
    items
}

fn is_inert(item: &[Token], choice: &dyn Fn(usize) -> bool) -> bool {
    let is_value = |token: &Token| matches!(token.what, What::Hole(hole) if !choice(hole));
    item.iter().any(is_value) && !(0..item.len()).any(|at| differs(item, at, choice))
}

/// Whether what stands at `at` may differ from row to row.
fn differs(item: &[Token], at: usize, choice: &dyn Fn(usize) -> bool) -> bool {
    let back = |steps: usize| at.checked_sub(steps).and_then(|at| item.get(at));
    let next = item.get(at + 1);
    match &item[at].what {
        What::Hole(hole) => choice(*hole),
        // `count(*)`, `t.*`
        What::Symbol('*') => back(1).is_some_and(|token| token.is_symbol('(') || token.is_symbol('.')),
        What::Name => !is_elsewhere(item, back(1), back(2)) && !next.is_some_and(|next| next.is_symbol('(')),
        What::Word(word) => match next {
            Some(next) if next.is_symbol('(') => {
                !WORDS.contains(&word.as_str()) && item.get(at + 2).is_some_and(|token| token.is_symbol(')'))
            }
            // `x'00'`, `date '2026-01-31'`
            Some(next) if next.what == What::Text => false,
            _ if back(1).and_then(Token::word) == Some("nulls") => false,
            _ => !WORDS.contains(&word.as_str()) && !is_elsewhere(item, back(1), back(2)),
        },
        What::Text | What::Number | What::Symbol(_) => false,
    }
}

/// Whether a name after these tokens is that of a table, a type or a collation.
fn is_elsewhere(item: &[Token], before: Option<&Token>, second: Option<&Token>) -> bool {
    match before.map(|token| &token.what) {
        Some(What::Word(word)) => match word.as_str() {
            "as" | "collate" => true,
            // `x is distinct from y`, `extract(year from x)` have columns there.
            "from" | "join" => {
                second.and_then(Token::word) != Some("distinct")
                    && item.iter().any(|token| token.word() == Some("select"))
            }
            _ => false,
        },
        // `$1::integer`
        Some(What::Symbol(':')) => second.is_some_and(|token| token.is_symbol(':')),
        _ => false,
    }
}

//! The text of a statement, put together again from its tokens: without comments, and with single spaces.

use crate::sql::{
    dialect::{Dialect, Lists},
    lex::{Token, Unit, What},
    place::Place,
};

/// The most characters of a statement that a label shows.
const MAX_LABEL: usize = 80;

/// With `{}` in place of templates, cut to a line.
pub(super) fn label(units: &[Unit], tokens: &[Token]) -> String {
    let mut label = String::new();
    for_each_piece(units, tokens, &[], |piece| match piece {
        Ok(text) => label.push_str(&text),
        Err(_) => label.push_str("{}"),
    });
    match label.char_indices().nth(MAX_LABEL) {
        Some((at, _)) => format!("{}…", &label[..at]),
        None => label,
    }
}

/// A text without templates, without its comments.
pub(in crate::sql) fn plain_text(units: &[Unit], tokens: &[Token]) -> String {
    let mut text = String::new();
    for_each_piece(units, tokens, &[], |piece| text.push_str(&piece.unwrap_or_default()));
    text
}

/// A token, by its index, and what is written in its place.
pub(super) type Rewrite = (usize, &'static str);

/// `in (…)` as `= any(…)` for dialects whose lists are one parameter.
pub(super) fn rewrites(tokens: &[Token], places: &[Place], dialect: &Dialect) -> Vec<Rewrite> {
    let mut rewrites = Vec::new();
    if dialect.lists == Lists::Expanded {
        return rewrites;
    }
    for (at, token) in tokens.iter().enumerate() {
        let What::Hole(hole) = token.what else { continue };
        // Judged so because `in` and `(` stand before it, and `not` before these.
        match places[hole] {
            Place::List { negated: false } => rewrites.push((at - 2, "= any")),
            Place::List { negated: true } => rewrites.extend([(at - 3, "<>"), (at - 2, "all")]),
            Place::Value => {}
        }
    }
    rewrites
}

/// The text of the tokens, without comments and with single spaces, and its templates.
pub(super) fn for_each_piece(
    units: &[Unit],
    tokens: &[Token],
    rewrites: &[Rewrite],
    mut each: impl FnMut(Result<String, usize>),
) {
    let mut last = None;
    for (at, token) in tokens.iter().enumerate() {
        if last.is_some_and(|last| last < token.from) {
            each(Ok(" ".into()));
        }
        last = Some(token.to);
        if let Some((_, text)) = rewrites.iter().find(|(index, _)| *index == at) {
            each(Ok((*text).into()));
            continue;
        }
        match token.what {
            What::Hole(hole) => each(Err(hole)),
            _ => each(Ok(units[token.from..token.to]
                .iter()
                .filter_map(|unit| match unit {
                    Unit::Char(char) => Some(*char),
                    Unit::Hole(_) => None,
                })
                .collect())),
        }
    }
}

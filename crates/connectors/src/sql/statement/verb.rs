//! What a statement does: its main keyword.

use renkei_core::Effect;

use crate::sql::lex::Token;

/// What a statement does, by its main keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    Select,
    Values,
    Explain,
    Insert,
    Replace,
    Update,
    Delete,
    /// Any other, in lower case.
    Other(String),
}

impl Verb {
    /// Whether it reads; nothing for statements that are neither reading nor changing rows.
    pub fn effect(&self) -> Option<Effect> {
        match self {
            Verb::Select | Verb::Values | Verb::Explain => Some(Effect::Read),
            Verb::Insert | Verb::Replace | Verb::Update | Verb::Delete => Some(Effect::Write),
            Verb::Other(_) => None,
        }
    }

    fn from_word(word: &str) -> Self {
        match word {
            "select" => Verb::Select,
            "values" => Verb::Values,
            "explain" => Verb::Explain,
            "insert" => Verb::Insert,
            "replace" => Verb::Replace,
            "update" => Verb::Update,
            "delete" => Verb::Delete,
            other => Verb::Other(other.into()),
        }
    }
}

/// The main keyword: of a `with`, what follows the last of its parenthesised parts.
pub(super) fn verb(tokens: &[Token]) -> Verb {
    let first = tokens.first().and_then(Token::word).unwrap_or("");
    if first != "with" {
        return Verb::from_word(first);
    }
    let mut depth = 0usize;
    let mut main = None;
    let mut changes = None;
    for pair in tokens.windows(2) {
        let [token, next] = pair else { continue };
        if token.is_symbol('(') {
            depth += 1;
            // PostgreSQL: `with gone as (delete … returning *) select …` changes rows.
            if let Some(word @ ("insert" | "update" | "delete" | "merge")) = next.word() {
                changes = changes.or(Some(Verb::from_word(word)));
            }
        } else if token.is_symbol(')') {
            depth = depth.saturating_sub(1);
            if depth == 0 && main.is_none() {
                main = next.word().filter(|word| *word != "as").map(Verb::from_word);
            }
        }
    }
    match (main, changes) {
        (Some(Verb::Select | Verb::Values), Some(change)) => change,
        (Some(main), _) => main,
        (None, _) => Verb::Other(first.into()),
    }
}

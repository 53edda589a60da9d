//! Takes a text apart at its `${ … }`.
//!
//! The end of an expression is found as jq's lexer would find it: a `}` inside a string, an object or
//! a comment does not end it. The scan is a loop with a stack of its own, so no text can exhaust ours.

use std::sync::Arc;

use super::budget::MAX_NESTING;
use crate::{Diagnostic, Diagnostics, Node, NodeKind};

/// A part of a template string, before its expressions are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it stands, `$${` already read as `${`.
    Literal { text: String, at: usize },
    /// The source between `${` and `}`; `at` is the offset of its first byte in the text.
    Expr { source: Arc<str>, at: usize },
}

const QUOTING: &str = "close it with `}`; in YAML put the whole text into '…' or after `>-`, because a plain text ends at `: ` and ` #`";

/// Splits a string node at its `${ … }`. The end of each is found by lexing jq. An unclosed `${`
/// is a diagnostic. Connectors that treat literals and values apart (paths, SQL) start here.
pub fn split(node: &Node, d: &mut Diagnostics) -> Option<Vec<Piece>> {
    let Some(text) = node.as_str() else {
        d.push(Diagnostic::error(node.span, format!("Expected a string, found {}", node.what())));
        return None;
    };
    if matches!(&node.kind, NodeKind::String(text) if text.literal) {
        // It holds values of the environment, in which a `${` means nothing.
        return Some(vec![Piece::Literal { text: text.to_owned(), at: 0 }]);
    }
    match pieces(text) {
        Ok(pieces) => Some(pieces),
        Err(problem) => {
            let span = node.text_span(problem.from, problem.to);
            d.push(Diagnostic::error(span, problem.message).label(problem.label).hint(problem.hint));
            None
        }
    }
}

/// Writes a text so that a template reads it as exactly this text, whatever stands next to it.
pub fn escape(text: &str) -> String {
    text.replace('$', "${\"$\"}")
}

/// Why a text cannot be split; the offsets are in the text.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) label: &'static str,
    pub(super) hint: String,
    pub(super) from: usize,
    pub(super) to: usize,
}

pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, Problem> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let (mut start, mut at) = (0, 0);
    while let Some(found) = text[at..].find('$') {
        literal.push_str(&text[at..at + found]);
        at += found;
        let rest = &text[at..];
        if rest.starts_with("$${") {
            literal.push_str("${");
            at += 3;
        } else if rest.starts_with("${") {
            if !literal.is_empty() {
                pieces.push(Piece::Literal { text: std::mem::take(&mut literal), at: start });
            }
            let from = at + 2;
            let to = expression_end(text, from).map_err(|problem| problem.opened_at(at))?;
            pieces.push(Piece::Expr { source: text[from..to].into(), at: from });
            at = to + 1;
            start = at;
        } else {
            literal.push('$');
            at += 1;
        }
    }
    literal.push_str(&text[at..]);
    if !literal.is_empty() {
        pieces.push(Piece::Literal { text: literal, at: start });
    }
    Ok(pieces)
}

impl Problem {
    /// What runs to the end of the text is shown from its `${` on.
    fn opened_at(mut self, at: usize) -> Self {
        if self.unclosed() {
            self.from = at;
        }
        self
    }

    fn unclosed(&self) -> bool {
        self.from == usize::MAX
    }
}

/// What surrounds the place where the scan is.
#[derive(Clone, Copy, PartialEq)]
enum Around {
    /// Tokens up to this closing letter.
    Tokens(u8),
    /// A string up to its `"`.
    Text,
}

/// Refuses a source whose brackets nest too deep, for the lexer recurses into them, or do not match.
pub(super) fn depth(source: &str) -> Result<(), Problem> {
    match expression_end(source, 0) {
        Err(problem) if !problem.unclosed() => Err(problem),
        _ => Ok(()),
    }
}

/// The offset of the `}` that closes the expression which starts at `from`.
fn expression_end(text: &str, from: usize) -> Result<usize, Problem> {
    let bytes = text.as_bytes();
    let mut around = vec![Around::Tokens(b'}')];
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        let close = match around.last() {
            Some(Around::Text) => {
                match byte {
                    b'"' => drop(around.pop()),
                    b'\\' if bytes.get(at + 1) == Some(&b'(') => {
                        around.push(Around::Tokens(b')'));
                        at += 1;
                    }
                    b'\\' => at += 1,
                    _ => {}
                }
                at += 1;
                continue;
            }
            Some(Around::Tokens(close)) => *close,
            None => break,
        };
        match byte {
            b'"' => around.push(Around::Text),
            b'(' => around.push(Around::Tokens(b')')),
            b'[' => around.push(Around::Tokens(b']')),
            b'{' => around.push(Around::Tokens(b'}')),
            b'#' => {
                at = comment_end(bytes, at);
                continue;
            }
            _ if byte == close => {
                around.pop();
                if around.is_empty() {
                    return Ok(at);
                }
            }
            b')' | b']' | b'}' => {
                return Err(Problem {
                    message: format!("`{}` closes nothing here", char::from(byte)),
                    label: "here",
                    hint: format!("a `{}` is due first", char::from(close)),
                    from: at,
                    to: at + 1,
                });
            }
            _ if !starts_token(byte) => {
                let letter = text[at..].chars().next().unwrap_or_default();
                if !letter.is_whitespace() {
                    return Err(stray(letter, at));
                }
                at += letter.len_utf8();
                continue;
            }
            _ => {}
        }
        if around.len() > MAX_NESTING {
            return Err(too_deep(at, at + 1));
        }
        at += 1;
    }
    let message = match around.last() {
        Some(Around::Text) => "This template has a string without its closing `\"`",
        _ => "This template is not closed",
    };
    Err(Problem {
        message: message.into(),
        label: "opened here",
        hint: QUOTING.into(),
        from: usize::MAX,
        to: text.len(),
    })
}

fn starts_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_$@|=!<>+-*/%.:;,?".contains(&byte)
}

/// What jq's lexer cannot read ends the search: beyond it nobody knows what is text and what is not.
fn stray(letter: char, at: usize) -> Problem {
    let hint = match letter {
        '\'' => "strings stand in `\"…\"`",
        '&' => "write `and`",
        _ => QUOTING,
    };
    Problem {
        message: format!("`{letter}` is not part of a jq expression"),
        label: "here",
        hint: hint.into(),
        from: at,
        to: at + letter.len_utf8(),
    }
}

fn too_deep(from: usize, to: usize) -> Problem {
    Problem {
        message: format!("This template nests brackets more than {MAX_NESTING} deep"),
        label: "too deep",
        hint: "split it into several templates".into(),
        from,
        to,
    }
}

/// A comment runs to the end of its line; a line that ends with an odd number of backslashes goes on.
fn comment_end(bytes: &[u8], mut at: usize) -> usize {
    loop {
        let line = &bytes[at..];
        let length = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
        let text = line[..length].strip_suffix(b"\r").unwrap_or(&line[..length]);
        let backslashes = text.iter().rev().take_while(|byte| **byte == b'\\').count();
        at = (at + length + 1).min(bytes.len());
        if backslashes % 2 == 0 || at == bytes.len() {
            return at;
        }
    }
}

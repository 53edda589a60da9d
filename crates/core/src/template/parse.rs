//! From source to something that runs: jq's lexer and parser, behind limits of our own.
//!
//! The parser is recursive, so what it may be given is limited first; `resolve` turns its tree into ours.

use std::sync::Arc;

use jaq_core::load::{
    Lexer,
    lex::{self, StrPart, Tok, Token},
    parse::{self, Parser, Term},
};

use super::{
    Names, Scope,
    budget::{MAX_EXPRESSION_BYTES, MAX_NESTING, MAX_OPERATORS},
    eval,
    expr::Expr,
    plain::Plain,
    resolve::resolve,
    split,
};
use crate::{Diagnostic, Diagnostics, Node, Span, Value};

/// What an expression refers to.
#[derive(Debug, Default)]
pub(super) struct References {
    /// Free `$names`, and `env` and `file`.
    pub(super) vars: Vec<Arc<str>>,
    pub(super) environment: Vec<Arc<str>>,
    pub(super) files: Vec<Arc<str>>,
}

impl References {
    pub(super) fn extend(&mut self, other: References) {
        other.vars.iter().for_each(|name| add(&mut self.vars, name));
        other.environment.iter().for_each(|name| add(&mut self.environment, name));
        other.files.iter().for_each(|name| add(&mut self.files, name));
    }
}

/// Adds a name if it is not there yet.
pub(super) fn add(all: &mut Vec<Arc<str>>, name: &str) {
    if !all.iter().any(|known| **known == *name) {
        all.push(name.into());
    }
}

/// Something that runs.
#[derive(Debug)]
pub(super) enum Code {
    Plain(Plain),
    Expr(Expr, eval::regex::Patterns),
}

impl Code {
    pub(super) fn run(&self, scope: &Scope, steps: u64) -> Result<Option<Value>, String> {
        match self {
            Code::Plain(path) => path.follow(scope),
            Code::Expr(expr, patterns) => eval::evaluate(expr, patterns, scope, steps),
        }
    }
}

/// The source of one expression and its place, for diagnostics.
#[derive(Clone, Copy)]
pub(super) struct Place<'s> {
    pub(super) node: &'s Node,
    pub(super) source: &'s str,
    /// Offset of `source` in the node's text.
    pub(super) at: usize,
}

impl Place<'_> {
    pub(super) fn whole(self) -> Span {
        self.span(0, self.source.len())
    }

    pub(super) fn span(self, from: usize, to: usize) -> Span {
        self.node.text_span(self.at + from, self.at + to)
    }

    /// Where a slice of the source stands in it. Tokens and names are such slices.
    pub(super) fn offset(self, slice: &str) -> Option<usize> {
        let offset = (slice.as_ptr() as usize).checked_sub(self.source.as_ptr() as usize)?;
        (offset + slice.len() <= self.source.len()).then_some(offset)
    }

    pub(super) fn span_of(self, slice: &str) -> Span {
        match self.offset(slice) {
            Some(offset) => self.span(offset, offset + slice.len()),
            None => self.whole(),
        }
    }
}

pub(super) fn compile(
    node: &Node,
    source: &str,
    at: usize,
    names: &Names<'_>,
    refs: &mut References,
    d: &mut Diagnostics,
) -> Option<Code> {
    let place = Place { node, source, at };
    if source.len() > MAX_EXPRESSION_BYTES {
        let message = format!("This template has {} bytes, more than {MAX_EXPRESSION_BYTES}", source.len());
        d.push(Diagnostic::error(place.whole(), message).hint("split it into several templates"));
        return None;
    }
    if let Err(problem) = split::depth(source) {
        d.push(Diagnostic::error(place.span(problem.from, problem.to), problem.message).hint(problem.hint));
        return None;
    }
    let tokens = match Lexer::new(source).lex() {
        Ok(tokens) => tokens,
        Err(errors) => {
            errors.into_iter().take(1).for_each(|error| d.push(lex_error(place, error)));
            return None;
        }
    };
    if let Err(problem) = few_operators(place, &tokens) {
        d.push(problem);
        return None;
    }
    let term: Term<&str> = match Parser::new(&tokens).parse(|parser| parser.term()) {
        Ok(term) => term,
        Err(errors) => {
            errors.into_iter().take(1).for_each(|error| d.push(parse_error(place, &tokens, error)));
            return None;
        }
    };
    let (expr, patterns) = resolve(place, &term, names, refs, d)?;
    Some(match Plain::of(&expr) {
        Some(path) => Code::Plain(path),
        None => Code::Expr(expr, patterns),
    })
}

/// Operators and keywords are what the parser and the evaluator recurse on, beside brackets.
fn few_operators(place: Place<'_>, tokens: &[Token<&str>]) -> Result<(), Diagnostic> {
    let mut count = 0;
    count_operators(tokens, false, &mut count);
    if count <= MAX_OPERATORS {
        return Ok(());
    }
    let message = format!("This template has {count} operators, more than {MAX_OPERATORS}");
    Err(Diagnostic::error(place.whole(), message).hint("split it into several templates"))
}

fn count_operators(tokens: &[Token<&str>], in_object: bool, count: &mut usize) {
    for Token(text, token) in tokens {
        match token {
            Tok::Sym if matches!(*text, ":" | ";" | "?" | ")" | "]" | "}") => {}
            Tok::Sym if text.starts_with('.') || (in_object && *text == ",") => {}
            Tok::Sym => *count += 1,
            Tok::Word => *count += usize::from(KEYWORDS.contains(text)),
            Tok::Str(parts) => {
                for part in parts {
                    if let StrPart::Term(Token(_, Tok::Block(tokens))) = part {
                        count_operators(tokens, false, count);
                    }
                }
            }
            Tok::Block(tokens) => count_operators(tokens, text.starts_with('{'), count),
            Tok::Var | Tok::Fmt | Tok::Num => {}
        }
    }
}

const KEYWORDS: [&str; 12] =
    ["as", "and", "or", "if", "elif", "try", "catch", "reduce", "foreach", "label", "break", "def"];

fn lex_error(place: Place<'_>, (expected, rest): lex::Error<&str>) -> Diagnostic {
    let offset = place.offset(rest).unwrap_or(place.source.len());
    let letter = rest.chars().next();
    let span = place.span(offset, offset + letter.map_or(0, char::len_utf8));
    let (message, hint) = match (expected, letter) {
        (lex::Expect::Digit, _) => ("A digit is missing in this number".to_owned(), "write `0.5` and `1e3`"),
        (lex::Expect::Ident, _) => ("A name is missing here".to_owned(), "write `$name` or `@base64`"),
        (lex::Expect::Escape, _) => (
            "This is not an escape that strings know".to_owned(),
            "known are `\\n \\t \\r \\b \\f \\\" \\\\ \\/ \\u00e9` and `\\(…)`",
        ),
        (lex::Expect::Unicode, _) => {
            ("`\\u` wants four hexadecimal digits of a character".to_owned(), "write the character itself")
        }
        (lex::Expect::Delim(open), _) => {
            (format!("`{open}` is not closed"), "close it before the `}` of the template")
        }
        (_, Some(letter)) => {
            (format!("`{letter}` is not part of a jq expression"), "see the language reference")
        }
        (_, None) => ("The expression ends too early".to_owned(), "see the language reference"),
    };
    Diagnostic::error(span, message).hint(hint)
}

fn parse_error(
    place: Place<'_>,
    tokens: &[Token<&str>],
    (expected, found): parse::Error<&str, Option<&Token<&str>>>,
) -> Diagnostic {
    if tokens.is_empty() {
        let hint = "put a jq expression between the braces: `${.name}`; a literal `${` is written `$${`";
        return Diagnostic::error(place.whole(), "This template is empty").hint(hint);
    }
    let (span, what) = match found {
        Some(Token(text, _)) => (place.span_of(text), format!("`{}`", super::shorten(text))),
        None => {
            let end = place.source.trim_end().len();
            (place.span(end.saturating_sub(1), end), "the end".to_owned())
        }
    };
    let hint = match (&expected, found) {
        (_, Some(Token("def", _))) => "`def` is not available in templates",
        (parse::Expect::Nothing, Some(Token(_, Tok::Word | Tok::Num | Tok::Str(_)))) => {
            "an operator is missing before it; strings stand in `\"…\"`"
        }
        (parse::Expect::Term, None) => "a value is missing at the end",
        (parse::Expect::ElseOrEnd, _) => "write `if … then … else … end`",
        _ => "see the language reference",
    };
    let due = match expected {
        parse::Expect::Nothing => "nothing more".to_owned(),
        parse::Expect::Just(text) => format!("`{text}`"),
        parse::Expect::Term => "a value".to_owned(),
        other => other.as_str().to_owned(),
    };
    Diagnostic::error(span, format!("Expected {due}, found {what}")).hint(hint)
}

const _: () =
    assert!(MAX_NESTING <= 64, "the recursion of lexer, parser and evaluator was measured with this");

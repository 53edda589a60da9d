//! The parser's errors as diagnostics that say what to do.

use granit_parser::{ErrorKind, ScanError};
use renkei_core::{Diagnostic, Span};

/// `text` is the whole source.
pub(super) fn diagnostic(file: u16, text: &str, error: &ScanError) -> Diagnostic {
    let at = floor_boundary(text, error.marker().byte_offset().unwrap_or(text.len()));
    let span = |start: usize, end: usize| Span { file, start: start as u32, end: end as u32 };
    if let Some(start) = cut_template(text, at) {
        let line_end = text[start..].find(['\n', '\r']).map_or(text.len(), |len| start + len);
        return Diagnostic::error(span(start, line_end), "YAML cuts this template short")
            .label("not in quotes")
            .hint(
                "put the whole value in quotes, '…', or write it as a block after `>-`; without quotes \
                 YAML itself reads `: `, ` #` and, inside `{ }` and `[ ]`, braces and commas",
            );
    }
    let (start, end) = widen(text, at);
    let (message, hint) = explain(error.kind(), text, at);
    let diagnostic = Diagnostic::error(span(start, end), message);
    match hint {
        "" => diagnostic,
        hint => diagnostic.hint(hint),
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Where a `${` begins that stands open at `at`, in the same value.
fn cut_template(text: &str, at: usize) -> Option<usize> {
    // Inside `{ }` the parser stops at the template's own brace; elsewhere, later.
    let until = text[at..].chars().next().map_or(at, |letter| at + letter.len_utf8());
    let start = text[..until].rfind("${")?;
    let open = &text[start..at.max(start)];
    if open.contains('}') || open.lines().count() > 2 {
        return None;
    }
    let line = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let before = &text[line..start];
    // In quotes, YAML does not look at it.
    let quoted = before.matches('"').count() % 2 == 1 || before.matches('\'').count() % 2 == 1;
    (!quoted).then_some(start)
}

/// The word or sign at `at`, at least one letter where there is one.
fn widen(text: &str, at: usize) -> (usize, usize) {
    let last = text.trim_end().char_indices().next_back().map_or(0, |(at, _)| at);
    let at = if text[at..].trim().is_empty() { last } else { at };
    let rest = &text[at..];
    let word: usize = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').map(char::len_utf8).sum();
    let one = rest.chars().next().map_or(0, char::len_utf8);
    (at, at + word.max(one))
}

/// What to do about the `:` at `at`, by what stands before it.
fn colon_hint(text: &str, at: usize) -> &'static str {
    let (before, line) = match text[..at].rfind('\n') {
        Some(newline) => (&text[..newline], &text[newline + 1..at]),
        None => ("", &text[..at]),
    };
    if line.contains(": ") {
        return "it belongs to the text, so put the whole text in quotes: '…'";
    }
    let above = before.lines().next_back().unwrap_or_default().trim();
    if above.contains(':') && !above.contains(": ") && !above.ends_with(':') {
        return "the line before has no space after its `:`";
    }
    "check the indentation of this line and the one before; a text with `: ` wants quotes: '…'"
}

fn explain(kind: &ErrorKind, text: &str, at: usize) -> (String, &'static str) {
    let fixed = |message: &str, hint: &'static str| (message.to_owned(), hint);
    match kind {
        ErrorKind::MappingValueNotAllowed => fixed("a `:` is not allowed here", colon_hint(text, at)),
        ErrorKind::InvalidColonPlacement => fixed(
            "a `:` is not allowed here",
            "is the `[` or `{` before it closed? A text with `: ` wants quotes: '…'",
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => fixed(
            "this line is no `key: value`",
            "a key is followed by a colon and a space; a text of several lines is indented deeper than its key",
        ),
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::InvalidIndentation
        | ErrorKind::BlockSequenceEntryNotAllowed
        | ErrorKind::ExpectedDocumentStart => fixed(
            "this does not fit what stands before it",
            "lines of one mapping or list begin in the same column; a list (`- …`) and a mapping (`key: …`) cannot be mixed",
        ),
        ErrorKind::MappingKeyNotAllowed => {
            fixed("a key is not allowed here", "check the indentation of this line and the one before")
        }
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar
        | ErrorKind::UnexpectedCharacter { character: '\t' } => {
            fixed("a tab stands where YAML wants spaces", "indent with spaces")
        }
        ErrorKind::UnexpectedCharacter { character } => {
            (format!("a text without quotes cannot begin with `{character}`"), "put the text in quotes: '…'")
        }
        ErrorKind::UnclosedQuotedScalar => {
            fixed("this quote is never closed", "close it; inside '…' a single quote is written twice: ''")
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => fixed(
            "there is text after the closing quote",
            "put the whole value in one pair of quotes; inside '…' a single quote is written twice: ''",
        ),
        ErrorKind::UnknownQuotedScalarEscape => fixed(
            "this is no escape of a text in double quotes",
            "write `\\\\` for a backslash, or use single quotes, where a backslash is just a letter",
        ),
        ErrorKind::UnclosedFlowCollection { open } => (
            format!("this `{open}` is never closed"),
            if *open == '{' { "close it with `}`" } else { "close it with `]`" },
        ),
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => (
            format!("a `{open}` is closed with `{close}`"),
            "close brackets in the order in which they were opened",
        ),
        ErrorKind::MisplacedFlowCollectionEnd => {
            fixed("this bracket closes nothing", "remove it, or put the text in quotes: '…'")
        }
        ErrorKind::ExpectedFlowMappingSeparator => fixed(
            "a `,` or `}` is due here",
            "separate the entries with commas; a text with `{`, `}`, `[`, `]` or `,` wants quotes here: '…'",
        ),
        ErrorKind::ExpectedFlowSequenceSeparator => fixed(
            "a `,` or `]` is due here",
            "separate the items with commas; a text with `{`, `}`, `[`, `]` or `,` wants quotes here: '…'",
        ),
        ErrorKind::UnknownAnchor => {
            let name: String = text[at..].chars().take_while(|c| !c.is_whitespace()).take(80).collect();
            (
                format!("`{name}` refers to an anchor that is not there"),
                "define it above with `&`; a text that begins with `*` wants quotes: '…'",
            )
        }
        ErrorKind::DirectiveDisallowed => fixed("directives are not allowed", "remove the line"),
        ErrorKind::RecursionLimitExceeded => fixed("this is nested too deep", "make it flatter"),
        ErrorKind::CommentInterceptedScalar => fixed(
            "a comment stands inside a text of several lines",
            "move the comment, or put the text in quotes: '…'",
        ),
        ErrorKind::InvalidBlockScalarIndent | ErrorKind::InvalidQuotedScalarIndent => fixed(
            "this line of the text is indented less than its first line",
            "indent all lines of the text alike, deeper than the key",
        ),
        other => (format!("this is not YAML: {other}"), ""),
    }
}

//! What a scalar is: its type, and where its letters stand.

use granit_parser::{ScalarStyle, Tag};
use renkei_core::{Diagnostic, NodeKind, Number, Span, node::Text};

/// The span without the line breaks that end a block scalar.
pub(super) fn trimmed(source: &str, style: ScalarStyle, span: Span) -> Span {
    match style {
        ScalarStyle::Literal | ScalarStyle::Folded => {
            let end = span.start + u32::try_from(source.trim_end().len()).unwrap_or(0);
            Span { end: end.max(span.start), ..span }
        }
        _ => span,
    }
}

/// The value of a scalar, by its style, its tag and the rules of the module above.
pub(super) fn resolve(
    value: &str,
    source: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    span: Span,
) -> Result<NodeKind, Diagnostic> {
    let untagged = match style {
        ScalarStyle::Plain => plain_value(value),
        _ => None,
    };
    let Some(wanted) = tag.and_then(Tag::core_suffix).filter(|suffix| *suffix != "str") else {
        // `!!str x` and `! x` ask for a text.
        return Ok(untagged.filter(|_| tag.is_none()).unwrap_or_else(|| text(value, source, span)));
    };
    match (wanted, plain_value(value)) {
        ("null", Some(kind @ NodeKind::Null))
        | ("bool", Some(kind @ NodeKind::Bool(_)))
        | ("int" | "float", Some(kind @ NodeKind::Number(_))) => Ok(kind),
        _ => Err(Diagnostic::error(span, format!("`{value}` does not fit its tag `!!{wanted}`"))
            .hint("remove the tag; numbers are written as in JSON")),
    }
}

/// What a plain scalar stands for, if not for its text.
fn plain_value(value: &str) -> Option<NodeKind> {
    match value {
        "~" | "null" | "Null" | "NULL" => Some(NodeKind::Null),
        "true" | "True" | "TRUE" => Some(NodeKind::Bool(true)),
        "false" | "False" | "FALSE" => Some(NodeKind::Bool(false)),
        _ => Number::parse(value).map(NodeKind::Number),
    }
}

/// A text with the places of its letters, as far as the source shows them.
pub(super) fn text(value: &str, source: &str, span: Span) -> NodeKind {
    let quote = usize::from(source.starts_with(['\'', '"']));
    let verbatim = source.get(quote..).is_some_and(|rest| rest.starts_with(value));
    let mut text = Text::new(value);
    if verbatim {
        text.verbatim = Some(span.start + quote as u32);
    } else {
        let written = source.get(quote..source.len() - quote).unwrap_or_default();
        text.lines = lines(value, written, span.start as usize + quote).map(Into::into);
    }
    NodeKind::String(text)
}

/// Each line's offset in the text and in the source, if the source has the same letters, but for
/// indentation and folding. `start` is the offset of `written` in the whole source.
fn lines(value: &str, written: &str, start: usize) -> Option<Vec<(u32, u32)>> {
    let mut out = Vec::new();
    let (mut in_text, mut in_source) = (0, 0);
    for line in written.split_inclusive('\n') {
        let content = line.trim();
        if !content.is_empty() {
            let rest = value.get(in_text..)?;
            in_text += rest.len() - rest.trim_start().len();
            if !value.get(in_text..)?.starts_with(content) {
                return None;
            }
            let indent = line.len() - line.trim_start().len();
            out.push((in_text as u32, (start + in_source + indent) as u32));
            in_text += content.len();
        }
        in_source += line.len();
    }
    let whole = value.get(in_text..)?.trim().is_empty();
    (whole && !out.is_empty()).then_some(out)
}

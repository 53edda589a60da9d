//! What is wrong with a statement, in words, and how to mend it.

use renkei_core::{Diagnostic, Span, diagnostic::suggest};

use super::{choose::Choice, dialect::Dialect, lex, place::Fault, statement::Hole};

const CHOOSE: &str = "list what may stand here: `${choose.order}` in the statement, and beside it \
     `choose: { order: { by: '${.order}', options: { price: 'price desc', name: name } } }`";

/// A text that cannot be taken apart.
pub(super) fn text(
    fault: &lex::Fault,
    holes: &[Hole],
    span: impl Fn(usize, usize) -> Span,
    dialect: &Dialect,
) -> Diagnostic {
    match fault {
        lex::Fault::Inside { hole, place } => {
            let Hole { source, span, .. } = &holes[*hole];
            let message =
                format!("the template `${{{source}}}` stands inside {place}, where it would be no value");
            Diagnostic::error(*span, message).hint(match *place {
                "a text in quotes" => {
                    format!("make the whole text one template, without quotes: `like ${{\"%\" + {source} + \"%\"}}`")
                }
                "a comment" => "remove it there; a comment needs no values".into(),
                _ => CHOOSE.into(),
            })
        }
        lex::Fault::Open { at, what } => {
            Diagnostic::error(span(*at, at + 1), format!("this {what} is not closed"))
                .hint("double a quotation mark that stands inside: `'it''s'`")
        }
        lex::Fault::Placeholder { at } => {
            let message = format!("this is a placeholder of {}, which nothing would fill", dialect.name);
            Diagnostic::error(span(*at, at + 1), message)
                .hint("write the value as a template: `${.id}`; it is bound, never put into the text")
        }
        lex::Fault::Executable { at } => Diagnostic::error(
            span(*at, at + 2),
            format!("{} would run what is in this comment", dialect.name),
        )
        .hint("write it as plain SQL"),
        lex::Fault::Control { at } => {
            Diagnostic::error(span(*at, at + 1), "this control character cannot stand in SQL")
                .hint("remove it; a template can give it as a value")
        }
    }
}

/// Whether a choice, being text of the config, may stand where a value may not.
pub(super) fn choice_may_stand(fault: &Fault) -> bool {
    !matches!(fault, Fault::Start | Fault::Glued | Fault::BareList)
}

/// A template where none may stand.
pub(super) fn place(fault: &Fault, hole: &Hole, choice: bool) -> Diagnostic {
    let source = &hole.source;
    let it = format!("`${{{source}}}`");
    let error = |message: String| Diagnostic::error(hole.span, message);
    match fault {
        Fault::Start => error(format!("the statement cannot begin with the template {it}"))
            .hint("write the statement out; templates give its values"),
        Fault::Glued => error(format!("{it} stands right beside a letter, a digit or a quotation mark"))
            .hint(if choice {
                "put a space between".into()
            } else {
                format!("a template is a whole value; {CHOOSE}")
            }),
        Fault::Name { after } => {
            error(format!("{it} stands after `{after}`, where SQL takes a name and a value does nothing"))
                .hint(CHOOSE)
        }
        Fault::Inert { list } => error(format!(
            "{it} stands in `{list}` beside no column, where a value does nothing: it is the same for every row"
        ))
        .hint(format!("compare it with a column, such as `x = ${{{source}}}`; or {CHOOSE}")),
        Fault::TypeLiteral { word } => {
            error(format!("{it} stands after `{word}`, where SQL takes only a fixed text"))
                .hint(format!("write a cast: `cast(${{{source}}} as {word})`"))
        }
        Fault::NoValue { after } if after.contains(' ') => {
            error(format!("{it} follows {after}, where no value can stand")).hint(CHOOSE)
        }
        Fault::NoValue { after } => {
            error(format!("{it} stands after `{after}`, where no value can stand")).hint(CHOOSE)
        }
        Fault::BareList => error(format!("{it} stands after `in` without parentheses"))
            .hint(format!("write `in (${{{source}}})`; a list is taken apart there")),
        Fault::NameBefore { symbol } => {
            error(format!("{it} stands before `{symbol}`, where SQL takes a name")).hint(CHOOSE)
        }
        Fault::Definition => {
            error(format!("{it} stands in a statement that defines tables, which takes no values"))
                .hint("write the definition out")
        }
    }
}

pub(super) fn unknown_choice(name: &str, span: Span, choices: &[Choice]) -> Diagnostic {
    let error = Diagnostic::error(span, format!("there is no choice `{name}`"));
    match suggest(name, choices.iter().map(|choice| &*choice.name)) {
        Some(close) => error.hint(format!("did you mean `${{choose.{close}}}`?")),
        None => error.hint(CHOOSE),
    }
}

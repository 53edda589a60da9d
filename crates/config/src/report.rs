//! What is wrong with a config, for people and for programs.

use std::{
    fmt,
    io::{IsTerminal as _, stderr},
    path::PathBuf,
};

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use renkei_core::{Diagnostic, Diagnostics, Severity, Span, Value, diagnostic::Sources};

/// All diagnostics of a config, and the texts that they point into.
#[derive(Debug, Default)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
    sources: Sources,
    inputs: Vec<PathBuf>,
}

/// How a report is shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub color: bool,
    /// Letters in a line.
    pub width: usize,
}

impl Style {
    /// For files, pipes and tests.
    pub const PLAIN: Style = Style { color: false, width: 110 };

    /// Colour where standard error is a terminal.
    pub fn detect() -> Self {
        Style { color: stderr().is_terminal(), ..Self::PLAIN }
    }
}

/// Lines and columns from 1; a column counts letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    line: usize,
    column: usize,
}

impl Report {
    pub fn new(diagnostics: Diagnostics, sources: Sources) -> Self {
        Report { diagnostics: diagnostics.sorted(), sources, inputs: Vec::new() }
    }

    pub(crate) fn of(self, inputs: Vec<PathBuf>) -> Self {
        Report { inputs, ..self }
    }

    /// The folders and files that the config was read from, those that were looked for in vain among them: a change
    /// of one may make another config.
    pub fn inputs(&self) -> &[PathBuf] {
        &self.inputs
    }

    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The file and the line of a place.
    pub fn place(&self, span: Span) -> (String, usize) {
        let source = self.sources.files.get(usize::from(span.file));
        let (name, text) = source.map_or(("", ""), |source| (&source.name, &source.text));
        (name.to_owned(), position(text, span.start as usize).line)
    }

    fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// `2 errors, 1 warning`
    pub fn summary(&self) -> String {
        let count = |severity, word: &str| match self.count(severity) {
            0 => None,
            1 => Some(format!("1 {word}")),
            n => Some(format!("{n} {word}s")),
        };
        let parts = [count(Severity::Error, "error"), count(Severity::Warning, "warning")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "no problems".into() } else { parts.join(", ") }
    }

    /// Every problem with its place in the text, and a counting line.
    pub fn render(&self, style: Style) -> String {
        let theme = if style.color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(style.width)
            .with_links(false)
            // Terminals wrap, too, and do not break what is to be copied.
            .with_wrap_lines(false)
            .with_context_lines(1)
            .without_syntax_highlighting();
        let mut out = String::new();
        for diagnostic in &self.diagnostics {
            let shown = Shown::new(diagnostic, &self.sources);
            if handler.render_report(&mut out, &shown).is_err() {
                out += &format!("{}\n", shown.message);
            }
            out.push('\n');
        }
        out + &self.summary()
    }

    /// `[{ "file", "line", "column", "endLine", "endColumn", "severity", "message", "hint" }]`
    pub fn to_value(&self) -> Value {
        let entries = self.diagnostics.iter().map(|diagnostic| {
            let source = self.sources.files.get(usize::from(diagnostic.span.file));
            let text = source.map_or("", |source| &*source.text);
            let (start, end) = (
                position(text, diagnostic.span.start as usize),
                position(text, diagnostic.span.end as usize),
            );
            Value::from([
                ("file", Value::from(source.map(|source| source.name.clone()))),
                ("line", start.line.into()),
                ("column", start.column.into()),
                ("endLine", end.line.into()),
                ("endColumn", end.column.into()),
                ("severity", severity_word(diagnostic.severity).into()),
                ("message", sentence(&diagnostic.message).into()),
                ("hint", Value::from(diagnostic.hint.clone())),
            ])
        });
        entries.collect::<Vec<_>>().into()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Style::PLAIN))
    }
}

impl std::error::Error for Report {}

fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// With a capital letter at its head.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    match letters.next() {
        Some(first) if first.is_ascii_lowercase() => {
            first.to_ascii_uppercase().to_string() + letters.as_str()
        }
        _ => message.to_owned(),
    }
}

fn position(text: &str, at: usize) -> Position {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position {
        line: 1 + before.bytes().filter(|byte| *byte == b'\n').count(),
        column: 1 + before[line_start..].chars().count(),
    }
}

/// A diagnostic as miette takes it.
#[derive(Debug)]
struct Shown {
    message: String,
    severity: Severity,
    labels: Vec<LabeledSpan>,
    help: Option<String>,
    source: Option<NamedSource<String>>,
}

impl Shown {
    fn new(diagnostic: &Diagnostic, sources: &Sources) -> Self {
        let source = sources.files.get(usize::from(diagnostic.span.file));
        let text = source.map_or("", |source| &*source.text);
        let mut help: Vec<String> = diagnostic.hint.iter().cloned().collect();
        let mut labels = Vec::new();
        let mut message = sentence(&diagnostic.message);
        if text.is_empty() {
            // There is nothing to show; the name is all that is known of the place.
            message = source.map_or(message.clone(), |source| format!("{}: {message}", source.name));
        } else {
            let (at, len) = first_line(text, diagnostic.span);
            let label = Some(diagnostic.label.clone()).filter(|label| !label.is_empty());
            labels.push(LabeledSpan::new_primary_with_span(label, (at, len)));
        }
        for (span, words) in &diagnostic.related {
            let Some(other) = sources.files.get(usize::from(span.file)) else { continue };
            if span.file == diagnostic.span.file && !text.is_empty() {
                labels.push(LabeledSpan::new_with_span(Some(words.clone()), first_line(text, *span)));
            } else {
                let Position { line, column } = position(&other.text, span.start as usize);
                help.push(format!("{words}: {}:{line}:{column}", other.name));
            }
        }
        Shown {
            message,
            severity: diagnostic.severity,
            labels,
            help: (!help.is_empty()).then(|| help.join("\n")),
            source: source
                .filter(|_| !text.is_empty())
                .map(|source| NamedSource::new(&source.name, source.text.clone())),
        }
    }
}

/// The part of a span that stands in its first line, at least one letter, as offset and length.
fn first_line(text: &str, span: Span) -> (usize, usize) {
    let mut start = (span.start as usize).min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let end = (span.end as usize).clamp(start, text.len());
    let part = text.get(start..end).unwrap_or_default();
    let line = part.split(['\n', '\r']).next().unwrap_or_default().trim_end();
    let letter = text[start..].chars().next().filter(|letter| !matches!(letter, '\n' | '\r'));
    (start, line.len().max(letter.map_or(0, char::len_utf8)))
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown {}

impl miette::Diagnostic for Shown {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

#[cfg(test)]
mod tests {
    use renkei_core::diagnostic::Source;

    use super::*;

    fn report() -> Report {
        let sources = Sources {
            files: vec![
                Source { name: "a.yaml".into(), text: "é: {x: 1}\nlang: [ä,\n  b]\n".into() },
                Source { name: "gone.yaml".into(), text: String::new() },
            ],
        };
        let at = |file, start, end| Span { file, start, end };
        let mut d = Diagnostics::default();
        d.push(Diagnostic::error(at(1, 0, 0), "the file cannot be read").hint("look again"));
        d.push(Diagnostic::warning(at(0, 16, 24), "the list is long").related(at(0, 0, 2), "begun here"));
        d.push(Diagnostic::error(at(0, 26, 26), "`x` ends").related(at(1, 0, 0), "first here"));
        Report::new(d, sources)
    }

    #[test]
    fn shows_places() {
        insta::assert_snapshot!(report().render(Style::PLAIN));
    }

    #[test]
    fn tells_programs() {
        assert_eq!(
            report().to_value().at(0).unwrap().to_json(),
            r#"{"file":"a.yaml","line":2,"column":6,"endLine":3,"endColumn":3,"severity":"warning","message":"The list is long","hint":null}"#
        );
        assert_eq!(report().summary(), "2 errors, 1 warning");
    }
}

//! What is wrong with a config: where, what, and how to mend it.

use crate::{Secret, Span};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// One problem.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub severity: Severity,
    /// A sentence without its full stop: what is wrong.
    pub message: String,
    pub span: Span,
    /// A few words under the underlined text; empty for none.
    pub label: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// Other places that matter, each with a few words.
    pub related: Vec<(Span, String)>,
}

impl Diagnostic {
    #[must_use = "push it"]
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            span,
            label: String::new(),
            hint: None,
            related: Vec::new(),
        }
    }

    #[must_use = "push it"]
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Self::error(span, message) }
    }

    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push((span, text.into()));
        self
    }
}

/// All problems found so far.
#[derive(Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    pub fn error(&mut self, span: Span, message: impl Into<String>) {
        self.push(Diagnostic::error(span, message));
    }

    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Masks `secret` in what is said of places within `span`: its value came from the environment.
    pub fn redact(&mut self, span: Span, secret: &Secret) {
        let within =
            |place: Span| place.file == span.file && span.start <= place.start && place.end <= span.end;
        for diagnostic in self.list.iter_mut().filter(|diagnostic| within(diagnostic.span)) {
            diagnostic.message = secret.redact(&diagnostic.message);
            diagnostic.label = secret.redact(&diagnostic.label);
            diagnostic.hint = diagnostic.hint.take().map(|hint| secret.redact(&hint));
        }
    }

    /// In the order of files and places.
    pub fn sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|d| (d.span.file, d.span.start));
        self.list
    }
}

/// The texts that spans point into.
#[derive(Debug, Default)]
pub struct Sources {
    pub files: Vec<Source>,
}

#[derive(Debug)]
pub struct Source {
    /// The path as the user wrote it.
    pub name: String,
    pub text: String,
}

/// The closest of `known` to `word`, if close enough to be a slip of the hand.
pub fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(word.len()) / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

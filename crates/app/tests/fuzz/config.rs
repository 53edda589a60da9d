//! A config is any text: it is taken, or refused with everything that is wrong, each at its place.

use std::path::PathBuf;

use renkei_config::{Kinds, Options, Replaced, Report, Style, load_replaced};

const KINDS: Kinds<'static> = Kinds {
    connectors: renkei_connectors::CONNECTORS,
    patterns: renkei_patterns::PATTERNS,
    layers: renkei_layers::LAYERS,
};

/// Nothing beside it can be read: its folder does not exist.
const FILE: &str = "/dev/null/renkei.yaml";

/// The first byte chooses how it is read; the rest is the file.
pub(crate) fn check(data: &[u8]) {
    let Some((way, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let options = Options { no_env: way & 1 != 0, tests: true, recording: way & 2 != 0 };
    let first = read(text, &options);
    let second = read(text, &options);
    assert_eq!(first.to_value(), second.to_value(), "two readings differ");
    for diagnostic in first.diagnostics() {
        let places = diagnostic.related.iter().map(|(span, _)| *span).chain([diagnostic.span]);
        for span in places {
            let source = first.sources().files.get(usize::from(span.file));
            let source = source.unwrap_or_else(|| panic!("in no file: {diagnostic:?}"));
            let (start, end) = (span.start as usize, span.end as usize);
            assert!(source.text.get(start..end).is_some(), "at no place: {diagnostic:?}");
        }
        assert!(!diagnostic.message.trim().is_empty(), "says nothing: {diagnostic:?}");
        // The start of a file is the place only of what concerns the whole of it.
        let nowhere = diagnostic.span == renkei_core::Span::default() && !text.trim().is_empty();
        assert!(!nowhere || diagnostic.message.starts_with("the config "), "nowhere: {diagnostic:?}");
    }
    // For people, too.
    let shown = first.render(Style::PLAIN);
    assert!(shown.ends_with(&first.summary()), "{shown}");
}

/// What is said of it. A refusal names an error, and a plan has none.
fn read(text: &str, options: &Options) -> Report {
    let replaced = Replaced::from([(FILE.to_owned(), text.to_owned())]);
    let variables = |name: &str| (name.len() % 2 == 1).then(|| "value-of-the-environment".to_owned());
    match load_replaced(&[PathBuf::from(FILE)], &KINDS, options, &variables, &replaced) {
        Ok(loaded) => {
            assert!(!loaded.report.has_errors(), "a plan with errors");
            loaded.report
        }
        Err(report) => {
            assert!(report.has_errors(), "refused without a word");
            report
        }
    }
}

//! Every config under `broken/` is wrong; what is said about it stands beside it, letter by letter.

use std::path::{Path, PathBuf};

use renkei_config::{Kinds, Options, Style, load_with_environment};

fn kinds() -> Kinds<'static> {
    Kinds {
        connectors: renkei_connectors::CONNECTORS,
        patterns: renkei_patterns::PATTERNS,
        layers: renkei_layers::LAYERS,
    }
}

/// The only variables that are set.
fn variables(name: &str) -> Option<String> {
    let value = match name {
        "SESSIONS" => "1000",
        "PREFIX" => "shop-",
        _ => return None,
    };
    Some(value.to_owned())
}

#[test]
fn what_is_said_of_broken_configs() {
    // Relative, so that the places read alike everywhere: tests run in the crate's folder.
    let folder = Path::new("tests/broken").read_dir().unwrap();
    let mut cases: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "yaml"));
    cases.sort();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("broken");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for path in cases {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = match load_with_environment(
                std::slice::from_ref(&path),
                &kinds(),
                &Options::default(),
                &variables,
            ) {
                Ok(loaded) => format!("(it loads)\n{}", loaded.report.render(Style::PLAIN)),
                Err(report) => report.render(Style::PLAIN),
            };
            insta::assert_snapshot!(name, text);
        }
    });
}

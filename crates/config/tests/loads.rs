//! Configs that are right: the examples load, and the editors' schema takes them.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use renkei_config::{Kinds, Options, Style, load_with_environment, reference, schema, yaml};
use renkei_core::Diagnostics;

fn kinds() -> Kinds<'static> {
    Kinds {
        connectors: renkei_connectors::CONNECTORS,
        patterns: renkei_patterns::PATTERNS,
        layers: renkei_layers::LAYERS,
    }
}

const SHOP: &str = "../../examples/shop";

#[test]
fn the_shop_loads_without_a_word() {
    let loaded = load_with_environment(&[PathBuf::from(SHOP)], &kinds(), &Options::default(), &|_| None);
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.report.is_empty(), "{}", loaded.report.render(Style::PLAIN));
    assert!(loaded.plan.tools.len() >= 10 && loaded.plan.systems.len() == 4);
}

#[test]
fn the_editors_schema_takes_the_shop_and_refuses_slips() {
    let schema = serde_json::Value::from(&schema(&kinds()));
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    let validator = jsonschema::draft202012::options().build(&schema).unwrap();
    let value = |text: &str| {
        let mut d = Diagnostics::default();
        serde_json::Value::from(&yaml::read(0, text, &mut d).unwrap().to_value())
    };
    for entry in Path::new(SHOP).read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let errors: Vec<String> = validator
                .iter_errors(&value(&text))
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        }
    }
    for text in [
        "system: {}",
        "server: { nmae: x }",
        "server: { limits: { sessions: x } }",
        "systems: { A: { http: { base_url: 'https://x' } } }",
        "systems: { a: { timeout: 5s } }",
        "systems: { a: { http: { base_url: 'https://x', redirects: many } } }",
        "tools: { a: { description: x } }",
        "tools: { a: { description: x, input: { b: strng }, call: { c: GET / } } }",
        "tools: { a: { description: x, input: {}, input_schema: {}, call: { c: GET / } } }",
    ] {
        assert!(!validator.is_valid(&value(text)), "{text}");
    }
    let templates =
        "server: { limits: { sessions: '${env.N | tonumber}' }, auth: { anonymous: '${env.A}' } }";
    assert!(validator.is_valid(&value(templates)));
}

#[test]
fn there_is_a_page_for_every_part() {
    let pages = reference(&kinds());
    let names: Vec<&str> = pages.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["server.md", "actions.md", "tools.md", "systems.md", "http.md", "sqlite.md"]);
    for (name, text) in &pages {
        assert!(!text.contains("]()") && !text.contains("renkei_"), "{name}");
        // Every link inside the page has its heading.
        for link in text.split("](#").skip(1) {
            let target = link.split(')').next().unwrap();
            let found = text.lines().any(|line| line.to_lowercase() == format!("## {target}"));
            assert!(found, "{name}: {target}");
        }
    }
}

#[test]
fn without_the_environment_everything_else_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("renkei.yaml");
    let text = "server: { listen: '${env.LISTEN}', auth: { api_keys: [{ name: a, sha256: '${env.HASH}' }] } }\n\
                systems: { crm: { http: { base_url: '${env.URL}', auth: { bearer: '${env.TOKEN}' } } } }\n\
                tools: { t: { description: x, call: { crm: 'GET /x' } } }\n";
    std::fs::write(&path, text).unwrap();
    let load =
        |no_env| load_with_environment(std::slice::from_ref(&path), &kinds(), &Options { no_env }, &|_| None);
    assert!(load(true).unwrap().report.is_empty());
    assert_eq!(load(false).unwrap_err().summary(), "4 errors");
    std::fs::write(&path, text.replace("GET", "GETT")).unwrap();
    assert_eq!(load(true).unwrap_err().summary(), "1 error");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// An example with a piece cut out, doubled or replaced: read or refused, never a panic, and every
    /// place lies in the text.
    #[test]
    fn no_slip_of_the_hand_panics(
        file in 0usize..5,
        from in 0usize..4000,
        len in 0usize..60,
        put in prop::sample::select(vec!["", " ", "\n", "\n  ", "${", "}", "'", "\"", ": ", "é", "- ", "&a ", "*a", "null", "[", "{ x: 1 }", "7", "${env.X}", "$result"]),
    ) {
        let name = ["shop", "catalogue", "stock", "bank", "parcels"][file];
        let mut text = std::fs::read_to_string(format!("{SHOP}/{name}.yaml")).unwrap();
        let boundary = |mut at: usize| {
            at = at.min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let range = boundary(from % (text.len() + 1))..boundary(from % (text.len() + 1) + len);
        text.replace_range(range, put);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("renkei.yaml");
        std::fs::write(&path, &text).unwrap();
        let report = match load_with_environment(&[path], &kinds(), &Options::default(), &|_| None) {
            Ok(loaded) => loaded.report,
            Err(report) => report,
        };
        for diagnostic in report.diagnostics() {
            let source = &report.sources().files[usize::from(diagnostic.span.file)].text;
            let range = diagnostic.span.start as usize..diagnostic.span.end as usize;
            prop_assert!(source.get(range).is_some(), "{diagnostic:?}");
        }
        let _ = (report.render(Style::PLAIN), report.to_value());
    }
}

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

/// One folder a system or a pattern, beside the shop, which has them all.
#[test]
fn the_small_examples_load_without_a_word() {
    let mut examples = 0;
    for entry in Path::new("../../examples").read_dir().unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() || folder.ends_with("shop") {
            continue;
        }
        let options = Options { no_env: true, ..Options::default() };
        let loaded = load_with_environment(std::slice::from_ref(&folder), &kinds(), &options, &|_| None);
        let loaded = loaded.unwrap_or_else(|report| panic!("{}: {report}", folder.display()));
        assert!(loaded.report.is_empty(), "{}: {}", folder.display(), loaded.report.render(Style::PLAIN));
        assert!(!loaded.plan.tools.is_empty(), "{}", folder.display());
        examples += 1;
    }
    assert!(examples > 0, "no example was found");
}

#[test]
fn the_aggregate_loads_without_a_word() {
    let path = PathBuf::from("../../examples/aggregate");
    let loaded = load_with_environment(&[path], &kinds(), &Options::default(), &|_| None);
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.report.is_empty(), "{}", loaded.report.render(Style::PLAIN));
    let overview = &loaded.plan.tools[0].action;
    let names: Vec<_> = overview.results().iter().map(|name| name.to_string()).collect();
    assert_eq!(names[..4], ["profile", "profile_meta", "orders", "orders_meta"]);
    // aggregate, run, call
    assert_eq!(overview.height(), 3);
}

#[test]
fn the_editors_schema_takes_the_examples_and_refuses_slips() {
    let schema = serde_json::Value::from(&schema(&kinds()));
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    let validator = jsonschema::draft202012::options().build(&schema).unwrap();
    let value = |text: &str| {
        let mut d = Diagnostics::default();
        serde_json::Value::from(&yaml::read(0, text, &mut d).unwrap().to_value())
    };
    let folders = [SHOP, "../../examples/aggregate", "../../examples/pages", "../../examples/approval"];
    for entry in folders.iter().flat_map(|folder| Path::new(folder).read_dir().unwrap()) {
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
        "tools: { a: { description: x, call: { c: { get: /, pages: next } } } }",
        "tools: { a: { description: x, call: { c: { get: /, pages: { nubmer: p } } } } }",
        "tools: { a: { description: x, call: { c: { get: /, pages: { number: { qeury: p } } } } } }",
        "tools: { a: { description: x, call: { c: { get: /, pages: { number: p, size: many } } } } }",
        "tools: { a: { description: x, aggregate: {} } }",
        "tools: { a: { description: x, aggregate: { b: {} } } }",
        "tools: { a: { description: x, aggregate: { b: { cal: { c: GET / } } } } }",
        "tools: { a: { description: x, aggregate: { b: { transform: 1, optinal: true } } } }",
        "tools: { a: { description: x, aggregate: { B: { transform: 1 } } } }",
        "tools: { a: { description: x, aggregate: { b: { transform: 1, for_each: { list: [] } } } } }",
        "tools: { a: { description: x, switch: [{ transform: 1 }] } }",
        "tools: { a: { description: x, switch: [], else: { transform: 1 } } }",
        "tools: { a: { description: x, map: { transform: 1 } } }",
        "tools: { a: { description: x, fail: { message: x, kind: nope } } }",
        "tools: { a: { description: x, log: { message: x, level: loud } } }",
        "actions: { a: { call: { c: GET / }, title: x } }",
        "tools: { a: { description: x, input: { b: strng }, call: { c: GET / } } }",
        "tools: { a: { description: x, input: {}, input_schema: {}, call: { c: GET / } } }",
    ] {
        assert!(!validator.is_valid(&value(text)), "{text}");
    }
    // Where the environment is in reach a template may stand for any value, and nowhere else.
    for (templates, valid) in [
        ("server: { limits: { sessions: '${env.N | tonumber}' }, auth: { anonymous: '${env.A}' } }", true),
        (
            "server: { listen: '${env.L}', public_url: '${env.U}', limits: { tool_timeout: '${env.T}' } }",
            true,
        ),
        (
            "systems: { a: { http: { base_url: '${env.U}', private: '${env.P}', max_body: '${env.M}' }, timeout: '${env.T}' } }",
            true,
        ),
        ("systems: { a: { sqlite: { path: '${env.F}', max_rows: '${env.N | tonumber}' } } }", true),
        ("tools: { a: { description: x, timeout: 5s, call: { c: GET / } } }", true),
        ("tools: { a: { description: x, timeout: '${env.T}', call: { c: GET / } } }", false),
        ("tools: { a: { description: x, annotations: { read_only: '${.x}' }, call: { c: GET / } } }", false),
    ] {
        assert_eq!(validator.is_valid(&value(templates)), valid, "{templates}");
    }
}

#[test]
fn the_editors_schema_knows_operations() {
    let schema = serde_json::Value::from(&schema(&kinds()));
    let validator = jsonschema::draft202012::options().build(&schema).unwrap();
    for (operation, valid) in [
        ("select 1", true),
        ("{ sql: select 1, one: true, reject_when: '${$result.a}' }", true),
        ("{ transaction: [select 1, { sql: select 2, one: true, max_rows: 3 }] }", true),
        ("{ sql: [select 1] }", false),
        ("{ sql: { sql: select 1 } }", false),
        ("{ transaction: select 1 }", false),
        ("{ transaction: [[select 1]] }", false),
        ("{ transaction: [{ sql: select 2, on: true }] }", false),
        ("{ transaction: [{ one: true }] }", false),
        ("{ sql: select 1, reject_when: true }", false),
        ("{ get: /a, reject_when: '${$result.a}' }", true),
        ("{ get: /a, reject_whn: '${$result.a}' }", false),
    ] {
        let text = format!("tools: {{ a: {{ description: x, call: {{ c: {operation} }} }} }}");
        let mut d = Diagnostics::default();
        let config = serde_json::Value::from(&yaml::read(0, &text, &mut d).unwrap().to_value());
        assert_eq!(validator.is_valid(&config), valid, "{text}");
    }
}

#[test]
fn there_is_a_page_for_every_part() {
    let pages = reference(&kinds());
    for (name, text) in pages.iter().filter(|(name, _)| matches!(&**name, "http.md" | "sqlite.md")) {
        assert!(text.contains("| `reject_when` | text |"), "{name}");
    }
    let names: Vec<&str> = pages.iter().map(|(name, _)| &**name).collect();
    let patterns = [
        "call",
        "run",
        "aggregate",
        "switch",
        "map",
        "transform",
        "fail",
        "log",
        "ask",
        "enqueue",
        "receive",
        "ack",
        "nack",
        "extend",
        "queue_status",
        "queue_pause",
        "queue_resume",
        "queue_purge",
        "dead_list",
        "dead_show",
        "dead_replay",
        "dead_discard",
        "task_list",
        "task_show",
        "task_cancel",
    ];
    let patterns = patterns.map(|name| format!("{name}.md"));
    let mut expected = vec![
        "server.md",
        "actions.md",
        "tools.md",
        "resources.md",
        "prompts.md",
        "queues.md",
        "schedules.md",
        "groups.md",
        "tests.md",
        "systems.md",
        "metrics.md",
    ];
    expected.extend(patterns.iter().map(String::as_str));
    expected.extend(["http.md", "mysql.md", "sqlite.md", "files.md", "postgres.md", "mcp.md"]);
    assert_eq!(names, expected);
    for (name, text) in &pages {
        // Names of crates are nobody's business here; those of metrics are.
        let is_plain = name == "metrics.md" || !text.contains("renkei_");
        assert!(!text.contains("]()") && is_plain, "{name}");
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
    let load = |no_env| {
        load_with_environment(
            std::slice::from_ref(&path),
            &kinds(),
            &Options { no_env, ..Options::default() },
            &|_| None,
        )
    };
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

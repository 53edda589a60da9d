//! Every YAML example of the README and the guide passes `renkei check`.
//!
//! A fragment is put where it belongs: `call:` into a tool, `auth:` into a system, `tools:` beside the
//! systems that the pages speak of.

use std::{fmt::Write as _, fs, path::Path, process::Command};

const SYSTEMS: &str = "
  crm: { http: { base_url: 'https://crm.example.com' } }
  stock: { http: { base_url: 'https://stock.example.com' } }
  bank: { http: { base_url: 'https://bank.example.com' } }
  catalogue: { sqlite: { path: catalogue.db } }
  orders: { sqlite: { path: orders.db } }
";

/// A whole config around an example.
fn whole(example: &str) -> String {
    let first = example.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
    let has = |key: &str| example.lines().any(|line| line.starts_with(&format!("{key}:")));
    let indented = |by: usize| example.lines().map(|line| format!("{:by$}{line}\n", "")).collect::<String>();
    let tool = "  t:\n    description: An example.\n    input_schema: { type: object }\n";
    let key = first.split(':').next().unwrap_or_default();
    match key {
        _ if has("systems") && has("tools") => example.to_owned(),
        "systems" | "server" => format!("{example}\ntools: {{}}\n"),
        "tools" => format!("systems:{SYSTEMS}\n{example}"),
        "call" => format!("systems:{SYSTEMS}\ntools:\n{tool}{}", indented(4)),
        "content" | "annotations" => {
            format!("systems:{SYSTEMS}\ntools:\n{tool}    call: {{ crm: GET /x }}\n{}", indented(4))
        }
        "headers" => format!(
            "systems:{SYSTEMS}\ntools:\n{tool}    call:\n      crm:\n        post: /x\n{}",
            indented(8)
        ),
        "auth" => {
            let each = example.lines().enumerate().fold(String::new(), |mut out, (at, line)| {
                let _ =
                    writeln!(out, "  s{at}:\n    http:\n      base_url: https://example.com\n      {line}");
                out
            });
            format!("systems:\n{each}tools: {{}}\n")
        }
        other => panic!("an example begins with `{other}`, which this test cannot place"),
    }
}

fn examples(text: &str) -> Vec<String> {
    let mut rest = text;
    let mut found = Vec::new();
    while let Some((_, after)) = rest.split_once("```yaml\n") {
        let (example, after) = after.split_once("```").expect("a fence is closed");
        if !example.starts_with("# yaml-language-server") {
            found.push(example.to_owned());
        }
        rest = after;
    }
    found
}

#[test]
fn every_example_passes_the_check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages = vec![root.join("README.md")];
    pages.extend(fs::read_dir(root.join("docs/guide")).unwrap().map(|entry| entry.unwrap().path()));
    let folder = tempfile::tempdir().unwrap();
    let (mut checked, mut wrong) = (0, String::new());
    for page in pages {
        for example in examples(&fs::read_to_string(&page).unwrap()) {
            checked += 1;
            let file = folder.path().join("example.yaml");
            fs::write(&file, whole(&example)).unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_renkei"))
                .args(["check", "--no-env"])
                .arg(&file)
                .current_dir(folder.path())
                .output()
                .unwrap();
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                let _ = writeln!(wrong, "{}:\n{said}\n", page.display());
            }
        }
    }
    assert!(checked >= 15, "only {checked} examples were found");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_shop_passes_the_check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO_BIN_EXE_renkei"))
        .args(["check", "examples/shop"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

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
  documents: { files: { root: documents } }
  tickets: { mcp: { command: tickets-mcp } }
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
        "tools" | "resources" | "prompts" | "queues" => format!("systems:{SYSTEMS}\n{example}"),
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
fn the_examples_pass_the_check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for example in ["shop", "aggregate", "pages", "approval", "queue", "mcp", "tasks", "schedules"] {
        let example = &*format!("examples/{example}");
        let output = Command::new(env!("CARGO_BIN_EXE_renkei"))
            .args(["check", example])
            .current_dir(&root)
            .output()
            .unwrap();
        assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// With the embedded store, in a folder of its own.
#[test]
fn the_examples_of_tasks_and_schedules_keep_what_is_durable_beside_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for (example, steps) in [
        (
            "schedules",
            &[
                (&["call", "close_day", "day=2026-06-30"][..], "closings"),
                (&["queue", "show", "closings"], "by hand"),
                (&["schedule", "list"], "Europe/Berlin"),
                (&["call", "stop_closings", "why=it moves"], "paused"),
                (&["call", "closings"], "it moves"),
                (&["call", "failed_closings"], "messages"),
            ][..],
        ),
        ("tasks", &[(&["call", "stuck_tasks"], "tasks"), (&["task", "list"], "no such tasks")]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(root.join(example).join("renkei.yaml"), folder.path().join("renkei.yaml")).unwrap();
        for (words, text) in steps {
            let mut command = Command::new(env!("CARGO_BIN_EXE_renkei"));
            let output = command.args(*words).current_dir(folder.path()).output().unwrap();
            let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
            assert!(output.status.success() && said.contains(text), "{words:?}: {said}");
        }
        assert!(folder.path().join("renkei.db").exists());
    }
}

#[test]
fn the_mcp_example_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (words, succeeds, text) in [
        (&["time_in", "zone=UTC"][..], true, "\"offset\":\"+0000\""),
        (&["time_in", "zone=Mars/Base"], false, "no time zone 'Mars/Base'"),
        (&["call_hours", "here=UTC", "there=UTC"], true, "\"there\""),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_renkei"));
        let output = command
            .arg("call")
            .args(["--config", "examples/mcp"])
            .args(words)
            .current_dir(&root)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
        assert_eq!(output.status.success(), succeeds, "{words:?}: {said}");
        assert!(said.replace(": ", ":").contains(text), "{words:?}: {said}");
    }
}

/// The example is copied, because it writes notes.
#[test]
fn the_files_example_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/files");
    let folder = tempfile::tempdir().unwrap();
    for file in ["renkei.yaml", "documents/welcome.md", "documents/policies/returns.md"] {
        let copy = folder.path().join(file);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(root.join(file), copy).unwrap();
    }
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_renkei"));
        let output = command.args(words).current_dir(folder.path()).output().unwrap();
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
        (output.status.success(), said)
    };
    let (passes, said) = run(&["check"]);
    assert!(passes, "{said}");
    for (words, succeeds, text) in [
        (&["call", "find_documents", "glob=**/*.md"][..], true, "policies/returns.md"),
        (&["call", "read_document", "path=policies/returns.md"], true, "within 30 days"),
        (&["call", "read_document", "path=../renkei.yaml"], false, "nothing was touched"),
        (&["call", "write_note", "name=a", "text=hello"], true, "a.md"),
        (&["call", "write_note", "name=a", "text=again"], false, "is there already"),
        (&["call", "read_note", "name=a"], true, "hello"),
        (&["call", "add_to_journal", "day=2026-11-23", "line=rain"], true, "journal/2026-11-23.md"),
        (&["call", "delete_note", "name=a"], true, "a.md"),
    ] {
        let (success, said) = run(words);
        assert_eq!(success, succeeds, "{words:?}: {said}");
        assert!(said.contains(text), "{words:?}: {said}");
    }
    let journal = fs::read_to_string(folder.path().join("notes/journal/2026-11-23.md")).unwrap();
    assert_eq!(journal, "- rain\n");
}

//! The inputs that each target begins with: what the configs of this repository hold, and what stands in `fuzz/seeds`.

use std::{collections::BTreeSet, fs, io, path::Path};

use renkei_config::yaml;
use renkei_core::{Diagnostics, Node, NodeKind};

/// Where configs stand in the clone, as folders that are searched.
const CONFIGS: [&str; 3] = ["examples", "tests", "crates/config/tests"];

/// Texts that may be SQL begin with one of these.
const STATEMENTS: [&str; 6] = ["select", "insert", "update", "delete", "with", "replace"];

#[derive(Default)]
struct Found {
    configs: BTreeSet<String>,
    templates: BTreeSet<String>,
    statements: BTreeSet<String>,
}

/// Of one target, in a stable order. `root` is the clone.
pub fn of(target: &str, root: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut found = Found::default();
    for folder in CONFIGS {
        collect(&root.join(folder), &mut found)?;
    }
    let with = |way: u8, text: &str| [&[way][..], text.as_bytes()].concat();
    let mut seeds: Vec<Vec<u8>> = match target {
        "config" => found.configs.iter().flat_map(|text| [with(b'0', text), with(b'3', text)]).collect(),
        "templates" => found.templates.iter().map(|text| text.clone().into_bytes()).collect(),
        "sql" => found.statements.iter().flat_map(|text| (b'0'..b'3').map(|way| with(way, text))).collect(),
        _ => Vec::new(),
    };
    for path in sorted(&root.join("fuzz/seeds").join(target))? {
        seeds.push(fs::read(path)?);
    }
    Ok(seeds)
}

fn sorted(folder: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut paths = folder.read_dir()?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn collect(folder: &Path, found: &mut Found) -> io::Result<()> {
    for path in sorted(folder)? {
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            // What is no text is no seed.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            if let Some(node) = yaml::read(0, &text, &mut Diagnostics::default()) {
                texts(&node, found);
            }
            found.configs.insert(text);
        }
    }
    Ok(())
}

fn texts(node: &Node, found: &mut Found) {
    match &node.kind {
        NodeKind::String(text) => {
            let lower = text.value.trim_start().to_ascii_lowercase();
            if STATEMENTS.iter().any(|word| lower.starts_with(word)) {
                found.statements.insert(text.value.trim().to_owned());
            }
            if text.value.contains("${") {
                found.templates.insert(text.value.to_string());
            }
        }
        NodeKind::Seq(items) => items.iter().for_each(|item| texts(item, found)),
        NodeKind::Map(entries) => entries.iter().for_each(|entry| texts(&entry.value, found)),
        _ => {}
    }
}

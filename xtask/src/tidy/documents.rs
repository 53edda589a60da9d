//! Rules about the documents: links, decisions, and which must exist.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use super::Tree;
use crate::workspace;

const HOUSE: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "Cargo.lock",
    "deny.toml",
    "docs/dependencies.md",
    "docs/benchmarks.md",
];

pub(super) fn present(tree: &Tree) -> Result<Vec<String>> {
    let missing = HOUSE.iter().filter(|name| tree.get(name).is_none_or(|text| text.trim().is_empty()));
    Ok(missing.map(|name| format!("{name} is missing or empty")).collect())
}

pub(super) fn decisions(tree: &Tree) -> Result<Vec<String>> {
    let names = tree.with_ending(".md").filter_map(|(name, _)| name.strip_prefix("docs/decisions/"));
    let mut breaches = Vec::new();
    for (index, name) in
        names.filter(|name| name.starts_with(|first: char| first.is_ascii_digit())).enumerate()
    {
        let expected = format!("{:04}-", index + 1);
        if !name.starts_with(&expected) {
            breaches.push(format!("docs/decisions/{name}: the next number is {}", &expected[..4]));
            break;
        }
    }
    Ok(breaches)
}

pub(super) fn links(tree: &Tree) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    for (name, text) in tree.with_ending(".md") {
        for (line, target) in targets(text) {
            if let Err(why) = resolve(tree, name, target) {
                breaches.push(format!("{name}:{line}: `{target}` {why}"));
            }
        }
    }
    Ok(breaches)
}

/// Line numbers and targets of inline links and pictures, outside code.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let in_code = line[..at].matches('`').count() % 2 == 1;
            if let Some((target, _)) = line[at + 2..].split_once(')')
                && !in_code
            {
                found.push((index + 1, target.split_whitespace().next().unwrap_or_default()));
            }
        }
    }
    found
}

fn resolve(tree: &Tree, from: &str, target: &str) -> Result<(), String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(());
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = if path.is_empty() {
        from.to_owned()
    } else {
        let folder = Path::new(from).parent().unwrap_or(Path::new(""));
        plain(&folder.join(path)).ok_or("leaves the repository")?
    };
    if !workspace::root().join(&file).exists() {
        return Err("does not exist".to_owned());
    }
    match tree.get(&file) {
        Some(text)
            if !anchor.is_empty() && file.ends_with(".md") && !anchors(text).any(|name| name == anchor) =>
        {
            Err(format!("has no heading for `#{anchor}`"))
        }
        _ => Ok(()),
    }
}

/// The path without `.` and `..`; nothing when it climbs out.
fn plain(path: &Path) -> Option<String> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !plain.pop() {
                    return None;
                }
            }
            _ => return None,
        }
    }
    Some(plain.to_string_lossy().into_owned())
}

/// Anchors of the headings, as Git hosts make them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_code() {
        let text = "[a](b.md) ![c](d.png)\n`[x](y)`\n```\n[e](f)\n```\n[g](h.md \"title\")\n";
        assert_eq!(targets(text), [(1, "b.md"), (1, "d.png"), (6, "h.md")]);
    }

    #[test]
    fn headings_become_anchors() {
        let text = "# The way of a call\n## `check --no-env`, exactly\n";
        assert_eq!(anchors(text).collect::<Vec<_>>(), ["the-way-of-a-call", "check---no-env-exactly"]);
    }

    #[test]
    fn paths_stay_inside() {
        assert_eq!(plain(Path::new("docs/../README.md")).as_deref(), Some("README.md"));
        assert_eq!(plain(Path::new("../x")), None);
    }
}

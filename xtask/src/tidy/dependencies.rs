//! Every dependency is used, and `docs/dependencies.md` says what for.

use anyhow::Result;

use super::Tree;

const LIST: &str = "docs/dependencies.md";

pub(super) fn used_and_explained(tree: &Tree) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    let manifest = tree.get("Cargo.toml").unwrap_or_default();
    let explained = tree.get(LIST).unwrap_or_default();
    for name in chosen(manifest) {
        if !used_by_some(tree, name) {
            breaches.push(format!("Cargo.toml: no crate uses `{name}`: remove it"));
        }
        if !name.starts_with("renkei-") && !explained.contains(&format!("`{name}`")) {
            breaches.push(format!("{LIST}: no line for `{name}`: what for, and why it"));
        }
    }
    for name in explained_names(explained) {
        if !chosen(manifest).any(|chosen| chosen == name) {
            breaches.push(format!("{LIST}: `{name}` is no dependency any more: remove the line"));
        }
    }
    for package in &tree.packages {
        breaches.extend(idle(tree, package));
    }
    Ok(breaches)
}

/// The names that begin the rows of the tables.
fn explained_names(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name))
}

/// The names under `[workspace.dependencies]`.
fn chosen(manifest: &str) -> impl Iterator<Item = &str> {
    let section = manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    let section = section.take_while(|line| !line.starts_with('['));
    section.filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
}

fn used_by_some(tree: &Tree, name: &str) -> bool {
    tree.packages.iter().any(|package| dependencies(package).any(|dependency| dependency == name))
}

fn dependencies(package: &serde_json::Value) -> impl Iterator<Item = &str> {
    package["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|dependency| dependency["name"].as_str())
}

/// Dependencies of one package that none of its files mention.
fn idle(tree: &Tree, package: &serde_json::Value) -> Vec<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let manifest = package["manifest_path"].as_str().unwrap_or_default();
    let Some((folder, _)) = manifest.rsplit_once('/') else { return Vec::new() };
    let root = crate::workspace::root();
    let folder = folder.strip_prefix(&*root.to_string_lossy()).unwrap_or(folder).trim_start_matches('/');
    let mut breaches = Vec::new();
    for dependency in dependencies(package) {
        let word = dependency.replace('-', "_");
        let mut files = tree.with_ending(".rs").filter(|(file, _)| file.starts_with(&format!("{folder}/")));
        if !files.any(|(_, text)| mentions(text, &word)) {
            breaches.push(format!("{folder}/Cargo.toml: `{name}` does not use `{dependency}`"));
        }
    }
    breaches
}

/// Whether `word` stands in `text` as a whole word.
fn mentions(text: &str, word: &str) -> bool {
    let inside = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(inside) && !text[at + word.len()..].starts_with(inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_the_table_only() {
        let manifest =
            "[x]\na = 1\n[workspace.dependencies]\nb = \"1\"\nc-d = { version = \"1\" }\n[y]\ne = 1\n";
        assert_eq!(chosen(manifest).collect::<Vec<_>>(), ["b", "c-d"]);
    }

    #[test]
    fn rows_name_dependencies() {
        let list = "| crate | what for |\n|---|---|\n| `a-b` | c, as `d` does |\n";
        assert_eq!(explained_names(list).collect::<Vec<_>>(), ["a-b"]);
    }

    #[test]
    fn a_word_is_found_whole() {
        assert!(mentions("use http::Uri;", "http"));
        assert!(!mentions("use http_body::Body;", "http"));
    }
}

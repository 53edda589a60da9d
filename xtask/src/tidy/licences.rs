//! Licences of everything that is built, against the list in `deny.toml`. `cargo deny` checks the same
//! and more, where it is installed; this needs nothing but Cargo.

use anyhow::Result;

use super::Tree;
use crate::workspace;

pub(super) fn allowed(tree: &Tree) -> Result<Vec<String>> {
    let allow = allow_list(tree.get("deny.toml").unwrap_or_default());
    let mut breaches = Vec::new();
    for package in workspace::all_packages()? {
        let name = package["name"].as_str().unwrap_or_default();
        let version = package["version"].as_str().unwrap_or_default();
        match package["license"].as_str() {
            Some(licence) if satisfied(licence, &allow) => {}
            Some(licence) => breaches.push(format!("`{name}` {version} is under {licence}; see deny.toml")),
            None => breaches.push(format!("`{name}` {version} names no licence")),
        }
    }
    Ok(breaches)
}

/// The quoted names in `allow = [ … ]` under `[licenses]`.
fn allow_list(text: &str) -> Vec<String> {
    let section = text.lines().skip_while(|line| *line != "[licenses]");
    let list =
        section.skip_while(|line| !line.starts_with("allow = [")).take_while(|line| !line.starts_with(']'));
    list.filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect()
}

/// An SPDX expression of `AND`, `OR`, `WITH` and brackets; `/` is the old way to write `OR`.
fn satisfied(expression: &str, allow: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    either(&mut words, allow)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>, allow: &[String]) -> bool {
    let mut any = both(words, allow);
    while words.next_if_eq(&"OR").is_some() {
        any |= both(words, allow);
    }
    any
}

fn both(words: &mut Words<'_>, allow: &[String]) -> bool {
    let mut all = one(words, allow);
    while words.next_if_eq(&"AND").is_some() {
        all &= one(words, allow);
    }
    all
}

fn one(words: &mut Words<'_>, allow: &[String]) -> bool {
    match words.next() {
        Some("(") => {
            let inner = either(words, allow);
            words.next_if_eq(&")");
            inner
        }
        Some(name) if words.next_if_eq(&"WITH").is_some() => {
            let whole = format!("{name} WITH {}", words.next().unwrap_or_default());
            allow.iter().any(|allowed| *allowed == whole || allowed == name)
        }
        Some(name) => allow.iter().any(|allowed| allowed == name),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_understood() {
        let allow = ["MIT".to_owned(), "Unicode-3.0".to_owned()];
        assert!(satisfied("MIT OR GPL-3.0", &allow));
        assert!(satisfied("Apache-2.0/MIT", &allow));
        assert!(satisfied("(MIT OR Apache-2.0) AND Unicode-3.0", &allow));
        assert!(!satisfied("MIT AND GPL-3.0", &allow));
        assert!(satisfied("GPL-3.0 OR MIT WITH LLVM-exception", &allow));
        assert!(!satisfied("", &allow));
    }

    #[test]
    fn the_list_is_read_from_its_section() {
        let text = "[advisories]\n[licenses]\nallow = [\n  \"MIT\",\n  \"ISC\", # why\n]\nexceptions = []\n";
        assert_eq!(allow_list(text), ["MIT", "ISC"]);
    }
}

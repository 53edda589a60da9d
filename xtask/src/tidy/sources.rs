//! Rules about the text of source files.

use anyhow::Result;

use super::Tree;

/// Lines of a file without its tests that a reader likes.
pub(super) const LIKED: usize = 400;
/// More is refused.
const MOST: usize = 700;
/// Tests are tables often; they may be longer.
const MOST_TESTS: usize = 1200;

pub(super) fn length(tree: &Tree) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    for (name, text) in tree.with_ending(".rs") {
        let (lines, limit) =
            if is_test(name) { (text.lines().count(), MOST_TESTS) } else { (code_lines(text), MOST) };
        if lines > limit {
            breaches.push(format!(
                "{name} has {lines} lines; the limit is {limit}: split it by question answered"
            ));
        }
    }
    Ok(breaches)
}

/// Files over the liked length, for a note.
pub(super) fn long(tree: &Tree) -> Vec<(String, usize)> {
    let code = tree.with_ending(".rs").filter(|(name, _)| !is_test(name));
    let counted = code.map(|(name, text)| (name.to_owned(), code_lines(text)));
    counted.filter(|(_, lines)| *lines > LIKED).collect()
}

fn is_test(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("/tests.rs")
}

/// Lines before the tests at the end of the file.
fn code_lines(text: &str) -> usize {
    text.lines().take_while(|line| *line != "#[cfg(test)]").count()
}

pub(super) fn undone(tree: &Tree) -> Result<Vec<String>> {
    // Put together, so that this file does not break its own rule.
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
        concat!("#[ig", "nore"),
    ];
    let mut breaches = Vec::new();
    for (name, text) in tree.with_ending(".rs") {
        for (number, line) in text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(**word)) {
                breaches.push(format!("{name}:{}: `{word}…`", number + 1));
            }
        }
    }
    Ok(breaches)
}

pub(super) fn private_paths(tree: &Tree) -> Result<Vec<String>> {
    let roots = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    let mut breaches = Vec::new();
    for (name, text) in &tree.files {
        for (number, line) in text.lines().enumerate() {
            for root in roots {
                let starts = line.match_indices(root).any(|(at, _)| is_start_of_path(&line[..at]));
                if starts {
                    breaches.push(format!("{name}:{}: `{root}…`", number + 1));
                }
            }
        }
    }
    Ok(breaches)
}

/// Behind the host of an address, or inside a longer path, the same letters are no path of a machine.
fn is_start_of_path(before: &str) -> bool {
    !before.ends_with(|last: char| last.is_alphanumeric() || "}.-_~/".contains(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_from_an_address() {
        assert!(is_start_of_path("see "));
        assert!(is_start_of_path("file: \""));
        assert!(!is_start_of_path("https://example.com"));
        assert!(!is_start_of_path("${.base}"));
    }

    #[test]
    fn tests_at_the_end_do_not_count() {
        assert_eq!(code_lines("a\nb\n#[cfg(test)]\nmod tests {\n}\n"), 2);
    }
}

//! The rules of this repository that no compiler checks. Each rule is a function that names every breach.

mod crates;
mod dependencies;
mod documents;
mod licences;
mod sources;

use anyhow::Result;

use crate::workspace;

/// What the rules look at.
pub(crate) struct Tree {
    /// Tracked files that are text, with their contents.
    files: Vec<(String, String)>,
    packages: Vec<serde_json::Value>,
}

impl Tree {
    fn read() -> Result<Tree> {
        let mut files = Vec::new();
        for name in workspace::files()? {
            // What is not UTF-8 is not text, and no rule is about it.
            if let Ok(text) = workspace::read(&name) {
                files.push((name, text));
            }
        }
        Ok(Tree { files, packages: workspace::packages()? })
    }

    fn with_ending(&self, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(move |(name, _)| name.ends_with(ending))
            .map(|(name, text)| (&**name, &**text))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.files.iter().find(|(file, _)| file == name).map(|(_, text)| &**text)
    }
}

type Rule = fn(&Tree) -> Result<Vec<String>>;

const RULES: &[(&str, Rule)] = &[
    ("files stay short", sources::length),
    ("nothing is left undone", sources::undone),
    ("no path of somebody's machine", sources::private_paths),
    ("the ring never imports itself", crates::ring),
    ("every dependency is used and explained", dependencies::used_and_explained),
    ("licences are allowed", licences::allowed),
    ("decisions are numbered without gaps", documents::decisions),
    ("links lead somewhere", documents::links),
    ("the documents of the house exist", documents::present),
];

/// Every rule with what breaks it.
pub(crate) fn breaches() -> Result<Vec<(&'static str, Vec<String>)>> {
    let tree = Tree::read()?;
    RULES.iter().map(|(name, rule)| Ok((*name, rule(&tree)?))).collect()
}

/// Prints every breach; false when there is one.
pub(crate) fn run() -> Result<bool> {
    let mut clean = true;
    for (name, breaches) in breaches()? {
        println!("{} - {name}", if breaches.is_empty() { "ok" } else { "not ok" });
        for breach in &breaches {
            println!("  {breach}");
        }
        clean &= breaches.is_empty();
    }
    for (file, lines) in sources::long(&Tree::read()?) {
        println!("note: {file} has {lines} lines; about {} is what a reader likes", sources::LIKED);
    }
    Ok(clean)
}

//! The star of crates: `core ← { ring } ← app`. The ring never imports itself.

use anyhow::Result;

use super::Tree;

const CORE: &str = "renkei-core";
const DERIVE: &str = "renkei-derive";
/// How a PostgreSQL server is reached: a library for two of the ring, not one of it.
const PG: &str = "renkei-pg";
/// Test help may be used by everybody, in tests only.
const TESTKIT: &str = "renkei-testkit";
/// What the bench measures beside: it knows nothing of Renkei, and nobody builds on it.
const YARDSTICK: &str = "renkei-yardstick";
const APP: &str = "renkei";

pub(super) fn ring(tree: &Tree) -> Result<Vec<String>> {
    let own: Vec<&str> = tree.packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut breaches = Vec::new();
    for package in &tree.packages {
        let name = package["name"].as_str().unwrap_or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let target = dependency["name"].as_str().unwrap_or_default();
            if own.contains(&target) && !may_use(name, target, dependency["kind"] == "dev") {
                breaches.push(format!("`{name}` depends on `{target}`; what both need belongs to `{CORE}`"));
            }
        }
    }
    Ok(breaches)
}

fn may_use(user: &str, used: &str, in_tests: bool) -> bool {
    match (user, used) {
        (YARDSTICK, _) => used == TESTKIT,
        (_, YARDSTICK) => false,
        (APP, _) => true,
        (DERIVE, CORE) => in_tests,
        (_, APP) | (DERIVE, _) => false,
        (_, TESTKIT) => in_tests,
        // Test help stands outside the star, like a test.
        (TESTKIT, _) => true,
        (CORE, DERIVE) => true,
        (PG, _) => used == CORE || used == DERIVE,
        (CORE, _) => false,
        (_, CORE | DERIVE | PG) => true,
        // A ring crate's own tests may wire several members together.
        _ => in_tests,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_star_holds() {
        assert!(may_use("renkei-http", CORE, false));
        assert!(may_use(APP, "renkei-http", false));
        assert!(may_use("renkei-http", TESTKIT, true));
        assert!(!may_use("renkei-http", "renkei-mcp", false));
        assert!(!may_use("renkei-http", TESTKIT, false));
        assert!(!may_use(CORE, "renkei-http", true));
        assert!(!may_use("renkei-http", APP, true));
        assert!(may_use(YARDSTICK, TESTKIT, false));
        assert!(!may_use(YARDSTICK, CORE, false));
        assert!(!may_use(APP, YARDSTICK, true));
    }
}

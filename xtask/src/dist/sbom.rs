//! The software bill of materials: what the binary is made of, as CycloneDX 1.5 in JSON.
//!
//! Which packages, is what `cargo tree` says of the binary, with its features and for this platform; licences and
//! relations come from `cargo metadata`, checksums from `Cargo.lock`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::{Value, json};

use super::Release;
use crate::{command, workspace};

pub(super) fn cyclonedx(release: &Release) -> Result<String> {
    let used = used(&release.target)?;
    let sums = checksums(&workspace::read("Cargo.lock")?);
    let metadata = workspace::metadata(&["--locked", "--filter-platform", &release.target])?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    // By Cargo's own id, which relations are told in.
    let known: BTreeMap<&str, Package> = packages
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, Package::of(package)?)))
        .filter(|(_, package)| used.contains(&package.key()))
        .collect();
    let own = known.values().find(|package| package.name == "renkei").map(|package| package.component(&sums));
    let components: Vec<Value> = {
        let others = known.values().filter(|package| package.name != "renkei");
        let sorted: BTreeMap<String, &Package> = others.map(|package| (package.key(), package)).collect();
        sorted.values().map(|package| package.component(&sums)).collect()
    };
    let nodes = metadata["resolve"]["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let relations: BTreeMap<String, BTreeSet<String>> = nodes
        .iter()
        .filter_map(|node| {
            let package = known.get(node["id"].as_str()?)?;
            let needs = node["deps"].as_array()?.iter().filter(|need| is_built(need));
            let needs = needs.filter_map(|need| Some(known.get(need["pkg"].as_str()?)?.purl())).collect();
            Some((package.purl(), needs))
        })
        .collect();
    let relations: Vec<Value> =
        relations.into_iter().map(|(of, needs)| json!({ "ref": of, "dependsOn": needs })).collect();
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": release.date()?,
            "component": own,
            "properties": [
                { "name": "renkei:commit", "value": release.commit },
                { "name": "renkei:target", "value": release.target },
            ],
        },
        "components": components,
        "dependencies": relations,
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// `NAME VERSION` of everything that is built into the binary or runs while it is built.
fn used(target: &str) -> Result<BTreeSet<String>> {
    let mut tree = workspace::cargo();
    tree.args(["tree", "--locked", "--package", "renkei", "--edges", "normal,build", "--target", target]);
    let said = command::output(tree.args(["--prefix", "none", "--no-dedupe", "--format", "{p}"]))?;
    let key = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?.trim_start_matches('v')))
    };
    Ok(said.lines().filter_map(key).collect())
}

/// Whether a relation is more than one of tests.
fn is_built(need: &Value) -> bool {
    need["dep_kinds"].as_array().is_none_or(|kinds| kinds.iter().any(|kind| kind["kind"] != "dev"))
}

/// By `NAME VERSION`: the SHA-256 of the package that the registry gave.
fn checksums(lock: &str) -> BTreeMap<String, String> {
    let mut sums = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let start = format!("{name} = \"");
            package.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix('"'))
        };
        if let (Some(name), Some(version), Some(sum)) = (field("name"), field("version"), field("checksum")) {
            sums.insert(format!("{name} {version}"), sum.to_owned());
        }
    }
    sums
}

struct Package<'m> {
    name: &'m str,
    version: &'m str,
    licence: Option<String>,
    repository: Option<&'m str>,
}

impl<'m> Package<'m> {
    fn of(package: &'m Value) -> Option<Self> {
        Some(Package {
            name: package["name"].as_str()?,
            version: package["version"].as_str()?,
            // Older packages write `/` for `OR`.
            licence: package["license"]
                .as_str()
                .map(|licence| licence.replace(" / ", "/").replace('/', " OR ")),
            repository: package["repository"].as_str(),
        })
    }

    fn key(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version.replace('+', "%2B"))
    }

    fn component(&self, sums: &BTreeMap<String, String>) -> Value {
        let mut component = json!({
            "type": if self.name == "renkei" { "application" } else { "library" },
            "bom-ref": self.purl(),
            "name": self.name,
            "version": self.version,
            "purl": self.purl(),
        });
        if let Some(licence) = &self.licence {
            component["licenses"] = json!([{ "expression": licence }]);
        }
        if let Some(sum) = sums.get(&self.key()) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
        }
        if let Some(repository) = self.repository {
            component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
        }
        component
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_read_from_the_lock_file() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0+x\"\nchecksum = \"ff\"\n\n\
                    [[package]]\nname = \"own\"\nversion = \"0.1.0\"\n";
        assert_eq!(checksums(lock), BTreeMap::from([("a 1.0.0+x".to_owned(), "ff".to_owned())]));
    }

    #[test]
    fn licences_and_names_are_those_of_the_formats() {
        let package = json!({ "name": "a", "version": "1.0.0+x", "license": "MIT/Apache-2.0" });
        let package = Package::of(&package).unwrap();
        assert_eq!(package.purl(), "pkg:cargo/a@1.0.0%2Bx");
        assert_eq!(package.component(&BTreeMap::new())["licenses"][0]["expression"], "MIT OR Apache-2.0");
    }
}

//! Files that are generated from the config types: written by `schema` and `docs`, compared by `test`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{
    command,
    workspace::{self, Profile},
};

const SCHEMA: &str = "docs/reference/renkei.schema.json";
const REFERENCE: &str = "docs/reference";

pub(crate) fn schema() -> Result<()> {
    let text = schema_text(&workspace::build(Profile::Debug)?)?;
    fs::create_dir_all(workspace::root().join(REFERENCE))?;
    Ok(fs::write(workspace::root().join(SCHEMA), text)?)
}

pub(crate) fn docs() -> Result<()> {
    let folder = workspace::root().join(REFERENCE);
    write_reference(&workspace::build(Profile::Debug)?, &folder)
}

/// Whether the committed files are what the binary writes now; each difference is named.
pub(crate) fn check(binary: &Path) -> Result<()> {
    let mut stale = Vec::new();
    if workspace::read(SCHEMA).ok().as_deref() != Some(schema_text(binary)?.as_str()) {
        stale.push(format!("{SCHEMA} (cargo xtask schema)"));
    }
    let fresh = workspace::target_directory()?.join("xtask-reference");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    write_reference(binary, &fresh)?;
    for page in pages(&fresh)? {
        let name = page.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let committed = fs::read_to_string(workspace::root().join(REFERENCE).join(&name));
        if committed.ok() != Some(fs::read_to_string(&page)?) {
            stale.push(format!("{REFERENCE}/{name} (cargo xtask docs)"));
        }
    }
    if stale.is_empty() { Ok(()) } else { bail!("generated files are stale: {}", stale.join(", ")) }
}

fn schema_text(binary: &Path) -> Result<String> {
    command::output(Command::new(binary).arg("schema"))
}

fn write_reference(binary: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    command::run(Command::new(binary).args(["schema", "--reference"]).arg(folder))
}

fn pages(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder)? {
        pages.push(entry?.path());
    }
    pages.sort();
    Ok(pages)
}

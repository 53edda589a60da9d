//! The examples' own tests, as their readers run them.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{report::Tally, workspace};

/// Runs `renkei test` on each folder of `examples/` that is a config.
pub(super) fn run(binary: &Path, tally: &mut Tally) -> Result<()> {
    let examples = workspace::root().join("examples");
    let mut folders: Vec<_> = fs::read_dir(&examples)
        .with_context(|| format!("`{}` cannot be read", examples.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    if folders.is_empty() {
        bail!("there are no examples in `{}`", examples.display());
    }
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let output = Command::new(binary).arg("test").arg(&folder).arg("--json").output()?;
        // Tests that fail end it with 1, and still say which.
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        match told["tests"].as_array() {
            Some(tests) => tests.iter().for_each(|test| {
                let title = format!("examples/{name}: {}", test["name"].as_str().unwrap_or_default());
                match test["ok"].as_bool() {
                    Some(true) => tally.pass(&title),
                    _ => tally.fail(&title, &test["problems"].to_string()),
                }
            }),
            None => tally.fail(
                &format!("examples/{name} has tests"),
                &format!("{}{}", told, String::from_utf8_lossy(&output.stderr)),
            ),
        }
    }
    Ok(())
}

//! `renkei schema`: the JSON Schema of the config and, for the project itself, its reference pages.

use std::{io::Write as _, path::Path, process::ExitCode};

use crate::{cli::SchemaArgs, exit, load};

pub(crate) fn run(args: SchemaArgs) -> ExitCode {
    match args.reference {
        None => {
            let _ = writeln!(std::io::stdout(), "{}", renkei_config::schema(&load::kinds()).to_json_pretty());
            ExitCode::SUCCESS
        }
        Some(folder) => match write_reference(&folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => exit::fail(&format!("failed to write to `{}`: {error}", folder.display())),
        },
    }
}

fn write_reference(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let kinds = load::kinds();
    std::fs::write(folder.join("renkei.schema.json"), renkei_config::schema(&kinds).to_json_pretty() + "\n")?;
    for (name, text) in renkei_config::reference(&kinds) {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}

//! `seeds ROOT FOLDER`: writes the seeds of all targets as FOLDER/TARGET/NAME; ROOT is the clone.

use std::{error::Error, fs, path::PathBuf};

use renkei_fuzz::{TARGETS, seeds};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [root, out] = &arguments[..] else { return Err("usage: seeds ROOT FOLDER".into()) };
    for (target, _) in TARGETS {
        let folder = out.join(target);
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds::of(target, root)?.into_iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:04}")), seed)?;
        }
    }
    Ok(())
}

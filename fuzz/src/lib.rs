//! The targets, by the functions that the tests of the binary call, too: `crates/app/tests/fuzz`.

#[path = "../../crates/app/tests/fuzz/targets.rs"]
#[allow(unreachable_pub, dead_code, reason = "written for a test")]
mod targets;

use std::{env, fs, io, path::Path};

pub use targets::{TARGETS, seeds};

/// Writes the seeds of a target into the folder `RENKEI_FUZZ_SEEDS`, if it is set; `RENKEI_FUZZ_ROOT` is the clone. The
/// targets do it themselves: what is built for coverage links with nothing but libFuzzer.
pub fn sow(target: &str) {
    if let (Some(root), Some(folder)) = (env::var_os("RENKEI_FUZZ_ROOT"), env::var_os("RENKEI_FUZZ_SEEDS")) {
        write(target, root.as_ref(), folder.as_ref())
            .expect("the seeds can be read, and written into the corpus");
    }
}

fn write(target: &str, root: &Path, folder: &Path) -> io::Result<()> {
    for (number, seed) in seeds::of(target, root)?.into_iter().enumerate() {
        fs::write(folder.join(format!("seed-{number:04}")), seed)?;
    }
    Ok(())
}

//! Starts a program.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use renkei_core::{Error, Result};
use tokio::process::{Child, Command};

use crate::mcp::config::Program;

/// What a program gets of Renkei's own environment: where programs are, who runs them and how texts are written. No
/// secret of Renkei stands in these.
const INHERITED: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "TZ",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
];

/// Starts it, as the leader of a process group of its own.
pub(super) fn spawn(system: &Arc<str>, program: &Program, base_dir: &Path) -> Result<Child> {
    let base_dir = &absolute(base_dir);
    let command = path_of(&program.command, base_dir);
    let mut starting = Command::new(&command);
    starting
        .args(&program.args)
        .env_clear()
        .envs(inherited())
        .envs(program.env.iter().map(|(name, value)| (&**name, value.expose())))
        .current_dir(program.cwd.as_ref().map_or_else(|| base_dir.to_owned(), |cwd| base_dir.join(cwd)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    starting.spawn().map_err(|why| {
        let shown = program.command.display();
        let hint = match why.kind() {
            std::io::ErrorKind::NotFound
                if program.cwd.as_ref().is_some_and(|cwd| !base_dir.join(cwd).is_dir()) =>
            {
                "the folder of `cwd` is not there".to_owned()
            }
            std::io::ErrorKind::NotFound => {
                "there is no such program; install it, or correct `command`".to_owned()
            }
            std::io::ErrorKind::PermissionDenied => "it may not be started; check its permissions".to_owned(),
            _ => "it could not be started".to_owned(),
        };
        Error::unavailable(format!("start `{shown}` for system `{system}`: {hint}")).detail(why)
    })
}

/// The program starts elsewhere, so that a relative path would be another one.
fn absolute(base_dir: &Path) -> PathBuf {
    let base_dir = if base_dir.as_os_str().is_empty() { Path::new(".") } else { base_dir };
    std::path::absolute(base_dir).unwrap_or_else(|_| base_dir.to_owned())
}

/// A name is looked for in `PATH`; a path starts in the folder of the config.
fn path_of(command: &Path, base_dir: &Path) -> PathBuf {
    match command.components().count() {
        0 | 1 if !command.to_string_lossy().contains('/') => command.to_owned(),
        _ => base_dir.join(command),
    }
}

/// The one place beside `config::environment` that looks at the environment: not for values of the config, but to
/// hand a few on to a program.
fn inherited() -> Vec<(&'static str, OsString)> {
    INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))).collect()
}

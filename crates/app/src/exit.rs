//! Exit codes, as `renkei --help` documents them.

use std::process::ExitCode;

/// The tool answered with an error (`renkei call`), or a check of the demo failed.
pub(crate) const FAILED: u8 = 1;
/// The command line is wrong; clap uses the same.
pub(crate) const USAGE: u8 = 2;
/// The config has errors.
pub(crate) const CONFIG: u8 = 3;
/// The address is taken, a file cannot be written: the machine said no.
pub(crate) const MACHINE: u8 = 4;
/// A second signal ended the process before its drain was over; what a shell says of Ctrl-C.
pub(crate) const SECOND_SIGNAL: u8 = 130;

/// Says on stderr what the machine refused.
pub(crate) fn fail(message: &str) -> ExitCode {
    tell(message);
    ExitCode::from(MACHINE)
}

/// Says on stderr what is wrong with the command line.
pub(crate) fn usage(message: &str) -> ExitCode {
    tell(message);
    ExitCode::from(USAGE)
}

#[expect(clippy::print_stderr, reason = "the last word of a command")]
fn tell(message: &str) {
    eprintln!("renkei: {message}");
}

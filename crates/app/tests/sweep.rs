//! The crash sweep: a durable run of four steps whose process is aborted before and after each of its durable writes
//! and external calls, one after the other. After each, another process works on what is left, and what came of it is
//! compared with a model.
//!
//! The effects are lines in a file, which outlives the process as any system outside would. The test is its own child: it
//! starts itself with the number of the point at which to end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "it is its own test harness")]

#[path = "sweep/child.rs"]
mod child;
#[path = "sweep/model.rs"]
mod model;
#[path = "sweep/points.rs"]
mod points;

use std::{
    env,
    path::Path,
    process::{Command, ExitCode, Output},
};

use model::Model;

const NAME: &str = "every_durable_write_and_external_call";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["child", folder, rest @ ..] => child::run(Path::new(folder), rest),
        // As cargo-nextest asks for.
        words if words.contains(&"--list") => {
            if !words.contains(&"--ignored") {
                println!("{NAME}: test");
            }
            ExitCode::SUCCESS
        }
        _ => sweep(),
    }
}

/// Runs the child on a folder: `begin` begins the task, `end` works until all is done; it aborts at a point, if one is given.
fn child(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg("child").arg(folder).args(words).output().unwrap()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    child::prepare(folder.path());
    folder
}

fn sweep() -> ExitCode {
    let undisturbed = folder();
    let output = child(undisturbed.path(), &["begin", "end"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let points = points::passed(&output.stdout);
    assert!(points.len() > 20, "{points:?}");
    println!("{} points", points.len());
    let mut failed = 0;
    for at in 0..points.len() {
        let folder = folder();
        let first = child(folder.path(), &["begin", "end", &at.to_string()]);
        assert!(!first.status.success(), "the process is aborted at {}", points[at]);
        assert_eq!(points::passed(&first.stdout), points[..=at], "the same points in every process");
        let second = child(folder.path(), &["end"]);
        assert!(second.status.success(), "{}: {}", points[at], String::from_utf8_lossy(&second.stderr));
        let expected = Model::after(&points[..=at]);
        let found = Model::found(folder.path(), &second.stdout);
        if found != expected {
            failed += 1;
            println!("aborted at {at}, {}:\n  expected {expected:?}\n  found    {found:?}", points[at]);
        }
    }
    println!("{} aborted, {failed} with another outcome than the model's", points.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

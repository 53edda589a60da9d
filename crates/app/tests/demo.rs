//! `renkei demo --once`, as a user runs it: the tour checks itself, the exit code tells.

use std::{
    path::Path,
    process::{Command, Output},
};

fn demo(folder: &Path) -> std::io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_renkei"))
        .args(["demo", "--once", "--listen", "127.0.0.1:0"])
        .current_dir(folder)
        .output()
}

#[track_caller]
fn check(output: &Output, shop: &str) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("All of it went as it should."), "{out}");
    assert!(out.contains(shop), "{out}");
    assert!(!out.contains('\x1b'), "colour although stdout is no terminal");
    assert_eq!(err, "", "the demo makes noise");
}

#[test]
fn in_the_clone_it_serves_the_example_there() {
    check(
        &demo(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap(),
        "Renkei serves examples/shop at",
    );
}

#[test]
fn elsewhere_it_brings_its_example_along() {
    let folder = tempfile::tempdir().unwrap();
    check(&demo(folder.path()).unwrap(), "renkei-demo-");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "it left something behind");
}

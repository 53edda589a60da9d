//! `renkei store`: the operator's commands, with the real binary.

#![expect(clippy::unwrap_used, reason = "whatever fails here fails the test")]

use std::{
    fs,
    os::unix::fs::FileExt,
    path::Path,
    process::{Command, Output},
};

use renkei_core::{
    Secret,
    store::{Batch, CellExpected, JobId, NewCell, NewJob, Record, Store},
};
use renkei_store::{
    sealed::{Keys, Sealed},
    sqlite::{Options, SqliteStore},
};
use serde_json::Value;
use tempfile::TempDir;

const KEY: &str = "a key of this test, long enough to be one";
const CONFIG: &str = "
server:
  store: { url: 'sqlite:data/renkei.db', key: 'a key of this test, long enough to be one' }
tools:
  one: { description: One., transform: { output: { one: 1 } } }
";

fn renkei(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_renkei"));
    command.arg("store").args(arguments).arg("--config").arg(folder.join("renkei.yaml"));
    command.current_dir(folder).output().unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}\n{}", stderr(output)))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A config, and beside it a store with a job and 200 cells of 5 KB.
async fn prepared() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("renkei.yaml"), CONFIG).unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let store = SqliteStore::open(Options::new(folder.path().join("data/renkei.db"))).await.unwrap();
    let store = Sealed::new(std::sync::Arc::new(store), Keys::new(&[Secret::new(KEY.to_owned())]).unwrap());
    let mut batch =
        Batch::new().enqueue(NewJob::new(JobId::new(), "work", Record::new(1, "{\"card\":\"4242 4242\"}")));
    for number in 0..200 {
        let cell = NewCell::new(Record::new(1, vec![b'x'; 5_000]));
        batch = batch.set("space", number.to_string(), CellExpected::Any, cell);
    }
    store.commit(batch).await.unwrap().into_result().unwrap();
    let mut batch = Batch::new();
    for number in 0..199 {
        batch = batch.delete("space", number.to_string(), CellExpected::Any);
    }
    store.commit(batch).await.unwrap().into_result().unwrap();
    store.close().await;
    folder
}

#[tokio::test]
async fn a_store_is_checked_copied_and_compacted() {
    let folder = prepared().await;
    let output = renkei(folder.path(), &["check", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = json(&output);
    assert_eq!(
        (&said["ok"], &said["store"]["jobs"], &said["store"]["cells"]),
        (&true.into(), &1.into(), &1.into())
    );
    let output = renkei(folder.path(), &["check"]);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("ok: sqlite:"));

    let output = renkei(folder.path(), &["backup", "copy.db", "--json"]);
    let copy = folder.path().join("copy.db");
    assert_eq!(json(&output)["bytes"], fs::metadata(&copy).unwrap().len());
    // The key was used: what was stored is not in the file.
    assert!(!fs::read(&copy).unwrap().windows(9).any(|text| text == b"4242 4242"));
    let output = renkei(folder.path(), &["backup", "copy.db"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("it exists"), "{}", stderr(&output));

    let said = json(&renkei(folder.path(), &["compact", "--json"]));
    let number = |key: &str| said[key].as_u64().unwrap();
    assert!(number("bytes_before") > 1_000_000 && number("bytes_after") < 300_000, "{said}");
    assert_eq!(json(&renkei(folder.path(), &["migrate", "--json"]))["schema"], 1);
}

#[tokio::test]
async fn damage_is_told_with_an_exit_code() {
    let folder = prepared().await;
    let path = folder.path().join("data/renkei.db");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    // Pages of tables and indexes.
    for page in 5..20 {
        file.write_all_at(&[0xa5; 4096], page * 4096).unwrap();
    }
    let output = renkei(folder.path(), &["check", "--json"]);
    match output.status.code() {
        Some(1) => assert_eq!(json(&output)["ok"], false),
        Some(4) => assert!(stderr(&output).contains("the file is damaged"), "{}", stderr(&output)),
        other => panic!("{other:?}: {}", stderr(&output)),
    }
}

#[tokio::test]
async fn a_command_makes_no_store() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("renkei.yaml"), CONFIG).unwrap();
    let output = renkei(folder.path(), &["check"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(
        stderr(&output).contains("the folder") && stderr(&output).contains("does not exist"),
        "{}",
        stderr(&output)
    );
    fs::create_dir(folder.path().join("data")).unwrap();
    let output = renkei(folder.path(), &["check"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("there is no such file"), "{}", stderr(&output));
    assert_eq!(fs::read_dir(folder.path().join("data")).unwrap().count(), 0);
}

//! Cells: compared, set, scanned.

use std::collections::BTreeSet;

use renkei_core::store::{Batch, CellExpected, CellQuery, NewCell, Refusal, ScanBy, When};

use crate::member::{MINUTE, SECOND, START, Stage, record};

fn set(key: &str, expected: CellExpected, cell: NewCell) -> Batch {
    Batch::new().set("space", key, expected, cell)
}

async fn version(stage: &Stage, batch: Batch) -> u64 {
    stage.done(batch).await.cells[0].unwrap()
}

pub(crate) async fn compared_and_set(stage: &Stage) {
    let cell = NewCell {
        owner: Some("ann".into()),
        state: Some("open".into()),
        due: Some(When::After(MINUTE)),
        expires: Some(When::After(MINUTE * 2)),
        ..NewCell::new(record("1"))
    };
    let first = version(stage, set("a", CellExpected::Absent, cell)).await;
    let found = stage.store.cell("space", "a").await.unwrap().unwrap();
    assert_eq!((found.version, &found.value, found.owner.as_deref()), (first, &record("1"), Some("ann")));
    assert_eq!((found.state.as_deref(), found.due), (Some("open"), Some(START.after(MINUTE))));
    assert_eq!((found.expires, found.changed), (Some(START.after(MINUTE * 2)), START));
    let refusal = stage.refused(set("a", CellExpected::Version(first + 1), NewCell::default())).await;
    let (space, key, expected) = ("space".to_owned(), "a".to_owned(), CellExpected::Version(first + 1));
    assert_eq!(refusal, Refusal::Cell { space, key, expected, actual: Some(first) });
    let second = version(stage, set("a", CellExpected::Version(first), NewCell::new(record("2")))).await;
    assert_ne!(first, second);
    // All of it is replaced.
    let found = stage.store.cell("space", "a").await.unwrap().unwrap();
    assert_eq!((found.owner, found.state, found.due, found.expires), (None, None, None, None));
    assert_eq!(stage.store.cell("other", "a").await.unwrap(), None);
    stage.refused(Batch::new().delete("space", "a", CellExpected::Version(first))).await;
    assert_eq!(
        stage.done(Batch::new().delete("space", "a", CellExpected::Version(second))).await.cells,
        [None]
    );
    assert_eq!(stage.store.cell("space", "a").await.unwrap(), None);
    stage.done(Batch::new().delete("space", "a", CellExpected::Any)).await;
}

pub(crate) async fn a_version_never_comes_back(stage: &Stage) {
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        assert!(seen.insert(version(stage, set("a", CellExpected::Absent, NewCell::default())).await));
        assert!(seen.insert(version(stage, set("a", CellExpected::Any, NewCell::default())).await));
        stage.done(Batch::new().delete("space", "a", CellExpected::Any)).await;
    }
}

pub(crate) async fn expired_is_absent(stage: &Stage) {
    let short =
        NewCell { expires: Some(When::After(SECOND)), state: Some("open".into()), ..NewCell::default() };
    let first = version(stage, set("a", CellExpected::Absent, short)).await;
    stage.refused(set("a", CellExpected::Absent, NewCell::default())).await;
    stage.clock.pass(SECOND);
    assert_eq!(stage.store.cell("space", "a").await.unwrap(), None);
    let open = CellQuery { space: "space".into(), by: ScanBy::State("open".into()), after: None, limit: 10 };
    assert_eq!(stage.store.cells(open).await.unwrap().cells, []);
    let refusal = stage.refused(set("a", CellExpected::Version(first), NewCell::default())).await;
    assert!(matches!(refusal, Refusal::Cell { actual: None, .. }), "{refusal:?}");
    let second = version(stage, set("a", CellExpected::Absent, NewCell::default())).await;
    assert_ne!(first, second);
}

pub(crate) async fn scans(stage: &Stage) {
    let cell = |owner: &str, state: &str, due: u32| NewCell {
        owner: Some(owner.into()),
        state: Some(state.into()),
        due: Some(When::After(SECOND * due)),
        ..NewCell::default()
    };
    for (key, owner, state, due) in [
        ("a/1", "ann", "open", 3),
        ("a/2", "ben", "open", 1),
        ("a0", "ann", "done", 2),
        ("b%_", "ann", "open", 9),
    ] {
        stage.done(set(key, CellExpected::Any, cell(owner, state, due))).await;
    }
    stage.done(Batch::new().set("other", "a/1", CellExpected::Any, cell("ann", "open", 1))).await;
    stage.done(set("plain", CellExpected::Any, NewCell::default())).await;
    let scan = async |by| {
        let page =
            stage.store.cells(CellQuery { space: "space".into(), by, after: None, limit: 10 }).await.unwrap();
        assert_eq!(page.next, None);
        page.cells.into_iter().map(|cell| cell.key).collect::<Vec<_>>()
    };
    assert_eq!(scan(ScanBy::Prefix("a/".into())).await, ["a/1", "a/2"]);
    assert_eq!(scan(ScanBy::Prefix("b%".into())).await, ["b%_"]);
    assert_eq!(scan(ScanBy::Prefix(String::new())).await, ["a/1", "a/2", "a0", "b%_", "plain"]);
    assert_eq!(scan(ScanBy::Owner("ann".into())).await, ["a/1", "a0", "b%_"]);
    assert_eq!(scan(ScanBy::State("open".into())).await, ["a/1", "a/2", "b%_"]);
    assert_eq!(scan(ScanBy::Due(START.after(SECOND * 3))).await, ["a/2", "a0", "a/1"]);
    assert_eq!(scan(ScanBy::Due(START)).await, [""; 0]);
}

pub(crate) async fn scan_pages(stage: &Stage) {
    for number in 0..10_u32 {
        let cell = NewCell {
            owner: Some("ann".into()),
            state: Some("open".into()),
            // Several are due at the same moment.
            due: Some(When::After(SECOND * (number / 4))),
            ..NewCell::default()
        };
        stage.done(set(&format!("k.{number}"), CellExpected::Any, cell)).await;
    }
    let late = START.after(MINUTE);
    for by in [
        ScanBy::Prefix("k".into()),
        ScanBy::Owner("ann".into()),
        ScanBy::State("open".into()),
        ScanBy::Due(late),
    ] {
        let (mut after, mut keys) = (None, Vec::new());
        loop {
            let query = CellQuery { space: "space".into(), by: by.clone(), after, limit: 3 };
            let page = stage.store.cells(query).await.unwrap();
            keys.extend(page.cells.into_iter().map(|cell| cell.key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(keys, (0..10).map(|number| format!("k.{number}")).collect::<Vec<_>>(), "{by:?}");
    }
}

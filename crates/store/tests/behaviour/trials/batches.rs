//! All or nothing, and each for itself.

use renkei_core::{
    Kind,
    store::{
        Batch, CellExpected, Check, Enqueued, Expected, JobState, Lease, LogQuery, MAX_RECORD_BYTES, NewCell,
        Position, Record, Refusal, Verdict,
    },
};

use crate::member::{Stage, append, finish, job, record};

pub(crate) async fn all_or_nothing(stage: &Stage) {
    let first = job("work");
    let id = first.id;
    let batch = Batch::new().append(append("orders", Expected::None, &["a", "b"])).enqueue(first).set(
        "mark",
        "1",
        CellExpected::Absent,
        NewCell::new(record("x")),
    );
    let receipt = stage.done(batch).await;
    assert_eq!(receipt.appends[0].version, 2);
    assert_eq!(receipt.enqueues, [Enqueued::New(id)]);
    assert!(receipt.cells[0].is_some());
    assert_eq!(receipt.at, stage.store.now());
    // The same again, but for the last part: nothing of it is done.
    let second = job("work");
    let other = second.id;
    let batch = Batch::new().append(append("orders", Expected::Any, &["c"])).enqueue(second).set(
        "mark",
        "1",
        CellExpected::Absent,
        NewCell::new(record("y")),
    );
    let refusal = stage.refused(batch).await;
    assert!(matches!(refusal, Refusal::Cell { actual: Some(_), .. }), "{refusal:?}");
    assert_eq!(stage.store.stream("orders").await.unwrap().unwrap().last, 2);
    assert_eq!(stage.state(other).await, None);
    assert_eq!(stage.counts("work").await.ready, 1);
    assert_eq!(stage.store.cell("mark", "1").await.unwrap().unwrap().value, record("x"));
}

/// Many batches at once, every other one refused: exactly the others are done.
pub(crate) async fn refused_neighbours(stage: &Stage) {
    stage.done(Batch::new().set("mark", "taken", CellExpected::Any, NewCell::default())).await;
    let batches = (0..200).map(|number| {
        let key = if number % 2 == 0 { format!("free-{number}") } else { "taken".to_owned() };
        let name = format!("s{number}");
        let batch = Batch::new().append(append(&name, Expected::None, &["a"])).enqueue(job("work"));
        batch.set("mark", key, CellExpected::Absent, NewCell::default())
    });
    let store = &stage.store;
    let commits: Vec<_> = batches
        .map(|batch| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(batch).await.unwrap() })
        })
        .collect();
    let mut done = 0;
    for (number, commit) in commits.into_iter().enumerate() {
        let verdict = commit.await.unwrap();
        assert_eq!(matches!(verdict, Verdict::Done(_)), number % 2 == 0, "{number}: {verdict:?}");
        done += usize::from(number % 2 == 0);
    }
    assert_eq!(stage.counts("work").await.ready, done as u64);
    let page = store
        .read_log(LogQuery { after: Position::START, prefix: String::new(), limit: 1_000 })
        .await
        .unwrap();
    assert_eq!(page.events.len(), done);
    assert!(!page.more);
}

/// Of many that expect the same version one is done; the others learn what is there.
pub(crate) async fn one_batch_at_a_time(stage: &Stage) {
    let commits: Vec<_> = (0..50)
        .map(|number| {
            let store = stage.store.clone();
            let batch = Batch::new().append(append("orders", Expected::Version(0), &[&format!("e{number}")]));
            tokio::spawn(async move { store.commit(batch).await.unwrap() })
        })
        .collect();
    let mut done = 0;
    for commit in commits {
        match commit.await.unwrap() {
            Verdict::Done(_) => done += 1,
            Verdict::Refused(refusal) => {
                let expected = Expected::Version(0);
                assert_eq!(refusal, Refusal::Stream { stream: "orders".into(), expected, actual: 1 });
            }
        }
    }
    assert_eq!(done, 1);
}

pub(crate) async fn nothing_is_done_at_once(stage: &Stage) {
    let receipt = stage.done(Batch::new()).await;
    assert!(receipt.appends.is_empty() && receipt.enqueues.is_empty() && receipt.cells.is_empty());
    // Checks alone are answered, too.
    let check = |expected| {
        Batch::new()
            .check(Check::Cell { space: "mark".into(), key: "1".into(), expected })
            .check(Check::Stream { stream: "orders".into(), expected: Expected::None })
    };
    stage.done(check(CellExpected::Absent)).await;
    let refusal = stage.refused(check(CellExpected::Version(1))).await;
    assert!(matches!(refusal, Refusal::Cell { actual: None, .. }), "{refusal:?}");
    let nobody = Lease { job: renkei_core::store::JobId::new(), token: 1 };
    assert_eq!(
        stage.refused(Batch::new().held(nobody)).await,
        Refusal::LeaseLost { lease: nobody, state: None }
    );
}

pub(crate) async fn too_much_is_refused(stage: &Stage) {
    let large = Record::new(1, vec![0; MAX_RECORD_BYTES + 1]);
    let batch = Batch::new().set("mark", "1", CellExpected::Any, NewCell::new(large));
    let error = stage.store.commit(batch).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let largest = Record::new(1, vec![7; MAX_RECORD_BYTES - 64]);
    stage.done(Batch::new().set("mark", "1", CellExpected::Any, NewCell::new(largest.clone()))).await;
    assert_eq!(stage.store.cell("mark", "1").await.unwrap().unwrap().value, largest);
    let twice = append("orders", Expected::Any, &["a"]);
    let error = stage.store.commit(Batch::new().append(twice.clone()).append(twice)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}

/// After a commit whose outcome is unknown, the same batch says whether it happened.
pub(crate) async fn a_repeat_is_recognised(stage: &Stage) {
    let batch = Batch::new().append(append("orders", Expected::None, &["a"]));
    stage.done(batch.clone()).await;
    let (stream, id) = ("orders".to_owned(), "a".to_owned());
    assert_eq!(stage.refused(batch).await, Refusal::EventExists { stream, id, version: 1, same: true });
    let batch = Batch::new().enqueue(job("work"));
    let id = batch.enqueues[0].id;
    stage.done(batch.clone()).await;
    assert_eq!(stage.refused(batch.clone()).await, Refusal::JobExists { job: id });
    let claimed = stage.claim_one("work").await;
    assert_eq!(stage.refused(batch).await, Refusal::JobExists { job: id });
    stage.done(finish(claimed.lease())).await;
    let refusal = stage.refused(finish(claimed.lease())).await;
    assert_eq!(refusal, Refusal::LeaseLost { lease: claimed.lease(), state: None });
    assert_eq!(stage.state(id).await, None::<JobState>);
}

pub(crate) async fn many_producers(stage: &Stage) {
    let producers: Vec<_> = (0..16)
        .map(|producer| {
            let store = stage.store.clone();
            tokio::spawn(async move {
                for number in 0..25 {
                    let id = format!("{producer}-{number}");
                    let batch =
                        Batch::new().append(append("all", Expected::Any, &[&id])).enqueue(job("work"));
                    store.commit(batch).await.unwrap().into_result().unwrap();
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.unwrap();
    }
    let page = stage.store.read_stream("all", 1, 1_000).await.unwrap();
    let versions: Vec<u64> = page.events.iter().map(|event| event.version).collect();
    assert_eq!(versions, (1..=400).collect::<Vec<_>>());
    assert!(page.events.is_sorted_by(|a, b| a.position < b.position));
    // Each producer's own order is kept.
    for producer in 0..16 {
        let own: Vec<u32> = page
            .events
            .iter()
            .filter_map(|e| e.id.strip_prefix(&format!("{producer}-"))?.parse().ok())
            .collect();
        assert_eq!(own, (0..25).collect::<Vec<_>>());
    }
    assert_eq!(stage.counts("work").await.ready, 400);
}

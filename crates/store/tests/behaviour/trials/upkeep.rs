//! Being opened and closed, told and kept in order.

use renkei_core::{
    Applied, Kind,
    store::{
        Batch, CellExpected, Change, Changes, Expected, JobChange, JobError, JobState, LogQuery, NewCell,
        NewJob, OnDead, Position, Retention, When,
    },
};

use crate::member::{MINUTE, SECOND, START, Stage, append, finish, job, keyed, record};

pub(crate) async fn reopened(stage: &Stage) {
    let batch = Batch::new().append(append("a", Expected::None, &["1"])).enqueue(job("work"));
    stage.done(batch.set("space", "a", CellExpected::Absent, NewCell::new(record("x")))).await;
    let claimed = stage.claim_one("work").await;
    stage.store.close().await;
    let again = stage.another().await;
    assert_eq!(again.read_stream("a", 1, 10).await.unwrap().events[0].id, "1");
    assert_eq!(again.cell("space", "a").await.unwrap().unwrap().value, record("x"));
    assert_eq!(again.job(claimed.id).await.unwrap(), Some(claimed.clone()));
    // Numbers go on where they were.
    let receipt = again.commit(Batch::new().append(append("a", Expected::Version(1), &["2"]))).await.unwrap();
    let page =
        again.read_log(LogQuery { after: Position::START, prefix: String::new(), limit: 10 }).await.unwrap();
    assert_eq!(receipt.into_result().unwrap().appends[0].position, page.events[1].position);
    again.commit(finish(claimed.lease())).await.unwrap().into_result().unwrap();
    assert_eq!(again.check().await.unwrap(), []);
}

/// Two processes on one store see each other's commits, and take turns.
pub(crate) async fn two_processes(stage: &Stage) {
    let other = stage.another().await;
    for number in 0..20 {
        let store = if number % 2 == 0 { &stage.store } else { &other };
        let batch = Batch::new().append(append("a", Expected::Version(number), &[&number.to_string()]));
        store.commit(batch.enqueue(job("work"))).await.unwrap().into_result().unwrap();
    }
    let mine = stage.claim("work", 12).await;
    let theirs = other
        .claim(renkei_core::store::Claim {
            queue: "work".into(),
            max: 20,
            lease_for: MINUTE,
            worker: "there".into(),
        })
        .await
        .unwrap();
    assert_eq!((mine.len(), theirs.jobs.len()), (12, 8));
    assert!(mine.iter().all(|job| theirs.jobs.iter().all(|other| other.id != job.id)));
    let mut changes = stage.store.changes();
    other.commit(Batch::new().set("space", "a", CellExpected::Any, NewCell::default())).await.unwrap();
    until(&mut changes, |change| {
        matches!(change, Change::Unknown) || matches!(change, Change::Cell { key, .. } if **key == *"a")
    })
    .await;
    other.close().await;
}

async fn until(changes: &mut Changes, found: impl Fn(&Change) -> bool) {
    let look = async { while !found(&changes.next().await.unwrap()) {} };
    tokio::time::timeout(SECOND * 30, look).await.expect("a hint within half a minute");
}

pub(crate) async fn hints(stage: &Stage) {
    let mut changes = stage.store.changes();
    let receipt = stage.done(Batch::new().append(append("a", Expected::Any, &["1"]))).await;
    until(&mut changes, |change| *change == Change::Log(receipt.appends[0].position)).await;
    stage.done(Batch::new().set("space", "a", CellExpected::Any, NewCell::default())).await;
    until(&mut changes, |change| *change == Change::Cell { space: "space".into(), key: "a".into() }).await;
    let work = Change::Queue("work".into());
    stage.done(Batch::new().enqueue(keyed("work", "a")).enqueue(keyed("work", "a"))).await;
    until(&mut changes, |change| *change == work).await;
    // The next of its key can be claimed now.
    let head = stage.claim_one("work").await;
    stage.done(finish(head.lease())).await;
    until(&mut changes, |change| *change == work).await;
    let head = stage.claim_one("work").await;
    stage.done(Batch::new().job(JobChange::Release { lease: head.lease(), run_at: When::Now })).await;
    until(&mut changes, |change| *change == work).await;
}

pub(crate) async fn closed(stage: &Stage) {
    stage.done(Batch::new().enqueue(job("work"))).await;
    let mut changes = stage.store.changes();
    stage.store.close().await;
    while changes.next().await.is_some() {}
    let error = stage.store.commit(Batch::new().enqueue(job("work"))).await.unwrap_err();
    assert_eq!((error.kind(), error.was_applied()), (Kind::Unavailable, Applied::No));
    assert!(stage.store.queues().await.is_err());
    assert_eq!(stage.store.changes().next().await, None);
    stage.store.close().await;
    let again = stage.another().await;
    assert_eq!(again.queues().await.unwrap()[0].ready, 1);
}

pub(crate) async fn pruned(stage: &Stage) {
    for number in 0..3 {
        let cell = NewCell { expires: (number > 0).then_some(When::After(SECOND)), ..NewCell::default() };
        stage
            .done(Batch::new().set("space", number.to_string(), CellExpected::Any, cell).enqueue(job("work")))
            .await;
    }
    let jobs = stage.claim("work", 3).await;
    let keep = |job: &renkei_core::store::Job, time| JobChange::Finish {
        lease: job.lease(),
        keep_until: Some(When::After(time)),
    };
    let error = JobError::new("rejected", "no");
    let bury = JobChange::Bury { lease: jobs[2].lease(), error, on_dead: OnDead::Skip };
    stage.done(Batch::new().job(keep(&jobs[0], SECOND)).job(keep(&jobs[1], MINUTE)).job(bury)).await;
    let nothing = stage.store.prune(&Retention::default()).await.unwrap();
    assert_eq!((nothing.cells, nothing.jobs, nothing.more), (0, 0, false));
    stage.clock.pass(SECOND);
    let pruned = stage.store.prune(&Retention { dead: Some(MINUTE), ..Retention::default() }).await.unwrap();
    assert_eq!((pruned.cells, pruned.jobs, pruned.events), (2, 1, 0));
    assert_eq!(stage.state(jobs[2].id).await, Some(JobState::Dead));
    stage.clock.pass(MINUTE);
    let pruned = stage.store.prune(&Retention { dead: Some(MINUTE), ..Retention::default() }).await.unwrap();
    assert_eq!((pruned.cells, pruned.jobs), (0, 2));
    assert_eq!(stage.store.queues().await.unwrap(), []);
    assert!(stage.store.cell("space", "0").await.unwrap().is_some());
}

pub(crate) async fn retention_leaves_a_gap(stage: &Stage) {
    stage.done(Batch::new().append(append("a/1", Expected::Any, &["1", "2"]))).await;
    let kept =
        stage.done(Batch::new().append(append("b/1", Expected::Any, &["1"]))).await.appends[0].position;
    stage.clock.pass(MINUTE);
    stage.done(Batch::new().append(append("a/1", Expected::Any, &["3"]))).await;
    let rules = Retention { log: vec![("a/".into(), SECOND)], ..Retention::default() };
    assert_eq!(stage.store.prune(&rules).await.unwrap().events, 2);
    let page = stage.store.read_stream("a/1", 1, 10).await.unwrap();
    assert_eq!((page.events.len(), page.events[0].version, page.stream.unwrap().first), (1, 3, 3));
    let read = async |prefix: &str, after| {
        let query = LogQuery { after, prefix: prefix.into(), limit: 10 };
        stage.store.read_log(query).await.unwrap().gap.is_some()
    };
    assert!(read("", Position::START).await);
    assert!(read("a/1", Position::START).await);
    assert!(!read("b/", Position::START).await, "nothing of it is missing");
    assert!(!read("", kept).await, "it has seen them");
    stage.clock.pass(MINUTE);
    assert_eq!(stage.store.prune(&rules).await.unwrap().events, 1);
    let batch = Batch::new().append(append("a/1", Expected::Version(3), &["4"]));
    assert_eq!(stage.done(batch).await.appends[0].version, 4);
}

pub(crate) async fn purged(stage: &Stage) {
    for _ in 0..3 {
        let late = NewJob { run_at: When::After(MINUTE), ..job("work") };
        stage.done(Batch::new().enqueue(keyed("work", "a")).enqueue(job("work")).enqueue(late)).await;
    }
    stage.done(Batch::new().enqueue(job("other"))).await;
    let head = stage.claim("work", 1).await.remove(0);
    let all = [JobState::Ready, JobState::Scheduled, JobState::Held];
    assert_eq!(stage.store.purge("work", &all, 5).await.unwrap(), 5);
    assert_eq!(stage.store.purge("work", &all, 100).await.unwrap(), 3);
    assert_eq!(stage.counts("work").await.unfinished(), 1);
    stage.done(finish(head.lease())).await;
    assert_eq!(stage.counts("other").await.ready, 1);
    assert_eq!(stage.store.purge("unknown", &all, 5).await.unwrap(), 0);
}

pub(crate) async fn counted(stage: &Stage) {
    let late = NewJob { run_at: When::After(MINUTE), ..job("work") };
    stage.done(Batch::new().enqueue(keyed("work", "a")).enqueue(keyed("work", "a")).enqueue(late)).await;
    stage.clock.pass(SECOND);
    stage.done(Batch::new().enqueue(NewJob { priority: 9, ..job("work") })).await;
    let counts = stage.counts("work").await;
    assert_eq!((counts.ready, counts.scheduled, counts.held, counts.leased), (2, 1, 1, 0));
    assert_eq!(counts.oldest_ready, Some(START));
    let urgent = stage.claim("work", 1).await.remove(0);
    let counts = stage.counts("work").await;
    assert_eq!((counts.ready, counts.leased, counts.unfinished()), (1, 1, 4));
    stage.done(finish(urgent.lease())).await;
    let stats = stage.store.stats().await.unwrap();
    assert_eq!((stats.jobs, stats.cells, stats.events, stats.streams), (3, 0, 0, 0));
    assert!(stats.schema > 0 && stats.bytes > 0);
}

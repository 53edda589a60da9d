//! First in, first out, for each key.

use renkei_core::store::{Batch, Job, JobChange, JobError, JobId, JobState, NewJob, OnDead, When};

use crate::member::{SECOND, Stage, finish, job, keyed};

async fn three(stage: &Stage, key: &str) -> [JobId; 3] {
    let jobs = [keyed("work", key), keyed("work", key), keyed("work", key)];
    let ids = [jobs[0].id, jobs[1].id, jobs[2].id];
    stage.done(Batch { enqueues: jobs.into(), ..Batch::default() }).await;
    ids
}

async fn bury(stage: &Stage, job: &Job, on_dead: OnDead) {
    let error = JobError::new("rejected", "no");
    stage.done(Batch::new().job(JobChange::Bury { lease: job.lease(), error, on_dead })).await;
}

pub(crate) async fn in_order_one_at_a_time(stage: &Stage) {
    let a = three(stage, "a").await;
    let b = three(stage, "b").await;
    // Even the most urgent waits for its turn within its key; other queues and jobs without a key do not wait.
    stage.done(Batch::new().enqueue(NewJob { priority: 9, ..keyed("work", "a") })).await;
    stage.done(Batch::new().enqueue(job("work")).enqueue(keyed("other", "a"))).await;
    assert_eq!(stage.claim_one("other").await.key.as_deref(), Some("a"));
    let first = stage.claim("work", 10).await;
    assert_eq!(first.iter().map(|job| job.id).collect::<Vec<_>>()[..2], [a[0], b[0]]);
    assert_eq!((first.len(), stage.counts("work").await.held), (3, 5));
    assert_eq!(stage.claim("work", 10).await, []);
    stage.done(finish(first[1].lease())).await;
    assert_eq!(stage.claim_one("work").await.id, b[1]);
    stage.done(finish(first[0].lease())).await;
    let second = stage.claim_one("work").await;
    assert_eq!(second.id, a[1]);
    stage.done(finish(second.lease())).await;
    assert_eq!(stage.claim_one("work").await.id, a[2]);
}

pub(crate) async fn a_retry_holds_its_key(stage: &Stage) {
    let ids = three(stage, "a").await;
    let head = stage.claim_one("work").await;
    let error = JobError::new("unavailable", "down");
    stage
        .done(Batch::new().job(JobChange::Retry { lease: head.lease(), run_at: When::After(SECOND), error }))
        .await;
    assert_eq!(stage.claim("work", 10).await, []);
    stage.clock.pass(SECOND);
    assert_eq!(stage.claim_one("work").await.id, ids[0]);
    // So does one whose worker is gone.
    stage.clock.pass(SECOND * 60);
    assert_eq!(stage.claim_one("work").await.id, ids[0]);
}

pub(crate) async fn a_dead_head_blocks(stage: &Stage) {
    let ids = three(stage, "a").await;
    let head = stage.claim_one("work").await;
    bury(stage, &head, OnDead::Block).await;
    assert_eq!(stage.claim("work", 10).await, []);
    assert!(stage.store.job(ids[0]).await.unwrap().unwrap().blocks);
    // Replayed, it goes first.
    stage.done(Batch::new().job(JobChange::Replay { job: ids[0], run_at: When::Now })).await;
    let head = stage.claim_one("work").await;
    assert_eq!(head.id, ids[0]);
    bury(stage, &head, OnDead::Block).await;
    stage.done(Batch::new().job(JobChange::Unblock { job: ids[0] })).await;
    let second = stage.claim_one("work").await;
    assert_eq!((second.id, stage.state(ids[0]).await), (ids[1], Some(JobState::Dead)));
    assert!(!stage.store.job(ids[0]).await.unwrap().unwrap().blocks);
    bury(stage, &second, OnDead::Block).await;
    stage.done(Batch::new().job(JobChange::Discard { job: ids[1] })).await;
    assert_eq!(stage.claim_one("work").await.id, ids[2]);
}

pub(crate) async fn a_dead_head_is_skipped(stage: &Stage) {
    let ids = three(stage, "a").await;
    let head = stage.claim_one("work").await;
    bury(stage, &head, OnDead::Skip).await;
    let second = stage.claim_one("work").await;
    assert_eq!(second.id, ids[1]);
    // Discarding the dead one does not touch its successors.
    stage.done(Batch::new().job(JobChange::Discard { job: ids[0] })).await;
    assert_eq!(stage.claim("work", 10).await, []);
    stage.done(finish(second.lease())).await;
    assert_eq!(stage.claim_one("work").await.id, ids[2]);
}

pub(crate) async fn a_held_one_is_removed(stage: &Stage) {
    let ids = three(stage, "a").await;
    stage.done(Batch::new().job(JobChange::Discard { job: ids[1] })).await;
    let head = stage.claim_one("work").await;
    // The head and its successor go in one batch.
    stage
        .done(finish(head.lease()).job(JobChange::Discard { job: ids[2] }).enqueue(keyed("work", "a")))
        .await;
    let last = stage.claim_one("work").await;
    stage.done(finish(last.lease())).await;
    assert_eq!(stage.counts("work").await.unfinished(), 0);
}

pub(crate) async fn replay_behind_the_head(stage: &Stage) {
    let ids = three(stage, "a").await;
    let head = stage.claim_one("work").await;
    bury(stage, &head, OnDead::Skip).await;
    let second = stage.claim_one("work").await;
    stage.done(Batch::new().job(JobChange::Replay { job: ids[0], run_at: When::Now })).await;
    assert_eq!(stage.state(ids[0]).await, Some(JobState::Held));
    stage.done(finish(second.lease())).await;
    // It is older than the third.
    let next = stage.claim_one("work").await;
    assert_eq!(next.id, ids[0]);
    stage.done(finish(next.lease())).await;
    assert_eq!(stage.claim_one("work").await.id, ids[2]);
}

pub(crate) async fn an_expired_head_lets_go(stage: &Stage) {
    let first =
        NewJob { expires: Some(When::After(SECOND)), run_at: When::After(SECOND * 5), ..keyed("work", "a") };
    let second = NewJob { expires: Some(When::After(SECOND)), ..keyed("work", "a") };
    let third = keyed("work", "a");
    let id = third.id;
    stage.done(Batch::new().enqueue(first).enqueue(second).enqueue(third)).await;
    stage.clock.pass(SECOND);
    let claims = stage.claims("work", 10).await;
    assert_eq!(claims.expired, 2);
    assert_eq!(claims.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [id]);
}

//! Leases: who may change a job, and what becomes of it.

use renkei_core::{
    clock::Timestamp,
    store::{
        Batch, CellExpected, DeadCause, Job, JobChange, JobError, JobState, Lease, MAX_ERRORS, NewCell,
        OnDead, Refusal, When,
    },
};

use crate::member::{MINUTE, SECOND, START, Stage, finish, job, keyed};

fn failed(message: &str) -> JobError {
    JobError::new("unavailable", message)
}

fn retry(lease: Lease, run_at: When) -> Batch {
    Batch::new().job(JobChange::Retry { lease, run_at, error: failed("down") })
}

fn bury(lease: Lease, on_dead: OnDead) -> Batch {
    Batch::new().job(JobChange::Bury { lease, error: failed("down"), on_dead })
}

async fn enqueued(stage: &Stage) -> Job {
    stage.done(Batch::new().enqueue(job("work"))).await;
    stage.claim_one("work").await
}

/// Whoever has lost its lease can change nothing, in none of the ways.
pub(crate) async fn fenced(stage: &Stage) {
    let old = enqueued(stage).await.lease();
    stage.clock.pass(MINUTE);
    let new = stage.claim_one("work").await;
    assert!(new.token > old.token);
    let mark = |batch: Batch| batch.set("mark", "1", CellExpected::Any, NewCell::default());
    let changes = [
        finish(old),
        retry(old, When::Now),
        bury(old, OnDead::Block),
        Batch::new().job(JobChange::Extend { lease: old, lease_for: MINUTE }),
        Batch::new().job(JobChange::Release { lease: old, run_at: When::Now }),
        Batch::new().held(old),
    ];
    for change in changes {
        let lost = Refusal::LeaseLost { lease: old, state: Some(JobState::Leased) };
        assert_eq!(stage.refused(mark(change)).await, lost);
    }
    assert_eq!(stage.store.cell("mark", "1").await.unwrap(), None);
    assert_eq!(stage.store.job(new.id).await.unwrap(), Some(new.clone()));
    stage.done(mark(Batch::new().held(new.lease()))).await;
    stage.done(finish(new.lease())).await;
}

/// The lease has ended by the clock, but nobody has taken the job: the work is not thrown away.
pub(crate) async fn lost_after_the_end(stage: &Stage) {
    let claimed = enqueued(stage).await;
    assert_eq!(claimed.leased_until, Some(START.after(MINUTE)));
    stage.clock.pass(MINUTE - SECOND);
    assert_eq!(stage.claim("work", 1).await, []);
    let extend = JobChange::Extend { lease: claimed.lease(), lease_for: MINUTE };
    stage.done(Batch::new().job(extend)).await;
    stage.clock.pass(MINUTE - SECOND);
    assert_eq!(stage.claim("work", 1).await, []);
    stage.clock.pass(MINUTE);
    stage.done(Batch::new().held(claimed.lease())).await;
    stage.done(finish(claimed.lease())).await;
    assert_eq!(stage.claim("work", 1).await, []);
}

pub(crate) async fn attempts_count_at_the_claim(stage: &Stage) {
    let mut claimed = enqueued(stage).await;
    for attempt in 1..=3 {
        assert_eq!((claimed.attempts, claimed.errors.len()), (attempt, attempt as usize - 1));
        stage.clock.pass(MINUTE);
        let claims = stage.claims("work", 1).await;
        assert_eq!(claims.ended, 1);
        claimed = claims.jobs[0].clone();
    }
    let error = &claimed.errors[0];
    assert_eq!(
        (error.kind.as_str(), error.attempt, error.worker.as_str()),
        (JobError::LEASE_ENDED, 1, "here")
    );
    assert_eq!(error.at, START.after(MINUTE));
}

pub(crate) async fn retried(stage: &Stage) {
    let claimed = enqueued(stage).await;
    stage.done(retry(claimed.lease(), When::After(SECOND))).await;
    let waiting = stage.store.job(claimed.id).await.unwrap().unwrap();
    assert_eq!((waiting.state, waiting.attempts, waiting.leased_until), (JobState::Scheduled, 1, None));
    assert_eq!(stage.claim("work", 1).await, []);
    let lost = Refusal::LeaseLost { lease: claimed.lease(), state: Some(JobState::Scheduled) };
    assert_eq!(stage.refused(finish(claimed.lease())).await, lost);
    stage.clock.pass(SECOND);
    let again = stage.claim_one("work").await;
    assert_eq!((again.attempts, again.errors[0].message.as_str()), (2, "down"));
    // At once, and before what came later.
    stage.done(Batch::new().enqueue(job("work"))).await;
    stage.done(retry(again.lease(), When::Now)).await;
    assert_eq!(stage.claim("work", 1).await[0].id, claimed.id);
}

pub(crate) async fn released(stage: &Stage) {
    let claimed = enqueued(stage).await;
    let release = JobChange::Release { lease: claimed.lease(), run_at: When::Now };
    stage.done(Batch::new().job(release)).await;
    let again = stage.claim_one("work").await;
    assert_eq!((again.id, again.attempts, again.errors.len()), (claimed.id, 1, 0));
    assert!(again.token > claimed.token);
    let parked = JobChange::Release { lease: again.lease(), run_at: When::At(Timestamp::NEVER) };
    stage.done(Batch::new().job(parked)).await;
    assert_eq!(stage.state(again.id).await, Some(JobState::Scheduled));
}

pub(crate) async fn buried_and_replayed(stage: &Stage) {
    let claimed = enqueued(stage).await;
    stage.done(bury(claimed.lease(), OnDead::Block)).await;
    let dead = stage.store.job(claimed.id).await.unwrap().unwrap();
    assert_eq!((dead.state, dead.dead, dead.attempts), (JobState::Dead, Some(DeadCause::Buried), 1));
    assert_eq!((dead.errors[0].message.as_str(), dead.blocks), ("down", false));
    assert_eq!(stage.claim("work", 1).await, []);
    assert_eq!(stage.counts("work").await.dead, 1);
    stage.done(Batch::new().job(JobChange::Replay { job: claimed.id, run_at: When::After(SECOND) })).await;
    assert_eq!(stage.state(claimed.id).await, Some(JobState::Scheduled));
    stage.clock.pass(SECOND);
    let again = stage.claim_one("work").await;
    assert_eq!((again.id, again.attempts, again.errors.len(), again.dead), (claimed.id, 1, 1, None));
    assert!(again.token > claimed.token);
    let replay = Batch::new().job(JobChange::Replay { job: claimed.id, run_at: When::Now });
    let state = Some(JobState::Leased);
    assert_eq!(stage.refused(replay).await, Refusal::JobState { job: claimed.id, state });
}

pub(crate) async fn discarded(stage: &Stage) {
    let claimed = enqueued(stage).await;
    stage.done(Batch::new().job(JobChange::Discard { job: claimed.id })).await;
    let lost = Refusal::LeaseLost { lease: claimed.lease(), state: None };
    assert_eq!(stage.refused(finish(claimed.lease())).await, lost);
    let discard = Batch::new().job(JobChange::Discard { job: claimed.id });
    assert_eq!(stage.refused(discard).await, Refusal::JobState { job: claimed.id, state: None });
    assert_eq!(stage.store.queues().await.unwrap(), []);
}

pub(crate) async fn rescheduled(stage: &Stage) {
    let claimed = enqueued(stage).await;
    let wake = |run_at| Batch::new().job(JobChange::Reschedule { job: claimed.id, run_at });
    let state = Some(JobState::Leased);
    assert_eq!(stage.refused(wake(When::Now)).await, Refusal::JobState { job: claimed.id, state });
    stage.done(retry(claimed.lease(), When::At(Timestamp::NEVER))).await;
    stage.done(wake(When::Now)).await;
    assert_eq!(stage.state(claimed.id).await, Some(JobState::Ready));
    stage.done(wake(When::After(SECOND))).await;
    assert_eq!(stage.claim("work", 1).await, []);
    stage.clock.pass(SECOND);
    let woken = stage.claim_one("work").await;
    stage.done(bury(woken.lease(), OnDead::Skip)).await;
    let state = Some(JobState::Dead);
    assert_eq!(stage.refused(wake(When::Now)).await, Refusal::JobState { job: claimed.id, state });
    // A held one keeps its place, and its new time counts when its turn comes.
    stage.done(Batch::new().enqueue(keyed("work", "a")).enqueue(keyed("work", "a"))).await;
    let head = stage.claim_one("work").await;
    let query =
        renkei_core::store::JobQuery { queue: "work".into(), state: JobState::Held, after: None, limit: 1 };
    let held = stage.store.jobs(query).await.unwrap().jobs.remove(0);
    stage.done(Batch::new().job(JobChange::Reschedule { job: held.id, run_at: When::After(SECOND) })).await;
    stage.done(finish(head.lease())).await;
    assert_eq!(stage.state(held.id).await, Some(JobState::Scheduled));
}

/// The history keeps the last errors, and cuts what is too long.
pub(crate) async fn history(stage: &Stage) {
    let mut claimed = enqueued(stage).await;
    for number in 0..MAX_ERRORS + 5 {
        let error = failed(&format!("{number} {}", "é".repeat(3_000)));
        stage
            .done(Batch::new().job(JobChange::Retry { lease: claimed.lease(), run_at: When::Now, error }))
            .await;
        claimed = stage.claim_one("work").await;
    }
    assert_eq!(claimed.errors.len(), MAX_ERRORS);
    assert!(claimed.errors[0].message.starts_with("5 é"));
    assert!(claimed.errors.iter().all(|error| error.message.len() <= renkei_core::store::MAX_ERROR_BYTES));
    assert_eq!(claimed.errors.last().unwrap().attempt, MAX_ERRORS as u32 + 5);
}

pub(crate) async fn next_moment(stage: &Stage) {
    assert_eq!(stage.claims("work", 1).await.next, None);
    stage.done(Batch::new().enqueue(job("work"))).await;
    assert_eq!(stage.claims("work", 5).await.next, Some(START.after(MINUTE)));
    let late = renkei_core::store::NewJob { run_at: When::After(SECOND), ..job("work") };
    stage.done(Batch::new().enqueue(late)).await;
    assert_eq!(stage.claims("work", 5).await.next, Some(START.after(SECOND)));
}

/// A clock that is set back or far ahead loses nothing and gives nothing to two at once.
pub(crate) async fn clock_jumps(stage: &Stage) {
    stage.clock.set(START.after(MINUTE * 1_000));
    let claimed = enqueued(stage).await;
    stage.clock.set(START);
    assert_eq!(stage.claim("work", 1).await, []);
    stage.done(Batch::new().job(JobChange::Extend { lease: claimed.lease(), lease_for: SECOND })).await;
    stage.clock.pass(SECOND);
    let again = stage.claim_one("work").await;
    assert_eq!(
        stage.refused(finish(claimed.lease())).await,
        Refusal::LeaseLost { lease: claimed.lease(), state: Some(JobState::Leased) }
    );
    stage.done(finish(again.lease())).await;
}

//! Queues: order, time, uniqueness, room.

use std::collections::BTreeSet;

use renkei_core::store::{
    Batch, DeadCause, Enqueued, JobChange, JobId, JobQuery, JobState, NewJob, OnTaken, Refusal, Unique, When,
};

use crate::member::{MINUTE, SECOND, START, Stage, finish, job, keyed, record};

fn unique(key: &str, on_taken: OnTaken) -> NewJob {
    NewJob { unique: Some(Unique { key: key.into(), on_taken }), ..job("work") }
}

pub(crate) async fn order_of_claims(stage: &Stage) {
    let jobs: Vec<NewJob> =
        [0, 5, 0, -3, 5].into_iter().map(|priority| NewJob { priority, ..job("work") }).collect();
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    for job in jobs {
        stage.done(Batch::new().enqueue(job)).await;
    }
    let first: Vec<JobId> = stage.claim("work", 3).await.iter().map(|job| job.id).collect();
    assert_eq!(first, [ids[1], ids[4], ids[0]]);
    let rest: Vec<JobId> = stage.claim("work", 3).await.iter().map(|job| job.id).collect();
    assert_eq!(rest, [ids[2], ids[3]]);
    assert_eq!(stage.claim("work", 3).await, []);
    assert_eq!(stage.claim("other", 3).await, []);
}

pub(crate) async fn delayed(stage: &Stage) {
    let late = NewJob { run_at: When::After(MINUTE), priority: 9, ..job("work") };
    let (id, now) = (late.id, job("work"));
    stage.done(Batch::new().enqueue(late).enqueue(now.clone())).await;
    assert_eq!(stage.state(id).await, Some(JobState::Scheduled));
    let claims = stage.claims("work", 10).await;
    assert_eq!(claims.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [now.id]);
    assert_eq!(claims.next, Some(START.after(MINUTE)));
    stage.clock.pass(MINUTE);
    stage.done(Batch::new().enqueue(job("work"))).await;
    // Due, it comes before what is less urgent.
    let claimed = stage.claim("work", 1).await;
    assert_eq!((claimed[0].id, claimed[0].run_at), (id, START.after(MINUTE)));
}

pub(crate) async fn expires(stage: &Stage) {
    let short = NewJob { expires: Some(When::After(SECOND)), ..job("work") };
    let later = NewJob { run_at: When::After(MINUTE), expires: Some(When::After(SECOND)), ..job("work") };
    let leased = NewJob { expires: Some(When::After(SECOND)), ..job("other") };
    let (ids, safe) = ([short.id, later.id], leased.id);
    stage.done(Batch::new().enqueue(short).enqueue(later).enqueue(leased)).await;
    let lease = stage.claim_one("other").await.lease();
    stage.clock.pass(SECOND);
    let claims = stage.claims("work", 10).await;
    assert_eq!((claims.jobs.len(), claims.expired), (0, 2));
    for id in ids {
        let job = stage.store.job(id).await.unwrap().unwrap();
        assert_eq!((job.state, job.dead, job.attempts), (JobState::Dead, Some(DeadCause::Expired), 0));
    }
    // Whoever has begun in time goes on.
    assert_eq!(stage.state(safe).await, Some(JobState::Leased));
    stage.done(finish(lease)).await;
    // Replayed, it waits without an end.
    stage.done(Batch::new().job(JobChange::Replay { job: ids[0], run_at: When::Now })).await;
    assert_eq!(stage.claim_one("work").await.id, ids[0]);
}

pub(crate) async fn unique_keys(stage: &Stage) {
    let first = unique("daily", OnTaken::Refuse);
    let id = first.id;
    stage.done(Batch::new().enqueue(first)).await;
    let taken = Refusal::UniqueTaken { queue: "work".into(), unique: "daily".into(), holder: id };
    assert_eq!(stage.refused(Batch::new().enqueue(unique("daily", OnTaken::Refuse))).await, taken);
    // Another queue and another key are others.
    stage
        .done(Batch::new().enqueue(NewJob { queue: "other".into(), ..unique("daily", OnTaken::Refuse) }))
        .await;
    stage.done(Batch::new().enqueue(unique("weekly", OnTaken::Refuse))).await;
    let claimed = stage.claim("work", 1).await.remove(0);
    assert_eq!(stage.refused(Batch::new().enqueue(unique("daily", OnTaken::Refuse))).await, taken);
    let error = renkei_core::store::JobError::new("rejected", "no");
    let bury = JobChange::Bury { lease: claimed.lease(), error, on_dead: renkei_core::store::OnDead::Skip };
    stage.done(Batch::new().job(bury)).await;
    // The dead have let go of theirs, and cannot come back while another one has it.
    let second = unique("daily", OnTaken::Refuse);
    let other = second.id;
    stage.done(Batch::new().enqueue(second)).await;
    let replay = Batch::new().job(JobChange::Replay { job: id, run_at: When::Now });
    let taken = Refusal::UniqueTaken { queue: "work".into(), unique: "daily".into(), holder: other };
    assert_eq!(stage.refused(replay.clone()).await, taken);
    stage.done(Batch::new().job(JobChange::Discard { job: other })).await;
    stage.done(replay).await;
    let taken = Refusal::UniqueTaken { queue: "work".into(), unique: "daily".into(), holder: id };
    assert_eq!(stage.refused(Batch::new().enqueue(unique("daily", OnTaken::Refuse))).await, taken);
}

pub(crate) async fn joined(stage: &Stage) {
    let first = unique("daily", OnTaken::Join);
    let id = first.id;
    assert_eq!(stage.done(Batch::new().enqueue(first)).await.enqueues, [Enqueued::New(id)]);
    let other = job("work");
    let other_id = other.id;
    let receipt = stage.done(Batch::new().enqueue(unique("daily", OnTaken::Join)).enqueue(other)).await;
    assert_eq!(receipt.enqueues, [Enqueued::Joined(id), Enqueued::New(other_id)]);
    assert_eq!(stage.counts("work").await.ready, 2);
}

/// A job finishes and enqueues its successor with the same unique key, in a queue that is full.
pub(crate) async fn unique_across_a_finish(stage: &Stage) {
    let tick = || NewJob { max_length: Some(1), ..unique("tick", OnTaken::Refuse) };
    stage.done(Batch::new().enqueue(tick())).await;
    for _ in 0..3 {
        let claimed = stage.claim_one("work").await;
        let next = tick();
        let id = next.id;
        let receipt = stage.done(finish(claimed.lease()).enqueue(next)).await;
        assert_eq!(receipt.enqueues, [Enqueued::New(id)]);
    }
    // With `Join` the successor is new, too.
    let claimed = stage.claim_one("work").await;
    let receipt = stage.done(finish(claimed.lease()).enqueue(unique("tick", OnTaken::Join))).await;
    assert!(matches!(receipt.enqueues[..], [Enqueued::New(_)]));
}

pub(crate) async fn bounded(stage: &Stage) {
    let some = |max| NewJob { max_length: Some(max), ..job("work") };
    stage.done(Batch::new().enqueue(some(2)).enqueue(some(2))).await;
    let full = |length, max| Refusal::QueueFull { queue: "work".into(), length, max };
    assert_eq!(stage.refused(Batch::new().enqueue(some(2))).await, full(3, 2));
    assert_eq!(stage.refused(Batch::new().enqueue(some(3)).enqueue(some(3))).await, full(4, 3));
    // Those under way count, the dead do not.
    let claimed = stage.claim("work", 1).await.remove(0);
    assert_eq!(stage.refused(Batch::new().enqueue(some(2))).await, full(3, 2));
    let error = renkei_core::store::JobError::new("rejected", "no");
    let on_dead = renkei_core::store::OnDead::Block;
    stage.done(Batch::new().job(JobChange::Bury { lease: claimed.lease(), error, on_dead })).await;
    stage.done(Batch::new().enqueue(some(2))).await;
    // Another bound is another matter.
    stage.done(Batch::new().enqueue(job("work"))).await;
    assert_eq!(stage.counts("work").await.unfinished(), 3);
}

pub(crate) async fn kept_when_done(stage: &Stage) {
    stage.done(Batch::new().enqueue(keyed("work", "a")).enqueue(keyed("work", "a"))).await;
    let first = stage.claim_one("work").await;
    let keep = JobChange::Finish { lease: first.lease(), keep_until: Some(When::After(MINUTE)) };
    stage.done(Batch::new().job(keep)).await;
    let kept = stage.store.job(first.id).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.leased_until), (JobState::Done, None));
    assert_eq!(stage.counts("work").await.done, 1);
    // It is over: its key goes on, nothing but its removal changes it.
    stage.claim_one("work").await;
    let refusal = stage.refused(finish(first.lease())).await;
    assert_eq!(refusal, Refusal::LeaseLost { lease: first.lease(), state: Some(JobState::Done) });
    stage.done(Batch::new().job(JobChange::Discard { job: first.id })).await;
    assert_eq!(stage.state(first.id).await, None);
}

pub(crate) async fn pages(stage: &Stage) {
    for number in 0..7 {
        let late = NewJob { run_at: When::After(SECOND * (10 - number)), ..job("work") };
        let held = NewJob { key: Some("k".into()), ..job("work") };
        let ready = NewJob { priority: i16::try_from(number % 3).unwrap(), ..job("work") };
        stage.done(Batch::new().enqueue(late).enqueue(held).enqueue(ready)).await;
        stage.clock.pass(SECOND / 10);
    }
    for (state, expected) in
        [(JobState::Ready, 8), (JobState::Scheduled, 7), (JobState::Held, 6), (JobState::Dead, 0)]
    {
        let (mut after, mut seen, mut ordered) = (None, BTreeSet::new(), Vec::new());
        loop {
            let query = JobQuery { queue: "work".into(), state, after, limit: 3 };
            let page = stage.store.jobs(query).await.unwrap();
            assert!(page.jobs.len() <= 3);
            assert!(
                page.jobs.iter().all(|job| job.state == state && seen.insert(job.id)),
                "{state} comes twice"
            );
            ordered.extend(page.jobs);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), expected, "{state}");
        match state {
            JobState::Ready => {
                let ids: Vec<JobId> = ordered.iter().map(|job| job.id).collect();
                let claimed: Vec<JobId> = stage.claim("work", 20).await.iter().map(|job| job.id).collect();
                assert_eq!(ids, claimed);
            }
            JobState::Scheduled => assert!(ordered.is_sorted_by_key(|job| job.run_at)),
            _ => {}
        }
    }
}

pub(crate) async fn large_payloads(stage: &Stage) {
    let text = "x".repeat(300_000);
    let large = NewJob { payload: record(&text), headers: "{\"a\":1}".into(), ..job("work") };
    let id = large.id;
    stage.done(Batch::new().enqueue(large.clone())).await;
    let claimed = stage.claim_one("work").await;
    assert_eq!((&claimed.payload, &claimed.headers), (&large.payload, &large.headers));
    assert_eq!(stage.store.job(id).await.unwrap(), Some(claimed.clone()));
    stage.done(finish(claimed.lease())).await;
    assert_eq!(stage.state(id).await, None);
}

//! What a store brings to the suite, and what trials share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use renkei_core::{
    clock::{Clock, Timestamp},
    store::{
        Append, Batch, Claim, Claims, Expected, Job, JobId, JobState, Lease, Maintain, NewEvent, NewJob,
        QueueCounts, Receipt, Record, Refusal, Verdict,
    },
};

/// A place for stores; each trial has its own, and what it needs to run goes with it.
#[async_trait]
pub(crate) trait Member: Send + Sync {
    /// Opens the store: empty at first, later with what was committed. Opened twice, it is two processes, as it were.
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Maintain>;
}

/// A clock that stands until it is moved, in either direction.
#[derive(Debug)]
pub(crate) struct SetClock(AtomicI64);

impl SetClock {
    pub(crate) fn pass(&self, duration: Duration) {
        self.0.fetch_add(duration.as_millis() as i64, Ordering::SeqCst);
    }

    pub(crate) fn set(&self, moment: Timestamp) {
        self.0.store(moment.0, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A store and its clock, and sentences to say with them.
pub(crate) struct Stage {
    pub(crate) member: Box<dyn Member>,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) store: Arc<dyn Maintain>,
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const START: Timestamp = Timestamp(1_800_000_000_000);

impl Stage {
    pub(crate) async fn new(member: Box<dyn Member>) -> Self {
        let clock = Arc::new(SetClock(AtomicI64::new(START.0)));
        let store = member.open(clock.clone()).await;
        Stage { member, clock, store }
    }

    /// Another process, as it were.
    pub(crate) async fn another(&self) -> Arc<dyn Maintain> {
        self.member.open(self.clock.clone()).await
    }

    pub(crate) async fn done(&self, batch: Batch) -> Receipt {
        match self.store.commit(batch).await.unwrap() {
            Verdict::Done(receipt) => receipt,
            Verdict::Refused(refusal) => panic!("refused: {refusal:?}"),
        }
    }

    pub(crate) async fn refused(&self, batch: Batch) -> Refusal {
        match self.store.commit(batch).await.unwrap() {
            Verdict::Done(receipt) => panic!("not refused: {receipt:?}"),
            Verdict::Refused(refusal) => refusal,
        }
    }

    pub(crate) async fn claim(&self, queue: &str, max: usize) -> Vec<Job> {
        self.claims(queue, max).await.jobs
    }

    pub(crate) async fn claims(&self, queue: &str, max: usize) -> Claims {
        let (queue, worker) = (queue.to_owned(), "here".to_owned());
        self.store.claim(Claim { queue, max, lease_for: MINUTE, worker }).await.unwrap()
    }

    /// Claims the only job that can be claimed.
    pub(crate) async fn claim_one(&self, queue: &str) -> Job {
        let mut jobs = self.claim(queue, 10).await;
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs.remove(0)
    }

    pub(crate) async fn state(&self, id: JobId) -> Option<JobState> {
        self.store.job(id).await.unwrap().map(|job| job.state)
    }

    pub(crate) async fn counts(&self, queue: &str) -> QueueCounts {
        let all = self.store.queues().await.unwrap();
        all.into_iter().find(|counts| counts.queue == queue).unwrap_or_default()
    }

    /// What must hold between all records, as another process sees it.
    pub(crate) async fn sound(&self) {
        let another = self.another().await;
        assert_eq!(another.check().await.unwrap(), []);
        another.close().await;
        self.store.close().await;
    }
}

pub(crate) fn record(text: &str) -> Record {
    Record::new(1, text.as_bytes().to_vec())
}

pub(crate) fn job(queue: &str) -> NewJob {
    NewJob::new(JobId::new(), queue, record("{}"))
}

pub(crate) fn keyed(queue: &str, key: &str) -> NewJob {
    NewJob { key: Some(key.into()), ..job(queue) }
}

pub(crate) fn event(id: &str) -> NewEvent {
    NewEvent { id: id.into(), kind: "order_placed".into(), data: record(id), meta: Bytes::new() }
}

pub(crate) fn append(stream: &str, expected: Expected, ids: &[&str]) -> Append {
    Append { stream: stream.into(), expected, events: ids.iter().map(|id| event(id)).collect() }
}

pub(crate) fn finish(lease: Lease) -> Batch {
    Batch::new().job(renkei_core::store::JobChange::Finish { lease, keep_until: None })
}

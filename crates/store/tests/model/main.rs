//! Any sequence of commits, claims, lost leases, clock jumps and crashes, against a model that is too simple to be wrong.

#![expect(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod model;
mod steps;

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use proptest::{prelude::ProptestConfig, proptest};
use renkei_core::{
    clock::{Clock, Timestamp},
    store::{
        Batch, CellQuery, Claim, JobId, LogQuery, Maintain, Position, Retention, ScanBy, Store, Verdict,
    },
};
use renkei_store::sqlite::{Options, SqliteStore};
use tempfile::TempDir;

use model::Model;
use steps::{LEASE, SPACE, Step, plan, steps};

#[derive(Debug)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_the_model(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps));
    }
}

/// What both sides are asked, and what both must answer.
async fn run(steps: Vec<Step>) {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(SetClock(AtomicI64::new(1_000_000)));
    let open = || {
        SqliteStore::open(Options {
            clock: clock.clone(),
            readers: 1,
            ..Options::new(folder.path().join("renkei.db"))
        })
    };
    let mut store = open().await.unwrap();
    let mut model = Model::default();
    for step in steps {
        let now = clock.now();
        match step {
            Step::Commit(parts) => {
                let batch = plan(&parts, &model);
                let expected = model.commit(&batch, now);
                let verdict = store.commit(batch.clone()).await.unwrap();
                assert_same_verdict(&batch, &expected, &verdict);
            }
            Step::Claim { queue, max } => {
                let claim = Claim { queue, max, lease_for: LEASE, worker: "w".into() };
                let expected = model.claim(&claim, now);
                let claims = store.claim(claim).await.unwrap();
                let claimed: Vec<(JobId, u64, u32)> =
                    claims.jobs.iter().map(|job| (job.id, job.token, job.attempts)).collect();
                assert_eq!((claimed, claims.ended, claims.expired), expected);
            }
            Step::Clock(millis) => {
                clock.0.fetch_add(millis, Ordering::SeqCst);
            }
            // Without a word of farewell: the old one may even be there for a while.
            Step::Crash => store = open().await.unwrap(),
            Step::Prune => {
                let rules = Retention { dead: Some(LEASE), ..Retention::default() };
                store.prune(&rules).await.unwrap();
                model.prune(LEASE, now);
            }
        }
    }
    compare(&store, &model, clock.now()).await;
    assert_eq!(store.check().await.unwrap(), []);
    store.close().await;
}

/// Versions of cells and positions are the store's own; all else is the model's.
fn assert_same_verdict(batch: &Batch, expected: &Verdict, verdict: &Verdict) {
    match (expected, verdict) {
        (Verdict::Done(expected), Verdict::Done(receipt)) => {
            let versions = |receipt: &renkei_core::store::Receipt| {
                receipt.appends.iter().map(|one| one.version).collect::<Vec<_>>()
            };
            assert_eq!(versions(expected), versions(receipt), "{batch:?}");
            assert_eq!(expected.enqueues, receipt.enqueues, "{batch:?}");
            assert_eq!(expected.cells, receipt.cells, "{batch:?}");
        }
        _ => assert_eq!(expected, verdict, "{batch:?}"),
    }
}

async fn compare(store: &SqliteStore, model: &Model, now: Timestamp) {
    let query = LogQuery { after: Position::START, prefix: String::new(), limit: 1_000 };
    let page = store.read_log(query).await.unwrap();
    let events: Vec<_> =
        page.events.iter().map(|event| (event.stream.clone(), event.version, event.id.clone())).collect();
    assert_eq!(events, model.events());
    for job in model.jobs() {
        let stored = store.job(job.new.id).await.unwrap().expect("the model has it");
        assert_eq!(
            (stored.state, stored.attempts, stored.token),
            (job.state, job.attempts, job.token),
            "{stored:?}"
        );
        assert_eq!(
            (stored.run_at, stored.blocks, stored.errors.len()),
            (job.run_at, job.blocks(), job.errors),
            "{stored:?}"
        );
    }
    let mut counts = store.queues().await.unwrap();
    counts.iter_mut().for_each(|counts| counts.oldest_ready = None);
    assert_eq!(counts, model.counts());
    let query =
        CellQuery { space: SPACE.into(), by: ScanBy::Prefix(String::new()), after: None, limit: 1_000 };
    let cells = store.cells(query).await.unwrap().cells;
    let cells: Vec<_> = cells.into_iter().map(|cell| (cell.key, cell.version)).collect();
    assert_eq!(cells, model.cells(now));
}

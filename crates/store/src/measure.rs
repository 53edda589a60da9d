//! What the stores count; `renkei_core::metric` says what each is. Nothing is kept unless somebody installs a recorder
//! before the store is opened; until then, counting costs a comparison.

use std::time::Instant;

use metrics::{Counter, Histogram, counter, histogram};
use renkei_core::{Kind, Result, metric, store::Verdict};

/// The metrics of a store, looked up once.
#[derive(Clone)]
pub(crate) struct Measures {
    commits: Operation,
    claims: Operation,
    reads: Operation,
    sync: Histogram,
    batches: Histogram,
    items: Histogram,
}

impl std::fmt::Debug for Measures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Measures")
    }
}

/// One kind of thing that a store is asked.
#[derive(Clone)]
struct Operation {
    ok: Counter,
    refused: Counter,
    failed: [Counter; Kind::ALL.len()],
    seconds: Histogram,
}

impl Operation {
    fn new(operation: &'static str) -> Self {
        let of = |outcome: &'static str| counter!(metric::STORE_CALLS.name, "operation" => operation, "outcome" => outcome);
        Operation {
            ok: of("ok"),
            // Nothing but a commit has preconditions.
            refused: if operation == "commit" { of("refused") } else { Counter::noop() },
            failed: Kind::ALL.map(|kind| of(kind.as_str())),
            seconds: histogram!(metric::STORE_SECONDS.name, "operation" => operation),
        }
    }

    async fn of<T>(
        &self,
        asked: impl Future<Output = Result<T>>,
        refused: impl FnOnce(&T) -> bool,
    ) -> Result<T> {
        let began = Instant::now();
        let result = asked.await;
        self.seconds.record(began.elapsed());
        let counter = match &result {
            Ok(value) if refused(value) => Some(&self.refused),
            Ok(_) => Some(&self.ok),
            Err(error) => {
                let at = Kind::ALL.iter().position(|kind| *kind == error.kind());
                at.and_then(|at| self.failed.get(at))
            }
        };
        if let Some(counter) = counter {
            counter.increment(1);
        }
        result
    }
}

impl Measures {
    pub(crate) fn new() -> Self {
        Measures {
            commits: Operation::new("commit"),
            claims: Operation::new("claim"),
            reads: Operation::new("read"),
            sync: histogram!(metric::STORE_SYNC_SECONDS.name),
            batches: histogram!(metric::STORE_GROUP_BATCHES.name),
            items: histogram!(metric::STORE_GROUP_ITEMS.name),
        }
    }

    pub(crate) async fn commit(&self, asked: impl Future<Output = Result<Verdict>>) -> Result<Verdict> {
        self.commits.of(asked, |verdict| matches!(verdict, Verdict::Refused(_))).await
    }

    pub(crate) async fn claim<T>(&self, asked: impl Future<Output = Result<T>>) -> Result<T> {
        self.claims.of(asked, |_| false).await
    }

    pub(crate) async fn read<T>(&self, asked: impl Future<Output = Result<T>>) -> Result<T> {
        self.reads.of(asked, |_| false).await
    }

    /// A group is durable, since `began` was the moment to make it so. A claim has no items.
    pub(crate) fn group(&self, began: Instant, items: impl Iterator<Item = usize>) {
        self.sync.record(began.elapsed());
        let (mut batches, mut sum) = (0_u32, 0);
        for items in items {
            batches += 1;
            sum += items;
        }
        self.batches.record(batches);
        self.items.record(sum as f64);
    }
}

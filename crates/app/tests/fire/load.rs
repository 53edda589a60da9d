//! Callers that go on calling whatever happens, and what they were told.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::serving::{PATIENCE, Serving};

/// What a caller was told of a call, as a model reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Done,
    /// It failed, and nothing was changed.
    Nothing,
    /// It may have happened.
    Unknown,
}

/// What was said of the writes, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) done: BTreeSet<u64>,
    pub(crate) nothing: BTreeSet<u64>,
    pub(crate) unknown: BTreeSet<u64>,
    /// Words of failures that are none of those that a system in trouble may have.
    pub(crate) misclassed: Vec<String>,
    /// The words of each kind that was seen.
    pub(crate) kinds: BTreeSet<&'static str>,
}

/// How many calls ended well, and how many did not.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    good: u64,
    bad: u64,
}

/// What callers call: the first two write their id, the last one reads. The place in here is what is left of an id that
/// is divided by their number.
pub(crate) const TOOLS: [&str; 3] = ["add", "pair", "count"];

/// Callers of the tools that go on until they are told to end.
pub(crate) struct Load {
    callers: JoinSet<()>,
    shared: Arc<Shared>,
}

struct Shared {
    serving: Arc<Serving>,
    next: AtomicU64,
    ends: AtomicBool,
    said: Mutex<Said>,
    counts: watch::Sender<Counts>,
}

impl Load {
    pub(crate) fn start(serving: &Arc<Serving>, callers: usize) -> Self {
        let shared = Arc::new(Shared {
            serving: serving.clone(),
            next: AtomicU64::new(1),
            ends: AtomicBool::new(false),
            said: Mutex::default(),
            counts: watch::Sender::new(Counts::default()),
        });
        let mut all = JoinSet::new();
        for number in 0..callers {
            let shared = shared.clone();
            all.spawn(async move {
                while !shared.ends.load(Ordering::SeqCst) {
                    shared.one(number % TOOLS.len()).await;
                }
            });
        }
        Load { callers: all, shared }
    }

    /// Waits until so many more calls have ended well.
    pub(crate) async fn until_good(&self, more: u64) {
        let from = self.shared.counts.borrow().good;
        self.until("good", |counts| counts.good >= from + more).await;
    }

    /// Waits until so many more calls have failed.
    pub(crate) async fn until_bad(&self, more: u64) {
        let from = self.shared.counts.borrow().bad;
        self.until("failed", |counts| counts.bad >= from + more).await;
    }

    async fn until(&self, what: &str, reached: impl FnMut(&Counts) -> bool) {
        let mut counts = self.shared.counts.subscribe();
        let waited = timeout(PATIENCE, counts.wait_for(reached)).await;
        assert!(waited.is_ok(), "too few calls were {what}: {:?}", *self.shared.counts.borrow());
    }

    /// Ends the callers, each after the call that it is at.
    pub(crate) async fn end(mut self) -> Said {
        self.shared.ends.store(true, Ordering::SeqCst);
        while let Some(ended) = self.callers.join_next().await {
            ended.unwrap();
        }
        std::mem::take(&mut *self.shared.said.lock().unwrap())
    }
}

impl Shared {
    async fn one(&self, place: usize) {
        let tool = TOOLS[place];
        let id = self.next.fetch_add(1, Ordering::SeqCst) * TOOLS.len() as u64 + place as u64;
        let result = self.serving.call(tool, json!({ "id": id })).await;
        let told = self.hear(tool, &result);
        if tool != "count" {
            let mut said = self.said.lock().unwrap();
            let Said { done, nothing, unknown, .. } = &mut *said;
            let ids = match told {
                Told::Done => done,
                Told::Nothing => nothing,
                Told::Unknown => unknown,
            };
            ids.insert(id);
        }
        self.counts.send_modify(|counts| match told {
            Told::Done => counts.good += 1,
            _ => counts.bad += 1,
        });
    }

    fn hear(&self, tool: &str, result: &Value) -> Told {
        if result["isError"] == false {
            return Told::Done;
        }
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        let mut said = self.said.lock().unwrap();
        match ["could not reach its system", "ran out of time"].into_iter().find(|kind| text.contains(kind)) {
            Some(kind) => drop(said.kinds.insert(kind)),
            None => said.misclassed.push(result.to_string()),
        }
        let (nothing, unknown) =
            (text.contains("Nothing was changed."), text.contains("It may have happened all the same"));
        if nothing == unknown || tool == "count" && unknown {
            said.misclassed.push(text.to_owned());
        }
        if nothing { Told::Nothing } else { Told::Unknown }
    }
}
